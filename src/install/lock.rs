//! One process at a time changes anything beside an executable. The others go on with the installed
//! version.
//!
//! There are two locks. `lock` is held while the journal is read or changed, and while executables
//! are swapped: for moments. `staging` is held by a process that uses the network: for a check, a
//! download and a probe. It protects `floors`, `root` and staged files. A process that needs both
//! takes `staging` first. A rollback needs `lock` alone, and waits for no network.

use std::fs::File;
use std::ops::Deref;
use std::thread;
use std::time::{Duration, Instant};

use fs4::{FileExt, TryLockError};

use super::dir::{Entry, OpenDir};
use super::directories::{Directories, UnlockedDirectories};
use super::names;
use crate::error::{Error, Local, Result, io};
use crate::obstacle::Obstacle;

/// Held until it is dropped; the system releases it if the process dies.
#[must_use]
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

impl Drop for Lock {
    /// Closing the file is not enough: a process that another thread is starting holds a copy of
    /// the descriptor until it executes, and with it the lock.
    fn drop(&mut self) {
        drop(FileExt::unlock(&self.file)); // if this fails, closing releases it
    }
}

const POLL: Duration = Duration::from_millis(20);
/// A process that does not wait tries again so often if the directory is removed at the same time.
const REMOVALS: u32 = 5;
/// A file system in user space may answer so if a signal arrives.
const INTERRUPTIONS: u32 = 100;

impl Lock {
    /// Takes the lock of processes that download, and waits for at most `wait`.
    ///
    /// # Errors
    /// [`Local::Busy`] if another process downloads for longer.
    pub(super) fn staging(opened: UnlockedDirectories, wait: Duration) -> Result<(Directories, Lock)> {
        Lock::take(opened, names::STAGING, wait)
    }

    /// As [`Lock::staging`], without waiting, in directories that are already open.
    pub(super) fn try_staging(directories: &Directories) -> Result<Option<Lock>> {
        let path = directories.installation().executable();
        Ok(Lock::wait_for(directories.private(), names::STAGING, path, Instant::now(), Duration::ZERO)?
            .map(|file| Lock { file }))
    }

    /// Takes `staging` in a user's own directory, for a check. `None` if the directory was removed.
    pub(super) fn of_user(
        dir: &OpenDir,
        executable: &std::path::Path,
        wait: Duration,
    ) -> Result<Option<Lock>> {
        match Lock::wait_for(dir, names::STAGING, executable, Instant::now() + wait, wait) {
            // Two checks at once may then lose what one of them found.
            Err(Error::Local(Local::CannotUpdate { why: Obstacle::NoLocks { .. }, .. })) => Ok(None),
            file => Ok(file?.map(|file| Lock { file })),
        }
    }

    /// Whether files in this directory can be locked. If not, the lock file that shows it is
    /// removed.
    pub(super) fn is_possible(dir: &OpenDir, executable: &std::path::Path) -> bool {
        let tried = Lock::wait_for(dir, names::LOCK, executable, Instant::now(), Duration::ZERO);
        let why = tried.map(|file| drop(file.map(|file| Lock { file })));
        !matches!(why, Err(Error::Local(Local::CannotUpdate { why: Obstacle::NoLocks { .. }, .. })))
    }

    fn take(mut opened: UnlockedDirectories, name: &str, wait: Duration) -> Result<(Directories, Lock)> {
        let until = Instant::now() + wait;
        for round in 1_u32.. {
            if let Some(private) = opened.ensure_private()? {
                let executable = opened.installation().executable();
                let entry = Entry::new(&private, name);
                let waited = Lock::wait_for(&private, name, executable, until, wait);
                if let Err(Error::Local(Local::CannotUpdate { .. })) = &waited {
                    opened.remove_made();
                }
                if let Some(file) = waited? {
                    // An installer that failed may have removed the directory while this process
                    // waited: a lock without a name excludes no other process.
                    let is_named = entry.leads_to(&file).map_err(io("look at", &entry.path()))?;
                    if is_named && opened.leads_to(&private)? {
                        opened.ensure_at_path()?;
                        return Ok((opened.with_private(private), Lock { file }));
                    }
                }
            }
            if round >= REMOVALS && Instant::now() >= until {
                break;
            }
            opened.forget_private();
            thread::sleep(POLL.min(wait));
        }
        // Other processes create it and remove it all the time.
        Err(Local::ChangedMeanwhile { path: opened.installation().executable().into() }.into())
    }

