//! A repository that can only be read: `https:`.

use relatch::source::{Fetcher, Object, from_location};
use relatch::trust::{Digest, Name};
use relatch::{Error, Unavailable, limits};

use super::contract::{Body, Put, Store};
use crate::progress::Progress;
use crate::repository::fetch;
use crate::{Failure, Result};

/// A repository that clients read and that is published elsewhere, to show and verify it.
pub struct ReadOnlyStore {
    source: Fetcher,
}

impl ReadOnlyStore {
    /// The repository at an `https:` address.
    ///
    /// # Errors
    /// [`Failure::Client`] for an invalid address.
    pub fn open(location: &str) -> Result<Self> {
        Ok(ReadOnlyStore { source: Fetcher::new(from_location(location)?) })
    }

    fn refuse<T>(&self, action: &str) -> Result<T> {
        Err(Failure::usage(format!("{} can be read, but not {action}", self.location())))
    }
}

impl Store for ReadOnlyStore {
    fn source(&self) -> Fetcher {
        self.source.clone()
    }

    fn put_new(&self, _: &Object, _: Body<'_>, _: &dyn Progress) -> Result<Put> {
        self.refuse("written")
    }

    fn read(&self, object: &Object) -> Result<Option<Vec<u8>>> {
        match fetch(&self.source, object, limits::VERSION_FILE) {
            Ok(fetched) => Ok(Some(fetched.bytes().to_vec())),
            Err(Failure::Client(Error::Unavailable(Unavailable::Absent { .. }))) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    fn swap(&self, _: &Object, _: Option<&[u8]>, _: &[u8], _: &dyn Progress) -> Result<()> {
        self.refuse("written")
    }

    fn can_list(&self) -> bool {
        false
    }

    fn list(&self) -> Result<Vec<Object>> {
        self.refuse("listed")
    }

    fn manifests(&self) -> Result<Option<Vec<Digest>>> {
        self.refuse("listed")
    }

    fn channels(&self) -> Result<Vec<Name>> {
        self.refuse("listed")
    }

    fn location(&self) -> String {
        self.source.location()
    }
}
