//! Where a repository is published.
//!
//! ```text
//! dir   a directory: hard links, a lock file, renames
//! s3    a bucket: conditional writes, or a lock object where the server has none
//! ```

mod dir;
#[cfg(feature = "s3")]
mod s3;

use std::path::Path;
use std::sync::Arc;

use relatch::source::{Fetcher, Object};
use relatch::trust::{Digest, Name};

pub use dir::DirStore;
#[cfg(feature = "s3")]
pub use s3::{LockTimes, S3Store};

use crate::progress::Progress;
use crate::{Failure, Result};

/// What is put: small documents from memory, executables from files.
#[derive(Debug, Clone, Copy)]
pub enum Content<'a> {
    /// A document.
    Bytes(&'a [u8]),
    /// A blob.
    File(&'a Path),
}

/// Whether an immutable object had to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It is there now.
    Created,
    /// It was there already, with the same content.
    Existed,
}

/// A repository to publish to. All that clients rely on is here: immutable objects are written whole and once, and `VERSION` changes
/// only from what the publisher has seen.
pub trait Store: Send + Sync {
    /// Where clients of the same machine would read it.
    fn source(&self) -> Fetcher;

    /// Where everybody reads it, without credentials; `None` where that is the same or cannot be.
    fn public_source(&self) -> Option<Fetcher> {
        None
    }

    /// Finds out, before the first write, what this place can promise.
    ///
    /// # Errors
    /// Where nothing may be written.
    fn prepare(&self) -> Result<()> {
        Ok(())
    }

    /// What a person should know of this place and was found out while writing, a line each.
    fn remarks(&self) -> Vec<String> {
        Vec::new()
    }

    /// Writes an immutable object, only if it is absent.
    ///
    /// # Errors
    /// [`Failure::Occupied`] where other content is there.
    fn put_new(&self, object: &Object, content: Content<'_>, progress: &dyn Progress) -> Result<Put>;

    /// The bytes of `VERSION`, for [`Store::swap`]; `None` where there is none.
    fn read(&self, object: &Object) -> Result<Option<Vec<u8>>>;

    /// Replaces `VERSION`, only if it still is `expected`.
    ///
    /// # Errors
    /// [`Failure::LostRace`] where it is not.
    fn swap(
        &self,
        object: &Object,
        expected: Option<&[u8]>,
        new: &[u8],
        progress: &dyn Progress,
    ) -> Result<()>;

    /// All manifests and blobs that are there, for a check of the whole.
    ///
    /// # Errors
    /// [`Failure::Refused`] for what is no object of a repository.
    fn list(&self) -> Result<Vec<Object>>;

    /// The channels that have a `VERSION`.
    fn channels(&self) -> Result<Vec<Name>>;

    /// The address for people.
    fn location(&self) -> String;
}

/// What the caller says of an S3 server; stronger than what the address says, as this is than AWS's own settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Server {
    /// Another vendor's URL.
    pub endpoint: Option<String>,
    /// Where the bucket is.
    pub region: Option<String>,
    /// Whether the bucket stands in the path of URLs and not in the host.
    pub path_style: bool,
}

/// The store that an address names: a directory, which is made if it does not exist, or `s3://bucket/prefix`.
///
/// # Errors
/// [`Failure::Client`] for an address of another kind.
pub fn from_location(location: &str, server: &Server) -> Result<Arc<dyn Store>> {
    match location.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase()).as_deref() {
        #[cfg(feature = "s3")]
        Some("s3") => Ok(Arc::new(S3Store::open(location, server)?)),
        Some(scheme) => Err(Failure::usage(format!(
            "cannot publish to `{}:`: this signer knows {}",
            scheme.escape_debug(),
            if cfg!(feature = "s3") { "directories and s3://bucket/prefix" } else { "directories" }
        ))),
        None if *server != Server::default() => {
            Err(Failure::usage("--endpoint, --region and --path-style are for s3://bucket/prefix"))
        }
        None => Ok(Arc::new(DirStore::new(location))),
    }
}

/// The object that a name in `manifests/` or `blobs/` is; `None` for the signatures of a manifest, which come with it.
fn listed(dir: &str, name: &str) -> Result<Option<Object>> {
    let (suffix, is_blob) = if dir == "blobs" { ("", true) } else { (".json", false) };
    if !is_blob && name.ends_with(".json.minisig") {
        return Ok(None);
    }
    match name.strip_suffix(suffix).map(str::parse::<Digest>) {
        Some(Ok(digest)) if is_blob => Ok(Some(Object::Blob(digest))),
        Some(Ok(digest)) => Ok(Some(Object::Manifest(digest))),
        _ => Err(Failure::refused(
            format!("{dir}/{} is no object of a repository", name.escape_debug()),
            "No client reads it. Look where it comes from, and remove it.",
        )),
    }
}

/// The hash of what is to be put.
fn digest_of(content: Content<'_>) -> std::io::Result<Digest> {
    match content {
        Content::Bytes(bytes) => Ok(Digest::of(bytes)),
        Content::File(path) => {
            let mut hasher = blake3::Hasher::new();
            hasher.update_reader(crate::files::open_regular(path)?)?;
            Ok(hasher.finalize().into())
        }
    }
}

/// What is named by its hash must have it: a file may have changed since it was checked.
fn refuse_other_digest(object: &Object, found: impl FnOnce() -> Result<Digest>) -> Result<()> {
    let (Object::Blob(expected) | Object::Manifest(expected)) = object else { return Ok(()) };
    let found = found()?;
    if found == *expected {
        return Ok(());
    }
    Err(relatch::Refusal::BlobDigest { object: object.clone(), expected: *expected, found }.into())
}
