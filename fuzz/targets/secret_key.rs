//! Secret key files without a password. With one, each input would cost scrypt's gibibyte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use signer::key::SecretKey;
use signer::signing::SigningKey;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(key) = SecretKey::from_text(text, None) else { return };
    // What is read signs for its own public half, and survives its file.
    let written = key.to_text(None).unwrap();
    let Ok(again) = SecretKey::from_text(&written, None) else { panic!("it does not survive its file") };
    assert_eq!(again.public(), key.public());
});
