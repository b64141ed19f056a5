//! The second verification before a publication. A block with R = identity and S = k·a satisfies the equation that stock minisign's crate
//! checks. The client refuses a weak R, so that the block does not count; but two verifiers that differ are a reason to stop.

use base64ct::{Base64, Encoding};
use blake2::{Blake2b512, Digest as _};
use curve25519_dalek::scalar::Scalar;
use relatch::trust::Timestamp;
use sha2::Sha512;
use signer::key::SecretKey;
use signer::signing::SigningKey as _;

use crate::support::Desk;
use crate::{KEYS, REPO, prepare};

/// A block that one verifier accepts and the other does not, by the key in this file.
fn divided(desk: &Desk, role: &str, message: &[u8]) -> (String, String) {
    let text = desk.read(&format!("keys/{role}.key"));
    let key = SecretKey::from_text(&text, None).map_err(|why| panic!("{why}")).unwrap();
    let seed = &Base64::decode_vec(text.lines().nth(1).unwrap()).unwrap()[62..94];
    let mut secret: [u8; 32] = Sha512::digest(seed)[..32].try_into().unwrap();
    secret[0] &= 248;
    secret[31] = secret[31] & 63 | 64;
    let secret = Scalar::from_bytes_mod_order(secret);
    let weak = |message: &[u8]| {
        let mut signature = [0; 64];
        signature[0] = 1; // R: the identity
        let hash = Sha512::new().chain_update(&signature[..32]).chain_update(key.public().as_bytes());
        let k = Scalar::from_bytes_mod_order_wide(&hash.chain_update(message).finalize().into());
        signature[32..].copy_from_slice((k * secret).as_bytes());
        signature
    };
    let first = weak(&Blake2b512::digest(message));
    let second = weak(&[&first[..], b"weak"].concat());
    let first = Base64::encode_string(&[&b"ED"[..], &key.id().0, &first].concat());
    let second = Base64::encode_string(&second);
    let block = format!("untrusted comment: x\n{first}\ntrusted comment: weak\n{second}\n");
    (block, key.public().to_hex())
}

fn refused(desk: &Desk, which: &str, public: &str, arguments: &[&str]) {
    let before = desk.repository();
    let says = format!(
        "signature 2 of {which} by the key {public}: minisign-verify accepts it, and the client's verifier \
         does not"
    );
    desk.fails(3, &says, arguments);
    desk.fails(3, "Nothing was published.", arguments);
    assert_eq!(desk.repository(), before, "{which}");
}

#[test]
fn a_disagreement_ends_the_publication_and_names_the_signature() {
    let desk = Desk::new();
    desk.released("1.0.0", &[]);
    let publish = [&["publish", "folder"][..], &REPO].concat();
    prepare(&desk, "1.1.0", "folder", &[]);
    desk.ok(&[&["sign", "folder"][..], &KEYS].concat());
    let manifest = desk.read("folder/manifest.json.minisig");
    let (block, public) = divided(&desk, "release", desk.read("folder/manifest.json").as_bytes());
    desk.write("folder/manifest.json.minisig", format!("{manifest}{block}"));
    refused(&desk, "the manifest", &public, &publish);
    desk.write("folder/manifest.json.minisig", &manifest);

    let version = desk.read("folder/VERSION");
    let (signed, _) = Timestamp::split(version.as_bytes()).unwrap();
    let (block, public) = divided(&desk, "timestamp", signed);
    desk.write("folder/VERSION", format!("{version}{block}"));
    refused(&desk, "VERSION", &public, &publish);
    desk.write("folder/VERSION", &version);

    desk.ok(&["root", "renew", "root.json", "--out", "root2.json"]);
    desk.ok(&["root", "sign", "root2.json", "--key", "keys/root.key"]);
    let root = desk.read("root2.json.minisig");
    let (block, public) = divided(&desk, "root", desk.read("root2.json").as_bytes());
    desk.write("root2.json.minisig", format!("{root}{block}"));
    let publish_root = [&["root", "publish", "root2.json"][..], &REPO].concat();
    refused(&desk, "root 2", &public, &publish_root);
    desk.write("root2.json.minisig", root);

    // Without it all of them are published.
    desk.ok(&publish);
    desk.ok(&publish_root);
    desk.ok(&[&["verify"][..], &REPO].concat());
}

/// Another key's weak block is nobody's signature, for both verifiers.
#[test]
fn a_block_that_both_ignore_is_ignored() {
    let desk = Desk::new();
    prepare(&desk, "1.0.0", "folder", &[]);
    desk.ok(&[&["sign", "folder"][..], &KEYS].concat());
    let manifest = desk.read("folder/manifest.json.minisig");
    let (block, _) = divided(&desk, "timestamp", desk.read("folder/manifest.json").as_bytes());
    desk.write("folder/manifest.json.minisig", format!("{manifest}{block}"));
    desk.ok(&[&["publish", "folder"][..], &REPO].concat());
}
