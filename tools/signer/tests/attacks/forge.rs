//! Documents that `signer` would not make, signed with the desk's keys all the same: what a thief of keys, another publisher's program or
//! a machine with a wrong clock can bring.

use relatch::trust::{Digest, Document, Manifest, Root, Timestamp};
use signer::repository::now;
use signer::signing::SigningKey;

use crate::scene::Scene;

pub const DAY: u64 = 24 * 60 * 60;

impl Scene {
    /// The folder `signed` with other documents, which belong together, and are signed by all who must.
    pub fn forge(&self, change: impl FnOnce(&mut Manifest, &mut Timestamp)) {
        let mut manifest = Manifest::from_canonical(&self.bytes("signed/manifest.json")).unwrap();
        let raw = self.bytes("signed/VERSION");
        let (signed, _) = Timestamp::split(&raw).unwrap();
        let line = signed.split(|byte| *byte == b'\n').nth(1).unwrap();
        let mut version = Timestamp::from_canonical(line).unwrap();
        change(&mut manifest, &mut version);
        version.manifest = Digest::of(&manifest.to_canonical());
        self.forge_texts(&manifest.to_canonical(), &version.to_signed());
    }

    /// The same as bytes: the manifest, and the two lines of `VERSION`.
    pub fn forge_texts(&self, manifest: &[u8], version: &[u8]) {
        self.desk.write("signed/manifest.json", manifest);
        self.desk.write("signed/manifest.json.minisig", "");
        self.desk.write("signed/VERSION", version);
        self.forge_signatures("signed", &["ci", "human"], &["clock"]);
    }

    /// The folder `signed` as what is published, by a program that looks at nothing.
    pub fn put_published(&self) {
        for blob in std::fs::read_dir(self.desk.path("signed/blobs")).unwrap() {
            let blob = blob.unwrap();
            std::fs::copy(blob.path(), self.desk.path("repo/blobs").join(blob.file_name())).unwrap();
        }
        let digest = Digest::of(&self.bytes("signed/manifest.json"));
        for (from, to) in [
            ("manifest.json", format!("manifests/{digest}.json")),
            ("manifest.json.minisig", format!("manifests/{digest}.json.minisig")),
            ("VERSION", "stable/VERSION".into()),
        ] {
            self.desk.write(&format!("repo/{to}"), self.bytes(&format!("signed/{from}")));
        }
    }

    /// Signatures below those that a folder has: of its manifest, of its `VERSION`.
    pub fn forge_signatures(&self, folder: &str, manifest: &[&str], version: &[&str]) {
        let [document, signatures, object] =
            ["manifest.json", "manifest.json.minisig", "VERSION"].map(|name| format!("{folder}/{name}"));
        let mut text = std::fs::read_to_string(self.desk.path(&signatures)).unwrap_or_default();
        for key in manifest {
            text += &self.key(key).sign(&self.bytes(&document), "manifest.json", now()).unwrap();
        }
        self.desk.write(&signatures, text);
        let raw = self.bytes(&object);
        let (signed, _) = Timestamp::split(&raw).unwrap();
        let mut text = String::from_utf8(raw.clone()).unwrap();
        for key in version {
            text += &self.key(key).sign(signed, "VERSION", now()).unwrap();
        }
        self.desk.write(&object, text);
    }

    /// `next.json`: root 3 with a change, signed by these keys.
    pub fn forge_root(&self, keys: &[&str], change: impl FnOnce(&mut Root)) {
        let mut root = Root::from_canonical(&self.bytes("root2.json")).unwrap();
        root.version = 3;
        root.issued = now();
        change(&mut root);
        self.forge_root_text(keys, &root.to_canonical());
    }

    /// The same as bytes.
    pub fn forge_root_text(&self, keys: &[&str], document: &[u8]) {
        let sign = |name: &&str| self.key(name).sign(document, "next.json", now()).unwrap();
        self.desk.write("next.json", document);
        self.desk.write("next.json.minisig", keys.iter().map(sign).collect::<String>());
    }

    pub fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.desk.path(name)).unwrap()
    }

    /// The hex of a key's public half.
    pub fn public(&self, name: &str) -> String {
        self.key(name).public().to_hex()
    }
}
