//! The manifest of one release: for each target, the hash of the executable and the forms in which
//! the repository stores it.

use serde::{Deserialize, Serialize};

use super::canonical::{Document, integer, is_set, sealed};
use super::fields::{Digest, Epoch, Name, Notes, Seq};
use super::{DocumentKind, Version};

/// `relatch-manifest/1` (SPEC section 3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "relatch-manifest/1")]
pub struct Manifest {
    /// The product.
    pub product: Name,
    /// The channel.
    pub channel: Name,
    /// The epoch of the root under which it is signed.
    pub epoch: Epoch,
    /// The lowest root version under which a client may accept this manifest.
    #[serde(deserialize_with = "integer")]
    pub root_version: u64,
    /// The number of the release.
    pub seq: Seq,
    /// The version of the executables.
    pub version: Version,
    /// Versions below this one may no longer be installed, nor restored by a rollback.
    pub min_version: Option<Version>,
    /// A critical release ignores the rollout. Under `Require`, a version that is kept by a hold
    /// may then no longer run.
    pub critical: bool,
    /// Versions that must not run. A client that has one of them installs `version`, even if it is
    /// lower. Sorted bytewise.
    pub retracts: Vec<Version>,
    /// Unix seconds.
    #[serde(deserialize_with = "integer")]
    pub issued: u64,
    /// Unix seconds.
    #[serde(deserialize_with = "integer")]
    pub expires: u64,
    /// The release notes.
    pub notes: Notes,
    /// One artifact for each target, sorted by target.
    pub artifacts: Vec<Artifact>,
}

/// The executable for one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// A Rust target triple, or any other name.
    pub target: Name,
    /// The size of the executable in bytes.
    #[serde(deserialize_with = "integer")]
    pub size: u64,
    /// The hash of the executable.
    pub blake3: Digest,
    /// The stored forms, sorted by encoding, then by `from`.
    pub stored: Vec<Stored>,
}

/// One form in which the repository stores an executable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// `identity`, `zstd` or `zstd-patch`. A client skips an unknown one.
    pub encoding: Name,
    /// For `zstd-patch`, the hash of the executable that the patch is applied to.
    pub from: Option<Digest>,
    /// The size of the blob in bytes.
    #[serde(deserialize_with = "integer")]
    pub size: u64,
    /// The hash of the blob, which is also its name in the repository.
    pub blake3: Digest,
}

/// The encodings that this program can decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// The executable itself.
    Identity,
    /// One zstd frame (RFC 8878).
    Zstd,
    /// One zstd frame with the executable `from` as its prefix, as `zstd --patch-from` creates it.
    ZstdPatch,
}

impl Encoding {
    /// The name in documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Encoding::Identity => "identity",
            Encoding::Zstd => "zstd",
            Encoding::ZstdPatch => "zstd-patch",
        }
    }
}

impl Stored {
    /// The encoding; `None` if this program does not know it.
    pub fn known_encoding(&self) -> Option<Encoding> {
        [Encoding::Identity, Encoding::Zstd, Encoding::ZstdPatch]
            .into_iter()
            .find(|encoding| encoding.as_str() == self.encoding.as_str())
    }
}

impl sealed::Sealed for Manifest {}

impl Document for Manifest {
    const KIND: DocumentKind = DocumentKind::Manifest;
    const TYPE: &'static str = "relatch-manifest/1";

    fn kind(&self) -> DocumentKind {
        DocumentKind::Manifest
    }

    fn check(&self) -> Result<(), String> {
        if self.root_version == 0 {
            return Err("`root_version` must be at least 1".into());
        }
        if self.expires <= self.issued {
            return Err("`expires` is not after `issued`".into());
        }
        if self.min_version.iter().chain(&self.retracts).any(|version| !version.same_scheme(&self.version)) {
            return Err("`min_version` and `retracts` must use the version scheme of `version`".into());
        }
        if self.min_version.as_ref().is_some_and(|min| min.compare(&self.version).is_ok_and(|o| o.is_gt())) {
            return Err("`min_version` is above `version`".into());
        }
        if !is_set(self.retracts.iter().map(Version::to_string)) {
            return Err("`retracts` is not sorted, or has a duplicate".into());
        }
        if self.retracts.contains(&self.version) {
            return Err("`retracts` names `version` itself".into());
        }
        if !is_set(self.artifacts.iter().map(|artifact| &artifact.target)) {
            return Err("`artifacts` is not sorted by `target`, or has a duplicate".into());
        }
        self.artifacts.iter().try_for_each(Artifact::check)
    }
}

impl Artifact {
    fn check(&self) -> Result<(), String> {
        let refuse = |why: &str| Err(format!("the artifact for {}: {why}", self.target));
        if self.size == 0 || self.stored.iter().any(|stored| stored.size == 0) {
            return refuse("a size must be at least 1");
        }
        if self.stored.is_empty() {
            return refuse("`stored` is empty");
        }
        if !is_set(self.stored.iter().map(|stored| (&stored.encoding, stored.from))) {
            return refuse("`stored` is not sorted by `encoding`, then `from`, or has a duplicate");
        }
        for stored in &self.stored {
            let encoding = stored.known_encoding();
            if stored.from.is_some() != (encoding == Some(Encoding::ZstdPatch)) && encoding.is_some() {
                return refuse("`from` must be set for `zstd-patch`, and only for it");
            }
            if encoding == Some(Encoding::Identity)
                && (stored.size, stored.blake3) != (self.size, self.blake3)
            {
                return refuse("the `identity` form must have the artifact's own size and hash");
            }
        }
        Ok(())
    }
}
