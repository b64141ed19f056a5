//! `VERSION`: the one mutable object, which release is current and that this is still true.

use crate::escape::Words;
use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::Refusal;
use super::canonical::{self, Document, integer, sealed};
use super::fields::{Digest, Epoch, Name, Seq};
use super::{DocumentKind, Fetched, Identity, Root, Times, Verified, Version, verified};

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
    /// The hash of the manifest's bytes, and with it where the manifest lies.
    pub manifest: Digest,
    /// How many of 100 installations take it, 0 to 100.
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
    /// The two lines that are signed, each ended by its newline: what `head -1` shows, and the canonical object.
    pub fn to_signed(&self) -> Vec<u8> {
        let mut text = format!("{}\n", self.version).into_bytes();
        text.extend(self.to_canonical());
        text.push(b'\n');
        text
    }

    /// Splits the object into its signed bytes and the signature text after them, without believing either.
    pub fn split(object: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
        let mut newlines = object.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(at, _)| at + 1);
        match newlines.nth(1).and_then(|end| object.split_at_checked(end)) {
            Some(parts) => Ok(parts),
            None => Err(malformed("it has fewer than two lines")),
        }
    }
}

/// What was seen before and is never gone below; all zero for a client that has seen nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollbackGuard {
    /// The highest epoch of a `VERSION`; 0 for none.
    #[serde(deserialize_with = "integer")]
    pub epoch: u64,
    /// The highest `seq` within that epoch.
    #[serde(deserialize_with = "integer")]
    pub seq: u64,
    /// The latest `issued` of that release's `VERSION`, in Unix seconds.
    #[serde(deserialize_with = "integer")]
    pub issued: u64,
    /// The manifest of that release.
    pub manifest: Option<Digest>,
}

impl Verified<Timestamp> {
    /// SPEC steps 4 and 5.
    pub fn check(
        object: &Fetched,
        root: &Verified<Root>,
        identity: &Identity,
        floors: &RollbackGuard,
        times: &Times,
    ) -> Result<Self, Refusal> {
        let document = DocumentKind::Timestamp;
        let (signed, signatures) = Timestamp::split(object.bytes())?; // 4a, bounded by its reader
        let signatures = verified::signatures(document, signatures)?; // 4b
        verified::threshold(document, root, signed, &signatures)?; // 4c
        let version = parse(signed)?; // 4d
        if version.product != identity.product {
            let expected = identity.product.clone();
            return Err(Refusal::WrongProduct { document, expected, found: version.product }); // 4e
        }
        if version.channel != identity.channel {
            let expected = identity.channel.clone();
            return Err(Refusal::WrongChannel { document, expected, found: version.channel }); // 4f
        }
        if version.epoch != root.epoch {
            return Err(Refusal::WrongEpoch { document, expected: root.epoch, found: version.epoch }); // 4g
        }
        check_not_older(&version, floors)?; // 4h, 4i
        times.check(document, version.issued, version.expires)?; // 5
        Ok(Verified::seal(version))
    }
}

fn malformed(why: impl Into<String>) -> Refusal {
    Refusal::Malformed { document: DocumentKind::Timestamp, why: why.into() }
}

/// SPEC step 4d, after the threshold is met.
fn parse(signed: &[u8]) -> Result<Timestamp, Refusal> {
    let text = std::str::from_utf8(signed).map_err(|_| malformed("it is not UTF-8"))?;
    let mut lines = text.split('\n');
    let (Some(line), Some(object)) = (lines.next(), lines.next()) else {
        return Err(malformed("it has fewer than two lines"));
    };
    let version: Timestamp = canonical::parse(DocumentKind::Timestamp, object.as_bytes())?;
    if line != version.version.to_string() {
        return Err(Refusal::VersionLineMismatch { line: Words(line).to_string(), object: version.version });
    }
    Ok(version)
}

/// SPEC steps 4h and 4i: (epoch, seq, issued) not lower than seen, and one manifest for one `seq`.
fn check_not_older(version: &Timestamp, floors: &RollbackGuard) -> Result<(), Refusal> {
    let Ok(epoch) = Epoch::try_from(floors.epoch) else { return Ok(()) };
    let Ok(seq) = Seq::try_from(floors.seq) else { return Ok(()) };
    match (version.epoch, version.seq).cmp(&(epoch, seq)) {
        Ordering::Greater => Ok(()),
        Ordering::Less => {
            Err(Refusal::Downgrade { epoch, seq, found_epoch: version.epoch, found_seq: version.seq })
        }
        Ordering::Equal => match floors.manifest {
            Some(seen) if seen != version.manifest => {
                Err(Refusal::Equivocation { seq, seen, found: version.manifest })
            }
            _ if version.issued < floors.issued => {
                Err(Refusal::OlderIssue { seq, seen: floors.issued, found: version.issued })
            }
            _ => Ok(()),
        },
    }
}
