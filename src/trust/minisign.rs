//! Minisign signatures in their strict form, and Ed25519 public keys that are safe to trust.
//!
//! The format is <https://jedisct1.github.io/minisign/>; verification is `minisign-verify`'s. What stands here is stricter: only the
//! prehashed form (`ED`), one spelling of every byte, no weak keys. Key ids are random labels and decide nothing. A signature whose R is
//! weak is well-formed and counts for nobody.

use base64ct::{Base64, Encoding as _};
use curve25519_dalek::edwards::CompressedEdwardsY;

use super::fields::hex32;
use crate::limits;

const UNTRUSTED: &str = "untrusted comment: ";
const TRUSTED: &str = "trusted comment: ";

/// An Ed25519 public key: canonical, on the curve, and not of small order (SPEC section 7).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Checks the 32 bytes of a key. The error completes "the key is ...".
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, &'static str> {
        let point = CompressedEdwardsY(bytes).decompress().ok_or("not a point of the curve")?;
        if point.compress().0 != bytes {
            return Err("not in its canonical form");
        }
        if point.is_small_order() {
            return Err("of small order, so that anybody can sign for it");
        }
        Ok(PublicKey(bytes))
    }

    /// Reads a minisign public key file: an `untrusted comment: ` line, then the base64 of `Ed`, key id and key.
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

    /// The 64 lower-case hex digits that documents hold.
    pub fn to_hex(&self) -> String {
        base16ct::lower::encode_string(&self.0)
    }

    /// Reads [`PublicKey::to_hex`].
    pub fn from_hex(text: &str) -> Result<Self, String> {
        PublicKey::from_bytes(hex32(text)?).map_err(|why| format!("the key is {why}"))
    }

    fn verifies(&self, message: &[u8], block: &Block) -> bool {
        // minisign-verify wants the ids to be equal: the key is presented under the signature's own label.
        let mut labelled = *b"Ed\0\0\0\0\0\0\0\0";
        labelled[2..].copy_from_slice(&block.key_id);
        let encoded = Base64::encode_string(&[&labelled[..], &self.0].concat());
        let Ok(key) = minisign_verify::PublicKey::from_base64(&encoded) else { return false };
        key.verify(message, &block.signature, false).is_ok()
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PublicKey({})", self.to_hex())
    }
}

/// One or more signatures, one after another, each of four lines.
pub struct SignatureText {
    blocks: Vec<Block>,
}

struct Block {
    key_id: [u8; 8],
    signature: minisign_verify::Signature,
    has_weak_point: bool,
}

impl SignatureText {
    /// Reads the strict form, whole or not at all (SPEC section 3). The error is the line, from 1, and what is wrong with it.
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

    /// How many signatures there are.
    pub fn count(&self) -> usize {
        self.blocks.len()
    }

    /// How many of these distinct keys have signed the message. Signatures that do not verify are ignored.
    pub fn count_valid(&self, keys: &[PublicKey], message: &[u8]) -> usize {
        let signed = |key: &&PublicKey| {
            self.blocks.iter().any(|block| !block.has_weak_point && key.verifies(message, block))
        };
        let mut distinct = keys.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        distinct.iter().filter(signed).count()
    }
}

impl Block {
    fn parse(
        [untrusted, first, trusted, second]: [&str; 4],
        line: usize,
    ) -> Result<Self, (usize, &'static str)> {
        for (offset, text, prefix) in [(0, untrusted, UNTRUSTED), (2, trusted, TRUSTED)] {
            if text.len() > limits::COMMENT_LINE {
                return Err((line + offset, "a comment line of more than 1024 bytes"));
            }
            if !text.bytes().all(|b| b == b'\t' || (b' '..=b'~').contains(&b)) {
                return Err((line + offset, "a comment with other than printable ASCII and tabs"));
            }
            if !text.starts_with(prefix) {
                return Err((line + offset, "not the comment line that belongs here"));
            }
        }
        let signature: [u8; 74] =
            base64(first).ok_or((line + 1, "not the standard base64 of 74 bytes, padded"))?;
        let global: [u8; 64] =
            base64(second).ok_or((line + 3, "not the standard base64 of 64 bytes, padded"))?;
        let (algorithm, rest) = signature.split_at(2);
        if algorithm != b"ED" {
            return Err((line + 1, "not a prehashed signature (`ED`); the legacy form is refused"));
        }
        let (id, signed) = rest.split_at(8);
        let mut key_id = [0; 8];
        key_id.copy_from_slice(id);
        let decoded =
            minisign_verify::Signature::decode(&format!("{untrusted}\n{first}\n{trusted}\n{second}\n"))
                .map_err(|_| (line, "not a minisign signature"))?;
        Ok(Block { key_id, signature: decoded, has_weak_point: is_weak_r(signed) || is_weak_r(&global) })
    }
}

