//! Publishes a signed folder. Blobs and manifest are written only if absent. `VERSION` is written
//! last, with a compare-and-swap, and the release is then read back.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use relatch::source::{Dir, Fetcher, Object};
use relatch::trust::{
    Digest, Document as _, DocumentKind, Fetched, Manifest, Name, Refusal, Role, Root, Roots, Timestamp,
    TrustAnchor, Verified,
};
use relatch::{Error, limits};
use serde::Serialize;

use crate::baseline::{Baseline, Safeguards};
use crate::files::check_file;
use crate::folder::Folder;
use crate::progress::Progress;
use crate::read_back::read_back;
use crate::repository::{
    Current, Published, fetch, read_documents, read_release, read_version, root_chain, strict_times,
};
use crate::second_verifier::ensure_agreement;
use crate::store::{Body, Put, Store};
use crate::{Failure, Result, verify};

pub use crate::read_back::Visibility;

/// The result of publishing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Publication {
    /// The number of objects that were written.
    pub created: usize,
    /// The number of objects that already existed, from an earlier attempt or an earlier release.
    pub existed: usize,
    /// Who can read the release.
    pub access: Visibility,
    /// The version that another publisher published since, and that is now current.
    pub newer: Option<String>,
    /// Whether it is a release that an earlier run left without `VERSION`.
    pub finished: bool,
    /// The manifest of a higher release, which was abandoned by name.
    pub abandoned: Option<Digest>,
}

/// Publishes a signed folder. A rerun after a crash at any point completes the publication.
///
/// # Errors
/// [`Failure::LostRace`] if another publisher published meanwhile. A release that a client would
/// refuse is an error before anything is written.
pub fn publish(
    folder: &Folder,
    store: &dyn Store,
    anchor: &[u8],
    safeguards: Safeguards,
    progress: &dyn Progress,
) -> Result<Publication> {
    let baseline = Baseline::read(store, anchor, &folder.manifest()?.channel, safeguards)?;
    publish_over(folder, store, &baseline, progress)
}

/// As [`publish`], with the published state that the caller has read.
///
/// # Errors
/// As [`publish`].
pub fn publish_over(
    folder: &Folder,
    store: &dyn Store,
    published: &Baseline,
    progress: &dyn Progress,
) -> Result<Publication> {
    let channel = folder.manifest()?.channel;
    let (manifest_bytes, signatures, object) = folder.documents()?;
    let manifest = check(published, &channel, &manifest_bytes, &signatures, &object)?;
    let version = folder.version()?;
    published.ensure_next(&version)?;
    // A signer that does not know the forms of the published release can still refresh it.
    let is_published = |current: &Current| current.version.manifest == Digest::of(&manifest_bytes);
    if !matches!(&published.current, Ok(Some(current)) if is_published(current)) {
        manifest.artifacts.iter().try_for_each(verify::refuse_no_usable_form)?;
    }
    // Verifies all forms before the first upload, so that no part of an incomplete release is
    // uploaded.
    let mut uploads = Vec::new();
    let scratch = tempfile::tempdir().map_err(Failure::io("create a directory in", &std::env::temp_dir()))?;
    let (here, there) = (Fetcher::new(Dir::new(folder.path())), store.source());
    let forms = manifest
        .artifacts
        .iter()
        .flat_map(|artifact| artifact.stored.iter().map(move |form| (artifact, form)));
    for (artifact, stored) in forms {
        let path = folder.blob(&stored.blake3);
        if path.exists() {
            check_file(&path, stored.blake3)?;
            verify::check_form(scratch.path(), &here, &there, artifact, stored)?;
            let upload = (Object::Blob(stored.blake3), path);
            // Two targets may have the same executable.
            if !uploads.contains(&upload) {
                uploads.push(upload);
            }
        } else {
            verify::check_form(scratch.path(), &there, &there, artifact, stored)?;
        }
    }
    drop(scratch);
    store.prepare()?;
    let (mut created, mut existed) = (0, 0);
    let mut count = |put: Put| match put {
        Put::Created => created += 1,
        Put::Existed => existed += 1,
    };
    for put in upload(store, &uploads, progress)? {
        count(put);
    }
    let version_object = Object::Version(channel.clone());
    // Blobs take long. A publisher that has lost by now leaves no manifest.
    if store.read(&version_object)? != published.raw {
        return Err(Failure::LostRace { object: version_object });
    }
    for put in put_manifest(store, published, (&manifest_bytes, &signatures, &object), progress)? {
        count(put);
    }
    if published.raw.as_deref() == Some(&object) {
        count(Put::Existed); // from an earlier attempt
    } else {
        let swapped = store.swap(&version_object, published.raw.as_deref(), &object, progress);
        swapped.map_err(|why| lost(why, store, &published.root, &version))?;
        count(Put::Created);
    }
    // Before reading back: whatever that finds, this release is the highest one from now on.
    published.record(Some(&version)).map_err(|why| Failure::Unfinished {
        done: format!("{version_object} was written, but the state file was not"),
        next: format!("Publish or refresh again with --state once this is solved: {}", why.advice()),
        why: why.into(),
    })?;
    let (newer, access) =
        read_back(store, &published.root, &channel, &object).map_err(|why| Failure::Unfinished {
            done: format!("{version_object} was written, but could not be read back completely"),
            why: why.into(),
            next: format!(
                "Clients may already see the release: do not release it again. `signer verify \
                 --channel {channel}` reports whether it is complete, or what is wrong."
            ),
        })?;
    let passed_over = published.unnamed().map(|unnamed| unnamed.manifest);
    let finished = passed_over == Some(version.manifest);
    let abandoned = passed_over.filter(|_| !finished);
    Ok(Publication { created, existed, access, newer, finished, abandoned })
}

