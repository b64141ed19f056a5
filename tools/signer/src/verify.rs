//! A whole repository, by the client's own code.

use std::io::Read;

use relatch::source::{Bounded, Object};
use relatch::trust::{Artifact, Digest, Document, Encoding, Manifest, Name, Root, Stored, Verified};
use relatch::{install, limits};

use crate::repository::{fetch, newest_root, read_release, strict_times};
use crate::store::Store;
use crate::{Failure, Result};

/// What was verified.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The number of the newest root.
    pub root: u64,
    /// Stored forms of the current release that were decoded to the signed executable.
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
pub fn release(store: &dyn Store, root: &Verified<Root>, channel: &Name) -> Result<Report> {
    let source = store.source();
    let times = strict_times();
    root.check_unexpired(&times)?;
    let object = Object::VersionFile(channel.clone());
    let raw = fetch(&source, &object, limits::VERSION_FILE)?;
    let current = read_release(&source, root, channel, raw.bytes(), &times)?;
    let mut report = Report { root: root.version, ..Report::default() };
    let scratch = tempfile::tempdir().map_err(Failure::io("create a directory in", &std::env::temp_dir()))?;
    for artifact in &current.manifest.artifacts {
        for stored in &artifact.stored {
            let prefix = match prefix_of(store, &source, stored)? {
                Some(prefix) => prefix,
                None => {
                    check_name(&source, &Object::Blob(stored.blake3), stored.size)?;
                    report.untried_patches += 1;
                    continue;
                }
            };
            install::check_stored(scratch.path(), artifact, stored, &prefix, &source)?;
            report.forms += 1;
        }
    }
    Ok(report)
}

/// The current release, and that every other manifest and blob is what its name says.
///
/// # Errors
/// As for a client; the first thing that is wrong.
pub fn everything(store: &dyn Store, anchor: &[u8], channel: &Name) -> Result<Report> {
    let source = store.source();
    let root = newest_root(&source, anchor)?;
    let mut report = release(store, &root, channel)?;
    for object in store.list()? {
        check_name(&source, &object, u64::MAX - 1)?;
        report.others += 1;
    }
    Ok(report)
}

/// The executable that a patch needs, from the repository; empty for what is no patch, `None` where it is not there.
fn prefix_of(store: &dyn Store, source: &Bounded, stored: &Stored) -> Result<Option<Vec<u8>>> {
    let Some(from) = stored.from.filter(|_| stored.known_encoding() == Some(Encoding::ZstdPatch)) else {
        return Ok(Some(Vec::new()));
    };
    if !store.list()?.contains(&Object::Blob(from)) {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    let stream = source.stream(&Object::Blob(from), None)?;
    let object = Object::Blob(from);
    let read = stream.take(limits::PATCH_SIZE + 1).read_to_end(&mut bytes);
    read.map_err(|error| Failure::io("read", std::path::Path::new(&object.to_string()))(error))?;
    Ok((Digest::of(&bytes) == from).then_some(bytes))
}

/// Whether an object's bytes have the hash that its name is.
fn check_name(source: &Bounded, object: &Object, size: u64) -> Result<()> {
    let expected = match object {
        Object::Blob(digest) | Object::Manifest(digest) => *digest,
        _ => return Ok(()),
    };
    let mut hasher = blake3::Hasher::new();
    let stream = source.stream(object, None)?.take(size.saturating_add(1));
    hasher
        .update_reader(stream)
        .map_err(|error| Failure::io("read", std::path::Path::new(&object.to_string()))(error))?;
    let found = Digest::from(hasher.finalize());
    if found != expected {
        return Err(relatch::Refusal::BlobDigest { object: object.clone(), expected, found }.into());
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
