use serde::Serialize;

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// All is done.
    Complete,
    /// A process works on it.
    Running,
    /// It ended with an error.
    Failed,
    /// It has begun, and goes on when its command is given again.
    Stopped,
    /// Nothing has been trained yet.
    Waiting,
}

impl RunState {
    /// One word.
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
