//! A repository in memory: one root, and releases that an attacker may serve in any order.

use std::collections::HashMap;
use std::io::Cursor;
use std::sync::{Arc, LazyLock};

use base64ct::{Base64, Encoding as _};
use blake2::{Blake2b512, Digest as _};
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};

use crate::clock::{Clock, SystemClock};
use crate::source::{Etag, Object, Opened, Source, Unavailable};
use crate::trust::{Digest, Identity, Version};

pub(super) const CHANNEL: &str = "stable";
pub(super) const TARGET: &str = "test";
const DAY: u64 = 24 * 60 * 60;

/// One release of the repository.
pub(super) struct Release {
    pub(super) version: u8,
    pub(super) min_version: Option<u8>,
    pub(super) retracts: &'static [u8],
    pub(super) critical: bool,
}

/// What the publisher releases; a release's number (`seq`) is its place, from 1. Version 1 was
/// installed by hand. 3 is withdrawn for 2, and what is below 2 is forbidden with it.
pub(super) const RELEASES: [Release; 4] = [
    Release { version: 2, min_version: None, retracts: &[], critical: false },
    Release { version: 3, min_version: None, retracts: &[], critical: false },
    Release { version: 2, min_version: Some(2), retracts: &[3], critical: false },
    Release { version: 4, min_version: None, retracts: &[], critical: false },
];

/// The bytes of the executable of a version.
pub(super) fn executable(version: u8) -> Vec<u8> {
    format!("{version}\n").into_bytes()
}

/// The version whose executable has these bytes, if it is whole.
pub(super) fn version_of(content: &[u8]) -> Option<u8> {
    let is_whole = |version: &u8| content == executable(*version);
    (1..=4).find(is_whole)
}

pub(super) fn version(number: u8) -> Version {
    Version::Build(number.into())
}

pub(super) fn identity() -> Identity {
    Identity { product: "p".parse().unwrap(), channel: CHANNEL.parse().unwrap() }
}

/// All documents, made once: what is recorded of them is then the same in each run.
pub(super) struct Forged {
    /// When they were made.
    pub(super) now: u64,
    pub(super) anchor: Vec<u8>,
    objects: HashMap<Object, Vec<u8>>,
    versions: Vec<Vec<u8>>,
}

pub(super) static FORGED: LazyLock<Arc<Forged>> = LazyLock::new(|| Arc::new(forge()));

fn forge() -> Forged {
    let now = SystemClock.now();
    let keys = [1, 2, 3].map(|seed| SigningKey::from_bytes(&[seed; 32]));
    let [root_key, release_key, timestamp_key] = &keys;
    let anchor = root(now, &keys);
    let mut objects = HashMap::new();
    objects.insert(Object::Root(1), anchor.clone());
    objects.insert(Object::RootSignatures(1), sign(root_key, &anchor));
    let mut versions = Vec::new();
    for (at, release) in RELEASES.iter().enumerate() {
        let bytes = executable(release.version);
        objects.insert(Object::Blob(Digest::of(&bytes)), bytes);
        let manifest = manifest(now, at + 1, release);
        let hash = Digest::of(&manifest);
        objects.insert(Object::ManifestSignatures(hash), sign(release_key, &manifest));
        objects.insert(Object::Manifest(hash), manifest);
        let json = json!({
            "type": "relatch-version/1", "product": "p", "channel": CHANNEL, "epoch": 1, "seq": at + 1,
            "version": release.version.to_string(), "manifest": hash.to_string(), "rollout": 100,
            "issued": now - 60, "expires": now + DAY,
        });
        let mut signed = format!("{}\n{json}\n", release.version).into_bytes();
        signed.extend(sign(timestamp_key, &signed));
        versions.push(signed);
    }
    Forged { now, anchor, objects, versions }
}

fn root(now: u64, keys: &[SigningKey; 3]) -> Vec<u8> {
    let public = |key: &SigningKey| base16ct::lower::encode_string(key.verifying_key().as_bytes());
    let mut all: Vec<_> = keys.iter().map(public).collect();
    all.sort();
    let all: Vec<Value> = all.iter().map(|public| json!({"alg": "ed25519", "public": public})).collect();
    let role = |at: usize| json!({"keys": [public(&keys[at])], "threshold": 1});
    let root = json!({
        "type": "relatch-root/1", "product": "p", "version": 1, "issued": now - DAY,
        "expires": now + 365 * DAY, "epoch": 1, "keys": all,
        "roles": {"root": role(0), "release": role(1), "timestamp": role(2)},
    });
    root.to_string().into_bytes()
}

fn manifest(now: u64, seq: usize, release: &Release) -> Vec<u8> {
    let bytes = executable(release.version);
    let (size, blake3) = (bytes.len(), Digest::of(&bytes).to_string());
    let retracts: Vec<_> = release.retracts.iter().map(u8::to_string).collect();
    let manifest = json!({
        "type": "relatch-manifest/1", "product": "p", "channel": CHANNEL, "epoch": 1, "root_version": 1,
        "seq": seq, "version": release.version.to_string(),
        "min_version": release.min_version.map(|min| min.to_string()), "critical": release.critical,
        "retracts": retracts, "issued": now - 60, "expires": now + DAY, "notes": "",
        "artifacts": [{
            "target": TARGET, "size": size, "blake3": blake3,
            "stored": [{"encoding": "identity", "from": null, "size": size, "blake3": blake3}],
        }],
    });
    manifest.to_string().into_bytes()
}

/// A minisign signature.
fn sign(key: &SigningKey, message: &[u8]) -> Vec<u8> {
    let signature = key.sign(&Blake2b512::digest(message)).to_bytes();
    let trusted = "timestamp:1";
    let global = key.sign(&[&signature[..], trusted.as_bytes()].concat()).to_bytes();
    let first = Base64::encode_string(&[b"ED", &[0; 8][..], &signature].concat());
    let global = Base64::encode_string(&global);
    format!("untrusted comment: a test key\n{first}\ntrusted comment: {trusted}\n{global}\n").into_bytes()
}

/// The repository while it serves one of the releases.
pub(super) struct Served(pub(super) usize);

impl Source for Served {
    fn open(&self, object: &Object, _: Option<&Etag>) -> Result<Opened, Unavailable> {
        let found = match object {
            Object::Version(_) => FORGED.versions.get(self.0),
            other => FORGED.objects.get(other),
        };
        let absent = || Unavailable::Absent { location: self.location(), object: object.clone() };
        Ok(Opened::object(Cursor::new(found.cloned().ok_or_else(absent)?)))
    }

    fn location(&self) -> String {
        "/repository".into()
    }
}
