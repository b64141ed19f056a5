//! `documents.json`: SPEC sections 3.3 to 3.8, without signatures.

use serde_json::{Value, json};

use super::release::{self, Release, blake3, root_of};
use crate::file::{CONTENT, File, bytes, content};
use crate::minisign::Key;

pub fn file() -> File {
    let bases = json!({"root": base("root"), "manifest": base("manifest"), "version": base("version")});
    let mut vectors = accepted();
    vectors.extend(spellings());
    vectors.extend(types());
    vectors.extend(roots());
    vectors.extend(manifests());
    vectors.extend(versions());
    File {
        name: "documents",
        about: "The three signed documents without their signatures: which bytes are one. Of VERSION it is the second line.",
        spec: "sections 3.2 to 3.8; steps 3c, 3d, 4d and 6d",
        fields: vec![
            ("base", "good documents, which vectors are made of by edits"),
            ("name", "unique in this file"),
            ("comment", "what the vector is for"),
            ("type", "which document is expected: \"root\", \"manifest\" or \"version\""),
            (
                "edits",
                "pairs [find, with]: in the base of that type, the one occurrence of the first becomes the second, one pair after another",
            ),
            ("document", "instead of edits: the whole document"),
            ("bytes", CONTENT),
            ("result", "\"accept\" or \"refuse\""),
            (
                "reason",
                "for \"refuse\": \"malformed\", \"too-new\" (a type of the future), \"other-type\" (another known kind), \"weak-key\" (step 3d)",
            ),
        ],
        base: Some(bases),
        vectors,
    }
}

/// Two keys of the release role, and one of an algorithm that is not known.
fn root() -> Value {
    let mut root = root_of(2, [(&[1, 4], 1), (&[2, 5], 2), (&[3], 1)]);
    let keys = root["keys"].as_array_mut().unwrap();
    keys.insert(0, json!({"alg": "ml-dsa-65", "public": "00ff"}));
    root["roles"]["release"]["keys"].as_array_mut().unwrap().insert(0, "00ff".into());
    root
}

fn manifest() -> Value {
    let mut release = Release::good();
    let patch = blake3(b"an older executable");
    release.stored(&[
        ("identity", None, &release::executable("1.4.0")),
        ("zstd", None, b"a frame"),
        ("zstd-patch", Some(&patch), b"a patch"),
    ]);
    let manifest = &mut release.manifest;
    manifest["min_version"] = "1.2.0".into();
    manifest["retracts"] = json!(["1.10.0", "1.3.1"]);
    manifest["notes"] = "Fixes a \"bug\".".into();
    let mut other = manifest["artifacts"][0].clone();
    other["target"] = "aarch64-apple-darwin".into();
    other["stored"] =
        json!([{"encoding": "brotli", "from": null, "size": 9, "blake3": blake3(b"a brotli stream")}]);
    manifest["artifacts"].as_array_mut().unwrap().insert(0, other);
    release.manifest
}

fn base(kind: &str) -> String {
    match kind {
        "root" => root().to_string(),
        "manifest" => manifest().to_string(),
        _ => Release::good().pointer().to_string(),
    }
}

fn vector(kind: &str, name: &str, comment: &str) -> Value {
    json!({"name": format!("{kind}: {name}"), "comment": comment, "type": kind})
}

fn edited(kind: &str, name: &str, comment: &str, edits: &[(&str, &str)]) -> Value {
    let mut vector = vector(kind, name, comment);
    vector["edits"] = edits.iter().map(|(find, with)| json!([find, with])).collect::<Vec<_>>().into();
    apply(&base(kind), &vector["edits"]); // each finds what it changes
    vector
}

fn whole(kind: &str, name: &str, comment: &str, document: Value) -> Value {
    let mut vector = vector(kind, name, comment);
    vector["document"] = document;
    vector
}

fn accept(mut vector: Value) -> Value {
    vector["result"] = "accept".into();
    vector
}

fn refuse(mut vector: Value, reason: &str) -> Value {
    (vector["result"], vector["reason"]) = ("refuse".into(), reason.into());
    vector
}

fn malformed(kind: &str, name: &str, comment: &str, edits: &[(&str, &str)]) -> Value {
    refuse(edited(kind, name, comment, edits), "malformed")
}

