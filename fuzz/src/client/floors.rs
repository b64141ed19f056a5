//! What `floors` says after an act, by SPEC step 7 and section 4.3: derived from what was published, and
//! from what `floors` said before.

use relatch::trust::Version;
use serde_json::{Value, json};

use super::chains;
use super::invariant::Scene;
use super::record::{floor, items, later, record, version_in, versions_in};
use super::script::Step;
use super::world::Release;

impl Scene<'_> {
    pub(super) fn floors(&self, done: bool) {
        let old = record(self.before, "floors");
        let Some(now) = record(self.after, "floors") else {
            return assert!(old.is_none(), "the floors were lost");
        };
        if !self.own.is("floors") {
            return;
        }
        let old = old.unwrap_or_else(|| json!({"domains": []}));
        let chains: Vec<usize> = items(&now["domains"]).map(chain_of).collect();
        assert!(chains.len() < 2 || chains[0] != chains[1], "two domains of one chain: {old} to {now}");
        for known in items(&old["domains"]) {
            let domain = with_id(&now, &known["id"]).expect("no domain is forgotten");
            never_lower(known, domain);
        }
        for domain in items(&now["domains"]) {
            let known = with_id(&old, &domain["id"]).cloned().unwrap_or_default();
            for (epoch, floor) in floors_of(domain) {
                self.follows(&known, domain, epoch, floor, done);
            }
        }
    }

    /// A floor that changed is that of the program that acted. It moved to what a timestamp key signed
    /// about a manifest that a threshold of release keys signed, both of the program's own chain.
    fn follows(&self, known: &Value, domain: &Value, epoch: &Value, now: &Value, done: bool) {
        let channel = now["channel"].as_str().unwrap_or_default();
        let old = floor(known, epoch, channel).cloned().unwrap_or_default();
        if old == *now {
            return;
        }
        let said = format!("{known} to {domain}");
        assert!(!matches!(self.step, Step::Rollback), "a rollback moved a floor: {said}");
        assert!(done || !matches!(self.step, Step::Install), "a failed install moved a floor: {said}");
        let program = self.program.expect("no program checked");
        assert_eq!((chain_of(domain), channel), (program.chain, program.channel), "{said}");
        let anchor = chains::hash(program.chain, program.anchor);
        let is_member = items(&domain["lineage"]["hashes"]).any(|hash| hash == anchor);
        assert!(is_member, "the program's root was not connected: {said}");
        assert_eq!(*epoch, domain["epoch"], "not of the trusted epoch: {said}");

        let release = self.release(program.chain, channel, &now["manifest"]).expect("nobody signed it");
        let named = |pointer: &Value| {
            pointer["epoch"] == release.epoch
                && pointer["seq"] == release.seq
                && (pointer["version"] == release.version.to_string() || self.was_nothing(pointer, release))
        };
        assert!(self.pointers_of(program.chain, domain, channel).any(named), "nobody named it: {said}");
        assert_eq!(now["manifest_expires"], release.expires, "{said}");
        assert_eq!(now["critical"], release.critical, "{said}");
        let min = higher(version_in(&old["min_version"]), release.min_version.clone());
        assert_eq!(version_in(&now["min_version"]), min, "{said}");
        let mut retracted = versions_in(&old["retracted"]);
        retracted.retain(|version| !release.retracts.contains(version) && *version != release.version);
        retracted.extend(release.retracts.iter().cloned());
        assert_eq!(versions_in(&now["retracted"]), retracted, "{said}");
    }

    /// Of a manifest that left nothing to do, the version is not compared again: there still is nothing
    /// to do.
    fn was_nothing(&self, pointer: &Value, release: &Release) -> bool {
        if !self.own.is("cache") {
            return true;
        }
        let cache = record(self.after, "cache").unwrap_or_default();
        cache["finding"]["is"] == "current"
            && cache["about"]["version"] == pointer["version"]
            && version_in(&pointer["version"])
                .is_some_and(|named| release.version.compare(&named).is_ok_and(|order| order.is_lt()))
    }

    /// Fields and type numbers of a later version of relatch stay where they were.
    pub(super) fn later_fields(&self) {
        for name in ["journal", "floors"] {
            let Some(old) = record(self.before, name).filter(|_| self.own.is(name)) else { continue };
            let now = record(self.after, name).expect("no record is lost");
            assert_eq!(old["type"], now["type"], "the number of {name} is lost");
            let (there, found) = (later(&old), later(&now));
            for (object, fields) in there.iter().filter(|(object, _)| !self.is_new(object)) {
                let Some(found) = found.get(object) else { continue };
                for (field, value) in fields {
                    assert_eq!(found.get(field), Some(value), "{field} of {object} of {name} is lost: {now}");
                }
            }
        }
    }

    /// Whether this object is the record of an executable that was installed in this act, or found at the
    /// path in place of the recorded one.
    fn is_new(&self, object: &str) -> bool {
        let changed = self.before.executable() != self.after.executable();
        let old = record(self.before, "journal").unwrap_or_default();
        let was_replaced = old["installed"]["blake3"] != self.digest_before();
        object.starts_with("executable ")
            && changed
            && (was_replaced || matches!(self.step, Step::Update | Step::Install))
    }
}

