//! What holds after each act, whatever the attacker did before it.
//!
//! **Nothing that the release threshold did not sign is installed or executed.** The files at the path
//! and `previous` are compared by their bytes. What was executed shows in three ways: the attacker's
//! executables leave a file in the directory in which they run; an executable that answered the probe is
//! installed next; and one that did not answer makes the update fail with `CannotRun`, which of all
//! signed releases only one may do.

use std::ops::RangeInclusive;

use relatch::trust::{Digest, Version};
use relatch::{Error, Local, Refusal};
use serde_json::Value;

use super::chains::{self, ISSUED, ROOTS};
use super::installation::{Program, Repository, Snapshot};
use super::record::{Own, domain_of, newest_floor, record, version_in};
use super::script::Step;
use super::world::{BROKEN, PRODUCT, Pointer, Release, World};

/// How much later than the clock a document may be issued (SPEC section 9).
pub(super) const AHEAD: u64 = 86_400;

/// The files that SPEC section 4 leaves in the private directory when nothing is under way.
const DOCUMENTED: [&str; 8] =
    ["journal", "floors", "cache", "root", "settings", "lock", "staging", "previous"];

pub(super) struct Scene<'a> {
    pub(super) world: &'a World,
    /// `VERSION`s, and who signed them.
    pub(super) pointers: &'a [Pointer],
    pub(super) repository: &'a Repository,
    /// The first and the last moment at which the client may have looked at its clock.
    pub(super) clock: RangeInclusive<u64>,
    pub(super) step: Step,
    /// Whether a person insisted: `--update=now`, `--force`.
    pub(super) now: bool,
    /// The program that acted, if there is one: none has a root without an executable or settings.
    pub(super) program: Option<Program>,
    /// Whether the version at the path is known from the tool itself, and not from the journal.
    pub(super) is_running: bool,
    pub(super) own: Own,
    pub(super) before: &'a Snapshot,
    pub(super) after: &'a Snapshot,
}

