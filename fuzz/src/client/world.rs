//! What an honest publisher made, all of which the attacker has, and the keys that were stolen.
//!
//! Root 1 is the anchor. Root 2 revoked a root key and a release key within the epoch, root 3 another release key and began epoch 2; root 3
//! is not served at first. A release needs two release keys.

use std::sync::OnceLock;

use relatch::source::Object;
use relatch::trust::{Digest, Version};
use serde_json::{Value, json};

use super::installation::{self, Snapshot};
use crate::{public, sign};

pub const PRODUCT: &str = "demo";
pub const CHANNEL: &str = "stable";
pub const TARGET: &str = "test";

/// All documents are valid at the fuzzers' noon and at the system's time, which a first install goes by.
pub const ISSUED: u64 = 1_700_000_000;
pub const EXPIRES: u64 = 4_000_000_000;

/// Seeds of keys. 12 and 24 were revoked by root 2, 22 by root 3; 9 was never anybody's but the attacker's.
const ROOT_KEYS: [[u8; 3]; 3] = [[10, 11, 12], [10, 11, 13], [10, 11, 13]];
const RELEASE_KEYS: [&[u8]; 3] = [&[20, 21, 22, 24], &[20, 21, 22], &[20, 21, 23]];
const TIMESTAMP_KEYS: [u8; 3] = [30, 30, 31];
/// What the attacker signs with: both timestamp keys, one release key, one old root key, a key of its own. Twice the same one is no more.
pub const STOLEN: [u8; 6] = [30, 31, 22, 12, 9, 22];
/// The attacker's own key.
pub const OWN: u8 = 9;

/// The key that signs `VERSION` in an epoch.
pub fn timestamp_key(epoch: u64) -> u8 {
    if epoch == 2 { 31 } else { 30 }
}

/// A release that a threshold of release keys signed for this product and channel.
pub struct Release {
    pub version: Version,
    pub epoch: u64,
    pub root_version: u64,
    pub seq: u64,
    pub manifest: Digest,
    /// Seeds of the keys that signed it.
    pub signers: &'static [u8],
    /// For this target.
    pub executable: Option<Digest>,
    pub critical: bool,
    pub retracts: Vec<Version>,
    pub min_version: Option<Version>,
    pub issued: u64,
    pub expires: u64,
}

/// A manifest before it is signed.
#[derive(Clone)]
pub struct Draft {
    pub product: &'static str,
    pub channel: &'static str,
    pub target: &'static str,
    pub epoch: u64,
    pub root_version: u64,
    pub seq: u64,
    pub version: String,
    pub min_version: Option<String>,
    pub critical: bool,
    pub retracts: Vec<String>,
    pub expires: u64,
    pub signers: &'static [u8],
    pub executable: Vec<u8>,
    /// Further stored forms: encoding, `from`, blob; each sorts after `identity`.
    pub forms: Vec<(&'static str, Option<Digest>, Vec<u8>)>,
}

impl Draft {
    pub fn manifest(&self) -> String {
        let digest = Digest::of(&self.executable).to_string();
        let size = self.executable.len();
        let mut stored = vec![json!({"encoding": "identity", "from": null, "size": size, "blake3": digest})];
        stored.extend(self.forms.iter().map(|(encoding, from, blob)| {
            let (from, digest) = (from.map(|from| from.to_string()), Digest::of(blob).to_string());
            json!({"encoding": encoding, "from": from, "size": blob.len(), "blake3": digest})
        }));
        json!({
            "type": "relatch-manifest/1",
            "product": self.product,
            "channel": self.channel,
            "epoch": self.epoch,
            "root_version": self.root_version,
            "seq": self.seq,
            "version": self.version,
            "min_version": self.min_version,
            "critical": self.critical,
            "retracts": self.retracts,
            "issued": ISSUED,
            "expires": self.expires,
            "notes": "",
            "artifacts": [{"target": self.target, "size": size, "blake3": digest, "stored": stored}],
        })
        .to_string()
    }

