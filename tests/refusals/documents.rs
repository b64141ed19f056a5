//! What a document may not say, and how it may not be spelled.

use super::*;

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
