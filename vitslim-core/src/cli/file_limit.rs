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
