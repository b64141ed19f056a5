//! From a signed folder to what clients see: blobs and manifest only if absent, `VERSION` last by compare-and-swap, then read back.

use std::io::Read;
use std::path::Path;

use relatch::source::Object;
use relatch::trust::{Digest, Document as _, Fetched, Identity, Manifest, Name, Root, Verified, VersionFile};
use relatch::{Refusal, limits};

use crate::folder::Folder;
use crate::repository::{Published, fetch, strict_times};
use crate::store::{Content, Put, Store};
use crate::{Failure, Result, verify};

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// Objects that were written.
    pub created: usize,
    /// Objects that were there, from an earlier try or an earlier release.
    pub existed: usize,
}

/// Publishes a signed folder. A rerun after a crash at any point finishes what was begun.
///
/// # Errors
/// [`Failure::LostRace`] where somebody else published; everything that a client would refuse, before anything is written.
pub fn publish(folder: &Folder, store: &dyn Store, anchor: &[u8], repair: bool) -> Result<Done> {
    let channel = folder.manifest()?.channel;
    let published = Published::read(store, anchor, &channel, repair)?;
    let (manifest_bytes, signatures, object) = folder.documents()?;
    let manifest = check(&published, &channel, &manifest_bytes, &signatures, &object)?;
    // All of it, before any of it: nothing is uploaded for a release that would not be whole.
    let mut uploads = Vec::new();
    for stored in manifest.artifacts.iter().flat_map(|artifact| &artifact.stored) {
        let path = folder.blob(&stored.blake3);
        if path.exists() {
            check_file(&path, stored.blake3)?;
            uploads.push((Object::Blob(stored.blake3), path));
        } else {
            check_present(store, stored.size, stored.blake3)?;
        }
    }
    let mut done = Done { created: 0, existed: 0 };
    let mut count = |put: Put| match put {
        Put::Created => done.created += 1,
        Put::Existed => done.existed += 1,
    };
    for (object, path) in &uploads {
        count(store.put_new(object, Content::File(path))?);
    }
    let digest = Digest::of(&manifest_bytes);
    count(store.put_new(&Object::Manifest(digest), Content::Bytes(&manifest_bytes))?);
    let by = Object::ManifestSignatures(digest);
    match store.put_new(&by, Content::Bytes(&signatures)) {
        Err(Failure::Occupied { object: by }) => {
            // An earlier try uploaded the signatures of that time. They must do as they are, before VERSION names them.
            let there = fetch(&store.source(), &by, limits::SIGNATURES)?;
            check(&published, &channel, &manifest_bytes, there.bytes(), &object)
                .map_err(|_| Failure::Occupied { object: by })
                .map(drop)?;
            count(Put::Existed);
        }
        put => count(put?),
    }
    let version_object = Object::VersionFile(channel.clone());
    if published.raw.as_deref() == Some(&object) {
        count(Put::Existed); // an earlier try got as far as this
    } else {
        store.swap(&version_object, published.raw.as_deref(), &object)?;
        count(Put::Created);
    }
    verify::release(store, &published.root, &channel)?;
    Ok(done)
}

/// Shows the release to the client's own code, as a client that has seen what is published now.
fn check(
    published: &Published,
    channel: &Name,
    manifest: &[u8],
    signatures: &[u8],
    object: &[u8],
) -> Result<Verified<Manifest>> {
    let root = &published.root;
    let identity = Identity { product: root.product.clone(), channel: channel.clone() };
    let times = strict_times();
    root.check_unexpired(&times)?;
    let object = Fetched::new(object.to_vec());
    let version = Verified::<VersionFile>::check(&object, root, &identity, &published.floors, &times)?;
    let (document, signatures) = (Fetched::new(manifest.to_vec()), Fetched::new(signatures.to_vec()));
    let manifest = Verified::<Manifest>::check(&document, &signatures, &version, root, &identity, &times)?;
    refuse_lower(published, &manifest)?;
    Ok(manifest)
}

/// A release of a lower version would be taken by nobody, unless it takes the published one back.
fn refuse_lower(published: &Published, manifest: &Manifest) -> Result<()> {
    let Some(released) = &published.released else { return Ok(()) };
    let higher = manifest.version.compare(released).is_ok_and(std::cmp::Ordering::is_gt);
    if higher || manifest.retracts.contains(released) || manifest.seq.get() == published.floors.seq {
        return Ok(());
    }
    Err(Failure::refused(
        format!("version {} is not higher than {released}, which is published", manifest.version),
        "Somebody published meanwhile. Prepare the release again with a higher version.",
    ))
}

