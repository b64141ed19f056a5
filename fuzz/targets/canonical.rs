//! Canonical JSON of each document, without signatures: what is accepted has one text, by this reader and by one that knows no documents.
#![no_main]

use libfuzzer_sys::fuzz_target;
use relatch::trust::{Document, Manifest, Root, Timestamp};

fuzz_target!(|data: &[u8]| {
    let kinds = [reads::<Root>(data), reads::<Manifest>(data), reads::<Timestamp>(data)];
    let accepted = kinds.iter().filter(|accepted| **accepted).count();
    assert!(accepted <= 1, "two documents in one");
    if accepted == 1 {
        // Fields in their order, each once; no other spelling of anything. No number has a fraction or a sign.
        let value: serde_json::Value = serde_json::from_slice(data).unwrap();
        assert_eq!(value.to_string().as_bytes(), data);
        assert!(only_small_integers(&value));
    }
});

fn reads<T: Document>(data: &[u8]) -> bool {
    let Ok(document) = T::from_canonical(data) else { return false };
    assert_eq!(document.to_canonical(), data);
    true
}

fn only_small_integers(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Number(number) => number.as_u64().is_some_and(|number| number < 1 << 53),
        serde_json::Value::Array(items) => items.iter().all(only_small_integers),
        serde_json::Value::Object(fields) => fields.values().all(only_small_integers),
        _ => true,
    }
}