/// Whether the point R of an Ed25519 signature is of small order or not in its canonical form; an honest signer makes neither.
fn is_weak_r(signature: &[u8]) -> bool {
    let Some(r) = signature.first_chunk::<32>() else { return true };
    match CompressedEdwardsY(*r).decompress() {
        Some(point) => point.is_small_order() || point.compress().0 != *r,
        None => true,
    }
}

/// Standard base64 of exactly `N` bytes, padded, without stray bits.
fn base64<const N: usize>(text: &str) -> Option<[u8; N]> {
    let bytes = Base64::decode_vec(text).ok()?;
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
    use curve25519_dalek::scalar::Scalar;
    use sha2::{Digest as _, Sha512};

    use super::*;

    /// Signs with R = `r`, which must be of small order: then S = k·a satisfies the equation without cofactor for the identity.
    fn sign_with_r(secret: Scalar, public: &[u8; 32], r: [u8; 32], message: &[u8]) -> [u8; 64] {
        let wide = Sha512::new().chain_update(r).chain_update(public).chain_update(message).finalize();
        let k = Scalar::from_bytes_mod_order_wide(&wide.into());
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&r);
        signature[32..].copy_from_slice((k * secret).as_bytes());
        signature
    }

    fn text(first: [u8; 64], trusted: &str, second: [u8; 64]) -> String {
        let first = Base64::encode_string(&[&b"ED12345678"[..], &first].concat());
        format!("{UNTRUSTED}x\n{first}\n{TRUSTED}{trusted}\n{}\n", Base64::encode_string(&second))
    }

    #[test]
    fn a_signature_with_a_weak_point_counts_for_nobody() {
        use blake2::Blake2b512;
        let secret = Scalar::from(7u8);
        let public = (ED25519_BASEPOINT_POINT * secret).compress().0;
        let key = PublicKey::from_bytes(public).unwrap();
        let mut identity = [0; 32];
        identity[0] = 1;
        let prehash = Blake2b512::digest(b"message");
        let first = sign_with_r(secret, &public, identity, &prehash);
        let second = sign_with_r(secret, &public, identity, &[&first[..], b"t"].concat());
        let text = text(first, "t", second);
        // The signature is one that the verifier below would take: what refuses it is the check of R alone.
        let parsed = SignatureText::parse(text.as_bytes()).unwrap();
        assert!(key.verifies(b"message", &parsed.blocks[0]));
        assert!(parsed.blocks[0].has_weak_point);
        assert_eq!(parsed.count_valid(&[key], b"message"), 0);
    }

    /// 2^255 - 19 + `n`: another spelling of the y-coordinate `n`, for which 32 bytes have room below 19.
    fn above_p(n: u8) -> [u8; 32] {
        let mut bytes = [0xff; 32];
        (bytes[0], bytes[31]) = (0xed + n, 0x7f);
        bytes
    }

    /// Nobody can know an S for such an R of large order, so no verifier stands in the way of an R of this kind but this check.
    #[test]
    fn a_signature_with_a_second_spelling_of_a_point_counts_for_nobody() {
        let below_p = |n: u8| {
            let mut bytes = [0; 32];
            bytes[0] = n;
            bytes
        };
        let mut of_large_order = 0;
        for n in 0..19 {
            let Some(point) = CompressedEdwardsY(above_p(n)).decompress() else { continue };
            assert_eq!(point.compress().0, below_p(n));
            assert!(is_weak_r(&[above_p(n), [0; 32]].concat()), "{n}");
            assert_eq!(is_weak_r(&[below_p(n), [0; 32]].concat()), point.is_small_order(), "{n}");
            if point.is_small_order() {
                continue;
            }
            of_large_order += 1;
            // In either of the two signatures of a block.
            let (odd, good) = ([above_p(n), [0; 32]].concat(), [below_p(n), [0; 32]].concat());
            let block = |first: &[u8], second: &[u8]| {
                let text = text(first.try_into().unwrap(), "t", second.try_into().unwrap());
                SignatureText::parse(text.as_bytes()).unwrap().blocks[0].has_weak_point
            };
            assert!(block(&odd, &good) && block(&good, &odd) && !block(&good, &good), "{n}");
        }
        assert!(of_large_order > 3, "{of_large_order}");
    }
}
