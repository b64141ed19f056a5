//! What checks remember: the newest root, the rollback guard, and the result of the last check.
//!
//! The fields are private. Each event that changes them has its own function here. The other
//! functions change nothing.

use serde::{Deserialize, Serialize};

use super::Finding;
use crate::limits;
use crate::source::Etag;
use crate::trust::{Digest, Epoch, Manifest, RollbackGuard, Root, Timestamp, Verified, Version, integer};

/// What the checks of one installation remember on one channel (SPEC section 4).
///
/// The rollback guard moves by a check alone:
/// ```compile_fail,E0624
/// use relatch::trust::{Manifest, Timestamp, Verified};
/// fn forge(memory: &mut relatch::check::Memory, version: &Verified<Timestamp>, manifest: &Verified<Manifest>) {
///     memory.accepted(version, manifest);
/// }
/// ```
/// No field can be written from outside:
/// ```compile_fail,E0616
/// fn forge(memory: &mut relatch::check::Memory) {
///     memory.trusted = todo!();
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    trusted: Trusted,
    last_check: LastCheck,
}

/// What was trusted, as stored in the state on the disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Trusted {
    /// The number of the newest trusted root; 0 if none was recorded and the tool's own root
    /// applies.
    pub(crate) root_version: u64,
    /// The epoch of that root; 0 for none.
    pub(crate) root_epoch: u64,
    pub(crate) guard: RollbackGuard,
    /// When the `VERSION` of the guard expires, in Unix seconds; 0 for none.
    pub(crate) expires: u64,
    pub(crate) validator: Option<CacheValidator>,
    /// Whether that release is critical.
    pub(crate) critical: bool,
    /// The lowest version that may be installed, or restored by a rollback.
    pub(crate) min_version: Option<Version>,
}

/// The result of the last check, as stored in the state on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LastCheck {
    /// The manifest of a release that failed its probe on this machine. The start-up check does not
    /// download it again.
    pub(crate) failed_probe: Option<Digest>,
    pub(crate) finding: Finding,
    /// The version that the finding is about. A different version may be installed by now.
    pub(crate) checked_version: Option<Version>,
    /// This installation's place in staged rollouts, 0 to 99, drawn once.
    pub(crate) rollout: u8,
    /// When a check last succeeded, by the system clock in Unix seconds; 0 for never. It only
    /// determines when to check again.
    pub(crate) checked: u64,
    /// When a check or an update last failed, if none succeeded since; the same clock.
    pub(crate) failed: u64,
    /// When the repository last had no newer root; the same clock.
    pub(crate) root_checked: u64,
}

/// The entity tag of the last accepted `VERSION`, for a conditional request (RFC 9110 section 13).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CacheValidator {
    /// The hash of the repository's address. The tag is not valid for another address.
    pub(super) location: Digest,
    pub(super) etag: Etag,
    /// When the first of the documents that were verified with this `VERSION` expires, in Unix
    /// seconds.
    #[serde(deserialize_with = "integer")]
    pub(super) until: u64,
}

impl Memory {
    /// The memory before the first check. `rollout` is the installation's place in staged rollouts,
    /// 0 to 99.
    pub fn new(rollout: u8) -> Self {
        let last_check = LastCheck {
            failed_probe: None,
            finding: Finding::Unknown,
            checked_version: None,
            rollout,
            checked: 0,
            failed: 0,
            root_checked: 0,
        };
        Memory { trusted: Trusted::default(), last_check }
    }

    /// From the two parts of the state on the disk; `None` if a value is out of range.
    pub(crate) fn from_parts(trusted: Trusted, last_check: LastCheck) -> Option<Self> {
        let in_range = last_check.rollout < 100 && last_check.finding.is_in_range();
        in_range.then_some(Memory { trusted, last_check })
    }

    /// The two parts, for the state on the disk.
    pub(crate) fn into_parts(self) -> (Trusted, LastCheck) {
        (self.trusted, self.last_check)
    }

    /// What a client remembers that has accepted this `VERSION`, for a publisher. Its manifest may not
    /// verify any more.
    #[cfg(feature = "publisher")]
    #[cfg_attr(docsrs, doc(cfg(feature = "publisher")))]
    pub fn of_published(version: &Verified<Timestamp>) -> Self {
        let mut memory = Memory::new(0);
        memory.refreshed(version);
        memory
    }

