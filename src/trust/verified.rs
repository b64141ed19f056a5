//! The proof that a document was verified: a value that only verification creates.

use std::ops::Deref;

use super::minisign::{PublicKey, SignatureText};
use super::{Document, Role, Root};

/// Bytes from a source. Their size is limited, and they are not trusted.
///
/// They cannot be used as a document:
/// ```compile_fail,E0308
/// fn publish(_: relatch::trust::Verified<relatch::trust::Manifest>) {}
/// publish(relatch::trust::Fetched::new(b"{}".to_vec()));
/// ```
#[must_use]
pub struct Fetched(Vec<u8>);

impl Fetched {
    /// Untrusted bytes whose size is within one of the [`crate::limits`].
    pub fn new(bytes: Vec<u8>) -> Self {
        Fetched(bytes)
    }

    /// The bytes, as they were received.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A document that passed all checks: it is signed by a threshold of distinct keys, is canonical,
/// and has the required content.
///
/// Only verification creates one. The type has no `Clone`, `Default` or `Deserialize`, and no
/// public constructor:
/// ```compile_fail,E0451
/// let manifest: relatch::trust::Manifest = todo!();
/// let verified = relatch::trust::Verified { document: manifest, signers: Vec::new() };
/// ```
/// ```compile_fail,E0277
/// let verified: relatch::trust::Verified<relatch::trust::Manifest> = serde_json::from_str("{}").unwrap();
/// ```
#[must_use]
pub struct Verified<T> {
    document: T,
    signers: Vec<PublicKey>,
}

impl<T: Document> Verified<T> {
    /// Called only by `trusted_set`, after the last check of a document.
    pub(super) fn seal(document: T, signers: Vec<PublicKey>) -> Self {
        Verified { document, signers }
    }
}

impl<T> Verified<T> {
    /// The distinct keys of the role that signed it: at least the threshold.
    pub fn signers(&self) -> &[PublicKey] {
        &self.signers
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.document
    }
}

/// The keys of the role that signed the message, for a signer that lists the collected signatures.
/// No decision depends on it.
pub fn signing_keys(root: &Root, role: Role, message: &[u8], signatures: &SignatureText) -> Vec<PublicKey> {
    signatures.valid_keys(&root.keys_of(role), message)
}