/// The text after the edits of a vector.
pub fn apply(base: &str, edits: &Value) -> String {
    edits.as_array().unwrap().iter().fold(base.to_owned(), |text, edit| {
        let (find, with) = (edit[0].as_str().unwrap(), edit[1].as_str().unwrap());
        assert_eq!(text.matches(find).count(), 1, "{find}");
        text.replacen(find, with, 1)
    })
}

/// The bytes of a vector.
pub fn document(vector: &Value, bases: &Value) -> Vec<u8> {
    match vector.get("document") {
        Some(document) => bytes(document),
        None => apply(bases[vector["type"].as_str().unwrap()].as_str().unwrap(), &vector["edits"]).into(),
    }
}

const ALL: [&str; 3] = ["root", "manifest", "version"];

fn accepted() -> Vec<Value> {
    let mut vectors: Vec<Value> = ALL
        .into_iter()
        .map(|kind| accept(edited(kind, "the base", "what all others are made of", &[])))
        .collect();
    let max = "9007199254740991";
    for (kind, name, comment, edits) in [
        (
            "root",
            "epoch of 2^53-1",
            "the largest integer",
            &[("\"epoch\":2", &*format!("\"epoch\":{max}"))][..],
        ),
        ("root", "issued at 0", "a time may be 0", &[("\"issued\":1797408000", "\"issued\":0")]),
        (
            "root",
            "expires a second after it is issued",
            "expires is above issued",
            &[("\"expires\":1825920000", "\"expires\":1797408001")],
        ),
        (
            "root",
            "a key that no role has",
            "a root may name more keys than it gives a role",
            &[("\"keys\":[{", "\"keys\":[{\"alg\":\"ml-dsa-65\",\"public\":\"00\"},{")],
        ),
        (
            "root",
            "a key of an unknown algorithm, of any length",
            "one digit",
            &[("\"public\":\"00ff\"", "\"public\":\"0\""), ("[\"00ff\"", "[\"0\"")],
        ),
        (
            "manifest",
            "notes in Unicode",
            "raw UTF-8",
            &[("Fixes a \\\"bug\\\".", "\u{e9} \u{6f22}\u{5b57} \u{1f389}")],
        ),
        (
            "manifest",
            "notes with newline and backslash",
            "the only escapes beside the quote",
            &[("Fixes a \\\"bug\\\".", "a\\nb\\\\c")],
        ),
        (
            "manifest",
            "min_version is the version",
            "not above it",
            &[("\"min_version\":\"1.2.0\"", "\"min_version\":\"1.4.0\"")],
        ),
        ("manifest", "no min_version", "null", &[("\"min_version\":\"1.2.0\"", "\"min_version\":null")]),
        ("manifest", "critical", "the other value", &[("\"critical\":false", "\"critical\":true")]),
        ("manifest", "retracts nothing", "an empty list", &[("[\"1.10.0\",\"1.3.1\"]", "[]")]),
        (
            "manifest",
            "retracts a higher version",
            "of the same kind is all that is asked",
            &[("\"1.3.1\"]", "\"9.0.0\"]")],
        ),
        (
            "manifest",
            "an unknown encoding with from",
            "unknown encodings may have either",
            &[(
                "\"encoding\":\"brotli\",\"from\":null",
                &*format!("\"encoding\":\"brotli\",\"from\":\"{}\"", blake3(b"x")),
            )],
        ),
        (
            "manifest",
            "build numbers",
            "all of one kind",
            &[
                ("\"version\":\"1.4.0\"", "\"version\":\"140\""),
                ("\"min_version\":\"1.2.0\"", "\"min_version\":\"9\""),
                ("[\"1.10.0\",\"1.3.1\"]", "[\"10\",\"9\"]"),
            ],
        ),
        ("version", "rollout 0", "nobody", &[("\"rollout\":100", "\"rollout\":0")]),
        ("version", "build number", "the other kind", &[("\"version\":\"1.4.0\"", "\"version\":\"140\"")]),
    ] {
        vectors.push(accept(edited(kind, name, comment, edits)));
    }
    let mut empty = manifest();
    empty["artifacts"] = json!([]);
    vectors.push(accept(whole(
        "manifest",
        "no artifacts",
        "a release for no target",
        empty.to_string().into(),
    )));
    vectors
}