    /// The locked file; `None` if the directory was removed.
    fn wait_for(
        private: &OpenDir,
        name: &str,
        executable: &std::path::Path,
        until: Instant,
        wait: Duration,
    ) -> Result<Option<File>> {
        let entry = Entry::new(private, name);
        let file = match entry.open_or_create() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(io("open the lock", &entry.path()))?,
        };
        let mut interruptions = 0;
        loop {
            match FileExt::try_lock(&file) {
                Ok(()) => return Ok(Some(file)),
                Err(TryLockError::Error(error))
                    if error.kind() == std::io::ErrorKind::Interrupted && interruptions < INTERRUPTIONS =>
                {
                    interruptions += 1;
                }
                Err(TryLockError::WouldBlock) if Instant::now() < until => thread::sleep(POLL.min(wait)),
                Err(TryLockError::WouldBlock) => {
                    return Err(Local::Busy { path: executable.into(), waited: wait }.into());
                }
                Err(TryLockError::Error(error)) if has_no_locks(&error) => {
                    let why = Obstacle::NoLocks { error: error.to_string() };
                    return Err(Local::CannotUpdate { path: executable.into(), why }.into());
                }
                Err(TryLockError::Error(error)) => return Err(io("lock", &entry.path())(error)),
            }
        }
    }
}

/// What flock(2) answers where the file system, or its server, has no locks.
#[cfg(unix)]
fn has_no_locks(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    let errnos = [Errno::NOLCK, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOSYS];
    Errno::from_io_error(error).is_some_and(|errno| errnos.contains(&errno))
}

#[cfg(not(unix))]
fn has_no_locks(_: &std::io::Error) -> bool {
    false
}

/// Directories whose `lock` is held: every function that changes a file in them takes this.
#[must_use]
#[derive(Debug)]
pub(super) struct Locked {
    directories: Directories,
    lock: Lock,
}

impl Locked {
    /// Takes the lock, and waits for at most `wait`.
    ///
    /// # Errors
    /// [`Local::Busy`] if another process keeps it longer.
    pub(super) fn take(opened: UnlockedDirectories, wait: Duration) -> Result<Locked> {
        let (directories, lock) = Lock::take(opened, names::LOCK, wait)?;
        Ok(Locked { directories, lock })
    }

    /// Releases the lock.
    pub(super) fn unlock(self) -> Directories {
        drop(self.lock);
        self.directories
    }
}

impl Deref for Locked {
    type Target = Directories;

    fn deref(&self) -> &Directories {
        &self.directories
    }
}

#[cfg(test)]
mod tests {
    use super::super::Installation;
    use super::*;

    #[test]
    fn a_copy_of_the_descriptor_does_not_keep_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tool");
        std::fs::write(&path, "x").unwrap();
        let installation = Installation::at(&path).unwrap();
        let take = || Locked::take(UnlockedDirectories::open(&installation).unwrap(), Duration::ZERO);
        let locked = take().unwrap();
        let _copy = locked.lock.file.try_clone().unwrap();
        assert!(take().is_err());
        drop(locked);
        take().map(drop).unwrap();
    }

    /// As after an installer that failed. On some file systems of Windows an open directory stays.
    #[test]
    #[cfg(unix)]
    fn the_lock_of_a_directory_that_was_removed_is_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tool");
        std::fs::write(&path, "x").unwrap();
        let installation = Installation::at(&path).unwrap();
        Locked::take(UnlockedDirectories::open(&installation).unwrap(), Duration::ZERO).map(drop).unwrap();
        let opened = UnlockedDirectories::open(&installation).unwrap();
        std::fs::remove_dir_all(installation.dir()).unwrap();
        let locked = Locked::take(opened, Duration::from_secs(10)).unwrap();
        assert!(installation.dir().join(names::LOCK).exists());
        let other = Locked::take(UnlockedDirectories::open(&installation).unwrap(), Duration::ZERO);
        assert!(matches!(other, Err(crate::Error::Local(Local::Busy { .. }))));
        drop(locked);
    }
}
