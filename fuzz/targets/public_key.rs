//! Minisign public key files and keys in hex: what is accepted is written back as it was read.
#![no_main]

use base64ct::{Base64, Encoding as _};
use libfuzzer_sys::fuzz_target;
use relatch::trust::PublicKey;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(key) = PublicKey::from_hex(text) {
        assert_eq!(key.to_hex(), text);
    }
    if let Ok(key) = PublicKey::from_minisign(text) {
        let encoded = text.lines().nth(1).unwrap();
        let bytes = Base64::decode_vec(encoded).unwrap();
        assert_eq!(Base64::encode_string(&bytes), encoded);
        assert_eq!(&bytes[10..], key.as_bytes());
        assert_eq!(PublicKey::from_hex(&key.to_hex()), Ok(key));
    }
});