/// One value has one text: the same value, or nearly, in another spelling.
fn spellings() -> Vec<Value> {
    let mut vectors = Vec::new();
    for kind in ALL {
        let text = base(kind);
        let name = "\"product\":\"demo\"";
        let number = "\"epoch\":2";
        let end = text.chars().rev().take(12).collect::<Vec<_>>().into_iter().rev().collect::<String>();
        let mut case = |title: &str, comment: &str, find: &str, with: &str| {
            vectors.push(malformed(kind, title, comment, &[(find, with)]));
        };
        for (title, value) in [
            ("2.0", "2.0"),
            ("2e0", "2e0"),
            ("20e-1", "20e-1"),
            ("-2", "-2"),
            ("-0", "-0"),
            ("02", "02"),
            ("+2", "+2"),
            ("0x2", "0x2"),
            ("2^53", "9007199254740992"),
            ("2^64", "18446744073709551616"),
            ("a number as string", "\"2\""),
            ("a number in a list", "[2]"),
            ("true for a number", "true"),
            ("null for a number", "null"),
            ("NaN", "NaN"),
            ("epoch 0", "0"),
            ("space before a number", " 2"),
        ] {
            case(title, "an integer has one spelling", number, &format!("\"epoch\":{value}"));
        }
        for (title, with) in [
            ("unknown field", format!("{name},\"x\":1")),
            ("unknown field, null", format!("{name},\"x\":null")),
            ("repeated field", format!("{name},{name}")),
            ("field in capitals", "\"Product\":\"demo\"".into()),
            ("escaped letter", "\"product\":\"\\u0064emo\"".into()),
            ("escaped letter in the name of a field", "\"pr\\u006fduct\":\"demo\"".into()),
            ("lone surrogate", "\"product\":\"\\ud800\"".into()),
            ("product that is no name", "\"product\":\"Demo\"".into()),
            ("product null", "\"product\":null".into()),
            ("single quotes", "'product':'demo'".into()),
            ("space after a comma", format!(" {name}")),
            ("newline after a comma", format!("\n{name}")),
            ("comment", format!("{name}/**/")),
            ("two commas", format!("{name},")),
            ("NUL", format!("{name}\0")),
        ] {
            case(title, "each field once, in its order, in its one spelling", name, &with);
        }
        let order = if kind == "root" {
            ("\"product\":\"demo\",\"version\":2", "\"version\":2,\"product\":\"demo\"")
        } else {
            ("\"product\":\"demo\",\"channel\":\"stable\"", "\"channel\":\"stable\",\"product\":\"demo\"")
        };
        case("other order", "fields stand in their order", order.0, order.1);
        case("missing field", "all are there", "\"epoch\":2,", "");
        case(
            "repeated field with another value",
            "neither the first nor the last counts",
            number,
            "\"epoch\":3,\"epoch\":2",
        );
        case(
            "type is not first",
            "fields stand in their order",
            &format!("\"type\":\"relatch-{kind}/1\",\"product\":\"demo\""),
            &format!("\"product\":\"demo\",\"type\":\"relatch-{kind}/1\""),
        );
        case("escaped slash in the type", "one spelling", "/1\"", "\\/1\"");
        case("repeated type", "each field once", "{\"type\"", "{\"type\":\"relatch-root/1\",\"type\"");
        case("type is a number", "it is a string", &format!("\"type\":\"relatch-{kind}/1\""), "\"type\":1");
        case("no type", "all fields are there", &format!("\"type\":\"relatch-{kind}/1\","), "");
        for (title, with) in [
            ("newline behind", "\n"),
            ("space behind", " "),
            ("tab behind", "\t"),
            ("CR behind", "\r"),
            ("a second value behind", "{}"),
            ("NUL behind", "\0"),
        ] {
            case(title, "nothing stands behind the object", &end, &format!("{end}{with}"));
        }
        case("comma at the end", "JSON has none", &end, &format!("{},}}", end.strip_suffix('}').unwrap()));
        case("cut short", "the last brace is missing", &end, end.strip_suffix('}').unwrap());
        case("space before", "nothing stands before the object", "{\"type\"", " {\"type\"");
        case("byte order mark", "nothing stands before the object", "{\"type\"", "\u{feff}{\"type\"");
        let value: Value = serde_json::from_str(&text).unwrap();
        let values: Vec<Value> = value.as_object().unwrap().values().cloned().collect();
        let mut not_utf8 = text.clone().into_bytes();
        not_utf8[text.find("demo").unwrap()] = 0xff;
        let mut utf16 = vec![0xff, 0xfe];
        utf16.extend("{}".encode_utf16().flat_map(u16::to_le_bytes));
        for (title, comment, document) in [
            (
                "array for the object",
                "values without names",
                content(Value::from(values).to_string().as_bytes()),
            ),
            ("object in a list", "the document is the object", content(format!("[{text}]").as_bytes())),
            ("not UTF-8", "0xff is in no UTF-8", content(&not_utf8)),
            ("UTF-16", "UTF-8 only", content(&utf16)),
            ("empty", "no bytes", "".into()),
            ("null", "no object", "null".into()),
            ("empty object", "all fields are there", "{}".into()),
            ("its type alone", "all fields are there", format!("{{\"type\":\"relatch-{kind}/1\"}}").into()),
            ("a thousand brackets", "deep, and nothing else", "[".repeat(1000).into()),
        ] {
            vectors.push(refuse(whole(kind, title, comment, document), "malformed"));
        }
    }
    vectors
}

