//! `check-*.json`: a client, a repository, and what comes of it. Each vector is the control with something changed.

mod blobs;
mod chain;
mod decision;
mod form;
mod kept;
mod lineage;
mod manifest;
mod rollback;
mod roots;
mod state;
mod version;

use serde_json::{Map, Value, json};

use self::form::file;
use self::kept::Kept;
use super::release::{DAY, NOW, Objects, PRODUCT, Release, TARGET, blake3, executable, root};
use crate::file::{File, bytes, content};
use crate::minisign::{Key, sign_all};

pub fn files() -> Vec<File> {
    vec![
        file("check-roots", "The root chain.", "section 5, steps 3 and 5; section 4.2", roots::cases()),
        file(
            "check-lineage",
            "Which trust domain a check is about, where the anchor is not what was recorded.",
            "section 4.3",
            lineage::cases(),
        ),
        file(
            "check-version",
            "`VERSION`, time, and the kind of version.",
            "section 5, steps 4 and 5",
            version::cases(),
        ),
        file("check-manifest", "The manifest.", "section 5, step 6", manifest::cases()),
        file(
            "check-decision",
            "What follows from a verified release, and what is remembered of it.",
            "section 5, steps 7 and 8",
            decision::cases(),
        ),
        file(
            "check-blobs",
            "From a signed hash to an executable.",
            "section 5, steps 9 and 10",
            blobs::cases(),
        ),
        file(
            "check-state",
            "What the client kept, or lost, and an executable that the journal does not know.",
            "section 4.2; section 5, steps 2 and 12",
            state::cases(),
        ),
        file("check-rollback", "Going back.", "section 6", rollback::cases()),
    ]
}

/// The files of a client that a vector speaks about.
pub const FILES: [&str; 3] = ["journal", "floors", "cache"];

/// The fields of the cache that are compared.
pub const COMPARED: [&str; 9] =
    ["type", "product", "channel", "anchor", "finding", "about", "failed_probe", "checked", "root_checked"];

fn client() -> Value {
    json!({
        "command": "update",
        "product": PRODUCT,
        "channel": "stable",
        "target": TARGET,
        "anchor": root(1).to_string(),
        "root": null,
        "version": "1.3.0",
        "executable": content(&executable("1.3.0")),
        "previous": null,
        "kept": {},
        "to": null,
        "damaged": [],
        "clock": NOW,
        "now": false,
    })
}

/// Root 1 and the control.
fn repository() -> Value {
    let mut objects: Objects =
        Release::good().objects().iter().map(|(path, bytes)| (path.clone(), content(bytes))).collect();
    objects.extend(root_objects(1, &root(1), &[Key::new(1)]));
    objects.into_iter().collect::<Map<_, _>>().into()
}

/// A root and its signatures, as objects.
fn root_objects(number: u64, root: &Value, signers: &[Key]) -> [(String, Value); 2] {
    let text = root.to_string();
    let signatures = sign_all(signers, text.as_bytes());
    let path = format!("root/{number}.json");
    [(format!("{path}.minisig"), signatures.into()), (path, text.into())]
}

/// The content of the file `root`.
fn root_file(root: &Value, signers: &[Key]) -> Value {
    let text = root.to_string();
    format!("{text}\n{}", sign_all(signers, text.as_bytes())).into()
}

/// The hash of a root document.
fn root_hash(root: &Value) -> String {
    blake3(root.to_string().as_bytes())
}

type Change = Box<dyn FnOnce(&mut Kept)>;

/// A vector in the making.
struct Case {
    name: String,
    comment: String,
    client: Map<String, Value>,
    anchor: Value,
    kept: Kept,
    objects: Objects,
    release: Release,
    after: Map<String, Value>,
    /// What is recorded afterwards, where it does not follow from the release.
    then: Vec<Change>,
    refreshed: bool,
    /// The roots that were verified, by their numbers.
    trusted: Option<(u64, u64)>,
}

impl Case {
    fn new(name: impl Into<String>, comment: impl Into<String>) -> Self {
        Case {
            name: name.into(),
            comment: comment.into(),
            client: Map::new(),
            anchor: root(1),
            kept: Kept::base(),
            objects: Objects::new(),
            release: Release::good(),
            after: Map::new(),
            then: Vec::new(),
            refreshed: false,
            trusted: None,
        }
    }

