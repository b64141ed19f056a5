//! What was accepted, by trust domain, epoch and channel (SPEC section 4.3). The order of releases, and
//! the lowest version, never fall.
//!
//! The fields are private. Each event that changes them has its own function here. The other
//! functions change nothing.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::limits;
use crate::trust::{
    Digest, Epoch, Lineage, Manifest, Name, RollbackGuard, Root, Seq, Timestamp, Verified, Version, integer,
};
use crate::unknown::Unknown;

/// What is remembered of one trust domain: its roots, and what was accepted under them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Domain {
    /// The hash of the root with which it began here.
    id: Digest,
    lineage: Lineage,
    /// The epoch of the newest root.
    epoch: Epoch,
    /// The lowest epoch first.
    epochs: Vec<EpochFloors>,
    #[serde(flatten)]
    unknown: Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct EpochFloors {
    epoch: Epoch,
    channels: Vec<Floor>,
    #[serde(flatten)]
    unknown: Unknown,
}

/// The newest release that was accepted on one channel in one epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Floor {
    channel: Name,
    seq: Seq,
    /// The latest `issued` of a `VERSION` of this release, in Unix seconds.
    #[serde(deserialize_with = "integer")]
    issued: u64,
    manifest: Digest,
    /// When that `VERSION` expires, in Unix seconds.
    #[serde(deserialize_with = "integer")]
    expires: u64,
    /// When the manifest expires, in Unix seconds.
    #[serde(deserialize_with = "integer")]
    manifest_expires: u64,
    critical: bool,
    /// The lowest version that this channel allows.
    min_version: Option<Version>,
    /// Versions that the publisher withdrew, the latest one last.
    retracted: Vec<Version>,
    #[serde(flatten)]
    unknown: Unknown,
}

impl Floor {
    /// When the first of `VERSION` and manifest expires, in Unix seconds.
    pub(crate) fn expires(&self) -> u64 {
        self.expires.min(self.manifest_expires)
    }

    /// When `VERSION` expires, in Unix seconds.
    pub(crate) fn version_expires(&self) -> u64 {
        self.expires
    }

    /// When the manifest expires, in Unix seconds.
    pub(crate) fn manifest_expires(&self) -> u64 {
        self.manifest_expires
    }

    /// The latest `issued` of its `VERSION`, in Unix seconds.
    pub(crate) fn issued(&self) -> u64 {
        self.issued
    }

    /// Whether the release is critical.
    pub(crate) fn is_critical(&self) -> bool {
        self.critical
    }

    /// Whether the publisher withdrew this version.
    pub(crate) fn is_retracted(&self, version: &Version) -> bool {
        self.retracted.contains(version)
    }

    /// The lowest version that this channel allows.
    pub(crate) fn min_version(&self) -> Option<&Version> {
        self.min_version.as_ref()
    }

    fn is_in_range(&self) -> bool {
        self.retracted.len() <= limits::RETRACTED
    }
}

impl Domain {
    /// The domain that begins with this root, about which nothing else is known.
    pub(crate) fn beginning_with(root: &Root) -> Self {
        Domain {
            id: root.digest(),
            lineage: Lineage::beginning_with(root),
            epoch: root.epoch,
            epochs: Vec::new(),
            unknown: Unknown::default(),
        }
    }

    /// That of a client that has accepted this `VERSION`. Its manifest may not verify any more.
    #[cfg(feature = "publisher")]
    pub(super) fn of_published(root: &Root, version: &Verified<Timestamp>) -> Self {
        let floor = Floor {
            channel: version.channel.clone(),
            seq: version.seq,
            issued: version.issued,
            manifest: version.manifest,
            expires: version.expires,
            manifest_expires: version.expires,
            critical: false,
            min_version: None,
            retracted: Vec::new(),
            unknown: Unknown::default(),
        };
        let (epoch, channels) = (version.epoch, vec![floor]);
        let epochs = vec![EpochFloors { epoch, channels, unknown: Unknown::default() }];
        Domain { epochs, ..Domain::beginning_with(root) }
    }

