//! Whole checks: a real directory, a clock that stands still, and what is on the disk afterwards.

use std::path::{Path, PathBuf};

use relatch::Finding;
use relatch::source::Object;
use relatch::trust::{DocumentKind, Version};
use relatch::{Clock, Error, Local, Outcome, Refusal, Unavailable, Updater};
use serde_json::{Map, Value, json};

use crate::file::bytes;
use crate::tables::checks::{COMPARED, objects, whole};
use crate::tables::release::{PRODUCT, TARGET, blake3};

/// What stands on line 2 of a damaged state.
pub const NO_HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// An executable and the directory beside it.
pub struct Place {
    pub executable: PathBuf,
    pub site: PathBuf,
}

impl Place {
    pub fn new(dir: &Path) -> Self {
        let dir = relatch::platform::canonicalize(dir).unwrap();
        let place = Place { executable: dir.join("tool"), site: dir.join(".tool.relatch") };
        std::fs::create_dir(&place.site).unwrap();
        std::fs::write(&place.executable, "the executable of 1.3.0\n").unwrap();
        place
    }

    /// A client without a program of its own, as `relatch install` records it (SPEC section 4.1).
    pub fn write_settings(&self, anchor: &str, repository: &Path) {
        self.write_checked(
            "settings",
            &json!({
                "type": "relatch-settings/1",
                "product": PRODUCT,
                "channel": "stable",
                "target": TARGET,
                "from": repository.to_str().unwrap(),
                "ca_file": null,
                "probe": "none",
                "root": anchor,
            }),
        );
    }

    fn write_checked(&self, name: &str, value: &Value) {
        let line = value.to_string();
        std::fs::write(self.site.join(name), format!("{line}\n{}\n", blake3(line.as_bytes()))).unwrap();
    }

    fn write_damaged(&self, name: &str, value: &Value) {
        std::fs::write(self.site.join(name), format!("{value}\n{NO_HASH}\n")).unwrap();
    }

    fn file(&self, name: &str) -> Option<Vec<u8>> {
        std::fs::read(self.path(name)).ok()
    }

    /// By the name that it has in SPEC section 4.
    fn path(&self, name: &str) -> PathBuf {
        self.site.join(if cfg!(windows) && name == "previous" { "previous.exe" } else { name })
    }
}

struct Stopped(u64);

impl Clock for Stopped {
    fn now(&self) -> u64 {
        self.0
    }
}

