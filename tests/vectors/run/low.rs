//! Texts and values.

use std::cmp::Ordering;
use std::path::Path;

use relatch::install::{Installation, RecordedFiles};
use relatch::trust::{
    Digest, Document as _, Manifest, Name, Notes, PublicKey, Root, SignatureText, Timestamp, Version,
};
use relatch::{Refusal, Updater};
use serde_json::{Value, json};

use crate::file::bytes;
use crate::tables;

/// What the library says of a vector, in the words of its file.
pub type Told = Value;

pub fn signature(vector: &Value, _: &Value) -> Told {
    let keys: Vec<PublicKey> = vector["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| PublicKey::from_hex(key.as_str().unwrap()).unwrap())
        .collect();
    match SignatureText::parse(&bytes(&vector["text"])) {
        Ok(text) => json!({"result": "accept", "valid": text.count_valid(&keys, &bytes(&vector["message"]))}),
        Err((line, _)) => json!({"result": "refuse", "line": line}),
    }
}

pub fn key(vector: &Value, _: &Value) -> Told {
    let read = match vector["minisign"].as_str() {
        Some(file) => PublicKey::from_minisign(file),
        None => PublicKey::from_hex(vector["hex"].as_str().unwrap()),
    };
    match read {
        Ok(key) => json!({"result": "accept", "key": key.to_hex()}),
        Err(why) => {
            let reasons =
                [("not a point", "no-point"), ("canonical", "not-canonical"), ("small order", "small-order")];
            let reason =
                reasons.iter().find(|(said, _)| why.contains(said)).map_or("form", |(_, reason)| reason);
            json!({"result": "refuse", "reason": reason})
        }
    }
}

pub fn value(vector: &Value, _: &Value) -> Told {
    let text = vector["text"].as_str().unwrap();
    let accepted = match vector["kind"].as_str().unwrap() {
        "name" => text.parse::<Name>().is_ok(),
        "hash" => text.parse::<Digest>().is_ok(),
        "notes" => Notes::try_from(text.to_owned()).is_ok(),
        _ => match text.parse::<Version>() {
            Ok(version) => {
                let kind = if matches!(version, Version::Build(_)) { "build" } else { "semver" };
                return json!({"result": "accept", "version": kind});
            }
            Err(_) => false,
        },
    };
    json!({"result": if accepted { "accept" } else { "refuse" }})
}

pub fn order(vector: &Value, _: &Value) -> Told {
    let version = |field: &str| vector[field].as_str().unwrap().parse::<Version>().unwrap();
    let order = match version("left").compare(&version("right")) {
        Ok(Ordering::Less) => "less",
        Ok(Ordering::Equal) => "equal",
        Ok(Ordering::Greater) => "greater",
        Err(_) => "incomparable",
    };
    json!({"result": order})
}

pub fn document(vector: &Value, file: &Value) -> Told {
    let bytes = tables::documents::document(vector, &file["base"]);
    let read = match vector["type"].as_str().unwrap() {
        "root" => Root::from_canonical(&bytes)
            .and_then(|root| root.ensure_strong_keys().map(|()| root.to_canonical())),
        "manifest" => Manifest::from_canonical(&bytes).map(|manifest| manifest.to_canonical()),
        _ => Timestamp::from_canonical(&bytes).map(|version| version.to_canonical()),
    };
    let reason = match read {
        Ok(written) => {
            assert_eq!(written, bytes);
            return json!({"result": "accept"});
        }
        Err(Refusal::Malformed { .. }) => "malformed",
        Err(Refusal::UnknownType { .. }) => "too-new",
        Err(Refusal::OtherDocument { .. }) => "other-type",
        Err(Refusal::WeakKey { .. }) => "weak-key",
        Err(other) => panic!("{other}"),
    };
    json!({"result": "refuse", "reason": reason})
}

pub fn record(vector: &Value, _: &Value) -> Told {
    let (name, content) = (vector["file"].as_str().unwrap(), bytes(&vector["content"]));
    let dir = tempfile::tempdir().unwrap();
    let place = super::check::Place::new(dir.path());
    place.write_settings(&tables::release::root(1).to_string(), dir.path());
    // Floors and cache count beside a journal.
    place.write_checked("journal", &tables::records::journal());
    std::fs::write(place.site.join(name), &content).unwrap();
    let status = Updater::status(&Installation::at(&place.executable).unwrap(), None);
    let result = match status {
        Ok(status) if status.damaged.is_some() || (name == "cache" && status.finding.is_none()) => "damaged",
        Ok(_) | Err(relatch::Error::Refused(Refusal::StateOfOther { .. })) => {
            if is_refused(&place.executable) { "refuse" } else { "accept" }
        }
        Err(other) => panic!("{other}"),
    };
    if result == "refuse" {
        assert_eq!(std::fs::read(place.site.join(name)).unwrap(), content, "it is left as it was");
    }
    if result == "accept" && name != "cache" {
        let line = |content: &[u8]| -> Value {
            serde_json::from_slice(content.split(|byte| *byte == b'\n').next().unwrap()).unwrap()
        };
        let (journal, floors) = match name {
            "journal" => (Some(&content[..]), None),
            _ => (None, Some(&content[..])),
        };
        let read = RecordedFiles::parse(&"demo".parse().unwrap(), journal, floors, None).unwrap();
        let (journal, floors, _) = read.to_bytes();
        let written = if name == "journal" { journal } else { floors };
        let (written, read) = (line(&written), line(&content));
        for (field, value) in written.as_object().unwrap() {
            assert_eq!(*value, read[field], "{}: {field} is kept", vector["name"]);
        }
        assert!(written.as_object().unwrap().len() >= read.as_object().unwrap().len(), "{}", vector["name"]);
    }
    json!({"result": result})
}

/// Whether an updater of the product `demo` refuses the files.
fn is_refused(executable: &Path) -> bool {
    let answer = Updater::of_installed(executable).unwrap().check(false);
    matches!(answer, Err(relatch::Error::Refused(Refusal::StateOfOther { .. })))
}
