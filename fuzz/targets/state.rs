//! The records `journal`, `floors` and `cache`: what is accepted is written back and read again to
//! the same. Whatever a later version of relatch adds to `journal` and `floors` survives.
#![no_main]

use libfuzzer_sys::fuzz_target;
use relatch::trust::Digest;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    check(data);
    // No fuzzer finds a hash: the second line is made here, so that the first one is read.
    let json = data.split(|byte| *byte == b'\n').next().unwrap_or_default();
    check(&[json, format!("\n{}\n", Digest::of(json)).as_bytes()].concat());
});

fn check(content: &[u8]) {
    let Some(written) = relatch::fuzzing::record(content) else { return };
    let again = relatch::fuzzing::record(&written);
    assert_eq!(again.as_deref(), Some(&written[..]), "it is not read again to the same");
    let (read, written) = (value(content), value(&written));
    assert_eq!(read["type"], written["type"], "the number of the type is lost");
    if read["type"].as_str().is_some_and(|kind| !kind.starts_with("relatch-cache/")) {
        assert!(is_kept(&read, &written), "a field is lost or changed: {read} to {written}");
    }
}

/// Whether all that was read is written. An absent field may be written as `null`.
fn is_kept(read: &Value, written: &Value) -> bool {
    match (read, written) {
        (Value::Object(read), Value::Object(written)) => {
            read.iter().all(|(name, read)| written.get(name).is_some_and(|written| is_kept(read, written)))
        }
        (Value::Array(read), Value::Array(written)) => {
            read.len() == written.len()
                && read.iter().zip(written).all(|(read, written)| is_kept(read, written))
        }
        _ => read == written,
    }
}

fn value(content: &[u8]) -> Value {
    serde_json::from_slice(content.split(|byte| *byte == b'\n').next().unwrap_or_default()).expect("JSON")
}
