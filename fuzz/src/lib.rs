//! What the targets share: worthless test keys, a root that trusts them, and signatures that minisign would make.

#[cfg(fuzzing)]
pub mod client;

use std::sync::OnceLock;

use base64ct::{Base64, Encoding as _};
use blake2::{Blake2b512, Digest as _};
use curve25519_dalek::scalar::Scalar;
use ed25519_dalek::{Signer as _, SigningKey};
use relatch::trust::{Fetched, FinalRoot, Identity, Roots, Times, TrustAnchor};
use sha2::Sha512;

/// Noon of the fuzzers' day; seeds are issued before it and expire after it.
pub const NOW: u64 = 1_800_000_000;

/// The keys of root, release and timestamp.
pub const ROOT: u8 = 1;
pub const RELEASE: u8 = 2;
pub const TIMESTAMP: u8 = 3;

/// Made once: instrumented as all code here is, a key costs as much as a signature.
fn key(seed: u8) -> &'static SigningKey {
    static KEYS: [OnceLock<SigningKey>; 256] = [const { OnceLock::new() }; 256];
    KEYS[usize::from(seed)].get_or_init(|| SigningKey::from_bytes(&[seed; 32]))
}

/// The public key of a seed, as documents hold it.
pub fn public(seed: u8) -> String {
    base16ct::lower::encode_string(key(seed).verifying_key().as_bytes())
}

/// A minisign public key file.
pub fn public_file(seed: u8) -> String {
    let bytes = [&b"Ed"[..], &[seed; 8], key(seed).verifying_key().as_bytes()].concat();
    format!("untrusted comment: minisign public key\n{}\n", Base64::encode_string(&bytes))
}

/// One signature of the strict form.
pub fn sign(seed: u8, message: &[u8]) -> String {
    let key = key(seed);
    let signature = key.sign(&Blake2b512::digest(message)).to_bytes();
    let trusted = "timestamp:1799990000\tfile:example\thashed";
    let global = key.sign(&[&signature[..], trusted.as_bytes()].concat()).to_bytes();
    let first = [&b"ED"[..], &[seed; 8], &signature].concat();
    format!(
        "untrusted comment: signature from a test key\n{}\ntrusted comment: {trusted}\n{}\n",
        Base64::encode_string(&first),
        Base64::encode_string(&global)
    )
}

/// A signature that is spoilt, or labelled otherwise, as these bytes say: what, where and by how much; the rest is its trusted comment.
pub fn forged_block(seed: u8, message: &[u8], how: &[u8]) -> String {
    let (what, at, mask) = match how {
        [what, at, mask, ..] => (what % 8, usize::from(*at), *mask),
        _ => return sign(seed, message),
    };
    let trusted: String = how[3..].iter().map(|byte| char::from(b' ' + byte % 95)).collect();
    let key = key(seed);
    let prehashed = Blake2b512::digest(message);
    let mut id = [seed; 8];
    let mut signature =
        if what == 5 { with_weak_r(key, &prehashed) } else { key.sign(&prehashed).to_bytes() };
    let told = [&signature[..], trusted.as_bytes()].concat();
    let mut global = if what == 6 { with_weak_r(key, &told) } else { key.sign(&told).to_bytes() };
    match what {
        1 => signature[at % 64] ^= mask,
        2 => global[at % 64] ^= mask,
        3 => add_order(&mut signature),
        4 => add_order(&mut global),
        7 => id[at % 8] ^= mask,
        _ => {}
    }
    let first = [&b"ED"[..], &id, &signature].concat();
    format!(
        "untrusted comment: x\n{}\ntrusted comment: {trusted}\n{}\n",
        Base64::encode_string(&first),
        Base64::encode_string(&global)
    )
}

/// R is the identity: then S = k·a satisfies the equation, and nobody honest makes it.
fn with_weak_r(key: &SigningKey, message: &[u8]) -> [u8; 64] {
    let mut signature = [0; 64];
    signature[0] = 1;
    let public = key.verifying_key();
    let wide =
        Sha512::new().chain_update(&signature[..32]).chain_update(public).chain_update(message).finalize();
    let s = Scalar::from_bytes_mod_order_wide(&wide.into()) * key.to_scalar();
    signature[32..].copy_from_slice(s.as_bytes());
    signature
}

/// S + L: the same number, to who reduces it.
fn add_order(signature: &mut [u8; 64]) {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut carry = 0;
    for (byte, order) in signature[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        (*byte, carry) = (sum as u8, sum >> 8);
    }
}

/// A root document with one key for each role.
pub fn root_document(version: u64) -> String {
    let mut all = [public(ROOT), public(RELEASE), public(TIMESTAMP)];
    all.sort();
    let keys = all.map(|public| format!(r#"{{"alg":"ed25519","public":"{public}"}}"#)).join(",");
    let role = |seed| format!(r#"{{"keys":["{}"],"threshold":1}}"#, public(seed));
    format!(
        r#"{{"type":"relatch-root/1","product":"demo","version":{version},"issued":1799900000,"expires":1831436000,"epoch":1,"keys":[{keys}],"roles":{{"root":{},"release":{},"timestamp":{}}}}}"#,
        role(ROOT),
        role(RELEASE),
        role(TIMESTAMP)
    )
}

/// The trusted root.
pub fn anchor() -> TrustAnchor {
    TrustAnchor::new(root_document(1).as_bytes()).expect("the root of the fuzzers is a root")
}

/// The chain that consists of the trusted root.
pub fn roots() -> &'static Roots {
    static ROOTS: OnceLock<Roots> = OnceLock::new();
    ROOTS.get_or_init(|| anchor().into())
}

/// The trusted root, not expired.
pub fn last() -> FinalRoot<'static> {
    roots().last(&times()).expect("the root of the fuzzers has not expired")
}

/// Product `demo` on channel `stable`.
pub fn identity() -> Identity {
    Identity { product: "demo".parse().expect("a name"), channel: "stable".parse().expect("a name") }
}

/// Both clocks at [`NOW`].
pub fn times() -> Times {
    Times::new(NOW, &[])
}

/// The two signed lines of a `VERSION` that names this manifest.
pub fn version_lines(manifest: &relatch::trust::Digest) -> String {
    format!(
        "1.4.0\n{{\"type\":\"relatch-version/1\",\"product\":\"demo\",\"channel\":\"stable\",\"epoch\":1,\"seq\":7,\"version\":\"1.4.0\",\"manifest\":\"{manifest}\",\"rollout\":100,\"issued\":1799990000,\"expires\":1800594800}}\n"
    )
}

/// Text signed by a seed, as a source would deliver it.
pub fn signed(seed: u8, text: &[u8]) -> Fetched {
    Fetched::new([text, sign(seed, text).as_bytes()].concat())
}

/// A detached signature, as a source would deliver it.
pub fn signature(seed: u8, text: &[u8]) -> Fetched {
    Fetched::new(sign(seed, text).into_bytes())
}