fn types() -> Vec<Value> {
    let mut vectors = Vec::new();
    for kind in ALL {
        let own = format!("\"relatch-{kind}/1\"");
        for (found, reason) in [
            (format!("relatch-{kind}/2"), "too-new"),
            (format!("relatch-{kind}/10"), "too-new"),
            (format!("relatch-{kind}/0"), "too-new"),
            (format!("relatch-{kind}/01"), "too-new"),
            ("relatch-mirrors/1".into(), "too-new"),
            (format!("relatch-{kind}"), "too-new"),
            (String::new(), "too-new"),
            ("relatch-state/1".into(), "too-new"),
        ] {
            let edit = edited(
                kind,
                &format!("type '{found}'"),
                "the type is looked at first",
                &[(&own, &format!("\"{found}\""))],
            );
            vectors.push(refuse(edit, reason));
        }
        for other in ALL.into_iter().filter(|other| *other != kind) {
            let name = format!("a {other}");
            vectors.push(refuse(
                whole(kind, &name, "a good document of another kind", base(other).into()),
                "other-type",
            ));
            let edit = edited(
                kind,
                &format!("type 'relatch-{other}/2'"),
                "another kind that is known, with another number",
                &[(&own, &format!("\"relatch-{other}/2\""))],
            );
            vectors.push(refuse(edit, "other-type"));
        }
    }
    vectors
}

