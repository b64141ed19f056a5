//! Two chains of roots. Chain 0 is that of the product. Chain 1 is the one with which the product, or
//! another publisher, begins again: a trust domain of its own (SPEC section 4.3).
//!
//! In each chain root 2 revokes a root key and a release key within the epoch, and root 3 revokes
//! another release key and begins epoch 2. A release requires two release keys.

use std::sync::OnceLock;

use relatch::trust::Digest;
use serde_json::{Value, json};

use super::world::PRODUCT;
use crate::{public, sign};

/// All documents are valid at the fuzzers' noon and at the system's time, by which a first install goes.
pub const ISSUED: u64 = 1_700_000_000;
pub const EXPIRES: u64 = 4_000_000_000;

/// The roots of a chain.
pub const ROOTS: usize = 3;

/// Seeds of keys, by chain and root.
const ROOT_KEYS: [[[u8; 3]; ROOTS]; 2] =
    [[[10, 11, 12], [10, 11, 13], [10, 11, 13]], [[40, 41, 42], [40, 41, 43], [40, 41, 43]]];
/// No key has a role in both chains: a signature does not name the chain that it is for.
const RELEASE_KEYS: [[&[u8]; ROOTS]; 2] =
    [[&[20, 21, 22, 24], &[20, 21, 22], &[20, 21, 23]], [&[50, 51, 52, 54], &[50, 51, 52], &[50, 51, 53]]];
const TIMESTAMP_KEYS: [[u8; ROOTS]; 2] = [[30, 30, 31], [60, 60, 60]];
/// Who signs each root.
const SIGNERS: [[&[u8]; ROOTS]; 2] =
    [[&[10, 11], &[10, 11, 13], &[10, 13]], [&[40, 41], &[40, 41, 43], &[40, 43]]];

/// The keys of the attacker: all timestamp keys, one release key, one old root key, a key of its own.
/// A key that is listed twice is one key.
pub const STOLEN: [u8; 7] = [30, 31, 22, 12, 9, 22, 60];
/// The attacker's own key.
pub const OWN: u8 = 9;

/// The key that signs `VERSION` in an epoch of a chain.
pub fn timestamp_key(chain: usize, epoch: u64) -> u8 {
    TIMESTAMP_KEYS[chain][if epoch == 2 { 2 } else { 0 }]
}

/// The epoch of a root that was published.
pub fn epoch_of(number: usize) -> u64 {
    if number == 3 { 2 } else { 1 }
}

/// Whether a client with this root may accept a release with these signatures, whatever the attacker
/// signs besides.
pub fn threshold_is_met(chain: usize, number: usize, signers: &[u8]) -> bool {
    let counts = |seed: &&u8| signers.contains(seed) || STOLEN.contains(seed);
    RELEASE_KEYS[chain][number - 1].iter().filter(counts).count() >= 2
}

/// Signatures by these keys, one after another.
pub fn signed_by(seeds: &[u8], text: &str) -> Vec<u8> {
    seeds.iter().map(|seed| sign(*seed, text.as_bytes())).collect::<String>().into_bytes()
}

/// A published root: its document, with the signatures.
pub fn published(chain: usize, number: usize) -> (&'static str, Vec<u8>) {
    let root = document(chain, number);
    (root, signed_by(SIGNERS[chain][number - 1], root))
}

/// Its document.
pub fn document(chain: usize, number: usize) -> &'static str {
    static DOCUMENTS: OnceLock<Vec<String>> = OnceLock::new();
    let of = |(chain, number)| root(chain, number).to_string();
    &DOCUMENTS.get_or_init(|| all().map(of).collect())[chain * ROOTS + number - 1]
}

/// All roots of both chains.
pub fn all() -> impl Iterator<Item = (usize, usize)> {
    (0..2).flat_map(|chain| (1..=ROOTS).map(move |number| (chain, number)))
}

/// The hash of a published root.
pub fn hash(chain: usize, number: usize) -> &'static str {
    static HASHES: OnceLock<Vec<String>> = OnceLock::new();
    let of = |(chain, number)| Digest::of(document(chain, number).as_bytes()).to_string();
    &HASHES.get_or_init(|| all().map(of).collect())[chain * ROOTS + number - 1]
}

/// Chain and number of the published root with this hash.
pub fn root_with_hash(found: &str) -> Option<(usize, usize)> {
    all().find(|(chain, number)| hash(*chain, *number) == found)
}

fn root(chain: usize, number: usize) -> Value {
    let (roots, releases) = (ROOT_KEYS[chain][number - 1], RELEASE_KEYS[chain][number - 1]);
    root_of(number, &roots, releases, TIMESTAMP_KEYS[chain][number - 1], 2)
}

/// A root with these keys, and this threshold for the first two roles.
pub fn root_of(number: usize, roots: &[u8], releases: &[u8], timestamp: u8, threshold: u32) -> Value {
    let sorted = |seeds: &[u8]| {
        let mut keys: Vec<String> = seeds.iter().map(|seed| public(*seed)).collect();
        keys.sort();
        keys.dedup();
        keys
    };
    let all = sorted(&[roots, releases, &[timestamp]].concat());
    let keys: Vec<Value> = all.iter().map(|public| json!({"alg": "ed25519", "public": public})).collect();
    json!({
        "type": "relatch-root/1",
        "product": PRODUCT,
        "version": number,
        "issued": ISSUED,
        "expires": EXPIRES,
        "epoch": epoch_of(number),
        "keys": keys,
        "roles": {
            "root": {"keys": sorted(roots), "threshold": threshold},
            "release": {"keys": sorted(releases), "threshold": threshold},
            "timestamp": {"keys": sorted(&[timestamp]), "threshold": 1},
        },
    })
}
