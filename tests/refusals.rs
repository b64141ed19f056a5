//! Promise: what is wrong in any one way is refused for that reason, leaves the disk byte for byte as it was, and does not stand in the
//! way of the next good release.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "the helpers of tests are tests")]

mod support;

use relatch::policy::Reason;
use relatch::source::Object;
use relatch::trust::{Digest, DocumentKind};
use relatch::{Error, Outcome, Refusal, Unavailable};
use serde_json::{Value, json};
use support::minisign::{Block, sign_all};
use support::scene::{Stopped, without_state};
use support::tool::install_plain;
use support::{Draft, Key, Scene, fake, now};

const DAY: u64 = 24 * 60 * 60;

struct Row {
    name: &'static str,
    /// Changes release 1.1.0 (epoch 2, number 7) before it is signed; the scene's tool has 1.0.0 (number 6).
    change: fn(&mut Draft, &Scene),
    is: fn(&Refusal) -> bool,
}

macro_rules! row {
    ($name:literal, $change:expr, $($pattern:tt)+) => {
        Row { name: $name, change: $change, is: |refusal| matches!(refusal, $($pattern)+) }
    };
}

fn draft(scene: &mut Scene) -> Draft {
    scene.repository.draft("1.1.0", &fake("1.1.0"))
}

fn all_refused(rows: &[Row]) {
    for row in rows {
        let mut scene = Scene::new();
        let mut draft = draft(&mut scene);
        (row.change)(&mut draft, &scene);
        scene.repository.publish(&draft);
        scene.refused(row.name, row.is);
        scene.heals(row.name);
    }
}

/// The control of every table here: the untouched draft installs.
#[test]
fn the_release_that_the_tables_change_is_good() {
    let mut scene = Scene::new();
    let draft = draft(&mut scene);
    assert_eq!((draft.version["seq"].as_u64(), draft.version["epoch"].as_u64()), (Some(7), Some(2)));
    scene.repository.publish(&draft);
    scene.updates_to("untouched", "1.1.0", &fake("1.1.0"));
}

#[test]
fn a_wrong_field_of_version_has_its_own_refusal() {
    use DocumentKind::Version;
    all_refused(&[
        row!("product", |draft, _| draft.version["product"] = "gadget".into(),
            Refusal::WrongProduct { document: Version, expected, found }
            if expected.as_str() == "widget" && found.as_str() == "gadget"),
        row!("channel", |draft, _| draft.version["channel"] = "beta".into(),
            Refusal::WrongChannel { document: Version, expected, found }
            if expected.as_str() == "stable" && found.as_str() == "beta"),
        row!("lower epoch", |draft, _| draft.version["epoch"] = 1.into(),
            Refusal::WrongEpoch { document: Version, expected, found } if (expected.get(), found.get()) == (2, 1)),
        row!("higher epoch", |draft, _| draft.version["epoch"] = 3.into(),
            Refusal::WrongEpoch { document: Version, expected, found } if (expected.get(), found.get()) == (2, 3)),
        row!("lower seq", |draft, _| {
                draft.version["seq"] = 5.into();
                draft.manifest["seq"] = 5.into();
            },
            Refusal::Downgrade { epoch, seq, found_epoch, found_seq }
            if (epoch.get(), seq.get(), found_epoch.get(), found_seq.get()) == (2, 6, 2, 5)),
        row!("same seq, other manifest", |draft, _| {
                draft.version["seq"] = 6.into();
                draft.manifest["seq"] = 6.into();
            },
            Refusal::TwoManifests { seq, seen, found } if seq.get() == 6 && seen != found),
        row!("same seq, same manifest, issued before", |draft, scene| {
                *draft = scene.first.clone();
                draft.version["issued"] = (draft.version["issued"].as_u64().unwrap() - 1).into();
            },
            Refusal::OlderIssue { seq, seen, found } if seq.get() == 6 && *seen == *found + 1),
        row!("expired", |draft, _| draft.version["expires"] = (now() - 1).into(),
            Refusal::Expired { document: Version, expires, now } if expires < now),
        row!("issued more than a day ahead", |draft, _| draft.version["issued"] = (now() + DAY + 60).into(),
            Refusal::FromTheFuture { document: Version, issued, clock } if *issued > *clock + DAY),
        row!("another kind of version", |draft, _| {
                draft.version["version"] = "41".into();
                draft.manifest["version"] = "41".into();
            },
            Refusal::KindChanged { known, found } if known.to_string() == "1.0.0" && found.to_string() == "41"),
        row!("first line of another version", |draft, _| draft.first_line = Some("1.0.9".into()),
            Refusal::TwoVersions { line, object } if line == "1.0.9" && object.to_string() == "1.1.0"),
        row!("first line with a space", |draft, _| draft.first_line = Some("1.1.0 ".into()),
            Refusal::TwoVersions { line, .. } if line == "1.1.0 "),
        row!(
            "first line with a carriage return",
            |draft, _| draft.first_line = Some("1.1.0\r".into()),
            Refusal::TwoVersions { .. }
        ),
        row!(
            "empty first line",
            |draft, _| draft.first_line = Some(String::new()),
            Refusal::TwoVersions { .. }
        ),
        row!("type of the future", |draft, _| draft.version["type"] = "relatch-version/2".into(),
            Refusal::UnknownType { document: Version, found } if found == "relatch-version/2"),
        row!("type that never was", |draft, _| draft.version["type"] = "gadget/1".into(),
            Refusal::UnknownType { document: Version, found } if found == "gadget/1"),
        row!("a manifest as VERSION", |draft, _| draft.version = draft.manifest.clone(),
            Refusal::OtherDocument { document: Version, found } if found == "relatch-manifest/1"),
        row!("a root as VERSION", |draft, scene| draft.version = scene.repository.root(),
            Refusal::OtherDocument { document: Version, found } if found == "relatch-root/1"),
        row!(
            "signed by the release key",
            |draft, _| draft.timestamp_keys = draft.release_keys.clone(),
            Refusal::Threshold { document: Version, needed: 1, valid: 0 }
        ),
        row!(
            "signed by the root key",
            |draft, scene| draft.timestamp_keys = scene.repository.root_keys.clone(),
            Refusal::Threshold { document: Version, needed: 1, valid: 0 }
        ),
    ]);
}

