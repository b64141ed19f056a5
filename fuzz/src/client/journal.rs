//! What `journal` and `cache` say after an act, by SPEC steps 8 and 12 and section 6: derived from what
//! was published, and from what the records said before.

use relatch::trust::{Digest, Version};
use serde_json::{Value, json};

use super::chains;
use super::installation::Snapshot;
use super::invariant::Scene;
use super::record::{domain_of, items, newest_floor, record, version_in, versions_in};
use super::script::Step;

impl Scene<'_> {
    pub(super) fn journal(&self, done: bool) {
        let old = record(self.before, "journal");
        let Some(now) = record(self.after, "journal") else {
            return assert!(old.is_none(), "the journal was lost");
        };
        if !self.own.is("journal") {
            return;
        }
        let is_new = old.is_none();
        let old = old.unwrap_or_else(|| json!({"installed": null, "kept": [], "held": []}));
        let said = format!("{old} to {now}");
        assert!(is_new || old["rollout"] == now["rollout"], "another place in rollouts: {said}");
        assert!(now["pending"].is_null(), "a swap is pending: {said}");
        self.holds(&old, &now, done);
        let came_back = done && matches!(self.step, Step::Rollback);
        if self.before.executable() == self.after.executable() && !came_back {
            let is_same = now["installed"] == old["installed"];
            let was_replaced =
                now["installed"].is_null() && old["installed"]["blake3"] != self.digest_before();
            // A forced install of an unknown executable records it again, also if it is the same.
            let again = done && matches!(self.step, Step::Install);
            assert!(is_same || was_replaced || again, "{said}");
            return assert!(previous(&now) == previous(&old) || again, "{said}");
        }
        assert_eq!(now["installed"]["blake3"], digest(self.after), "{said}");
        let kept = previous(&now);
        if let (Some(kept), Some(file)) = (&kept, self.after.file("previous")) {
            assert_eq!(kept["blake3"], Digest::of(file).to_string(), "{said}");
        }
        if came_back {
            return assert_eq!(Some(&now["installed"]), previous(&old).as_ref(), "{said}");
        }
        assert_eq!(now["installed"]["version"], self.installed(self.after).to_string(), "{said}");
        let floors = record(self.after, "floors").filter(|_| self.own.is("floors"));
        let Some(program) = self.program else { return };
        let Some((domain, _)) = floors.as_ref().and_then(|floors| self.trusted(floors)) else { return };
        assert_eq!(
            (&now["installed"]["domain"], &now["installed"]["epoch"]),
            (&domain["id"], &domain["epoch"]),
            "{said}"
        );
        let Some(kept) = kept.filter(|_| matches!(self.step, Step::Update)) else { return };
        if old["installed"]["blake3"] == kept["blake3"] {
            assert_eq!(kept, old["installed"], "{said}");
        } else {
            // A program that was put there by hand carries its root, and is of that epoch.
            assert_eq!(kept["version"], self.installed(self.before).to_string(), "{said}");
            assert_eq!(kept["epoch"], chains::epoch_of(program.anchor), "{said}");
            assert_eq!(kept["domain"], domain["id"], "{said}");
        }
    }

    /// The hash of the executable before the act.
    pub(super) fn digest_before(&self) -> Value {
        digest(self.before)
    }

    /// The version that was at the path. Where no program knows its own, it is the recorded one, also if
    /// a person put another program there.
    fn installed_before(&self, journal: &Value) -> Version {
        match version_in(&journal["installed"]["version"]).filter(|_| !self.is_running) {
            Some(recorded) => recorded,
            None => self.installed(self.before).clone(),
        }
    }

    /// Only a person holds a version and ends a hold.
    fn holds(&self, old: &Value, now: &Value, done: bool) {
        let versions =
            |of: &Value| versions_in(&items(&of["held"]).map(|hold| hold["version"].clone()).collect());
        let mut held = versions(old);
        if done && matches!(self.step, Step::Rollback) {
            let from = self.installed_before(old);
            let to = previous(old).and_then(|kept| version_in(&kept["version"]));
            held.retain(|version| *version != from && Some(version) != to.as_ref());
            held.push(from);
        }
        assert_eq!(versions(now), held, "{old} to {now}");
    }

    /// SPEC section 6: what a rollback brought back is of the same trust domain and of the trusted epoch,
    /// not below a lowest version of any channel, and not withdrawn.
    pub(super) fn may_come_back(&self) {
        let own = |name| record(self.before, name).filter(|_| self.own.is(name));
        let (Some(journal), Some(floors)) = (own("journal"), own("floors")) else { return };
        let came = previous(&journal).expect("the previous executable is recorded");
        let to = version_in(&came["version"]).expect("its version is recorded");
        let root = |of: &Value| of["domain"].as_str().unwrap_or_default().to_owned();
        let Some(domain) = domain_of(&floors, &root(&came)) else { return };
        let said = format!("{to} came back: {journal}, {floors}");
        if journal["installed"]["blake3"] == digest(self.before) {
            assert_eq!(domain_of(&floors, &root(&journal["installed"])), Some(domain), "{said}");
        }
        assert_eq!(came["epoch"], domain["epoch"], "{said}");
        let trusted = items(&domain["epochs"]).filter(|floors| floors["epoch"] == domain["epoch"]);
        for floor in trusted.flat_map(|floors| items(&floors["channels"])) {
            if let Some(min) = version_in(&floor["min_version"]) {
                assert!(!to.compare(&min).is_ok_and(|order| order.is_lt()), "{said}");
            }
            assert!(!versions_in(&floor["retracted"]).contains(&to), "{said}");
        }
    }

    /// After a check or an update that was not refused: all records are there, also if they were damaged
    /// before, and the finding is that of SPEC step 8.
    pub(super) fn found(&self) {
        let journal = record(self.after, "journal").expect("a check that succeeds records the journal");
        let floors = record(self.after, "floors").expect("a check that succeeds records floors");
        if !self.own.is("floors") || !self.own.is("journal") {
            return;
        }
        let program = self.program.expect("a program checked");
        let (domain, _) = self.trusted(&floors).expect("a check that succeeds has a trust domain");
        let (epoch, _) = newest_floor(domain, program.channel).expect("a check that succeeds has a floor");
        assert_eq!(*epoch, domain["epoch"], "a release of a dead epoch: {floors}");
        self.is_fresh(domain, program);
        if !self.own.is("cache") {
            return;
        }
        let cache = record(self.after, "cache").expect("a check that succeeds records the cache");
        let release = self.accepted(domain, program).expect("something was accepted");
        let old = record(self.before, "journal").unwrap_or_default();
        let installed = &self.installed_before(&old);
        let is_in_rollout = |pointer: &Value| journal["rollout"].as_u64() < pointer["rollout"].as_u64();
        let pointers = || self.pointers_of(program.chain, domain, program.channel);
        let order = release.version.compare(installed).expect("a change of kind is refused");
        let found = cache["finding"]["is"].as_str().unwrap_or_default();
        let said = format!("{installed}, {}, {cache}", release.version);
        let held = items(&journal["held"]).any(|hold| hold["version"] == release.version.to_string());
        let mut wanted = false;
        if order.is_le() && !release.retracts.contains(installed) {
            assert_eq!(found, "current", "{said}");
        } else if release.executable.is_none() {
            assert_eq!(found, "no-target", "{said}");
        } else if held {
            assert_eq!(found, "held", "{said}");
        } else if found == "not-in-rollout" {
            let left_out = pointers().any(|pointer| !is_in_rollout(pointer));
            assert!(left_out && !release.critical && !self.now, "{said}");
        } else {
            assert!(pointers().any(is_in_rollout) || release.critical || self.now, "{said}");
            wanted = matches!(self.step, Step::Update);
            assert_eq!(found, if wanted { "current" } else { "outdated" }, "{said}");
        }
        let about = if wanted { &release.version } else { installed };
        assert_eq!(version_in(&cache["about"]["version"]).as_ref(), Some(about), "{said}");
        if wanted {
            assert_eq!(self.installed(self.after), about, "{said}");
        }
        assert_eq!(cache["anchor"], chains::hash(program.chain, program.anchor), "{said}");
        assert_eq!(cache["channel"], program.channel, "{said}");
    }
}

/// The record of the executable that a rollback brings back.
fn previous(journal: &Value) -> Option<Value> {
    let mut kept = items(&journal["kept"]).find(|kept| kept["file"] == "previous")?.clone();
    kept.as_object_mut()?.remove("file");
    Some(kept)
}

fn digest(of: &Snapshot) -> Value {
    of.executable().map(|bytes| Digest::of(bytes).to_string()).into()
}