fn roots() -> Vec<Value> {
    let hex = |seed: u8| Key::new(seed).hex();
    let timestamp = format!("\"timestamp\":{{\"keys\":[\"{}\"],\"threshold\":1}}", hex(3));
    let with = |keys: &[&str], threshold: &str| {
        let keys: Vec<String> = keys.iter().map(|key| format!("\"{key}\"")).collect();
        format!("\"timestamp\":{{\"keys\":[{}],\"threshold\":{threshold}}}", keys.join(","))
    };
    let (one, three, four) = (hex(1), hex(3), hex(4));
    let mut two = [one.as_str(), three.as_str()];
    two.sort_unstable();
    let good = root();
    let mut vectors: Vec<Value> = [
        ("threshold 0", "at least 1", with(&[&three], "0")),
        ("threshold above the keys", "nobody could meet it", with(&[&three], "2")),
        ("threshold of 2^32+1", "no wrapping around", with(&[&three], "4294967297")),
        ("threshold as string", "an integer", with(&[&three], "\"1\"")),
        ("no keys, threshold 0", "at least 1", with(&[], "0")),
        ("no keys, threshold 1", "nobody could meet it", with(&[], "1")),
        ("a role's key twice", "each once", with(&[&three, &three], "1")),
        ("a role's keys unsorted", "sorted", with(&[two[1], two[0]], "1")),
        ("a role's key that is not listed", "each of them in `keys`", with(&[&hex(9)], "1")),
        ("a role's key in upper case", "each of them in `keys`", with(&[&three.to_uppercase()], "1")),
        (
            "a role without threshold",
            "all fields are there",
            format!("\"timestamp\":{{\"keys\":[\"{three}\"]}}"),
        ),
        (
            "a role with another field",
            "no others",
            format!("\"timestamp\":{{\"keys\":[\"{three}\"],\"threshold\":1,\"x\":1}}"),
        ),
        (
            "a role with its fields in another order",
            "in their order",
            format!("\"timestamp\":{{\"threshold\":1,\"keys\":[\"{three}\"]}}"),
        ),
        ("a role missing", "all three", "\"x\":{}".into()),
        (
            "a fourth role",
            "no others",
            format!("{timestamp},\"mirror\":{{\"keys\":[\"{four}\"],\"threshold\":1}}"),
        ),
    ]
    .into_iter()
    .map(|(name, comment, role)| malformed("root", name, comment, &[(&timestamp, &role)]))
    .collect();
    for (name, comment, find, with) in [
        ("version 0", "the first is 1", "\"version\":2", "\"version\":0"),
        (
            "expires when it is issued",
            "expires is above issued",
            "\"expires\":1825920000",
            "\"expires\":1797408000",
        ),
        ("expires before it is issued", "expires is above issued", "\"expires\":1825920000", "\"expires\":1"),
        (
            "public is empty",
            "at least one digit",
            "{\"alg\":\"ml-dsa-65\",\"public\":\"00ff\"}",
            "{\"alg\":\"ml-dsa-65\",\"public\":\"\"},{\"alg\":\"ml-dsa-65\",\"public\":\"00ff\"}",
        ),
        (
            "public is no hex",
            "lower-case hex",
            "{\"alg\":\"ml-dsa-65\",\"public\":\"00ff\"}",
            "{\"alg\":\"ml-dsa-65\",\"public\":\"00fg\"}",
        ),
        (
            "public in upper case",
            "lower-case hex",
            "{\"alg\":\"ml-dsa-65\",\"public\":\"00ff\"}",
            "{\"alg\":\"ml-dsa-65\",\"public\":\"00FF\"},{\"alg\":\"ml-dsa-65\",\"public\":\"00ff\"}",
        ),
        ("alg in upper case", "a name", "\"alg\":\"ml-dsa-65\"", "\"alg\":\"ML-DSA-65\""),
        ("alg missing", "all fields are there", "\"alg\":\"ml-dsa-65\",", ""),
        (
            "a key with another field",
            "no others",
            "{\"alg\":\"ml-dsa-65\",",
            "{\"x\":1,\"alg\":\"ml-dsa-65\",",
        ),
        (
            "a key listed twice",
            "each once",
            "{\"alg\":\"ml-dsa-65\",\"public\":\"00ff\"}",
            "{\"alg\":\"ml-dsa-65\",\"public\":\"00ff\"},{\"alg\":\"ml-dsa-65\",\"public\":\"00ff\"}",
        ),
        (
            "a key under two algorithms",
            "each public once",
            "{\"alg\":\"ml-dsa-65\",\"public\":\"00ff\"}",
            "{\"alg\":\"ml-dsa-44\",\"public\":\"00ff\"},{\"alg\":\"ml-dsa-65\",\"public\":\"00ff\"}",
        ),
        (
            "keys unsorted",
            "sorted by public",
            "{\"alg\":\"ml-dsa-65\",\"public\":\"00ff\"}",
            "{\"alg\":\"ml-dsa-65\",\"public\":\"00ff\"},{\"alg\":\"ml-dsa-65\",\"public\":\"00fe\"}",
        ),
    ] {
        vectors.push(malformed("root", name, comment, &[(find, with)]));
    }
    let weak = |name: &str, comment: &str, public: &str| {
        let mut root = good.clone();
        let keys = root["keys"].as_array_mut().unwrap();
        keys.push(json!({"alg": "ed25519", "public": public}));
        keys.sort_by_key(|key| key["public"].as_str().unwrap().to_owned());
        refuse(whole("root", name, comment, root.to_string().into()), "weak-key")
    };
    vectors.push(weak(
        "a key of small order",
        "though no role has it",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    ));
    vectors.push(weak("a key that is no point", "no x belongs to this y", &format!("02{}", "0".repeat(62))));
    vectors.push(weak("a key that is not canonical", "y is 2^255-19+3", &format!("f0{}7f", "f".repeat(60))));
    vectors.push(weak("a key of 31 bytes", "ed25519 has 32", &"5".repeat(62)));
    vectors.push(weak("a key of 63 digits", "ed25519 has 64", &"5".repeat(63)));
    vectors
}