    fn client(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.client.insert(field.into(), value.into());
        self
    }

    fn clock(self, clock: u64) -> Self {
        self.client("clock", clock)
    }

    fn now(self) -> Self {
        self.client("now", true)
    }

    /// These files do not exist.
    fn absent_files(mut self, names: &[&str]) -> Self {
        names.iter().for_each(|name| *self.kept.file(name) = Value::Null);
        self
    }

    /// The second line of this file is wrong.
    fn damaged(self, name: &str) -> Self {
        let mut damaged = self.client.get("damaged").cloned().unwrap_or(json!([]));
        damaged.as_array_mut().unwrap().push(name.into());
        self.client("damaged", damaged)
    }

    fn journal(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.kept.journal[field] = value.into();
        self
    }

    fn cache(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.kept.cache[field] = value.into();
        self
    }

    /// The floor of the client's channel.
    fn floor(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.kept.floor()[field] = value.into();
        self
    }

    /// Of the client's trust domain: `epoch` is that of its newest root.
    fn domain(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.kept.domain()[field] = value.into();
        self
    }

    /// The floor is of this epoch, and not of the root's.
    fn floor_of_epoch(mut self, epoch: u64) -> Self {
        self.kept.domain()["epochs"][0]["epoch"] = epoch.into();
        self
    }

    /// Nothing was accepted yet.
    fn no_floors(self) -> Self {
        self.domain("epochs", json!([]))
    }

    /// This root was verified as the next one.
    fn verified(mut self, root: &Value) -> Self {
        let domain = self.kept.domain();
        domain["lineage"]["hashes"].as_array_mut().unwrap().push(root_hash(root).into());
        domain["epoch"] = root["epoch"].clone();
        self
    }

    fn release(mut self, change: impl FnOnce(&mut Release)) -> Self {
        change(&mut self.release);
        self
    }

    /// An object as it is, over what the release has there.
    fn object(mut self, path: impl Into<String>, value: impl Into<Value>) -> Self {
        self.objects.insert(path.into(), value.into());
        self
    }

    fn absent(self, path: impl Into<String>) -> Self {
        self.object(path, Value::Null)
    }

    /// The next root of the repository.
    fn root(mut self, number: u64, root: &Value, signers: &[Key]) -> Self {
        self.objects.extend(root_objects(number, root, signers));
        self
    }

    /// The root that it carries, and with which its trust domain began.
    fn anchor(mut self, root: &Value) -> Self {
        self.objects.extend(root_objects(1, root, &super::release::keys(&[1])));
        self.anchor = root.clone();
        self.client("anchor", root.to_string())
    }

    /// Afterwards this root is kept, and it is of the lineage.
    fn trusts(mut self, number: u64, epoch: u64) -> Self {
        self.after.insert("trusted_root".into(), number.into());
        self.trusted = Some((number, epoch));
        self
    }

    fn then(mut self, change: impl FnOnce(&mut Kept) + 'static) -> Self {
        self.then.push(Box::new(change));
        self
    }

    fn then_journal(self, field: &'static str, value: impl Into<Value>) -> Self {
        let value = value.into();
        self.then(move |kept| kept.journal[field] = value)
    }

    fn then_floor(self, field: &'static str, value: impl Into<Value>) -> Self {
        let value = value.into();
        self.then(move |kept| kept.floor()[field] = value)
    }

    /// Step 6 was left out: only `issued` and `expires` advance.
    fn refreshed(mut self) -> Self {
        self.refreshed = true;
        self
    }

    fn of_client(&self, field: &str) -> Value {
        self.client.get(field).cloned().unwrap_or_else(|| client()[field].clone())
    }

    fn is_damaged(&self, name: &str) -> bool {
        self.of_client("damaged").as_array().unwrap().contains(&name.into())
    }

    /// What the client begins with: of what is damaged, it knows nothing.
    fn known(&self) -> Kept {
        let mut kept = self.kept.clone();
        for name in FILES {
            if self.is_damaged(name) {
                *kept.file(name) = Value::Null;
            }
        }
        kept
    }