/// The failure of the swap. A manifest above the release of the publisher that was faster keeps all
/// publishers from going on: it is named, so that the caller can finish or abandon it.
fn lost(why: Failure, store: &dyn Store, root: &Roots, ours: &Timestamp) -> Failure {
    let Failure::LostRace { object } = &why else { return why };
    let there = store.read(object).ok().flatten();
    let theirs = there.and_then(|raw| read_version(root, &ours.channel, &raw).ok());
    if theirs.is_some_and(|theirs| theirs.timestamp.seq >= ours.seq) {
        return why;
    }
    Failure::Unfinished {
        // docs/ci/publish.sh parses this.
        done: format!("manifest {} of this release was written, but VERSION was not", ours.manifest),
        next: format!(
            "Nothing was overwritten: clients see the other release (`signer show`), but the manifest is \
             above it. To publish it all the same, run the same command again. To go on without it: \
             `signer renew --channel {} --abandon {}`, or a new release with --abandon.",
            ours.channel, ours.manifest
        ),
        why: why.into(),
    }
}

/// Writes a manifest and its signatures.
fn put_manifest(
    store: &dyn Store,
    published: &Published,
    (manifest, signatures, version): (&[u8], &[u8], &[u8]),
    progress: &dyn Progress,
) -> Result<[Put; 2]> {
    let digest = Digest::of(manifest);
    // A refresh: both were just read and verified. It writes neither, so that a publisher with
    // permission to write only `VERSION` and the probe objects can refresh.
    let is_there = |current: &Current| current.version.manifest == digest && current.signatures == signatures;
    if published.current().is_some_and(is_there) {
        return Ok([Put::Existed; 2]);
    }
    // Signatures first, as for roots: if this is interrupted, a manifest that exists has its
    // signatures.
    let by = Object::ManifestSignatures(digest);
    let signed = match store.put_new(&by, Body::Bytes(signatures), progress) {
        Err(Failure::Occupied { object: by }) => {
            // An earlier attempt uploaded other signatures. They must be valid as they are, before
            // VERSION names the manifest.
            let there = fetch(&store.source(), &by, limits::SIGNATURES)?;
            let channel = Manifest::from_canonical(manifest)?.channel;
            let checked = check(published, &channel, manifest, there.bytes(), version);
            drop(checked.map_err(|why| match why {
                Failure::Client(_) => Failure::Occupied { object: by },
                other => other,
            })?);
            Put::Existed
        }
        put => put?,
    };
    Ok([signed, store.put_new(&Object::Manifest(digest), Body::Bytes(manifest), progress)?])
}