fn manifests() -> Vec<Value> {
    let size = release::executable("1.4.0").len();
    let own = blake3(&release::executable("1.4.0"));
    let hash = |text: &str| blake3(text.as_bytes());
    let identity =
        format!("{{\"encoding\":\"identity\",\"from\":null,\"size\":{size},\"blake3\":\"{own}\"}}");
    let zstd =
        format!("{{\"encoding\":\"zstd\",\"from\":null,\"size\":7,\"blake3\":\"{}\"}}", hash("a frame"));
    let patch = format!(
        "{{\"encoding\":\"zstd-patch\",\"from\":\"{}\",\"size\":7,\"blake3\":\"{}\"}}",
        hash("an older executable"),
        hash("a patch")
    );
    let brotli = format!(
        "{{\"encoding\":\"brotli\",\"from\":null,\"size\":9,\"blake3\":\"{}\"}}",
        hash("a brotli stream")
    );
    let mut vectors = Vec::new();
    for (name, comment, find, with) in [
        ("channel is a path", "a name", "\"channel\":\"stable\"", "\"channel\":\"../stable\""),
        ("root_version 0", "at least 1", "\"root_version\":1", "\"root_version\":0"),
        ("seq 0", "at least 1", "\"seq\":7", "\"seq\":0"),
        ("version is a word", "a version", "\"version\":\"1.4.0\"", "\"version\":\"latest\""),
        (
            "version with build metadata",
            "it has no order",
            "\"version\":\"1.4.0\"",
            "\"version\":\"1.4.0+x\"",
        ),
        ("version is a number", "a string", "\"version\":\"1.4.0\"", "\"version\":140"),
        (
            "version of another kind than the rest",
            "of one kind",
            "\"version\":\"1.4.0\"",
            "\"version\":\"140\"",
        ),
        (
            "min_version above the version",
            "not above it",
            "\"min_version\":\"1.2.0\"",
            "\"min_version\":\"1.4.1\"",
        ),
        ("min_version of another kind", "of one kind", "\"min_version\":\"1.2.0\"", "\"min_version\":\"1\""),
        ("min_version is empty", "a version, or null", "\"min_version\":\"1.2.0\"", "\"min_version\":\"\""),
        ("critical is 0", "true or false", "\"critical\":false", "\"critical\":0"),
        ("critical is a string", "true or false", "\"critical\":false", "\"critical\":\"false\""),
        ("critical is null", "true or false", "\"critical\":false", "\"critical\":null"),
        ("retracts unsorted", "sorted as strings", "[\"1.10.0\",\"1.3.1\"]", "[\"1.3.1\",\"1.10.0\"]"),
        ("retracts twice", "each once", "[\"1.10.0\",\"1.3.1\"]", "[\"1.3.1\",\"1.3.1\"]"),
        ("retracts another kind", "of one kind", "[\"1.10.0\",\"1.3.1\"]", "[\"1\"]"),
        (
            "retracts its own version",
            "clients would go from it to it",
            "[\"1.10.0\",\"1.3.1\"]",
            "[\"1.3.1\",\"1.4.0\"]",
        ),
        ("retracts is null", "a list", "[\"1.10.0\",\"1.3.1\"]", "null"),
        ("retracts is an object", "a list", "[\"1.10.0\",\"1.3.1\"]", "{}"),
        (
            "expires when it is issued",
            "expires is above issued",
            "\"expires\":1807776000",
            "\"expires\":1799913600",
        ),
        ("notes null", "a string", "\"Fixes a \\\"bug\\\".\"", "null"),
        ("notes with an escaped letter", "raw UTF-8", "Fixes", "\\u0046ixes"),
        ("notes with an escaped pair", "raw UTF-8", "Fixes", "\\ud83c\\udf89"),
        ("notes with a newline by number", "written \\n", "Fixes", "\\u000a"),
        ("notes with a raw newline", "written \\n", "Fixes", "\n"),
        ("notes with a raw tab", "a control", "Fixes", "\t"),
        ("notes with an escaped tab", "a control", "Fixes", "\\t"),
        ("notes with an escaped slash", "not escaped", "Fixes", "\\/"),
        ("notes with a direction", "in the table", "Fixes", "\u{202e}"),
        ("target is a path", "a name", "\"target\":\"x86_64-unknown-linux-gnu\"", "\"target\":\"../x\""),
        (
            "artifacts unsorted",
            "sorted by target",
            "\"target\":\"x86_64-unknown-linux-gnu\"",
            "\"target\":\"a\"",
        ),
        (
            "a target twice",
            "each once",
            "\"target\":\"x86_64-unknown-linux-gnu\"",
            "\"target\":\"aarch64-apple-darwin\"",
        ),
        (
            "an artifact with another field",
            "no others",
            "{\"target\":\"x86_64-unknown-linux-gnu\",",
            "{\"x\":0,\"target\":\"x86_64-unknown-linux-gnu\",",
        ),
        ("nothing stored", "not empty", &*brotli, ""),
        ("a form twice", "each pair once", &*brotli, &*format!("{brotli},{brotli}")),
        (
            "stored unsorted",
            "sorted by encoding",
            &*format!("{identity},{zstd}"),
            &*format!("{zstd},{identity}"),
        ),
        (
            "identity with another hash",
            "the artifact's own",
            &*identity,
            &*identity.replace(&own, &hash("x")),
        ),
        (
            "identity with another size",
            "the artifact's own",
            &*identity,
            &*identity.replace(&format!("\"size\":{size}"), "\"size\":1"),
        ),
        ("identity with from", "null", &*identity, &*identity.replace("null", &format!("\"{own}\""))),
        ("zstd with from", "null", &*zstd, &*zstd.replace("null", &format!("\"{own}\""))),
        (
            "zstd-patch without from",
            "a hash",
            &*patch,
            &*patch.replace(&format!("\"{}\"", hash("an older executable")), "null"),
        ),
        ("a stored size of 0", "at least 1", &*zstd, &*zstd.replace("\"size\":7", "\"size\":0")),
        (
            "a stored size of 2^53",
            "below it",
            &*zstd,
            &*zstd.replace("\"size\":7", "\"size\":9007199254740992"),
        ),
        (
            "a stored hash in upper case",
            "lower case",
            &*zstd,
            &*zstd.replace(&hash("a frame"), &hash("a frame").to_uppercase()),
        ),
        ("a stored hash of 63 digits", "64", &*zstd, &*zstd.replace(&hash("a frame"), &hash("a frame")[1..])),
        (
            "a stored hash that is a path",
            "hex",
            &*zstd,
            &*zstd.replace(&hash("a frame"), &format!("../{}", &hash("a frame")[3..])),
        ),
        ("an encoding in upper case", "a name", "\"encoding\":\"brotli\"", "\"encoding\":\"Brotli\""),
        (
            "missing null",
            "all fields are there",
            "\"encoding\":\"brotli\",\"from\":null,",
            "\"encoding\":\"brotli\",",
        ),
        ("patches unsorted by from", "then by from", &*patch, &*{
            let mut from = [hash("a"), hash("b")];
            from.sort();
            format!(
                "{},{}",
                patch.replace(&hash("an older executable"), &from[1]),
                patch.replace(&hash("an older executable"), &from[0])
            )
        }),
        (
            "null after a hash",
            "null first",
            &*brotli,
            &*format!("{},{brotli}", brotli.replace("null", &format!("\"{own}\""))),
        ),
    ] {
        vectors.push(malformed("manifest", name, comment, &[(find, with)]));
    }
    let mut zero = manifest();
    zero["artifacts"][1]["size"] = 0.into();
    zero["artifacts"][1]["stored"].as_array_mut().unwrap().remove(0);
    vectors.push(refuse(
        whole("manifest", "an executable of no bytes", "at least 1", zero.to_string().into()),
        "malformed",
    ));
    vectors
}