    /// A release was verified: what is recorded from then on.
    fn advance(&self, kept: &mut Kept, finding: Value, walked: bool) {
        kept.create();
        self.trust(kept);
        kept.accept(&self.release, self.refreshed);
        let running = self.of_client("version");
        if kept.journal["installed"]["version"] != running {
            kept.journal["installed"] = Value::Null;
        }
        kept.found(finding, &running, self.of_client("clock"), walked || self.trusted.is_some());
    }

    /// The roots that were verified.
    fn trust(&self, kept: &mut Kept) {
        let Some((last, epoch)) = self.trusted else { return };
        let lineage = &mut kept.domain()["lineage"];
        let first = lineage["first"].as_u64().or(self.anchor["version"].as_u64()).unwrap();
        let known = first + lineage["hashes"].as_array().unwrap().len() as u64 - 1;
        for number in known + 1..=last {
            let text = self.objects.get(&format!("root/{number}.json")).unwrap();
            lineage["hashes"].as_array_mut().unwrap().push(blake3(&bytes(text)).into());
        }
        kept.domain()["epoch"] = epoch.into();
    }

    /// Nothing is installed, and nothing advances but what `trusts` and `then` say.
    fn refuse(self, step: &str) -> Value {
        self.refuse_with(step, json!({}))
    }

    fn refuse_with(self, step: &str, more: Value) -> Value {
        let mut kept = self.kept.clone();
        if self.trusted.is_some() && !self.is_damaged("floors") {
            if kept.floors.is_null() {
                kept.create_floors();
            }
            self.trust(&mut kept);
        }
        self.finish(refused(step, more), kept)
    }

    /// A threshold that is not met.
    fn too_few(self, step: &str, needed: u64, valid: u64) -> Value {
        self.refuse_with(step, json!({"needed": needed, "valid": valid}))
    }

    /// After step 7.
    fn refuse_late(self, step: &str, more: Value) -> Value {
        self.late(refused(step, more))
    }

    fn unavailable(self, object: impl Into<String>) -> Value {
        let kept = self.kept.clone();
        self.finish(json!({"result": "unavailable", "object": object.into()}), kept)
    }

    fn unavailable_late(self, object: impl Into<String>) -> Value {
        self.late(json!({"result": "unavailable", "object": object.into()}))
    }

    fn late(self, told: Value) -> Value {
        let mut kept = self.known();
        let finding = json!({"is": "outdated", "version": self.release.pointer()["version"]});
        self.advance(&mut kept, finding, true);
        self.finish(told, kept)
    }

    fn nothing(self, step: &str, reason: &str) -> Value {
        let mut kept = self.known();
        let version = self.release.pointer()["version"].clone();
        let finding = match reason {
            "current" => json!({"is": "current"}),
            "target" => json!({"is": "no-target", "version": version}),
            "held" => {
                json!({"is": "held", "version": version, "critical": self.release.manifest["critical"]})
            }
            _ => {
                json!({"is": "not-in-rollout", "version": version, "rollout": self.release.version["rollout"]})
            }
        };
        let walked = !kept.is_chain_recent(self.of_client("clock").as_u64().unwrap());
        self.advance(&mut kept, finding, walked);
        self.finish(json!({"result": "nothing", "step": step, "reason": reason}), kept)
    }

    /// The release's executable, which has these bytes.
    fn installs_bytes(self, executable: &[u8]) -> Value {
        self.installs_content(content(executable))
    }

    fn installs_content(mut self, executable: Value) -> Value {
        let (before, mut kept) = (self.known(), self.known());
        self.advance(&mut kept, json!({"is": "current"}), true);
        let (version, hash) = (self.release.manifest["version"].clone(), blake3(&bytes(&executable)));
        let (epoch, domain) = (kept.domain()["epoch"].clone(), kept.domain()["id"].clone());
        let epoch = Some(epoch).filter(|epoch| !epoch.is_null()).unwrap_or(self.anchor["epoch"].clone());
        kept.cache["about"] = json!({"version": version, "blake3": hash});
        kept.journal["installed"] =
            json!({"version": version, "blake3": hash, "epoch": epoch, "domain": domain});
        if self.release.manifest["critical"] == true {
            kept.journal["installed"]["critical"] = true.into();
        }
        let old = self.of_client("executable");
        kept.journal["kept"] = json!([self.left(&before, &old, &domain)]);
        self.after.insert("executable".into(), executable);
        self.after.insert("previous".into(), old);
        self.finish(json!({"result": "install", "version": version}), kept)
    }

