//! The form of a vector file: a header that explains itself, then vectors; ASCII, one field a line, so that a change shows in a diff.

use std::fmt::Write as _;

use base64ct::{Base64, Encoding as _};
use serde_json::{Map, Value, json};

pub const FORMAT: &str = "relatch-vectors/1";

/// One file: what it is about, what its fields mean, and its vectors.
pub struct File {
    pub name: &'static str,
    pub about: &'static str,
    pub spec: &'static str,
    pub fields: Vec<(&'static str, &'static str)>,
    /// What several vectors begin with.
    pub base: Option<Value>,
    pub vectors: Vec<Value>,
}

impl File {
    pub fn to_text(&self) -> String {
        let mut names: Vec<_> = self.vectors.iter().map(|vector| vector["name"].as_str().unwrap()).collect();
        names.sort_unstable();
        let twice: Vec<_> = names.windows(2).filter(|pair| pair[0] == pair[1]).collect();
        assert!(twice.is_empty(), "{}: {twice:?}", self.name);
        let fields: Map<String, Value> =
            self.fields.iter().map(|(name, meaning)| ((*name).into(), (*meaning).into())).collect();
        let mut file = json!({
            "format": FORMAT,
            "about": self.about,
            "spec": format!("docs/SPEC.md, {}", self.spec),
            "fields": fields,
        });
        if let Some(base) = &self.base {
            file["base"] = base.clone();
        }
        file["count"] = self.vectors.len().into();
        file["vectors"] = self.vectors.clone().into();
        let mut text = String::new();
        write(&mut text, &file, 0);
        text.push('\n');
        text
    }
}

/// Fields of the file, of its vectors and of the base stand on lines of their own; what is deeper is short.
fn write(out: &mut String, value: &Value, depth: usize) {
    const LINES: usize = 5;
    let indent = "  ".repeat(depth + 1);
    let (open, close, items): (_, _, Vec<(Option<&String>, &Value)>) = match value {
        Value::Object(fields) => ('{', '}', fields.iter().map(|(name, value)| (Some(name), value)).collect()),
        Value::Array(items) => ('[', ']', items.iter().map(|value| (None, value)).collect()),
        Value::String(text) => return string(out, text),
        other => return write!(out, "{other}").unwrap(),
    };
    let length: usize = value.to_string().len();
    let lines = depth < LINES && !items.is_empty() && (length > 100 || depth < 1);
    out.push(open);
    for (count, (name, value)) in items.iter().enumerate() {
        out.push_str(if count == 0 { "" } else { "," });
        if lines {
            write!(out, "\n{indent}").unwrap();
        } else if count > 0 {
            out.push(' ');
        }
        if let Some(name) = name {
            string(out, name);
            out.push_str(": ");
        }
        write(out, value, depth + 1);
    }
    if lines {
        write!(out, "\n{}", &indent[2..]).unwrap();
    }
    out.push(close);
}

/// A JSON string in ASCII: no editor and no terminal changes what a vector says.
fn string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            ' '..='~' => out.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}").unwrap();
                }
            }
        }
    }
    out.push('"');
}

pub const CONTENT: &str = "Bytes are written as a string (its UTF-8), as {\"base64\": \"...\"}, or as {\"parts\": [...]}: strings and {\"repeat\": \"x\", \"times\": n}, one after another.";

/// Bytes as a vector holds them.
pub fn content(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => json!({"base64": Base64::encode_string(bytes)}),
    }
}

/// Text with a long run of one letter in it.
pub fn padded(before: &str, letter: &str, times: usize, after: &str) -> Value {
    json!({"parts": [before, {"repeat": letter, "times": times}, after]})
}

/// Reads what [`content`] and [`padded`] write.
pub fn bytes(content: &Value) -> Vec<u8> {
    if let Some(text) = content.as_str() {
        return text.into();
    }
    if let Some(text) = content["base64"].as_str() {
        return Base64::decode_vec(text).unwrap();
    }
    let part = |part: &Value| match part.as_str() {
        Some(text) => text.to_owned(),
        None => part["repeat"].as_str().unwrap().repeat(part["times"].as_u64().unwrap() as usize),
    };
    content["parts"].as_array().unwrap().iter().map(part).collect::<String>().into()
}