/// Uploads blobs, a few at a time. The first failure stops the uploads.
fn upload(store: &dyn Store, uploads: &[(Object, PathBuf)], progress: &dyn Progress) -> Result<Vec<Put>> {
    let mut sized = Vec::new();
    for (object, path) in uploads {
        let size = std::fs::metadata(path).map_err(Failure::io("look at", path))?.len();
        sized.push((object, path, size));
    }
    let total: u64 = sized.iter().map(|(_, _, size)| size).sum();
    if total > 0 {
        progress.begin(total);
    }
    let rest = Mutex::new(sized.into_iter());
    let next = || rest.lock().ok().and_then(|mut rest| rest.next());
    let failed = Mutex::new(None);
    let work = || {
        let mut puts = Vec::new();
        while let Some((object, path, size)) = next() {
            let counted = Counted { inner: progress, bytes: AtomicU64::new(0), failed: &failed };
            if !counted.should_continue() {
                break;
            }
            match store.put_new(object, Body::File(path), &counted) {
                Ok(put) => puts.push(put),
                Err(failure) => {
                    if let Ok(mut failed) = failed.lock() {
                        failed.get_or_insert(failure);
                    }
                    break;
                }
            }
            progress.advance(size.saturating_sub(counted.bytes.into_inner()));
        }
        puts
    };
    let puts: Vec<Put> = thread::scope(|scope| {
        let workers: Vec<_> =
            (0..crate::limits::UPLOADS.min(uploads.len())).map(|_| scope.spawn(work)).collect();
        let join = |worker: thread::ScopedJoinHandle<'_, Vec<Put>>| {
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        workers.into_iter().flat_map(join).collect()
    });
    progress.end();
    match failed.into_inner() {
        Ok(Some(failure)) => Err(failure),
        _ => Ok(puts),
    }
}

/// Counts the bytes of one blob that were already reported.
struct Counted<'a> {
    inner: &'a dyn Progress,
    bytes: AtomicU64,
    failed: &'a Mutex<Option<Failure>>,
}

impl Progress for Counted<'_> {
    fn begin(&self, _: u64) {}

    fn advance(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.inner.advance(bytes);
    }

    fn waiting(&self, why: &str) {
        self.inner.waiting(why);
    }

    fn end(&self) {}

    fn should_continue(&self) -> bool {
        self.failed.lock().is_ok_and(|failed| failed.is_none())
    }
}

/// Verifies the release with the client's own code, as a client does that has accepted the
/// published release, and each signature a second time.
fn check(
    published: &Published,
    channel: &Name,
    manifest: &[u8],
    signatures: &[u8],
    object: &[u8],
) -> Result<Verified<Manifest>> {
    let memory = published.memory.clone();
    let release = read_documents(&published.root, channel, memory, (manifest, signatures, object))?;
    let root = &published.root;
    ensure_agreement("the manifest", manifest, signatures, &root.keys_of(Role::Release))?;
    let (signed, by) = Timestamp::split(object)?;
    ensure_agreement("VERSION", signed, by, &root.keys_of(Role::Timestamp))?;
    refuse_lower(published, &release.manifest)?;
    Ok(release.manifest)
}

/// Refuses a release of a lower version, which no client would install, unless it retracts the
/// published one or renews it.
fn refuse_lower(published: &Published, manifest: &Manifest) -> Result<()> {
    published.refuse_below_min(&manifest.version).map_err(|why| why.on(&manifest.channel))?;
    let Some(released) = published.released() else { return Ok(()) };
    let higher = manifest.version.compare(released).is_ok_and(std::cmp::Ordering::is_gt);
    if higher
        || manifest.retracts.contains(released)
        || published.current().is_some_and(|current| renews(manifest, &current.manifest))
        || published.memory.guard().release().is_some_and(|(_, seq)| seq == manifest.seq)
    {
        return Ok(());
    }
    Err(Failure::refused(
        format!("version {} is not higher than {released}, which is published", manifest.version),
        "Another publisher or an earlier run may have published it: `signer verify` reports what \
         is published. Otherwise prepare the release again with a higher version.",
    ))
}

/// Whether a manifest only renews another one: all that it says about versions and bytes is the
/// same.
fn renews(next: &Manifest, published: &Manifest) -> bool {
    let Manifest { root_version, seq, issued, expires, .. } = *next;
    seq > published.seq && *next == Manifest { root_version, seq, issued, expires, ..published.clone() }
}

