//! Whole checks: a real directory, a clock that stands still, and what is on the disk afterwards.

use std::path::{Path, PathBuf};

use relatch::Finding;
use relatch::source::Object;
use relatch::trust::{DocumentKind, Version};
use relatch::{Clock, Error, Local, Outcome, Refusal, RolledBack, Unavailable, Updater};
use serde_json::{Map, Value, json};

use crate::file::bytes;
use crate::tables::checks::{COMPARED, FILES, objects, whole};
use crate::tables::release::{PRODUCT, TARGET, blake3};

/// What stands on line 2 of a damaged file.
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

    pub fn write_checked(&self, name: &str, value: &Value) {
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
        let is_executable = name == "previous" || name.starts_with("kept-");
        self.site.join(if cfg!(windows) && is_executable { format!("{name}.exe") } else { name.to_owned() })
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
    let client = whole(file, vector, "client");
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
    for name in FILES {
        let line = Value::from(whole(file, vector, name));
        match line.as_object().unwrap().is_empty() {
            true => {}
            false if is_damaged(&client, name) => place.write_damaged(name, &line),
            false => place.write_checked(name, &line),
        }
    }
    for name in ["root", "previous"] {
        if !client[name].is_null() {
            std::fs::write(place.path(name), bytes(&client[name])).unwrap();
        }
    }
    for (name, content) in client["kept"].as_object().unwrap() {
        std::fs::write(place.path(name), bytes(content)).unwrap();
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
    compare(name, vector, &client, &place, before.as_deref());
    for name in FILES {
        compare_record(name, vector, file, &place);
    }
}

fn is_damaged(client: &Map<String, Value>, name: &str) -> bool {
    client["damaged"].as_array().unwrap().contains(&name.into())
}

/// What is expected of one of the three files; `None` if it does not exist, or is damaged.
pub fn expected(name: &str, vector: &Value, file: &Value) -> Option<Map<String, Value>> {
    let before = whole(file, vector, name);
    let anew = before.is_empty() || is_damaged(&whole(file, vector, "client"), name);
    match (vector["after"].get(name).and_then(Value::as_object), anew) {
        (None, true) => None,
        (None, false) => Some(before),
        (Some(after), true) => Some(after.clone()),
        (Some(after), false) => Some(before.into_iter().chain(after.clone()).collect()),
    }
}

/// Compares what is recorded with what a vector says of it.
pub fn compare_fields(name: &str, of: &str, found: &Value, expected: &Map<String, Value>) {
    for (field, value) in expected {
        let is_random = field == "rollout" && value.is_null();
        if !is_random && (name != "cache" || COMPARED.contains(&field.as_str())) {
            assert_eq!(found[field], *value, "{of}: {field} of {name}");
        }
    }
    assert_eq!(found.as_object().unwrap().len(), expected.len(), "{of}: the fields of {name}");
}

fn compare_record(name: &str, vector: &Value, file: &Value, place: &Place) {
    let of = vector["name"].as_str().unwrap();
    let found = place.file(name).map(|text| String::from_utf8(text).unwrap());
    let found = found.filter(|text| !text.ends_with(&format!("{NO_HASH}\n")));
    let found = found.map(|text| serde_json::from_str::<Value>(text.lines().next().unwrap()).unwrap());
    let found = found.map(without_signers);
    match (found, expected(name, vector, file)) {
        (None, None) => {}
        (Some(found), Some(expected)) => compare_fields(name, of, &found, &expected),
        (found, expected) => panic!("{of}: {name} is {found:?} instead of {expected:?}"),
    }
}

/// Nothing depends on who signed what is installed or kept.
fn without_signers(mut record: Value) -> Value {
    let strip = |executable: &mut Value| executable.as_object_mut().map(|fields| fields.remove("signers"));
    if let Some(installed) = record.get_mut("installed") {
        strip(installed);
    }
    record
        .get_mut("kept")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
        .for_each(|kept| drop(strip(kept)));
    record
}

fn compare(
    name: &str,
    vector: &Value,
    client: &Map<String, Value>,
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
    let kept = then("kept");
    for (file, content) in kept.as_object().unwrap() {
        assert_eq!(place.file(file), Some(bytes(content)), "{name}: {file}");
    }
    for entry in std::fs::read_dir(&place.site).unwrap() {
        let stray = entry.unwrap().file_name().into_string().unwrap();
        if kept.get(stray.strip_suffix(".exe").unwrap_or(&stray)).is_some() {
            continue;
        }
        assert!(!stray.contains('-') && !stray.starts_with("leaving"), "{name}: {stray} is left behind");
    }
}

/// What the library does, in the words of the vectors.
fn tell(place: &Place, client: &Map<String, Value>) -> Value {
    let running: Version = client["version"].as_str().unwrap().parse().unwrap();
    let updater = Updater::of_installed(&place.executable).unwrap().version(running.clone());
    let (command, place) = (client["command"].as_str().unwrap(), updater.installation());
    let to: Option<Version> = client["to"].as_str().map(|to| to.parse().unwrap());
    let answer = if command != "update" {
        let done = match (command, &to) {
            ("rollback", None) => Updater::rollback(place, Some(&running)),
            ("rollback", Some(to)) => Updater::rollback_to(place, Some(&running), to),
            (_, to) => Updater::forward(place, Some(&running), to.as_ref().unwrap()),
        };
        let reason = if to.is_some() { "installed" } else { "returned" };
        done.map(|done| match done {
            RolledBack::Now { to, .. } => json!({"result": "install", "version": to.to_string()}),
            RolledBack::Already { .. } => json!({"result": "nothing", "step": "6", "reason": reason}),
        })
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
        Err(Error::Local(Local::NotKept { .. })) => refused("6", json!({"reason": "not-kept"})),
        Err(Error::Local(Local::KeptIsNewer { .. })) => refused("6", json!({"reason": "newer"})),
        Err(Error::Local(Local::KeptIsOlder { .. })) => refused("6", json!({"reason": "older"})),
        Err(Error::Refused(refusal)) => {
            let (step, more) = step(&refusal, command != "update", &running);
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
        Refusal::Retracted { .. } => plain("6.3"),
        Refusal::PreviousEpoch { .. } => plain("6.4"),
        Refusal::PreviousDomain { .. } => plain("6.5"),
        Refusal::RootUndetermined { .. } => ("3", reason("undetermined")),
        Refusal::RootEquivocation { .. } => ("3", reason("equivocation")),
        Refusal::TooManyDomains { .. } => ("3", reason("too-many-domains")),
        Refusal::StateDamaged { .. } => ("2", reason("damaged")),
        other => panic!("no step is known for {other}"),
    }
}
