use serde::{Deserialize, Serialize};

/// The state of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Everything is done.
    Complete,
    /// A process is working on it.
    Running,
    /// It ended with an error.
    Failed,
    /// It was started and then stopped; the same command resumes it.
    Stopped,
    /// It has not been started yet.
    Waiting,
}

impl RunState {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Running => "running",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
            Self::Waiting => "waiting",
        }
    }
}
