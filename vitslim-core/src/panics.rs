//! Panics as errors: burn panics where shapes do not fit, and where a device fails.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

use crate::terminal::one_line;

thread_local! {
    static ATTEMPTS: Cell<bool> = const { Cell::new(false) };
}

/// The result of `work`, or the message of its panic on one line. The panic is not printed.
pub(crate) fn attempt<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    hush();
    let before = ATTEMPTS.replace(true);
    let answer = catch_unwind(AssertUnwindSafe(work));
    ATTEMPTS.set(before);
    answer.map_err(|panic| words(panic_message(&*panic).unwrap_or("it does not say why")))
}

/// `work`, as a part of what this thread attempts, on whichever thread it runs.
pub(crate) fn as_part<T>(work: impl FnOnce() -> T) -> impl FnOnce() -> T {
    /// Restores what the thread was doing, also after a panic.
    struct Before(bool);

    impl Drop for Before {
        fn drop(&mut self) {
            ATTEMPTS.set(self.0);
        }
    }

    let attempts = ATTEMPTS.get();
    move || {
        let _before = Before(ATTEMPTS.replace(attempts));
        work()
    }
}

/// Keeps the panics of attempts from being printed, on their own threads only.
fn hush() {
    static HUSHED: Once = Once::new();
    HUSHED.call_once(|| {
        let print = take_hook();
        set_hook(Box::new(move |panic| {
            if !ATTEMPTS.get() {
                print(panic);
            }
        }));
    });
}

/// `message` without the frame that burn puts around an operation and its reason.
fn words(message: &str) -> String {
    let message = one_line(message);
    let message = message.replace("=== Tensor Operation Error === Operation: ", "");
    let message = message.replace("Shape { dims: ", "").replace("] }", "]");
    message.replace("Reason: 1. ", "").trim_end_matches(['.', ' ']).to_owned()
}

/// The message of a caught panic, if it has one.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> Option<&str> {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor};

    use super::*;

    #[test]
    fn a_part_of_an_attempt_on_another_thread_is_as_quiet() {
        let elsewhere = |work: Box<dyn FnOnce() -> bool + Send>| {
            std::thread::scope(|scope| scope.spawn(|| (work(), ATTEMPTS.get())).join().unwrap())
        };
        assert_eq!(attempt(|| elsewhere(Box::new(as_part(|| ATTEMPTS.get())))), Ok((true, false)));
        assert_eq!(elsewhere(Box::new(as_part(|| ATTEMPTS.get()))), (false, false));
    }

    #[test]
    fn a_panic_becomes_one_line() {
        assert_eq!(attempt(|| 7), Ok(7));
        let ones = |size| Tensor::<1>::ones([size], &Device::flex());
        let said = attempt(|| ones(2) + ones(3)).err().unwrap();
        assert!(said.starts_with("'Add' The provided tensors have incompatible shapes"), "{said}");
        assert!(!said.contains('\n') && !said.contains("==="), "{said}");
    }
}