/// A blob of the folder must still be what was signed.
pub(crate) fn check_file(path: &Path, expected: Digest) -> Result<()> {
    let mut hasher = blake3::Hasher::new();
    let read = std::fs::File::open(path).and_then(|file| hasher.update_reader(file).map(|_| ()));
    read.map_err(Failure::io("read", path))?;
    let found = Digest::from(hasher.finalize());
    if found == expected {
        return Ok(());
    }
    Err(Refusal::BlobDigest { object: Object::Blob(expected), expected, found }.into())
}

/// A blob that is not in the folder must be in the store, whole.
fn check_present(store: &dyn Store, size: u64, digest: Digest) -> Result<()> {
    let object = Object::Blob(digest);
    let mut hasher = blake3::Hasher::new();
    let stream = store.source().stream(&object, None)?;
    let read = hasher.update_reader(stream.take(size + 1)).map(|hasher| Digest::from(hasher.finalize()));
    match read {
        Ok(found) if found == digest => Ok(()),
        Ok(found) => Err(Refusal::BlobDigest { object, expected: digest, found }.into()),
        Err(_) => {
            let location = store.location();
            Err(Failure::Client(relatch::Unavailable::Absent { location, object }.into()))
        }
    }
}

/// Publishes the next root, only if it follows from what is published. `revokes` allows one under which a published release does not
/// verify any more.
///
/// # Errors
/// As for a client that walks the chain; [`Failure::Refused`] for a root that revokes.
pub fn publish_root(
    store: &dyn Store,
    anchor: &[u8],
    document: &[u8],
    signatures: &[u8],
    revokes: bool,
) -> Result<u64> {
    let claimed = Root::from_canonical(document)?;
    if signatures.is_empty() {
        return Err(Failure::refused(
            format!("root {} is not signed", claimed.version),
            "Sign it with the root keys: `signer root sign`.",
        ));
    }
    if document.len() as u64 > limits::ROOT.0 || signatures.len() as u64 > limits::SIGNATURES.0 {
        return Err(Failure::refused(
            "the root or its signatures are larger than a client accepts",
            "Use fewer keys.",
        ));
    }
    let (fetched, by) = (Fetched::new(document.to_vec()), Fetched::new(signatures.to_vec()));
    let first = Verified::<Root>::anchor(anchor)?;
    if claimed.version == first.version {
        // The anchor itself: its bytes are what tools carry, and it is signed by its own keys.
        if document != anchor {
            return Err(Failure::refused(
                format!("root {} differs from the one given with --root", claimed.version),
                "Tools carry one of the two. Publish the one that they carry.",
            ));
        }
        drop(first.reload(&fetched, &by)?);
    } else {
        let newest = crate::repository::newest_root(&store.source(), anchor)?;
        if claimed.version == newest.version {
            drop(newest.reload(&fetched, &by)?); // a rerun
        } else {
            let next = newest.next(&fetched, &by)?;
            next.check_issued(&strict_times())?;
            next.check_unexpired(&strict_times())?;
            if !revokes {
                refuse_revocation(store, &newest, &next)?;
            }
        }
    }
    // Signatures first: a client that sees the document can have its signatures.
    store.put_new(&Object::RootSignatures(claimed.version), Content::Bytes(signatures))?;
    store.put_new(&Object::Root(claimed.version), Content::Bytes(document))?;
    Ok(claimed.version)
}

/// A release that verified until now would stop to: no client could install or be updated before the next one.
fn refuse_revocation(store: &dyn Store, newest: &Verified<Root>, next: &Verified<Root>) -> Result<()> {
    for channel in store.channels()? {
        let Some(raw) = store.read(&Object::VersionFile(channel.clone()))? else { continue };
        let verifies =
            |root| crate::repository::read_release(&store.source(), root, &channel, &raw, &strict_times());
        if let (Ok(_), Err(why)) = (verifies(newest), verifies(next)) {
            return Err(Failure::refused(
                format!(
                    "under root {} the release on {channel} does not verify any more: {why}",
                    next.version
                ),
                "First a root that adds the new key, then a release signed with it, then a root that removes the old key. After a theft, \
                 give --revoke-release and publish a release at once.",
            ));
        }
    }
    Ok(())
}
