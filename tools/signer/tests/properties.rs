//! Generate, write, read, sign, verify: whatever the message, the client counts the signature, and with one bit changed it does not.
//!
//! The cases are the same in every run and nothing is recorded in a file. Keys are drawn by the system, as a publisher's are: the property
//! holds for all of them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use base64ct::{Base64, Encoding as _};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::RngSeed;
use relatch::trust::SignatureText;
use signer::key::SecretKey;
use signer::signing::SigningKey as _;

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 64,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(1),
        ..ProptestConfig::default()
    }
}

/// What decides: both signatures and the trusted comment. The untrusted comment and the key id are labels.
fn signed_part(text: &str) -> (Vec<u8>, String, String) {
    let lines: Vec<&str> = text.lines().collect();
    (Base64::decode_vec(lines[1]).unwrap()[10..].to_vec(), lines[2].into(), lines[3].into())
}

proptest! {
    #![proptest_config(config())]

    // Without a password: with one, each case would cost scrypt's gibibyte.
    #[test]
    fn what_a_new_key_signs_the_client_counts(
        message in vec(any::<u8>(), 1..300),
        file in "[a-z0-9][a-z0-9._-]{0,63}",
        time in any::<u32>(),
        (at, bit) in (any::<Index>(), 0..8u8),
    ) {
        let key = SecretKey::generate().unwrap();
        let read = SecretKey::from_text(&key.to_text(None).unwrap(), None).unwrap();
        prop_assert_eq!(read.public(), key.public());
        prop_assert_eq!(read.id(), key.id());

        let text = read.sign(&message, &file, time.into()).unwrap();
        let count = |text: &[u8], message: &[u8]| {
            SignatureText::parse(text).map(|text| text.count_valid(&[key.public()], message))
        };
        prop_assert_eq!(count(text.as_bytes(), &message), Ok(1));

        let flip = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            *at.get_mut(&mut bytes) ^= 1 << bit;
            bytes
        };
        prop_assert_eq!(count(text.as_bytes(), &flip(&message)), Ok(0));
        let flipped = flip(text.as_bytes());
        if let Ok(counted) = count(&flipped, &message) {
            let same = signed_part(std::str::from_utf8(&flipped).unwrap()) == signed_part(&text);
            prop_assert_eq!(counted, usize::from(same));
        }
        let flipped = flip(key.to_text(None).unwrap().as_bytes());
        if let Ok(other) = std::str::from_utf8(&flipped).map_err(|_| ()).and_then(|text| SecretKey::from_text(text, None).map_err(|_| ())) {
            // Only the comment or the id of a key file can change without its being noticed.
            prop_assert_eq!(other.public(), key.public());
        }
    }
}
