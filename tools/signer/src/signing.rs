//! Signing keys, in a file or in KMS, and the one function that assembles a minisign signature.

use base64ct::{Base64, Encoding};
use blake2::{Blake2b512, Digest};
use ed25519_dalek::{Signature, VerifyingKey};
use relatch::trust::PublicKey;

use crate::{Failure, Result};

/// The prefix of the first line of every minisign file.
pub(crate) const UNTRUSTED: &str = "untrusted comment: ";

/// The eight bytes by which minisign names a key: a label without any security. Displayed as
/// minisign displays it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyId(pub [u8; 8]);

impl std::fmt::Display for KeyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016X}", u64::from_le_bytes(self.0))
    }
}

/// A key that signs. Implementations provide the public key and Ed25519 signatures; the minisign
/// format around them is the same for all.
pub trait SigningKey {
    /// The public half.
    fn public(&self) -> PublicKey;

    /// The label.
    fn id(&self) -> KeyId;

    /// The 64 bytes of an Ed25519 signature of exactly this message, which is short. Only
    /// [`SigningKey::sign`] calls it, because it verifies the result.
    ///
    /// # Errors
    /// If the key cannot be used.
    fn ed25519(&self, message: &[u8]) -> Result<[u8; 64]>;

    /// The text of a public key file, as `minisign -V -p` accepts it.
    fn to_public_text(&self) -> String {
        let bytes = [&b"Ed"[..], &self.id().0, self.public().as_bytes()].concat();
        format!("{UNTRUSTED}minisign public key {}\n{}\n", self.id(), Base64::encode_string(&bytes))
    }

    /// One prehashed minisign signature of four lines. `file` and `time` (Unix seconds) are written
    /// to the trusted comment, for people.
    ///
    /// # Errors
    /// If the key cannot be used; [`Failure::Refused`] if its signature does not verify.
    fn sign(&self, message: &[u8], file: &str, time: u64) -> Result<String> {
        let signature = verified(self, &Blake2b512::digest(message))?;
        let trusted = format!("timestamp:{time}\tfile:{file}\thashed");
        let global = verified(self, &[&signature[..], trusted.as_bytes()].concat())?;
        let first = [&b"ED"[..], &self.id().0, &signature].concat();
        Ok(format!(
            "{UNTRUSTED}signature from key {}\n{}\ntrusted comment: {trusted}\n{}\n",
            self.id(),
            Base64::encode_string(&first),
            Base64::encode_string(&global)
        ))
    }
}

/// Signs and verifies the result: a faulty machine or a compromised key service may return a
/// signature that no client accepts.
fn verified(key: &(impl SigningKey + ?Sized), message: &[u8]) -> Result<[u8; 64]> {
    let signature = key.ed25519(message)?;
    let verifies = VerifyingKey::from_bytes(key.public().as_bytes())
        .and_then(|public| public.verify_strict(message, &Signature::from_bytes(&signature)));
    match verifies {
        Ok(()) => Ok(signature),
        Err(_) => Err(Failure::refused(
            format!("a new signature does not verify with the key {}", key.public().to_hex()),
            "The signature was not used. For a key in KMS: its alias may name another key now \
             (check with `signer public`), or the service returned a wrong signature. For a key \
             file: this machine's hardware is faulty.",
        )),
    }
}
