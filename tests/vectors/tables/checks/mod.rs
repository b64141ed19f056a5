//! `check-*.json`: a client, a repository, and what comes of it. Each vector is the control with something changed.

mod blobs;
mod chain;
mod decision;
mod manifest;
mod rollback;
mod roots;
mod state;
mod version;

use serde_json::{Map, Value, json};

use super::release::{DAY, EPOCH, HOUR, NOW, Objects, PRODUCT, Release, TARGET, blake3, executable, root};
use crate::file::{CONTENT, File, bytes, content};
use crate::minisign::{Key, sign_all};

pub fn files() -> Vec<File> {
    vec![
        file("check-roots", "The root chain.", "section 5, steps 3 and 5; section 4.2", roots::cases()),
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
            "What the client kept, or lost, and an executable that the state does not know.",
            "section 4.2; section 5, steps 2 and 12",
            state::cases(),
        ),
        file("check-rollback", "Going back.", "section 6", rollback::cases()),
    ]
}

fn file(name: &'static str, about: &'static str, spec: &'static str, vectors: Vec<Value>) -> File {
    let base = json!({"client": client(), "state": state(), "repository": repository()});
    let fields = vec![
        (
            "base",
            "what each vector begins with: its `client`, `state` and `repository` say only what is different, field by field and path by path; a field that is an object is replaced whole",
        ),
        ("name", "unique in this file"),
        ("comment", "what the vector is for"),
        (
            "like",
            "instead of the base: begins with what the vector of that name has, its own changes included",
        ),
        (
            "client",
            "the situation: `product`, `channel` and `target`, what it is; `anchor`, the root document that it carries; `root`, the content of its file `root`, or null; `executable`, the bytes at its path; `version`, which the running program carries; `previous`, the file of that name, or null; `state_file`, see `state`; `clock`, the system's, which stands still; `now`, whether a person asks with --update=now; `command`, \"update\" or \"rollback\"",
        ),
        (
            "state",
            "the content of `state` (SPEC section 4.1), hash of the second line left out. `state_file` of the client says how it lies there: \"there\"; \"absent\": not at all, and `state` is a new one, but for its `rollout`; \"damaged\": with 64 zeros as its second line",
        ),
        (
            "repository",
            "path: content, or null where nothing lies; a path that is not named is absent, too. No entity tags.",
        ),
        ("bytes", CONTENT),
        (
            "result",
            "\"install\": `version` is installed; \"nothing\": nothing is to be done; \"refuse\"; \"unavailable\": `object` is missing. Whatever is not \"install\" leaves the executable as it was",
        ),
        (
            "step",
            "the step of SPEC that says so: for \"refuse\" and \"nothing\". \"kind\" is the check between 5 and 6; \"2\", \"3\", \"6\" and \"9\" stand without a letter; \"6.1\" to \"6.3\" are the conditions of section 6",
        ),
        ("document", "for step 5: \"root\" or \"version\""),
        (
            "reason",
            "where one step has several outcomes. 2: \"damaged\", the state. 3: \"limit\", of a root or its signatures; \"root-lowered\", the last root is below `root_version`; \"too-many-roots\". 5 and 6k: \"expired\"; \"future\". 6: \"limit\", of the manifest or its signatures. 8a: \"target\". 8b: \"current\". 8c: \"held\". 8e: \"rollout\". 9: \"no-form\", none is usable; \"short\" and \"long\", the blob has not the signed size; \"hash\", nor is it of the signed hash; \"output-long\", output goes on above the artifact's `size`; \"undecodable\", every other fault of a frame, a wrong content size too. Output that ends early or has another hash is step 10. 6.1: \"nothing\", there is no previous; \"altered\", its hash is another one",
        ),
        (
            "needed",
            "for a threshold that is not met: the threshold; `valid`: how many distinct keys have signed",
        ),
        (
            "after",
            "what is different afterwards, everything else is as before: `executable` and `previous`, as in client; `trusted_root`, the number of the root that was persisted: the file `root` then is that root/<n>.json of the repository, LF, and its signatures (else it is as before); `state`, the fields of it that changed, of those in `compared`. Where the state was damaged or absent and `state` is not here, it still is",
        ),
        (
            "compared",
            "the fields of `state` that a vector speaks about: channel, root_version, root_epoch, floors, expires, critical, min_version, installed, previous, held",
        ),
    ];
    File { name, about, spec, fields, base: Some(base), vectors }
}