#[test]
fn a_wrong_field_of_the_manifest_has_its_own_refusal() {
    use DocumentKind::Manifest;
    all_refused(&[
        row!("product", |draft, _| draft.manifest["product"] = "gadget".into(),
            Refusal::WrongProduct { document: Manifest, expected, found }
            if expected.as_str() == "widget" && found.as_str() == "gadget"),
        row!("channel", |draft, _| draft.manifest["channel"] = "beta".into(),
            Refusal::WrongChannel { document: Manifest, expected, found }
            if expected.as_str() == "stable" && found.as_str() == "beta"),
        row!("lower epoch", |draft, _| draft.manifest["epoch"] = 1.into(),
            Refusal::WrongEpoch { document: Manifest, expected, found } if (expected.get(), found.get()) == (2, 1)),
        row!("higher epoch", |draft, _| draft.manifest["epoch"] = 3.into(),
            Refusal::WrongEpoch { document: Manifest, expected, found } if (expected.get(), found.get()) == (2, 3)),
        row!("lower seq", |draft, _| draft.manifest["seq"] = 6.into(),
            Refusal::WrongSeq { document: Manifest, expected, found } if (expected.get(), found.get()) == (7, 6)),
        row!("higher seq", |draft, _| draft.manifest["seq"] = 8.into(),
            Refusal::WrongSeq { document: Manifest, expected, found } if (expected.get(), found.get()) == (7, 8)),
        row!("an old release relabelled", |draft, _| draft.manifest["version"] = "1.0.1".into(),
            Refusal::WrongVersion { document: Manifest, expected, found }
            if expected.to_string() == "1.1.0" && found.to_string() == "1.0.1"),
        row!(
            "root ahead",
            |draft, _| draft.manifest["root_version"] = 2.into(),
            Refusal::RootAhead { document: Manifest, needed: 2, trusted: 1 }
        ),
        row!("expired", |draft, _| draft.manifest["expires"] = (now() - 1).into(),
            Refusal::Expired { document: Manifest, expires, now } if expires < now),
        row!("issued more than a day ahead", |draft, _| draft.manifest["issued"] = (now() + DAY + 60).into(),
            Refusal::FromTheFuture { document: Manifest, issued, clock } if *issued > *clock + DAY),
        row!("type of the future", |draft, _| draft.manifest["type"] = "relatch-manifest/2".into(),
            Refusal::UnknownType { document: Manifest, found } if found == "relatch-manifest/2"),
        row!("VERSION as manifest", |draft, _| draft.manifest = draft.version.clone(),
            Refusal::OtherDocument { document: Manifest, found } if found == "relatch-version/1"),
        row!("a root as manifest", |draft, scene| draft.manifest = scene.repository.root(),
            Refusal::OtherDocument { document: Manifest, found } if found == "relatch-root/1"),
        row!(
            "signed by the timestamp key",
            |draft, _| draft.release_keys = draft.timestamp_keys.clone(),
            Refusal::Threshold { document: Manifest, needed: 1, valid: 0 }
        ),
        row!(
            "signed by the root key",
            |draft, scene| draft.release_keys = scene.repository.root_keys.clone(),
            Refusal::Threshold { document: Manifest, needed: 1, valid: 0 }
        ),
    ]);
}

/// The small case, one key for all: a document of another role is still not the one that was asked for.
#[test]
fn one_key_for_all_roles_does_not_mix_the_roles() {
    use DocumentKind::{Manifest, Version};
    let scene = || {
        let mut scene = Scene::of(support::Repository::with_keys(&[1], &[1], &[1], [1, 1, 1]));
        let draft = draft(&mut scene);
        (scene, draft)
    };
    let (mut one, mut draft) = scene();
    draft.version = draft.manifest.clone();
    one.repository.publish(&draft);
    one.refused("manifest as VERSION", |refusal| {
        matches!(refusal, Refusal::OtherDocument { document: Version, .. })
    });
    one.heals("manifest as VERSION");
    let (mut other, mut draft) = scene();
    draft.manifest = draft.version.clone();
    other.repository.publish(&draft);
    other.refused("VERSION as manifest", |refusal| {
        matches!(refusal, Refusal::OtherDocument { document: Manifest, .. })
    });
    other.heals("VERSION as manifest");
}

#[test]
fn a_manifest_with_another_hash_than_version_names_is_refused() {
    let mut scene = Scene::new();
    let mut draft = draft(&mut scene);
    scene.repository.publish(&draft);
    let named = scene.repository.current_manifest();
    draft.manifest["notes"] = "another, signed as well".into();
    let other = draft.manifest.to_string();
    scene.repository.write(&Object::Manifest(named), &other);
    let signatures = sign_all(&draft.release_keys, other.as_bytes());
    scene.repository.write(&Object::ManifestSignatures(named), signatures);
    scene.refused("other manifest in its place", |refusal| {
        matches!(refusal, Refusal::WrongDigest { document: DocumentKind::Manifest, expected, found }
            if *expected == named && *found == Digest::of(other.as_bytes()))
    });
    scene.heals("other manifest in its place");
}

