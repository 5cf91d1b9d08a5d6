//! What the process is set to before a command runs.

use std::error::Error as _;

use miette::Diagnostic;
use rayon::ThreadPoolBuilder;
use thiserror::Error;

/// The variable that says how many threads compute, of rayon.
pub(super) const THREADS: &str = "RAYON_NUM_THREADS";

/// Threads that cannot be had.
#[derive(Debug, Error, Diagnostic)]
pub(super) enum ThreadsError {
    /// The variable is no number.
    #[error("{THREADS} is `{0}`, but it is the number of threads that compute")]
    #[diagnostic(help("set it to a number, or not at all: then there are as many as the machine has cores"))]
    NoNumber(String),
    /// The system does not give so many.
    #[error("the threads that compute cannot be started: {0}")]
    #[diagnostic(help(
        "ask for fewer with {THREADS}, or raise the limit of processes (`ulimit -u`, or that of the container)"
    ))]
    Refused(String),
}

/// Starts the threads that compute, before anything asks for them: later it would be a panic that there are none.
///
/// # Errors
///
/// When the variable of their number is wrong, or the system does not give so many.
pub(super) fn start_threads() -> Result<(), ThreadsError> {
    if let Some(asked) = std::env::var_os(THREADS) {
        let asked = asked.to_string_lossy();
        if !asked.is_empty() && asked.parse::<usize>().is_err() {
            return Err(ThreadsError::NoNumber(asked.into_owned()));
        }
    }
    let Err(error) = ThreadPoolBuilder::new().build_global() else { return Ok(()) };
    match error.source() {
        Some(cause) => Err(ThreadsError::Refused(cause.to_string())),
        // An author's program has started them already.
        None => Ok(()),
    }
}

/// Makes the CPU the device of what burn makes without being told where: the state of an optimizer that it loads, which it moves to
/// the parameters at the next step. Where CUDA is compiled in it would be the GPU, and a panic on a machine without one.
///
/// Must be called before any thread is started.
#[allow(unsafe_code)]
pub(super) fn default_to_the_cpu() {
    // SAFETY: no other thread reads the environment meanwhile, since there is none.
    unsafe {
        std::env::set_var("BURN_DEVICE", "flex");
    }
}

/// Makes a file that grows over the limit of `ulimit -f` an error as any other, which says where it was. By default the
/// system kills the process without a word.
#[cfg(unix)]
#[allow(unsafe_code)]
pub(super) fn report_files_over_the_limit() {
    // SAFETY: ignoring a signal runs no code of ours.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
    }
}

#[cfg(not(unix))]
pub(super) fn report_files_over_the_limit() {}