    /// The object of `VERSION` that names a manifest of this draft.
    pub fn pointer(&self, manifest: &Digest) -> Value {
        json!({
            "type": "relatch-version/1",
            "product": self.product,
            "channel": self.channel,
            "epoch": self.epoch,
            "seq": self.seq,
            "version": self.version,
            "manifest": manifest.to_string(),
            "rollout": 100,
            "issued": ISSUED,
            "expires": EXPIRES,
        })
    }
}

/// The two signed lines.
pub fn version_lines(pointer: &Value) -> String {
    format!("{}\n{pointer}\n", pointer["version"].as_str().unwrap_or_default())
}

/// An executable that answers the probe. Two versions have much in common, as those of a real tool do.
pub fn executable(version: &str) -> Vec<u8> {
    let common = Digest::of(b"common").to_string().repeat(3);
    format!("#!/bin/sh\necho \"relatch-probe/1 $RELATCH_PROBE {PRODUCT} {version}\"\n# {common}\n")
        .into_bytes()
}

/// One that nobody but the attacker signed. It does the same, and leaves a file that nothing else leaves; one changed byte hides one line.
pub fn evil(version: &str) -> Vec<u8> {
    format!("#!/bin/sh\n: >ran\n: >ran\necho \"relatch-probe/1 $RELATCH_PROBE {PRODUCT} {version}\"\n")
        .into_bytes()
}

/// The release that was signed and does not run.
pub const BROKEN: &str = "1.4.0";

pub struct World {
    /// Every object that was ever published, all its contents; an object's last one here is served at first.
    pub objects: Vec<(Object, Vec<u8>)>,
    /// What was published but is not served at first.
    pub withheld: Vec<Object>,
    pub drafts: Vec<Draft>,
    pub releases: Vec<Release>,
    /// `VERSION` objects that a timestamp key signed.
    pub pointers: Vec<Value>,
    /// The root documents, from root 1.
    pub roots: Vec<String>,
    /// Nothing installed; 1.0.0; 1.1.0 after an update; 1.0.0 by a client that has not heard of root 2.
    pub starts: Vec<Snapshot>,
}

impl World {
    pub fn get() -> &'static World {
        static WORLD: OnceLock<World> = OnceLock::new();
        WORLD.get_or_init(|| {
            let mut world = World::published();
            world.starts = installation::starts(&world);
            world
        })
    }

    fn published() -> World {
        let (mut objects, mut pointers, mut releases) = (Vec::new(), Vec::new(), Vec::new());
        let roots: Vec<String> = (1..=3).map(|number| root(number).to_string()).collect();
        let root_signers: [&[u8]; 3] = [&[10, 11], &[10, 11, 13], &[10, 13]];
        for (number, (root, signers)) in (1..).zip(roots.iter().zip(root_signers)) {
            objects.push((Object::Root(number), root.clone().into_bytes()));
            objects.push((Object::RootSignatures(number), signed_by(signers, root)));
        }
        let drafts = drafts();
        for draft in &drafts {
            let manifest = draft.manifest();
            let digest = Digest::of(manifest.as_bytes());
            for blob in draft.forms.iter().map(|(_, _, blob)| blob).chain([&draft.executable]) {
                objects.push((Object::Blob(Digest::of(blob)), blob.clone()));
            }
            objects.push((Object::ManifestSignatures(digest), signed_by(draft.signers, &manifest)));
            objects.push((Object::Manifest(digest), manifest.into_bytes()));
            let pointer = draft.pointer(&digest);
            objects.push(version_object(&pointer, &[timestamp_key(draft.epoch)]));
            pointers.push(pointer);
            if draft.signers.len() > 1 && draft.product == PRODUCT && draft.channel == CHANNEL {
                releases.push(Release {
                    version: version(&draft.version),
                    epoch: draft.epoch,
                    root_version: draft.root_version,
                    seq: draft.seq,
                    manifest: digest,
                    signers: draft.signers,
                    executable: (draft.target == TARGET).then(|| Digest::of(&draft.executable)),
                    critical: draft.critical,
                    retracts: draft.retracts.iter().map(|text| version(text)).collect(),
                    min_version: draft.min_version.as_deref().map(version),
                    issued: ISSUED,
                    expires: draft.expires,
                });
            }
        }
        // Served at first: release 1.2.0, newly dated.
        let mut pointer = pointers[2].clone();
        pointer["issued"] = (ISSUED + 1).into();
        objects.push(version_object(&pointer, &[30]));
        pointers.push(pointer);
        let withheld = vec![Object::Root(3), Object::RootSignatures(3)];
        World { objects, withheld, drafts, releases, pointers, roots, starts: Vec::new() }
    }

    /// The version of these bytes, if a threshold signed them for this product, channel and target.
    pub fn version_of(&self, executable: &[u8]) -> Option<&Version> {
        let digest = Some(Digest::of(executable));
        self.releases.iter().find(|release| release.executable == digest).map(|release| &release.version)
    }
}

fn version(text: &str) -> Version {
    text.parse().expect("a version")
}

/// Signatures by these keys, one after another.
pub fn signed_by(seeds: &[u8], text: &str) -> Vec<u8> {
    seeds.iter().map(|seed| sign(*seed, text.as_bytes())).collect::<String>().into_bytes()
}

