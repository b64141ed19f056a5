//! What honest publishers made, all of which the attacker has. `chains.rs` has the keys.

use std::sync::OnceLock;

use relatch::source::Object;
use relatch::trust::{Digest, Version};
use serde_json::{Value, json};

use super::chains::{self, EXPIRES, ISSUED, signed_by, timestamp_key};
use super::installation::{self, Program, Snapshot};
use crate::NOW;

pub const PRODUCT: &str = "demo";
pub const CHANNEL: &str = "stable";
pub const BETA: &str = "beta";
pub const TARGET: &str = "test";

/// A release that a threshold of release keys signed for this product.
pub struct Release {
    /// The chain of roots of those keys.
    pub chain: usize,
    pub channel: &'static str,
    /// The root of its chain that the executable carries.
    pub carries: usize,
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

impl Release {
    /// The program of its executable.
    pub fn program(&self) -> Program {
        Program { chain: self.chain, anchor: self.carries, channel: self.channel }
    }
}

/// A manifest before it is signed.
#[derive(Clone)]
pub struct Draft {
    pub chain: usize,
    pub carries: usize,
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
            // Each release has its own, and each is before that of the manifest.
            "expires": EXPIRES + self.seq + 1000 * self.chain as u64,
        })
    }

    /// Whether a threshold of release keys signed it for this product.
    fn is_release(&self) -> bool {
        self.signers.len() > 1 && self.product == PRODUCT
    }
}

/// A `VERSION` and the seeds of the keys that signed it.
#[derive(Clone)]
pub struct Pointer {
    pub value: Value,
    pub signers: Vec<u8>,
}

/// The two signed lines.
pub fn version_lines(pointer: &Value) -> String {
    format!("{}\n{pointer}\n", pointer["version"].as_str().unwrap_or_default())
}

/// An executable that answers the probe. Two versions have much in common, as those of a real tool do.
pub fn executable(chain: usize, carries: usize, version: &str) -> Vec<u8> {
    let common = Digest::of(b"common").to_string().repeat(3);
    let probe = answer(chain, carries, version);
    format!("#!/bin/sh\n{probe}\n# {common} {chain}\n").into_bytes()
}

/// One that nobody but the attacker signed. It does the same, and leaves a file that nothing else leaves; one changed byte hides one line.
pub fn evil(version: &str) -> Vec<u8> {
    format!("#!/bin/sh\n: >ran\n: >ran\n{}\n", answer(0, 1, version)).into_bytes()
}

/// The line of a shell that answers the probe, as a release with this root of a chain.
fn answer(chain: usize, carries: usize, version: &str) -> String {
    let root = Digest::of(chains::document(chain, carries).as_bytes()).to_string();
    let answer = json!({
        "product": PRODUCT,
        "version": version,
        "channel": CHANNEL,
        "target": TARGET,
        "root": root,
        "root_version": carries,
        "address": "",
        "readable": true,
    });
    format!("printf '%s\\n' \"relatch-probe/2 $RELATCH_PROBE \"'{answer}'")
}

/// The release that was signed and does not run.
pub const BROKEN: &str = "1.4.0";

