//! Files: read without waiting for anybody or taking more than belongs there; replaced whole, or not at all.
//!
//! Release folders and repositories may have been made by others, who may still write there.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fs4::TryLockError;
#[cfg(not(windows))]
use relatch::Error;
use relatch::limits::ByteLimit;
use relatch::{Local, Printable};
use tempfile::NamedTempFile;

use crate::{Failure, Result};

/// Who may read a new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// Everybody who may read in that directory.
    Everybody,
    /// The one who makes it.
    Owner,
}

/// Writes a file that must not exist.
///
/// # Errors
/// [`Failure::Client`] where it does.
pub fn write_new(path: &Path, content: &[u8], readers: Readers) -> Result<()> {
    let mut file = create_new(path, readers).map_err(Failure::io("create", path))?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(Failure::io("write", path))
}

fn create_new(path: &Path, readers: Readers) -> std::io::Result<File> {
    #[cfg(windows)]
    if readers == Readers::Owner {
        return relatch::platform::windows::create_private(path);
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        let mode = if readers == Readers::Owner { 0o600 } else { 0o644 };
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    }
    options.open(path)
}

/// What a file is to hold next, whole and durable under another name beside it. Dropped, it is gone, and the file is as it was.
#[must_use]
pub(crate) struct Staged {
    file: NamedTempFile,
    path: PathBuf,
}

impl Staged {
    /// Writes it. It may be read by whom the file may be read by.
    pub(crate) fn write(path: &Path, content: &[u8]) -> Result<Self> {
        let write = || -> std::io::Result<NamedTempFile> {
            let mut new = tempfile::Builder::new();
            new.prefix(".unfinished-");
            #[cfg(unix)]
            let all: std::fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o666); // and what the umask takes away
            #[cfg(unix)]
            new.permissions(all);
            let mut file = new.tempfile_in(dir_of(path))?;
            match std::fs::metadata(path) {
                Ok(old) => file.as_file().set_permissions(old.permissions())?,
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            file.write_all(content)?;
            file.as_file().sync_all()?;
            Ok(file)
        };
        Ok(Staged { file: write().map_err(Failure::io("write", path))?, path: path.into() })
    }

    /// Puts it in the file's place, at one moment.
    pub(crate) fn replace(self) -> Result<()> {
        let Staged { mut file, path } = self;
        let until = Instant::now() + REPLACE_WAIT;
        while let Err(failed) = file.persist(&path) {
            // On Windows somebody who just reads the file may keep it from being replaced.
            let is_read = cfg!(windows) && failed.error.kind() == ErrorKind::PermissionDenied;
            if !is_read || Instant::now() >= until {
                return Err(Failure::io("replace", &path)(failed.error));
            }
            file = failed.file;
            std::thread::sleep(Duration::from_millis(20));
        }
        sync_dir_of(&path)
    }
}

/// How long a reader of what is to be replaced is waited for.
const REPLACE_WAIT: Duration = Duration::from_secs(5);

/// Makes the name of a file survive a power cut.
pub(crate) fn sync_dir_of(path: &Path) -> Result<()> {
    if cfg!(unix) {
        let dir = dir_of(path);
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(Failure::io("synchronise", dir))?;
    }
    Ok(())
}

/// How long another one who writes there is waited for.
const LOCK_WAIT: Duration = Duration::from_secs(60);

/// Takes the lock of an open file, waiting for at most a minute. The system releases it with the file.
pub(crate) fn lock(file: &File, path: &Path) -> Result<()> {
    let until = Instant::now() + LOCK_WAIT;
    while let Err(error) = fs4::FileExt::try_lock(file) {
        match error {
            TryLockError::Error(error) => return Err(Failure::io("lock", path)(error)),
            TryLockError::WouldBlock if Instant::now() >= until => {
                return Err(Failure::Client(Local::Busy { path: path.into(), waited: LOCK_WAIT }.into()));
            }
            TryLockError::WouldBlock => std::thread::sleep(Duration::from_millis(20)),
        }
    }
    Ok(())
}

/// Whoever adds to a file of a directory excludes others who do, without a file of the lock's own. `None` where directories cannot be
/// locked, as on some network file systems.
#[cfg(not(windows))]
pub(crate) fn lock_dir(dir: &Path) -> Result<Option<File>> {
    let Ok(file) = File::open(dir) else { return Ok(None) };
    match lock(&file, dir) {
        Ok(()) => Ok(Some(file)),
        Err(Failure::Client(Error::Local(Local::Io { .. }))) => Ok(None),
        Err(busy) => Err(busy),
    }
}