impl Scene<'_> {
    /// Panics where the invariant does not hold. What the act ended with, in words.
    pub(super) fn holds_after(&self, answer: relatch::Result<String>) -> String {
        self.files();
        self.bytes();
        self.roots();
        self.order(answer.is_ok());
        self.later_fields();
        self.floors(answer.is_ok());
        self.journal(answer.is_ok());
        if answer.is_ok() && matches!(self.step, Step::Check | Step::Update) {
            self.found();
        }
        let said = answer.unwrap_or_else(|error| {
            self.refused(&error);
            error.to_string()
        });
        assert_eq!(unprintable(&said), None, "{said:?}");
        said
    }

    fn files(&self) {
        for name in self.after.0.keys() {
            let inner = name.strip_prefix(&format!(".{PRODUCT}.relatch/"));
            assert!(
                name == PRODUCT || inner.is_some_and(|inner| DOCUMENTED.contains(&inner)),
                "{name} was left"
            );
        }
        let mode = |snapshot: &Snapshot| snapshot.0.get(PRODUCT).map(|(_, mode)| *mode);
        assert!(mode(self.after).is_none_or(|mode| mode == 0o755), "{:?}", mode(self.after));
    }

    fn bytes(&self) {
        match (self.before.executable(), self.after.executable()) {
            (Some(_), None) => panic!("there is no executable any more"),
            (_, None) => {}
            (_, Some(now)) => assert!(self.world.build(now).is_some(), "unsigned: {}", shown(now)),
        }
        // A disk may have changed it before. Then it stays as it was, and is not brought back.
        if let Some(now) = self.after.file("previous") {
            let as_it_was = self.before.file("previous") == Some(now);
            assert!(as_it_was || self.world.build(now).is_some(), "unsigned: {}", shown(now));
        }
    }

    /// The executable changed only if a person or a release says so.
    fn order(&self, done: bool) {
        let changed = self.before.executable() != self.after.executable();
        assert!(done || !changed, "it failed and changed the executable");
        match self.step {
            Step::Update if changed => self.may_be_installed(),
            Step::Install if done => {
                assert!(self.now || self.before.executable().is_none(), "it replaced what was there");
                self.may_be_installed();
            }
            Step::Rollback if changed => {
                assert_eq!(self.after.executable(), self.before.file("previous"));
                self.may_come_back();
            }
            _ => assert!(!changed, "nobody asked for another executable"),
        }
    }

    /// SPEC steps 3 to 6 and 8d, from the result: the executable at the path is a release that the
    /// program's own chain of roots, the clock and the floor allow.
    fn may_be_installed(&self) {
        let program = self.program.expect("a program installed it");
        let Program { chain, anchor, channel } = program;
        let installed = self.after.executable().map(|bytes| Digest::of(bytes));
        let floors = record(self.after, "floors").expect("floors are recorded");
        if !self.own.is("floors") {
            let is_it = |release: &&Release| {
                release.executable == installed && release.chain == chain && release.channel == channel
            };
            let release = self.world.releases.iter().find(is_it).expect("a release of this chain");
            let is_met = |number| chains::threshold_is_met(chain, number, release.signers);
            return assert!((anchor..=ROOTS).any(is_met), "no threshold signed {}", release.version);
        }
        let (domain, number) = self.trusted(&floors).expect("the program's root is in a domain");
        let floor = newest_floor(domain, channel).map(|(_, floor)| floor).expect("a release was accepted");
        let release = self.accepted(domain, program).expect("it was accepted under this chain");
        let said = format!("{} by {floor}", release.version);
        assert_eq!(release.executable, installed, "{said}");
        assert_eq!((release.chain, release.channel), (chain, channel), "{said}");
        if number != anchor {
            let kept = self.after.file("root").map(Vec::as_slice).unwrap_or_default();
            let root = format!("{}\n", chains::document(chain, number));
            assert!(kept.starts_with(root.as_bytes()), "root {number} is not kept: {said}");
        }
        assert_eq!(release.epoch, chains::epoch_of(number), "a dead epoch: {said}");
        assert!(release.root_version <= number as u64, "it requires a newer root: {said}");
        assert!(chains::threshold_is_met(chain, number, release.signers), "a revoked key signed it: {said}");
        let next = number + 1;
        assert!(!self.repository.tells_of_root(chain, next), "it did not ask for root {next}: {said}");
        assert!(self.earliest(domain, program) < release.expires, "it has expired: {said}");
        assert!(release.issued <= self.clock.end() + AHEAD, "it is from the future: {said}");
        let mut named = self.pointers_of(chain, domain, channel);
        let is_named = named.any(|pointer| pointer["version"] == release.version.to_string());
        assert!(is_named, "no VERSION names it: {said}");
        self.is_fresh(domain, program);
        if let Some(min) = version_in(&floor["min_version"]) {
            let order = release.version.compare(&min);
            assert!(order.is_ok_and(|order| order.is_ge()), "below the floor: {said}");
        }
    }

    /// SPEC step 5 for the release that was accepted last: neither `VERSION` nor the manifest has expired,
    /// also where the manifest was not read again.
    pub(super) fn is_fresh(&self, domain: &Value, program: Program) {
        let (_, floor) = newest_floor(domain, program.channel).expect("a release was accepted");
        let earliest = Some(self.earliest(domain, program));
        assert!(earliest < floor["expires"].as_u64(), "VERSION has expired: {floor}");
        assert!(earliest < floor["manifest_expires"].as_u64(), "the manifest has expired: {floor}");
        assert!(floor["issued"].as_u64() <= Some(self.clock.end() + AHEAD), "from the future: {floor}");
    }

    /// The lowest time that the client may have gone by. A signed time counts within its epoch only.
    fn earliest(&self, domain: &Value, program: Program) -> u64 {
        let old = record(self.before, "floors").filter(|_| self.own.is("floors"));
        let known = old.as_ref().and_then(|old| domain_of(old, chains::hash(program.chain, program.anchor)));
        let floor = known.and_then(|known| newest_floor(known, program.channel));
        let issued = floor
            .filter(|(epoch, _)| **epoch == domain["epoch"])
            .and_then(|(_, floor)| floor["issued"].as_u64());
        issued.unwrap_or(ISSUED).max(ISSUED).max(*self.clock.start())
    }

    /// The domain of the program's root, and the number of its newest root.
    pub(super) fn trusted<'a>(&self, floors: &'a Value) -> Option<(&'a Value, usize)> {
        let program = self.program?;
        let domain = domain_of(floors, chains::hash(program.chain, program.anchor))?;
        let newest = domain["lineage"]["hashes"].as_array()?.last()?.as_str()?;
        Some((domain, chains::root_with_hash(newest)?.1))
    }

    /// The version at the path.
    pub(super) fn installed(&self, of: &Snapshot) -> &Version {
        let release = of.executable().and_then(|bytes| self.world.build(bytes));
        &release.expect("every executable was signed").version
    }

    /// The release that this domain has as the newest one on the program's channel.
    pub(super) fn accepted(&self, domain: &Value, program: Program) -> Option<&Release> {
        let (_, floor) = newest_floor(domain, program.channel)?;
        self.release(program.chain, program.channel, &floor["manifest"])
    }

    /// A release by the hash of its manifest.
    pub(super) fn release(&self, chain: usize, channel: &str, manifest: &Value) -> Option<&Release> {
        let is_it = |release: &&Release| {
            release.chain == chain && release.channel == channel && *manifest == release.manifest.to_string()
        };
        self.world.releases.iter().find(is_it)
    }

    /// The `VERSION`s by a timestamp key of this chain that may have led to the domain's newest floor.
    pub(super) fn pointers_of<'a>(
        &'a self,
        chain: usize,
        domain: &Value,
        channel: &str,
    ) -> impl Iterator<Item = &'a Value> {
        let (epoch, floor) = newest_floor(domain, channel).expect("a floor");
        let (epoch, floor) = (epoch.clone(), floor.clone());
        let key = chains::timestamp_key(chain, epoch.as_u64().unwrap_or_default());
        let signed = self.pointers.iter().filter(move |pointer| pointer.signers.contains(&key));
        signed.map(|pointer| &pointer.value).filter(move |pointer| {
            let fields = ["channel", "seq", "issued", "manifest", "expires"];
            pointer["epoch"] == epoch && fields.iter().all(|field| pointer[field] == floor[field])
        })
    }

    fn refused(&self, error: &Error) {
        let same = |name| assert!(self.before.file(name) == self.after.file(name), "{name} changed: {error}");
        same("previous");
        match error {
            Error::Local(Local::CannotRun { version, .. }) => {
                assert_eq!(version.to_string(), BROKEN, "{error}");
            }
            // A root that was not proved to be of the chain changes nothing.
            Error::Refused(Refusal::RootUndetermined { .. } | Refusal::RootForked { .. }) => {
                ["journal", "cache"].into_iter().for_each(same);
            }
            // Roots of one chain are never forked.
            Error::Refused(Refusal::RootEquivocation { number, known, found }) if self.own.is("floors") => {
                let chain = |hash: &Digest| chains::root_with_hash(&hash.to_string()).map(|(chain, _)| chain);
                assert!(chain(known) != chain(found), "root {number}: {error}");
            }
            Error::Refused(Refusal::Expired { now, .. }) => self.went_by(*now),
            Error::Refused(Refusal::PreviousDomain { previous, trusted }) if self.own.is("journal") => {
                let floors = record(self.before, "floors").unwrap_or_default();
                let one = domain_of(&floors, &previous.to_string());
                let is_same = one.is_some() && one == domain_of(&floors, &trusted.to_string());
                assert!(!is_same || !self.own.is("floors"), "one domain, and {error}");
            }
            _ => {}
        }
        assert_eq!(unprintable(&error.advice()), None, "{:?}", error.advice());
    }

    /// A document counts as expired at the clock, or at a time that was signed in the trusted epoch.
    fn went_by(&self, now: u64) {
        if self.clock.contains(&now) || now == ISSUED || !self.own.is("floors") {
            return;
        }
        let floors = record(self.before, "floors").unwrap_or_default();
        let program = self.program.expect("a program checked");
        let domain = domain_of(&floors, chains::hash(program.chain, program.anchor));
        let floor = domain.and_then(|domain| newest_floor(domain, program.channel));
        let known = floor.is_some_and(|(_, floor)| floor["issued"] == now);
        let after = record(self.after, "floors").unwrap_or_default();
        let trusted = self.trusted(&after).map(|(_, number)| number);
        let is_of_epoch = floor.is_some_and(|(of, _)| of.as_u64() == trusted.map(chains::epoch_of));
        // A root that could not be read ends the check with the refusal under the root before.
        let next = trusted.is_some_and(|number| self.repository.has_root(number + 1));
        assert!(
            known && (is_of_epoch || next),
            "it went by {now}, which is not a time of this epoch: {floors}"
        );
    }

    fn roots(&self) {
        let Some(now) = self.after.file("root") else { return };
        let Some((chain, number)) = root_in(now) else {
            return assert!(self.before.file("root") == Some(now), "unsigned: {}", shown(now));
        };
        // One that no lineage has does not count.
        let known = record(self.before, "floors").unwrap_or_default();
        let old = self.before.file("root").and_then(|old| root_in(old));
        let old = old.filter(|old| domain_of(&known, chains::hash(old.0, old.1)).is_some());
        let is_lower = old.is_some_and(|old| old.0 == chain && number < old.1);
        assert!(!is_lower, "root {number} took the place of root {old:?}");
    }
}

/// The published root in a file `root`.
fn root_in(content: &[u8]) -> Option<(usize, usize)> {
    let is_it = |(chain, number): &(usize, usize)| {
        content.starts_with(format!("{}\n", chains::document(*chain, *number)).as_bytes())
    };
    chains::all().find(is_it)
}

/// The first character that could drive a terminal, or hide text.
pub(super) fn unprintable(text: &str) -> Option<char> {
    text.chars().find(|c| {
        c.is_control()
            || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    })
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).escape_debug().to_string()
}
