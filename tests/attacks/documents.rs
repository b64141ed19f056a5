//! What a document may not say.
//!
//! Each row changes one thing of a good release before it is signed as it should be: the attacker holds all keys but a threshold of the
//! others. The rows about fields that the client compares stand in `identity`, those about its own text in `spelling`.

use relatch::trust::{Digest, DocumentKind};
use serde_json::{Value, json};

use crate::attack::{Attack, malformed};
use crate::support::Draft;
use DocumentKind::{Manifest, Version};

fn row(
    name: impl std::fmt::Display,
    document: DocumentKind,
    change: impl Fn(&mut Draft) + 'static,
    because: &str,
) -> Attack {
    let step = if document == Version { "4d" } else { "6d" };
    let outcome = malformed(document, because);
    let act = move |stage: &mut crate::stage::Stage| stage.publish(|draft, _| change(draft));
    Attack::new(step, format!("{document}: {name}"), act, outcome)
}

fn hash(text: &str) -> Value {
    Digest::of(text.as_bytes()).to_string().into()
}

fn stored(draft: &mut Draft) -> &mut Value {
    &mut draft.manifest["artifacts"][0]["stored"]
}

fn second_artifact(draft: &mut Draft, target: &str) {
    let mut other = draft.manifest["artifacts"][0].clone();
    other["target"] = target.into();
    draft.manifest["artifacts"].as_array_mut().unwrap().push(other);
}

