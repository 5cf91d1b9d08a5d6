//! Ctrl-C.

use crate::terminal::say;
use crate::train::Interrupter;

/// Exit code of a run that was stopped by Ctrl-C, as a shell has it.
pub(super) const INTERRUPTED: u8 = 130;

/// The first Ctrl-C lets the batch at hand end, the second ends the process.
pub(super) fn stop_on_ctrl_c(interrupter: &Interrupter) -> Result<(), ctrlc::Error> {
    let interrupter = interrupter.clone();
    ctrlc::set_handler(move || {
        if interrupter.should_stop() {
            std::process::exit(INTERRUPTED.into());
        }
        say("stopping after this batch; once more stops at once");
        interrupter.stop();
    })
}
