//! Every string of a document, and what it may not be.

use relatch::trust::DocumentKind;
use serde_json::{Value, json};

use crate::attack::{Attack, Outcome, malformed};
use crate::documents::{row, stored};
use crate::stage::Stage;
use crate::support::Draft;
use DocumentKind::{Manifest, Timestamp};

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
        "product", Timestamp, Name, |draft, value| draft.version["product"] = value;
        "channel", Timestamp, Name, |draft, value| draft.version["channel"] = value;
        "version", Timestamp, Version, |draft, value| {
            // Where it has a line end, another line would be the second.
            draft.first_line = value.as_str().is_some_and(|text| text.contains('\n')).then(|| "1.1.0".into());
            draft.version["version"] = value;
        };
        "manifest", Timestamp, Hash, |draft, value| (draft.version["manifest"], draft.link) = (value, false);
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
const NASTY: [(&str, &str, bool); 20] = [
    ("a way up", "../../../etc/passwd", true),
    ("two dots", "..", true),
    ("an absolute path", "/etc/passwd", true),
    ("a path of Windows", "..\\..\\x", true),
    ("an encoded way up", "%2e%2e%2fx", true),
    ("a space", "a b", true),
    ("a device of Windows, as a stream", "nul:x", true),
    ("a NUL", "a\0b", false),
    ("an escape sequence", "\u{1b}[2J\u{1b}]0;owned\u{7}", false),
    ("a line end", "up to date\nwidget", true),
    ("a tab", "a\tb", false),
    ("a DEL", "a\u{7f}b", false),
    ("a letter and a combining one", "e\u{301}", true),
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

/// And whether a document of that type is known, or one of its kind.
const TYPES: [(&str, bool); 12] = [
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
];

pub fn types() -> Vec<Attack> {
    let mut rows = Vec::new();
    for (found, is_known) in TYPES {
        for (document, own, step) in
            [(Timestamp, "relatch-version", "4d"), (Manifest, "relatch-manifest", "6d")]
        {
            let is_own = found.starts_with(own);
            if found == format!("{own}/1") {
                continue;
            }
            let outcome = match (is_known && !is_own, document) {
                (true, Timestamp) => refused!(OtherDocument { document: Timestamp, .. }),
                (true, _) => refused!(OtherDocument { document: Manifest, .. }),
                (false, Timestamp) => refused!(UnknownType { document: Timestamp, .. }),
                (false, _) => refused!(UnknownType { document: Manifest, .. }),
            };
            // A type of the other document with another number is one that is known, by its kind.
            let outcome = match (found, document) {
                ("relatch-version/2" | "relatch-version/01", Manifest) => {
                    refused!(OtherDocument { document: Manifest, .. })
                }
                ("relatch-manifest/2", Timestamp) => refused!(OtherDocument { document: Timestamp, .. }),
                _ => outcome,
            };
            let act = move |stage: &mut Stage| {
                stage.publish(|draft, _| match document {
                    Timestamp => draft.version["type"] = found.into(),
                    _ => draft.manifest["type"] = found.into(),
                });
            };
            rows.push(Attack::new(step, format!("{document} of the type {found:?}"), act, outcome));
        }
    }
    rows
}

table!(types_of_others_and_of_the_future, types());

/// A root with one string changed, as number 2, signed as it should be.
fn root_row(name: String, set: impl Fn(&mut Value) + 'static, outcome: Outcome) -> Attack {
    let act = move |stage: &mut Stage| {
        stage.publish(|_, _| {});
        stage.repository.root_version = 2;
        let mut root = stage.repository.root();
        set(&mut root);
        stage.repository.write_root(2, &root, &stage.repository.root_keys);
    };
    Attack::new("3c", format!("root 2: {name}"), act, outcome)
}

pub fn nasty_strings_of_roots() -> Vec<Attack> {
    type Set = fn(&mut Value, Value);
    let fields: [(&str, &str, Set); 4] = [
        ("product", "is not a name", |root, value| root["product"] = value),
        ("alg", "is not a name", |root, value| root["keys"][0]["alg"] = value),
        ("public", "not lower-case hex or keys", |root, value| root["keys"][0]["public"] = value),
        ("a role's key", "not in `keys`", |root, value| root["roles"]["timestamp"]["keys"] = json!([value])),
    ];
    let mut rows = Vec::new();
    for (name, because, set) in fields {
        for (what, text) in NASTY.into_iter().map(|(what, text, _)| (what, text)).chain([("nothing", "")]) {
            let outcome = malformed(DocumentKind::Root(2), because);
            rows.push(root_row(format!("{what} in {name}"), move |root| set(root, text.into()), outcome));
        }
    }
    rows
}

table!(strings_of_roots_that_lead_astray, nasty_strings_of_roots());

pub fn types_of_roots() -> Vec<Attack> {
    const ROOT_2: DocumentKind = DocumentKind::Root(2);
    let types = TYPES.into_iter().filter(|(found, _)| *found != "relatch-root/1");
    types
        .map(|(found, _)| {
            let is_of_another =
                ["relatch-version/", "relatch-manifest/"].iter().any(|kind| found.starts_with(kind));
            let outcome = match is_of_another {
                true => refused!(OtherDocument { document: ROOT_2, .. }),
                false => refused!(UnknownType { document: ROOT_2, .. }),
            };
            root_row(format!("of the type {found:?}"), move |root| root["type"] = found.into(), outcome)
        })
        .collect()
}

table!(types_of_roots_that_are_none, types_of_roots());
