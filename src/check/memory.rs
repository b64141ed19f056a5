//! What a check remembers of one trust domain and one channel.
//!
//! The fields are private. Each event that changes them has its own function here, in `floors.rs` or
//! in `cache.rs`. The other functions change nothing.

use super::Finding;
use super::cache::{Cache, CacheValidator};
use super::floors::{Domain, Floor};
use crate::limits;
use crate::source::Etag;
use crate::trust::{
    Digest, Epoch, Lineage, Manifest, Name, RollbackGuard, Root, Timestamp, Verified, Version,
};

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
///     memory.domain = todo!();
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    channel: Name,
    domain: Option<Domain>,
    cache: Cache,
}

impl Memory {
    /// The memory of a client that knows nothing yet, and follows this channel.
    pub fn new(channel: Name) -> Self {
        Memory { channel, domain: None, cache: Cache::default() }
    }

    /// From the records on the disk.
    pub(crate) fn recorded(channel: Name, domain: Option<Domain>, cache: Cache) -> Self {
        Memory { channel, domain, cache }
    }

    /// What a client remembers that has accepted this `VERSION` under this root, for a publisher. Its
    /// manifest may not verify any more.
    #[cfg(feature = "publisher")]
    #[cfg_attr(docsrs, doc(cfg(feature = "publisher")))]
    pub fn of_published(root: &Root, version: &Verified<Timestamp>) -> Self {
        let domain = Some(Domain::of_published(root, version));
        Memory { domain, ..Memory::new(version.channel.clone()) }
    }

    /// The trust domain, for the records on the disk.
    pub(crate) fn domain(&self) -> Option<&Domain> {
        self.domain.as_ref()
    }

    /// The result of the last check, for the records on the disk.
    pub(crate) fn cache(&self) -> &Cache {
        &self.cache
    }

    /// The roots that were verified.
    pub fn lineage(&self) -> Option<&Lineage> {
        self.domain.as_ref().map(Domain::lineage)
    }

    /// The highest epoch of any root that was trusted.
    pub fn epoch(&self) -> Option<Epoch> {
        self.domain.as_ref().map(Domain::epoch)
    }

    /// The newest `VERSION` that was accepted.
    pub fn guard(&self) -> RollbackGuard {
        self.domain.as_ref().map_or_else(RollbackGuard::default, |domain| domain.guard(&self.channel))
    }

    /// What was accepted on this channel.
    pub(crate) fn floor(&self) -> Option<&Floor> {
        self.domain.as_ref()?.floor(&self.channel).map(|(_, floor)| floor)
    }

    /// The lowest version that may be installed. It starts again with each epoch: a stolen key may have
    /// signed an absurd one.
    pub fn min_version(&self) -> Option<&Version> {
        self.trusted_floor()?.min_version()
    }

    /// Whether the publisher withdrew this version on this channel, in the trusted epoch.
    pub(crate) fn is_retracted(&self, version: &Version) -> bool {
        self.trusted_floor().is_some_and(|floor| floor.is_retracted(version))
    }

    /// What was accepted on this channel in the trusted epoch.
    pub(crate) fn trusted_floor(&self) -> Option<&Floor> {
        let domain = self.domain.as_ref()?;
        domain.floor(&self.channel).filter(|(epoch, _)| *epoch == domain.epoch()).map(|(_, floor)| floor)
    }

    /// What the last check found about the version that was installed then.
    pub fn finding(&self) -> &Finding {
        self.cache.finding()
    }

    /// Whether the release that was accepted last failed its probe here.
    pub(crate) fn is_failed_probe(&self) -> bool {
        let failed = self.cache.failed_probe;
        failed.is_some() && failed == self.guard().manifest()
    }

    /// Whether the release that was accepted last could not be probed here, and is not tried again
    /// yet.
    pub(crate) fn is_probe_put_off(&self, now: u64) -> bool {
        self.cache.is_probe_put_off(self.guard().manifest(), now)
    }

    /// Whether one more such crash of the release that was accepted last is a verdict, or there is
    /// one already.
    pub(crate) fn is_crash_repeated(&self) -> bool {
        self.is_failed_probe() || self.cache.crashes(self.guard().manifest()) + 1 >= limits::PROBE_CRASHES
    }

    #[cfg(test)]
    pub(super) fn with_min_version(mut self, min_version: Option<Version>) -> Self {
        self.domain = Some(Domain::with_min_version(self.channel.clone(), min_version));
        self
    }

    // Events.

    /// A trust domain begins, or goes on, with this root.
    pub(super) fn begin(&mut self, root: &Root) {
        self.domain.get_or_insert_with(|| Domain::beginning_with(root));
    }

    /// A root was verified and is persisted.
    pub(super) fn root_verified(&mut self, root: &Root) {
        if let Some(domain) = &mut self.domain {
            domain.root_verified(root);
        }
    }

    /// These roots were verified to lead to the first one that was remembered.
    pub(super) fn connected(&mut self, older: Lineage) {
        if let Some(domain) = &mut self.domain {
            domain.connected(older);
        }
    }

