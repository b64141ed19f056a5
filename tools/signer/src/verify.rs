//! Verifies a whole repository, with the client's own code.

use std::io::{self, Read};
use std::path::Path;

use relatch::source::{Dir, Fetcher, Object};
use relatch::trust::{
    Artifact, Digest, Document, DocumentKind, Encoding, Manifest, Name, Refusal, Roots, Stored, TrustAnchor,
};
use relatch::{Unavailable, install, limits};

use crate::repository::{fetch, read_release, root_chain};
use crate::store::Store;
use crate::{Failure, Result};

/// The result of a verification.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The number of the newest root.
    pub root: u64,
    /// The number of channels whose current release was verified.
    pub channels: usize,
    /// The number of stored forms of current releases that were decoded to the signed executable.
    pub forms: usize,
    /// The number of patches with the signed hash that were not applied, because the repository
    /// does not have the executable that they start from.
    pub untried_patches: usize,
    /// The number of other manifests and blobs whose hash is their name.
    pub others: usize,
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

/// As [`release`], for a `VERSION` that was already read.
pub(crate) fn release_of(source: &Fetcher, root: &Roots, channel: &Name, raw: &[u8]) -> Result<Report> {
    let current = read_release(source, root, channel, raw)?;
    let mut report = Report { root: root.version, ..Report::default() };
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
    let Some(prefix) = prefix_of(repository, stored)? else {
        return check_name(from, &Object::Blob(stored.blake3), stored.size).map(|()| false);
    };
    install::check_stored(scratch, artifact, stored, &prefix, from)?;
    Ok(true)
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
/// the chain.
///
/// # Errors
/// As for a client; the first error that is found.
pub fn everything(store: &dyn Store, anchor: &[u8]) -> Result<Report> {
    let source = store.source();
    let chain = root_chain(&source, anchor)?;
    let (Some(first), Some(newest)) = (chain.first(), chain.last()) else {
        return Err(Failure::usage("the chain of roots is empty"));
    };
    let document = fetch(&source, &Object::Root(first.version), limits::ROOT)?;
    if document.bytes() != anchor {
        return Err(Failure::refused(
            format!("root {} in the repository differs from the one given with --root", first.version),
            "The object in the repository was changed, or --root is another root. Clients do not \
             read this object.",
        ));
    }
    let signatures = fetch(&source, &Object::RootSignatures(first.version), limits::SIGNATURES)?;
    TrustAnchor::new(anchor)?.ensure_signed_by_itself(&document, &signatures)?;
    let mut report = Report { root: newest.version, ..Report::default() };
    for channel in store.channels()? {
        let released = release(&source, newest, &channel).map_err(|why| why.on(&channel))?;
        report.channels += 1;
        report.forms += released.forms;
        report.untried_patches += released.untried_patches;
    }
    for object in store.list()? {
        check_name(&source, &object, u64::MAX - 1)?;
        if let Object::Manifest(digest) = &object {
            check_signed_once(&source, &chain, *digest)?;
        }
        report.others += 1;
    }
    Ok(report)
}

/// Verifies that the manifest of an earlier release is signed by a threshold of the keys of one
/// root of the chain.
fn check_signed_once(source: &Fetcher, chain: &[Roots], digest: Digest) -> Result<()> {
    let manifest = fetch(source, &Object::Manifest(digest), limits::MANIFEST)?;
    let object = Object::ManifestSignatures(digest);
    let signatures = fetch(source, &object, limits::SIGNATURES)?;
    for root in chain.iter().rev() {
        match root.ensure_threshold(DocumentKind::Manifest, &manifest, &signatures) {
            Ok(()) => return Ok(()),
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

/// The artifacts of a manifest, one line each, for display.
pub fn describe(manifest: &Manifest) -> String {
    let line = |artifact: &Artifact| {
        let forms: Vec<String> = artifact
            .stored
            .iter()
            .map(|stored| format!("{} {}", stored.encoding, bytes(stored.size)))
            .collect();
        format!("    {:<28} {}  ({})\n", artifact.target.as_str(), artifact.blake3, forms.join(", "))
    };
    let lines: String = manifest.artifacts.iter().map(line).collect();
    let digest = Digest::of(&manifest.to_canonical());
    format!("  manifest {digest}\n  executables\n{}", lines.trim_end_matches('\n'))
}

fn bytes(count: u64) -> String {
    match count {
        0..=9_999 => format!("{count} B"),
        10_000..=9_999_999 => format!("{} kB", count / 1_000),
        _ => format!("{} MB", count / 1_000_000),
    }
}
