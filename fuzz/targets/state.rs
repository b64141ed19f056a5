//! The state file: what is accepted is written back as it was read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use relatch::trust::Digest;

fuzz_target!(|data: &[u8]| {
    if let Some(written) = relatch::fuzzing::state(data) {
        assert_eq!(written, data);
    }
    // No fuzzer finds a hash: the second line is made for it, so that the first is read.
    let json = data.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let content = [json, format!("\n{}\n", Digest::of(json)).as_bytes()].concat();
    if let Some(written) = relatch::fuzzing::state(&content) {
        assert_eq!(written, content);
    }
});
