//! What a document may not say.
//!
//! Each row changes one thing of a good release before it is signed as it should be: the attacker holds all keys but a threshold of the
//! others. The rows about fields that the client compares stand in `freshness`, those about its own text in `spelling`.

use relatch::trust::{Digest, DocumentKind};
use serde_json::{Value, json};

use crate::attack::{Attack, malformed};
use crate::support::Draft;
use DocumentKind::{Manifest, Timestamp};

pub fn row(
    name: impl std::fmt::Display,
    document: DocumentKind,
    change: impl Fn(&mut Draft) + 'static,
    because: &str,
) -> Attack {
    let step = if document == Timestamp { "4d" } else { "6d" };
    let outcome = malformed(document, because);
    let act = move |stage: &mut crate::stage::Stage| stage.publish(|draft, _| change(draft));
    Attack::new(step, format!("{document}: {name}"), act, outcome)
}

fn hash(text: &str) -> Value {
    Digest::of(text.as_bytes()).to_string().into()
}

pub fn stored(draft: &mut Draft) -> &mut Value {
    &mut draft.manifest["artifacts"][0]["stored"]
}

fn second_artifact(draft: &mut Draft, target: &str) {
    let mut other = draft.manifest["artifacts"][0].clone();
    other["target"] = target.into();
    draft.manifest["artifacts"].as_array_mut().unwrap().push(other);
}

pub fn values() -> Vec<Attack> {
    vec![
        row("rollout 101", Timestamp, |draft| draft.version["rollout"] = 101.into(), "rollout"),
        row("rollout 256", Timestamp, |draft| draft.version["rollout"] = 256.into(), "256"),
        row("expires at issue", Timestamp, |d| d.version["expires"] = d.version["issued"].clone(), "expires"),
        row(
            "expires at issue",
            Manifest,
            |d| d.manifest["expires"] = d.manifest["issued"].clone(),
            "expires",
        ),
        row("seq 0", Timestamp, |draft| draft.version["seq"] = 0.into(), "at least 1"),
        row("seq 0", Manifest, |draft| draft.manifest["seq"] = 0.into(), "at least 1"),
        row("epoch 0", Timestamp, |draft| draft.version["epoch"] = 0.into(), "at least 1"),
        row("epoch 0", Manifest, |draft| draft.manifest["epoch"] = 0.into(), "at least 1"),
        row("root_version 0", Manifest, |draft| draft.manifest["root_version"] = 0.into(), "root_version"),
        row("upper-case product", Timestamp, |draft| draft.version["product"] = "Widget".into(), "name"),
        row(
            "upper-case hash",
            Timestamp,
            |draft| {
                draft.version["manifest"] = Digest::of(b"x").to_string().to_uppercase().into();
                draft.link = false;
            },
            "64 lower-case",
        ),
        row(
            "short hash",
            Timestamp,
            |draft| {
                draft.version["manifest"] = Digest::of(b"x").to_string()[..63].into();
                draft.link = false;
            },
            "64 lower-case",
        ),
        row(
            "long hash",
            Timestamp,
            |draft| {
                draft.version["manifest"] = format!("{}0", Digest::of(b"x")).into();
                draft.link = false;
            },
            "64 lower-case",
        ),
        row(
            "min_version of another kind",
            Manifest,
            |d| d.manifest["min_version"] = "7".into(),
            "min_version",
        ),
        row(
            "min_version above the version",
            Manifest,
            |draft| draft.manifest["min_version"] = "999.0.0".into(),
            "min_version",
        ),
        row(
            "retracts itself",
            Manifest,
            |draft| draft.manifest["retracts"] = json!([draft.manifest["version"]]),
            "retracts",
        ),
        row("retracts another kind", Manifest, |d| d.manifest["retracts"] = json!(["7"]), "retracts"),
        row(
            "retracts unsorted",
            Manifest,
            |draft| {
                draft.manifest["retracts"] = json!(["1.0.2", "1.0.1"]);
            },
            "retracts",
        ),
        // Bytewise, not by precedence.
        row(
            "retracts by precedence",
            Manifest,
            |draft| {
                draft.manifest["retracts"] = json!(["0.9.0", "0.10.0"]);
            },
            "retracts",
        ),
        row(
            "retracts twice",
            Manifest,
            |draft| {
                draft.manifest["retracts"] = json!(["1.0.1", "1.0.1"]);
            },
            "retracts",
        ),
        row(
            "stored size 0",
            Manifest,
            |draft| {
                *stored(draft) = json!([{"encoding": "zstd", "from": null, "size": 0, "blake3": hash("x")}]);
            },
            "size",
        ),
        row("artifacts unsorted", Manifest, |draft| second_artifact(draft, "a"), "artifacts"),
        row("a target twice", Manifest, |draft| second_artifact(draft, "test"), "artifacts"),
        row(
            "upper-case hash",
            Manifest,
            |draft| {
                let hash = draft.manifest["artifacts"][0]["blake3"].as_str().unwrap().to_uppercase();
                draft.manifest["artifacts"][0]["blake3"] = hash.into();
            },
            "64 lower-case",
        ),
        row(
            "short stored hash",
            Manifest,
            |draft| {
                let hash = stored(draft)[0]["blake3"].as_str().unwrap()[1..].to_owned();
                stored(draft)[0]["blake3"] = hash.into();
            },
            "64 lower-case",
        ),
        row("identity with another hash", Manifest, |d| stored(d)[0]["blake3"] = hash("x"), "identity"),
        row(
            "identity with another size",
            Manifest,
            |draft| {
                stored(draft)[0]["size"] = (stored(draft)[0]["size"].as_u64().unwrap() + 1).into();
            },
            "identity",
        ),
        row("from on identity", Manifest, |draft| stored(draft)[0]["from"] = hash("x"), "from"),
        row(
            "from on zstd",
            Manifest,
            |draft| {
                stored(draft)
                    .as_array_mut()
                    .unwrap()
                    .push(json!({"encoding": "zstd", "from": hash("x"), "size": 1, "blake3": hash("y")}));
            },
            "from",
        ),
        row(
            "no from on zstd-patch",
            Manifest,
            |draft| {
                stored(draft)
                    .as_array_mut()
                    .unwrap()
                    .push(json!({"encoding": "zstd-patch", "from": null, "size": 1, "blake3": hash("y")}));
            },
            "from",
        ),
        row("nothing stored", Manifest, |draft| *stored(draft) = json!([]), "stored"),
        row(
            "stored unsorted",
            Manifest,
            |draft| {
                let zstd = json!({"encoding": "zstd", "from": null, "size": 1, "blake3": hash("y")});
                stored(draft).as_array_mut().unwrap().insert(0, zstd);
            },
            "stored",
        ),
        row(
            "patches unsorted by from",
            Manifest,
            |draft| {
                let mut from = [hash("a"), hash("b")].map(|hash| hash.as_str().unwrap().to_owned());
                from.sort();
                for from in from.into_iter().rev() {
                    stored(draft).as_array_mut().unwrap().push(
                        json!({"encoding": "zstd-patch", "from": from, "size": 1, "blake3": hash("y")}),
                    );
                }
            },
            "stored",
        ),
        row(
            "a form twice",
            Manifest,
            |draft| {
                let first = stored(draft)[0].clone();
                stored(draft).as_array_mut().unwrap().push(first);
            },
            "stored",
        ),
    ]
}

