//! What the targets share: worthless test keys, a root that trusts them, and signatures that minisign would make.

#[cfg(fuzzing)]
pub mod client;

use std::sync::OnceLock;

use base64ct::{Base64, Encoding as _};
use blake2::{Blake2b512, Digest as _};
use ed25519_dalek::{Signer as _, SigningKey};
use relatch::trust::{Fetched, Identity, Root, Times, Verified};

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
pub fn anchor() -> &'static Verified<Root> {
    static ANCHOR: OnceLock<Verified<Root>> = OnceLock::new();
    ANCHOR.get_or_init(|| {
        Verified::<Root>::anchor(root_document(1).as_bytes()).expect("the root of the fuzzers is a root")
    })
}

/// Product `demo` on channel `stable`.
pub fn identity() -> Identity {
    Identity { product: "demo".parse().expect("a name"), channel: "stable".parse().expect("a name") }
}

/// Both clocks at [`NOW`].
pub fn times() -> Times {
    Times { system: NOW, now: NOW }
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
