//! A whole repository, by the client's own code.

use std::io::{self, Read};
use std::path::Path;

use relatch::check::Memory;
use relatch::source::{Dir, Fetcher, Object};
use relatch::trust::{
    Artifact, Digest, Document, DocumentKind, Encoding, Manifest, Name, Refusal, Roots, Stored, TrustAnchor,
};
use relatch::{Unavailable, install, limits};

use crate::repository::{fetch, read_release, root_chain};
use crate::store::Store;
use crate::{Failure, Result};

/// What was verified.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The number of the newest root.
    pub root: u64,
    /// Channels whose current release was verified.
    pub channels: usize,
    /// Stored forms of current releases that were decoded to the signed executable.
    pub forms: usize,
    /// Patches whose bytes are right, but whose starting point is not in the repository to try them.
    pub untried_patches: usize,
    /// Other manifests and blobs whose bytes are what their name says.
    pub others: usize,
}

/// The current release of a channel: root, `VERSION`, manifest, and every stored form decoded to the signed executable.
///
/// # Errors
/// As for a client.
pub fn release(source: &Fetcher, root: &Roots, channel: &Name) -> Result<Report> {
    let raw = fetch(source, &Object::Version(channel.clone()), limits::VERSION_FILE)?;
    release_of(source, root, channel, raw.bytes())
}

/// The same of a `VERSION` that was read already.
pub(crate) fn release_of(source: &Fetcher, root: &Roots, channel: &Name, raw: &[u8]) -> Result<Report> {
    let current = read_release(source, root, channel, raw, Memory::new(0))?;
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

/// Whether a stored form in `from` gives the signed executable. False for a patch that could not be tried, because the executable that it
/// starts from is not in the repository; its bytes are those that are signed.
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

/// The stored forms that lie in a folder, before it is signed. What does not lie there, or starts from what is only in the repository, is
/// looked at where it is published.
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

/// Whoever installs it for the first time must find a form that starts from nothing.
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

/// The root that tools carry, the current release of every channel, and that every other object is what its name says; manifests of
/// earlier releases also by the keys of some root of the chain.
///
/// # Errors
/// As for a client; the first thing that is wrong.
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
            "Clients do not read it; but somebody changed it, or --root is another one.",
        ));
    }
    let signatures = fetch(&source, &Object::RootSignatures(first.version), limits::SIGNATURES)?;
    TrustAnchor::new(anchor)?.ensure_signed_by_itself(&document, &signatures)?;
    let mut report = Report { root: newest.version, ..Report::default() };
    for channel in store.channels()? {
        let released = release(&source, newest, &channel)?;
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

/// A manifest of some earlier release: signed as some root of the chain wants it.
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
        format!("{object} is signed by too few release keys of every root"),
        "Somebody changed it; it belongs to an earlier release, and no client reads it.",
    ))
}

/// The executable that a patch needs, from the repository; empty for what is no patch, `None` where it is not there.
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

/// Whether an object is there, with the hash that its name is.
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

/// The artifacts of a manifest, a line each, for people.
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
