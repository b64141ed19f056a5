//! A repository in a temporary directory, whose every document can be changed before it is signed, and after.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use relatch::source::Object;
use relatch::trust::Digest;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::minisign::{Key, sign_all};

pub const PRODUCT: &str = "widget";
const DAY: u64 = 24 * 60 * 60;

pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

pub struct Repository {
    pub dir: TempDir,
    pub channel: String,
    pub root_keys: Vec<Key>,
    pub release_keys: Vec<Key>,
    pub timestamp_keys: Vec<Key>,
    /// Of root, release, timestamp.
    pub thresholds: [u32; 3],
    pub epoch: u64,
    pub root_version: u64,
    pub seq: u64,
}

/// What an attack may turn, and [`Repository::restore`] turns back: keys, numbers and roots. The number of the last release only grows.
pub struct Knobs {
    channel: String,
    keys: [Vec<Key>; 3],
    thresholds: [u32; 3],
    epoch: u64,
    root_version: u64,
    roots: BTreeMap<PathBuf, Vec<u8>>,
}

/// A release before it is signed and written. Change what you like.
#[derive(Clone)]
pub struct Draft {
    pub manifest: Value,
    pub version: Value,
    /// The first line of `VERSION`, where it is not the version.
    pub first_line: Option<String>,
    /// Whether `VERSION` names the hash of the manifest as it is signed, whatever was put there.
    pub link: bool,
    pub blobs: Vec<Vec<u8>>,
    pub release_keys: Vec<Key>,
    pub timestamp_keys: Vec<Key>,
}

impl Repository {
    /// One key for each role.
    pub fn new() -> Self {
        Repository::with_keys(&[1], &[2], &[3], [1, 1, 1])
    }

    /// In epoch 2, with release number 6 as the next one, so that there is something lower.
    pub fn with_a_past() -> Self {
        let mut repository = Repository::new();
        (repository.epoch, repository.seq) = (2, 5);
        let root = repository.root();
        repository.write_root(1, &root, &repository.root_keys);
        repository
    }

    /// Keys by seed, and thresholds; root 1 is written.
    pub fn with_keys(root: &[u8], release: &[u8], timestamp: &[u8], thresholds: [u32; 3]) -> Self {
        let keys = |seeds: &[u8]| seeds.iter().map(|seed| Key::new(*seed)).collect::<Vec<_>>();
        let repository = Repository {
            dir: tempfile::tempdir().unwrap(),
            channel: "stable".into(),
            root_keys: keys(root),
            release_keys: keys(release),
            timestamp_keys: keys(timestamp),
            thresholds,
            epoch: 1,
            root_version: 1,
            seq: 0,
        };
        let root = repository.root();
        repository.write_root(1, &root, &repository.root_keys);
        repository
    }

    pub fn location(&self) -> String {
        self.dir.path().to_str().unwrap().into()
    }

    pub fn path(&self, object: &Object) -> PathBuf {
        self.dir.path().join(object.to_string())
    }

    pub fn version_path(&self) -> PathBuf {
        self.path(&Object::Version(self.channel.parse().unwrap()))
    }