/// Runs a vector and compares all that it says.
pub fn run(vector: &Value, file: &Value) {
    let name = vector["name"].as_str().unwrap();
    let (client, state) = (whole(file, vector, "client"), whole(file, vector, "state"));
    let there = objects(file, vector);
    let dir = tempfile::tempdir().unwrap();
    let (at, repository) = (dir.path().join("bin"), dir.path().join("repository"));
    std::fs::create_dir(&at).unwrap();
    std::fs::create_dir(&repository).unwrap();
    for (path, content) in &there {
        let path = repository.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    let place = Place::new(&at);
    std::fs::write(&place.executable, bytes(&client["executable"])).unwrap();
    place.write_settings(client["anchor"].as_str().unwrap(), &repository);
    match client["state_file"].as_str().unwrap() {
        "absent" => {}
        "damaged" => place.write_damaged("state", &state.clone().into()),
        _ => place.write_checked("state", &state.clone().into()),
    }
    for name in ["root", "previous"] {
        if !client[name].is_null() {
            std::fs::write(place.path(name), bytes(&client[name])).unwrap();
        }
    }
    let before = place.file("root");
    let told = tell(&place, &client);
    let mut expected = Map::new();
    for field in ["result", "step", "document", "reason", "needed", "valid", "version", "object"] {
        if let Some(value) = vector.get(field) {
            expected.insert(field.into(), value.clone());
        }
    }
    assert_eq!(told, Value::from(expected), "{name}");
    compare(name, vector, &client, state, &place, before.as_deref());
}

fn compare(
    name: &str,
    vector: &Value,
    client: &Map<String, Value>,
    mut state: Map<String, Value>,
    place: &Place,
    root_before: Option<&[u8]>,
) {
    let after = &vector["after"];
    let then = |field: &str| after.get(field).unwrap_or(&client[field]).clone();
    assert_eq!(std::fs::read(&place.executable).unwrap(), bytes(&then("executable")), "{name}: executable");
    let previous = then("previous");
    let previous = (!previous.is_null()).then(|| bytes(&previous));
    assert_eq!(place.file("previous"), previous, "{name}: previous");
    match after.get("trusted_root") {
        None => assert_eq!(place.file("root").as_deref(), root_before, "{name}: root"),
        Some(number) => {
            let root = place.file("root").unwrap_or_default();
            let line = root.split(|byte| *byte == b'\n').next().unwrap_or_default();
            let root: Value = serde_json::from_slice(line).unwrap_or_default();
            assert_eq!(&root["version"], number, "{name}: root");
        }
    }
    let changes = after.get("state").map(|changes| changes.as_object().unwrap().clone());
    let written = changes.is_some();
    state.extend(changes.unwrap_or_default());
    match place.file("state") {
        None => assert!(client["state_file"] == "absent" && !written, "{name}: no state"),
        Some(text) => {
            let text = String::from_utf8(text).unwrap();
            let is_damaged = text.ends_with(&format!("{NO_HASH}\n"));
            assert_eq!(is_damaged, client["state_file"] == "damaged" && !written, "{name}: state");
            let found: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
            for field in COMPARED {
                assert_eq!(found[field], state[field], "{name}: {field}");
            }
        }
    }
    for entry in std::fs::read_dir(&place.site).unwrap() {
        let stray = entry.unwrap().file_name().into_string().unwrap();
        assert!(!stray.contains('-') && !stray.starts_with("leaving"), "{name}: {stray} is left behind");
    }
}

/// What the library does, in the words of the vectors.
fn tell(place: &Place, client: &Map<String, Value>) -> Value {
    let running: Version = client["version"].as_str().unwrap().parse().unwrap();
    let updater = Updater::of_installed(&place.executable).unwrap().version(running.clone());
    let answer = if client["command"] == "rollback" {
        Updater::rollback(updater.installation(), Some(&running))
            .map(|done| json!({"result": "install", "version": done.to.to_string()}))
    } else {
        let mut updater = updater.clock(Stopped(client["clock"].as_u64().unwrap()));
        updater.update(client["now"].as_bool().unwrap()).map(|done| match done {
            Outcome::Updated { to, .. } => json!({"result": "install", "version": to.to_string()}),
            Outcome::Nothing(reason) => {
                let (step, reason) = match reason {
                    Finding::Current => ("8b", "current"),
                    Finding::NoTarget { .. } => ("8a", "target"),
                    Finding::Held { .. } => ("8c", "held"),
                    Finding::NotInRollout { .. } => ("8e", "rollout"),
                    other => panic!("{other}"),
                };
                json!({"result": "nothing", "step": step, "reason": reason})
            }
        })
    };
    match answer {
        Ok(told) => told,
        Err(Error::Unavailable(Unavailable::Absent { object, .. })) => {
            json!({"result": "unavailable", "object": object.to_string()})
        }
        Err(Error::Local(Local::NothingToRollBack { .. })) => refused("6.1", json!({"reason": "nothing"})),
        Err(Error::Refused(refusal)) => {
            let (step, more) = step(&refusal, client["command"] == "rollback", &running);
            refused(step, more)
        }
        Err(other) => panic!("{other:?}"),
    }
}

pub fn refused(step: &str, more: Value) -> Value {
    let mut told = json!({"result": "refuse", "step": step});
    told.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    told
}

pub fn step(refusal: &Refusal, rollback: bool, running: &Version) -> (&'static str, Value) {
    use DocumentKind::{Manifest, Root, Timestamp};
    let reason = |reason: &str| json!({"reason": reason});
    let plain = |step| (step, json!({}));
    let by = |document: &DocumentKind, steps: [&'static str; 3]| match document {
        Root(_) => steps[0],
        Timestamp => steps[1],
        Manifest => steps[2],
    };
    match refusal {
        Refusal::Oversized { object, .. } => match object {
            Object::Root(_) | Object::RootSignatures(_) => ("3", reason("limit")),
            Object::Version(_) => plain("4a"),
            _ => ("6", reason("limit")),
        },
        Refusal::SignatureForm { document, .. } => plain(by(document, ["3a", "4b", "6b"])),
        Refusal::Threshold { document, needed, valid } => {
            (by(document, ["3b", "4c", "6c"]), json!({"needed": needed, "valid": valid}))
        }
        Refusal::SelfThreshold { needed, valid, .. } => ("3e", json!({"needed": needed, "valid": valid})),
        Refusal::Malformed { document: Timestamp, why } if why.contains("fewer than two lines") => {
            plain("4a")
        }
        Refusal::Malformed { document, .. }
        | Refusal::UnknownType { document, .. }
        | Refusal::OtherDocument { document, .. } => plain(by(document, ["3c", "4d", "6d"])),
        Refusal::VersionLineMismatch { .. } => plain("4d"),
        Refusal::WeakKey { .. } => plain("3d"),
        Refusal::RootNumber { .. } => plain("3f"),
        Refusal::WrongProduct { document, .. } => plain(by(document, ["3g", "4e", "6e"])),
        Refusal::EpochLowered { .. } => plain("3h"),
        Refusal::TooManyRoots { .. } => ("3", reason("too-many-roots")),
        Refusal::RootAhead { document: Root(_), .. } => ("3", reason("root-lowered")),
        Refusal::RootAhead { .. } => plain("6j"),
        Refusal::WrongChannel { document, .. } => plain(by(document, ["-", "4f", "6f"])),
        Refusal::WrongEpoch { document, .. } => plain(by(document, ["-", "4g", "6g"])),
        Refusal::WrongSeq { .. } => plain("6h"),
        Refusal::WrongVersion { .. } => plain("6i"),
        Refusal::WrongDigest { .. } => plain("6a"),
        Refusal::Downgrade { .. } | Refusal::OlderIssue { .. } => plain("4h"),
        Refusal::Equivocation { .. } => plain("4i"),
        Refusal::Expired { document: Manifest, .. } => ("6k", reason("expired")),
        Refusal::NotYetValid { document: Manifest, .. } => ("6k", reason("future")),
        Refusal::NotYetValid { document: Root(_), .. } => plain("3i"),
        Refusal::Expired { document: Root(_), .. } => ("5", json!({"document": "root", "reason": "expired"})),
        Refusal::Expired { .. } => ("5", json!({"document": "version", "reason": "expired"})),
        Refusal::NotYetValid { .. } => ("5", json!({"document": "version", "reason": "future"})),
        Refusal::VersionSchemeChanged { known, .. } => plain(if known == running { "kind" } else { "8d" }),
        Refusal::BelowFloor { .. } => plain(if rollback { "6.2" } else { "8d" }),
        Refusal::Short { .. } => ("9", reason("short")),
        Refusal::Long { .. } => ("9", reason("long")),
        Refusal::BlobDigest { .. } => ("9", reason("hash")),
        Refusal::NoUsableForm { .. } => ("9", reason("no-form")),
        Refusal::Undecodable { why, .. } if why.contains("came out") => plain("10"),
        Refusal::Undecodable { why, .. } if why.contains("goes on after") => ("9", reason("output-long")),
        Refusal::Undecodable { .. } => ("9", reason("undecodable")),
        Refusal::PreviousAltered { .. } => ("6.1", reason("altered")),
        Refusal::PreviousEpoch { .. } => plain("6.3"),
        Refusal::StateDamaged { .. } => ("2", reason("damaged")),
        other => panic!("no step is known for {other}"),
    }
}
