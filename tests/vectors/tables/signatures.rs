//! `signatures.json`: SPEC section 3.1.

use base64ct::{Base64, Base64Unpadded, Base64Url, Encoding as _};
use blake2::{Blake2b512, Digest as _};
use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use serde_json::{Value, json};
use sha2::Sha512;

use crate::file::{CONTENT, File, content, padded};
use crate::minisign::{Block, Key};

const MESSAGE: &[u8] = b"message";

pub fn file() -> File {
    let mut vectors = counted();
    vectors.extend(refused());
    vectors.extend(points());
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

fn refuse(name: &str, comment: &str, text: Value, line: usize) -> Value {
    let mut vector = vector(name, comment, text, &[Key::new(1).hex()]);
    (vector["result"], vector["line"]) = ("refuse".into(), line.into());
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

/// Of the wrong form.
fn refused() -> Vec<Value> {
    let key = &Key::new(1);
    let good = key.sign(MESSAGE);
    let lines: Vec<&str> = good.lines().collect();
    let with = |at: usize, line: &str| {
        let mut lines = lines.clone();
        lines[at] = line;
        lines.join("\n") + "\n"
    };
    let base64 = |at: usize| Base64::decode_vec(lines[at]).unwrap();
    let text = |text: String| Value::from(text);
    // The last digit before the padding has bits that belong to no byte; the good one has them zero.
    let stray = |line: &str, padding: &str| {
        let body = line.strip_suffix(padding).unwrap();
        let (start, last) = body.split_at(body.len() - 1);
        let next = char::from(last.as_bytes()[0] + 1);
        format!("{start}{next}{padding}")
    };
    let mut not_utf8 = good.clone().into_bytes();
    not_utf8[25] = 0xff;
    let cases = [
        ("empty", "no bytes at all", text(String::new()), 1),
        ("a newline alone", "no block", text("\n".into()), 1),
        ("no newline at the end", "each line ends with LF", text(good.trim_end().into()), 4),
        ("an empty line behind", "the number of lines is a multiple of four", text(good.clone() + "\n"), 5),
        ("an empty line before", "nothing but blocks", text("\n".to_owned() + &good), 1),
        ("an empty line between", "nothing but blocks", text(format!("{good}\n{good}")), 5),
        ("three lines", "a block has four", text(lines[..3].join("\n") + "\n"), 1),
        ("five lines", "one more than a block", text(good.clone() + "untrusted comment: x\n"), 5),
        ("a good block before a bad one", "refused whole", text(good.clone() + &with(1, "x")), 6),
        ("a bad block before a good one", "refused whole", text(with(3, "x") + &good), 4),
        ("CRLF", "CR is no byte of a comment", text(good.replace('\n', "\r\n")), 1),
        ("CR behind the signature", "no white space in base64", text(with(1, &format!("{}\r", lines[1]))), 2),
        ("byte order mark", "a comment line begins with its prefix", text("\u{feff}".to_owned() + &good), 1),
        ("not UTF-8", "a byte above 0x7e in a comment", content(&not_utf8), 1),
        (
            "a letter above ASCII",
            "a byte above 0x7e in a comment",
            text(with(0, "untrusted comment: \u{e9}")),
            1,
        ),
        (
            "escape in the untrusted comment",
            "a control character",
            text(with(0, "untrusted comment: \u{1b}[2J")),
            1,
        ),
        (
            "escape in the trusted comment",
            "a control character",
            text(with(2, "trusted comment: \u{1b}[2J")),
            3,
        ),
        ("NUL in a comment", "a control character", text(with(0, "untrusted comment: \0")), 1),
        ("DEL in a comment", "0x7f is above 0x7e", text(with(0, "untrusted comment: \u{7f}")), 1),
        (
            "untrusted comment without a space",
            "the prefix ends with one",
            text(with(0, "untrusted comment:x")),
            1,
        ),
        ("untrusted comment in capitals", "the prefix is exact", text(with(0, "Untrusted comment: x")), 1),
        (
            "trusted comment in capitals",
            "the prefix is exact",
            text(with(2, &lines[2].replacen('t', "T", 1))),
            3,
        ),
        (
            "comments exchanged",
            "each where it belongs",
            text([lines[2], lines[1], lines[0], lines[3]].join("\n") + "\n"),
            1,
        ),
        ("two untrusted comments", "the third line is the trusted one", text(with(2, lines[0])), 3),
        (
            "signatures exchanged",
            "74 bytes, then 64",
            text([lines[0], lines[3], lines[2], lines[1]].join("\n") + "\n"),
            2,
        ),
        (
            "untrusted comment line of 1025 bytes",
            "one too many",
            padded("untrusted comment: ", "u", 1025 - 19, &good[good.find('\n').unwrap()..]),
            1,
        ),
        (
            "trusted comment line of 1025 bytes",
            "one too many",
            padded(
                &format!("{}\n{}\ntrusted comment: ", lines[0], lines[1]),
                "t",
                1025 - 17,
                &format!("\n{}\n", lines[3]),
            ),
            3,
        ),
        (
            "legacy form",
            "`Ed` signs the message and not its hash",
            text(changed(key, |block| {
                block.algorithm = *b"Ed";
                block.signature = ed25519_dalek::Signer::sign(&key.signing, MESSAGE).to_bytes();
                let sealed = [&block.signature[..], block.trusted.as_bytes()].concat();
                block.global = ed25519_dalek::Signer::sign(&key.signing, &sealed).to_bytes();
            })),
            2,
        ),
        (
            "labelled as legacy",
            "a good signature under the other label",
            text(changed(key, |block| block.algorithm = *b"Ed")),
            2,
        ),
        ("unknown algorithm", "neither", text(changed(key, |block| block.algorithm = *b"EE")), 2),
        ("73 bytes", "one too few", text(with(1, &Base64::encode_string(&base64(1)[..73]))), 2),
        (
            "75 bytes",
            "one too many",
            text(with(1, &Base64::encode_string(&[&base64(1)[..], &[0]].concat()))),
            2,
        ),
        ("63 bytes", "one too few", text(with(3, &Base64::encode_string(&base64(3)[..63]))), 4),
        (
            "65 bytes",
            "one too many",
            text(with(3, &Base64::encode_string(&[&base64(3)[..], &[0]].concat()))),
            4,
        ),
        ("no signature", "the line is empty", text(with(1, "")), 2),
        ("no global signature", "the line is empty", text(with(3, "")), 4),
        (
            "no padding",
            "74 bytes are padded by one `=`",
            text(with(1, &Base64Unpadded::encode_string(&base64(1)))),
            2,
        ),
        (
            "no padding of the global signature",
            "64 bytes are padded by two `=`",
            text(with(3, &Base64Unpadded::encode_string(&base64(3)))),
            4,
        ),
        ("padding too long", "one `=` too many", text(with(1, &format!("{}=", lines[1]))), 2),
        (
            "URL-safe alphabet",
            "`-` and `_` are not of the standard alphabet",
            text(with(1, &{
                let url = Base64Url::encode_string(&[&base64(1)[..10], &[0xff; 64]].concat());
                assert!(url.contains('_'));
                url
            })),
            2,
        ),
        (
            "stray bits",
            "the last digit has bits that belong to no byte",
            text(with(1, &stray(lines[1], "="))),
            2,
        ),
        (
            "stray bits in the global signature",
            "the last digit has bits that belong to no byte",
            text(with(3, &stray(lines[3], "=="))),
            4,
        ),
        ("space before", "no white space in base64", text(with(1, &format!(" {}", lines[1]))), 2),
        ("space behind", "no white space in base64", text(with(3, &format!("{} ", lines[3]))), 4),
        (
            "a public key in its place",
            "another minisign file",
            text(format!(
                "untrusted comment: minisign public key\n{}\n",
                Base64::encode_string(
                    &[&b"Ed"[..], &key.id, key.signing.verifying_key().as_bytes()].concat()
                )
            )),
            1,
        ),
    ];
    cases.into_iter().map(|(name, comment, text, line)| refuse(name, comment, text, line)).collect()
}

/// Made with the secret scalar, for points that no honest signer makes.
struct Odd {
    secret: Scalar,
    public: EdwardsPoint,
}

impl Odd {
    fn new(torsion: EdwardsPoint) -> Self {
        let secret = Scalar::from(7u8);
        Odd { secret, public: ED25519_BASEPOINT_POINT * secret + torsion }
    }

    fn hex(&self) -> String {
        base16ct::lower::encode_string(&self.public.compress().0)
    }

    /// S = r + k·a for these bytes of R.
    fn sign_with(&self, r: [u8; 32], log_of_r: Scalar, message: &[u8]) -> ([u8; 64], [u8; 64], Scalar) {
        let hash = Sha512::new().chain_update(r).chain_update(self.public.compress().0).chain_update(message);
        let wide: [u8; 64] = hash.finalize().into();
        let k = Scalar::from_bytes_mod_order_wide(&wide);
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&r);
        signature[32..].copy_from_slice((log_of_r + k * self.secret).as_bytes());
        (signature, wide, k)
    }

    /// The first honest signature whose hash is as wanted: (hash modulo 8, hash modulo L modulo 8).
    fn sign_where(&self, message: &[u8], is: impl Fn(u8, u8) -> bool) -> [u8; 64] {
        for count in 1u64..10_000 {
            let log = Scalar::from(count);
            let r = (ED25519_BASEPOINT_POINT * log).compress().0;
            let (signature, wide, k) = self.sign_with(r, log, message);
            if is(wide[0] % 8, k.as_bytes()[0] % 8) {
                return signature;
            }
        }
        panic!("there is one in any hundred");
    }

    /// A block of these two signatures; each is made by the function.
    fn text(first: impl Fn(&[u8]) -> [u8; 64], second: impl Fn(&[u8]) -> [u8; 64]) -> String {
        let signature = first(&Blake2b512::digest(MESSAGE));
        let trusted = String::from("points");
        let global = second(&[&signature[..], trusted.as_bytes()].concat());
        let untrusted = "signature of a test key".into();
        Block { untrusted, algorithm: *b"ED", id: [7; 8], signature, trusted, global }.to_text()
    }
}

/// Where implementations of Ed25519 differ.
fn points() -> Vec<Value> {
    let honest = Odd::new(EIGHT_TORSION[0]);
    let mixed = Odd::new(EIGHT_TORSION[1]);
    let good = |message: &[u8]| honest.sign_where(message, |_, _| true);
    let with_r =
        |r: [u8; 32]| move |message: &[u8]| Odd::new(EIGHT_TORSION[0]).sign_with(r, Scalar::ZERO, message).0;
    let identity = EIGHT_TORSION[0].compress().0;
    // 2^255 - 18 is 1 modulo p: the identity, spelled anew.
    let mut spelled_anew = [0xff; 32];
    (spelled_anew[0], spelled_anew[31]) = (0xee, 0x7f);
    // With x = 0 the sign bit says nothing.
    let mut negative_zero = identity;
    negative_zero[31] |= 0x80;
    let no_point = (2u8..)
        .map(|y| {
            let mut bytes = [0; 32];
            bytes[0] = y;
            bytes
        })
        .find(|bytes| CompressedEdwardsY(*bytes).decompress().is_none())
        .unwrap();
    let cofactored = |message: &[u8]| {
        let log = Scalar::from(5u8);
        honest.sign_with((ED25519_BASEPOINT_POINT * log + EIGHT_TORSION[1]).compress().0, log, message).0
    };
    let mixed_where =
        |is: fn(u8, u8) -> bool| move |message: &[u8]| Odd::new(EIGHT_TORSION[1]).sign_where(message, is);
    let case = |name: &str, comment: &str, text: String, key: &Odd, valid: usize| {
        let mut vector = vector(name, comment, text.into(), &[key.hex()]);
        (vector["result"], vector["valid"]) = ("accept".into(), valid.into());
        vector
    };
    vec![
        case(
            "points: control",
            "the secret scalar is 7; R = r*B with a small r",
            Odd::text(good, good),
            &honest,
            1,
        ),
        case(
            "points: R is the identity",
            "the equation holds, and R is of small order",
            Odd::text(with_r(identity), good),
            &honest,
            0,
        ),
        case(
            "points: R is the identity in the global signature",
            "as above",
            Odd::text(good, with_r(identity)),
            &honest,
            0,
        ),
        case(
            "points: R is the identity, not canonical",
            "y is not below 2^255-19",
            Odd::text(with_r(spelled_anew), good),
            &honest,
            0,
        ),
        case(
            "points: R is the identity with a sign",
            "x is 0 and its sign bit 1",
            Odd::text(with_r(negative_zero), good),
            &honest,
            0,
        ),
        case(
            "points: R is no point",
            "no x belongs to this y",
            Odd::text(with_r(no_point), good),
            &honest,
            0,
        ),
        case(
            "points: R is no point, in the global signature",
            "no x belongs to this y",
            Odd::text(good, with_r(no_point)),
            &honest,
            0,
        ),
        case(
            "points: R has a part of order 8",
            "only the equation with cofactor holds",
            Odd::text(cofactored, good),
            &honest,
            0,
        ),
        case(
            "points: R has a part of order 8, in the global signature",
            "only the equation with cofactor holds",
            Odd::text(good, cofactored),
            &honest,
            0,
        ),
        case(
            "points: a key with a part of order 8",
            "the hash modulo the group order, and the hash itself, are multiples of 8: every equation holds",
            Odd::text(mixed_where(|wide, k| wide == 0 && k == 0), mixed_where(|wide, k| wide == 0 && k == 0)),
            &mixed,
            1,
        ),
        case(
            "points: a key with a part of order 8, hash reduced",
            "the hash modulo the group order is a multiple of 8, the hash itself is not: it is reduced before it multiplies",
            Odd::text(mixed_where(|wide, k| wide != 0 && k == 0), mixed_where(|wide, k| wide != 0 && k == 0)),
            &mixed,
            1,
        ),
        case(
            "points: a key with a part of order 8, hash not reduced",
            "the hash itself is a multiple of 8, modulo the group order it is not",
            Odd::text(mixed_where(|wide, k| wide == 0 && k != 0), mixed_where(|_, k| k == 0)),
            &mixed,
            0,
        ),
        case(
            "points: a key with a part of order 8, cofactor",
            "only the equation with cofactor holds",
            Odd::text(mixed_where(|wide, k| wide != 0 && k != 0), mixed_where(|_, k| k == 0)),
            &mixed,
            0,
        ),
    ]
}
