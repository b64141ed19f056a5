//! `signatures.json`: SPEC section 3.1.

mod form;
mod points;

use blake2::{Blake2b512, Digest as _};
use serde_json::{Value, json};

use crate::file::{CONTENT, File, content};
use crate::minisign::{Block, Key};

const MESSAGE: &[u8] = b"message";

pub fn file() -> File {
    let mut vectors = counted();
    vectors.extend(form::refused());
    vectors.extend(points::points());
    File {
        name: "signatures",
        about: "Signature texts. A text is refused whole for its form, or read; of one that is read, the distinct keys with a valid block are counted.",
        spec: "section 3.1",
        fields: vec![
            ("name", "unique in this file"),
            ("comment", "what the vector is for"),
            ("text", CONTENT),
            ("message", "the signed message, written like text"),
            ("keys", "public keys of the role, 64 hex digits each"),
            ("result", "\"accept\": the form is right; \"refuse\": it is not"),
            ("valid", "for \"accept\": how many distinct keys of `keys` have a valid block"),
            (
                "line",
                "for \"refuse\": the line at fault, from 1, as relatch tells it. Information only: another implementation may tell it otherwise",
            ),
        ],
        base: None,
        vectors,
    }
}

fn vector(name: &str, comment: &str, text: Value, keys: &[String]) -> Value {
    json!({"name": name, "comment": comment, "text": text, "message": content(MESSAGE), "keys": keys})
}

fn accept(name: &str, comment: &str, text: impl AsRef<[u8]>, keys: &[&Key], valid: usize) -> Value {
    let keys: Vec<_> = keys.iter().map(|key| key.hex()).collect();
    let mut vector = vector(name, comment, content(text.as_ref()), &keys);
    (vector["result"], vector["valid"]) = ("accept".into(), valid.into());
    vector
}

/// A block whose global signature is right for what is in it.
fn resealed(key: &Key, change: impl FnOnce(&mut Block)) -> String {
    let mut block = key.block(MESSAGE);
    change(&mut block);
    let sealed = [&block.signature[..], block.trusted.as_bytes()].concat();
    block.global = ed25519_dalek::Signer::sign(&key.signing, &sealed).to_bytes();
    block.to_text()
}

fn changed(key: &Key, change: impl FnOnce(&mut Block)) -> String {
    let mut block = key.block(MESSAGE);
    change(&mut block);
    block.to_text()
}

/// Well-formed: who counts?
fn counted() -> Vec<Value> {
    let (one, two, three) = (&Key::new(1), &Key::new(2), &Key::new(3));
    let (by_one, by_two, by_three) = (one.sign(MESSAGE), two.sign(MESSAGE), three.sign(MESSAGE));
    let relabelled = |key: &Key, id: u8| changed(key, |block| block.id = [id; 8]);
    let unhashed = resealed(one, |block| {
        block.signature = ed25519_dalek::Signer::sign(&one.signing, MESSAGE).to_bytes();
    });
    let long_prehash = resealed(one, |block| {
        let hash = &Blake2b512::digest(MESSAGE)[..32];
        block.signature = ed25519_dalek::Signer::sign(&one.signing, hash).to_bytes();
    });
    vec![
        accept("one", "one key, one block", &by_one, &[one], 1),
        accept("two keys", "two blocks, one after another", by_one.clone() + &by_two, &[one, two], 2),
        accept(
            "two keys, other order",
            "the order of blocks says nothing",
            by_two.clone() + &by_one,
            &[one, two],
            2,
        ),
        accept(
            "two of three keys",
            "the third has not signed",
            by_one.clone() + &by_three,
            &[one, two, three],
            2,
        ),
        accept("one key twice", "public keys are counted, not blocks", by_one.repeat(2), &[one, two], 1),
        accept(
            "one key under two ids",
            "a key id decides nothing",
            by_one.clone() + &relabelled(one, 2),
            &[one, two],
            1,
        ),
        accept(
            "two keys under one id",
            "a key id decides nothing",
            by_one.clone() + &relabelled(two, 1),
            &[one, two],
            2,
        ),
        accept("wrong key id", "a block is tried against each key", relabelled(one, 0xff), &[one], 1),
        accept("no key", "a role whose only key is of an unknown `alg` has none", &by_one, &[], 0),
        accept("unknown key", "a block that is valid for no key is ignored", &by_two, &[one], 0),
        accept(
            "unknown key beside a known one",
            "it does not spoil what others do",
            by_two.clone() + &by_one,
            &[one],
            1,
        ),
        accept("unknown key under a known id", "a key id decides nothing", relabelled(two, 1), &[one], 0),
        accept(
            "signature altered",
            "one bit of it",
            changed(one, |block| block.signature[40] ^= 1),
            &[one],
            0,
        ),
        accept(
            "signature altered, sealed again",
            "the global signature alone is not enough",
            resealed(one, |block| block.signature[40] ^= 1),
            &[one],
            0,
        ),
        accept(
            "global signature altered",
            "one bit of it",
            changed(one, |block| block.global[40] ^= 1),
            &[one],
            0,
        ),
        accept(
            "global signature of another key",
            "both are by one key",
            changed(one, |block| block.global = two.block(MESSAGE).global),
            &[one, two],
            0,
        ),
        accept(
            "trusted comment altered",
            "the global signature is over it",
            changed(one, |block| block.trusted.push('x')),
            &[one],
            0,
        ),
        accept(
            "trusted comment of another length",
            "without prefix and newline it is signed as it stands, spaces too",
            changed(one, |block| block.trusted.push(' ')),
            &[one],
            0,
        ),
        accept(
            "untrusted comment altered",
            "nobody signs it",
            changed(one, |block| block.untrusted = "anything at all".into()),
            &[one],
            1,
        ),
        accept(
            "empty comments",
            "nothing after the prefixes",
            resealed(one, |block| (block.untrusted, block.trusted) = Default::default()),
            &[one],
            1,
        ),
        accept(
            "comments with tabs",
            "a tab is allowed, and signed in the trusted one",
            resealed(one, |block| (block.untrusted, block.trusted) = ("\ta\t".into(), "\tb\t".into())),
            &[one],
            1,
        ),
        accept(
            "comments of all that is allowed",
            "tab and 0x20 to 0x7e",
            resealed(one, |block| {
                let all: String = std::iter::once('\t').chain(' '..='~').collect();
                (block.untrusted, block.trusted) = (all.clone(), all);
            }),
            &[one],
            1,
        ),
        accept(
            "comment lines of 1024 bytes",
            "the longest, prefixes included",
            resealed(one, |block| {
                (block.untrusted, block.trusted) = ("u".repeat(1024 - 19), "t".repeat(1024 - 17))
            }),
            &[one],
            1,
        ),
        accept(
            "signed without the hash",
            "what the legacy form signs, under the label of the other",
            unhashed,
            &[one],
            0,
        ),
        accept("signed over half of the hash", "BLAKE2b-512 has 64 bytes", long_prehash, &[one], 0),
        accept(
            "S plus the group order",
            "a second spelling of the same signature",
            resealed(one, |block| add_order(&mut block.signature)),
            &[one],
            0,
        ),
        accept(
            "S plus the group order in the global signature",
            "as above",
            changed(one, |block| add_order(&mut block.global)),
            &[one],
            0,
        ),
    ]
}

/// S + L, which still has 32 bytes.
fn add_order(signature: &mut [u8; 64]) {
    const L: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut carry = 0;
    for (byte, add) in signature[32..].iter_mut().zip(L) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        (*byte, carry) = (sum as u8, sum >> 8);
    }
    assert_eq!(carry, 0);
}
