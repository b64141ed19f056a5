//! Everything about surviving a power cut stands here.
//!
//! A small file is replaced by: create a new name exclusively, write, fsync the file, rename over the old name, fsync the directory. At
//! each moment the name leads to the whole old or the whole new content. An executable is written once, fsynced, and only then named
//! (swap/).

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use crate::error::{Result, io};
use crate::escape::Printable;
use crate::limits::ByteLimit;
use crate::regular_file::{is_not_regular, open_regular_file};
use crate::trust::Refusal;

/// A file that did not exist before, readable and writable by its owner alone.
pub(super) fn create_private(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Replaces `dir/name` durably; see above.
pub(super) fn replace(dir: &Path, name: &str, content: &[u8]) -> Result<()> {
    let (mut file, path) = create_new(dir, "write")?;
    let written = file.write_all(content).and_then(|()| make_readable(&file)).and_then(|()| sync(&file));
    drop(file);
    let renamed = written.and_then(|()| rename(&path, &dir.join(name)));
    if let Err(error) = renamed {
        remove(&path);
        return Err(io("write", &dir.join(name))(error));
    }
    sync_dir(dir)
}

/// A new private file with a random name that begins with `prefix`.
pub(super) fn create_new(dir: &Path, prefix: &str) -> Result<(File, PathBuf)> {
    let suffix = u64::from_le_bytes(super::random()?);
    let path = dir.join(format!("{prefix}-{suffix:016x}"));
    let file = create_private(&path).map_err(io("create", &path))?;
    Ok((file, path))
}

/// Renames, over a file that is there, too. On Windows a virus scanner may hold a file for a moment that was just written or run.
pub(super) fn rename(from: &Path, to: &Path) -> std::io::Result<()> {
    let mut tries = 0;
    loop {
        match std::fs::rename(from, to) {
            Err(error) if is_of_the_moment(&error, cfg!(windows)) && tries < TRIES => {
                tries += 1;
                std::thread::sleep(PAUSE);
            }
            done => return done,
        }
    }
}

/// A second in all: scanners need less, and whoever waits for a lock waits longer.
const TRIES: u32 = 10;
const PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION. They may also mean that it will never work.
fn is_of_the_moment(error: &std::io::Error, windows: bool) -> bool {
    windows && matches!(error.raw_os_error(), Some(5 | 32 | 33))
}

/// Makes what was written to a file survive a power cut, its attributes too.
///
/// On Apple's systems std asks for `fcntl(F_FULLFSYNC)` here, which empties the drive's own cache, too; fsync(2) there does not. std does
/// nothing else where a file system does not know that call, as SMB's and some in user space. Then fsync(2) is all that can be had.
pub(super) fn sync(file: &File) -> std::io::Result<()> {
    #[cfg(target_vendor = "apple")]
    return or_plainly(file.sync_all(), || Ok(rustix::fs::fsync(file)?));
    #[cfg(not(target_vendor = "apple"))]
    file.sync_all()
}

/// The second way where the first is not known here; any other failure stays one.
#[cfg(any(target_vendor = "apple", all(test, unix)))]
fn or_plainly(full: std::io::Result<()>, plain: impl FnOnce() -> std::io::Result<()>) -> std::io::Result<()> {
    use rustix::io::Errno;
    let unknown = [Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOTTY, Errno::INVAL, Errno::NOSYS];
    match full {
        Err(error) if Errno::from_io_error(&error).is_some_and(|errno| unknown.contains(&errno)) => plain(),
        done => done,
    }
}

/// Makes the names in a directory survive a power cut.
pub(super) fn sync_dir(dir: &Path) -> Result<()> {
    // Windows has no such call and needs none: NTFS journals names.
    if cfg!(unix) {
        File::open(dir).and_then(|dir| sync(&dir)).map_err(io("synchronise", dir))?;
    }
    Ok(())
}

/// Reads a small file whole; `None` where there is none. What is no file is as good as damaged: it is replaced, or reported, likewise. But
/// not a directory, which nothing can be renamed over.
pub(super) fn read(path: &Path, limit: ByteLimit) -> Result<Option<Vec<u8>>> {
    let mut content = Vec::new();
    match open_regular_file(path).and_then(|file| file.take(limit.0 + 1).read_to_end(&mut content)) {
        Ok(_) if content.len() as u64 > limit.0 => Err(Refusal::StateDamaged {
            why: format!("{} has more than {} bytes", Printable(path.display()), limit.0),
        }
        .into()),
        Ok(_) => Ok(Some(content)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) if is_not_regular(&error) && !path.is_dir() => {
            Err(Refusal::StateDamaged { why: format!("{} is no regular file", Printable(path.display())) }
                .into())
        }
        Err(error) => Err(io("read", path)(error)),
    }
}

/// Removes what is no longer needed. Failing to is no error: it is tried again under the next lock.
pub(super) fn remove(path: &Path) {
    drop(std::fs::remove_file(path));
}

/// State may be read by all who may run the tool; it holds no secrets.
fn make_readable(file: &File) -> std::io::Result<()> {
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    #[cfg(not(unix))]
    let _ = file;
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn a_file_system_without_the_full_flush_gets_the_plain_one() {
        let plain = || Err(Errno::IO.into()); // tells that it was called
        for errno in [Errno::NOTSUP, Errno::NOTTY, Errno::INVAL, Errno::NOSYS] {
            assert!(or_plainly(Err(errno.into()), || Ok(())).is_ok(), "{errno:?}");
            let error = or_plainly(Err(errno.into()), plain).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(Errno::IO.raw_os_error()), "{errno:?}");
        }
        // What was written is lost, or may be: no other call makes that good.
        for errno in [Errno::IO, Errno::NOSPC, Errno::DQUOT] {
            let error = or_plainly(Err(errno.into()), || Ok(())).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(errno.raw_os_error()));
        }
        assert!(or_plainly(Ok(()), plain).is_ok());
    }
}