/// Well-signed and canonical, but not what such a document may say.
#[test]
fn what_a_document_may_not_say_is_malformed() {
    struct Row(&'static str, DocumentKind, fn(&mut Draft), &'static str);
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
    use DocumentKind::{Manifest, Version};
    let rows = [
        Row("rollout 101", Version, |draft| draft.version["rollout"] = 101.into(), "rollout"),
        Row("rollout 256", Version, |draft| draft.version["rollout"] = 256.into(), "256"),
        Row("expires at issue", Version, |d| d.version["expires"] = d.version["issued"].clone(), "expires"),
        Row(
            "expires at issue",
            Manifest,
            |d| d.manifest["expires"] = d.manifest["issued"].clone(),
            "expires",
        ),
        Row("seq 0", Version, |draft| draft.version["seq"] = 0.into(), "at least 1"),
        Row("seq 0", Manifest, |draft| draft.manifest["seq"] = 0.into(), "at least 1"),
        Row("epoch 0", Version, |draft| draft.version["epoch"] = 0.into(), "at least 1"),
        Row("epoch 0", Manifest, |draft| draft.manifest["epoch"] = 0.into(), "at least 1"),
        Row("root_version 0", Manifest, |draft| draft.manifest["root_version"] = 0.into(), "root_version"),
        Row("build metadata", Version, |draft| draft.version["version"] = "1.1.0+x".into(), "version"),
        Row("leading zero", Version, |draft| draft.version["version"] = "041".into(), "version"),
        Row("no version", Version, |draft| draft.version["version"] = "latest".into(), "version"),
        Row("upper-case product", Version, |draft| draft.version["product"] = "Widget".into(), "name"),
        Row("path as channel", Version, |draft| draft.version["channel"] = "../stable".into(), "name"),
        Row(
            "upper-case hash",
            Version,
            |draft| {
                draft.version["manifest"] = Digest::of(b"x").to_string().to_uppercase().into();
                draft.link = false;
            },
            "64 lower-case",
        ),
        Row(
            "short hash",
            Version,
            |draft| {
                draft.version["manifest"] = Digest::of(b"x").to_string()[..63].into();
                draft.link = false;
            },
            "64 lower-case",
        ),
        Row(
            "long hash",
            Version,
            |draft| {
                draft.version["manifest"] = format!("{}0", Digest::of(b"x")).into();
                draft.link = false;
            },
            "64 lower-case",
        ),
        Row(
            "min_version of another kind",
            Manifest,
            |d| d.manifest["min_version"] = "7".into(),
            "min_version",
        ),
        Row("retracts another kind", Manifest, |d| d.manifest["retracts"] = json!(["7"]), "retracts"),
        Row(
            "retracts unsorted",
            Manifest,
            |draft| {
                draft.manifest["retracts"] = json!(["1.0.2", "1.0.1"]);
            },
            "retracts",
        ),
        // Bytewise, not by precedence.
        Row(
            "retracts by precedence",
            Manifest,
            |draft| {
                draft.manifest["retracts"] = json!(["0.9.0", "0.10.0"]);
            },
            "retracts",
        ),
        Row(
            "retracts twice",
            Manifest,
            |draft| {
                draft.manifest["retracts"] = json!(["1.0.1", "1.0.1"]);
            },
            "retracts",
        ),
        Row(
            "size 0",
            Manifest,
            |draft| {
                draft.manifest["artifacts"][0]["size"] = 0.into();
                stored(draft)[0]["size"] = 0.into();
            },
            "size",
        ),
        Row(
            "stored size 0",
            Manifest,
            |draft| {
                *stored(draft) = json!([{"encoding": "zstd", "from": null, "size": 0, "blake3": hash("x")}]);
            },
            "size",
        ),
        Row("artifacts unsorted", Manifest, |draft| second_artifact(draft, "a"), "artifacts"),
        Row("a target twice", Manifest, |draft| second_artifact(draft, "test"), "artifacts"),
        Row("path as target", Manifest, |draft| second_artifact(draft, "../x"), "name"),
        Row(
            "upper-case hash",
            Manifest,
            |draft| {
                let hash = draft.manifest["artifacts"][0]["blake3"].as_str().unwrap().to_uppercase();
                draft.manifest["artifacts"][0]["blake3"] = hash.into();
            },
            "64 lower-case",
        ),
        Row(
            "short stored hash",
            Manifest,
            |draft| {
                let hash = stored(draft)[0]["blake3"].as_str().unwrap()[1..].to_owned();
                stored(draft)[0]["blake3"] = hash.into();
            },
            "64 lower-case",
        ),
        Row(
            "path as stored hash",
            Manifest,
            |draft| {
                stored(draft)[0]["blake3"] = format!("../{}", &Digest::of(b"x").to_string()[3..]).into();
            },
            "64 lower-case",
        ),
        Row("identity with another hash", Manifest, |d| stored(d)[0]["blake3"] = hash("x"), "identity"),
        Row(
            "identity with another size",
            Manifest,
            |draft| {
                stored(draft)[0]["size"] = (fake("1.1.0").len() + 1).into();
            },
            "identity",
        ),
        Row("from on identity", Manifest, |draft| stored(draft)[0]["from"] = hash("x"), "from"),
        Row(
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
        Row(
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
        Row("nothing stored", Manifest, |draft| *stored(draft) = json!([]), "stored"),
        Row(
            "stored unsorted",
            Manifest,
            |draft| {
                let zstd = json!({"encoding": "zstd", "from": null, "size": 1, "blake3": hash("y")});
                stored(draft).as_array_mut().unwrap().insert(0, zstd);
            },
            "stored",
        ),
        Row(
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
        Row(
            "a form twice",
            Manifest,
            |draft| {
                let first = stored(draft)[0].clone();
                stored(draft).as_array_mut().unwrap().push(first);
            },
            "stored",
        ),
    ];
    let mut scene = Scene::new();
    let good = draft(&mut scene);
    for Row(name, kind, change, because) in rows {
        let mut draft = good.clone();
        change(&mut draft);
        scene.repository.publish(&draft);
        scene.refused(name, |refusal| {
            matches!(refusal, Refusal::Malformed { document, why } if *document == kind && why.contains(because))
        });
    }
    scene.repository.publish(&good);
    scene.updates_to("without any of it", "1.1.0", &fake("1.1.0"));
}

#[test]
fn notes_cannot_drive_a_terminal() {
    let mut scene = Scene::new();
    let mut draft = draft(&mut scene);
    for c in "\t\r\0\u{1b}\u{7f}\u{80}\u{9b}\u{ad}\u{61c}\u{200b}\u{200e}\u{202a}\u{202e}\u{2028}\u{2029}\u{2066}\u{2069}\
              \u{feff}\u{fff9}\u{e000}\u{e0001}\u{f0000}\u{fffe}"
        .chars()
    {
        draft.manifest["notes"] = format!("good {c} text").into();
        scene.repository.publish(&draft);
        let name = format!("notes with U+{:04X}", u32::from(c));
        scene.refused(&name, |refusal| {
            matches!(refusal, Refusal::Malformed { document: DocumentKind::Manifest, why }
                if why.contains(&format!("U+{:04X}", u32::from(c))))
        });
    }
    draft.manifest["notes"] = "Fixed: \"quotes\" \\ é — 漢字 🎉\n\nfor all".into();
    scene.repository.publish(&draft);
    scene.updates_to("printable Unicode and newlines", "1.1.0", &fake("1.1.0"));
}

/// One value has one text. Each row is the same good document in another spelling, or with something in it.
#[test]
fn another_spelling_of_a_good_document_is_malformed() {
    fn with(text: &str, from: &str, to: &str) -> Vec<u8> {
        assert!(text.contains(from), "the row does nothing");
        text.replacen(from, to, 1).into_bytes()
    }
    fn seq(text: &str, value: &str) -> Vec<u8> {
        with(text, "\"seq\":7", &format!("\"seq\":{value}"))
    }
    fn end(text: &str, added: &str) -> Vec<u8> {
        [text, added].concat().into_bytes()
    }
    fn field(text: &str, added: &str) -> Vec<u8> {
        format!("{},{added}}}", text.strip_suffix('}').unwrap()).into_bytes()
    }
    fn values(text: &str) -> Vec<u8> {
        let value: Value = serde_json::from_str(text).unwrap();
        Value::from(value.as_object().unwrap().values().cloned().collect::<Vec<_>>()).to_string().into_bytes()
    }
    type Spelling = fn(&str) -> Vec<u8>;
    let both: &[(&str, Spelling)] = &[
        ("space after a colon", |text| seq(text, " 7")),
        ("space after a comma", |text| with(text, ",\"seq\"", ", \"seq\"")),
        ("space before", |text| [" ", text].concat().into_bytes()),
        ("space behind", |text| end(text, " ")),
        ("tab behind", |text| end(text, "\t")),
        ("carriage return behind", |text| end(text, "\r")),
        ("byte order mark", |text| ["\u{feff}", text].concat().into_bytes()),
        ("NUL behind", |text| end(text, "\0")),
        ("a second value", |text| end(text, "{}")),
        ("a second copy", |text| end(text, text)),
        ("a comment", |text| end(text, "//")),
        ("a comma too many", |text| with(text, "\"seq\":7,", "\"seq\":7,,")),
        ("cut short", |text| text.as_bytes()[..text.len() - 1].to_vec()),
        ("unknown field", |text| field(text, "\"x\":1")),
        ("unknown field, null", |text| field(text, "\"x\":null")),
        ("unknown field before the type", |text| with(text, "{", "{\"x\":1,")),
        ("repeated field", |text| seq(text, "7,\"seq\":7")),
        ("repeated field with another value", |text| seq(text, "8,\"seq\":7")),
        ("repeated type", |text| with(text, "{", "{\"type\":\"relatch-root/1\",")),
        ("field in another case", |text| with(text, "\"seq\"", "\"Seq\"")),
        ("other order", |text| {
            with(
                text,
                "\"product\":\"widget\",\"channel\":\"stable\"",
                "\"channel\":\"stable\",\"product\":\"widget\"",
            )
        }),
        ("missing field", |text| with(text, "\"epoch\":2,", "")),
        ("escaped letter", |text| with(text, "widget", "\\u0077idget")),
        ("escaped letter in a key", |text| with(text, "\"seq\"", "\"s\\u0065q\"")),
        ("escaped slash in the type", |text| with(text, "/1\"", "\\/1\"")),
        ("escaped letter in the type", |text| with(text, "\"relatch", "\"\\u0072elatch")),
        ("lone surrogate", |text| with(text, "widget", "\\ud800")),
        ("not UTF-8", |text| {
            let mut bytes = text.as_bytes().to_vec();
            let at = text.find("widget").unwrap();
            bytes[at] = 0xff;
            bytes
        }),
        ("7.0", |text| seq(text, "7.0")),
        ("7e0", |text| seq(text, "7e0")),
        ("70e-1", |text| seq(text, "70e-1")),
        ("1e3", |text| seq(text, "1e3")),
        ("-1", |text| seq(text, "-1")),
        ("-0", |text| seq(text, "-0")),
        ("07", |text| seq(text, "07")),
        ("+7", |text| seq(text, "+7")),
        ("0x7", |text| seq(text, "0x7")),
        ("2^53", |text| seq(text, "9007199254740992")),
        ("2^64", |text| seq(text, "18446744073709551616")),
        ("number as string", |text| seq(text, "\"7\"")),
        ("number in an array", |text| seq(text, "[7]")),
        ("true", |text| seq(text, "true")),
        ("null", |text| seq(text, "null")),
        ("NaN", |text| seq(text, "NaN")),
        ("array for the object", values),
        ("object in an array", |text| format!("[{text}]").into_bytes()),
        ("deep in a field", |text| seq(text, &"[".repeat(3000))),
        ("deep in an unknown field", |text| {
            field(text, &format!("\"x\":{}{}", "[".repeat(1500), "]".repeat(1500)))
        }),
        ("deep instead of the type", |text| {
            with(text, "{", &format!("{{\"type\":{}", "{\"a\":".repeat(500)))
        }),
        ("nothing", |_| Vec::new()),
        ("null alone", |_| b"null".to_vec()),
        ("an empty object", |_| b"{}".to_vec()),
        ("an empty array", |_| b"[]".to_vec()),
        ("its type alone", |text| [text.split(',').next().unwrap(), "}"].concat().into_bytes()),
    ];
    let manifest: &[(&str, Spelling)] = &[
        ("newline behind", |text| end(text, "\n")),
        ("newline before", |text| ["\n", text].concat().into_bytes()),
        ("missing null", |text| with(text, "\"min_version\":null,", "")),
        ("missing null inside", |text| with(text, "\"from\":null,", "")),
        ("number for bool", |text| with(text, "\"critical\":false", "\"critical\":0")),
        ("string for bool", |text| with(text, "\"critical\":false", "\"critical\":\"false\"")),
        ("object for list", |text| with(text, "\"retracts\":[]", "\"retracts\":{}")),
        ("null for list", |text| with(text, "\"retracts\":[]", "\"retracts\":null")),
        ("unknown field inside", |text| with(text, "{\"target\"", "{\"x\":0,\"target\"")),
        ("repeated field inside", |text| with(text, "\"from\":null", "\"from\":null,\"from\":null")),
        ("array for an artifact", |text| {
            let mut value: Value = serde_json::from_str(text).unwrap();
            let artifact: Vec<Value> = value["artifacts"][0].as_object().unwrap().values().cloned().collect();
            value["artifacts"][0] = artifact.into();
            value.to_string().into_bytes()
        }),
        ("escaped é in notes", |text| with(text, "\"notes\":\"\"", "\"notes\":\"\\u00e9\"")),
        ("escaped pair in notes", |text| with(text, "\"notes\":\"\"", "\"notes\":\"\\ud83c\\udf89\"")),
        ("newline escaped by number in notes", |text| with(text, "\"notes\":\"\"", "\"notes\":\"\\u000a\"")),
        ("raw newline in notes", |text| with(text, "\"notes\":\"\"", "\"notes\":\"\n\"")),
        ("escaped slash in notes", |text| with(text, "\"notes\":\"\"", "\"notes\":\"\\/\"")),
        ("raw tab in notes", |text| with(text, "\"notes\":\"\"", "\"notes\":\"\t\"")),
    ];
    let malformed = |name: &str, scene: &Scene, kind: DocumentKind| {
        let name = format!("{kind}: {name}");
        scene.refused(
            &name,
            |refusal| matches!(refusal, Refusal::Malformed { document, .. } if *document == kind),
        );
    };
    let mut scene = Scene::new();
    let draft = draft(&mut scene);
    for (name, spell) in both {
        scene.repository.publish(&draft);
        let mut pointer = draft.version.clone();
        pointer["manifest"] = scene.repository.current_manifest().to_string().into();
        let signed = [b"1.1.0\n", &spell(&pointer.to_string())[..], b"\n"].concat();
        publish_version(&scene, &signed, &sign_all(&draft.timestamp_keys, &signed));
        malformed(name, &scene, DocumentKind::Version);
    }
    for (name, spell) in both.iter().chain(manifest) {
        scene.repository.publish_documents(&spell(&draft.manifest.to_string()), &draft);
        malformed(name, &scene, DocumentKind::Manifest);
    }
    scene.repository.publish(&draft);
    scene.updates_to("its one spelling", "1.1.0", &fake("1.1.0"));
}

#[test]
fn a_version_object_of_less_than_two_lines_is_malformed() {
    for object in ["", "1.1.0", "1.1.0\n", "1.1.0\n{}"] {
        let mut scene = Scene::new();
        std::fs::write(scene.repository.version_path(), object).unwrap();
        scene.refused(object, |refusal| {
            matches!(refusal, Refusal::Malformed { document: DocumentKind::Version, .. })
        });
        scene.heals(object);
    }
}

fn publish_version(scene: &Scene, signed: &[u8], signatures: &str) {
    std::fs::write(scene.repository.version_path(), [signed, signatures.as_bytes()].concat()).unwrap();
}

/// Times are compared with a clock that stands still, at the second.
#[test]
fn times_hold_to_the_second() {
    let later = |draft: &mut Draft, field: &str, at: u64| {
        draft.version[field] = at.into();
        draft.manifest[field] = at.into();
    };
    type Is = fn(&Refusal) -> bool;
    let expired: Is = |refusal| matches!(refusal, Refusal::Expired { document: DocumentKind::Version, .. });
    let future: Is =
        |refusal| matches!(refusal, Refusal::FromTheFuture { document: DocumentKind::Version, .. });
    let at = now() + 1000;
    for (name, field, time, refused) in [
        ("a second before it expires", "expires", at + 1, None),
        ("when it expires", "expires", at, Some(expired)),
        ("a day ahead", "issued", at + DAY, None),
        ("a day and a second ahead", "issued", at + DAY + 1, Some(future)),
    ] {
        let mut scene = Scene::new();
        let mut draft = draft(&mut scene);
        later(&mut draft, field, time);
        scene.repository.publish(&draft);
        let before = scene.tool.snapshot();
        let answer = scene.tool.updater().clock(Stopped(at)).update(false);
        match refused {
            None => assert!(matches!(answer, Ok(Outcome::Updated { .. })), "{name}: {answer:?}"),
            Some(is) => {
                assert!(matches!(&answer, Err(Error::Refused(why)) if is(why)), "{name}: {answer:?}");
                assert_eq!(scene.tool.snapshot(), before, "{name}");
            }
        }
    }
}

/// A clock that was set back does not bring an expired document to life: signed times that were seen count as now.
#[test]
fn a_clock_set_back_does_not_revive_what_expired() {
    let mut scene = Scene::new();
    let seen = scene.first.version["issued"].as_u64().unwrap();
    let mut draft = draft(&mut scene);
    draft.version["issued"] = (seen - 9 * DAY).into();
    draft.version["expires"] = (seen - 2 * DAY).into();
    scene.repository.publish(&draft);
    let before = scene.tool.snapshot();
    let answer = scene.tool.updater().clock(Stopped(seen - 5 * DAY)).update(false);
    assert!(
        matches!(answer, Err(Error::Refused(Refusal::Expired { document: DocumentKind::Version, now, .. })) if now == seen),
        "{answer:?}"
    );
    assert_eq!(scene.tool.snapshot(), before);
    scene.heals("clock set back");
}

/// The system's time is never persisted as a floor: a clock that was years ahead does not end updates when it is right again.
#[test]
fn a_clock_that_was_ahead_does_not_end_updates() {
    let mut scene = Scene::new();
    let answer = scene.tool.updater().clock(Stopped(now() + 3000 * DAY)).update(false);
    assert!(matches!(answer, Err(Error::Refused(Refusal::Expired { .. }))), "{answer:?}");
    scene.heals("clock ahead");
}

#[test]
fn the_same_release_issued_anew_is_no_news() {
    let mut scene = Scene::new();
    let mut again = scene.first.clone();
    scene.repository.publish(&again);
    scene.is_current("the same object");
    again.version["issued"] = (again.version["issued"].as_u64().unwrap() + 1).into();
    scene.repository.publish(&again);
    scene.is_current("issued anew");
    scene.repository.publish(&scene.first);
    scene.refused("the one before", |refusal| matches!(refusal, Refusal::OlderIssue { .. }));
    scene.heals("issued anew");
}

/// The floor is known from a verified release that this installation did not take.
#[test]
fn a_version_below_the_signed_floor_is_refused() {
    let mut scene = Scene::new();
    let mut floor = scene.repository.draft("2.0.0", &fake("2.0.0"));
    floor.manifest["min_version"] = "2.0.0".into();
    floor.version["rollout"] = 0.into();
    scene.repository.publish(&floor);
    let answer = scene.tool.updater().update(false);
    assert!(matches!(answer, Ok(Outcome::Nothing(Reason::NotInRollout { rollout: 0, .. }))), "{answer:?}");
    scene.repository.release("1.5.0", &fake("1.5.0"));
    scene.refused_with_floors("below the floor", |refusal| {
        matches!(refusal, Refusal::BelowFloor { floor, found }
            if floor.to_string() == "2.0.0" && found.to_string() == "1.5.0")
    });
    scene.heals("below the floor");
}

struct Signed {
    name: &'static str,
    /// Makes the signature text of a message from its key.
    text: fn(&Key, &[u8]) -> String,
    answer: Answer,
}

enum Answer {
    Good,
    /// Refused whole, at this line of the signature text.
    Form(usize),
    /// Of good form; nobody who may has signed.
    Nobody,
}

/// Each way to sign, for each of the three documents.
#[test]
fn signatures_have_one_form() {
    fn lines(key: &Key, message: &[u8], change: fn(&mut Vec<String>)) -> String {
        let mut lines: Vec<String> = key.sign(message).lines().map(String::from).collect();
        change(&mut lines);
        lines.iter().map(|line| format!("{line}\n")).collect()
    }
    fn block(key: &Key, message: &[u8], change: fn(&mut Block)) -> String {
        let mut block = key.block(message);
        change(&mut block);
        block.to_text()
    }
    /// Signed as minisign did before it hashed first: a valid legacy signature.
    fn legacy(key: &Key, message: &[u8]) -> String {
        use ed25519_dalek::Signer as _;
        let mut block = key.block(message);
        block.algorithm = *b"Ed";
        block.signature = key.signing.sign(message).to_bytes();
        block.global =
            key.signing.sign(&[&block.signature[..], block.trusted.as_bytes()].concat()).to_bytes();
        block.to_text()
    }
    /// Validly signed, with this trusted comment.
    fn commented(key: &Key, message: &[u8], comment: &str) -> String {
        use ed25519_dalek::Signer as _;
        let mut block = key.block(message);
        block.trusted = comment.into();
        block.global = key.signing.sign(&[&block.signature[..], comment.as_bytes()].concat()).to_bytes();
        block.to_text()
    }
    /// The last digit before the padding, with one of its unused bits set.
    fn stray_bit(line: &mut String) {
        const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let digits = line.trim_end_matches('=').len();
        let value = DIGITS.find(&line[digits - 1..digits]).unwrap();
        assert_eq!(value % 2, 0);
        line.replace_range(digits - 1..digits, &DIGITS[value + 1..value + 2]);
    }
    /// S + L, where the signature has S: the same point equation holds, and every strict verifier refuses it.
    fn plus_order(key: &Key, message: &[u8]) -> String {
        use ed25519_dalek::Signer as _;
        const ORDER: [u8; 32] = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let mut block = key.block(message);
        let mut carry = 0;
        for (byte, add) in block.signature[32..].iter_mut().zip(ORDER) {
            let sum = u16::from(*byte) + u16::from(add) + carry;
            (*byte, carry) = (sum.to_le_bytes()[0], sum >> 8);
        }
        block.global =
            key.signing.sign(&[&block.signature[..], block.trusted.as_bytes()].concat()).to_bytes();
        block.to_text()
    }
    const UNTRUSTED: usize = "untrusted comment: ".len();
    const TRUSTED: usize = "trusted comment: ".len();
    fn stranger() -> Key {
        Key::new(99)
    }
    use Answer::{Form, Good, Nobody};
    macro_rules! signed {
        ($($name:literal, $answer:expr, $text:expr;)+) => {
            [$(Signed { name: $name, text: $text, answer: $answer }),+]
        };
    }
    let rows = signed![
        "as it should be", Good, |key, message| key.sign(message);
        "nothing", Form(1), |_, _| String::new();
        "an empty line", Form(1), |_, _| "\n".into();
        "legacy", Form(2), legacy;
        "legacy mark on a good one", Form(2), |key, message| block(key, message, |b| b.algorithm = *b"Ed");
        "another algorithm", Form(2), |key, message| block(key, message, |b| b.algorithm = *b"eD");
        "CRLF", Form(1), |key, message| key.sign(message).replace('\n', "\r\n");
        "CR after the signature", Form(2), |key, message| lines(key, message, |lines| lines[1].push('\r'));
        "CR after the trusted comment", Form(3), |key, message| lines(key, message, |lines| lines[2].push('\r'));
        "CR at the end", Form(4), |key, message| lines(key, message, |lines| lines[3].push('\r'));
        "byte order mark", Form(1), |key, message| format!("\u{feff}{}", key.sign(message));
        "blank line before", Form(1), |key, message| format!("\n{}", key.sign(message));
        "fifth line", Form(5), |key, message| format!("{}more\n", key.sign(message));
        "blank fifth line", Form(5), |key, message| format!("{}\n", key.sign(message));
        "text after the last newline", Form(5), |key, message| format!("{}more", key.sign(message));
        "no newline at the end", Form(4), |key, message| key.sign(message).trim_end().into();
        "three lines", Form(1), |key, message| lines(key, message, |lines| drop(lines.pop()));
        "space after the signature", Form(2), |key, message| lines(key, message, |lines| lines[1].push(' '));
        "space before the signature", Form(2), |key, message| lines(key, message, |lines| lines[1].insert(0, ' '));
        "URL-safe digits", Form(2), |key, message| {
            let slashes = Key { id: [0xff; 8], ..key.clone() }; // so that there are some
            lines(&slashes, message, |lines| {
                assert!(lines[1].contains('/'));
                lines[1] = lines[1].replace('+', "-").replace('/', "_");
            })
        };
        "unpadded signature", Form(2), |key, message| lines(key, message, |lines| lines[1] = lines[1].replace('=', ""));
        "unpadded global signature", Form(4), |key, message| lines(key, message, |lines| lines[3] = lines[3].replace('=', ""));
        "padding too much", Form(2), |key, message| lines(key, message, |lines| lines[1].push('='));
        "stray bit in the signature", Form(2), |key, message| lines(key, message, |lines| stray_bit(&mut lines[1]));
        "stray bit in the global signature", Form(4), |key, message| lines(key, message, |lines| stray_bit(&mut lines[3]));
        "short signature", Form(2), |key, message| lines(key, message, |lines| lines[1].truncate(96));
        "short global signature", Form(4), |key, message| lines(key, message, |lines| lines[3].truncate(84));
        "lines swapped", Form(1), |key, message| lines(key, message, |lines| lines.swap(0, 2));
        "other words for the untrusted comment", Form(1), |key, message| {
            lines(key, message, |lines| lines[0] = lines[0].replace("untrusted comment: ", "Untrusted comment: "))
        };
        "no space after the trusted comment's words", Form(3), |key, message| {
            lines(key, message, |lines| lines[2] = lines[2].replace("comment: ", "comment:"))
        };
        "untrusted comment of 1024 bytes", Good, |key, message| {
            block(key, message, |block| block.untrusted = "x".repeat(1024 - UNTRUSTED))
        };
        "untrusted comment of 1025 bytes", Form(1), |key, message| {
            block(key, message, |block| block.untrusted = "x".repeat(1025 - UNTRUSTED))
        };
        "trusted comment of 1024 bytes", Good, |key, message| commented(key, message, &"x".repeat(1024 - TRUSTED));
        "trusted comment of 1025 bytes", Form(3), |key, message| commented(key, message, &"x".repeat(1025 - TRUSTED));
        "empty comments", Good, |key, message| {
            commented(key, message, "").replace("signature of a test key", "")
        };
        "tab in the untrusted comment", Good, |key, message| block(key, message, |block| block.untrusted = "a\tb".into());
        "escape in the untrusted comment", Form(1), |key, message| {
            block(key, message, |block| block.untrusted = "\x1b[2J".into())
        };
        "NUL in the untrusted comment", Form(1), |key, message| block(key, message, |block| block.untrusted = "\0".into());
        "DEL in the trusted comment", Form(3), |key, message| commented(key, message, "\x7f");
        "escape in the trusted comment", Form(3), |key, message| commented(key, message, "\x1b[2J");
        "letters beyond ASCII in the untrusted comment", Form(1), |key, message| {
            block(key, message, |block| block.untrusted = "é".into())
        };
        "letters beyond ASCII in the trusted comment", Form(3), |key, message| commented(key, message, "é");
        "another untrusted comment", Good, |key, message| block(key, message, |block| block.untrusted = "other".into());
        "trusted comment altered", Nobody, |key, message| block(key, message, |block| block.trusted.push('x'));
        "signature altered", Nobody, |key, message| block(key, message, |block| block.signature[40] ^= 1);
        "global signature altered", Nobody, |key, message| block(key, message, |block| block.global[40] ^= 1);
        "S + L", Nobody, plus_order;
        "signature of another message", Nobody, |key, _| key.sign(b"another message");
        "another key id", Good, |key, message| block(key, message, |block| block.id = [0xee; 8]);
        "a stranger under the right key id", Nobody, |key, message| Key { id: key.id, ..stranger() }.sign(message);
        "a stranger", Nobody, |_, message| stranger().sign(message);
        "a stranger before", Good, |key, message| stranger().sign(message) + &key.sign(message);
        "a stranger behind", Good, |key, message| key.sign(message) + &stranger().sign(message);
        "one that does not verify before", Good, |key, message| key.sign(b"other") + &key.sign(message);
        "one that does not verify behind", Good, |key, message| key.sign(message) + &key.sign(b"other");
        "a weak point behind", Good, |key, message| {
            key.sign(message) + &block(key, message, |block| block.signature[..32].fill(0))
        };
        "a bad one of bad form before", Form(2), |key, message| {
            block(&stranger(), message, |block| block.algorithm = *b"Ed") + &key.sign(message)
        };
        "a bad one of bad form behind", Form(6), |key, message| {
            key.sign(message) + &block(&stranger(), message, |block| block.algorithm = *b"Ed")
        };
        "a good one of legacy form behind", Form(6), |key, message| key.sign(message) + &legacy(key, message);
        "a blank line between", Form(5), |key, message| key.sign(message) + "\n" + &key.sign(message);
    ];
    let root = DocumentKind::Root(2);
    let sign = |scene: &mut Scene, draft: &Draft, kind, row: &Signed| match kind {
        DocumentKind::Version => {
            let mut pointer = draft.version.clone();
            pointer["manifest"] = scene.repository.current_manifest().to_string().into();
            let signed = format!("1.1.0\n{pointer}\n").into_bytes();
            publish_version(scene, &signed, &(row.text)(&draft.timestamp_keys[0], &signed));
        }
        DocumentKind::Manifest => {
            let signatures = (row.text)(&draft.release_keys[0], draft.manifest.to_string().as_bytes());
            scene
                .repository
                .write(&Object::ManifestSignatures(scene.repository.current_manifest()), signatures);
        }
        DocumentKind::Root(_) => {
            scene.repository.root_version = 2;
            let document = scene.repository.root().to_string();
            let signatures = (row.text)(&scene.repository.root_keys[0], document.as_bytes());
            scene.repository.write(&Object::Root(2), document);
            scene.repository.write(&Object::RootSignatures(2), signatures);
        }
    };
    for kind in [DocumentKind::Version, DocumentKind::Manifest, root] {
        let mut scene = Scene::new();
        let draft = draft(&mut scene);
        scene.repository.publish(&draft);
        for row in &rows {
            let name = format!("{kind}: {}", row.name);
            match row.answer {
                Good => {
                    let mut other = Scene::new();
                    let draft = other.repository.draft("1.1.0", &fake("1.1.0"));
                    other.repository.publish(&draft);
                    sign(&mut other, &draft, kind, row);
                    other.updates_to(&name, "1.1.0", &fake("1.1.0"));
                    assert_eq!(other.root_on_disk(), if kind == root { 2 } else { 1 }, "{name}");
                }
                Form(at) => {
                    sign(&mut scene, &draft, kind, row);
                    scene.refused(&name, |refusal| {
                        matches!(refusal, Refusal::SignatureForm { document, line, .. }
                            if (*document, *line) == (kind, at))
                    });
                }
                Nobody => {
                    sign(&mut scene, &draft, kind, row);
                    scene.refused(&name, |refusal| {
                        matches!(refusal, Refusal::Threshold { document, needed: 1, valid: 0 } if *document == kind)
                    });
                }
            }
        }
        let Some(good) = rows.first() else { panic!("no rows") };
        sign(&mut scene, &draft, kind, good);
        scene.updates_to("signed as it should be in the end", "1.1.0", &fake("1.1.0"));
    }
}

#[test]
fn signatures_that_are_not_text_or_not_there_are_told() {
    let mut scene = Scene::new();
    let draft = draft(&mut scene);
    scene.repository.publish(&draft);
    let object = Object::ManifestSignatures(scene.repository.current_manifest());
    scene.repository.write(&object, b"\xff\xfe");
    scene.refused("not text", |refusal| {
        matches!(refusal, Refusal::SignatureForm { document: DocumentKind::Manifest, line: 1, .. })
    });
    for object in [
        object,
        Object::Manifest(scene.repository.current_manifest()),
        Object::VersionFile("stable".parse().unwrap()),
    ] {
        std::fs::remove_file(scene.repository.path(&object)).unwrap();
        absent(&scene, &object);
    }
    scene.heals("not there");
}

fn absent(scene: &Scene, missing: &Object) {
    let before = without_state(scene.tool.snapshot());
    let answer = scene.tool.updater().update(false);
    assert!(
        matches!(&answer, Err(Error::Unavailable(Unavailable::Absent { object, .. })) if object == missing),
        "{missing}: {answer:?}"
    );
    assert_eq!(without_state(scene.tool.snapshot()), before, "{missing}");
}

#[test]
fn an_executable_is_exactly_what_was_signed() {
    let good = fake("1.1.0");
    let digest = Digest::of(&good);
    let size = good.len() as u64;
    type Is = fn(&Refusal, &Object, u64) -> bool;
    let short: Is = |refusal, blob, size| {
        matches!(refusal, Refusal::Short { object, expected, found }
            if object == blob && *expected == size && *found < size)
    };
    let long: Is = |refusal, blob, size| matches!(refusal, Refusal::Long { object, expected } if object == blob && *expected == size);
    let other: Is = |refusal, blob, _| matches!(refusal, Refusal::BlobDigest { object, expected, found } if object == blob && expected != found);
    let altered = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    for (name, bytes, is) in [
        ("empty", Vec::new(), short),
        ("one byte short", good[..good.len() - 1].to_vec(), short),
        ("one byte long", [&good[..], b"\n"].concat(), long),
        ("much too long", good.repeat(100_000), long),
        ("first byte altered", altered(0), other),
        ("last byte altered", altered(good.len() - 1), other),
        ("another of the same size", fake("6.6.6"), other),
    ] {
        let mut scene = Scene::new();
        scene.repository.release("1.1.0", &good);
        let blob = Object::Blob(digest);
        scene.repository.write(&blob, bytes);
        scene.refused_with_floors(name, |refusal| is(refusal, &blob, size));
        // The same release installs as soon as its blob is right.
        scene.repository.write(&blob, &good);
        scene.updates_to(name, "1.1.0", &good);
        scene.heals(name);
    }
    let mut scene = Scene::new();
    scene.repository.release("1.1.0", &good);
    std::fs::remove_file(scene.repository.path(&Object::Blob(digest))).unwrap();
    absent(&scene, &Object::Blob(digest));
    scene.heals("absent");
}

/// Some 100 kB that hardly compress; all versions have most of it in common.
fn large(version: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for count in 0..3000_u32 {
        bytes.extend_from_slice(Digest::of(&count.to_le_bytes()).to_string().as_bytes());
    }
    bytes.extend_from_slice(&fake(version));
    bytes
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

fn patch(from: &[u8], to: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = zstd::stream::write::Encoder::with_ref_prefix(Vec::new(), 3, from).unwrap();
    encoder.window_log(20).unwrap();
    encoder.write_all(to).unwrap();
    encoder.finish().unwrap()
}

/// Release 1.1.0 of this executable, stored in these forms alone: encoding, `from`, blob.
fn publish_stored(scene: &mut Scene, executable: &[u8], forms: &[(&str, Option<Digest>, &[u8])]) {
    let mut draft = scene.repository.draft("1.1.0", executable);
    draft.blobs = forms.iter().map(|(.., blob)| blob.to_vec()).collect();
    let stored: Vec<Value> = forms
        .iter()
        .map(|(encoding, from, blob)| {
            let from = from.map(|from| from.to_string());
            json!({"encoding": encoding, "from": from, "size": blob.len(), "blake3": Digest::of(blob).to_string()})
        })
        .collect();
    draft.manifest["artifacts"][0]["stored"] = stored.into();
    scene.repository.publish(&draft);
}

#[test]
fn a_compressed_form_decodes_to_what_was_signed_or_is_refused() {
    let good = fake("1.1.0");
    let frame = zstd(&good);
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0][..], b"skip"].concat();
    let mut damaged = frame.clone();
    damaged[5] ^= 0xff;
    for (name, blob) in [
        ("a byte after the frame", [&frame[..], b"\0"].concat()),
        ("a second frame", [&frame[..], &frame].concat()),
        ("an empty second frame", [&frame[..], &zstd(b"")].concat()),
        ("a skippable frame behind", [&frame[..], &skippable].concat()),
        ("a byte too few inside", zstd(&good[..good.len() - 1])),
        ("nothing inside", zstd(b"")),
        ("another of the same size inside", zstd(&fake("6.6.6"))),
        ("a truncated frame", frame[..frame.len() - 1].to_vec()),
        ("the magic number alone", frame[..4].to_vec()),
        ("a damaged header", damaged),
        ("no frame at all", good.clone()),
    ] {
        let mut scene = Scene::new();
        publish_stored(&mut scene, &good, &[("zstd", None, &blob)]);
        scene.refused_with_floors(name, |refusal| {
            matches!(refusal, Refusal::Undecodable { object: Object::Blob(digest), .. } if *digest == Digest::of(&blob))
        });
        scene.heals(name);
    }
    // Too much is told when it comes, not when all of it is on the disk.
    for (name, blob) in
        [("a byte too much inside", zstd(&[&good[..], b"x"].concat())), ("a bomb", zstd(&vec![0; 64 << 20]))]
    {
        let mut scene = Scene::new();
        publish_stored(&mut scene, &good, &[("zstd", None, &blob)]);
        scene.refused_with_floors(name, |refusal| {
            matches!(refusal, Refusal::Undecodable { object: Object::Blob(digest), why }
                if *digest == Digest::of(&blob) && why.contains("goes on after"))
        });
        scene.heals(name);
    }
    let mut scene = Scene::new();
    publish_stored(&mut scene, &good, &[("zstd", None, &frame)]);
    scene.updates_to("zstd", "1.1.0", &good);
}

/// No decoder sees bytes whose hash was not checked: what is altered on its way is told as that, not as a fault of the frame.
#[test]
fn an_altered_frame_never_reaches_the_decoder() {
    let good = fake("1.1.0");
    let frame = zstd(&good);
    let mut scene = Scene::new();
    publish_stored(&mut scene, &good, &[("zstd", None, &frame)]);
    let mut altered = frame.clone();
    altered[0] ^= 1;
    scene.repository.write(&Object::Blob(Digest::of(&frame)), altered);
    scene.refused_with_floors("altered", |refusal| matches!(refusal, Refusal::BlobDigest { .. }));
    scene.heals("altered");
}

#[test]
fn a_patch_is_used_where_it_fits_and_passed_over_where_it_does_not() {
    let (old, good) = (large("1.0.0"), large("1.1.0"));
    let small = patch(&old, &good);
    assert!(small.len() < 2000, "a patch of {} bytes", small.len());
    let scene = || {
        let mut repository = support::Repository::new();
        let first = repository.release("1.0.0", &old);
        let tool = support::Tool::installed_plain(&repository);
        Scene { repository, tool, first }
    };
    let missing = |scene: &Scene, blob: &[u8]| {
        std::fs::remove_file(scene.repository.path(&Object::Blob(Digest::of(blob)))).unwrap();
    };
    let (here, elsewhere) = (Some(Digest::of(&old)), Some(Digest::of(b"never installed here")));

    let mut used = scene();
    publish_stored(&mut used, &good, &[("identity", None, &good), ("zstd-patch", here, &small)]);
    missing(&used, &good); // so that nothing but the patch can be had
    used.updates_to("patch", "1.1.0", &good);

    let mut passed = scene();
    publish_stored(&mut passed, &good, &[("identity", None, &good), ("zstd-patch", elsewhere, &small)]);
    missing(&passed, &small);
    passed.updates_to("patch from another", "1.1.0", &good);

    let mut without = scene();
    publish_stored(&mut without, &good, &[("identity", None, &good), ("zstd-patch", here, &small)]);
    missing(&without, &small);
    without.updates_to("absent patch", "1.1.0", &good);

    let mut wrong = scene();
    publish_stored(&mut wrong, &good, &[("zstd-patch", here, &patch(&old, &large("6.6.6")))]);
    wrong.refused_with_floors("patch to another", |refusal| matches!(refusal, Refusal::Undecodable { .. }));
    wrong.heals("patch to another");

    let mut unusable = scene();
    publish_stored(&mut unusable, &good, &[("zstd-patch", elsewhere, &small)]);
    unusable.refused_with_floors(
        "only a patch from another",
        |refusal| matches!(refusal, Refusal::NoUsableForm { offered } if offered == "zstd-patch"),
    );
    unusable.heals("only a patch from another");
}

#[test]
fn an_encoding_of_the_future_is_passed_over() {
    let good = fake("1.1.0");
    let mut scene = Scene::new();
    let other = Some(Digest::of(b"x"));
    let forms: &[(&str, _, &[u8])] = &[
        ("brotli", None, b"?"),
        ("identity", None, &good),
        ("zz-patch", None, b"?"),
        ("zz-patch", other, b"?"),
    ];
    publish_stored(&mut scene, &good, forms);
    scene.updates_to("some unknown", "1.1.0", &good);

    let mut scene = Scene::new();
    publish_stored(&mut scene, &good, &[("brotli", None, b"?"), ("xz", None, b"?")]);
    scene.refused_with_floors(
        "all unknown",
        |refusal| matches!(refusal, Refusal::NoUsableForm { offered } if offered == "brotli, xz"),
    );
    scene.heals("all unknown");
}

#[test]
fn a_release_without_this_target_is_no_error() {
    for (name, artifacts) in [("other targets", true), ("no targets", false)] {
        let mut scene = Scene::new();
        let mut draft = draft(&mut scene);
        draft.manifest["artifacts"][0]["target"] = "tes".into();
        if !artifacts {
            draft.manifest["artifacts"] = json!([]);
        }
        scene.repository.publish(&draft);
        let before = without_state(scene.tool.snapshot());
        let answer = scene.tool.updater().update(true);
        assert!(
            matches!(&answer, Ok(Outcome::Nothing(Reason::NoTarget { version, target }))
                if version.to_string() == "1.1.0" && target.as_str() == "test"),
            "{name}: {answer:?}"
        );
        assert_eq!(without_state(scene.tool.snapshot()), before, "{name}");
        // The floors advanced: what was current before is a downgrade now.
        scene.repository.publish(&scene.first);
        scene.refused(name, |refusal| matches!(refusal, Refusal::Downgrade { .. }));
        scene.heals(name);
    }
}

/// Whoever installs again over what is there is bound by what was seen there.
#[test]
fn an_installation_anew_keeps_to_the_lowest_version_that_was_signed() {
    let mut scene = Scene::new();
    let mut draft = draft(&mut scene);
    draft.manifest["min_version"] = "1.1.0".into();
    scene.repository.publish(&draft);
    scene.updates_to("with a floor", "1.1.0", &fake("1.1.0"));
    let refused = |scene: &Scene, is: fn(&Refusal) -> bool| {
        let before = without_state(scene.tool.snapshot());
        match install_plain(&scene.repository, &scene.tool.path, true) {
            Err(Error::Refused(refusal)) => assert!(is(&refusal), "refused, but as {refusal:?}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(without_state(scene.tool.snapshot()), before, "the disk changed");
    };
    scene.repository.release("1.0.9", &fake("1.0.9"));
    refused(&scene, |refusal| {
        matches!(refusal, Refusal::BelowFloor { floor, found }
            if (floor.to_string(), found.to_string()) == ("1.1.0".into(), "1.0.9".into()))
    });
    scene.repository.release("2", &fake("2"));
    refused(&scene, |refusal| matches!(refusal, Refusal::KindChanged { .. }));
    // At the floor itself nothing is wrong.
    scene.repository.release("1.1.0", &fake("1.1.0 again"));
    install_plain(&scene.repository, &scene.tool.path, true).unwrap();
    assert_eq!(std::fs::read(&scene.tool.path).unwrap(), fake("1.1.0 again"));
}
