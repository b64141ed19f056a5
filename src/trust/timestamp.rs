//! `VERSION`, the only mutable object: it names the current release, and expires soon, so that its
//! age is limited.

use serde::{Deserialize, Serialize};

use super::canonical::{self, Document, integer, sealed};
use super::fields::{Digest, Epoch, Name, Seq};
use super::{DocumentKind, Refusal, Verified, Version};
use crate::escape::Words;

/// `relatch-version/1` (SPEC section 3), the second line of the object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "relatch-version/1")]
pub struct Timestamp {
    /// The product.
    pub product: Name,
    /// The channel.
    pub channel: Name,
    /// The epoch of the root under which it is signed.
    pub epoch: Epoch,
    /// The number of the release.
    pub seq: Seq,
    /// The version of the release; equal to the object's first line.
    pub version: Version,
    /// The hash of the manifest, which is also its name in the repository.
    pub manifest: Digest,
    /// How many of 100 installations may install the release, from 0 to 100.
    pub rollout: u8,
    /// Unix seconds.
    #[serde(deserialize_with = "integer")]
    pub issued: u64,
    /// Unix seconds.
    #[serde(deserialize_with = "integer")]
    pub expires: u64,
}

impl sealed::Sealed for Timestamp {}

impl Document for Timestamp {
    const KIND: DocumentKind = DocumentKind::Timestamp;
    const TYPE: &'static str = "relatch-version/1";

    fn kind(&self) -> DocumentKind {
        DocumentKind::Timestamp
    }

    fn check(&self) -> Result<(), String> {
        if self.rollout > 100 {
            return Err(format!("`rollout` is {}, above 100", self.rollout));
        }
        if self.expires <= self.issued {
            return Err("`expires` is not after `issued`".into());
        }
        Ok(())
    }
}

impl Timestamp {
    /// The two signed lines, each with its newline: the version, for `head -1`, and the canonical
    /// object.
    pub fn to_signed(&self) -> Vec<u8> {
        let mut text = format!("{}\n", self.version).into_bytes();
        text.extend(self.to_canonical());
        text.push(b'\n');
        text
    }

    /// Splits the object into the signed bytes and the signature text after them. Neither is
    /// verified.
    ///
    /// # Errors
    /// [`Refusal::Malformed`].
    pub fn split(object: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
        let mut newlines = object.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(at, _)| at + 1);
        match newlines.nth(1).and_then(|end| object.split_at_checked(end)) {
            Some(parts) => Ok(parts),
            None => Err(malformed("it has fewer than two lines")),
        }
    }

    /// The document, **without verifying a signature**. No decision of a client depends on it.
    ///
    /// # Errors
    /// As in step 4d: [`Refusal::Malformed`], [`Refusal::UnknownType`], [`Refusal::OtherDocument`]
    /// and [`Refusal::VersionLineMismatch`].
    pub fn read_unverified(object: &[u8]) -> Result<Self, Refusal> {
        Timestamp::parse(Timestamp::split(object)?.0)
    }

    /// SPEC step 4d, after the threshold is met.
    pub(super) fn parse(signed: &[u8]) -> Result<Self, Refusal> {
        let text = std::str::from_utf8(signed).map_err(|_| malformed("it is not UTF-8"))?;
        let mut lines = text.split('\n');
        let (Some(line), Some(object)) = (lines.next(), lines.next()) else {
            return Err(malformed("it has fewer than two lines"));
        };
        let version: Timestamp = canonical::parse(DocumentKind::Timestamp, object.as_bytes())?;
        if line != version.version.to_string() {
            let line = Words(line).to_string();
            return Err(Refusal::VersionLineMismatch { line, object: version.version });
        }
        Ok(version)
    }
}

/// The newest `VERSION` that was accepted: an older one is refused (SPEC steps 4h, 4i).
///
/// The default is that of a client that has not accepted one yet. Only an accepted `VERSION` moves
/// it:
/// ```compile_fail,E0451
/// let guard = relatch::trust::RollbackGuard { epoch: 0, seq: 0, issued: 0, manifest: None };
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollbackGuard {
    /// 0 for none, as in the state on the disk (SPEC section 4).
    #[serde(deserialize_with = "integer")]
    epoch: u64,
    #[serde(deserialize_with = "integer")]
    seq: u64,
    #[serde(deserialize_with = "integer")]
    issued: u64,
    manifest: Option<Digest>,
}

impl RollbackGuard {
    /// The guard after this `VERSION` was accepted.
    pub fn after(version: &Verified<Timestamp>) -> Self {
        RollbackGuard {
            epoch: version.epoch.get(),
            seq: version.seq.get(),
            issued: version.issued,
            manifest: Some(version.manifest),
        }
    }

    /// The highest epoch of an accepted `VERSION`.
    pub fn epoch(&self) -> Option<Epoch> {
        Epoch::try_from(self.epoch).ok()
    }

    /// The highest epoch, and the highest `seq` in it.
    pub fn release(&self) -> Option<(Epoch, Seq)> {
        Some((self.epoch()?, Seq::try_from(self.seq).ok()?))
    }

    /// The latest `issued` of that release's `VERSION`, in Unix seconds; 0 for none, which is lower
    /// than all others.
    pub fn issued(&self) -> u64 {
        self.issued
    }

    /// The manifest of that release.
    pub fn manifest(&self) -> Option<Digest> {
        self.manifest
    }
}

fn malformed(why: impl Into<String>) -> Refusal {
    Refusal::Malformed { document: DocumentKind::Timestamp, why: why.into() }
}
