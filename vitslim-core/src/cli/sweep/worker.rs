//! The process of a sweep's trial, seen from the sweep. A failure in it, even a lack of memory, does not affect the other trials.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, Error, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use super::protocol::{BUSY, END, TAKEN_OVER};
use super::trial::Trial;
use crate::cli::interrupt::is_stop;
use crate::cli::process::THREADS;
use crate::run::{failure, forget_failure, record_failure};
use crate::train::Interrupter;

/// Time between two checks whether the sweep should stop.
const LOOK: Duration = Duration::from_millis(100);

/// Lines of a trial's log that are kept when its process dies.
const LAST_LINES: usize = 20;

/// How a trial ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Complete,
    Failed(String),
    /// The sweep told it to stop.
    Stopped,
    /// Another process is working on it.
    Busy,
    /// Another process has taken it over, where locks have no effect. To try it again would take it back.
    TakenOver,
}

/// How to start the processes of trials.
pub(super) struct Worker {
    /// Their arguments beside the trial.
    pub(super) arguments: Vec<OsString>,
    /// Threads per process.
    pub(super) threads: usize,
}

impl Worker {
    /// Runs `trial`, whose output goes to `log.txt` in its folder; `told` gets each line.
    ///
    /// # Errors
    ///
    /// When the process cannot be started, or its log cannot be written.
    pub(super) fn run(
        &self,
        trial: &Trial,
        interrupter: &Interrupter,
        mut told: impl FnMut(&str),
    ) -> Result<Outcome, Error> {
        let folder = &trial.folder;
        std::fs::create_dir_all(folder)?;
        // An earlier failure does not explain the next one.
        forget_failure(folder).map_err(Error::other)?;
        let mut log = File::options().create(true).append(true).open(folder.join(LOG))?;
        let mut child = self.start(trial)?;
        // The process runs as long as this is open.
        let mut input = child.stdin.take();
        let lines = lines(&mut child)?;
        let mut last = Vec::new();
        let mut stopping = false;
        loop {
            if interrupter.should_stop() && !std::mem::replace(&mut stopping, true) {
                // A process that has just ended does not hear this.
                let _ = input.as_mut().map(|input| input.write_all(b"s"));
            }
            match lines.recv_timeout(LOOK) {
                Ok(line) => {
                    writeln!(log, "{line}")?;
                    told(&line);
                    last.push(line);
                    if last.len() > LAST_LINES {
                        last.remove(0);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let status = child.wait()?;
        Ok(outcome(status, folder, &last, stopping))
    }

    fn start(&self, trial: &Trial) -> Result<Child, Error> {
        let name = format!("--trial={}", trial.name);
        let mut command = Command::new(program()?);
        command.args(["run", "-", &name]).args(&self.arguments);
        command.env(THREADS, self.threads.to_string());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        if let Some(input) = &mut child.stdin {
            input.write_all(trial.document.root().to_string().as_bytes())?;
            input.write_all(&[END])?;
        }
        Ok(child)
    }
}

/// File with the output of a trial's process.
pub(super) const LOG: &str = "log.txt";

/// The log of the trial in `folder`.
pub(super) fn log(folder: &Path) -> PathBuf {
    folder.join(LOG)
}

/// The output of the process, line by line, until it ends.
///
/// # Errors
///
/// When there is no thread to read it. The process has then been stopped, since nothing would.
fn lines(child: &mut Child) -> Result<Receiver<String>, Error> {
    let (sender, receiver) = channel();
    if let Some(output) = child.stderr.take() {
        let read = move || {
            let lines = BufReader::new(output).split(b'\n');
            for line in lines.map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                if sender.send(line).is_err() {
                    break;
                }
            }
        };
        std::thread::Builder::new()
            .spawn(read)
            .inspect_err(|_| drop(child.kill().and_then(|()| child.wait())))?;
    }
    Ok(receiver)
}

fn outcome(status: ExitStatus, folder: &Path, last: &[String], stopping: bool) -> Outcome {
    match status.code() {
        Some(0) => Outcome::Complete,
        Some(code) if is_stop(code) => Outcome::Stopped,
        // A signal for the whole sweep came before the process could listen to it.
        None if stopping => Outcome::Stopped,
        Some(BUSY) => Outcome::Busy,
        Some(TAKEN_OVER) => Outcome::TakenOver,
        _ => {
            let reason = failure(folder).unwrap_or_else(|| {
                let reason = match last.last().filter(|_| status.code() == Some(1)) {
                    // It said why, but could not write it: it was out of memory.
                    Some(line) => line.clone(),
                    None => format!("its process ended with {status}; see its log"),
                };
                // If the reason cannot be written there, it is reported all the same.
                let _ = record_failure(folder, &reason, &last.join("\n"));
                reason
            });
            Outcome::Failed(reason)
        }
    }
}

/// The running program, even if its file has been replaced meanwhile, as a build does.
///
/// # Errors
///
/// When the system does not tell where it is.
fn program() -> Result<PathBuf, Error> {
    let running = Path::new("/proc/self/exe");
    if running.exists() { Ok(running.to_owned()) } else { std::env::current_exe() }
}