/// The chain of a domain. All its roots are of that one, consecutive, and it has the epoch of the last one.
fn chain_of(domain: &Value) -> usize {
    let first = domain["lineage"]["first"].as_u64().expect("a number") as usize;
    let numbers = items(&domain["lineage"]["hashes"]).map(|hash| {
        let hash = hash.as_str().expect("a hash");
        chains::root_with_hash(hash).expect("a root that nobody published")
    });
    let roots: Vec<(usize, usize)> = numbers.collect();
    let chain = roots[0].0;
    let expected: Vec<_> = (first..first + roots.len()).map(|number| (chain, number)).collect();
    assert_eq!(roots, expected, "{domain}");
    let id = domain["id"].as_str().and_then(chains::root_with_hash);
    assert_eq!(id.map(|(chain, _)| chain), Some(chain), "{domain}");
    assert_eq!(domain["epoch"], chains::epoch_of(roots[roots.len() - 1].1), "{domain}");
    chain
}

fn with_id<'a>(floors: &'a Value, id: &Value) -> Option<&'a Value> {
    items(&floors["domains"]).find(|domain| domain["id"] == *id)
}

fn floors_of(domain: &Value) -> impl Iterator<Item = (&Value, &Value)> {
    items(&domain["epochs"])
        .flat_map(|floors| items(&floors["channels"]).map(|floor| (&floors["epoch"], floor)))
}

fn never_lower(old: &Value, now: &Value) {
    let number = |of: &Value, field: &str| of[field].as_u64().expect("a number");
    let said = format!("{old} to {now}");
    let ends = |domain: &Value| {
        let first = number(&domain["lineage"], "first");
        (first, first + items(&domain["lineage"]["hashes"]).count() as u64)
    };
    assert!(ends(now).0 <= ends(old).0 && ends(old).1 <= ends(now).1, "a root is forgotten: {said}");
    assert!(number(old, "epoch") <= number(now, "epoch"), "{said}");
    for (epoch, known) in floors_of(old) {
        let channel = known["channel"].as_str().unwrap_or_default();
        let floor = floor(now, epoch, channel).expect("no floor is forgotten");
        assert!(number(known, "seq") <= number(floor, "seq"), "{said}");
        if number(known, "seq") == number(floor, "seq") {
            assert_eq!(known["manifest"], floor["manifest"], "two releases of one number: {said}");
            assert!(number(known, "issued") <= number(floor, "issued"), "{said}");
        }
    }
}

/// The higher of two lowest versions; the new one if they do not compare.
fn higher(old: Option<Version>, new: Option<Version>) -> Option<Version> {
    match (old, new) {
        (Some(old), Some(new)) if new.compare(&old).is_ok_and(|order| order.is_lt()) => Some(old),
        (old, new) => new.or(old),
    }
}
