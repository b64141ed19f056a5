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
/// ```compile_fail,E0423
/// let guard = relatch::trust::RollbackGuard(None);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RollbackGuard(Option<Accepted>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Accepted {
    epoch: Epoch,
    seq: Seq,
    issued: u64,
    manifest: Digest,
}

impl RollbackGuard {
    /// The guard after this `VERSION` was accepted.
    pub fn after(version: &Verified<Timestamp>) -> Self {
        RollbackGuard::recorded(version.epoch, version.seq, version.issued, version.manifest)
    }

    /// A guard that was recorded.
    pub(crate) fn recorded(epoch: Epoch, seq: Seq, issued: u64, manifest: Digest) -> Self {
        RollbackGuard(Some(Accepted { epoch, seq, issued, manifest }))
    }

    /// The highest epoch, and the highest `seq` in it.
    pub fn release(&self) -> Option<(Epoch, Seq)> {
        self.0.as_ref().map(|accepted| (accepted.epoch, accepted.seq))
    }

    /// The latest `issued` of that release's `VERSION`, in Unix seconds.
    pub fn issued(&self) -> Option<u64> {
        self.0.as_ref().map(|accepted| accepted.issued)
    }

    /// The latest `issued` that counts under a root of this epoch, in Unix seconds. A stolen key may have
    /// signed one in the far future; the epoch that revokes the key also ends that.
    pub fn issued_in(&self, epoch: Epoch) -> Option<u64> {
        self.0.as_ref().filter(|accepted| accepted.epoch == epoch).map(|accepted| accepted.issued)
    }

    /// The manifest of that release.
    pub fn manifest(&self) -> Option<Digest> {
        self.0.as_ref().map(|accepted| accepted.manifest)
    }
}

fn malformed(why: impl Into<String>) -> Refusal {
    Refusal::Malformed { document: DocumentKind::Timestamp, why: why.into() }
}
