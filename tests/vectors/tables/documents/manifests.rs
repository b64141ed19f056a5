//! What a manifest and the object of `VERSION` may not say.

use serde_json::{Value, json};

use super::super::release::{self, Release, blake3};
use super::{malformed, manifest, refuse, whole};

pub fn manifests() -> Vec<Value> {
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
        ("notes with a lone surrogate", "no character", "Fixes", "\\udfff"),
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
    for (name, artifacts) in [
        ("artifacts null", Value::Null),
        ("artifacts in an object", json!({})),
        ("an artifact that is a string", json!(["x"])),
    ] {
        let mut manifest = manifest();
        manifest["artifacts"] = artifacts;
        vectors.push(refuse(whole("manifest", name, "a list", manifest.to_string().into()), "malformed"));
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

pub fn versions() -> Vec<Value> {
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