/// The same on Windows, where a directory cannot be locked: by a file in it that is not shared with anybody, and that the system removes when
/// it is closed, however this process ends.
#[cfg(windows)]
pub(crate) fn lock_dir(dir: &Path) -> Result<Option<File>> {
    use std::os::windows::fs::OpenOptionsExt;
    const GENERIC_WRITE_AND_DELETE: u32 = 0x4000_0000 | 0x0001_0000;
    const FILE_FLAG_DELETE_ON_CLOSE: u32 = 0x0400_0000;
    const ERROR_ACCESS_DENIED: i32 = 5; // while it is being removed; but also where nobody may write
    const ERROR_SHARING_VIOLATION: i32 = 32;
    let mut options = OpenOptions::new();
    options.write(true).create(true).share_mode(0);
    options.access_mode(GENERIC_WRITE_AND_DELETE).custom_flags(FILE_FLAG_DELETE_ON_CLOSE);
    let began = Instant::now();
    loop {
        let error = match options.open(dir.join(".unfinished-lock")) {
            Ok(file) => return Ok(Some(file)),
            Err(error) => error,
        };
        match error.raw_os_error() {
            Some(ERROR_SHARING_VIOLATION) if began.elapsed() >= LOCK_WAIT => {
                return Err(Failure::Client(Local::Busy { path: dir.into(), waited: LOCK_WAIT }.into()));
            }
            Some(ERROR_SHARING_VIOLATION) => {}
            Some(ERROR_ACCESS_DENIED) if began.elapsed() < REPLACE_WAIT => {}
            _ => return Ok(None),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The directory that a file lies in.
pub(crate) fn dir_of(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Reads a file of at most the bytes that a client would read of it.
///
/// # Errors
/// [`Failure::Refused`] past the limit.
pub fn read_limited(path: &Path, limit: ByteLimit) -> Result<Vec<u8>> {
    read_at_most(File::open(path).map_err(Failure::io("open", path))?, path, limit)
}

/// The same of what may only be a regular file.
///
/// # Errors
/// As [`read_limited`], and for everything else.
pub(crate) fn read_regular(path: &Path, limit: ByteLimit) -> Result<Vec<u8>> {
    read_at_most(open_regular(path).map_err(Failure::io("open", path))?, path, limit)
}

/// Opens a regular file: in a folder or a repository, which others may have made, a pipe or a device would block, or never end. Looked at
/// before, because to open a device can do something, and again after: they can change in between what a name leads to.
pub(crate) fn open_regular(path: &Path) -> std::io::Result<File> {
    let refused = || std::io::Error::new(ErrorKind::InvalidInput, "it is no regular file");
    if !std::fs::metadata(path)?.is_file() {
        return Err(refused());
    }
    let file = open_at_once(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(refused()) }
}

/// Opens what the caller named: a file, or a pipe, as a shell's `<(...)` makes it. A pipe's writer is waited for only where the caller named
/// a pipe, and not where somebody puts one in a file's place meanwhile.
pub(crate) fn open_given(path: &Path) -> std::io::Result<File> {
    let refused = || std::io::Error::new(ErrorKind::InvalidInput, "it is neither a file nor a pipe");
    let named = std::fs::metadata(path)?;
    let named_a_pipe = is_pipe(&named);
    if !named.is_file() && !named_a_pipe {
        return Err(refused());
    }
    let file = if named_a_pipe { File::open(path)? } else { open_at_once(path)? };
    let opened = file.metadata()?;
    if opened.is_file() || (named_a_pipe && is_pipe(&opened)) { Ok(file) } else { Err(refused()) }
}

#[cfg(unix)]
fn is_pipe(meta: &std::fs::Metadata) -> bool {
    std::os::unix::fs::FileTypeExt::is_fifo(&meta.file_type())
}

#[cfg(not(unix))]
fn is_pipe(_: &std::fs::Metadata) -> bool {
    false
}

/// Opens for reading without waiting for anybody, as a pipe does for its writer. It changes nothing for regular files.
fn open_at_once(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags.bits() as i32);
    }
    options.open(path)
}

fn read_at_most(file: File, path: &Path, limit: ByteLimit) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(limit.0 + 1).read_to_end(&mut bytes).map_err(Failure::io("read", path))?;
    if bytes.len() as u64 > limit.0 {
        let what = format!(
            "{} is larger than the {} bytes that a client accepts",
            Printable(path.display()),
            limit.0
        );
        return Err(Failure::refused(what, "Shorten the notes, or use fewer keys or targets."));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What it answers, or that it waits.
    #[cfg(unix)]
    fn at_once<T: Send + 'static>(path: &Path, open: fn(&Path) -> T) -> T {
        let (sender, receiver) = std::sync::mpsc::channel();
        let path = path.to_owned();
        std::thread::spawn(move || drop(sender.send(open(&path))));
        receiver.recv_timeout(Duration::from_secs(30)).unwrap() // else it waits for a writer
    }

    #[cfg(unix)]
    #[test]
    fn nobody_waits_for_the_writer_of_a_pipe_that_came_in_a_files_place() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("VERSION");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        // As where it came between a look and the opening.
        assert!(is_pipe(&at_once(&pipe, open_at_once).unwrap().metadata().unwrap()));
        let error = at_once(&pipe, open_regular).unwrap_err();
        assert_eq!(error.to_string(), "it is no regular file");
        // A pipe that the caller named is read, however late its writer comes.
        let (to, write) = (pipe.clone(), |to: PathBuf| std::fs::write(to, "late"));
        let writer = std::thread::spawn(move || write(to));
        let mut text = String::new();
        open_given(&pipe).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "late");
        writer.join().unwrap().unwrap();
        assert_eq!(open_given(dir.path()).unwrap_err().to_string(), "it is neither a file nor a pipe");
    }

    #[test]
    fn what_is_staged_replaces_all_or_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("VERSION");
        std::fs::write(&path, "old").unwrap();
        #[cfg(unix)]
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o664)).unwrap();
        let names = || std::fs::read_dir(dir.path()).unwrap().count();
        drop(Staged::write(&path, b"never").unwrap());
        assert_eq!((std::fs::read(&path).unwrap(), names()), (b"old".to_vec(), 1));
        Staged::write(&path, b"new").unwrap().replace().unwrap();
        assert_eq!((std::fs::read(&path).unwrap(), names()), (b"new".to_vec(), 1));
        #[cfg(unix)]
        {
            let mode =
                std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
            assert_eq!(mode & 0o777, 0o664);
        }
    }
}
