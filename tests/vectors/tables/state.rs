//! `state.json`: SPEC section 4.

use serde_json::{Value, json};

use super::release::{NOW, blake3};
use crate::file::{CONTENT, File, content, padded};

pub fn file() -> File {
    File {
        name: "state",
        about: "The file `state`, for an implementation that shares it with this one (`relatch rollback` on another's executable, say). The product is `demo`, the channel `stable`.",
        spec: "sections 4.1 and 4.2",
        fields: vec![
            ("name", "unique in this file"),
            ("comment", "what the vector is for"),
            ("file", CONTENT),
            ("result", "\"accept\"; \"damaged\"; \"refuse\": of another type or product, and left as it is"),
        ],
        base: None,
        vectors: vectors(),
    }
}

fn state() -> Value {
    let copy = |version: &str| json!({"version": version, "blake3": blake3(version.as_bytes()), "epoch": 1});
    json!({
        "type": "relatch-state/1",
        "product": "demo",
        "channel": "stable",
        "root_version": 2,
        "root_epoch": 1,
        "floors": {"epoch": 1, "seq": 7, "issued": NOW - 10_000, "manifest": blake3(b"manifest")},
        "expires": NOW + 594_800,
        "seen": {"location": blake3(b"https://releases.example.com/demo"), "etag": "\"5f2c9a0e1b7d4c3f8a6e5d4c3b2a1908\"", "until": NOW + 594_800},
        "critical": false,
        "min_version": "1.2.0",
        "installed": copy("1.3.0"),
        "previous": copy("1.4.0"),
        "held": ["1.4.0"],
        "pending": null,
        "unable": null,
        "standing": {"is": "held", "version": "1.4.0", "critical": false},
        "judged": "1.3.0",
        "rollout": 7,
        "checked": NOW - 1000,
        "failed": 0,
        "root_walked": NOW - 10_000,
    })
}

fn hashed(line: &str) -> String {
    format!("{line}\n{}\n", blake3(line.as_bytes()))
}

