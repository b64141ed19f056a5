//! All that lies in a tool's directory.

use relatch::source::Object;
use relatch::trust::Digest;
use serde_json::Value;

use crate::stage::Stage;
use crate::support::scene::without_state;
use crate::support::tool::EXECUTABLE;
use crate::support::{Snapshot, Tool};

/// Parts of the records that may be others afterwards, as JSON pointers from the name of the record.
pub type Parts = &'static [&'static str];
/// Of what has verified: SPEC step 7.
pub const VERIFIED: Parts = &["/floors/domains/0/epochs", "/cache"];
/// When a start has failed.
pub const FAILED: Parts = &["/cache/failure"];

/// Every file, and the records as documents, so that single parts of them can be expected to change.
#[derive(Clone, Debug, PartialEq)]
pub struct Disk {
    files: Snapshot,
    /// `journal`, `floors` and `cache`.
    pub records: Value,
}

impl Disk {
    pub fn of(tool: &Tool) -> Self {
        let records = ["journal", "floors", "cache"].map(|name| (name.to_owned(), tool.record(name)));
        Disk { files: tool.snapshot(), records: Value::Object(records.into_iter().collect()) }
    }

    /// Of the records what they say, and not their bytes.
    pub fn by_value(mut self) -> Self {
        self.files = without_state(self.files);
        self
    }

    /// The same without these parts; without any, all bytes count.
    pub fn but(mut self, parts: Parts) -> Self {
        if parts.is_empty() {
            return self;
        }
        for part in parts {
            *self.records.pointer_mut(part).unwrap() = Value::Null;
        }
        self.by_value()
    }

    /// The trust domain in use.
    fn domain(&mut self) -> &mut Value {
        &mut self.records["floors"]["domains"][0]
    }

    /// The disk is as it was, but for what step 3 persists up to this root: the file `root`, which has the repository's bytes, and in the
    /// floors the lineage and the epoch. A start may have failed. Nobody's executable was run.
    pub fn trusts_more(&mut self, stage: &Stage, number: u64, name: &str) {
        let (root, signatures) = (Object::Root(number), Object::RootSignatures(number));
        let mut content = std::fs::read(stage.repository.path(&root)).unwrap();
        content.push(b'\n');
        content.extend(std::fs::read(stage.repository.path(&signatures)).unwrap());
        assert!(
            std::fs::read(stage.tool.site_dir().join("root")).unwrap() == content,
            "{name}: another root"
        );

        let mode = if cfg!(unix) { 0o100_644 } else { 0 };
        let file = (Digest::of(&content).to_string(), mode);
        self.files.0.insert(format!(".{EXECUTABLE}.relatch/root"), file);
        let first = self.domain()["lineage"]["first"].as_u64().unwrap();
        let known = self.domain()["lineage"]["hashes"].as_array().unwrap().len() as u64;
        for number in first + known..=number {
            let root = std::fs::read(stage.repository.path(&Object::Root(number))).unwrap();
            let hashes = self.domain()["lineage"]["hashes"].as_array_mut().unwrap();
            hashes.push(Digest::of(&root).to_string().into());
            let root: Value = serde_json::from_slice(&root).unwrap();
            self.domain()["epoch"] = root["epoch"].clone();
        }
        assert_eq!(Disk::of(&stage.tool).but(FAILED), self.clone().but(FAILED), "{name}: the disk changed");
        assert!(!stage.mark().exists(), "{name}: the attacker's executable was run");
    }
}
