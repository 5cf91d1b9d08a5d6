//! A device that runs out of memory. burn reports it only as text: in an error when results are read, or in a panic.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind, set_hook, take_hook};
use std::sync::RwLock;

use miette::Diagnostic;

use crate::panics::panic_message;
use crate::terminal::one_line;

/// What cubecl and the CUDA driver print for an allocation that failed, or that no device could serve.
const SIGNS: [&str; 3] =
    ["out of device memory", "can't allocate buffer of size", "CUDA_ERROR_OUT_OF_MEMORY"];

/// What the process says when the CPU runs out of memory and no stage knows better.
const NO_STAGE: &str = "out of memory: use a smaller batch or a smaller network, or raise the limit on memory (`ulimit -v`, or \
                        that of the container)";

static LAST_WORDS: RwLock<&str> = RwLock::new(NO_STAGE);

/// While it lives, it is what the process says when the CPU runs out of memory. Nothing can be put into words then.
pub(crate) struct LastWords;

impl LastWords {
    /// `error` with its help.
    pub(crate) fn new(error: impl Diagnostic) -> Self {
        set_last_words(sentence(error).leak());
        Self
    }
}

fn sentence(error: impl Diagnostic) -> String {
    let help = error.help().map_or_else(String::new, |help| format!(": {help}"));
    one_line(&format!("{error}{help}"))
}

impl Drop for LastWords {
    fn drop(&mut self) {
        set_last_words(NO_STAGE);
    }
}

fn set_last_words(words: &'static str) {
    if let Ok(mut last) = LAST_WORDS.write() {
        *last = words;
    }
}

/// What to say when the CPU is out of memory. Needs no memory.
pub(crate) fn last_words() -> &'static str {
    LAST_WORDS.try_read().map_or(NO_STAGE, |words| *words)
}

/// Whether `reason`, the error of a device, says that it ran out of memory.
pub(crate) fn is_out_of_memory(reason: &str) -> bool {
    SIGNS.iter().any(|sign| reason.contains(sign))
}

/// burn panicked because the device ran out of memory.
#[derive(Debug, PartialEq)]
pub(crate) struct OutOfMemoryError;

/// The result of `work`. Only a panic that says that memory ran out becomes an error; other panics go on.
pub(crate) fn catch_out_of_memory<T>(work: impl FnOnce() -> T) -> Result<T, OutOfMemoryError> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| match says_out_of_memory(&*panic) {
        true => OutOfMemoryError,
        false => resume_unwind(panic),
    })
}

/// Keeps panics that say that memory ran out from being printed: [`catch_out_of_memory`] turns them into errors.
pub(crate) fn hush_out_of_memory() {
    let print = take_hook();
    set_hook(Box::new(move |panic| {
        if !says_out_of_memory(panic.payload()) {
            print(panic);
        }
    }));
}

fn says_out_of_memory(panic: &(dyn Any + Send)) -> bool {
    panic_message(panic).is_some_and(is_out_of_memory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::TrainError;

    #[test]
    fn the_last_words_of_a_stage_are_its_error_and_what_to_do() {
        let work = "at a batch of 7 images".to_owned();
        let error = TrainError::OutOfMemory { stage: "search", work, remedy: "make it\nsmaller".to_owned() };
        let expected = "search ran out of memory on the device, at a batch of 7 images: make it smaller";
        assert_eq!(sentence(error), expected);
    }

    #[test]
    fn only_want_of_memory_is_made_an_error() {
        assert_eq!(catch_out_of_memory(|| 7), Ok(7));
        let size = 1_u64 << 40;
        let formatted = || panic!("Error while reading data: out of device memory allocating {size} bytes");
        assert_eq!(catch_out_of_memory(formatted), Err(OutOfMemoryError));
        assert_eq!(catch_out_of_memory(|| panic!("can't allocate buffer of size: 9")), Err(OutOfMemoryError));
        let other = catch_unwind(|| catch_out_of_memory(|| panic!("index out of bounds")));
        assert_eq!(other.unwrap_err().downcast_ref::<&str>(), Some(&"index out of bounds"));
    }
}