fn vectors() -> Vec<Value> {
    let good = state().to_string();
    let such = |change: &dyn Fn(&mut Value)| {
        let mut state = state();
        change(&mut state);
        content(hashed(&state.to_string()).as_bytes())
    };
    let set = |field: &'static str, value: Value| such(&|state| state[field] = value.clone());
    let text = |text: String| content(text.as_bytes());
    let held = |count: u64| Value::from((1..=count).map(|n| format!("{n}")).collect::<Vec<_>>());
    let pending = |file: &str| {
        let state = state();
        json!({"file": file, "from": state["installed"], "to": state["previous"], "rollback": true})
    };
    let new = || {
        such(&|state| {
            for field in ["seen", "min_version", "installed", "previous", "judged"] {
                state[field] = Value::Null;
            }
            for field in ["root_version", "root_epoch", "expires", "checked", "root_walked"] {
                state[field] = 0.into();
            }
            state["floors"] = json!({"epoch": 0, "seq": 0, "issued": 0, "manifest": null});
            (state["held"], state["standing"]) = (json!([]), json!({"is": "unknown"}));
        })
    };
    let standing = |standing: Value| set("standing", standing);
    let rows: Vec<(&str, &str, Value, &str)> = vec![
        ("after a rollback", "all that there is", text(hashed(&good)), "accept"),
        ("new", "nothing seen yet", new(), "accept"),
        ("rollout 99", "0 to 99", set("rollout", 99.into()), "accept"),
        ("root_version of 2^53 - 1", "the most", set("root_version", ((1_u64 << 53) - 1).into()), "accept"),
        ("root_version of 2^53", "one more", set("root_version", (1_u64 << 53).into()), "damaged"),
        ("root_epoch of 2^53", "one more", set("root_epoch", (1_u64 << 53).into()), "damaged"),
        ("expires of 2^53", "one more", set("expires", (1_u64 << 53).into()), "damaged"),
        (
            "seen until 2^53",
            "one more",
            such(&|state| state["seen"]["until"] = (1_u64 << 53).into()),
            "damaged",
        ),
        ("checked at 2^64 - 1", "a system clock may say anything", set("checked", u64::MAX.into()), "accept"),
        (
            "checked at 2^64",
            "one more",
            text(hashed(&good.replacen("\"checked\":1799999000", "\"checked\":18446744073709551616", 1))),
            "damaged",
        ),
        (
            "floors without a manifest",
            "fields are not checked against each other",
            such(&|state| state["floors"]["manifest"] = Value::Null),
            "accept",
        ),
        ("sixteen holds", "the most", set("held", held(16)), "accept"),
        ("a hold twice", "each once", set("held", json!(["1.4.0", "1.5.0", "1.4.0"])), "damaged"),
        (
            "installed of epoch 0",
            "at least 1",
            such(&|state| state["installed"]["epoch"] = 0.into()),
            "damaged",
        ),
        (
            "pending from nothing",
            "what a swap takes away is always known",
            set(
                "pending",
                json!({"file": "previous", "from": null, "to": state()["previous"], "rollback": true}),
            ),
            "damaged",
        ),
        (
            "an entity tag of 256 bytes",
            "the longest",
            such(&|state| state["seen"]["etag"] = format!("\"{}\"", "e".repeat(254)).into()),
            "accept",
        ),
        (
            "an entity tag of 257 bytes",
            "one more",
            such(&|state| state["seen"]["etag"] = format!("\"{}\"", "e".repeat(255)).into()),
            "damaged",
        ),
        (
            "standing not-in-rollout of 101",
            "0 to 100",
            standing(json!({"is": "not-in-rollout", "version": "1.4.0", "rollout": 101})),
            "damaged",
        ),
        ("standing current", "one of six", standing(json!({"is": "current"})), "accept"),
        (
            "standing outdated",
            "one of six",
            standing(json!({"is": "outdated", "version": "1.4.0"})),
            "accept",
        ),
        (
            "standing not-in-rollout",
            "one of six",
            standing(json!({"is": "not-in-rollout", "version": "1.4.0", "rollout": 10})),
            "accept",
        ),
        (
            "standing no-target",
            "one of six",
            standing(json!({"is": "no-target", "version": "1.4.0"})),
            "accept",
        ),
        (
            "a rollback that was begun",
            "it is finished or undone first",
            set("pending", pending("previous")),
            "accept",
        ),
        (
            "hash altered",
            "the second line",
            text(hashed(&good).replacen(&blake3(good.as_bytes())[..8], "00000000", 1)),
            "damaged",
        ),
        (
            "content altered",
            "the hash is of the first line",
            text(hashed(&good).replacen("\"rollout\":7", "\"rollout\":8", 1)),
            "damaged",
        ),
        ("empty", "no second line", text(String::new()), "damaged"),
        ("one line", "no second line", text(good.clone()), "damaged"),
        (
            "no newline at the end",
            "both lines end with one",
            text(hashed(&good).trim_end().into()),
            "damaged",
        ),
        ("a third line", "two lines", text(hashed(&good) + "\n"), "damaged"),
        ("CRLF", "LF", text(hashed(&good).replace('\n', "\r\n")), "damaged"),
        ("zeroed", "as some file systems leave it", padded("", "\0", 1000, ""), "damaged"),
        ("too large", "more than 64 KiB", padded(&good, " ", 65_537, ""), "damaged"),
        ("a space", "one spelling", text(hashed(&good.replacen(':', ": ", 1))), "damaged"),
        (
            "an unknown field",
            "no others",
            text(hashed(&good.replacen("\"rollout\"", "\"x\":1,\"rollout\"", 1))),
            "damaged",
        ),
        ("a missing field", "all are there", text(hashed(&good.replacen("\"failed\":0,", "", 1))), "damaged"),
        ("no object", "JSON with a type", text(hashed("[]")), "damaged"),
        ("a type of the future in a list", "an object", text(hashed("[\"relatch-state/2\"]")), "damaged"),
        (
            "a type of the future, hash altered",
            "the hash is looked at first",
            text(hashed("{\"type\":\"relatch-state/2\"}").replacen(
                &blake3(b"{\"type\":\"relatch-state/2\"}")[..8],
                "00000000",
                1,
            )),
            "damaged",
        ),
        (
            "a type of the future and nothing else",
            "a newer program wrote it",
            text(hashed("{\"type\":\"relatch-state/2\"}")),
            "refuse",
        ),
        (
            "another product, rollout 100",
            "form and values are looked at before the product",
            such(&|state| (state["product"], state["rollout"]) = ("gadget".into(), 100.into())),
            "damaged",
        ),
        ("rollout 100", "0 to 99", set("rollout", 100.into()), "damaged"),
        ("seventeen holds", "at most 16", set("held", held(17)), "damaged"),
        (
            "a floor of 2^53",
            "below it",
            such(&|state| state["floors"]["seq"] = (1u64 << 53).into()),
            "damaged",
        ),
        (
            "a version that is none",
            "a value out of range",
            such(&|state| state["installed"]["version"] = "latest".into()),
            "damaged",
        ),
        (
            "a hash that is none",
            "a value out of range",
            such(&|state| state["installed"]["blake3"] = "00".into()),
            "damaged",
        ),
        (
            "an entity tag that is none",
            "a value out of range",
            such(&|state| state["seen"]["etag"] = "no quotes".into()),
            "damaged",
        ),
        ("a product that is no name", "a value out of range", set("product", "../demo".into()), "damaged"),
        ("a channel that is no name", "a value out of range", set("channel", "Stable".into()), "damaged"),
        ("a negative number", "a value out of range", set("root_version", (-1).into()), "damaged"),
        ("a time as string", "a value out of range", set("checked", "1".into()), "damaged"),
        ("critical is 0", "true or false", set("critical", 0.into()), "damaged"),
        (
            "a min_version that is none",
            "a value out of range",
            set("min_version", "latest".into()),
            "damaged",
        ),
        ("a judged version that is none", "a value out of range", set("judged", "".into()), "damaged"),
        ("unable is no hash", "a value out of range", set("unable", "00".into()), "damaged"),
        ("a standing that is none", "a value out of range", standing(json!({"is": "fine"})), "damaged"),
        (
            "pending names a path",
            "a file in the directory, of a name that a swap gives",
            set("pending", pending("../demo")),
            "damaged",
        ),
        (
            "pending names the state",
            "a file in the directory, of a name that a swap gives",
            set("pending", pending("state")),
            "damaged",
        ),
        ("a type of the future", "a newer program wrote it", set("type", "relatch-state/2".into()), "refuse"),
        ("another type", "a newer program wrote it", set("type", "relatch-settings/1".into()), "refuse"),
        ("another product", "refused, not overwritten", set("product", "gadget".into()), "refuse"),
    ];
    rows.into_iter()
        .map(|(name, comment, file, result)| {
            json!({"name": name, "comment": comment, "file": file, "result": result})
        })
        .collect()
}