    /// Its name: the hash of the root with which it began here.
    pub fn id(&self) -> Digest {
        self.id
    }

    /// Its roots.
    pub fn lineage(&self) -> &Lineage {
        &self.lineage
    }

    /// The epoch of the newest root.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The floor of a channel in the highest epoch that has one, and that epoch.
    pub(crate) fn floor(&self, channel: &Name) -> Option<(Epoch, &Floor)> {
        self.epochs.iter().rev().find_map(|floors| {
            let floor = floors.channels.iter().find(|floor| floor.channel == *channel)?;
            Some((floors.epoch, floor))
        })
    }

    /// The newest release that was accepted on a channel.
    pub(crate) fn guard(&self, channel: &Name) -> RollbackGuard {
        self.floor(channel).map_or_else(RollbackGuard::default, |(epoch, floor)| {
            RollbackGuard::recorded(epoch, floor.seq, floor.issued, floor.manifest)
        })
    }

    /// The highest lowest version of all channels of the trusted epoch that compares with `version`:
    /// nothing below it comes back by a rollback.
    pub(crate) fn highest_min_version(&self, version: &Version) -> Option<&Version> {
        let comparable = |min: &&Version| min.same_scheme(version);
        let order = |a: &&Version, b: &&Version| a.compare(b).unwrap_or(Ordering::Equal);
        self.trusted_floors().filter_map(Floor::min_version).filter(comparable).max_by(order)
    }

    /// Whether the publisher withdrew this version, on any channel of the trusted epoch.
    pub(crate) fn is_retracted(&self, version: &Version) -> bool {
        self.trusted_floors().any(|floor| floor.is_retracted(version))
    }

    fn trusted_floors(&self) -> impl Iterator<Item = &Floor> {
        let trusted = self.epochs.iter().filter(|floors| floors.epoch == self.epoch);
        trusted.flat_map(|floors| &floors.channels)
    }

    /// The state on the disk is input.
    pub(crate) fn is_in_range(&self) -> bool {
        let ascends = |pair: &[EpochFloors]| matches!(pair, [a, b] if a.epoch < b.epoch);
        let is_single = |floors: &EpochFloors| {
            let names: Vec<_> = floors.channels.iter().map(|floor| &floor.channel).collect();
            !names.iter().enumerate().any(|(at, name)| names.iter().skip(at + 1).any(|other| other == name))
        };
        self.epochs.windows(2).all(ascends)
            && self.epochs.iter().all(|floors| floors.channels.len() <= limits::CHANNELS && is_single(floors))
            && self.epochs.iter().flat_map(|floors| &floors.channels).all(Floor::is_in_range)
    }

    // Events.

    /// A root was verified as the one after the newest.
    pub(super) fn root_verified(&mut self, root: &Root) {
        self.lineage.append(root);
        self.epoch = self.epoch.max(root.epoch);
    }

    /// These roots were verified to lead to the first one of the lineage.
    pub(super) fn connected(&mut self, older: Lineage) {
        self.lineage.prepend(older);
    }

    /// Two records of one domain become one: nothing is lower than in either.
    #[must_use]
    pub(crate) fn raised_to(mut self, other: &Domain) -> Self {
        self.lineage = self.lineage.joined(&other.lineage).unwrap_or(self.lineage);
        self.epoch = self.epoch.max(other.epoch);
        for theirs in &other.epochs {
            match self.epochs.iter_mut().find(|ours| ours.epoch == theirs.epoch) {
                Some(ours) => theirs.channels.iter().for_each(|floor| ours.raise_to(floor)),
                None => self.epochs.push(theirs.clone()),
            }
        }
        self.epochs.sort_by_key(|floors| floors.epoch);
        self
    }

