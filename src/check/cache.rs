//! The result of the last check. Nothing here protects a user: everyone may discard it at any time,
//! and the next check finds it again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Finding;
use crate::limits;
use crate::source::Etag;
use crate::trust::{Digest, Version, integer};

/// The result of the last check, and of the last failure.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cache {
    pub(super) validator: Option<CacheValidator>,
    pub(super) finding: Finding,
    /// The executable that the finding is about. Another one may be installed by now.
    pub(super) about: Option<About>,
    /// The manifest of a release that failed its probe on this machine. The start-up check does not
    /// download it again.
    pub(super) failed_probe: Option<Digest>,
    /// The release whose probe last failed for a reason that may pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) unfinished_probe: Option<UnfinishedProbe>,
    /// When a check last succeeded, by the system clock in Unix seconds. It only determines when to
    /// check again; so do all times here.
    pub(super) checked: Option<u64>,
    /// When the repository last had no newer root.
    pub(super) root_checked: Option<u64>,
    pub(super) failure: Option<Failure>,
    /// When a start last warned that what it trusts is about to expire.
    pub(super) warned: Option<u64>,
}

/// A release that could not be probed: this machine could not start it at that moment, or it did
/// not end in time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UnfinishedProbe {
    /// Its manifest.
    manifest: Digest,
    /// When it was tried last, in Unix seconds of the system clock.
    at: u64,
    /// How often it was tried.
    count: u32,
    /// How many of the last tries in a row ended with a crash as from lack of memory.
    #[serde(default, skip_serializing_if = "is_zero")]
    crashes: u32,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// The entity tag of the last accepted `VERSION`, for a conditional request (RFC 9110 section 13).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CacheValidator {
    /// The hash of the repository's address. The tag is not valid for another address.
    pub(super) location: Digest,
    /// The hash of the root under which it was accepted. Under another root it may not verify.
    pub(super) root: Digest,
    /// The manifest that it names, which the floors have accepted last.
    pub(super) manifest: Digest,
    pub(super) etag: Etag,
    /// When the first of the documents that were verified with this `VERSION` expires, in Unix
    /// seconds.
    #[serde(deserialize_with = "integer")]
    pub(super) until: u64,
}

/// The executable that a finding is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct About {
    pub(super) version: Version,
    /// Its hash, if a swap recorded it.
    pub(super) blake3: Option<Digest>,
}

/// The last failure of a start-up check, since the last success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// When, in Unix seconds of the system clock.
    pub(crate) at: u64,
    /// How many tries there were in a row that did not succeed.
    pub(crate) count: u32,
    /// Whether the last of them is an update that began. If it fails, it does not count twice.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) began: bool,
    /// What the user is told, in lines. They are escaped when they are printed.
    pub(crate) text: String,
    /// Whether a start prints the first line only.
    pub(crate) brief: bool,
    /// What is the same for as long as nothing changes: not times and measurements.
    pub(super) key: Digest,
    /// When the user was last told, in Unix seconds.
    pub(super) shown: Option<u64>,
    /// Whether it is reported only once, instead of once a day: this machine cannot take that
    /// release.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) once: bool,
}

impl Cache {
    /// The state on the disk is input.
    pub(crate) fn is_in_range(&self) -> bool {
        self.finding.is_in_range()
            && self.failure.as_ref().is_none_or(|failure| failure.text.len() <= limits::FAILURE)
    }

    /// What the last check found about the version that was installed then.
    pub(crate) fn finding(&self) -> &Finding {
        &self.finding
    }

    /// What the last check found about this version; `None` if it was about another executable.
    /// `executable` is the hash of the one at the path, if it is recorded.
    pub(crate) fn finding_about(&self, version: &Version, executable: Option<Digest>) -> Option<&Finding> {
        let about = self.about.as_ref()?;
        let is_same = about.version == *version
            && about.blake3.zip(executable).is_none_or(|(about, executable)| about == executable);
        Some(&self.finding).filter(|_| is_same)
    }

    /// Whether the last check was about another version: a swap did not happen, or a person put this one there.
    pub(crate) fn is_about_another(&self, version: &Version) -> bool {
        self.about.as_ref().is_some_and(|about| about.version != *version)
    }

    /// Whether the probe of this release is not tried again yet. If the clock was set back, it is.
    pub(super) fn is_probe_put_off(&self, manifest: Option<Digest>, now: u64) -> bool {
        let last = self.unfinished_probe.as_ref().filter(|last| Some(last.manifest) == manifest);
        last.is_some_and(|last| {
            let distance = retry_after(last.count).min(limits::PROBE_RETRY).as_secs();
            last.at <= now && now - last.at < distance
        })
    }

