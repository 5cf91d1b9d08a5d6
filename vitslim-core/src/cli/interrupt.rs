//! Signals that stop a run: Ctrl-C, and those that a batch system sends before it kills.

use std::io::Error;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use crate::terminal::say;
use crate::train::Interrupter;

/// Number of the signal of Ctrl-C.
const CTRL_C: i32 = 2;

/// Added to the number of the signal that stopped a run, it is the exit code, as shells have it.
const STOPPED: i32 = 128;

/// Exit code of a run that Ctrl-C or its sweep stopped.
pub(super) const INTERRUPTED: u8 = 130;

/// A batch system may send its signal to a process more than once. One that comes later than this is meant: it stops at once.
const AGAIN: Duration = Duration::from_secs(3);

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

/// Stops when a signal asks for it: after the current batch once the run has begun, before at once, since nothing is lost then. One
/// that comes [again](AGAIN) stops at once too.
///
/// # Errors
///
/// When the system refuses to tell of signals.
pub(super) fn stop_on_signals(interrupter: &Interrupter, ctrl_c: CtrlC) -> Result<(), Error> {
    let interrupter = interrupter.clone();
    let mut first: Option<Instant> = None;
    signals::listen(move |signal| {
        if signal == CTRL_C && ctrl_c == CtrlC::IsLeftToTheSweep {
            return;
        }
        if let Some(first) = first {
            if signal == CTRL_C || first.elapsed() > AGAIN {
                std::process::exit(exit_code().into());
            }
            return;
        }
        first = Some(Instant::now());
        FIRST.store(signal, Ordering::Relaxed);
        let name = signals::NAMED.iter().find_map(|(named, name)| (*named == signal).then_some(*name));
        let name = name.filter(|_| signal != CTRL_C).unwrap_or("Ctrl-C");
        if !interrupter.has_begun() {
            say(format_args!("stopped before training began: {name}"));
            std::process::exit(exit_code().into());
        }
        match signal {
            CTRL_C => say("stopping after this batch; press Ctrl-C again to stop now"),
            _ => say(format_args!("stopping after this batch: {name}")),
        }
        interrupter.stop();
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