/// `VERSION` of the stable channel, whatever it says.
pub fn version_object(pointer: &Value, signers: &[u8]) -> (Object, Vec<u8>) {
    let lines = version_lines(pointer);
    let signatures = signed_by(signers, &lines);
    (Object::Version(CHANNEL.parse().expect("a name")), [lines.into_bytes(), signatures].concat())
}

/// Root 1, which the tool carries.
pub fn anchor() -> &'static str {
    static ANCHOR: OnceLock<String> = OnceLock::new();
    ANCHOR.get_or_init(|| root(1).to_string())
}

/// Whether a release with these signatures can be one to a client with this root, whatever the attacker signs besides.
pub fn threshold_is_met(number: usize, signers: &[u8]) -> bool {
    let counts = |seed: &&u8| signers.contains(seed) || STOLEN.contains(seed);
    RELEASE_KEYS[number - 1].iter().filter(counts).count() >= 2
}

/// The epoch of a root that was published.
pub fn epoch_of(number: usize) -> u64 {
    if number == 3 { 2 } else { 1 }
}

/// Root `number`, from 1 to 3, as it was published.
pub fn root(number: usize) -> Value {
    let (roots, releases) = (ROOT_KEYS[number - 1], RELEASE_KEYS[number - 1]);
    root_of(number, &roots, releases, TIMESTAMP_KEYS[number - 1], 2)
}

/// A root with these keys, and this threshold for the first two roles.
pub fn root_of(number: usize, roots: &[u8], releases: &[u8], timestamp: u8, threshold: u32) -> Value {
    let sorted = |seeds: &[u8]| {
        let mut keys: Vec<String> = seeds.iter().map(|seed| public(*seed)).collect();
        keys.sort();
        keys.dedup();
        keys
    };
    let all = sorted(&[roots, releases, &[timestamp]].concat());
    let keys: Vec<Value> = all.iter().map(|public| json!({"alg": "ed25519", "public": public})).collect();
    json!({
        "type": "relatch-root/1",
        "product": PRODUCT,
        "version": number,
        "issued": ISSUED,
        "expires": EXPIRES,
        "epoch": epoch_of(number),
        "keys": keys,
        "roles": {
            "root": {"keys": sorted(roots), "threshold": threshold},
            "release": {"keys": sorted(releases), "threshold": threshold},
            "timestamp": {"keys": sorted(&[timestamp]), "threshold": 1},
        },
    })
}

fn drafts() -> Vec<Draft> {
    let of = |version: &str, seq: u64| Draft {
        product: PRODUCT,
        channel: CHANNEL,
        target: TARGET,
        epoch: 1,
        root_version: 1,
        seq,
        version: version.into(),
        min_version: None,
        critical: false,
        retracts: Vec::new(),
        expires: EXPIRES,
        signers: &[20, 21],
        executable: executable(version),
        forms: Vec::new(),
    };
    let (old, new) = (executable("1.1.0"), executable("1.2.0"));
    let forms = vec![
        ("zstd", None, zstd::stream::encode_all(&new[..], 19).expect("zstd")),
        ("zstd-patch", Some(Digest::of(&old)), patch(&old, &new)),
    ];
    vec![
        of("1.0.0", 1),
        of("1.1.0", 2),
        Draft { forms, ..of("1.2.0", 3) },
        Draft { retracts: vec!["1.2.0".into()], ..of("1.1.5", 4) },
        Draft { critical: true, min_version: Some("1.1.0".into()), root_version: 2, ..of("1.3.0", 5) },
        Draft { executable: format!("#!/bin/sh\nexit 3 # {BROKEN}\n").into(), ..of(BROKEN, 6) },
        Draft { target: "elsewhere", ..of("1.5.0", 7) },
        of("7", 8),
        Draft { expires: 1_750_000_000, ..of("1.6.0", 9) },
        Draft { epoch: 2, root_version: 3, ..of("2.0.0", 1) },
        Draft { channel: "beta", ..of("3.0.0-beta.1", 10) },
        Draft { product: "other", ..of("4.0.0", 11) },
        // The one that only the stolen key signed.
        Draft { executable: evil("5.0.0"), signers: &[22], ..of("5.0.0", 12) },
        // Two releases under one number: an accident that keys of the threshold agreed to.
        of("1.2.1", 3),
        // From before root 2: one of its keys was revoked, the other one stolen.
        Draft { signers: &[22, 24], ..of("1.2.5", 13) },
        // Lower than the floor that 1.3.0 sets, and so is the floor that it asks for.
        Draft { min_version: Some("1.0.0".into()), ..of("1.0.5", 14) },
    ]
}

fn patch(old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::stream::Encoder::with_ref_prefix(Vec::new(), 19, old).expect("zstd");
    std::io::Write::write_all(&mut encoder, new).expect("to memory");
    encoder.finish().expect("zstd")
}
