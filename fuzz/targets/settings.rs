//! The file `settings`, beside an executable that `relatch install` put there: what is accepted is written back as it was read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use relatch::trust::Digest;

fuzz_target!(|data: &[u8]| {
    // No fuzzer finds a hash: the second line is made for it, so that the first is read.
    let json = data.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let made = [json, format!("\n{}\n", Digest::of(json)).as_bytes()].concat();
    for content in [data, &made] {
        if let Some(written) = relatch::fuzzing::settings(content) {
            assert_eq!(written, content);
        }
    }
});
