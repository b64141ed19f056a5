//! The whole client with a repository that an attacker mangles, answers from and signs with what was stolen: nothing that the release
//! threshold did not sign is ever executed or installed.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    relatch_fuzz::client::run(data);
});