    /// The repository has no root after the newest one.
    pub(super) fn root_checked(&mut self, now: u64) {
        self.cache.root_checked = Some(now);
    }

    /// SPEC step 7: a `VERSION` and its manifest were accepted.
    pub(super) fn accepted(&mut self, version: &Verified<Timestamp>, manifest: &Verified<Manifest>) {
        if let Some(domain) = &mut self.domain {
            domain.accepted(version, manifest);
        }
    }

    /// A `VERSION` was accepted whose manifest had been accepted before.
    pub(super) fn refreshed(&mut self, version: &Verified<Timestamp>) {
        if let Some(domain) = &mut self.domain {
            domain.refreshed(version);
        }
    }

    /// A release was verified.
    pub(super) fn checked(&mut self, now: u64) {
        self.cache.checked = Some(now);
    }

    /// A start has nothing more to do. A check that leads to an update, or that refuses the release, does
    /// not end a row of failures: the update may fail again.
    pub(crate) fn succeeded(&mut self) {
        self.cache.failure = None;
    }

    /// Sets the validator of the accepted `VERSION` for the next conditional request.
    pub(super) fn validated(&mut self, validator: Option<CacheValidator>) {
        self.cache.validator = validator;
    }

    /// What a check found about the installed version.
    pub(super) fn found(&mut self, finding: Finding, about: &Version, executable: Option<Digest>) {
        self.cache.found(finding, about, executable);
    }

    /// An update began. If it does not end, no later start takes it for a check that found nothing, and
    /// tries it again after the retry time.
    pub(crate) fn update_began(&mut self, now: u64, to: &Version) {
        self.cache.update_began(now, to);
    }

    /// The release that was accepted last failed its probe, for a reason that is the release's own.
    pub(crate) fn probe_failed(&mut self) {
        self.cache.failed_probe = self.guard().manifest();
        self.cache.unfinished_probe = None;
    }

    /// The probe of the release that was accepted last failed for a reason that may pass; with
    /// `crashed` it crashed as it does without memory.
    pub(crate) fn probe_not_finished(&mut self, now: u64, crashed: bool) {
        let manifest = self.guard().manifest();
        self.cache.probe_not_finished(manifest, now, crashed);
    }

    /// The current release is installed: a start has nothing more to do.
    pub(crate) fn installed(&mut self, version: &Version, blake3: Digest) {
        self.found(Finding::Current, version, Some(blake3));
        self.cache.failed_probe = None;
        self.cache.unfinished_probe = None;
        self.succeeded();
    }

    /// The user rolled back. The last finding was about the executable that was left.
    pub(crate) fn rolled_back(&mut self, from: (&Version, Digest), to: (&Version, Digest)) {
        let critical = self.floor().is_some_and(Floor::is_critical);
        let held = || Finding::Held { version: from.0.clone(), critical };
        self.went(from, to, held);
    }

    /// A person went forward to a kept executable.
    pub(crate) fn went_forward(&mut self, from: (&Version, Digest), to: (&Version, Digest)) {
        self.went(from, to, || Finding::Current);
    }

    /// `current` is what follows for the one that came, if the one that was left was current.
    fn went(&mut self, from: (&Version, Digest), to: (&Version, Digest), current: impl FnOnce() -> Finding) {
        let finding = match self.cache.finding_about(from.0, Some(from.1)) {
            None => return,
            Some(Finding::Current) => current(),
            Some(
                Finding::Held { version, .. }
                | Finding::Outdated { version }
                | Finding::NotInRollout { version, .. },
            ) if version == to.0 => Finding::Current,
            Some(other) => other.clone(),
        };
        self.found(finding, to.0, Some(to.1));
        // It was about the executable that was left.
        self.cache.validator = None;
    }

    /// A person ended all holds: what was held may be installed again, and the next start looks.
    pub(crate) fn holds_ended(&mut self) {
        if let Finding::Held { version, .. } = self.cache.finding() {
            self.cache.finding = Finding::Outdated { version: version.clone() };
            self.cache.validator = None;
            self.cache.checked = None;
        }
    }

    /// Whether the chain of roots was requested within a day of `now`, and this root is the newest one. Not
    /// where the floors were lost: they say how far the chain was verified.
    pub(super) fn is_chain_recent(&self, newest: u64, now: u64) -> bool {
        let is_newest = self.lineage().is_some_and(|lineage| lineage.last() <= newest);
        let then = self.cache.root_checked;
        is_newest && then.is_some_and(|then| now.abs_diff(then) < limits::ROOT_INTERVAL)
    }

    /// The entity tag for a conditional request for `VERSION`, if it was accepted from this address
    /// and under this root, the floors know it, and it has not expired.
    pub(super) fn validator(&self, location: Digest, root: Digest, now: u64) -> Option<&Etag> {
        let validator = self.cache.validator.as_ref()?;
        let is_same = validator.location == location
            && validator.root == root
            && self.guard().manifest() == Some(validator.manifest);
        Some(&validator.etag).filter(|_| is_same && now < validator.until)
    }
}
