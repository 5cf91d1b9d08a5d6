//! Signals that stop a run: Ctrl-C, and those that a batch system sends before it kills.

use std::io::Error;
use std::sync::atomic::{AtomicI32, Ordering};

use crate::terminal::say;
use crate::train::Interrupter;

/// Number of the signal of Ctrl-C.
const CTRL_C: i32 = 2;

/// Added to the number of the signal that stopped a run, it is the exit code, as shells have it.
const STOPPED: i32 = 128;

/// Exit code of a run that Ctrl-C or its sweep stopped.
pub(super) const INTERRUPTED: u8 = 130;

/// The first signal that asked to stop.
static FIRST: AtomicI32 = AtomicI32::new(CTRL_C);

/// Exit code of a run that was stopped.
pub(super) fn exit_code() -> u8 {
    u8::try_from(STOPPED + FIRST.load(Ordering::Relaxed)).unwrap_or(INTERRUPTED)
}

/// Whether a run that ended with `code` was stopped.
pub(super) fn is_stop(code: i32) -> bool {
    signals::NAMED.iter().any(|(signal, _)| code == STOPPED + signal)
}

/// Who decides what Ctrl-C does.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum CtrlC {
    /// This process: the first lets the current batch finish, the second ends the process.
    Stops,
    /// The sweep of this process, which gets it too.
    IsLeftToTheSweep,
}

/// Stops after the current batch when a signal asks for it.
///
/// # Errors
///
/// When the system refuses to tell of signals.
pub(super) fn stop_on_signals(interrupter: &Interrupter, ctrl_c: CtrlC) -> Result<(), Error> {
    let interrupter = interrupter.clone();
    signals::listen(move |signal| match (signal, interrupter.should_stop()) {
        (CTRL_C, _) if ctrl_c == CtrlC::IsLeftToTheSweep => {}
        (CTRL_C, true) => std::process::exit(exit_code().into()),
        // A batch system may send its signal to a process more than once.
        (_, true) => {}
        (signal, false) => {
            FIRST.store(signal, Ordering::Relaxed);
            match signals::NAMED.iter().find(|(named, _)| *named == signal) {
                Some((_, name)) if signal != CTRL_C => say(format_args!("stopping after this batch: {name}")),
                _ => say("stopping after this batch; press Ctrl-C again to stop now"),
            }
            interrupter.stop();
        }
    })
}

#[cfg(unix)]
mod signals {
    use std::io::Error;

    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
    use signal_hook::iterator::Signals;

    pub(super) const NAMED: [(i32, &str); 4] =
        [(SIGINT, "SIGINT"), (SIGTERM, "SIGTERM"), (SIGUSR1, "SIGUSR1"), (SIGHUP, "SIGHUP")];

    pub(super) fn listen(mut told: impl FnMut(i32) + Send + 'static) -> Result<(), Error> {
        let wanted = NAMED
            .map(|(signal, _)| signal)
            .into_iter()
            .filter(|signal| *signal != SIGHUP || !is_ignored(SIGHUP));
        let mut signals = Signals::new(wanted)?;
        std::thread::Builder::new().spawn(move || signals.forever().for_each(&mut told))?;
        Ok(())
    }

    /// Whether this process was started to ignore `signal`, as `nohup` does.
    #[allow(unsafe_code)]
    fn is_ignored(signal: i32) -> bool {
        // SAFETY: a `sigaction` of zeros is valid, and the call only fills it in.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            libc::sigaction(signal, std::ptr::null(), &raw mut action) == 0
                && action.sa_sigaction == libc::SIG_IGN
        }
    }
}

#[cfg(not(unix))]
mod signals {
    use std::io::Error;

    use super::CTRL_C;

    pub(super) const NAMED: [(i32, &str); 1] = [(CTRL_C, "Ctrl-C")];

    pub(super) fn listen(mut told: impl FnMut(i32) + Send + 'static) -> Result<(), Error> {
        ctrlc::set_handler(move || told(CTRL_C)).map_err(Error::other)
    }
}
