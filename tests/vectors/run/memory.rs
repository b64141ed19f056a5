//! Whole checks without a disk: what the machine of steps 3 to 8 decides, and what it remembers.

use relatch::check::{Decision, Purpose};
use relatch::install::RecordedFiles;
use relatch::trust::{Identity, Name, Roots, TrustAnchor, Version};
use relatch::{Error, Finding, Unavailable};
use serde_json::{Map, Value, json};

use super::check::{compare_fields, expected, refused, step};
use super::client::{Client, recorded_root};
use crate::file::bytes;
use crate::tables::checks::{FILES, objects, whole};
use crate::tables::release::{TARGET, blake3};

/// Runs a vector and compares; false for a vector that another step decides.
pub fn run(vector: &Value, file: &Value) -> bool {
    let name = vector["name"].as_str().unwrap();
    let client = whole(file, vector, "client");
    if client["command"] != "update" {
        return false;
    }
    let text = |field: &str| client[field].as_str().unwrap();
    let product: Name = text("product").parse().unwrap();
    let identity = Identity { product: product.clone(), channel: text("channel").parse().unwrap() };
    let running: Version = text("version").parse().unwrap();
    let content = FILES.map(|name| {
        let line = Value::from(whole(file, vector, name));
        let is_there = !line.as_object().unwrap().is_empty()
            && !client["damaged"].as_array().unwrap().contains(&name.into());
        is_there.then(|| format!("{line}\n{}\n", blake3(line.to_string().as_bytes())).into_bytes())
    });
    let [journal, floors, cache] = content.each_ref().map(|content| content.as_deref());
    let mut files = RecordedFiles::parse(&product, journal, floors, cache).unwrap();
    let anchor: Roots = TrustAnchor::new(text("anchor").as_bytes()).unwrap().into();
    let root = (!client["root"].is_null()).then(|| bytes(&client["root"]));
    let recorded = root.and_then(|content| recorded_root(text("anchor").as_bytes(), &content));
    let objects = objects(file, vector).into_iter().collect();
    let with = Client::new(&objects, &anchor, identity.clone(), client["clock"].as_u64().unwrap());
    let now = client["now"].as_bool().unwrap();
    let purpose = |files: &RecordedFiles| {
        Purpose::Client(files.candidate(TARGET.parse().unwrap(), Some(running.clone()), now))
    };
    let verdict = with.check(&mut files, recorded.as_ref(), &purpose);
    let is_verified = verdict.is_ok();
    let decision = verdict.and_then(|verdict| {
        files.save(&identity, anchor.digest(), &verdict.memory)?;
        verdict.decision.map_err(Error::from)
    });
    let outcome = match decision {
        Ok(Decision::Update(_)) => {
            let later = ["9", "10"].map(Value::from).contains(&vector["step"])
                || vector["object"].as_str().is_some_and(|object| object.starts_with("blobs/"));
            assert!(vector["result"] == "install" || later, "{name}");
            None
        }
        Ok(Decision::Nothing(finding)) => {
            let (step, reason) = match finding {
                Finding::Current => ("8b", "current"),
                Finding::NoTarget { .. } => ("8a", "target"),
                Finding::Held { .. } => ("8c", "held"),
                Finding::NotInRollout { .. } => ("8e", "rollout"),
                other => panic!("{other}"),
            };
            Some(json!({"result": "nothing", "step": step, "reason": reason}))
        }
        Err(Error::Unavailable(Unavailable::Absent { object, .. })) => {
            Some(json!({"result": "unavailable", "object": object.to_string()}))
        }
        Err(Error::Refused(refusal)) => {
            let (step, more) = step(&refusal, false, &running);
            Some(refused(step, more))
        }
        Err(other) => panic!("{name}: {other}"),
    };
    let mut told = Map::new();
    for field in ["result", "step", "document", "reason", "needed", "valid", "version", "object"] {
        if let Some(value) = vector.get(field) {
            told.insert(field.into(), value.clone());
        }
    }
    let installs = vector["result"] == "install";
    if let Some(outcome) = outcome {
        assert_eq!(outcome, Value::from(told), "{name}");
    }
    assert_eq!(
        with.trusted_root.get().map(Value::from).as_ref(),
        vector["after"].get("trusted_root"),
        "{name}: root"
    );
    let (_, floors, cache) = files.to_bytes();
    let parsed = |text: &[u8]| -> Value {
        serde_json::from_slice(text.split(|byte| *byte == b'\n').next().unwrap()).unwrap()
    };
    match expected("floors", vector, file) {
        Some(expected) => compare_fields("floors", name, &parsed(&floors), &expected),
        // Damaged floors stay, and so does that there are none.
        None => assert!(!is_verified, "{name}: no floors"),
    }
    match (expected("cache", vector, file), cache) {
        (Some(mut expected), Some(cache)) => {
            if installs {
                // The swap comes after these steps.
                expected.insert("finding".into(), parsed(&cache)["finding"].clone());
                expected.insert("about".into(), parsed(&cache)["about"].clone());
            }
            compare_fields("cache", name, &parsed(&cache), &expected);
        }
        (expected, found) => assert!(expected.is_none() && found.is_none(), "{name}: the cache"),
    }
    true
}
