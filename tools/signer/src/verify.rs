//! Verifies a whole repository, with the client's own code.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::path::Path;

use relatch::source::{Dir, Fetcher, Object};
use relatch::trust::{
    Artifact, Digest, Document as _, DocumentKind, Encoding, Manifest, Name, Refusal, Roots, Stored,
    TrustAnchor,
};
use relatch::{Unavailable, install, limits};
use serde::Serialize;

use crate::baseline::{ensure_highest, search};
use crate::floor::StateFile;
use crate::limits::{READ_BACKOFF, S3_ATTEMPTS};
use crate::listing::SignedManifest;
use crate::notice::Notice;
use crate::repository::{Current, fetch, newest_root, read_release, root_chain, strict_times};
use crate::review::{expiring_manifest, expiring_root};
use crate::store::Store;
use crate::{Failure, Result};

/// The result of a verification.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The number of the newest root.
    pub root_version: u64,
    /// The number of channels whose current release was verified.
    pub channels: usize,
    /// The number of stored forms of current releases that were decoded to the signed executable.
    pub forms: usize,
    /// The number of patches with the signed hash that were not applied, because the repository
    /// does not have the executable that they start from.
    pub untried_patches: usize,
    /// The number of other manifests and blobs whose hash is their name.
    pub others: usize,
    /// What the user should know, and what expires soon.
    pub warnings: Vec<Notice>,
}

/// Verifies the current release of a channel: root, `VERSION` and manifest. Each stored form is
/// decoded to the signed executable.
///
/// # Errors
/// As for a client.
pub fn release(source: &Fetcher, root: &Roots, channel: &Name) -> Result<Report> {
    let raw = fetch(source, &Object::Version(channel.clone()), limits::VERSION_FILE)?;
    release_of(source, root, channel, raw.bytes())
}

/// As [`release`], for the publisher: also that no higher release is known. Records in the state
/// file what it has seen.
///
/// # Errors
/// As for a client; [`Failure::Refused`], which names a higher release.
pub fn channel(
    store: &dyn Store,
    anchor: &[u8],
    channel: &Name,
    state: Option<&StateFile>,
) -> Result<Report> {
    let source = store.source();
    let root = newest_root(&source, anchor)?;
    state.map_or(Ok(()), |state| state.ensure_root_not_lower(&root))?;
    let (listed, notice) = search(store, &root, channel, state)?;
    let raw = match fetch(&source, &Object::Version(channel.clone()), limits::VERSION_FILE) {
        Err(Failure::Client(relatch::Error::Unavailable(why))) if why.may_be_absent() => {
            ensure_highest(&root, channel, None, state, listed)?;
            return Err(Failure::Client(why.into()));
        }
        raw => raw?,
    };
    let current = read_release(&source, &root, channel, raw.bytes())?;
    ensure_highest(&root, channel, Some(&current.version), state, listed)?;
    let mut report = forms_of(&source, &root, &current)?;
    report.warnings.extend(expiring_root(&root));
    report.warnings.extend(state.and_then(StateFile::notice).into_iter().chain(notice));
    state.map_or(Ok(()), |state| state.record(&root, Some(&current.version)))?;
    Ok(report)
}

/// As [`release`], for a `VERSION` that was already read.
pub(crate) fn release_of(source: &Fetcher, root: &Roots, channel: &Name, raw: &[u8]) -> Result<Report> {
    forms_of(source, root, &read_release(source, root, channel, raw)?)
}

/// Decodes each stored form of a release.
fn forms_of(source: &Fetcher, root: &Roots, current: &Current) -> Result<Report> {
    let mut report = Report { root_version: root.version, channels: 1, ..Report::default() };
    report.warnings.extend(expiring_manifest(&current.manifest));
    let scratch = tempfile::tempdir().map_err(Failure::io("create a directory in", &std::env::temp_dir()))?;
    for artifact in &current.manifest.artifacts {
        refuse_no_usable_form(artifact)?;
        for stored in &artifact.stored {
            match check_form(scratch.path(), source, source, artifact, stored)? {
                true => report.forms += 1,
                false => report.untried_patches += 1,
            }
        }
    }
    Ok(report)
}

/// Verifies that a stored form in `from` decodes to the signed executable. False for a patch that
/// was not applied, because the executable that it starts from is not in the repository. Its hash
/// is then still verified.
pub(crate) fn check_form(
    scratch: &Path,
    from: &Fetcher,
    repository: &Fetcher,
    artifact: &Artifact,
    stored: &Stored,
) -> Result<bool> {
    retried(|| {
        let Some(prefix) = prefix_of(repository, stored)? else {
            return hash(from, &Object::Blob(stored.blake3), stored.size).map(|()| false);
        };
        install::check_stored(scratch, artifact, stored, &prefix, from)?;
        Ok(true)
    })
}

