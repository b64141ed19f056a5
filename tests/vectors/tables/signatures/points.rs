//! Points that no honest signer makes, and where implementations of Ed25519 differ.

use blake2::{Blake2b512, Digest as _};
use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use serde_json::Value;
use sha2::Sha512;

use super::{MESSAGE, vector};
use crate::minisign::Block;

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

pub fn points() -> Vec<Value> {
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