    /// What an update records of the executable that it takes away (step 12).
    fn left(&self, before: &Kept, executable: &Value, domain: &Value) -> Value {
        let (recorded, hash) = (&before.journal["installed"], blake3(&bytes(executable)));
        if recorded["blake3"] == hash.as_str() {
            return kept::previous(recorded);
        }
        let version = self.of_client("version");
        let epoch = &self.anchor["epoch"];
        kept::previous(&json!({"version": version, "blake3": hash, "epoch": epoch, "domain": domain}))
    }

    fn installs(self) -> Value {
        let version = self.release.manifest["version"].as_str().unwrap().to_owned();
        self.installs_bytes(&executable(&version))
    }

    fn finish(mut self, told: Value, mut kept: Kept) -> Value {
        let base = repository();
        let mut objects: Objects =
            self.release.objects().iter().map(|(path, bytes)| (path.clone(), content(bytes))).collect();
        objects.append(&mut self.objects);
        objects.retain(|path, value| match base.get(path) {
            Some(there) => there != value,
            None => !value.is_null(),
        });
        std::mem::take(&mut self.then).into_iter().for_each(|change| change(&mut kept));
        let damaged = FILES.map(|name| self.is_damaged(name));
        let mut before = self.kept.of_anchor(&self.anchor);
        let (mut after, mut base) = (kept.of_anchor(&self.anchor), Kept::base().of_anchor(&root(1)));
        let mut vector = json!({"name": self.name, "comment": self.comment});
        if !self.client.is_empty() {
            vector["client"] = self.client.into();
        }
        for (name, damaged) in FILES.into_iter().zip(damaged) {
            let (before, after, base) = (before.file(name), after.file(name), base.file(name));
            if before.is_null() {
                vector[name] = Value::Null;
            } else if before != base {
                vector[name] = changes(base, before);
            }
            if after != before {
                let anew = before.is_null() || damaged;
                self.after.insert(name.into(), if anew { after.clone() } else { changes(before, after) });
            }
        }
        if !objects.is_empty() {
            vector["repository"] = objects.into_iter().collect::<Map<_, _>>().into();
        }
        vector.as_object_mut().unwrap().extend(told.as_object().unwrap().clone());
        vector["after"] = self.after.into();
        vector
    }
}

fn refused(step: &str, more: Value) -> Value {
    let mut told = json!({"result": "refuse", "step": step});
    told.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    told
}

/// The fields of `after` that are not those of `before`.
fn changes(before: &Value, after: &Value) -> Value {
    let changed = after.as_object().unwrap().iter().filter(|(field, value)| before[*field] != **value);
    Value::Object(changed.map(|(field, value)| (field.clone(), value.clone())).collect())
}

/// The base with what a vector changes; empty for a file that does not exist.
pub fn whole(file: &Value, vector: &Value, part: &str) -> Map<String, Value> {
    let mut whole = match vector.get("like") {
        None => file["base"][part].as_object().unwrap().clone(),
        Some(name) => {
            let vectors = file["vectors"].as_array().unwrap();
            self::whole(file, vectors.iter().find(|vector| vector["name"] == *name).unwrap(), part)
        }
    };
    match vector.get(part) {
        Some(Value::Null) => return Map::new(),
        Some(changes) => whole.extend(changes.as_object().unwrap().clone()),
        None => {}
    }
    whole
}

/// The objects that there are.
pub fn objects(file: &Value, vector: &Value) -> Vec<(String, Vec<u8>)> {
    whole(file, vector, "repository")
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(path, value)| (path, bytes(&value)))
        .collect()
}

/// `text`, and behind it blocks of a stranger that make it exactly `size` bytes long.
fn filled(text: &str, size: usize) -> Value {
    use crate::minisign::Block;
    let block = |comment: usize| {
        Block { untrusted: "x".repeat(comment), ..Key::new(9).block(b"another message") }.to_text()
    };
    let (shortest, most) = (block(0).len(), block(600));
    let times = (size - text.len() - shortest) / most.len();
    let last = block(size - text.len() - times * most.len() - shortest);
    json!({"parts": [text, {"repeat": most, "times": times}, last]})
}

const WEEK: u64 = 7 * DAY;
