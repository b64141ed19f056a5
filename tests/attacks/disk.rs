//! All that lies in a tool's directory.

use relatch::source::Object;
use relatch::trust::Digest;
use serde_json::{Map, Value};

use crate::stage::Stage;
use crate::support::scene::without_state;
use crate::support::tool::EXECUTABLE;
use crate::support::{Snapshot, Tool};

/// Fields of the state that may be others afterwards.
pub type Fields = &'static [&'static str];
/// Of what has verified: SPEC step 7.
pub const VERIFIED: Fields = &[
    "floors",
    "expires",
    "critical",
    "min_version",
    "seen",
    "standing",
    "judged",
    "checked",
    "failed",
    "root_walked",
];
/// When a start has failed.
pub const FAILED: Fields = &["failed"];

/// Every file, and the state as a document, so that single fields of it can be expected to change.
#[derive(Clone, Debug, PartialEq)]
pub struct Disk {
    files: Snapshot,
    pub state: Map<String, Value>,
}

impl Disk {
    pub fn of(tool: &Tool) -> Self {
        let state = std::fs::read_to_string(tool.site_dir().join("state")).unwrap();
        Disk { files: tool.snapshot(), state: serde_json::from_str(state.lines().next().unwrap()).unwrap() }
    }

    /// Of the state what it says, and not its bytes.
    pub fn by_value(mut self) -> Self {
        self.files = without_state(self.files);
        self
    }

    /// The same without these fields; without any, all bytes count.
    pub fn but(mut self, fields: Fields) -> Self {
        if fields.is_empty() {
            return self;
        }
        self.state.retain(|field, _| !fields.contains(&field.as_str()));
        self.by_value()
    }

    /// The disk is as it was, but for what step 3 persists of this root: the file `root`, which has the repository's bytes, and in the
    /// state its number, and that nothing was seen under it. Nobody's executable was run.
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
        (self.state["root_version"], self.state["seen"]) = (number.into(), Value::Null);
        assert_eq!(Disk::of(&stage.tool).by_value(), *self, "{name}: the disk changed");
        assert!(!stage.mark().exists(), "{name}: the attacker's executable was run");
    }
}
