//! Other spellings, and other types.

use serde_json::Value;

use super::{ALL, base, edited, malformed, refuse, whole};
use crate::file::content;

/// One value has one text: the same value, or nearly, in another spelling.
pub fn spellings() -> Vec<Value> {
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

pub fn types() -> Vec<Value> {
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
        for (name, comment, document) in [
            ("a type of the future in a list", "an object", format!("[\"relatch-{kind}/2\"]")),
            (
                "a type of the future twice",
                "it stands once",
                format!("{{\"type\":\"relatch-{kind}/2\",\"type\":\"relatch-{kind}/2\"}}"),
            ),
            ("a type that is a number", "a string", "{\"type\":1}".into()),
            ("a text that is a type", "an object", format!("\"relatch-{kind}/2\"")),
            (
                "a type of the future in what is no JSON",
                "an object",
                format!("{{\"type\":\"relatch-{kind}/2\""),
            ),
        ] {
            vectors.push(refuse(whole(kind, name, comment, document.into()), "malformed"));
        }
    }
    vectors
}
