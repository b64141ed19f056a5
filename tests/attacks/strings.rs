//! Every string of `VERSION` and manifest, and what it may not be.

use relatch::trust::DocumentKind;
use serde_json::{Value, json};

use crate::attack::Attack;
use crate::documents::{row, stored};
use crate::stage::Stage;
use crate::support::Draft;
use DocumentKind::{Manifest, Version};

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

pub fn nasty_strings() -> Vec<Attack> {
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

pub fn versions() -> Vec<Attack> {
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

pub fn types() -> Vec<Attack> {
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
            let act = move |stage: &mut Stage| {
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
