//! The signed manifests in the repository: one that `VERSION` should name, and does not, shows that
//! a publisher was interrupted, or that `VERSION` was rolled back.

use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use relatch::source::{Fetcher, Object};
use relatch::trust::{Digest, Document, DocumentKind, Manifest, Name, Roots, Seq};
use relatch::{Error, limits};

use crate::limits::{LISTED_MANIFESTS, LISTING, LISTING_READERS};
use crate::store::Store;
use crate::{Failure, Result};

/// A manifest that a threshold of the release keys signed. Its expiry is not verified.
pub(crate) struct SignedManifest {
    pub(crate) digest: Digest,
    pub(crate) manifest: Manifest,
    pub(crate) signatures: Vec<u8>,
}

/// The result of a search.
pub(crate) enum Search {
    /// The highest one that was searched for, if there is any.
    Done(Option<Box<SignedManifest>>),
    /// The repository cannot be searched, for this reason.
    Impossible(String),
}

/// Searches for the manifest of this channel and of the root's epoch with the highest `seq`.
/// Manifests that the root's release keys do not verify are ignored.
///
/// # Errors
/// If a manifest cannot be read, although it exists.
pub(crate) fn highest(store: &dyn Store, root: &Roots, channel: &Name) -> Result<Search> {
    let listed = if store.can_list() { store.manifests()? } else { None };
    let Some(digests) = listed else {
        return Ok(Search::Impossible("it cannot be listed".into()));
    };
    if digests.len() > LISTED_MANIFESTS {
        let why = format!("it has {} manifests, more than {LISTED_MANIFESTS}", digests.len());
        return Ok(Search::Impossible(why));
    }
    let source = store.source();
    let deadline = Instant::now() + LISTING;
    let mut claimed = claims(&source, &digests, deadline, |manifest| {
        manifest.channel == *channel && manifest.epoch == root.epoch
    })?;
    claimed.sort_unstable();
    for (_, digest) in claimed.into_iter().rev() {
        if let Some(signed) = read_signed(&source, root, channel, digest, deadline)? {
            return Ok(Search::Done(Some(Box::new(signed))));
        }
    }
    Ok(Search::Done(None))
}

/// The manifest of this hash, if it is one of this channel and of the root's epoch that a threshold
/// of the root's release keys signed.
///
/// # Errors
/// If it cannot be read, although it exists.
pub(crate) fn read_signed(
    source: &Fetcher,
    root: &Roots,
    channel: &Name,
    digest: Digest,
    deadline: Instant,
) -> Result<Option<SignedManifest>> {
    let kind = DocumentKind::Manifest;
    let document = source.fetch(&Object::Manifest(digest), limits::MANIFEST, deadline);
    let signatures = source.fetch(&Object::ManifestSignatures(digest), limits::SIGNATURES, deadline);
    let (Some(document), Some(signatures)) = (present(document)?, present(signatures)?) else {
        return Ok(None);
    };
    if Digest::of(document.bytes()) != digest || root.ensure_threshold(kind, &document, &signatures).is_err()
    {
        return Ok(None);
    }
    let Ok(manifest) = Manifest::from_canonical(document.bytes()) else { return Ok(None) };
    let is_ours =
        (&manifest.product, &manifest.channel, manifest.epoch) == (&root.product, channel, root.epoch);
    let signatures = signatures.bytes().to_vec();
    Ok(is_ours.then_some(SignedManifest { digest, manifest, signatures }))
}

/// The manifests that claim to be what is searched for, with their `seq`. Nothing is verified yet:
/// this saves the requests for all other signatures.
fn claims(
    source: &Fetcher,
    digests: &[Digest],
    deadline: Instant,
    is_wanted: impl Fn(&Manifest) -> bool + Sync,
) -> Result<Vec<(Seq, Digest)>> {
    let rest = Mutex::new(digests.iter());
    let failed = Mutex::new(None);
    let work = || {
        let mut found = Vec::new();
        while let Some(digest) = rest.lock().ok().and_then(|mut rest| rest.next()) {
            match present(source.fetch(&Object::Manifest(*digest), limits::MANIFEST, deadline)) {
                Ok(Some(document)) => {
                    let manifest = Manifest::from_canonical(document.bytes());
                    found.extend(manifest.ok().filter(&is_wanted).map(|manifest| (manifest.seq, *digest)));
                }
                Ok(None) => {}
                Err(failure) => {
                    if let (Ok(mut failed), Ok(mut rest)) = (failed.lock(), rest.lock()) {
                        failed.get_or_insert(failure);
                        *rest = [].iter();
                    }
                }
            }
        }
        found
    };
    let found = thread::scope(|scope| {
        let readers: Vec<_> = (0..LISTING_READERS.min(digests.len())).map(|_| scope.spawn(work)).collect();
        let join = |reader: thread::ScopedJoinHandle<'_, Vec<(Seq, Digest)>>| {
            reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        readers.into_iter().flat_map(join).collect()
    });
    match failed.into_inner() {
        Ok(Some(failure)) => Err(failure),
        _ => Ok(found),
    }
}

/// `None` for an object that does not exist, and for one that is no document because of its size.
fn present<T>(fetched: relatch::Result<T>) -> Result<Option<T>> {
    match fetched {
        Ok(document) => Ok(Some(document)),
        Err(Error::Refused(_)) => Ok(None),
        Err(Error::Unavailable(why)) if why.may_be_absent() => Ok(None),
        Err(error) => Err(Failure::from(error)),
    }
}
