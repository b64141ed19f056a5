//! The proof that a document was signed: a value that only verification makes.

use std::ops::Deref;

use super::minisign::{PublicKey, SignatureText};
use super::{Document, Role, Root};

/// Bytes from a source: bounded, and believed in nothing.
///
/// They prove nothing and cannot be used as a document:
/// ```compile_fail,E0308
/// fn publish(_: relatch::trust::Verified<relatch::trust::Manifest>) {}
/// publish(relatch::trust::Fetched::new(b"{}".to_vec()));
/// ```
#[must_use]
pub struct Fetched(Vec<u8>);

impl Fetched {
    /// Untrusted bytes, already bounded by one of [`crate::limits`].
    pub fn new(bytes: Vec<u8>) -> Self {
        Fetched(bytes)
    }

    /// The bytes as they came.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A document whose checks all passed: signed by a threshold of distinct keys, canonical, and what it should be.
///
/// There is no other way to have one; it has no `Clone`, `Default` or `Deserialize`, and no public constructor:
/// ```compile_fail,E0423
/// let manifest: relatch::trust::Manifest = todo!();
/// let verified = relatch::trust::Verified(manifest);
/// ```
/// ```compile_fail,E0277
/// let verified: relatch::trust::Verified<relatch::trust::Manifest> = serde_json::from_str("{}").unwrap();
/// ```
#[must_use]
pub struct Verified<T>(T);

impl<T: Document> Verified<T> {
    /// Called by `root`, `version_file` and `manifest` after the last check of each, and by nothing else.
    pub(super) fn seal(document: T) -> Self {
        Verified(document)
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// Which keys of the role have signed: what a signer shows to the one who collects signatures. It decides nothing.
pub fn signing_keys(root: &Root, role: Role, message: &[u8], signatures: &SignatureText) -> Vec<PublicKey> {
    let signed = |key: &PublicKey| signatures.count_valid(std::slice::from_ref(key), message) == 1;
    root.keys_of(role).into_iter().filter(signed).collect()
}