table!(values_that_no_document_may_have, values());

fn set_sizes(draft: &mut Draft, change: impl Fn(u64) -> u64) {
    let size = change(draft.manifest["artifacts"][0]["size"].as_u64().unwrap());
    draft.manifest["artifacts"][0]["size"] = size.into();
    stored(draft)[0]["size"] = size.into();
}

pub fn sizes() -> Vec<Attack> {
    vec![
        row("size 0", Manifest, |draft| set_sizes(draft, |_| 0), "size"),
        row("size 2^53", Manifest, |draft| set_sizes(draft, |_| 1 << 53), "2^53"),
        row("size 2^63", Manifest, |draft| set_sizes(draft, |_| 1 << 63), "2^53"),
        row("size 2^64 - 1", Manifest, |draft| set_sizes(draft, |_| u64::MAX), "2^53"),
        Attack::new(
            "9",
            "the manifest: size one too small",
            |stage| stage.publish(|draft, _| set_sizes(draft, |size| size - 1)),
            refused_later!(Long { .. }),
        ),
        Attack::new(
            "9",
            "the manifest: size one too large",
            |stage| stage.publish(|draft, _| set_sizes(draft, |size| size + 1)),
            refused_later!(Short { .. }),
        ),
        Attack::new(
            "9",
            "the manifest: size far too large", // tests/preflight.rs has one that is too large for the disk
            |stage| stage.publish(|draft, _| set_sizes(draft, |_| 1 << 24)),
            refused_later!(Short { .. }),
        ),
    ]
}

table!(sizes_that_are_none, sizes());
