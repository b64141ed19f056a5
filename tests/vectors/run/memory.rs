//! Whole checks without a disk: what the machine of steps 3 to 8 decides, and what it remembers.

use std::collections::HashMap;

use relatch::check::{Answer, Candidate, Check, Decision, Memory, Purpose, Want};
use relatch::install::State;
use relatch::trust::{Fetched, Identity, Roots, TrustAnchor, Version};
use relatch::{Error, Finding, Refusal, Unavailable};
use serde_json::{Map, Value, json};

use super::check::{refused, step};
use crate::file::bytes;
use crate::tables::checks::{COMPARED, objects, whole};
use crate::tables::release::{TARGET, blake3};

/// Runs a vector and compares; false for a vector that another step decides.
pub fn run(vector: &Value, file: &Value) -> bool {
    let name = vector["name"].as_str().unwrap();
    let (client, mut state) = (whole(file, vector, "client"), whole(file, vector, "state"));
    if client["command"] != "update" {
        return false;
    }
    let text = |field: &str| client[field].as_str().unwrap();
    let identity =
        Identity { product: text("product").parse().unwrap(), channel: text("channel").parse().unwrap() };
    let running: Version = text("version").parse().unwrap();
    let recorded = match text("state_file") {
        "there" => match parse(&state).and_then(|state| state.follow(&identity)) {
            Ok(state) => Some(state),
            Err(_) => return false, // step 2
        },
        _ => None,
    };
    let there: HashMap<String, Vec<u8>> = objects(file, vector).into_iter().collect();
    let memory = recorded.as_ref().map_or(Memory::new(50), |state| state.memory().clone());
    let held = recorded.as_ref().map_or(Vec::new(), |state| state.held().to_vec());
    let candidate = Candidate {
        target: TARGET.parse().unwrap(),
        installed: Some(running.clone()),
        held,
        now: client["now"].as_bool().unwrap(),
    };
    let now = client["clock"].as_u64().unwrap();
    let start = roots(&client);
    let mut check = Check::new(&start, identity, "here", memory, Purpose::Client(candidate), now);
    let (mut saved, mut trusted_root) = (None, None);
    while let Want::Object(wanted) = check.want() {
        let answer = match there.get(&wanted.object.to_string()) {
            Some(content) => Answer::Found(Fetched::new(content.clone()), None),
            None => Unavailable::Absent { location: "here".into(), object: wanted.object }.into(),
        };
        if check.supply(answer, now).is_some() {
            (saved, trusted_root) = (Some(check.memory().clone()), Some(check.roots().version));
        }
    }
    let decision = match check.into_verdict() {
        Ok(verdict) => {
            saved = Some(verdict.memory);
            verdict.decision.map_err(Error::from)
        }
        Err(error) => Err(error),
    };
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
    let mut expected = Map::new();
    for field in ["result", "step", "document", "reason", "needed", "valid", "version", "object"] {
        if let Some(value) = vector.get(field) {
            expected.insert(field.into(), value.clone());
        }
    }
    let installs = outcome.is_none();
    if let Some(outcome) = outcome {
        assert_eq!(outcome, Value::from(expected), "{name}");
    }
    assert_eq!(trusted_root.map(Value::from).as_ref(), vector["after"].get("trusted_root"), "{name}: root");
    if let (Some(recorded), Some(saved)) = (recorded, saved) {
        let text = recorded.with_memory(saved).to_bytes();
        let line = text.split(|byte| *byte == b'\n').next().unwrap();
        let found: Value = serde_json::from_slice(line).unwrap();
        state.extend(
            vector["after"].get("state").map_or(Map::new(), |state| state.as_object().unwrap().clone()),
        );
        // The swap comes after these steps.
        let swapped = ["installed", "previous", "held"];
        for field in COMPARED.iter().filter(|field| !(installs && swapped.contains(field))) {
            assert_eq!(found[*field], state[*field], "{name}: {field}");
        }
    }
    true
}

fn parse(state: &Map<String, Value>) -> Result<State, Refusal> {
    let line = Value::from(state.clone()).to_string();
    State::parse(format!("{line}\n{}\n", blake3(line.as_bytes())).as_bytes())
}

/// The root that is recorded, else the one that the tool carries.
fn roots(client: &Map<String, Value>) -> Roots {
    let anchor = || TrustAnchor::new(client["anchor"].as_str().unwrap().as_bytes()).unwrap();
    if client["root"].is_null() {
        return anchor().into();
    }
    let content = bytes(&client["root"]);
    let end = content.iter().position(|byte| *byte == b'\n').unwrap_or(content.len());
    let (document, signatures) = content.split_at(end);
    let signatures = signatures.get(1..).unwrap_or_default();
    let recorded = anchor().or_recorded(&Fetched::new(document.to_vec()), &Fetched::new(signatures.to_vec()));
    recorded.unwrap_or_else(|_| anchor().into())
}
