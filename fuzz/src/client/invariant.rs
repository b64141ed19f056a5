//! What holds after each act, whatever the attacker did before it.
//!
//! **Nothing that the release threshold did not sign is installed or executed.** What is at the path and what is `previous` are compared by
//! their bytes. What was executed shows in three ways: the attacker's executables leave a file in the directory in which they are run; what
//! answered the probe is installed next; and an executable that did not answer makes the update fail with `CannotRun`, which of all that
//! was signed only one release may do.

use std::ops::RangeInclusive;

use relatch::trust::{Digest, Version};
use relatch::{Error, Local};
use serde_json::Value;

use super::installation::{Repository, Snapshot, with_hash};
use super::script::Step;
use super::world::{self, BROKEN, PRODUCT, Release, World};

/// How much later than the clock a document may be issued (SPEC section 9).
const AHEAD: u64 = 86_400;

/// The files that SPEC section 4 leaves in the private directory when nothing is under way.
const DOCUMENTED: [&str; 6] = ["state", "root", "settings", "lock", "staging", "previous"];

pub(super) struct Scene<'a> {
    pub(super) world: &'a World,
    /// `VERSION`s that a timestamp key signed.
    pub(super) pointers: &'a [Value],
    pub(super) repository: &'a Repository,
    /// The first and the last moment at which the client may have looked at its clock.
    pub(super) clock: RangeInclusive<u64>,
    pub(super) step: Step,
    /// Whether a person insisted: `--update=now`, `--force`.
    pub(super) now: bool,
    /// Whether the version of what is at the path is known from the tool itself, and not from the state.
    pub(super) is_running: bool,
    pub(super) state_is_own: bool,
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
        self.record(answer.is_ok());
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
            (_, Some(now)) => assert!(self.world.version_of(now).is_some(), "unsigned: {}", shown(now)),
        }
        // A disk may have spoilt it before; then it stays as it was, and is not brought back.
        if let Some(now) = self.after.file("previous") {
            let as_it_was = self.before.file("previous") == Some(now);
            assert!(as_it_was || self.world.version_of(now).is_some(), "unsigned: {}", shown(now));
        }
    }

    /// What is at the path changed only where a person or a release says so.
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

    /// SPEC steps 3 to 6 and 8d, looked at from behind: what is at the path is a release that the root, the clock and the floor allow.
    fn may_be_installed(&self) {
        let now = state(self.after).expect("what was installed is recorded");
        let release = self.accepted(&now).expect("what was installed was accepted");
        let said = format!("{} by {now}", release.version);
        assert_eq!(release.executable, self.after.executable().map(|bytes| Digest::of(bytes)), "{said}");

        let number = now["root_version"].as_u64().and_then(|number| usize::try_from(number).ok());
        let number = number.filter(|number| (1..=self.world.roots.len()).contains(number)).expect("a root");
        let kept = self.after.file("root").map(Vec::as_slice).unwrap_or_default();
        let root = format!("{}\n", self.world.roots[number - 1]);
        assert!(number == 1 || kept.starts_with(root.as_bytes()), "root {number} is not kept: {said}");
        assert_eq!(release.epoch, world::epoch_of(number), "a dead epoch: {said}");
        assert!(release.root_version <= number as u64, "it needs a newer root: {said}");
        assert!(world::threshold_is_met(number, release.signers), "a revoked key signed it: {said}");
        assert!(
            !self.repository.tells_of_root(self.world, number as u64 + 1),
            "installed without asking for root {}: {said}",
            number + 1
        );

        assert!(self.earliest() < release.expires, "it has expired: {said}");
        assert!(release.issued <= self.clock.end() + AHEAD, "it is from the future: {said}");
        let named = self.pointers_of(&now).any(|pointer| pointer["version"] == release.version.to_string());
        assert!(named, "no VERSION names it: {said}");
        self.is_fresh(&now);
        if let Some(floor) = version_in(&now["min_version"]) {
            let order = release.version.compare(&floor);
            assert!(order.is_ok_and(|order| order.is_ge()), "below the floor: {said}");
        }
    }

    /// SPEC section 6.
    fn may_come_back(&self) {
        let (Some(old), true) = (state(self.before), self.state_is_own) else { return };
        let to = self.installed(self.after);
        if let Some(floor) = version_in(&old["min_version"]) {
            assert!(to.compare(&floor).is_ok_and(|order| order.is_ge()), "{to} came back: {old}");
        }
        let trusted = old["root_epoch"].as_u64().max(old["floors"]["epoch"].as_u64());
        assert!(trusted == Some(0) || old["previous"]["epoch"].as_u64() == trusted, "{to} came back: {old}");
    }

    /// SPEC step 5 for the `VERSION` that was accepted last.
    pub(super) fn is_fresh(&self, now: &Value) {
        let (issued, expires) = (now["floors"]["issued"].as_u64(), now["expires"].as_u64());
        assert!(Some(self.earliest()) < expires, "VERSION has expired: {now}");
        assert!(issued <= Some(self.clock.end() + AHEAD), "VERSION is from the future: {now}");
    }

    /// The lowest time that the client may have gone by.
    fn earliest(&self) -> u64 {
        let known = state(self.before).filter(|_| self.state_is_own);
        let issued = known.and_then(|state| state["floors"]["issued"].as_u64()).unwrap_or_default();
        issued.max(*self.clock.start())
    }

    /// The version at the path.
    pub(super) fn installed(&self, of: &Snapshot) -> Version {
        let version = of.executable().and_then(|bytes| self.world.version_of(bytes));
        version.expect("every executable was signed").clone()
    }

    /// The release that this state calls the newest one seen.
    pub(super) fn accepted(&self, state: &Value) -> Option<&Release> {
        let manifest = state["floors"]["manifest"].as_str()?;
        self.world.releases.iter().find(|release| release.manifest.to_string() == manifest)
    }

    /// The `VERSION`s that may have led to this state.
    pub(super) fn pointers_of(&self, state: &Value) -> impl Iterator<Item = &Value> {
        let (floors, expires) = (state["floors"].clone(), state["expires"].clone());
        self.pointers.iter().filter(move |pointer| {
            let same =
                ["epoch", "seq", "issued", "manifest"].iter().all(|field| pointer[field] == floors[field]);
            same && pointer["expires"] == expires
        })
    }

    fn roots(&self) {
        let Some(now) = self.after.file("root") else { return };
        let published = self.world.roots.iter().any(|root| now.starts_with(format!("{root}\n").as_bytes()));
        assert!(published || self.before.file("root") == Some(now), "unsigned: {}", shown(now));
    }

    fn refused(&self, error: &Error) {
        let both = |of: &Snapshot| (of.executable().cloned(), of.file("previous").cloned());
        assert!(both(self.before) == both(self.after), "it failed and changed something: {error}");
        if let Error::Local(Local::CannotRun { version, .. }) = error {
            assert_eq!(version.to_string(), BROKEN, "{error}");
        }
        assert_eq!(unprintable(error.advice()), None, "{:?}", error.advice());
    }
}

/// The first character that could drive a terminal, or hide what is said.
pub(super) fn unprintable(text: &str) -> Option<char> {
    text.chars().find(|c| {
        c.is_control()
            || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    })
}

/// A version, if there is one.
pub(super) fn version_in(value: &Value) -> Option<Version> {
    value.as_str().map(|text| text.parse().expect("the client wrote a version"))
}

/// A state file that says what its hash says.
pub(super) fn state(snapshot: &Snapshot) -> Option<Value> {
    let text = std::str::from_utf8(snapshot.file("state")?).ok()?;
    let json = text.lines().next()?;
    if text == with_hash(json) { serde_json::from_str(json).ok() } else { None }
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).escape_debug().to_string()
}
