//! Signature texts: what is accepted has four lines for each signature and one spelling of each.
#![no_main]

use base64ct::{Base64, Encoding as _};
use libfuzzer_sys::fuzz_target;
use relatch::trust::{Role, SignatureText};

fuzz_target!(|data: &[u8]| {
    let Ok(signatures) = SignatureText::parse(data) else { return };
    let text = std::str::from_utf8(data).unwrap();
    assert!(text.is_ascii() && text.ends_with('\n') && !text.contains('\r'));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4 * signatures.count());
    for (index, line) in lines.iter().enumerate() {
        match index % 4 {
            0 => assert!(line.starts_with("untrusted comment: ")),
            2 => assert!(line.starts_with("trusted comment: ")),
            _ => assert_eq!(Base64::encode_string(&Base64::decode_vec(line).unwrap()), **line),
        }
    }
    let keys = relatch_fuzz::anchor().keys_of(Role::Root);
    assert!(signatures.count_valid(&keys, b"message") <= 1);
});
