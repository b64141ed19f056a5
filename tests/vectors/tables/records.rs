//! `records.json`: SPEC sections 4.1 and 4.2.

mod cache;

use serde_json::{Value, json};

use super::release::{NOW, blake3};
use crate::file::{CONTENT, File, content, padded};

pub fn file() -> File {
    File {
        name: "records",
        about: "The files `journal`, `floors` and `cache`, for an implementation that shares them with this one (`relatch rollback` on another's executable, say). The product is `demo`.",
        spec: "sections 4.1 and 4.2",
        fields: vec![
            ("name", "unique in this file"),
            ("comment", "what the vector is for"),
            ("file", "which of the three it is"),
            ("content", CONTENT),
            (
                "result",
                "\"accept\": a journal and floors are then written again with every field, known or not; \"damaged\": a cache then counts as absent; \"refuse\": of another product, and left as it is",
            ),
        ],
        base: None,
        vectors: [journals(), floors(), cache::caches(), forms()].concat(),
    }
}

/// Row by row: name, comment, content, result.
type Row = (&'static str, &'static str, Value, &'static str);

fn vectors(file: &str, rows: Vec<Row>) -> Vec<Value> {
    rows.into_iter()
        .map(|(name, comment, content, result)| {
            let name = format!("{file}: {name}");
            json!({"name": name, "comment": comment, "file": file, "content": content, "result": result})
        })
        .collect()
}

fn hashed(line: &str) -> String {
    format!("{line}\n{}\n", blake3(line.as_bytes()))
}

fn file_of(value: &Value) -> Value {
    content(hashed(&value.to_string()).as_bytes())
}

fn such(value: Value, change: impl FnOnce(&mut Value)) -> Value {
    let mut value = value;
    change(&mut value);
    file_of(&value)
}

fn copy(version: &str) -> Value {
    json!({"version": version, "blake3": blake3(version.as_bytes()), "epoch": 1, "domain": blake3(b"root 1")})
}

fn previous(version: &str) -> Value {
    let mut kept = json!({"file": "previous"});
    kept.as_object_mut().unwrap().extend(copy(version).as_object().unwrap().clone());
    kept
}

fn holds(count: u64) -> Value {
    (1..=count).map(|n| json!({"version": format!("{n}")})).collect::<Vec<_>>().into()
}

/// After a rollback from 1.4.0 to 1.3.0.
pub fn journal() -> Value {
    json!({
        "type": "relatch-journal/1",
        "product": "demo",
        "rollout": 7,
        "installed": copy("1.3.0"),
        "kept": [previous("1.4.0")],
        "held": [{"version": "1.4.0"}],
        "pending": null,
    })
}

fn journals() -> Vec<Value> {
    let with = |field: &'static str, value: Value| such(journal(), |journal| journal[field] = value);
    let pending = |file: &str| {
        with("pending", json!({"file": file, "from": copy("1.3.0"), "to": copy("1.4.0"), "rollback": true}))
    };
    let new = json!({"type": "relatch-journal/1", "product": "demo", "rollout": 0, "installed": null, "kept": [], "held": [], "pending": null});
    let unknown = such(journal(), |journal| {
        journal["type"] = "relatch-journal/2".into();
        for value in ["/installed", "/kept/0", "/held/0"] {
            journal.pointer_mut(value).unwrap()["later"] = json!({"a": [1, "b", null, true]});
        }
        journal["pending"] = json!({"file": "previous", "from": copy("1.3.0"), "to": copy("1.4.0"), "rollback": true, "later": 1});
        journal["later"] = "text".into();
    });
    let missing = such(journal(), |journal| drop(journal.as_object_mut().unwrap().remove("kept")));
    let nothing_pending = such(journal(), |journal| drop(journal.as_object_mut().unwrap().remove("pending")));
    vectors(
        "journal",
        vec![
            ("after a rollback", "all that there is", file_of(&journal()), "accept"),
            ("new", "nothing was installed by a swap yet", file_of(&new), "accept"),
            ("a rollback that was begun", "it is finished or undone first", pending("previous"), "accept"),
            ("an update that was begun", "likewise", pending("new-0123456789abcdef"), "accept"),
            (
                "a pending file of another name",
                "a later version may name files otherwise; this one never touches it",
                pending("../demo"),
                "accept",
            ),
            ("unknown fields at every level", "they are kept", unknown, "accept"),
            (
                "two executables kept",
                "a later version keeps more",
                with(
                    "kept",
                    json!([
                        previous("1.4.0"),
                        {"file": "previous-2", "version": "1.2.0", "blake3": blake3(b"1.2.0"), "epoch": 1, "domain": blake3(b"root 1")},
                    ]),
                ),
                "accept",
            ),
            ("rollout 99", "0 to 99", with("rollout", 99.into()), "accept"),
            ("rollout 100", "0 to 99", with("rollout", 100.into()), "damaged"),
            ("sixteen holds", "the most", with("held", holds(16)), "accept"),
            ("seventeen holds", "at most 16", with("held", holds(17)), "damaged"),
            (
                "a hold twice",
                "each once",
                with("held", json!([{"version": "1.4.0"}, {"version": "1.5.0"}, {"version": "1.4.0"}])),
                "damaged",
            ),
            ("a hold that is a string", "an object", with("held", json!(["1.4.0"])), "damaged"),
            (
                "installed of epoch 0",
                "at least 1",
                such(journal(), |journal| journal["installed"]["epoch"] = 0.into()),
                "damaged",
            ),
            (
                "epoch of 2^53",
                "below it",
                such(journal(), |journal| journal["installed"]["epoch"] = (1_u64 << 53).into()),
                "damaged",
            ),
            (
                "installed without a domain",
                "an executable is of one",
                such(journal(), |journal| journal["installed"]["domain"] = Value::Null),
                "damaged",
            ),
            (
                "a first install that was begun",
                "there was nothing at the path, or nothing known",
                with(
                    "pending",
                    json!({
                        "file": "new-0123456789abcdef", "from": null, "to": copy("1.4.0"), "rollback": false,
                    }),
                ),
                "accept",
            ),
            (
                "a rollback from nothing",
                "what a rollback takes away is always known",
                with(
                    "pending",
                    json!({"file": "previous", "from": null, "to": copy("1.4.0"), "rollback": true}),
                ),
                "damaged",
            ),
            (
                "a version that is none",
                "a value out of range",
                such(journal(), |journal| journal["installed"]["version"] = "latest".into()),
                "damaged",
            ),
            (
                "a hash that is none",
                "a value out of range",
                such(journal(), |journal| journal["installed"]["blake3"] = "00".into()),
                "damaged",
            ),
            (
                "a product that is no name",
                "a value out of range",
                with("product", "../demo".into()),
                "damaged",
            ),
            ("kept is missing", "a list is there, and may be empty", missing, "damaged"),
            ("pending is missing", "what may be null may be left out", nothing_pending, "accept"),
            (
                "floors in its place",
                "a type of another kind",
                with("type", "relatch-floors/1".into()),
                "damaged",
            ),
            ("another product", "refused, not overwritten", with("product", "gadget".into()), "refuse"),
            (
                "another product, rollout 100",
                "form and values are looked at before the product",
                such(journal(), |journal| {
                    (journal["product"], journal["rollout"]) = ("gadget".into(), 100.into())
                }),
                "damaged",
            ),
        ],
    )
}

/// Two trust domains; the first one has raised its epoch.
pub fn floors_of_two() -> Value {
    let floor = |channel: &str, seq: u64| {
        json!({
            "channel": channel,
            "seq": seq,
            "issued": NOW - 10_000,
            "manifest": blake3(b"manifest"),
            "expires": NOW + 594_800,
            "manifest_expires": NOW + 7_766_000,
            "critical": false,
            "min_version": "1.2.0",
            "retracted": ["1.2.9"],
        })
    };
    json!({
        "type": "relatch-floors/1",
        "product": "demo",
        "domains": [
            {
                "id": blake3(b"root 1"),
                "lineage": {"first": 1, "hashes": [blake3(b"root 1"), blake3(b"root 2")]},
                "epoch": 2,
                "epochs": [
                    {"epoch": 1, "channels": [floor("stable", 7)]},
                    {"epoch": 2, "channels": [floor("stable", 1), floor("beta", 3)]},
                ],
            },
            {
                "id": blake3(b"another root 1"),
                "lineage": {"first": 1, "hashes": [blake3(b"another root 1")]},
                "epoch": 1,
                "epochs": [],
            },
        ],
    })
}

fn floors() -> Vec<Value> {
    let with = |change: &dyn Fn(&mut Value)| such(floors_of_two(), |floors| change(floors));
    let set = |pointer: &'static str, value: Value| {
        such(floors_of_two(), |floors| *floors.pointer_mut(pointer).unwrap() = value)
    };
    const FLOOR: &str = "/domains/0/epochs/0/channels/0";
    let floor = |field: &str, value: Value| {
        such(floors_of_two(), |floors| floors.pointer_mut(FLOOR).unwrap()[field] = value)
    };
    let hashes =
        |count: u64| -> Value { (0..count).map(|n| blake3(&n.to_le_bytes())).collect::<Vec<_>>().into() };
    let domains = |count: u64| -> Value {
        let domain = |n: u64| json!({"id": blake3(&n.to_le_bytes()), "lineage": {"first": 1, "hashes": [blake3(&n.to_le_bytes())]}, "epoch": 1, "epochs": []});
        (0..count).map(domain).collect::<Vec<_>>().into()
    };
    let channels = |count: u64| {
        let floor = floors_of_two().pointer(FLOOR).unwrap().clone();
        let named = |n: u64| {
            let mut floor = floor.clone();
            floor["channel"] = format!("c{n}").into();
            floor
        };
        set("/domains/0/epochs/0/channels", (0..count).map(named).collect::<Vec<_>>().into())
    };
    let retracted =
        |count: u64| floor("retracted", (1..=count).map(|n| format!("{n}")).collect::<Vec<_>>().into());
    vectors(
        "floors",
        vec![
            (
                "two domains, two epochs, two channels",
                "all that there is",
                file_of(&floors_of_two()),
                "accept",
            ),
            ("new", "no domain yet", set("/domains", json!([])), "accept"),
            (
                "unknown fields at every level",
                "they are kept",
                with(&|floors| {
                    floors["type"] = "relatch-floors/12".into();
                    for at in ["", "/domains/0", "/domains/0/lineage", "/domains/0/epochs/0", FLOOR] {
                        floors.pointer_mut(at).unwrap()["later"] = json!([{"a": null}, 2]);
                    }
                }),
                "accept",
            ),
            ("a lineage of 1024 roots", "the most", set("/domains/0/lineage/hashes", hashes(1024)), "accept"),
            (
                "a lineage of 1025 roots",
                "one more",
                set("/domains/0/lineage/hashes", hashes(1025)),
                "damaged",
            ),
            ("a lineage of no root", "at least one", set("/domains/0/lineage/hashes", json!([])), "damaged"),
            (
                "a lineage from 0",
                "the first root is number 1",
                set("/domains/0/lineage/first", 0.into()),
                "damaged",
            ),
            (
                "a lineage from 2^53",
                "below it",
                set("/domains/0/lineage/first", (1_u64 << 53).into()),
                "damaged",
            ),
            ("sixteen domains", "the most", set("/domains", domains(16)), "accept"),
            ("seventeen domains", "one more", set("/domains", domains(17)), "damaged"),
            (
                "a domain twice",
                "each once",
                with(&|floors| {
                    floors["domains"][1]["id"] = floors["domains"][0]["id"].clone();
                }),
                "damaged",
            ),
            ("sixty-four channels", "the most", channels(64), "accept"),
            ("sixty-five channels", "one more", channels(65), "damaged"),
            (
                "a channel twice in an epoch",
                "each once",
                with(&|floors| {
                    floors["domains"][0]["epochs"][1]["channels"][1]["channel"] = "stable".into();
                }),
                "damaged",
            ),
            (
                "epochs that descend",
                "the lowest first",
                with(&|floors| {
                    floors["domains"][0]["epochs"][0]["epoch"] = 3.into();
                }),
                "damaged",
            ),
            (
                "an epoch twice",
                "each once",
                with(&|floors| {
                    floors["domains"][0]["epochs"][0]["epoch"] = 2.into();
                }),
                "damaged",
            ),
            ("256 retracted versions", "the most", retracted(256), "accept"),
            ("257 retracted versions", "one more", retracted(257), "damaged"),
            ("a seq of 2^53 - 1", "the most", floor("seq", ((1_u64 << 53) - 1).into()), "accept"),
            ("a seq of 2^53", "one more", floor("seq", (1_u64 << 53).into()), "damaged"),
            ("a seq of 0", "at least 1", floor("seq", 0.into()), "damaged"),
            ("expires of 2^53", "one more", floor("expires", (1_u64 << 53).into()), "damaged"),
            (
                "manifest_expires of 2^53",
                "one more",
                floor("manifest_expires", (1_u64 << 53).into()),
                "damaged",
            ),
            ("issued of 2^53", "one more", floor("issued", (1_u64 << 53).into()), "damaged"),
            ("issued as string", "a number", floor("issued", "1".into()), "damaged"),
            ("no manifest", "a release has one", floor("manifest", Value::Null), "damaged"),
            ("critical is 0", "true or false", floor("critical", 0.into()), "damaged"),
            ("no min_version", "null", floor("min_version", Value::Null), "accept"),
            (
                "a min_version that is none",
                "a value out of range",
                floor("min_version", "latest".into()),
                "damaged",
            ),
            (
                "a channel that is no name",
                "a value out of range",
                floor("channel", "Stable".into()),
                "damaged",
            ),
            (
                "a journal in its place",
                "a type of another kind",
                set("/type", "relatch-journal/1".into()),
                "damaged",
            ),
            ("another product", "refused, not overwritten", set("/product", "gadget".into()), "refuse"),
            (
                "too large",
                "more than 4 MiB",
                padded(&floors_of_two().to_string(), " ", 4 << 20, ""),
                "damaged",
            ),
        ],
    )
}

