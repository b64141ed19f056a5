//! Signature texts: what is accepted has four lines for each signature and one spelling of each. Each block is judged by the crate
//! `minisign-verify`, too: what counts here verifies there, and what verifies there and has the strict form counts here, but for a weak R.
#![no_main]

use base64ct::{Base64, Encoding as _};
use curve25519_dalek::edwards::CompressedEdwardsY;
use libfuzzer_sys::fuzz_target;
use relatch::trust::{PublicKey, Role, SignatureText};
use relatch_fuzz::{RELEASE, ROOT, forged_block, public};

const MESSAGE: &[u8] = b"message";

fuzz_target!(|data: &[u8]| {
    form(data);
    for block in blocks(data) {
        same_verdict(&block);
    }
    // No fuzzer finds a signature: a good one is spoilt as these bytes say.
    same_verdict(&forged_block(ROOT, MESSAGE, data));
});

fn form(data: &[u8]) {
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
    let keys = relatch_fuzz::roots().keys_of(Role::Root);
    assert!(signatures.count_valid(&keys, MESSAGE) <= 1);
}

/// Four lines each.
fn blocks(data: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(data);
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    lines.chunks_exact(4).take(4).map(|lines| lines.concat()).collect()
}

fn same_verdict(block: &str) {
    for seed in [ROOT, RELEASE] {
        let key = PublicKey::from_hex(&public(seed)).unwrap();
        let theirs = verifies_elsewhere(block, &key);
        let Ok(parsed) = SignatureText::parse(block.as_bytes()) else { continue };
        match parsed.count_valid(&[key], MESSAGE) {
            1 => assert!(theirs, "only relatch takes {block:?}"),
            0 => assert!(!theirs || has_weak_r(block), "only minisign-verify takes {block:?}"),
            more => panic!("{more} keys of one: {block:?}"),
        }
    }
}

/// The key id is presented as the one of the signature: it decides nothing here.
fn verifies_elsewhere(block: &str, key: &PublicKey) -> bool {
    let Ok(signature) = minisign_verify::Signature::decode(block) else { return false };
    let first = block.lines().nth(1).and_then(|line| Base64::decode_vec(line).ok()).unwrap_or_default();
    let labelled = [b"Ed", first.get(2..10).unwrap_or_default(), key.as_bytes()].concat();
    let key = minisign_verify::PublicKey::from_base64(&Base64::encode_string(&labelled));
    key.is_ok_and(|key| key.verify(MESSAGE, &signature, false).is_ok())
}

fn has_weak_r(block: &str) -> bool {
    let bytes = |line: usize| Base64::decode_vec(block.lines().nth(line).unwrap()).unwrap();
    [&bytes(1)[10..], &bytes(3)[..]].iter().any(|signature| {
        let r = CompressedEdwardsY(*signature.first_chunk().unwrap());
        r.decompress().is_none_or(|point| point.is_small_order() || point.compress() != r)
    })
}
