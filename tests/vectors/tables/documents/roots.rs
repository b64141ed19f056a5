//! What a root may not say.

use serde_json::{Value, json};

use super::{accept, malformed, refuse, root, whole};
use crate::minisign::Key;

pub fn roots() -> Vec<Value> {
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
            "keys of a role in an object",
            "a list",
            format!("\"timestamp\":{{\"keys\":{{\"{three}\":1}},\"threshold\":1}}"),
        ),
        (
            "one key of a role, not in a list",
            "a list",
            format!("\"timestamp\":{{\"keys\":\"{three}\",\"threshold\":1}}"),
        ),
        ("a key of a role is a number", "strings", "\"timestamp\":{\"keys\":[0],\"threshold\":1}".into()),
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
    for (name, keys) in [
        ("keys are null", Value::Null),
        ("keys in an object", json!({})),
        ("no keys", json!([])),
        ("a key that is a string", json!([one])),
    ] {
        let mut root = good.clone();
        root["keys"] = keys;
        vectors.push(refuse(
            whole("root", name, "a list of all that roles name", root.to_string().into()),
            "malformed",
        ));
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
    for (name, comment, public) in [
        ("a key in upper case", "lower-case hex, whatever `alg` is", four.to_uppercase()),
        ("a key of no digits", "at least one digit, whatever `alg` is", String::new()),
    ] {
        let mut root = good.clone();
        let keys = root["keys"].as_array_mut().unwrap();
        keys.push(json!({"alg": "ed25519", "public": public}));
        keys.sort_by_key(|key| key["public"].as_str().unwrap().to_owned());
        vectors.push(refuse(whole("root", name, comment, root.to_string().into()), "malformed"));
    }
    for (name, public) in [
        ("a good key under an unknown algorithm", hex(9)),
        ("a weak key under an unknown algorithm", "00".repeat(32)),
    ] {
        let mut root = good.clone();
        let keys = root["keys"].as_array_mut().unwrap();
        keys.push(json!({"alg": "ed448", "public": public}));
        keys.sort_by_key(|key| key["public"].as_str().unwrap().to_owned());
        vectors.push(accept(whole(
            "root",
            name,
            "nobody loads it, and it never counts",
            root.to_string().into(),
        )));
    }
    vectors.push(weak("a key of 31 bytes", "ed25519 has 32", &"5".repeat(62)));
    vectors.push(weak("a key of 63 digits", "ed25519 has 64", &"5".repeat(63)));
    vectors
}
