//! What `state` says after an act, by SPEC steps 7 and 8 and section 6: worked out from what was published and what `state` said before.

use relatch::trust::Version;
use serde_json::{Value, json};

use super::invariant::{Scene, state, version_in};
use super::script::Step;
use super::world::{self, Release};

impl Scene<'_> {
    pub(super) fn record(&self, done: bool) {
        let old = state(self.before);
        let Some(now) = state(self.after) else {
            return assert!(old.is_none() || !self.state_is_own, "the state was lost");
        };
        self.is_signed(old.as_ref(), &now);
        if !self.state_is_own {
            return; // What somebody wrote into it is the truth now, or damage.
        }
        // As a new one says it.
        let old = old.unwrap_or_else(|| {
            let floors = json!({"epoch": 0, "seq": 0, "issued": 0, "manifest": null});
            json!({"root_version": 0, "root_epoch": 0, "floors": floors, "min_version": null, "critical": false, "held": []})
        });
        never_lower(&old, &now);
        self.step_7(&old, &now);
        self.holds(&old, &now, done);
        self.current(&now);
        if done && matches!(self.step, Step::Check | Step::Update) {
            self.is_fresh(&now);
            self.step_8(&old, &now);
        }
    }

    /// RollbackGuard move only to what a timestamp key signed about a manifest that a threshold of release keys signed.
    fn is_signed(&self, old: Option<&Value>, now: &Value) {
        let as_it_was = |field: &str| old.is_some_and(|old| old[field] == now[field]);
        if !(as_it_was("floors") && as_it_was("expires")) && now["floors"]["epoch"] != 0 {
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
                self.accepted(now).is_some_and(|release| {
                    pointer["epoch"] == release.epoch
                        && pointer["seq"] == release.seq
                        && (pointer["version"] == release.version.to_string()
                            || was_nothing(pointer, release))
                })
            };
            assert!(self.pointers_of(now).any(agrees), "nobody signed the floors of {now}");
        }
        let signed = |release: &Release| release.min_version == version_in(&now["min_version"]);
        let known = as_it_was("min_version") || self.world.releases.iter().any(signed);
        assert!(known, "nobody signed {}", now["min_version"]);
    }

    /// `min_version` and `critical` follow from what was accepted: the one never falls within an epoch, and ends with it.
    fn step_7(&self, old: &Value, now: &Value) {
        let same_epoch = old["floors"]["epoch"] == now["floors"]["epoch"];
        let known = version_in(&old["min_version"]).filter(|_| same_epoch);
        let (min, critical) = match self.accepted(now) {
            Some(release) => (higher(known, release.min_version.clone()), release.critical),
            None => (known, false),
        };
        assert_eq!(version_in(&now["min_version"]), min, "{old} to {now}");
        assert_eq!(now["critical"], critical, "{old} to {now}");
    }

    /// A person alone holds a version and ends a hold.
    fn holds(&self, old: &Value, now: &Value, done: bool) {
        let mut held = list(&old["held"]);
        if done && matches!(self.step, Step::Rollback) {
            let (from, to) = (self.installed(self.before), self.installed(self.after));
            // A restored state may call what is at the path by another name.
            if !self.is_running && old["installed"]["version"] != from.to_string() {
                return;
            }
            held.retain(|version| *version != from && *version != to);
            held.push(from);
        }
        assert_eq!(list(&now["held"]), held, "{old} to {now}");
    }

    /// What is called current is not below the release that was accepted last, nor retracted by it: so a hold is never called current.
    fn current(&self, now: &Value) {
        let (Some(release), Some(judged)) = (self.accepted(now), version_in(&now["judged"])) else { return };
        if now["standing"]["is"] == "current" {
            let above = release.version.compare(&judged).is_ok_and(|order| order.is_gt());
            assert!(!above && !release.retracts.contains(&judged), "{now}");
        }
    }

    /// After a check or an update that was not refused.
    fn step_8(&self, old: &Value, now: &Value) {
        let release = self.accepted(now).expect("something was accepted");
        let installed = self.installed(self.before);
        let is_in_rollout = |pointer: &Value| now["rollout"].as_u64() < pointer["rollout"].as_u64();
        let order = release.version.compare(&installed).expect("a change of kind is refused");
        let standing = now["standing"]["is"].as_str().unwrap_or_default();
        let said = format!("{installed}, {}, {now}", release.version);
        let mut wanted = false;
        if order.is_le() && !release.retracts.contains(&installed) {
            assert_eq!(standing, "current", "{said}");
        } else if release.executable.is_none() {
            assert_eq!(standing, "no-target", "{said}");
        } else if list(&old["held"]).contains(&release.version) {
            assert_eq!(standing, "held", "{said}");
        } else if standing == "not-in-rollout" {
            let left_out = self.pointers_of(now).any(|pointer| !is_in_rollout(pointer));
            assert!(left_out && !release.critical && !self.now, "{said}");
        } else {
            let offered = self.pointers_of(now).any(is_in_rollout);
            assert!(offered || release.critical || self.now, "{said}");
            wanted = matches!(self.step, Step::Update);
            assert_eq!(standing, if wanted { "current" } else { "outdated" }, "{said}");
        }
        let judged = if wanted { &release.version } else { &installed };
        assert_eq!(version_in(&now["judged"]).as_ref(), Some(judged), "{said}");
        assert_eq!(self.installed(self.after), *judged, "{said}");
    }
}

fn never_lower(old: &Value, now: &Value) {
    let number = |of: &Value, field: &str| of[field].as_u64().expect("a number");
    let said = format!("{old} to {now}");
    assert!(number(old, "root_version") <= number(now, "root_version"), "{said}");
    assert!(number(old, "root_epoch") <= number(now, "root_epoch"), "{said}");
    let epoch = match number(now, "root_version") {
        0 => 0,
        number => world::epoch_of(number as usize),
    };
    assert_eq!(number(now, "root_epoch"), epoch, "{said}");
    let pair = |of: &Value| (number(&of["floors"], "epoch"), number(&of["floors"], "seq"));
    assert!(pair(old) <= pair(now), "{said}");
    if pair(old) == pair(now) {
        assert_eq!(
            old["floors"]["manifest"], now["floors"]["manifest"],
            "two releases of one number: {said}"
        );
        assert!(number(&old["floors"], "issued") <= number(&now["floors"], "issued"), "{said}");
    }
}

/// The higher of two floors; the new one where they do not compare.
fn higher(old: Option<Version>, new: Option<Version>) -> Option<Version> {
    match (old, new) {
        (Some(old), Some(new)) if new.compare(&old).is_ok_and(|order| order.is_lt()) => Some(old),
        (old, new) => new.or(old),
    }
}

fn list(versions: &Value) -> Vec<Version> {
    versions.as_array().into_iter().flatten().filter_map(version_in).collect()
}