    pub fn write(&self, object: &Object, content: impl AsRef<[u8]>) {
        let path = self.path(object);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// The root document that today's keys make, as a value to change.
    pub fn root(&self) -> Value {
        let mut all: Vec<String> = [&self.root_keys, &self.release_keys, &self.timestamp_keys]
            .into_iter()
            .flatten()
            .map(Key::hex)
            .collect();
        all.sort();
        all.dedup();
        let keys: Vec<Value> = all.iter().map(|public| json!({"alg": "ed25519", "public": public})).collect();
        let role = |keys: &[Key], threshold: u32| {
            let mut keys: Vec<String> = keys.iter().map(Key::hex).collect();
            keys.sort();
            json!({"keys": keys, "threshold": threshold})
        };
        json!({
            "type": "relatch-root/1",
            "product": PRODUCT,
            "version": self.root_version,
            "issued": now() - DAY,
            "expires": now() + 365 * DAY,
            "epoch": self.epoch,
            "keys": keys,
            "roles": {
                "root": role(&self.root_keys, self.thresholds[0]),
                "release": role(&self.release_keys, self.thresholds[1]),
                "timestamp": role(&self.timestamp_keys, self.thresholds[2]),
            },
        })
    }

    /// The bytes of the first root, as a tool embeds them.
    pub fn anchor(&self) -> Vec<u8> {
        std::fs::read(self.path(&Object::Root(1))).unwrap()
    }

    pub fn write_root(&self, number: u64, root: &Value, signers: &[Key]) {
        let bytes = root.to_string();
        self.write(&Object::Root(number), &bytes);
        self.write(&Object::RootSignatures(number), sign_all(signers, bytes.as_bytes()));
    }

    /// The next root with today's fields, signed by the keys before and after a change.
    pub fn rotate(&mut self, change: impl FnOnce(&mut Repository)) {
        let mut signers = self.root_keys.clone();
        change(self);
        self.root_version += 1;
        for key in &self.root_keys {
            if !signers.iter().any(|signer| signer.id == key.id) {
                signers.push(key.clone());
            }
        }
        let root = self.root();
        self.write_root(self.root_version, &root, &signers);
    }

    /// The next release, well-formed: one executable for the target `test`, stored as it is.
    pub fn draft(&mut self, version: &str, executable: &[u8]) -> Draft {
        self.seq += 1;
        let digest = Digest::of(executable).to_string();
        let manifest = json!({
            "type": "relatch-manifest/1",
            "product": PRODUCT,
            "channel": self.channel,
            "epoch": self.epoch,
            "root_version": self.root_version,
            "seq": self.seq,
            "version": version,
            "min_version": null,
            "critical": false,
            "retracts": [],
            "issued": now() - 60,
            "expires": now() + 90 * DAY,
            "notes": "",
            "artifacts": [{
                "target": "test",
                "size": executable.len(),
                "blake3": digest,
                "stored": [{"encoding": "identity", "from": null, "size": executable.len(), "blake3": digest}],
            }],
        });
        let pointer = json!({
            "type": "relatch-version/1",
            "product": PRODUCT,
            "channel": self.channel,
            "epoch": self.epoch,
            "seq": self.seq,
            "version": version,
            "manifest": "",
            "rollout": 100,
            "issued": now() - 60,
            "expires": now() + 7 * DAY,
        });
        Draft {
            manifest,
            version: pointer,
            first_line: None,
            link: true,
            blobs: vec![executable.to_vec()],
            release_keys: self.release_keys.clone(),
            timestamp_keys: self.timestamp_keys.clone(),
        }
    }

    /// Signs and writes a draft: blobs, manifest, then `VERSION`.
    pub fn publish(&self, draft: &Draft) {
        for blob in &draft.blobs {
            self.write(&Object::Blob(Digest::of(blob)), blob);
        }
        self.publish_documents(draft.manifest.to_string().as_bytes(), draft);
    }

    /// The same with the manifest's bytes as they are to be, canonical or not.
    pub fn publish_documents(&self, manifest: &[u8], draft: &Draft) {
        let digest = Digest::of(manifest);
        self.write(&Object::Manifest(digest), manifest);
        self.write(&Object::ManifestSignatures(digest), sign_all(&draft.release_keys, manifest));
        let mut pointer = draft.version.clone();
        if draft.link {
            pointer["manifest"] = digest.to_string().into();
        }
        let line = draft
            .first_line
            .clone()
            .unwrap_or_else(|| pointer["version"].as_str().unwrap_or_default().into());
        self.publish_version(&format!("{line}\n{pointer}\n"), &draft.timestamp_keys);
    }

    /// Signs and writes the two lines of `VERSION`, whatever they are.
    pub fn publish_version(&self, signed: &str, keys: &[Key]) {
        let object = Object::Version(self.channel.parse().unwrap());
        self.write(&object, format!("{signed}{}", sign_all(keys, signed.as_bytes())));
    }

    /// Draft and publish in one: a good release.
    pub fn release(&mut self, version: &str, executable: &[u8]) -> Draft {
        let draft = self.draft(version, executable);
        self.publish(&draft);
        draft
    }

    pub fn knobs(&self) -> Knobs {
        let roots = std::fs::read_dir(self.dir.path().join("root")).unwrap().map(|entry| {
            let path = entry.unwrap().path();
            let content = std::fs::read(&path).unwrap();
            (path, content)
        });
        Knobs {
            channel: self.channel.clone(),
            keys: [self.root_keys.clone(), self.release_keys.clone(), self.timestamp_keys.clone()],
            thresholds: self.thresholds,
            epoch: self.epoch,
            root_version: self.root_version,
            roots: roots.collect(),
        }
    }

    pub fn restore(&mut self, knobs: Knobs) {
        let dir = self.dir.path().join("root");
        std::fs::remove_dir_all(&dir).unwrap();
        std::fs::create_dir(&dir).unwrap();
        for (path, content) in knobs.roots {
            std::fs::write(path, content).unwrap();
        }
        [self.root_keys, self.release_keys, self.timestamp_keys] = knobs.keys;
        (self.channel, self.thresholds) = (knobs.channel, knobs.thresholds);
        (self.epoch, self.root_version) = (knobs.epoch, knobs.root_version);
    }

    /// Removes what nobody needs any more: all blobs but this one.
    pub fn forget_blobs_but(&self, executable: &[u8]) {
        let kept = self.path(&Object::Blob(Digest::of(executable)));
        for entry in std::fs::read_dir(self.dir.path().join("blobs")).unwrap() {
            let path = entry.unwrap().path();
            if path != kept {
                std::fs::remove_file(path).unwrap();
            }
        }
    }

    /// The signed lines of `VERSION` as it is now.
    pub fn version_lines(&self) -> Vec<u8> {
        let text = std::fs::read(self.version_path()).unwrap();
        text.split_inclusive(|byte| *byte == b'\n').take(2).flatten().copied().collect()
    }

    /// The manifest that `VERSION` names now.
    pub fn current_manifest(&self) -> Digest {
        let text = std::fs::read_to_string(self.version_path()).unwrap();
        let pointer: Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
        pointer["manifest"].as_str().unwrap().parse().unwrap()
    }
}
