//! A repository in a directory: on this machine, on a mounted share, or as a stick brought it.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{Etag, Object, Opened, Source, unreachable};
use crate::error::{Result, Unavailable};

/// Reads objects as files under a directory.
#[derive(Debug, Clone)]
pub struct Dir {
    path: PathBuf,
}

impl Dir {
    /// A repository whose objects lie under `path`; whether it exists shows when it is read.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Dir { path: path.into() }
    }
}

impl Source for Dir {
    fn open(&self, object: &Object, _: Option<&Etag>) -> Result<Opened, Unavailable> {
        let path = self.path.join(object.to_string());
        match open_regular(&path) {
            Ok(file) => Ok(Opened::object(file)),
            Err(error) if error.kind() == ErrorKind::NotFound && self.path.is_dir() => {
                Err(Unavailable::Absent { location: self.location(), object: object.clone() })
            }
            Err(error) => {
                let mut failed = unreachable(self, object, &error);
                if let Unavailable::Unreachable { retryable, .. } = &mut failed {
                    *retryable = false; // a directory that is not there does not come back within a second
                }
                Err(failed)
            }
        }
    }

    fn location(&self) -> String {
        self.path.display().to_string()
    }
}

/// A FIFO or a device in place of an object would block or never end; only plain files are objects. Looked at before, because to open a
/// device can do something (a watchdog, a tape), and again after: who may write in the directory can change in between what a name leads to.
fn open_regular(path: &Path) -> std::io::Result<File> {
    let refused = || std::io::Error::new(ErrorKind::InvalidInput, "it is no regular file");
    if !std::fs::metadata(path)?.is_file() {
        return Err(refused());
    }
    let file = open_at_once(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(refused()) }
}

/// Opens for reading without waiting for anybody, as a FIFO does for its writer. It changes nothing for plain files.
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

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test")]
mod tests {
    use std::os::unix::fs::FileTypeExt;
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;
    use crate::trust::Digest;

    /// What it answers, or that it waits.
    fn at_once<T: Send + 'static>(ask: impl FnOnce() -> T + Send + 'static) -> T {
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || drop(sender.send(ask())));
        receiver.recv_timeout(Duration::from_secs(30)).unwrap_or_else(|_| panic!("it waits for a writer"))
    }

    #[test]
    fn a_fifo_is_no_object_and_nobody_waits_for_its_writer() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("blobs")).unwrap();
        let blob = Object::Blob(Digest::of(b"x"));
        let path = dir.path().join(blob.to_string());
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        // As where it came between a look and the opening.
        let fifo = path.clone();
        let file = at_once(move || open_at_once(&fifo)).unwrap();
        assert!(file.metadata().unwrap().file_type().is_fifo());
        let repository = Dir::new(dir.path());
        let asked = blob.clone();
        let answer = at_once(move || repository.open(&asked, None).map(drop));
        assert!(
            matches!(&answer, Err(Unavailable::Unreachable { why, retryable: false, .. }) if why.contains("no regular file")),
            "{answer:?}"
        );
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "x").unwrap();
        assert!(Dir::new(dir.path()).open(&blob, None).is_ok());
    }
}
