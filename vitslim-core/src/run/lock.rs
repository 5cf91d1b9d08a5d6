//! The lock of a run's folder: only one process at a time works in it.
//!
//! The system holds the lock and releases it when its holder ends, in whatever way, so that no lock is ever stale. The file says who
//! the holder is. Where the file system grants a lock to everybody, that is all there is: the last process that wrote its name there
//! is the holder, and the others stop before they write anything.

use std::fs::{File, TryLockError};
use std::io::{Error, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// File that locks a folder.
const LOCK: &str = "lock";

/// Wait before a lock is tried once more, since a process that only checks whether it is held takes it for a moment; and before the
/// holder is read again.
const MOMENT: Duration = Duration::from_millis(50);

/// A lock, held as long as this lives.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    _lock: File,
    /// The content of the file: who holds it, and a number that no other process has.
    holder: String,
}

/// A lock that was not granted.
pub(super) enum LockError {
    /// The process with this name holds it.
    Held(String),
    /// The process with this name has taken it too, where it is granted to everybody.
    TakenOver(String),
    /// The file system, named as ` (nfs4, mounted at /home)`, has no locks.
    NoLocks(String, Error),
    /// The file cannot be opened, locked or written.
    File(&'static str, PathBuf, Error),
}

impl Lock {
    /// Locks the folder at `folder`.
    ///
    /// # Errors
    ///
    /// When another process holds the lock, or the file system has no locks.
    pub(super) fn take(folder: &Path) -> Result<Self, LockError> {
        let path = folder.join(LOCK);
        let failed = |action, source| LockError::File(action, path.clone(), source);
        let mut lock = open(&path).map_err(|source| failed("open", source))?;
        let taken = lock.try_lock().or_else(|_| {
            std::thread::sleep(MOMENT);
            lock.try_lock()
        });
        match taken {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                // The holder can be unknown, but there is one.
                let holder = std::fs::read_to_string(&path).unwrap_or_default();
                return Err(LockError::Held(name(&holder)));
            }
            Err(TryLockError::Error(source)) if has_no_locks(&source) => {
                return Err(LockError::NoLocks(file_system(folder), source));
            }
            Err(TryLockError::Error(source)) => return Err(failed("lock", source)),
        }
        let holder = format!("process {}\n{:016x}\n", std::process::id(), rand::random::<u64>());
        let write = |lock: &mut File| {
            // Cut to size last: whoever reads it meanwhile finds a name.
            lock.rewind()?;
            lock.write_all(holder.as_bytes())?;
            lock.set_len(holder.len() as u64)
        };
        write(&mut lock).map_err(|source| failed("write", source))?;
        let lock = Self { path, _lock: lock, holder };
        if lock.is_granted_to_everybody() {
            // Another process may be starting too: the last one to write is the holder.
            std::thread::sleep(MOMENT);
            if let Some(holder) = lock.taken_over() {
                return Err(LockError::TakenOver(holder));
            }
        }
        Ok(lock)
    }

    /// Whether the file system gives the lock that this holds to others as well.
    fn is_granted_to_everybody(&self) -> bool {
        open(&self.path).is_ok_and(|again| again.try_lock().is_ok())
    }

    /// The process that has taken the folder over from this one, if there is one. It reads one small file.
    pub(super) fn taken_over(&self) -> Option<String> {
        let there = std::fs::read_to_string(&self.path).ok()?;
        (there != self.holder).then(|| name(&there))
    }
}

/// Whether a process holds the lock of the folder at `folder`. Where there are no locks, nobody does.
pub(super) fn is_locked(folder: &Path) -> bool {
    File::open(folder.join(LOCK))
        .is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

fn open(path: &Path) -> Result<File, Error> {
    File::options().read(true).write(true).create(true).truncate(false).open(path)
}

/// The name of a process in the content of its lock.
fn name(holder: &str) -> String {
    holder.lines().next().filter(|name| !name.is_empty()).unwrap_or("another process").to_owned()
}

/// Whether `error` says that the file system has no locks, or that the server which keeps them does not answer.
#[cfg(unix)]
fn has_no_locks(error: &Error) -> bool {
    /// What Linux answers for some network file systems; it has no name outside the kernel.
    const ENOTSUPP: i32 = 524;
    let known = [libc::ENOLCK, libc::EOPNOTSUPP, libc::ENOTSUP, libc::ENOSYS, ENOTSUPP];
    error.raw_os_error().is_some_and(|code| known.contains(&code))
}

#[cfg(not(unix))]
fn has_no_locks(error: &Error) -> bool {
    error.kind() == std::io::ErrorKind::Unsupported
}

/// The file system that `path` is on, as ` (nfs4, mounted at /home)`; empty where the system does not tell.
fn file_system(path: &Path) -> String {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((fields.next()?, fields.next()?))
    });
    let innermost = mounts.filter(|(at, _)| path.starts_with(at)).max_by_key(|(at, _)| at.len());
    innermost.map_or_else(String::new, |(at, kind)| format!(" ({kind}, mounted at {at})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(folder: &Path) -> Lock {
        Lock::take(folder).unwrap_or_else(|_| panic!("it is free"))
    }

    #[test]
    fn a_folder_in_use_is_refused_with_its_holder() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_locked(folder.path()));
        let lock = take(folder.path());
        let Err(LockError::Held(holder)) = Lock::take(folder.path()) else { panic!("taken twice") };
        assert_eq!(holder, format!("process {}", std::process::id()));
        assert!(is_locked(folder.path()) && !lock.is_granted_to_everybody());
        drop(lock);
        assert!(!is_locked(folder.path()));
        take(folder.path());
    }

    #[test]
    fn whoever_wrote_last_has_taken_it_over() {
        let folder = tempfile::tempdir().unwrap();
        let lock = take(folder.path());
        assert_eq!(lock.taken_over(), None);
        std::fs::write(folder.path().join(LOCK), "process 7\n0123\n").unwrap();
        assert_eq!(lock.taken_over().as_deref(), Some("process 7"));
        std::fs::write(folder.path().join(LOCK), "").unwrap();
        assert_eq!(lock.taken_over().as_deref(), Some("another process"));
        std::fs::remove_file(folder.path().join(LOCK)).unwrap();
        assert_eq!(lock.taken_over(), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_file_system_of_a_folder_is_that_of_the_innermost_mount() {
        let proc = file_system(Path::new("/proc/self"));
        assert_eq!(proc, " (proc, mounted at /proc)");
    }
}