pub struct World {
    /// Every object that was ever published, all its contents, but roots. An object's last one here is
    /// served at first.
    pub objects: Vec<(Object, Vec<u8>)>,
    pub drafts: Vec<Draft>,
    pub releases: Vec<Release>,
    /// Every `VERSION` that was published.
    pub pointers: Vec<Pointer>,
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
        for (chain, number) in chains::all().collect::<Vec<_>>().into_iter().rev() {
            let (root, signatures) = chains::published(chain, number);
            objects.push((Object::Root(number as u64), root.as_bytes().to_vec()));
            objects.push((Object::RootSignatures(number as u64), signatures));
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
            let signers = vec![timestamp_key(draft.chain, draft.epoch)];
            objects.push(version_object(&pointer, &signers));
            pointers.push(Pointer { value: pointer, signers });
            if draft.is_release() {
                releases.push(Release {
                    chain: draft.chain,
                    channel: draft.channel,
                    carries: draft.carries,
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
        // Served at first: release 1.2.0, signed again.
        let mut pointer: Pointer = pointers[2].clone();
        (pointer.value["issued"], pointer.value["expires"]) = ((ISSUED + 1).into(), (EXPIRES + 100).into());
        objects.push(version_object(&pointer.value, &pointer.signers));
        pointers.push(pointer);
        World { objects, drafts, releases, pointers, starts: Vec::new() }
    }

    /// The release of these bytes, if a threshold signed them for this product and target.
    pub fn build(&self, executable: &[u8]) -> Option<&Release> {
        let digest = Some(Digest::of(executable));
        self.releases.iter().find(|release| release.executable == digest)
    }
}

fn version(text: &str) -> Version {
    text.parse().expect("a version")
}

/// `VERSION` of the channel that it names, if that is followed by some release; else of the stable one.
pub fn version_object(pointer: &Value, signers: &[u8]) -> (Object, Vec<u8>) {
    let lines = version_lines(pointer);
    let signatures = signed_by(signers, &lines);
    (version_name(pointer), [lines.into_bytes(), signatures].concat())
}

/// The name of that object.
pub fn version_name(pointer: &Value) -> Object {
    let channel = if pointer["channel"] == BETA { BETA } else { CHANNEL };
    Object::Version(channel.parse().expect("a name"))
}

fn drafts() -> Vec<Draft> {
    let of = |version: &str, seq: u64| Draft {
        chain: 0,
        carries: 1,
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
        expires: EXPIRES + 100_000 + seq,
        signers: &[20, 21],
        executable: executable(0, 1, version),
        forms: Vec::new(),
    };
    let beta = |version: &str, seq: u64| Draft { channel: BETA, ..of(version, seq) };
    // The other chain: a product that begins again, with some of the old numbers.
    let other = |version: &str, seq: u64| Draft {
        chain: 1,
        signers: &[50, 51],
        executable: executable(1, 1, version),
        ..of(version, seq)
    };
    let (old, new) = (executable(0, 1, "1.1.0"), executable(0, 1, "1.2.0"));
    let forms = vec![
        ("zstd", None, zstd::stream::encode_all(&new[..], 19).expect("zstd")),
        ("zstd-patch", Some(Digest::of(&old)), patch(&old, &new)),
    ];
    let carrying = |carries: usize, draft: Draft| Draft {
        carries,
        executable: executable(draft.chain, carries, &draft.version),
        ..draft
    };
    vec![
        of("1.0.0", 1),
        of("1.1.0", 2),
        Draft { forms, ..of("1.2.0", 3) },
        Draft { retracts: vec!["1.2.0".into()], ..of("1.1.5", 4) },
        Draft {
            critical: true,
            min_version: Some("1.1.0".into()),
            root_version: 2,
            ..carrying(2, of("1.3.0", 5))
        },
        Draft { executable: format!("#!/bin/sh\nexit 3 # {BROKEN}\n").into(), ..of(BROKEN, 6) },
        Draft { target: "elsewhere", ..of("1.5.0", 7) },
        of("7", 8),
        Draft { expires: 1_750_000_000, ..of("1.6.0", 9) },
        Draft { epoch: 2, root_version: 3, ..carrying(3, of("2.0.0", 1)) },
        Draft { min_version: Some("1.1.0".into()), ..beta("3.0.0-beta.1", 10) },
        Draft { product: "other", ..of("4.0.0", 11) },
        // The one that only the stolen key signed.
        Draft { executable: evil("5.0.0"), signers: &[22], ..of("5.0.0", 12) },
        // Two releases under one number: an accident that keys of the threshold agreed to.
        of("1.2.1", 3),
        // From before root 2: one of its keys was revoked, the other one stolen.
        Draft { signers: &[22, 24], ..of("1.2.5", 13) },
        // Lower than the floor that 1.3.0 sets, and so is the floor that it asks for.
        Draft { min_version: Some("1.0.0".into()), ..of("1.0.5", 14) },
        // Its manifest ends within the days to which a script can set the clock.
        Draft { expires: NOW + 10 * 86_400, ..of("1.2.7", 15) },
        beta("3.0.0-beta.2", 11),
        other("1.0.0", 1),
        Draft { min_version: Some("1.1.0".into()), ..other("1.1.0", 2) },
        Draft { root_version: 2, ..carrying(2, other("1.2.0", 3)) },
        Draft { root_version: 3, epoch: 2, ..carrying(3, other("1.9.0", 1)) },
    ]
}

fn patch(old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::stream::Encoder::with_ref_prefix(Vec::new(), 19, old).expect("zstd");
    std::io::Write::write_all(&mut encoder, new).expect("to memory");
    encoder.finish().expect("zstd")
}
