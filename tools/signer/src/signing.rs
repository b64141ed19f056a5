//! What signs, wherever its secret half is; and the one place where a minisign signature is put together.

use base64ct::{Base64, Encoding};
use blake2::{Blake2b512, Digest};
use ed25519_dalek::{Signature, VerifyingKey};
use relatch::trust::PublicKey;

use crate::{Failure, Result};

/// How the first line of every file of minisign's begins.
pub(crate) const UNTRUSTED: &str = "untrusted comment: ";

/// The eight bytes by which minisign names a key: a label, nothing more. It is shown as minisign shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyId(pub [u8; 8]);

impl std::fmt::Display for KeyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016X}", u64::from_le_bytes(self.0))
    }
}

/// A key that signs. Implementations say who it is and make Ed25519 signatures; what minisign makes of them is the same for all.
pub trait SigningKey {
    /// The public half.
    fn public(&self) -> PublicKey;

    /// The label.
    fn id(&self) -> KeyId;

    /// The 64 bytes of an Ed25519 signature of exactly this message, which is short. Nobody else calls it: [`SigningKey::sign`] does not
    /// believe the answer.
    ///
    /// # Errors
    /// Where the key cannot be used.
    fn ed25519(&self, message: &[u8]) -> Result<[u8; 64]>;

    /// The public key file that `minisign -V -p` takes.
    fn to_public_text(&self) -> String {
        let bytes = [&b"Ed"[..], &self.id().0, self.public().as_bytes()].concat();
        format!("{UNTRUSTED}minisign public key {}\n{}\n", self.id(), Base64::encode_string(&bytes))
    }

    /// One prehashed minisign signature, four lines. `file` and `time` (Unix seconds) go into the trusted comment, for people.
    ///
    /// # Errors
    /// Where the key cannot be used, and [`Failure::Refused`] for a signature that does not verify.
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

/// A signature that every client will take, or none: whoever made it, a faulty machine or a service that lies, is not believed.
fn verified(key: &(impl SigningKey + ?Sized), message: &[u8]) -> Result<[u8; 64]> {
    let signature = key.ed25519(message)?;
    let verifies = VerifyingKey::from_bytes(key.public().as_bytes())
        .and_then(|public| public.verify_strict(message, &Signature::from_bytes(&signature)));
    match verifies {
        Ok(()) => Ok(signature),
        Err(_) => Err(Failure::refused(
            format!("a signature was made that does not verify by the key {}", key.public().to_hex()),
            "It was not used. A key service lies, or its alias was given to another key meanwhile: look with `signer public`. For a key file, this machine computes wrongly.",
        )),
    }
}