/// The form, which is the same for all three.
fn forms() -> Vec<Value> {
    let good = journal().to_string();
    let text = |text: String| content(text.as_bytes());
    let typed = |kind: &str| such(journal(), |journal| journal["type"] = kind.into());
    let first = &blake3(good.as_bytes())[..8];
    vectors(
        "journal",
        vec![
            (
                "hash altered",
                "the second line",
                text(hashed(&good).replacen(first, "00000000", 1)),
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
            (
                "a space",
                "a later version may write it otherwise",
                text(hashed(&good.replacen(':', ": ", 1))),
                "accept",
            ),
            (
                "a field twice",
                "each once",
                text(hashed(&good.replacen("\"rollout\"", "\"rollout\":1,\"rollout\"", 1))),
                "damaged",
            ),
            ("no object", "JSON with a type", text(hashed("[]")), "damaged"),
            ("a type in a list", "an object", text(hashed("[\"relatch-journal/1\"]")), "damaged"),
            (
                "a type and nothing else",
                "the other fields are missing",
                text(hashed("{\"type\":\"relatch-journal/2\"}")),
                "damaged",
            ),
            ("a later type", "its number says nothing", typed("relatch-journal/2"), "accept"),
            (
                "a much later type",
                "its number says nothing",
                typed("relatch-journal/18446744073709551616"),
                "accept",
            ),
            ("a type without a number", "it has one", typed("relatch-journal/"), "damaged"),
            ("a type with a leading zero", "a number has none", typed("relatch-journal/01"), "damaged"),
            ("a type with a word", "a number", typed("relatch-journal/next"), "damaged"),
            ("a type of another kind", "it is a journal's", typed("relatch-diary/1"), "damaged"),
            ("settings in its place", "a type of another kind", typed("relatch-settings/1"), "damaged"),
        ],
    )
}