fn values() -> Vec<Attack> {
    vec![
        row("rollout 101", Version, |draft| draft.version["rollout"] = 101.into(), "rollout"),
        row("rollout 256", Version, |draft| draft.version["rollout"] = 256.into(), "256"),
        row("expires at issue", Version, |d| d.version["expires"] = d.version["issued"].clone(), "expires"),
        row(
            "expires at issue",
            Manifest,
            |d| d.manifest["expires"] = d.manifest["issued"].clone(),
            "expires",
        ),
        row("seq 0", Version, |draft| draft.version["seq"] = 0.into(), "at least 1"),
        row("seq 0", Manifest, |draft| draft.manifest["seq"] = 0.into(), "at least 1"),
        row("epoch 0", Version, |draft| draft.version["epoch"] = 0.into(), "at least 1"),
        row("epoch 0", Manifest, |draft| draft.manifest["epoch"] = 0.into(), "at least 1"),
        row("root_version 0", Manifest, |draft| draft.manifest["root_version"] = 0.into(), "root_version"),
        row("upper-case product", Version, |draft| draft.version["product"] = "Widget".into(), "name"),
        row(
            "upper-case hash",
            Version,
            |draft| {
                draft.version["manifest"] = Digest::of(b"x").to_string().to_uppercase().into();
                draft.link = false;
            },
            "64 lower-case",
        ),
        row(
            "short hash",
            Version,
            |draft| {
                draft.version["manifest"] = Digest::of(b"x").to_string()[..63].into();
                draft.link = false;
            },
            "64 lower-case",
        ),
        row(
            "long hash",
            Version,
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

/// A string of a document: what holds it, and the words of its refusal.
struct Field {
    name: &'static str,
    document: DocumentKind,
    set: fn(&mut Draft, Value),
    is: Is,
}

#[derive(Clone, Copy, PartialEq)]
enum Is {
    Name,
    Version,
    Hash,
    Notes,
}

impl Is {
    fn because(self) -> &'static str {
        match self {
            Is::Name => "is not a name",
            Is::Version => "version",
            Is::Hash => "64 lower-case hex digits",
            Is::Notes => "U+",
        }
    }
}

/// Every string but `type`, of which there are rows of their own.
#[rustfmt::skip]
fn strings() -> Vec<Field> {
    macro_rules! fields {
        ($($name:literal, $document:ident, $is:ident, $set:expr;)+) => {
            vec![$(Field { name: $name, document: $document, is: Is::$is, set: $set }),+]
        };
    }
    fields![
        "product", Version, Name, |draft, value| draft.version["product"] = value;
        "channel", Version, Name, |draft, value| draft.version["channel"] = value;
        "version", Version, Version, |draft, value| draft.version["version"] = value;
        "manifest", Version, Hash, |draft, value| (draft.version["manifest"], draft.link) = (value, false);
        "product", Manifest, Name, |draft, value| draft.manifest["product"] = value;
        "channel", Manifest, Name, |draft, value| draft.manifest["channel"] = value;
        "version", Manifest, Version, |draft, value| draft.manifest["version"] = value;
        "min_version", Manifest, Version, |draft, value| draft.manifest["min_version"] = value;
        "retracts", Manifest, Version, |draft, value| draft.manifest["retracts"] = json!([value]);
        "notes", Manifest, Notes, |draft, value| draft.manifest["notes"] = value;
        "target", Manifest, Name, |draft, value| draft.manifest["artifacts"][0]["target"] = value;
        "blake3", Manifest, Hash, |draft, value| draft.manifest["artifacts"][0]["blake3"] = value;
        "encoding", Manifest, Name, |draft, value| stored(draft)[0]["encoding"] = value;
        "from", Manifest, Hash, |draft, value| stored(draft)[0]["from"] = value;
        "blake3 of what is stored", Manifest, Hash, |draft, value| stored(draft)[0]["blake3"] = value;
    ]
}

/// Paths that lead elsewhere, characters that drive a terminal, letters that look like others. Notes are text: of these they may hold the
/// paths and the letters.
#[rustfmt::skip]
const NASTY: [(&str, &str, bool); 16] = [
    ("a way up", "../../../etc/passwd", true),
    ("two dots", "..", true),
    ("an absolute path", "/etc/passwd", true),
    ("a path of Windows", "..\\..\\x", true),
    ("an encoded way up", "%2e%2e%2fx", true),
    ("a space", "a b", true),
    ("a device of Windows, as a stream", "nul:x", true),
    ("a NUL", "a\0b", false),
    ("an escape sequence", "\u{1b}[2J\u{1b}]0;owned\u{7}", false),
    ("a C1 escape", "\u{9b}2J", false),
    ("a carriage return", "1.0.0\rup to date", false),
    ("a right-to-left override", "a\u{202e}b", false),
    ("an invisible letter", "widget\u{200b}", false),
    ("a Cyrillic letter", "wіdget-1.0.0", true),
    ("a fullwidth letter", "ｗidget", true),
    ("a Kelvin sign", "1.0.0-\u{212a}", true),
];

fn nasty_strings() -> Vec<Attack> {
    let mut rows = Vec::new();
    for Field { name, document, set, is } in strings() {
        for (what, text, is_fit_for_notes) in NASTY {
            if is != Is::Notes || !is_fit_for_notes {
                let change = move |draft: &mut Draft| set(draft, text.into());
                rows.push(row(format!("{what} in {name}"), document, change, is.because()));
            }
        }
        if is != Is::Notes {
            let change = move |draft: &mut Draft| set(draft, "".into());
            rows.push(row(format!("nothing in {name}"), document, change, is.because()));
        }
    }
    rows
}

table!(strings_that_lead_astray, nasty_strings());

fn versions() -> Vec<Attack> {
    let mut rows = Vec::new();
    for (what, text) in [
        ("build metadata", "1.1.0+x"),
        ("a leading zero in a build number", "041"),
        ("a leading zero in SemVer", "1.01.0"),
        ("a leading zero in the pre-release", "1.1.0-01"),
        ("zero", "0"),
        ("a sign", "-1"),
        ("a plus", "+41"),
        ("two numbers", "1.1"),
        ("four numbers", "1.1.0.0"),
        ("a v", "v1.1.0"),
        ("an empty pre-release", "1.1.0-"),
        ("a word", "latest"),
        ("a space before", " 1.1.0"),
        ("a tab behind", "1.1.0\t"),
        ("a number of 2^64", "1.18446744073709551616.0"),
        ("a build number of 2^64", "18446744073709551616"),
        ("other digits", "１.1.0"),
    ] {
        for Field { name, document, set, .. } in strings().into_iter().filter(|field| field.is == Is::Version)
        {
            let change = move |draft: &mut Draft| set(draft, text.into());
            rows.push(row(format!("{what} as {name}"), document, change, "version"));
        }
    }
    rows
}

table!(versions_that_are_none, versions());

fn types() -> Vec<Attack> {
    let mut rows = Vec::new();
    for (found, is_known) in [
        ("relatch-version/2", false),
        ("relatch-manifest/2", false),
        ("relatch-version/01", false),
        ("relatch-version", false),
        ("Relatch-version/1", false),
        ("gadget/1", false),
        ("\u{1b}[2J/1", false),
        ("", false),
        ("relatch-root/1", true),
        ("relatch-root/2", true),
        ("relatch-manifest/1", true),
        ("relatch-version/1", true),
    ] {
        for (document, own, step) in
            [(Version, "relatch-version", "4d"), (Manifest, "relatch-manifest", "6d")]
        {
            let is_own = found.starts_with(own);
            if found == format!("{own}/1") {
                continue;
            }
            let outcome = match (is_known && !is_own, document) {
                (true, Version) => refused!(OtherDocument { document: Version, .. }),
                (true, _) => refused!(OtherDocument { document: Manifest, .. }),
                (false, Version) => refused!(UnknownType { document: Version, .. }),
                (false, _) => refused!(UnknownType { document: Manifest, .. }),
            };
            // A type of the other document with another number is one that is known, by its kind.
            let outcome = match (found, document) {
                ("relatch-version/2" | "relatch-version/01", Manifest) => {
                    refused!(OtherDocument { document: Manifest, .. })
                }
                ("relatch-manifest/2", Version) => refused!(OtherDocument { document: Version, .. }),
                _ => outcome,
            };
            let act = move |stage: &mut crate::stage::Stage| {
                stage.publish(|draft, _| match document {
                    Version => draft.version["type"] = found.into(),
                    _ => draft.manifest["type"] = found.into(),
                });
            };
            rows.push(Attack::new(step, format!("{document} of the type {found:?}"), act, outcome));
        }
    }
    rows
}

table!(types_of_others_and_of_the_future, types());

fn set_sizes(draft: &mut Draft, change: impl Fn(u64) -> u64) {
    let size = change(draft.manifest["artifacts"][0]["size"].as_u64().unwrap());
    draft.manifest["artifacts"][0]["size"] = size.into();
    stored(draft)[0]["size"] = size.into();
}

fn sizes() -> Vec<Attack> {
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
            "the manifest: the largest size",
            |stage| stage.publish(|draft, _| set_sizes(draft, |_| (1 << 53) - 1)),
            refused_later!(Short { .. }),
        ),
    ]
}

table!(sizes_that_are_none, sizes());
