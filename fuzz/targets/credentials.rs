//! What services, shared files and programs say when they are asked for credentials. All of it comes from outside, and none of it panics.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = relatch::fuzzing::credentials(data);
});