    /// SPEC step 7: a `VERSION` and its manifest were accepted.
    pub(super) fn accepted(&mut self, version: &Verified<Timestamp>, manifest: &Verified<Manifest>) {
        let epoch = version.epoch;
        let at = match self.epochs.binary_search_by_key(&epoch, |floors| floors.epoch) {
            Ok(at) => at,
            Err(at) => {
                let new = EpochFloors { epoch, channels: Vec::new(), unknown: Unknown::default() };
                self.epochs.insert(at, new);
                at
            }
        };
        let Some(floors) = self.epochs.get_mut(at) else { return };
        let place = floors.channels.iter().position(|floor| floor.channel == version.channel);
        let old = place.map(|place| floors.channels.remove(place));
        floors.channels.insert(0, Floor::after(version, manifest, old));
        // A tool follows few channels. What is dropped is the floor that was not used for longest.
        floors.channels.truncate(limits::CHANNELS);
    }

    /// A `VERSION` was accepted whose manifest had been accepted before.
    pub(super) fn refreshed(&mut self, version: &Verified<Timestamp>) {
        let floors = self.epochs.iter_mut().find(|floors| floors.epoch == version.epoch);
        let floor = floors
            .and_then(|floors| floors.channels.iter_mut().find(|floor| floor.channel == version.channel));
        if let Some(floor) = floor {
            floor.issued = floor.issued.max(version.issued);
            floor.expires = version.expires;
        }
    }
}

impl EpochFloors {
    fn raise_to(&mut self, other: &Floor) {
        let Some(place) = self.channels.iter().position(|floor| floor.channel == other.channel) else {
            self.channels.push(other.clone());
            self.channels.truncate(limits::CHANNELS);
            return;
        };
        let ours = self.channels.remove(place);
        let is_lower = (ours.seq, ours.issued) < (other.seq, other.issued);
        let (mut higher, lower) = if is_lower { (other.clone(), &ours) } else { (ours.clone(), other) };
        higher.min_version = higher_version(lower.min_version.clone(), higher.min_version);
        self.channels.insert(place, higher);
    }
}

/// The higher of two lowest versions; the new one if they do not compare.
fn higher_version(old: Option<Version>, new: Option<Version>) -> Option<Version> {
    match (old, new) {
        (Some(old), Some(new)) if new.compare(&old).is_ok_and(Ordering::is_lt) => Some(old),
        (old, new) => new.or(old),
    }
}

impl Floor {
    fn after(version: &Verified<Timestamp>, manifest: &Verified<Manifest>, old: Option<Floor>) -> Self {
        let (min, mut retracted, unknown) = match old {
            Some(old) => (old.min_version, old.retracted, old.unknown),
            None => (None, Vec::new(), Unknown::default()),
        };
        retracted.retain(|known| !manifest.retracts.contains(known) && *known != manifest.version);
        retracted.extend(manifest.retracts.iter().cloned());
        let forgotten = retracted.len().saturating_sub(limits::RETRACTED);
        Floor {
            channel: version.channel.clone(),
            seq: version.seq,
            issued: version.issued,
            manifest: version.manifest,
            expires: version.expires,
            manifest_expires: manifest.expires,
            critical: manifest.critical,
            min_version: higher_version(min, manifest.min_version.clone()),
            retracted: retracted.split_off(forgotten),
            unknown,
        }
    }
}

#[cfg(test)]
impl Domain {
    /// A domain with one accepted release.
    pub(super) fn with_min_version(channel: Name, min_version: Option<Version>) -> Self {
        let (epoch, zero) = (Epoch::FIRST, Digest::of(b""));
        let floor = Floor {
            channel,
            seq: Seq::FIRST,
            issued: 1,
            manifest: zero,
            expires: 2,
            manifest_expires: 2,
            critical: false,
            min_version,
            retracted: Vec::new(),
            unknown: Unknown::default(),
        };
        let epochs = vec![EpochFloors { epoch, channels: vec![floor], unknown: Unknown::default() }];
        let lineage = serde_json::from_value(serde_json::json!({"first": 1, "hashes": [zero]})).unwrap();
        Domain { id: zero, lineage, epoch, epochs, unknown: Unknown::default() }
    }
}
