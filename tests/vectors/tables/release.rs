//! The world of the vectors: keys by seed, times around 1 800 000 000, a product `demo` at 1.3.0 and its release 1.4.0.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::minisign::{Key, sign_all};

/// What every client's clock says unless a vector says otherwise: 2027-01-15T08:00:00Z.
pub const NOW: u64 = 1_800_000_000;
pub const HOUR: u64 = 3600;
pub const DAY: u64 = 24 * HOUR;

pub const PRODUCT: &str = "demo";
pub const TARGET: &str = "x86_64-unknown-linux-gnu";
/// Of the control: what is changed is 2 and 7, so that there is something below.
pub const EPOCH: u64 = 2;
pub const SEQ: u64 = 7;

pub type Objects = BTreeMap<String, Value>;

pub fn blake3(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

pub fn keys(seeds: &[u8]) -> Vec<Key> {
    seeds.iter().map(|seed| Key::new(*seed)).collect()
}

/// An executable of some bytes; nothing in these vectors runs it.
pub fn executable(version: &str) -> Vec<u8> {
    format!("the executable of {version}\n").into_bytes()
}

/// A root document to be changed: keys by seed for root, release and timestamp, with a threshold each.
pub fn root_of(number: u64, roles: [(&[u8], u64); 3]) -> Value {
    let sorted = |seeds: &[u8]| {
        let mut keys: Vec<String> = keys(seeds).iter().map(Key::hex).collect();
        keys.sort();
        keys.dedup();
        keys
    };
    let all = sorted(&roles.concat_seeds());
    let keys: Vec<Value> = all.iter().map(|public| json!({"alg": "ed25519", "public": public})).collect();
    let role = |(seeds, threshold): (&[u8], u64)| json!({"keys": sorted(seeds), "threshold": threshold});
    json!({
        "type": "relatch-root/1",
        "product": PRODUCT,
        "version": number,
        "issued": NOW - 30 * DAY,
        "expires": NOW + 300 * DAY,
        "epoch": EPOCH,
        "keys": keys,
        "roles": {"root": role(roles[0]), "release": role(roles[1]), "timestamp": role(roles[2])},
    })
}

trait Seeds {
    fn concat_seeds(&self) -> Vec<u8>;
}

impl Seeds for [(&[u8], u64); 3] {
    fn concat_seeds(&self) -> Vec<u8> {
        self.iter().flat_map(|(seeds, _)| seeds.iter().copied()).collect()
    }
}

/// One key for each role: 1 root, 2 release, 3 timestamp.
pub const ONE_EACH: [(&[u8], u64); 3] = [(&[1], 1), (&[2], 1), (&[3], 1)];

pub fn root(number: u64) -> Value {
    root_of(number, ONE_EACH)
}

/// The root with this key called of another algorithm: good, and it never counts.
pub fn under_another_name(mut root: Value, key: &Key) -> Value {
    let keys = root["keys"].as_array_mut().unwrap();
    keys.iter_mut().find(|there| there["public"] == key.hex()).unwrap()["alg"] = "ed448".into();
    root
}

/// A release before it is signed: change what you like.
#[derive(Clone)]
pub struct Release {
    pub manifest: Value,
    pub version: Value,
    /// The first line of `VERSION`, where it is not the version.
    pub first_line: Option<String>,
    /// Whether `VERSION` names the hash of the manifest as it is signed, whatever was put there.
    pub link: bool,
    /// Blobs under the names that their bytes give them.
    pub blobs: Vec<Vec<u8>>,
    pub release_keys: Vec<Key>,
    pub timestamp_keys: Vec<Key>,
}

impl Release {
    /// The control: 1.4.0 with number 7, stored as it is. It installs.
    pub fn good() -> Self {
        Release::of("1.4.0", SEQ)
    }

    pub fn of(version: &str, seq: u64) -> Self {
        let bytes = executable(version);
        let (size, hash) = (bytes.len(), blake3(&bytes));
        let manifest = json!({
            "type": "relatch-manifest/1",
            "product": PRODUCT,
            "channel": "stable",
            "epoch": EPOCH,
            "root_version": 1,
            "seq": seq,
            "version": version,
            "min_version": null,
            "critical": false,
            "retracts": [],
            "issued": NOW - DAY,
            "expires": NOW + 90 * DAY,
            "notes": "",
            "artifacts": [{
                "target": TARGET,
                "size": size,
                "blake3": hash,
                "stored": [{"encoding": "identity", "from": null, "size": size, "blake3": hash}],
            }],
        });
        let pointer = json!({
            "type": "relatch-version/1",
            "product": PRODUCT,
            "channel": "stable",
            "epoch": EPOCH,
            "seq": seq,
            "version": version,
            "manifest": "",
            "rollout": 100,
            "issued": NOW - HOUR,
            "expires": NOW + 7 * DAY,
        });
        Release {
            manifest,
            version: pointer,
            first_line: None,
            link: true,
            blobs: vec![bytes],
            release_keys: keys(&[2]),
            timestamp_keys: keys(&[3]),
        }
    }

    /// The release that is installed: 1.3.0 with number 6, published two days ago.
    pub fn installed() -> Self {
        let mut release = Release::of("1.3.0", SEQ - 1);
        release.manifest["issued"] = (NOW - 2 * DAY).into();
        release.version["issued"] = (NOW - 2 * DAY).into();
        release.version["expires"] = (NOW + 5 * DAY).into();
        release
    }

    /// `VERSION`'s object, with the manifest that it names.
    pub fn pointer(&self) -> Value {
        let mut pointer = self.version.clone();
        if self.link {
            pointer["manifest"] = blake3(self.manifest.to_string().as_bytes()).into();
        }
        pointer
    }

    /// Both of a release's `version`.
    pub fn set(&mut self, field: &str, value: impl Into<Value>) {
        let value = value.into();
        (self.manifest[field], self.version[field]) = (value.clone(), value);
    }

    /// The stored forms of its one executable.
    pub fn stored(&mut self, forms: &[(&str, Option<&str>, &[u8])]) {
        let form = |(encoding, from, blob): &(&str, Option<&str>, &[u8])| json!({"encoding": encoding, "from": from, "size": blob.len(), "blake3": blake3(blob)});
        self.manifest["artifacts"][0]["stored"] = forms.iter().map(form).collect::<Vec<_>>().into();
        self.blobs = forms.iter().map(|(.., blob)| blob.to_vec()).collect();
    }

    /// The executable that the manifest signs.
    pub fn executable(&mut self, bytes: &[u8]) {
        let artifact = &mut self.manifest["artifacts"][0];
        (artifact["size"], artifact["blake3"]) = (bytes.len().into(), blake3(bytes).into());
    }

    /// Everything that it puts into the repository, by path.
    pub fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        let mut objects = BTreeMap::new();
        for blob in &self.blobs {
            objects.insert(format!("blobs/{}", blake3(blob)), blob.clone());
        }
        let manifest = self.manifest.to_string();
        let path = format!("manifests/{}.json", blake3(manifest.as_bytes()));
        let signatures = sign_all(&self.release_keys, manifest.as_bytes());
        objects.insert(format!("{path}.minisig"), signatures.into());
        objects.insert(path, manifest.into());
        let pointer = self.pointer();
        let line =
            self.first_line.clone().unwrap_or_else(|| pointer["version"].as_str().unwrap_or_default().into());
        objects.insert(
            "stable/VERSION".into(),
            version_file(&format!("{line}\n{pointer}\n"), &self.timestamp_keys),
        );
        objects
    }
}

/// Any two lines, signed.
pub fn version_file(signed: &str, keys: &[Key]) -> Vec<u8> {
    format!("{signed}{}", sign_all(keys, signed.as_bytes())).into()
}

/// Where the manifest lies that the object of `VERSION` names.
pub fn manifest_path(pointer: &Value) -> String {
    format!("manifests/{}.json", pointer["manifest"].as_str().unwrap())
}
