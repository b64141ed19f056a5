//! Minisign signing for tests.

use base64ct::{Base64, Encoding};
use blake2::{Blake2b512, Digest as _};
use ed25519_dalek::{Signer as _, SigningKey};

/// A test key. Its id is a random label in the format; here it is the seed.
#[derive(Clone)]
pub struct Key {
    pub signing: SigningKey,
    pub id: [u8; 8],
}

/// The parts of a signature, to be changed one by one before [`Block::to_text`].
#[derive(Clone)]
pub struct Block {
    pub untrusted: String,
    pub algorithm: [u8; 2],
    pub id: [u8; 8],
    pub signature: [u8; 64],
    pub trusted: String,
    pub global: [u8; 64],
}

impl Key {
    pub fn new(seed: u8) -> Self {
        Key { signing: SigningKey::from_bytes(&[seed; 32]), id: [seed; 8] }
    }

    pub fn hex(&self) -> String {
        base16ct::lower::encode_string(self.signing.verifying_key().as_bytes())
    }

    pub fn block(&self, message: &[u8]) -> Block {
        let signature = self.signing.sign(&Blake2b512::digest(message)).to_bytes();
        let trusted = String::from("timestamp:1\tfile:test\thashed");
        let global = self.signing.sign(&[&signature[..], trusted.as_bytes()].concat()).to_bytes();
        Block {
            untrusted: "signature of a test key".into(),
            algorithm: *b"ED",
            id: self.id,
            signature,
            trusted,
            global,
        }
    }

    /// One strict minisign signature.
    pub fn sign(&self, message: &[u8]) -> String {
        self.block(message).to_text()
    }
}

impl Block {
    pub fn to_text(&self) -> String {
        let first = [&self.algorithm[..], &self.id, &self.signature].concat();
        format!(
            "untrusted comment: {}\n{}\ntrusted comment: {}\n{}\n",
            self.untrusted,
            Base64::encode_string(&first),
            self.trusted,
            Base64::encode_string(&self.global)
        )
    }
}

/// One signature of each key, one after another.
pub fn sign_all(keys: &[Key], message: &[u8]) -> String {
    keys.iter().map(|key| key.sign(message)).collect()
}