/// Verifies the stored forms in a folder before it is signed. A form that is not in the folder, and
/// a patch whose starting point is only in the repository, are verified when they are published.
pub(crate) fn check_folder(folder: &Path, manifest: &Manifest) -> Result<()> {
    let scratch = tempfile::tempdir().map_err(Failure::io("create a directory in", &std::env::temp_dir()))?;
    let source = Fetcher::new(Dir::new(folder));
    for artifact in &manifest.artifacts {
        refuse_no_usable_form(artifact)?;
        for stored in &artifact.stored {
            if folder.join(Object::Blob(stored.blake3).to_string()).exists() {
                check_form(scratch.path(), &source, &source, artifact, stored)?;
            }
        }
    }
    Ok(())
}

/// Refuses an artifact that has only patches: a first install requires a complete form.
pub(crate) fn refuse_no_usable_form(artifact: &Artifact) -> Result<()> {
    let is_whole = |stored: &Stored| {
        matches!(stored.known_encoding(), Some(Encoding::Identity | Encoding::Zstd)) && stored.from.is_none()
    };
    if artifact.stored.iter().any(is_whole) {
        return Ok(());
    }
    let offered: Vec<_> = artifact.stored.iter().map(|stored| stored.encoding.as_str()).collect();
    Err(Refusal::NoUsableForm { offered: offered.join(", ") }.into())
}

/// Verifies the root that tools contain, the current release of each channel, and the hash of each
/// other object. The manifest of an earlier release must also be signed by the keys of a root of
/// the chain, and no higher release than the current one may be known. Records in the state file
/// what it has seen.
///
/// # Errors
/// As for a client; [`Failure::Refused`], which names a higher release; the first error that is
/// found.
pub fn everything(store: &dyn Store, anchor: &[u8], state: Option<&StateFile>) -> Result<Report> {
    let source = store.source();
    let chain = root_chain(&source, anchor)?;
    let (Some(first), Some(newest)) = (chain.first(), chain.last()) else {
        return Err(Failure::usage("the chain of roots is empty"));
    };
    let document = fetch(&source, &Object::Root(first.version), limits::ROOT)?;
    if document.bytes() != TrustAnchor::document_of(anchor) {
        return Err(Failure::refused(
            format!("root {} in the repository differs from the one given with --root", first.version),
            "The object in the repository was changed, or --root is another root. Clients do not \
             read this object.",
        ));
    }
    let signatures = fetch(&source, &Object::RootSignatures(first.version), limits::SIGNATURES)?;
    TrustAnchor::new(anchor)?.ensure_signed_by_itself(&document, &signatures)?;
    let _ = newest.last(&strict_times())?;
    let mut report = Report { root_version: newest.version, ..Report::default() };
    report.warnings.extend(expiring_root(newest));
    if let Some(state) = state {
        state.ensure_root_not_lower(newest)?;
        report.warnings.extend(state.notice());
    }
    let mut published = BTreeMap::new();
    for channel in store.channels()? {
        let released = || {
            let raw = fetch(&source, &Object::Version(channel.clone()), limits::VERSION_FILE)?;
            let current = read_release(&source, newest, &channel, raw.bytes())?;
            Ok((forms_of(&source, newest, &current)?, current.version))
        };
        let (released, version) = released().map_err(|why: Failure| why.on(&channel))?;
        report.channels += 1;
        report.forms += released.forms;
        report.untried_patches += released.untried_patches;
        report.warnings.extend(released.warnings);
        published.insert(channel, version);
    }
    let mut highest: BTreeMap<Name, SignedManifest> = BTreeMap::new();
    let mut earlier = None;
    for object in store.list()? {
        check_name(&source, &object, u64::MAX - 1)?;
        if let Object::Manifest(digest) = &object {
            let (root, signed) = signed_once(&source, &chain, *digest)?;
            earlier = Some(signed.digest);
            let seq = signed.manifest.seq;
            let is_highest = |other: &SignedManifest| other.manifest.seq < seq;
            let channel = signed.manifest.channel.clone();
            if root == newest.version
                && signed.manifest.epoch == newest.epoch
                && highest.get(&channel).is_none_or(is_highest)
            {
                highest.insert(channel, signed);
            }
        }
        report.others += 1;
    }
    let seen = state.into_iter().flat_map(|state| state.channels(newest)).cloned();
    let channels: BTreeSet<Name> = seen.chain(highest.keys().cloned()).collect();
    for channel in channels {
        let listed = highest.remove(&channel);
        ensure_highest(newest, &channel, published.get(&channel).map(|version| &**version), state, listed)?;
    }
    if let (Some(manifest), 0) = (earlier, report.channels) {
        return Err(Failure::refused(
            format!("no channel has a VERSION, but manifest {manifest} shows that a release was published"),
            "An attacker removed VERSION, or the epoch was raised and no release followed. Publish a \
             release.",
        ));
    }
    if let Some(state) = state {
        state.record(newest, None)?;
        published.values().try_for_each(|version| state.record(newest, Some(version)))?;
    }
    Ok(report)
}

