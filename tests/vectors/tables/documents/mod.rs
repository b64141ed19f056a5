//! `documents.json`: SPEC sections 3.3 to 3.8, without signatures.

mod manifests;
mod roots;
mod spellings;

use serde_json::{Value, json};

use super::release::{self, Release, blake3, root_of};
use crate::file::{CONTENT, File, bytes};

pub fn file() -> File {
    let bases = json!({"root": base("root"), "manifest": base("manifest"), "version": base("version")});
    let mut vectors = accepted();
    vectors.extend(spellings::spellings());
    vectors.extend(spellings::types());
    vectors.extend(roots::roots());
    vectors.extend(manifests::manifests());
    vectors.extend(manifests::versions());
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
            ("content", "instead of edits: the whole document"),
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
    vector["content"] = document;
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
    match vector.get("content") {
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
