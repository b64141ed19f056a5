//! One process at a time changes anything beside an executable. The others go on with what is installed.
//!
//! There are two locks. `lock` is held while state is read, changed and swapped: moments, or as long as a check may take. `staging` is
//! held while a new version is downloaded and tried, which may take long; a rollback never waits for that.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use fs4::{FileExt, TryLockError};

use super::Installation;
use crate::error::{Local, Result, io};
use crate::regular_file::{open_regular_file, open_regular_file_with};

/// Held while it lives; the system releases it if the process dies.
#[must_use]
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

impl Drop for Lock {
    /// Not left to the closing of the file: a process that another thread is starting holds a copy of it until it executes, and the lock
    /// with it.
    fn drop(&mut self) {
        drop(FileExt::unlock(&self.file)); // where it fails, closing does it
    }
}

const POLL: Duration = Duration::from_millis(20);

impl Lock {
    /// Takes the lock, waiting for at most `wait`.
    ///
    /// # Errors
    /// [`Local::Busy`] when another process keeps it longer.
    pub(crate) fn take(site: &Installation, wait: Duration) -> Result<Lock> {
        Lock::named(site, "lock", wait)
    }

    /// Takes the lock of those who download, likewise.
    ///
    /// # Errors
    /// [`Local::Busy`] when another process downloads for longer.
    pub(crate) fn staging(site: &Installation, wait: Duration) -> Result<Lock> {
        Lock::named(site, "staging", wait)
    }

    fn named(site: &Installation, name: &str, wait: Duration) -> Result<Lock> {
        let path = site.dir().join(name);
        let until = Instant::now() + wait;
        loop {
            site.make_dir()?;
            let file = Lock::wait_for(site, &path, until, wait)?;
            // An installer that failed may have removed the directory while this one waited: a lock without a name locks out nobody.
            match open_regular_file(&path) {
                Ok(named) if super::stage::is_same_file(&file, &named).map_err(io("look at", &path))? => {
                    return Ok(Lock { file });
                }
                _ if Instant::now() > until + wait => {
                    return Err(io("lock", &path)(std::io::ErrorKind::NotFound.into()));
                }
                _ => {}
            }
        }
    }

    fn wait_for(site: &Installation, path: &Path, until: Instant, wait: Duration) -> Result<File> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = open_regular_file_with(&mut options, path).map_err(io("open the lock", path))?;
        loop {
            match FileExt::try_lock(&file) {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if Instant::now() < until => thread::sleep(POLL.min(wait)),
                Err(TryLockError::WouldBlock) => {
                    return Err(Local::Busy { path: site.executable().into(), waited: wait }.into());
                }
                Err(TryLockError::Error(error)) => return Err(io("lock", path)(error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_of_the_descriptor_does_not_keep_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tool");
        std::fs::write(&path, "x").unwrap();
        let site = Installation::at(&path).unwrap();
        let lock = Lock::take(&site, Duration::ZERO).unwrap();
        let _copy = lock.file.try_clone().unwrap();
        assert!(Lock::take(&site, Duration::ZERO).is_err());
        drop(lock);
        Lock::take(&site, Duration::ZERO).map(drop).unwrap();
    }
}