    /// How many of the last tries of this release in a row ended with such a crash.
    pub(super) fn crashes(&self, manifest: Option<Digest>) -> u32 {
        let last = self.unfinished_probe.as_ref().filter(|last| Some(last.manifest) == manifest);
        last.map_or(0, |last| last.crashes)
    }

    /// When a check last succeeded, in Unix seconds of the system clock.
    pub(crate) fn checked(&self) -> Option<u64> {
        self.checked
    }

    /// The last failure, if no check succeeded since.
    pub(crate) fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// Whether the last failure is to be reported, for the first time or again.
    pub(crate) fn is_failure_due(&self, now: u64) -> bool {
        let is_due = |last: &Failure| last.shown.is_none() || (!last.once && is_a_day_ago(last.shown, now));
        self.failure.as_ref().is_some_and(is_due)
    }

    /// Whether a start has not warned of an expiry for a day.
    pub(crate) fn is_warning_due(&self, now: u64) -> bool {
        is_a_day_ago(self.warned, now)
    }

    // Events.

    /// The next check reads `VERSION`, and does not ask whether it changed.
    pub(crate) fn forget_validator(&mut self) {
        self.validator = None;
    }

    /// What a check found about an executable.
    pub(super) fn found(&mut self, finding: Finding, version: &Version, blake3: Option<Digest>) {
        self.finding = finding;
        self.about = Some(About { version: version.clone(), blake3 });
    }

    /// The probe of this release failed for a reason that may pass.
    pub(super) fn probe_not_finished(&mut self, manifest: Option<Digest>, now: u64, crashed: bool) {
        let before = self.crashes(manifest);
        let crashes = if crashed { before.saturating_add(1) } else { 0 };
        let last = self.unfinished_probe.take().filter(|last| Some(last.manifest) == manifest);
        let count = last.map_or(1, |last| last.count.saturating_add(1));
        self.unfinished_probe =
            manifest.map(|manifest| UnfinishedProbe { manifest, at: now, count, crashes });
    }

    /// A start-up check failed. The text counts up to its limit. If this place cannot take the
    /// release that was begun, that is reported once for each release.
    pub(crate) fn failed(&mut self, now: u64, text: &str, brief: bool, key: Digest, is_place: bool) {
        let last = self.failure.take();
        let began = last.as_ref().filter(|last| last.began);
        let (once, key) = match began.filter(|_| is_place) {
            // Its text names the release.
            Some(began) => (true, Digest::of(format!("{key} {}", began.text).as_bytes())),
            None => (false, key),
        };
        let count = last.as_ref().map_or(1, |last| last.count.saturating_add(u32::from(!last.began)));
        let shown = last.filter(|last| last.key == key).and_then(|last| last.shown);
        let text = limited(text);
        self.failure = Some(Failure { at: now, count, began: false, text, brief, key, shown, once });
    }

    /// An update began. It counts as a failure until it ends, whatever stops it. If it fails as the last try
    /// did, the user has been told.
    pub(super) fn update_began(&mut self, now: u64, to: &Version) {
        let last = self.failure.take();
        let text = format!("an update to {to} began and was not completed");
        let (count, key, shown) = match last {
            Some(last) => (last.count, last.key, last.shown),
            None => (0, Digest::of(text.as_bytes()), Some(now)),
        };
        let (count, once) = (count.saturating_add(1), false);
        self.failure = Some(Failure { at: now, count, began: true, text, brief: false, key, shown, once });
    }

    /// The user was told the last failure.
    pub(crate) fn failure_shown(&mut self, now: u64) {
        if let Some(failure) = &mut self.failure {
            failure.shown = Some(now);
        }
    }

    /// The user was warned of an expiry.
    pub(crate) fn warned(&mut self, now: u64) {
        self.warned = Some(now);
    }
}

/// The time from the last of so many failures in a row to the next try: it doubles each time.
pub(crate) fn retry_after(failures: u32) -> Duration {
    let doubled = failures.saturating_sub(1).min(16);
    limits::STARTUP_RETRY.saturating_mul(1 << doubled)
}

fn is_a_day_ago(then: Option<u64>, now: u64) -> bool {
    then.is_none_or(|then| now.abs_diff(then) >= limits::REMINDER)
}

/// The longest beginning of the text within the limit.
fn limited(text: &str) -> String {
    let fits = |(at, character): &(usize, char)| at + character.len_utf8() <= limits::FAILURE;
    text.char_indices().take_while(fits).map(|(_, character)| character).collect()
}
