//! The file `cache`.

use serde_json::{Value, json};

use super::super::release::{NOW, blake3};
use super::{file_of, hashed, such, vectors};
use crate::file::{content, padded};

/// An update failed its probe, and a start told of it.
fn cache() -> Value {
    json!({
        "type": "relatch-cache/1",
        "product": "demo",
        "channel": "stable",
        "anchor": blake3(b"root 1"),
        "validator": {"location": blake3(b"https://releases.example.com/demo"), "root": blake3(b"root 2"), "manifest": blake3(b"manifest"), "etag": "\"5f2c9a0e1b7d4c3f8a6e5d4c3b2a1908\"", "until": NOW + 594_800},
        "finding": {"is": "held", "version": "1.4.0", "critical": false},
        "about": {"version": "1.3.0", "blake3": blake3(b"1.3.0")},
        "failed_probe": blake3(b"manifest"),
        "checked": NOW - 1000,
        "root_checked": NOW - 10_000,
        "failure": {"at": NOW - 10, "count": 3, "text": "not updated: no space left on device", "brief": false, "key": blake3(b"key"), "shown": NOW - 10},
        "warned": NOW - 90_000,
    })
}

pub fn caches() -> Vec<Value> {
    let with = |pointer: &'static str, value: Value| {
        such(cache(), |cache| *cache.pointer_mut(pointer).unwrap() = value)
    };
    let finding = |finding: Value| with("/finding", finding);
    let nothing = such(cache(), |cache| {
        for field in ["validator", "about", "failed_probe", "checked", "root_checked", "failure", "warned"] {
            cache[field] = Value::Null;
        }
        cache["finding"] = json!({"is": "unknown"});
    });
    let big = file_of(&cache()).as_str().unwrap().replacen(
        "\"checked\":1799999000",
        "\"checked\":18446744073709551616",
        1,
    );
    let big = hashed(big.lines().next().unwrap());
    vectors(
        "cache",
        vec![
            ("a failure that was told", "all that there is", file_of(&cache()), "accept"),
            ("nothing was checked", "all that may be null", nothing, "accept"),
            (
                "an unknown field",
                "it need not be kept: nothing depends on a cache",
                such(cache(), |cache| cache["later"] = 1.into()),
                "accept",
            ),
            (
                "checked at 2^64 - 1",
                "a system clock may say anything",
                with("/checked", u64::MAX.into()),
                "accept",
            ),
            ("checked at 2^64", "one more", content(big.as_bytes()), "damaged"),
            ("a time as string", "a number", with("/checked", "1".into()), "damaged"),
            ("a negative number", "a value out of range", with("/warned", (-1).into()), "damaged"),
            ("valid until 2^53", "one more", with("/validator/until", (1_u64 << 53).into()), "damaged"),
            (
                "an entity tag of 256 bytes",
                "the longest",
                with("/validator/etag", format!("\"{}\"", "e".repeat(254)).into()),
                "accept",
            ),
            (
                "an entity tag of 257 bytes",
                "one more",
                with("/validator/etag", format!("\"{}\"", "e".repeat(255)).into()),
                "damaged",
            ),
            (
                "an entity tag that is none",
                "a value out of range",
                with("/validator/etag", "no quotes".into()),
                "damaged",
            ),
            (
                "a failure of 2048 bytes",
                "the longest",
                with("/failure/text", "x".repeat(2048).into()),
                "accept",
            ),
            (
                "a failure of 2049 bytes",
                "one more",
                with("/failure/text", "x".repeat(2049).into()),
                "damaged",
            ),
            ("current", "one of six", finding(json!({"is": "current"})), "accept"),
            ("outdated", "one of six", finding(json!({"is": "outdated", "version": "1.4.0"})), "accept"),
            (
                "not in the rollout",
                "one of six",
                finding(json!({"is": "not-in-rollout", "version": "1.4.0", "rollout": 10})),
                "accept",
            ),
            (
                "not in the rollout of 101",
                "0 to 100",
                finding(json!({"is": "not-in-rollout", "version": "1.4.0", "rollout": 101})),
                "damaged",
            ),
            ("no target", "one of six", finding(json!({"is": "no-target", "version": "1.4.0"})), "accept"),
            (
                "a finding that is none",
                "a later version may have more; this one finds it again",
                finding(json!({"is": "fine"})),
                "damaged",
            ),
            (
                "failed_probe is no hash",
                "a value out of range",
                with("/failed_probe", "00".into()),
                "damaged",
            ),
            (
                "about a version that is none",
                "a value out of range",
                with("/about/version", "".into()),
                "damaged",
            ),
            ("too large", "more than 64 KiB", padded(&cache().to_string(), " ", 65_537, ""), "damaged"),
        ],
    )
}