/// Whether a root may be published under which a published release no longer verifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// It must not.
    Refused,
    /// It may, for example after a theft of keys.
    Allowed,
}

/// Publishes the next root, only if it follows the newest published root.
///
/// # Errors
/// As for a client that reads the chain; [`Failure::Refused`] for a root that revokes a release.
pub fn publish_root(
    store: &dyn Store,
    anchor: &[u8],
    document: &[u8],
    signatures: &[u8],
    revocation: Revocation,
    progress: &dyn Progress,
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
    let first = TrustAnchor::new(anchor)?;
    let mut keys = claimed.keys_of(Role::Root);
    if claimed.version == first.version {
        // The anchor itself. Its bytes must be those that tools contain, signed by its own keys.
        if document != TrustAnchor::document_of(anchor) {
            return Err(Failure::refused(
                format!("root {} differs from the one given with --root", claimed.version),
                "Tools carry one of the two. Publish the one that they carry.",
            ));
        }
        first.ensure_signed_by_itself(&fetched, &by)?;
        if store.read(&Object::Root(first.version + 1))?.is_none() {
            strict_times().ensure_current(first.kind(), first.issued, first.expires)?;
        }
    } else {
        // It may have expired: then the next one must be publishable.
        let newest = root_chain(&store.source(), anchor)?.pop();
        let newest = newest.ok_or_else(|| Failure::usage("the chain of roots is empty"))?;
        let published = newest.version;
        if claimed.version == published && *newest == claimed {
            first.ensure_signed_by_itself(&fetched, &by)?; // a rerun
        } else if claimed.version != published + 1 {
            return Err(Failure::refused(
                format!("this root {} does not follow root {published}, which is published", claimed.version),
                match claimed.version > published {
                    true => "Publish those in between first, one after the other.",
                    false => {
                        "Begin with the published root, not with the first: `signer root add`, \
                         `remove` or `renew`, and sign the result."
                    }
                },
            ));
        } else {
            let next = newest.next(&fetched, &by, &strict_times())?;
            keys.extend(newest.keys_of(Role::Root));
            strict_times().ensure_current(next.kind(), next.issued, next.expires)?;
            if revocation == Revocation::Refused {
                refuse_revocation(store, &newest, &next)?;
            }
        }
    }
    ensure_agreement(&format!("root {}", claimed.version), document, signatures, &keys)?;
    // Signatures first: a client that can read the document can then also read its signatures.
    store.prepare()?;
    store.put_new(&Object::RootSignatures(claimed.version), Body::Bytes(signatures), progress)?;
    store.put_new(&Object::Root(claimed.version), Body::Bytes(document), progress)?;
    Ok(claimed.version)
}

/// Refuses a root under which a release that verified until now no longer verifies: clients could
/// then not install or update until the next release. All channels are named, because each of them
/// needs a release of its own.
fn refuse_revocation(store: &dyn Store, newest: &Roots, next: &Roots) -> Result<()> {
    let mut revoked = Vec::new();
    for channel in store.channels()? {
        let Some(raw) = store.read(&Object::Version(channel.clone()))? else { continue };
        let verifies = |root| read_release(&store.source(), root, &channel, &raw);
        let did_verify = match verifies(newest) {
            // Another root would make it valid again.
            Err(Failure::Client(Error::Refused(Refusal::Expired {
                document: DocumentKind::Root(_),
                ..
            }))) => true,
            verified => verified.is_ok(),
        };
        if !did_verify {
            continue;
        }
        if let Err(why) = verifies(next)
            && !matches!(why, Failure::Client(Error::Refused(Refusal::Expired { .. })))
        {
            revoked.push(format!("the release on {channel}: {why}"));
        }
    }
    if revoked.is_empty() {
        return Ok(());
    }
    Err(Failure::refused(
        format!("under root {} this does not verify any more: {}", next.version, revoked.join("; ")),
        "To rotate a key, first publish a root that adds the new key; then, on each of these \
         channels, a release that is signed with it; then the root that removes the old key. After a \
         theft, give --revoke-release and publish a release on each of these channels at once.",
    ))
}
