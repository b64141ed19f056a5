//! One value has one text. Each row is the same good document in another spelling, or with something in it, signed as it should be.

use relatch::source::Object;
use relatch::trust::DocumentKind;
use serde_json::Value;

use crate::attack::{Attack, malformed};
use crate::stage::Stage;
use crate::support::minisign::sign_all;

type Spelling = fn(&str) -> Vec<u8>;

fn with(text: &str, from: &str, to: &str) -> Vec<u8> {
    assert!(text.contains(from), "the row does nothing");
    text.replacen(from, to, 1).into_bytes()
}

/// Another text for the number of the release, where N stands for its digits.
fn seq(text: &str, value: &str) -> Vec<u8> {
    let (before, after) = text.split_once("\"seq\":").unwrap();
    let (number, after) = after.split_once(',').unwrap();
    format!("{before}\"seq\":{},{after}", value.replace('N', number)).into_bytes()
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

const OF_BOTH: &[(&str, &str, Spelling)] = &[
    ("space after a colon", "its bytes differ", |text| seq(text, " N")),
    ("space after a comma", "its bytes differ", |text| with(text, ",\"seq\"", ", \"seq\"")),
    ("space before", "its bytes differ", |text| [" ", text].concat().into_bytes()),
    ("space behind", "its bytes differ", |text| end(text, " ")),
    ("tab behind", "its bytes differ", |text| end(text, "\t")),
    ("carriage return behind", "its bytes differ", |text| end(text, "\r")),
    ("byte order mark", "not a JSON object", |text| ["\u{feff}", text].concat().into_bytes()),
    ("NUL behind", "trailing characters", |text| end(text, "\0")),
    ("a second value", "trailing characters", |text| end(text, "{}")),
    ("a second copy", "trailing characters", |text| end(text, text)),
    ("a comment", "trailing characters", |text| end(text, "//")),
    ("a comma too many", "key must be a string", |text| with(text, "\"seq\":", ",\"seq\":")),
    ("cut short", "EOF while parsing", |text| text.as_bytes()[..text.len() - 1].to_vec()),
    ("unknown field", "its bytes differ", |text| field(text, "\"x\":1")),
    ("unknown field, null", "its bytes differ", |text| field(text, "\"x\":null")),
    ("unknown field before the type", "its bytes differ", |text| with(text, "{", "{\"x\":1,")),
    ("repeated field", "duplicate field", |text| seq(text, "N,\"seq\":N")),
    ("repeated field with another value", "duplicate field", |text| seq(text, "1,\"seq\":N")),
    ("repeated type", "duplicate field", |text| with(text, "{", "{\"type\":\"relatch-root/1\",")),
    ("field in another case", "missing field", |text| with(text, "\"seq\"", "\"Seq\"")),
    ("other order", "its bytes differ", |text| {
        with(
            text,
            "\"product\":\"widget\",\"channel\":\"stable\"",
            "\"channel\":\"stable\",\"product\":\"widget\"",
        )
    }),
    ("missing field", "missing field", |text| with(text, "\"epoch\":2,", "")),
    ("escaped letter", "its bytes differ", |text| with(text, "widget", "\\u0077idget")),
    ("escaped letter in a key", "its bytes differ", |text| with(text, "\"seq\"", "\"s\\u0065q\"")),
    ("escaped slash in the type", "its bytes differ", |text| with(text, "/1\"", "\\/1\"")),
    ("escaped letter in the type", "its bytes differ", |text| with(text, "\"relatch", "\"\\u0072elatch")),
    ("lone surrogate", "hex escape", |text| with(text, "widget", "\\ud800")),
    ("not UTF-8", "not UTF-8 or unicode", |text| {
        let mut bytes = text.as_bytes().to_vec();
        let at = text.find("widget").unwrap();
        bytes[at] = 0xff;
        bytes
    }),
    ("N.0", "invalid type: floating point", |text| seq(text, "N.0")),
    ("Ne0", "invalid type: floating point", |text| seq(text, "Ne0")),
    ("N0e-1", "invalid type: floating point", |text| seq(text, "N0e-1")),
    ("1e3", "invalid type: floating point", |text| seq(text, "1e3")),
    ("-1", "invalid value", |text| seq(text, "-1")),
    ("-0", "invalid type: floating point", |text| seq(text, "-0")),
    ("0N", "invalid number", |text| seq(text, "0N")),
    ("+N", "expected value", |text| seq(text, "+N")),
    ("0x7", "expected `,` or `}`", |text| seq(text, "0x7")),
    ("2^53", "is not below 2^53", |text| seq(text, "9007199254740992")),
    ("2^64", "invalid type: floating point", |text| seq(text, "18446744073709551616")),
    ("number as string", "invalid type: string", |text| seq(text, "\"N\"")),
    ("number in an array", "invalid type: sequence", |text| seq(text, "[N]")),
    ("true", "invalid type: boolean", |text| seq(text, "true")),
    ("null", "invalid type: null", |text| seq(text, "null")),
    ("NaN", "expected `,` or `}`", |text| seq(text, "NaN")),
    ("array for the object", "not a JSON object", values),
    ("object in an array", "not a JSON object", |text| format!("[{text}]").into_bytes()),
    ("deep in a field", "expected value", |text| seq(text, &"[".repeat(3000))),
    ("deep in an unknown field", "its bytes differ", |text| {
        field(text, &format!("\"x\":{}{}", "[".repeat(1500), "]".repeat(1500)))
    }),
    ("deep instead of the type", "invalid type: map", |text| {
        with(text, "{", &format!("{{\"type\":{}", "{\"a\":".repeat(500)))
    }),
    ("nothing", "not a JSON object", |_| Vec::new()),
    ("null alone", "not a JSON object", |_| b"null".to_vec()),
    ("an empty object", "missing field", |_| b"{}".to_vec()),
    ("an empty array", "not a JSON object", |_| b"[]".to_vec()),
    ("its type alone", "missing field", |text| [text.split(',').next().unwrap(), "}"].concat().into_bytes()),
];

const OF_MANIFESTS: &[(&str, &str, Spelling)] = &[
    ("newline behind", "its bytes differ", |text| end(text, "\n")),
    ("newline before", "its bytes differ", |text| ["\n", text].concat().into_bytes()),
    ("missing null", "its bytes differ", |text| with(text, "\"min_version\":null,", "")),
    ("missing null inside", "its bytes differ", |text| with(text, "\"from\":null,", "")),
    ("number for bool", "invalid type: integer", |text| with(text, "\"critical\":false", "\"critical\":0")),
    ("string for bool", "invalid type: string", |text| {
        with(text, "\"critical\":false", "\"critical\":\"false\"")
    }),
    ("object for list", "invalid type: map", |text| with(text, "\"retracts\":[]", "\"retracts\":{}")),
    ("null for list", "invalid type: null", |text| with(text, "\"retracts\":[]", "\"retracts\":null")),
    ("unknown field inside", "its bytes differ", |text| with(text, "{\"target\"", "{\"x\":0,\"target\"")),
    ("repeated field inside", "duplicate field", |text| {
        with(text, "\"from\":null", "\"from\":null,\"from\":null")
    }),
    ("array for an artifact", "its bytes differ", |text| {
        let mut value: Value = serde_json::from_str(text).unwrap();
        let artifact: Vec<Value> = value["artifacts"][0].as_object().unwrap().values().cloned().collect();
        value["artifacts"][0] = artifact.into();
        value.to_string().into_bytes()
    }),
    ("escaped é in notes", "its bytes differ", |text| with(text, "\"notes\":\"\"", "\"notes\":\"\\u00e9\"")),
    ("escaped pair in notes", "its bytes differ", |text| {
        with(text, "\"notes\":\"\"", "\"notes\":\"\\ud83c\\udf89\"")
    }),
    ("newline escaped by number in notes", "its bytes differ", |text| {
        with(text, "\"notes\":\"\"", "\"notes\":\"\\u000a\"")
    }),
    ("raw newline in notes", "control character", |text| with(text, "\"notes\":\"\"", "\"notes\":\"\n\"")),
    ("escaped slash in notes", "its bytes differ", |text| with(text, "\"notes\":\"\"", "\"notes\":\"\\/\"")),
    ("raw tab in notes", "control character", |text| with(text, "\"notes\":\"\"", "\"notes\":\"\t\"")),
];

const OF_ROOTS: &[(&str, &str, Spelling)] = &[
    ("newline behind", "its bytes differ", |text| end(text, "\n")),
    ("other order", "its bytes differ", |text| {
        let value: Value = serde_json::from_str(text).unwrap();
        let (first, second) =
            (format!("\"epoch\":{},", value["epoch"]), format!("\"issued\":{},", value["issued"]));
        text.replacen(&first, "", 1).replacen(&second, &[&second[..], &first].concat(), 1).into_bytes()
    }),
    ("unknown field in a key", "its bytes differ", |text| with(text, "{\"alg\"", "{\"x\":0,\"alg\"")),
    ("repeated field in a key", "duplicate field", |text| {
        with(text, "{\"alg\"", "{\"alg\":\"ed25519\",\"alg\"")
    }),
    ("escaped letter in a key", "its bytes differ", |text| with(text, "ed25519", "\\u0065d25519")),
    ("repeated role", "duplicate field", |text| {
        with(text, "\"roles\":{", "\"roles\":{\"root\":{\"keys\":[],\"threshold\":0},")
    }),
    ("a role twice, in another case", "its bytes differ", |text| {
        with(text, "\"roles\":{", "\"roles\":{\"Root\":{\"keys\":[],\"threshold\":0},")
    }),
    ("threshold 1.0", "invalid type: floating point", |text| {
        with(text, "\"threshold\":1", "\"threshold\":1.0")
    }),
    ("threshold -1", "invalid value", |text| with(text, "\"threshold\":1", "\"threshold\":-1")),
    ("array for a role", "its bytes differ", |text| {
        let mut value: Value = serde_json::from_str(text).unwrap();
        let role = value["roles"]["root"].clone();
        value["roles"]["root"] = serde_json::json!([role["keys"], role["threshold"]]);
        value.to_string().into_bytes()
    }),
    ("object for the keys", "invalid type: map", |text| with(text, "\"keys\":[{", "\"keys\":{},\"x\":[{")),
];

pub fn manifests() -> Vec<Attack> {
    let attack = |(name, because, spell): &(&str, &str, Spelling)| {
        let spell = *spell;
        let outcome = malformed(DocumentKind::Manifest, *because);
        Attack::new(
            "6d",
            format!("the manifest: {name}"),
            move |stage| {
                let draft = stage.draft();
                stage.repository.publish_documents(&spell(&draft.manifest.to_string()), &draft);
            },
            outcome,
        )
    };
    OF_BOTH.iter().chain(OF_MANIFESTS).map(attack).collect()
}

/// Of a root the number is its version, and it has no channel to exchange with another field.
pub fn roots() -> Vec<Attack> {
    const ROOT_2: DocumentKind = DocumentKind::Root(2);
    let rows = OF_BOTH.iter().filter(|(name, ..)| *name != "other order");
    let rows = rows.map(|(name, because, spell)| (*name, *because, *spell)).chain(OF_ROOTS.iter().copied());
    let attack = |(name, because, spell): (&str, &str, Spelling)| {
        let act = move |stage: &mut Stage| {
            stage.publish(|_, _| {});
            stage.repository.root_version = 2;
            let root = stage.repository.root().to_string().replace("\"version\"", "\"seq\"");
            let root = replaced(&spell(&root), b"\"seq\"", b"\"version\"");
            let root = replaced(&root, b"\"s\\u0065q\"", b"\"v\\u0065rsion\"");
            stage.repository.write(&Object::Root(2), &root);
            let signatures = sign_all(&stage.repository.root_keys, &root);
            stage.repository.write(&Object::RootSignatures(2), signatures);
        };
        Attack::new("3c", format!("root 2: {name}"), act, malformed(ROOT_2, because))
    };
    rows.map(attack).collect()
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        match rest.strip_prefix(from) {
            Some(after) => (replaced.extend(to), rest = after).1,
            None => (replaced.push(rest[0]), rest = &rest[1..]).1,
        }
    }
    replaced
}

