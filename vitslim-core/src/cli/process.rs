//! Settings of the process, made before a command runs.

use std::error::Error as _;

use miette::Diagnostic;
use rayon::ThreadPoolBuilder;
use thiserror::Error;

/// rayon's variable for the number of threads that compute.
pub(super) const THREADS: &str = "RAYON_NUM_THREADS";

/// Threads that could not be started.
#[derive(Debug, Error, Diagnostic)]
pub(super) enum ThreadsError {
    /// The variable is not a number.
    #[error("{THREADS} is `{0}`, but must be the number of threads that compute")]
    #[diagnostic(help("set it to a number, or unset it to use as many threads as the machine has cores"))]
    NoNumber(String),
    /// The system refuses to start so many.
    #[error("cannot start the threads that compute: {0}")]
    #[diagnostic(help(
        "set {THREADS} to fewer, or raise the limit on processes (`ulimit -u`, or the container's limit)"
    ))]
    Refused(String),
}

/// Starts the threads that compute. Without them, the first use would panic.
///
/// # Errors
///
/// When the variable is wrong, or the system refuses to start so many.
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
        // The program has started them already.
        None => Ok(()),
    }
}

/// Makes the CPU the default device of burn, for what it creates without a device: optimizer state that it loads, and moves to
/// the parameters at the next step. With CUDA compiled in the default would be the GPU, and a panic on a machine without one.
///
/// Must be called before any thread starts.
#[allow(unsafe_code)]
pub(super) fn default_to_the_cpu() {
    // SAFETY: no other thread exists that could read the environment meanwhile.
    unsafe {
        std::env::set_var("BURN_DEVICE", "flex");
    }
}

/// Turns a file that grows beyond the limit of `ulimit -f` into an ordinary error that names the file. By default the system
/// kills the process without a message.
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
