//! A release folder: prepared on one machine, signed on several, published from another. Nothing in
//! it is secret.
//!
//! ```text
//! manifest.json  manifest.json.minisig   the manifest, and the signatures of the release keys
//! VERSION                                two lines, and the signatures of the timestamp keys
//! root.json                              the newest root, which names the keys that must sign
//! blobs/<blake3>                         the blobs to upload; empty for a refresh or a renewal
//! ```
//! ```text
//! artifact  an executable, stored as blobs
//! prepare   a new release, or a refresh or a renewal of the published one
//! sign      signatures, and the checks before them
//! ```

mod artifact;
mod prepare;
mod sign;

use std::fs;
use std::path::{Path, PathBuf};

use relatch::trust::{
    Digest, Document, Manifest, Name, Notes, PublicKey, Refusal, Role, Root, Seq, Timestamp, Version,
};
use relatch::{Printable, limits};

use crate::{Failure, Result};

/// The properties of a new release.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Its version.
    pub version: Version,
    /// The channel.
    pub channel: Name,
    /// Executables by target.
    pub artifacts: Vec<(Name, PathBuf)>,
    /// For people.
    pub notes: Notes,
    /// Passes the rollout.
    pub critical: bool,
    /// The lowest version that clients may still install or roll back to.
    pub min_version: Option<Version>,
    /// Versions that must not run.
    pub retracts: Vec<Version>,
    /// How many of 100 installations take it.
    pub rollout: u8,
    /// How long the manifest is valid, in seconds.
    pub valid: u64,
    /// How long `VERSION` is valid, in seconds.
    pub version_valid: u64,
    /// The zstd level, 1 to 22.
    pub level: i32,
    /// Whether to make patches from the published release.
    pub patches: bool,
    /// Whether targets of the published release may be missing.
    pub drop_targets: bool,
    /// The sequence number, if the published `VERSION` is lost.
    pub seq: Option<Seq>,
}

/// Whether a `VERSION` that has expired may be refreshed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpiredVersion {
    /// It may not: it can be an old one that an attacker put back.
    Refused,
    /// It may: a person has compared it with what was published last.
    Revived,
}

/// A release folder.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
}

/// The signatures of one document.
#[derive(Debug, Clone)]
pub struct SignatureStatus {
    /// The role that must sign it.
    pub role: Role,
    /// The keys that have signed it.
    pub by: Vec<PublicKey>,
    /// How many keys must sign it.
    pub needed: u32,
}

impl SignatureStatus {
    /// Whether the threshold is met.
    pub fn meets_threshold(&self) -> bool {
        self.by.len() >= self.needed as usize
    }
}

const MANIFEST: &str = "manifest.json";
const SIGNATURES: &str = "manifest.json.minisig";
const VERSION: &str = "VERSION";
const ROOT: &str = "root.json";

impl Folder {
    /// Opens a folder that was prepared before.
    ///
    /// # Errors
    /// [`Failure::Client`] if it has no `VERSION`.
    pub fn open(path: &Path) -> Result<Self> {
        let folder = Folder { path: path.into() };
        if !path.join(VERSION).is_file() {
            return Err(Failure::usage(format!(
                "{} is not a release folder: it has no VERSION",
                Printable(path.display())
            )));
        }
        Ok(folder)
    }

    /// The manifest, not verified.
    ///
    /// # Errors
    /// If it cannot be read, is too large, or is not a manifest.
    pub fn manifest(&self) -> Result<Manifest> {
        Ok(Manifest::from_canonical(&self.read(MANIFEST, limits::MANIFEST)?)?)
    }

    /// `VERSION`, not verified.
    ///
    /// # Errors
    /// If it cannot be read, is too large, is malformed, or its first line differs from the signed
    /// version.
    pub fn version(&self) -> Result<Timestamp> {
        let object = self.read(VERSION, limits::VERSION_FILE)?;
        match Timestamp::read_unverified(&object) {
            Err(Refusal::VersionLineMismatch { .. }) => Err(Failure::refused(
                "the first line of VERSION is not the version in its second line",
                "Prepare the release again.",
            )),
            version => Ok(version?),
        }
    }

    /// The root that the folder was prepared under, not verified. Publishing uses the newest root
    /// that follows from the anchor instead.
    ///
    /// # Errors
    /// If it cannot be read, is too large, or is not a root.
    pub fn root(&self) -> Result<Root> {
        let root = Root::from_canonical(&self.read(ROOT, limits::ROOT)?)?;
        root.ensure_strong_keys()?;
        Ok(root)
    }

    /// The signatures of the manifest so far; empty if there are none.
    fn signatures(&self) -> Result<Vec<u8>> {
        if self.path.join(SIGNATURES).exists() {
            self.read(SIGNATURES, limits::SIGNATURES)
        } else {
            Ok(Vec::new())
        }
    }

    /// The bytes to publish: the manifest, its signatures, `VERSION`.
    ///
    /// # Errors
    /// If one of them cannot be read or is too large.
    pub fn documents(&self) -> Result<(Vec<u8>, Vec<u8>, Vec<u8>)> {
        let signatures = self.read(SIGNATURES, limits::SIGNATURES)?;
        Ok((self.read(MANIFEST, limits::MANIFEST)?, signatures, self.read(VERSION, limits::VERSION_FILE)?))
    }

    /// The path of a blob in this folder.
    pub fn blob(&self, digest: &Digest) -> PathBuf {
        self.path.join("blobs").join(digest.to_string())
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn read(&self, name: &str, limit: limits::ByteLimit) -> Result<Vec<u8>> {
        crate::files::read_limited(&self.path.join(name), limit)
    }

    fn write(&self, name: &str, content: &[u8]) -> Result<()> {
        let path = self.path.join(name);
        fs::write(&path, content).map_err(Failure::io("write", &path))
    }
}