pub fn versions() -> Vec<Attack> {
    let attack = |(name, because, spell): &(&str, &str, Spelling)| {
        let spell = *spell;
        let outcome = malformed(DocumentKind::Timestamp, *because);
        Attack::new(
            "4d",
            format!("VERSION: {name}"),
            move |stage| {
                let draft = stage.draft();
                stage.repository.publish(&draft);
                let lines = String::from_utf8(stage.repository.version_lines()).unwrap();
                let (first, object) = lines.trim_end().split_once('\n').unwrap();
                let signed = [first.as_bytes(), b"\n", &spell(object), b"\n"].concat();
                publish(stage, &signed, &sign_all(&draft.timestamp_keys, &signed));
            },
            outcome,
        )
    };
    let mut rows: Vec<Attack> = OF_BOTH.iter().map(attack).collect();
    for text in ["", "1.1.0", "1.1.0\n", "1.1.0\n{}"] {
        let outcome = malformed(DocumentKind::Timestamp, "fewer than two lines");
        rows.push(Attack::new(
            "4a",
            format!("VERSION: only {text:?}"),
            move |stage| {
                publish(stage, text.as_bytes(), "");
            },
            outcome,
        ));
    }
    rows
}

fn publish(stage: &Stage, signed: &[u8], signatures: &str) {
    std::fs::write(stage.repository.version_path(), [signed, signatures.as_bytes()].concat()).unwrap();
}

/// Line 1 of `VERSION` is for people and scripts; it says what the signed object says.
pub fn first_lines() -> Vec<Attack> {
    let mut rows = Vec::new();
    for (name, line) in [
        ("of another version", "1.0.9999"),
        ("with a space", "N "),
        ("with a carriage return", "N\r"),
        ("with a v", "vN"),
        ("with an escape sequence", "\u{1b}[2JN"),
        ("that is empty", ""),
    ] {
        rows.push(Attack::new(
            "4d",
            format!("VERSION: a first line {name}"),
            move |stage| {
                let next = stage.next();
                stage.publish(|draft, _| draft.first_line = Some(line.replace('N', &next)));
            },
            refused!(VersionLineMismatch { .. }),
        ));
    }
    rows
}

table!(spellings_of_the_manifest, manifests());
table!(spellings_of_version, versions());
table!(spellings_of_roots, roots());
table!(first_lines_of_version, first_lines());