    /// The number of the newest root that was trusted, for as long as one was recorded.
    pub fn root_version(&self) -> Option<u64> {
        Some(self.trusted.root_version).filter(|version| *version != 0)
    }

    /// The highest epoch of any root or `VERSION` that was trusted.
    pub fn epoch(&self) -> Option<Epoch> {
        Epoch::try_from(self.trusted.root_epoch).ok().max(self.trusted.guard.epoch())
    }

    /// The newest `VERSION` that was accepted.
    pub fn guard(&self) -> &RollbackGuard {
        &self.trusted.guard
    }

    /// When that `VERSION` expires, in Unix seconds; 0 if none was accepted.
    pub fn expires(&self) -> u64 {
        self.trusted.expires
    }

    /// The lowest version that may be installed, or restored by a rollback.
    pub fn min_version(&self) -> Option<&Version> {
        self.trusted.min_version.as_ref()
    }

    /// What the last check found about this version; `None` if it was about another one.
    pub fn finding_about(&self, version: &Version) -> Option<&Finding> {
        self.last_check
            .checked_version
            .as_ref()
            .filter(|checked| *checked == version)
            .map(|_| &self.last_check.finding)
    }

    /// What the last check found about the version that was installed then.
    pub fn finding(&self) -> &Finding {
        &self.last_check.finding
    }

    /// This installation's place in staged rollouts, 0 to 99.
    pub fn rollout(&self) -> u8 {
        self.last_check.rollout
    }

    /// When a check last succeeded, in Unix seconds of the system clock.
    pub fn checked(&self) -> Option<u64> {
        Some(self.last_check.checked).filter(|time| *time != 0)
    }

    /// When a check or an update last failed, if none succeeded since; in Unix seconds of the
    /// system clock.
    pub fn failed(&self) -> Option<u64> {
        Some(self.last_check.failed).filter(|time| *time != 0)
    }

    /// Whether the release that was accepted last failed its probe here.
    pub(crate) fn is_failed_probe(&self) -> bool {
        let failed = self.last_check.failed_probe;
        failed.is_some() && failed == self.trusted.guard.manifest()
    }

    /// Whether a decision that was made from `other` would be made from this, too.
    pub(crate) fn same_basis(&self, other: &Memory) -> bool {
        let basis = |memory: &Memory| {
            (
                memory.trusted.guard.release(),
                memory.trusted.guard.manifest(),
                memory.trusted.min_version.clone(),
                memory.trusted.root_version,
            )
        };
        basis(self) == basis(other)
    }

    #[cfg(test)]
    pub(super) fn with_min_version(mut self, min_version: Option<Version>) -> Self {
        self.trusted.min_version = min_version;
        self
    }

    // Events.

    /// A root was verified and persisted. If the chain is fetched again because the recorded root
    /// is damaged, the number does not decrease: the chain must reach the root that was trusted
    /// before.
    pub(super) fn root_trusted(&mut self, root: &Root) {
        if root.version >= self.trusted.root_version {
            if root.version > self.trusted.root_version {
                // Documents that verified under the old root may not verify under the new one.
                self.trusted.validator = None;
            }
            self.trusted.root_version = root.version;
            self.trusted.root_epoch = root.epoch.get();
        }
    }

    /// The repository has no root after the newest one.
    pub(super) fn root_checked(&mut self, now: u64) {
        self.last_check.root_checked = now;
    }

    /// SPEC step 7: a `VERSION` and its manifest were accepted.
    pub(super) fn accepted(&mut self, version: &Verified<Timestamp>, manifest: &Verified<Manifest>) {
        let new_epoch = self.trusted.guard.epoch() != Some(version.epoch);
        self.trusted.guard = RollbackGuard::after(version);
        self.trusted.expires = version.expires;
        self.trusted.critical = manifest.critical;
        // A thief of a key may have signed an absurd `min_version`. The epoch that revokes the key
        // must also clear that value.
        let kept = self.trusted.min_version.take().filter(|_| !new_epoch);
        self.trusted.min_version = match (kept, manifest.min_version.clone()) {
            (Some(old), Some(new)) if new.compare(&old).is_ok_and(|order| order.is_lt()) => Some(old),
            (old, new) => new.or(old),
        };
    }

