//! A repository in a directory: on this machine, on a mounted share, or as a stick brought it.

use std::io::ErrorKind;
use std::path::PathBuf;

use super::Unavailable;
use super::{Etag, Object, Opened, Source, unreachable};
use crate::error::Result;
use crate::regular;

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
        let path = crate::platform::join(&self.path, &object.to_string());
        match regular::open(&path) {
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

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test")]
mod tests {
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
