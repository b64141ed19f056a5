//! What holds after each act, whatever the attacker did before it.
//!
//! **Nothing that the release threshold did not sign is installed or executed.** What is at the path and what is `previous` are compared by
//! their bytes. What was executed shows in three ways: the attacker's executables leave a file in the directory in which they are run; what
//! answered the probe is installed next; and an executable that did not answer makes the update fail with `CannotRun`, which of all that
//! was signed only one release may do.

use relatch::trust::Version;
use relatch::{Error, Machine};
use serde_json::Value;

use super::installation::{Snapshot, with_hash};
use super::script::Step;
use super::world::{BROKEN, PRODUCT, Release, World};

/// The files that SPEC section 4 leaves in the private directory when nothing is under way.
const DOCUMENTED: [&str; 6] = ["state", "root", "settings", "lock", "staging", "previous"];

pub(super) struct Scene<'a> {
    pub(super) world: &'a World,
    /// `VERSION`s that a timestamp key signed.
    pub(super) pointers: &'a [Value],
    pub(super) clock: u64,
    pub(super) step: Step,
    pub(super) forced: bool,
    pub(super) state_is_own: bool,
    pub(super) before: &'a Snapshot,
    pub(super) after: &'a Snapshot,
}

impl Scene<'_> {
    /// Panics where the invariant does not hold. What the act ended with, in words.
    pub(super) fn holds_after(&self, answer: relatch::Result<String>) -> String {
        self.files();
        self.bytes();
        self.order(answer.is_ok());
        self.floors();
        self.roots();
        match answer {
            Ok(said) => said,
            Err(error) => {
                self.refused(&error);
                error.to_string()
            }
        }
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

    /// The version at the path goes down only where a threshold signed that, or a person wished it.
    fn order(&self, done: bool) {
        let version = |snapshot: &Snapshot| {
            snapshot.executable().and_then(|bytes| self.world.version_of(bytes)).cloned()
        };
        let (Some(from), Some(to)) = (version(self.before), version(self.after)) else { return };
        if from == to {
            return;
        }
        assert!(done, "it failed, and {to} is there in place of {from}");
        match self.step {
            Step::Check => panic!("a check installed {to}"),
            Step::Rollback => {
                assert_eq!(self.after.executable(), self.before.file("previous"));
                return;
            }
            Step::Install => return assert!(self.forced),
            _ => {}
        }
        let epoch = self.trusted()["epoch"].as_u64();
        let allows = |release: &&Release| {
            release.version == to
                && Some(release.epoch) == epoch
                && self.clock < release.expires
                && release.issued <= self.clock + 86_400
        };
        let release = self.world.releases.iter().find(allows);
        let release = release.unwrap_or_else(|| panic!("no release {to} is valid now"));
        if self.state_is_own {
            let above = to.compare(&from).is_ok_and(|order| order.is_gt());
            assert!(above || release.retracts.contains(&from.to_string()), "{from} to {to}");
        }
    }

    /// Floors move only to what a timestamp key signed about a manifest that a threshold of release keys signed, and never down.
    fn floors(&self) {
        let Some(now) = state(self.after) else { return };
        let old = state(self.before);
        let floors = &now["floors"];
        if old.as_ref().is_none_or(|old| old["floors"] != *floors) && floors["epoch"] != 0 {
            let names = |pointer: &&Value| {
                ["epoch", "seq", "issued", "manifest"].iter().all(|field| pointer[field] == floors[field])
            };
            // Of a manifest that left nothing to do, the version is not looked at again: there still is nothing to do.
            let was_nothing = |pointer: &Value, release: &Release| {
                let judged: Option<Version> = pointer["version"].as_str().and_then(|text| text.parse().ok());
                now["standing"]["is"] == "current"
                    && now["judged"] == pointer["version"]
                    && judged.is_some_and(|judged| {
                        release.version.compare(&judged).is_ok_and(|order| order.is_lt())
                    })
            };
            let agrees = |pointer: &Value| {
                self.world.releases.iter().any(|release| {
                    pointer["manifest"] == release.manifest.to_string()
                        && pointer["epoch"] == release.epoch
                        && pointer["seq"] == release.seq
                        && (pointer["version"] == release.version.to_string()
                            || was_nothing(pointer, release))
                })
            };
            assert!(self.pointers.iter().filter(names).any(agrees), "nobody signed the floors {floors}");
        }
        let min = &now["min_version"];
        let signed = |release: &Release| release.min_version.as_deref() == min.as_str();
        let as_it_was = old.as_ref().is_some_and(|old| old["min_version"] == *min);
        assert!(min.is_null() || as_it_was || self.world.releases.iter().any(signed), "{min}");
        if let (Some(old), true) = (old, self.state_is_own) {
            let pair = |state: &Value| {
                let floors = &state["floors"];
                (floors["epoch"].as_u64(), floors["seq"].as_u64(), floors["issued"].as_u64())
            };
            assert!(pair(&old) <= pair(&now) || pair(&old).0 < pair(&now).0, "{old} to {now}");
            let root = |state: &Value| state["root_version"].as_u64();
            assert!(root(&old) <= root(&now), "{old} to {now}");
        }
    }

    /// The newest root that was published and is kept; else the anchor.
    fn trusted(&self) -> Value {
        let kept = self.after.file("root").and_then(|content| {
            let text = String::from_utf8_lossy(content).into_owned();
            serde_json::from_str(text.lines().next().unwrap_or_default()).ok()
        });
        kept.unwrap_or_else(|| super::world::root(1))
    }

    fn roots(&self) {
        let Some(now) = self.after.file("root") else { return };
        let published = self.world.roots.iter().any(|root| now.starts_with(format!("{root}\n").as_bytes()));
        assert!(published || self.before.file("root") == Some(now), "unsigned: {}", shown(now));
    }

    fn refused(&self, error: &Error) {
        let both = |of: &Snapshot| (of.executable().cloned(), of.file("previous").cloned());
        assert!(both(self.before) == both(self.after), "it failed and changed something: {error}");
        if let Error::Machine(Machine::CannotRun { version, .. }) = error {
            assert_eq!(version.to_string(), BROKEN, "{error}");
        }
        // What a repository says cannot drive a terminal.
        for text in [error.to_string(), error.advice().to_owned()] {
            assert!(!text.chars().any(char::is_control), "{text:?}");
        }
    }
}

/// A state file that says what its hash says.
fn state(snapshot: &Snapshot) -> Option<Value> {
    let text = std::str::from_utf8(snapshot.file("state")?).ok()?;
    let json = text.lines().next()?;
    if text == with_hash(json) { serde_json::from_str(json).ok() } else { None }
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).escape_debug().to_string()
}
