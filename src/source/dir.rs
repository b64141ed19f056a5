//! A repository in a directory: on a local disk, a mounted share or a removable drive.

use std::io::ErrorKind;
use std::path::PathBuf;

use super::etag::Etag;
use super::unavailable::Unavailable;
use super::{Opened, Source};
use crate::object::Object;
use crate::regular_file::open_regular_file;

/// Reads objects as files below a directory.
#[derive(Debug, Clone)]
pub struct Dir {
    path: PathBuf,
}

impl Dir {
    /// A repository below `path`. The directory is not accessed before the first read.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Dir { path: path.into() }
    }
}

impl Source for Dir {
    fn open(&self, object: &Object, _: Option<&Etag>) -> Result<Opened, Unavailable> {
        let path = crate::platform::join(&self.path, &object.to_string());
        match open_regular_file(&path) {
            Ok(file) => Ok(Opened::object(file)),
            Err(error) if error.kind() == ErrorKind::NotFound && self.path.is_dir() => {
                Err(Unavailable::Absent { location: self.location(), object: object.clone() })
            }
            // Permanent: a missing directory does not reappear within the time of a retry.
            Err(error) => Err(Unavailable::permanent(self.location(), object, error)),
        }
    }

    fn location(&self) -> String {
        self.path.display().to_string()
    }
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test")]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;
    use crate::trust::Digest;

    /// Runs `ask` on its own thread and fails if it blocks.
    fn at_once<T: Send + 'static>(ask: impl FnOnce() -> T + Send + 'static) -> T {
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || drop(sender.send(ask())));
        receiver.recv_timeout(Duration::from_secs(30)).unwrap_or_else(|_| panic!("opening the FIFO blocks"))
    }

    #[test]
    fn a_fifo_is_refused_without_blocking() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("blobs")).unwrap();
        let blob = Object::Blob(Digest::of(b"x"));
        let path = dir.path().join(blob.to_string());
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let repository = Dir::new(dir.path());
        let asked = blob.clone();
        let answer = at_once(move || repository.open(&asked, None).map(drop));
        assert!(
            matches!(&answer, Err(Unavailable::Unreachable { why, retryable: false, .. }) if why.contains("not a regular file")),
            "{answer:?}"
        );
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "x").unwrap();
        assert!(Dir::new(dir.path()).open(&blob, None).is_ok());
    }
}
