//! The files `journal`, `floors` and `cache` of the clients in these vectors, and what a check does with them.

use serde_json::{Value, json};

use super::super::release::{DAY, EPOCH, HOUR, NOW, PRODUCT, Release, blake3, executable};

/// Stands for the hash of the root that the client carries.
pub const ANCHOR: &str = "the hash of the anchor";

/// Line 1 of each; null for one that does not exist.
#[derive(Clone)]
pub struct Kept {
    pub journal: Value,
    pub floors: Value,
    pub cache: Value,
}

/// The executable of this version, as a release installs it.
pub fn copy(version: &str) -> Value {
    json!({"version": version, "blake3": blake3(&executable(version)), "epoch": EPOCH, "domain": ANCHOR})
}

/// What the journal records of the file `previous`.
pub fn previous(executable: &Value) -> Value {
    let mut kept = json!({"file": "previous"});
    kept.as_object_mut().unwrap().extend(executable.as_object().unwrap().clone());
    kept
}

/// The floor that this release leaves.
pub fn floor(release: &Release) -> Value {
    let pointer = release.pointer();
    json!({
        "channel": pointer["channel"],
        "seq": pointer["seq"],
        "issued": pointer["issued"],
        "manifest": pointer["manifest"],
        "expires": pointer["expires"],
        "manifest_expires": release.manifest["expires"],
        "critical": release.manifest["critical"],
        "min_version": release.manifest["min_version"],
        "retracted": release.manifest["retracts"],
    })
}

impl Kept {
    /// It installed 1.3.0 two days ago and asked for roots an hour ago.
    pub fn base() -> Self {
        let mut kept = Kept { journal: Value::Null, floors: Value::Null, cache: Value::Null };
        kept.create();
        (kept.journal["rollout"], kept.journal["installed"]) = (50.into(), copy("1.3.0"));
        kept.domain()["epochs"] = json!([{"epoch": EPOCH, "channels": [floor(&Release::installed())]}]);
        (kept.cache["finding"], kept.cache["checked"], kept.cache["root_checked"]) =
            (json!({"is": "current"}), (NOW - HOUR).into(), (NOW - HOUR).into());
        kept.cache["about"] = json!({"version": "1.3.0", "blake3": copy("1.3.0")["blake3"]});
        kept
    }

    /// What is not there is new, and knows nothing.
    pub fn create(&mut self) {
        if self.journal.is_null() {
            self.journal = json!({
                "type": "relatch-journal/1",
                "product": PRODUCT,
                "rollout": null,
                "installed": null,
                "kept": [],
                "held": [],
                "pending": null,
            });
        }
        if self.floors.is_null() {
            self.create_floors();
        }
        // One of another channel or root is none.
        if self.cache.is_null() || self.cache["channel"] != "stable" || self.cache["anchor"] != ANCHOR {
            self.cache = json!({
                "type": "relatch-cache/1",
                "product": PRODUCT,
                "channel": "stable",
                "anchor": ANCHOR,
                "validator": null,
                "finding": {"is": "unknown"},
                "about": null,
                "failed_probe": null,
                "checked": null,
                "root_checked": null,
                "failure": null,
                "warned": null,
            });
        }
    }

    /// A trust domain begins with the anchor.
    pub fn create_floors(&mut self) {
        self.floors = json!({
            "type": "relatch-floors/1",
            "product": PRODUCT,
            "domains": [{"id": ANCHOR, "lineage": {"first": null, "hashes": [ANCHOR]}, "epoch": null, "epochs": []}],
        });
    }

    pub fn file(&mut self, name: &str) -> &mut Value {
        match name {
            "journal" => &mut self.journal,
            "floors" => &mut self.floors,
            _ => &mut self.cache,
        }
    }

    /// The trust domain that was used last.
    pub fn domain(&mut self) -> &mut Value {
        &mut self.floors["domains"][0]
    }

    /// The floor that was reached last.
    pub fn floor(&mut self) -> &mut Value {
        let epochs = self.domain()["epochs"].as_array_mut().unwrap();
        &mut epochs.last_mut().unwrap()["channels"][0]
    }

    /// Step 7, for the records of what was accepted. `min_version` is the release's, if it has one.
    pub fn accept(&mut self, release: &Release, refreshed: bool) {
        if refreshed {
            let (issued, expires) =
                (release.pointer()["issued"].clone(), release.pointer()["expires"].clone());
            (self.floor()["issued"], self.floor()["expires"]) = (issued, expires);
            return;
        }
        let mut new = floor(release);
        let epoch = release.pointer()["epoch"].as_u64().unwrap();
        let epochs = self.domain()["epochs"].as_array_mut().unwrap();
        let place = epochs.iter().position(|floors| floors["epoch"].as_u64().unwrap() >= epoch);
        let place = place.unwrap_or(epochs.len());
        if epochs.get(place).is_none_or(|floors| floors["epoch"] != epoch) {
            epochs.insert(place, json!({"epoch": epoch, "channels": []}));
        }
        let channels = epochs[place]["channels"].as_array_mut().unwrap();
        if let Some(place) = channels.iter().position(|floor| floor["channel"] == new["channel"]) {
            let old = channels.remove(place);
            if new["min_version"].is_null() {
                new["min_version"] = old["min_version"].clone();
            }
            let mut retracted = old["retracted"].as_array().unwrap().clone();
            let retracts = new["retracted"].as_array().unwrap();
            retracted.retain(|known| !retracts.contains(known) && *known != release.manifest["version"]);
            retracted.extend(retracts.clone());
            new["retracted"] = retracted.into();
        }
        channels.insert(0, new);
    }

    /// Step 7, for the result of the check.
    pub fn found(&mut self, finding: Value, running: &Value, clock: Value, walked: bool) {
        let installed = &self.journal["installed"];
        let recorded = Some(&installed["blake3"]).filter(|_| installed["version"] == *running);
        self.cache["about"] = json!({"version": running, "blake3": recorded.unwrap_or(&Value::Null)});
        if walked {
            self.cache["root_checked"] = clock.clone();
        }
        (self.cache["finding"], self.cache["checked"]) = (finding, clock);
    }

    /// Whether the end of the chain was asked for within a day.
    pub fn is_chain_recent(&self, clock: u64) -> bool {
        let is_about_this = self.cache["channel"] == "stable" && self.cache["anchor"] == ANCHOR;
        let asked = self.cache["root_checked"].as_u64().filter(|_| is_about_this);
        let has_domain = self.floors["domains"].as_array().is_some_and(|domains| !domains.is_empty());
        has_domain && asked.is_some_and(|asked| clock.abs_diff(asked) < DAY)
    }

    /// With the values of this anchor.
    pub fn of_anchor(&self, anchor: &Value) -> Self {
        let mut kept = self.clone();
        let domains = kept.floors.get_mut("domains").and_then(Value::as_array_mut);
        for domain in domains.into_iter().flatten() {
            if domain["lineage"]["first"].is_null() {
                domain["lineage"]["first"] = anchor["version"].clone();
            }
            if domain["epoch"].is_null() {
                domain["epoch"] = anchor["epoch"].clone();
            }
        }
        for file in [&mut kept.journal, &mut kept.floors, &mut kept.cache] {
            let hash = super::root_hash(anchor);
            *file = serde_json::from_str(&file.to_string().replace(ANCHOR, &hash)).unwrap();
        }
        kept
    }
}