fn versions() -> Vec<Value> {
    let hash = Release::good().pointer()["manifest"].as_str().unwrap().to_owned();
    [
        ("rollout 101", "at most 100", "\"rollout\":100", "\"rollout\":101"),
        ("rollout 256", "no wrapping around", "\"rollout\":100", "\"rollout\":256"),
        ("rollout as string", "an integer", "\"rollout\":100", "\"rollout\":\"100\""),
        ("seq 0", "at least 1", "\"seq\":7", "\"seq\":0"),
        ("channel is a path", "a name", "\"channel\":\"stable\"", "\"channel\":\"a/b\""),
        ("version with a leading zero", "one spelling", "\"version\":\"1.4.0\"", "\"version\":\"1.04.0\""),
        ("version is a number", "a string", "\"version\":\"1.4.0\"", "\"version\":7"),
        (
            "expires when it is issued",
            "expires is above issued",
            "\"expires\":1800604800",
            "\"expires\":1799996400",
        ),
        ("manifest in upper case", "lower case", &*hash, &*hash.to_uppercase()),
        ("manifest of 63 digits", "64", &*hash, &hash[1..]),
        ("manifest is null", "a hash", &*format!("\"{hash}\""), "null"),
    ]
    .into_iter()
    .map(|(name, comment, find, with)| malformed("version", name, comment, &[(find, with)]))
    .collect()
}