/// The manifest of a release, signed by a threshold of the keys of one root of the chain, and the
/// number of the newest such root.
pub(crate) fn signed_once(
    source: &Fetcher,
    chain: &[Roots],
    digest: Digest,
) -> Result<(u64, SignedManifest)> {
    let document = fetch(source, &Object::Manifest(digest), limits::MANIFEST)?;
    let object = Object::ManifestSignatures(digest);
    let signatures = fetch(source, &object, limits::SIGNATURES)?;
    for root in chain.iter().rev() {
        match root.ensure_threshold(DocumentKind::Manifest, &document, &signatures) {
            Ok(()) => {
                let manifest = Manifest::from_canonical(document.bytes())?;
                let signatures = signatures.bytes().to_vec();
                return Ok((root.version, SignedManifest { digest, manifest, signatures }));
            }
            Err(Refusal::Threshold { .. }) => {}
            Err(other) => return Err(other.into()),
        }
    }
    Err(Failure::refused(
        format!("{object} does not have enough signatures for any root of the chain"),
        "The object was changed. It belongs to an earlier release, and no client reads it.",
    ))
}

/// The executable that a patch starts from; empty for other forms, `None` if the repository does
/// not have it.
fn prefix_of(source: &Fetcher, stored: &Stored) -> Result<Option<Vec<u8>>> {
    let Some(from) = stored.from.filter(|_| stored.known_encoding() == Some(Encoding::ZstdPatch)) else {
        return Ok(Some(Vec::new()));
    };
    let object = Object::Blob(from);
    let mut stream = source.stream(&object, None)?;
    let mut bytes = Vec::new();
    match stream.by_ref().take(limits::PATCH_SIZE + 1).read_to_end(&mut bytes).map_err(io::Error::downcast) {
        Ok(_) => Ok((Digest::of(&bytes) == from).then_some(bytes)),
        Err(Ok(why)) => match Unavailable::may_be_absent(&why) {
            true => Ok(None),
            false => Err(Failure::Client(why.into())),
        },
        Err(Err(error)) => Err(Failure::io("read", std::path::Path::new(&object.to_string()))(error)),
    }
}

/// Verifies that an object exists and that its hash is its name.
pub(crate) fn check_name(source: &Fetcher, object: &Object, size: u64) -> Result<()> {
    retried(|| hash(source, object, size))
}

/// Tries again after a lost connection, 429 or 5xx, as often as every request to S3. A blob is
/// streamed, so that a fetch cannot do this below.
fn retried<T>(read: impl Fn() -> Result<T>) -> Result<T> {
    let mut pause = READ_BACKOFF;
    for _ in 1..S3_ATTEMPTS {
        match read() {
            Err(Failure::Client(relatch::Error::Unavailable(why))) if why.is_transient() => {
                std::thread::sleep(pause);
                pause *= 2;
            }
            result => return result,
        }
    }
    read()
}

fn hash(source: &Fetcher, object: &Object, size: u64) -> Result<()> {
    let expected = match object {
        Object::Blob(digest) | Object::Manifest(digest) => *digest,
        _ => return Ok(()),
    };
    let mut hasher = blake3::Hasher::new();
    let mut stream = source.stream(object, None)?;
    if let Err(error) = hasher.update_reader((&mut stream).take(size.saturating_add(1))) {
        return Err(match error.downcast::<Unavailable>() {
            Ok(why) => Failure::Client(why.into()),
            Err(error) => Failure::io("read", std::path::Path::new(&object.to_string()))(error),
        });
    }
    let found = Digest::from(hasher.finalize());
    if found != expected {
        return Err(Refusal::BlobDigest { object: object.clone(), expected, found }.into());
    }
    Ok(())
}
