//! A repository in a directory: on this machine, on a mounted share, or as a stick brought it.

use std::fs::File;
use std::io::ErrorKind;
use std::path::PathBuf;

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
        // A FIFO or a device in place of an object would block or never end; only plain files are objects.
        match std::fs::metadata(&path).and_then(|meta| {
            if meta.is_file() { File::open(&path) } else { Err(ErrorKind::InvalidInput.into()) }
        }) {
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
