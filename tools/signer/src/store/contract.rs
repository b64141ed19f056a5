//! What publishing requires of a store, and what all stores share.

use std::path::Path;

use relatch::source::{Fetcher, Object};
use relatch::trust::{Digest, Name};

use crate::progress::Progress;
use crate::{Failure, Result};

/// The content of a new object: small documents from memory, executables from files.
#[derive(Debug, Clone, Copy)]
pub enum Body<'a> {
    /// A document.
    Bytes(&'a [u8]),
    /// A blob.
    File(&'a Path),
}

/// Whether an immutable object had to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It was written.
    Created,
    /// It existed already, with the same content.
    Existed,
}

/// The clock of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreClock {
    /// Its time, in Unix seconds.
    pub now: u64,
    /// Which clock to look at if it differs from this machine's.
    pub advice: &'static str,
}

/// A repository to publish to, with the guarantees that clients rely on: an immutable object is
/// written once and as a whole, and `VERSION` is replaced only if it is still the one that the
/// publisher has read.
pub trait Store: Send + Sync {
    /// The repository as a client on this machine reads it.
    fn source(&self) -> Fetcher;

    /// The repository as a client without credentials reads it; `None` if there is no such access,
    /// or if it is the same.
    fn public_source(&self) -> Option<Fetcher> {
        None
    }

    /// Determines, before the first write, which guarantees the server provides.
    ///
    /// # Errors
    /// If the publisher has no permission to write.
    fn prepare(&self) -> Result<()> {
        Ok(())
    }

    /// The store's own clock; `None` if it cannot be read without permission to write, or if the
    /// store does not show one.
    ///
    /// # Errors
    /// If the store cannot be reached.
    fn clock(&self) -> Result<Option<StoreClock>> {
        Ok(None)
    }

    /// Facts about the store that were found while writing and that the publisher should know, one
    /// line each.
    fn remarks(&self) -> Vec<String> {
        Vec::new()
    }

    /// Writes an immutable object if it does not exist.
    ///
    /// # Errors
    /// [`Failure::Occupied`] if it exists with different content.
    fn put_new(&self, object: &Object, body: Body<'_>, progress: &dyn Progress) -> Result<Put>;

    /// The bytes of `VERSION`, for [`Store::swap`]; `None` if it does not exist.
    ///
    /// # Errors
    /// If it cannot be read.
    fn read(&self, object: &Object) -> Result<Option<Vec<u8>>>;

    /// Replaces `VERSION` if it is still `expected`.
    ///
    /// # Errors
    /// [`Failure::LostRace`] if it is not.
    fn swap(
        &self,
        object: &Object,
        expected: Option<&[u8]>,
        new: &[u8],
        progress: &dyn Progress,
    ) -> Result<()>;

    /// Whether a repository of this kind can be listed.
    fn can_list(&self) -> bool {
        true
    }

    /// All manifests and blobs in the repository, to verify all of it.
    ///
    /// # Errors
    /// [`Failure::Refused`] for a name that is not an object of a repository.
    fn list(&self) -> Result<Vec<Object>>;

    /// The manifests in the repository, by their names, without other objects; `None` if the
    /// credentials do not permit that.
    ///
    /// # Errors
    /// If the store cannot be reached.
    fn manifests(&self) -> Result<Option<Vec<Digest>>>;

    /// The channels that have a `VERSION`.
    ///
    /// # Errors
    /// If the repository cannot be listed.
    fn channels(&self) -> Result<Vec<Name>>;

    /// The address, for people.
    fn location(&self) -> String;
}

/// The object with this name in `manifests/` or `blobs/`; `None` for the signatures of a manifest,
/// which are listed with it.
pub(super) fn listed(dir: &str, name: &str) -> Result<Option<Object>> {
    let (suffix, is_blob) = if dir == "blobs" { ("", true) } else { (".json", false) };
    if !is_blob && name.ends_with(".json.minisig") {
        return Ok(None);
    }
    match name.strip_suffix(suffix).map(str::parse::<Digest>) {
        Some(Ok(digest)) if is_blob => Ok(Some(Object::Blob(digest))),
        Some(Ok(digest)) => Ok(Some(Object::Manifest(digest))),
        _ => Err(Failure::refused(
            format!("{dir}/{} is not an object of a repository", name.escape_debug()),
            "No client reads it. Find out where it comes from, and remove it.",
        )),
    }
}

/// The manifests among the names in `manifests/`. Other names are for `signer verify` to report.
pub(super) fn manifests_among<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<Digest> {
    names.into_iter().filter_map(|name| name.strip_suffix(".json")?.parse().ok()).collect()
}

/// The hash of the content.
pub(super) fn digest_of(body: Body<'_>) -> std::io::Result<Digest> {
    match body {
        Body::Bytes(bytes) => Ok(Digest::of(bytes)),
        Body::File(path) => {
            let mut hasher = blake3::Hasher::new();
            hasher.update_reader(crate::files::open_regular(path)?)?;
            Ok(hasher.finalize().into())
        }
    }
}

/// Refuses content that does not have the hash in its name: the file may have changed after it was
/// checked.
pub(super) fn ensure_digest(object: &Object, found: impl FnOnce() -> Result<Digest>) -> Result<()> {
    let (Object::Blob(expected) | Object::Manifest(expected)) = object else { return Ok(()) };
    let found = found()?;
    if found == *expected {
        return Ok(());
    }
    Err(relatch::Refusal::BlobDigest { object: object.clone(), expected: *expected, found }.into())
}