pub const COMPARED: [&str; 10] = [
    "channel",
    "root_version",
    "root_epoch",
    "floors",
    "expires",
    "critical",
    "min_version",
    "installed",
    "previous",
    "held",
];

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
        "state_file": "there",
        "clock": NOW,
        "now": false,
    })
}

fn copy(version: &str) -> Value {
    json!({"version": version, "blake3": blake3(&executable(version)), "epoch": EPOCH})
}

/// It installed 1.3.0 two days ago and asked for roots an hour ago.
fn state() -> Value {
    let installed = Release::installed();
    let pointer = installed.pointer();
    json!({
        "type": "relatch-state/1",
        "product": PRODUCT,
        "channel": "stable",
        "root_version": 1,
        "root_epoch": EPOCH,
        "floors": floors(&pointer),
        "expires": pointer["expires"],
        "seen": null,
        "critical": false,
        "min_version": null,
        "installed": copy("1.3.0"),
        "previous": null,
        "held": [],
        "pending": null,
        "unable": null,
        "standing": {"is": "current"},
        "judged": "1.3.0",
        "rollout": 50,
        "checked": NOW - HOUR,
        "failed": 0,
        "root_walked": NOW - HOUR,
    })
}

fn floors(pointer: &Value) -> Value {
    json!({"epoch": pointer["epoch"], "seq": pointer["seq"], "issued": pointer["issued"], "manifest": pointer["manifest"]})
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

/// A vector in the making.
struct Case {
    name: String,
    comment: String,
    client: Map<String, Value>,
    state: Map<String, Value>,
    objects: Objects,
    release: Release,
    after: Map<String, Value>,
    after_state: Map<String, Value>,
    refreshed: bool,
}

impl Case {
    fn new(name: impl Into<String>, comment: impl Into<String>) -> Self {
        Case {
            name: name.into(),
            comment: comment.into(),
            client: Map::new(),
            state: Map::new(),
            objects: Objects::new(),
            release: Release::good(),
            after: Map::new(),
            after_state: Map::new(),
            refreshed: false,
        }
    }

    fn client(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.client.insert(field.into(), value.into());
        self
    }

    fn clock(self, clock: u64) -> Self {
        self.client("clock", clock)
    }

    /// A person asks with --update=now.
    fn now(self) -> Self {
        self.client("now", true)
    }

    fn state(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.state.insert(field.into(), value.into());
        self
    }

    /// One of the floors that the client has.
    fn floor(mut self, field: &str, value: impl Into<Value>) -> Self {
        let floors = self.state.entry("floors").or_insert_with(|| state()["floors"].clone());
        floors[field] = value.into();
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

    /// The root that it carries.
    fn anchor(mut self, root: &Value) -> Self {
        self.objects.extend(root_objects(1, root, &super::release::keys(&[1])));
        self.client("anchor", root.to_string())
    }

    /// Afterwards this root is kept, and the state knows of it.
    fn trusts(self, number: u64, epoch: u64) -> Self {
        let mut case = self.then("root_version", number).then("root_epoch", epoch);
        case.after.insert("trusted_root".into(), number.into());
        case
    }

    /// A field of the state afterwards, where it does not follow from the release.
    fn then(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.after_state.insert(field.into(), value.into());
        self
    }

    /// Step 6 was left out: only `issued` and `expires` advance.
    fn refreshed(mut self) -> Self {
        self.refreshed = true;
        self
    }

    fn before(&self, field: &str) -> Value {
        self.state.get(field).cloned().unwrap_or_else(|| state()[field].clone())
    }

    /// Step 7.
    fn advance(&mut self) {
        let pointer = self.release.pointer();
        let mut moved = Map::new();
        if self.refreshed {
            let mut kept = self.before("floors");
            kept["issued"] = pointer["issued"].clone();
            moved.insert("floors".into(), kept);
        } else {
            moved.insert("floors".into(), floors(&pointer));
            moved.insert("critical".into(), self.release.manifest["critical"].clone());
            if self.release.manifest["min_version"] != Value::Null {
                moved.insert("min_version".into(), self.release.manifest["min_version"].clone());
            }
        }
        moved.insert("expires".into(), pointer["expires"].clone());
        for (field, value) in moved {
            self.after_state.entry(field).or_insert(value);
        }
    }

    /// Nothing is installed, and nothing advances but what `trusts` and `then` say.
    fn refuse(self, step: &str) -> Value {
        self.refuse_with(step, json!({}))
    }

    fn refuse_with(self, step: &str, more: Value) -> Value {
        let mut told = json!({"result": "refuse", "step": step});
        told.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.finish(told)
    }

    /// A threshold that is not met.
    fn too_few(self, step: &str, needed: u64, valid: u64) -> Value {
        self.refuse_with(step, json!({"needed": needed, "valid": valid}))
    }

    /// After step 7.
    fn refuse_late(mut self, step: &str, more: Value) -> Value {
        self.advance();
        self.refuse_with(step, more)
    }

    fn unavailable(self, object: impl Into<String>) -> Value {
        self.finish(json!({"result": "unavailable", "object": object.into()}))
    }

    /// After step 7.
    fn unavailable_late(mut self, object: impl Into<String>) -> Value {
        self.advance();
        self.unavailable(object)
    }

    fn nothing(mut self, step: &str, reason: &str) -> Value {
        self.advance();
        self.finish(json!({"result": "nothing", "step": step, "reason": reason}))
    }

    /// The release's executable, which has these bytes.
    fn installs_bytes(self, executable: &[u8]) -> Value {
        self.installs_content(content(executable))
    }

    fn installs_content(mut self, executable: Value) -> Value {
        self.advance();
        let version = self.release.manifest["version"].clone();
        let epoch = self.after_state.get("root_epoch").cloned().unwrap_or_else(|| self.before("root_epoch"));
        let installed = json!({"version": version, "blake3": blake3(&bytes(&executable)), "epoch": epoch});
        let old = self.client.get("executable").cloned().unwrap_or_else(|| client()["executable"].clone());
        self.after.insert("executable".into(), executable);
        let previous = self.left(&old);
        self.after.insert("previous".into(), old);
        let case = self.then("installed", installed).then("previous", previous);
        case.finish(json!({"result": "install", "version": version}))
    }

    /// What an update records of the executable that it takes away (step 12).
    fn left(&self, executable: &Value) -> Value {
        let client = |field: &str| self.client.get(field).cloned().unwrap_or_else(|| client()[field].clone());
        let (recorded, blake3) = (self.before("installed"), blake3(&bytes(executable)));
        if recorded["blake3"] == blake3.as_str() && client("state_file") != "damaged" {
            return recorded;
        }
        let anchor: Value = serde_json::from_str(client("anchor").as_str().unwrap()).unwrap();
        json!({"version": client("version"), "blake3": blake3, "epoch": anchor["epoch"]})
    }

    fn installs(self) -> Value {
        let version = self.release.manifest["version"].as_str().unwrap().to_owned();
        self.installs_bytes(&executable(&version))
    }

    fn finish(mut self, told: Value) -> Value {
        let base = repository();
        let mut objects: Objects =
            self.release.objects().iter().map(|(path, bytes)| (path.clone(), content(bytes))).collect();
        objects.append(&mut self.objects);
        objects.retain(|path, value| match base.get(path) {
            Some(there) => there != value,
            None => !value.is_null(),
        });
        let changed: Map<_, _> = std::mem::take(&mut self.after_state)
            .into_iter()
            .filter(|(field, value)| *value != self.before(field))
            .collect();
        let mut vector = json!({"name": self.name, "comment": self.comment});
        for (field, part) in
            [("client", self.client), ("state", self.state), ("repository", objects.into_iter().collect())]
        {
            if !part.is_empty() {
                vector[field] = part.into();
            }
        }
        vector.as_object_mut().unwrap().extend(told.as_object().unwrap().clone());
        if !changed.is_empty() {
            self.after.insert("state".into(), changed.into());
        }
        vector["after"] = self.after.into();
        vector
    }
}

/// The base with what a vector changes.
pub fn whole(file: &Value, vector: &Value, part: &str) -> Map<String, Value> {
    let mut whole = match vector.get("like") {
        None => file["base"][part].as_object().unwrap().clone(),
        Some(name) => {
            let vectors = file["vectors"].as_array().unwrap();
            self::whole(file, vectors.iter().find(|vector| vector["name"] == *name).unwrap(), part)
        }
    };
    if let Some(changes) = vector.get(part) {
        whole.extend(changes.as_object().unwrap().clone());
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