    /// A `VERSION` was accepted whose manifest had been accepted before.
    pub(super) fn refreshed(&mut self, version: &Verified<Timestamp>) {
        self.trusted.guard = RollbackGuard::after(version);
        self.trusted.expires = version.expires;
    }

    /// A check succeeded.
    pub(super) fn succeeded(&mut self, now: u64) {
        self.last_check.checked = now;
        self.last_check.failed = 0;
    }

    /// A check for a first install succeeded. There is no installed version that it could be about.
    pub(super) fn checked_for_first_install(&mut self, now: u64) {
        self.last_check.checked = now;
    }

    /// Sets the validator of the accepted `VERSION` for the next conditional request.
    pub(super) fn validated(&mut self, validator: Option<CacheValidator>) {
        self.trusted.validator = validator;
    }

    /// What a check found about the installed version.
    pub(super) fn found(&mut self, finding: Finding, about: &Version) {
        self.last_check.finding = finding;
        self.last_check.checked_version = Some(about.clone());
    }

    /// A first install is about to put this version at the path.
    pub(crate) fn about_to_install_first(&mut self, version: &Version) {
        self.found(Finding::Current, version);
    }

    /// An update began. If it does not end, no later start takes it for a check that found nothing.
    pub(crate) fn update_began(&mut self, now: u64) {
        self.check_failed(now);
    }

    /// A check failed.
    pub(crate) fn check_failed(&mut self, now: u64) {
        self.last_check.failed = now;
    }

    /// The release that was accepted last failed its probe, for a reason that is the release's own.
    pub(crate) fn probe_failed(&mut self) {
        self.last_check.failed_probe = self.trusted.guard.manifest();
        self.last_check.failed = 0;
    }

    /// The probe failed for a reason of the moment. The next start tries again after the interval and
    /// not sooner: each try is a download and a probe.
    pub(crate) fn probe_inconclusive(&mut self) {
        self.last_check.failed = 0;
    }

    /// The current release passed its probe and is about to be installed.
    pub(crate) fn about_to_install(&mut self, version: &Version) {
        self.found(Finding::Current, version);
        self.last_check.failed_probe = None;
        self.last_check.failed = 0;
    }

    /// Another executable is at the path. Decisions based on the last `VERSION` were about the one
    /// before.
    pub(crate) fn swapped(&mut self) {
        self.trusted.validator = None;
    }

    /// The user rolled back from one version to another. The last finding was about the version
    /// that was left.
    pub(crate) fn rolled_back(&mut self, from: &Version, to: &Version) {
        self.last_check.checked_version = Some(to.clone());
        match &self.last_check.finding {
            Finding::Current => {
                self.last_check.finding =
                    Finding::Held { version: from.clone(), critical: self.trusted.critical };
            }
            Finding::Held { version, .. } if version == to => self.last_check.finding = Finding::Current,
            _ => {}
        }
    }

    /// The tool follows another channel. What was seen on one channel does not apply to another
    /// one. Roots belong to the product and are kept.
    #[must_use]
    pub(crate) fn on_another_channel(self) -> Self {
        let fresh = Memory::new(self.last_check.rollout);
        let Trusted { root_version, root_epoch, .. } = self.trusted;
        Memory {
            trusted: Trusted { root_version, root_epoch, ..fresh.trusted },
            last_check: LastCheck { root_checked: self.last_check.root_checked, ..fresh.last_check },
        }
    }

    /// Whether the chain of roots was requested within a day of `now`, and this root is not older
    /// than the newest trusted one.
    pub(super) fn is_chain_recent(&self, newest: u64, now: u64) -> bool {
        self.trusted.root_version <= newest
            && now.abs_diff(self.last_check.root_checked) < limits::ROOT_INTERVAL
    }

    /// The entity tag for a conditional request for `VERSION`, if it was accepted from this address
    /// and under this root, and has not expired.
    pub(super) fn validator(&self, location: Digest, root: u64, now: u64) -> Option<&Etag> {
        let validator = self.trusted.validator.as_ref()?;
        // A newer build of the tool may contain a newer root than that of the last check.
        let is_valid =
            validator.location == location && self.trusted.root_version == root && now < validator.until;
        Some(&validator.etag).filter(|_| is_valid)
    }
}
