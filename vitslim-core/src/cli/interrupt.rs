//! Ctrl-C.

use crate::terminal::say;
use crate::train::Interrupter;

/// Exit code of a run that Ctrl-C stopped, as shells set it.
pub(super) const INTERRUPTED: u8 = 130;

/// The first Ctrl-C lets the current batch finish, the second ends the process.
pub(super) fn stop_on_ctrl_c(interrupter: &Interrupter) -> Result<(), ctrlc::Error> {
    let interrupter = interrupter.clone();
    ctrlc::set_handler(move || {
        if interrupter.should_stop() {
            std::process::exit(INTERRUPTED.into());
        }
        say("stopping after this batch; press Ctrl-C again to stop now");
        interrupter.stop();
    })
}
