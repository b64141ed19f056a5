//! The order in which documents become trusted. No clock, no disk, no network.
//!
//! ```text
//! TrustAnchor ──▶ Roots ──▶ FinalRoot ──▶ Verified<Timestamp> ──▶ Verified<Manifest>
//! ```
//! - A [`TrustAnchor`] is loaded from bytes for which the caller vouches.
//! - The next root is loaded only if it is signed by a threshold of the keys of the root before it
//!   *and* of its own keys (SPEC step 3).
//! - `VERSION` is loaded only under a [`FinalRoot`], which has not expired (step 4). A root that is
//!   followed by another one may have expired.
//! - A manifest is loaded only under the `VERSION` that names its hash (step 6).
//! - Expiry (step 5) is checked when a root becomes final, and when another document is loaded.
//!
//! A document is parsed only after its threshold is met.

use std::cmp::Ordering;
use std::fmt;
use std::ops::Deref;

use super::minisign::{PublicKey, SignatureText};
use super::timestamp::RollbackGuard;
use super::verified::{Fetched, Verified};
use super::{Digest, Document, DocumentKind, Identity, Manifest, Refusal, Root, Times, Timestamp, canonical};

/// The first root, compiled into the tool or given by the user who installs it. All trust derives
/// from it.
///
/// It was not verified, and cannot be used as a root that was:
/// ```compile_fail,E0308
/// fn load(_: &relatch::trust::FinalRoot<'_>) {}
/// load(&relatch::trust::TrustAnchor::new(b"{}").unwrap());
/// ```
#[must_use]
pub struct TrustAnchor(Root);

impl TrustAnchor {
    /// Parses the bytes for which the caller vouches. No signature is verified.
    ///
    /// White space after the document is not part of it (see [`TrustAnchor::document_of`]).
    ///
    /// # Errors
    /// [`Refusal`] for bytes that are not a canonical root document, or that contain a weak key.
    pub fn new(bytes: &[u8]) -> Result<Self, Refusal> {
        let root: Root = canonical::parse(DocumentKind::Root(0), Self::document_of(bytes))?;
        root.ensure_strong_keys()?;
        Ok(TrustAnchor(root))
    }

    /// The root document without the spaces, tabs, CRs and LFs after it: an editor or a formatter
    /// appends a newline, and version control changes it. Only these bytes are hashed, compared and
    /// kept. A document from a repository never has white space after it.
    #[must_use]
    pub fn document_of(bytes: &[u8]) -> &[u8] {
        let end = bytes.iter().rposition(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
        bytes.get(..end.map_or(0, |last| last + 1)).unwrap_or_default()
    }

    /// The hash of these bytes as a root document.
    pub(crate) fn digest(bytes: &[u8]) -> Digest {
        Digest::of(TrustAnchor::document_of(bytes))
    }

    /// A root that a client persisted earlier, read back from its disk.
    ///
    /// It was verified when it was fetched. The signatures of its own keys are verified again, to
    /// detect a damaged file. Whether it is of this anchor's chain, a lineage decides.
    ///
    /// # Errors
    /// [`Refusal`] if the persisted bytes are not such a root, or are a root of another product.
    pub fn recorded(&self, document: &Fetched, signatures: &Fetched) -> Result<Roots, Refusal> {
        self.reload(document, signatures)
    }

    /// The checks of [`TrustAnchor::recorded`], for a publisher: a root of this product that a
    /// threshold of its own keys signed. They do not make it a trusted root.
    ///
    /// # Errors
    /// As there.
    pub fn ensure_signed_by_itself(&self, document: &Fetched, signatures: &Fetched) -> Result<(), Refusal> {
        self.reload(document, signatures).map(drop)
    }

    fn reload(&self, document: &Fetched, signatures: &Fetched) -> Result<Roots, Refusal> {
        let root = signed_by_itself(document, signatures)?;
        if root.product != self.product {
            let expected = self.product.clone();
            return Err(Refusal::WrongProduct { document: root.kind(), expected, found: root.product });
        }
        Ok(Roots(root))
    }
}

impl Deref for TrustAnchor {
    type Target = Root;

    fn deref(&self) -> &Root {
        &self.0
    }
}

impl From<TrustAnchor> for Roots {
    fn from(anchor: TrustAnchor) -> Self {
        Roots(anchor.0)
    }
}

/// The newest root of the chain so far. Another one may follow.
#[must_use]
pub struct Roots(Root);

impl Roots {
    /// SPEC steps 3a to 3i: the root after this one, signed by a threshold of this root's keys
    /// *and* of its own.
    ///
    /// # Errors
    /// The [`Refusal`] of the first of these steps that fails.
    pub fn next(&self, document: &Fetched, signatures: &Fetched, times: &Times) -> Result<Self, Refusal> {
        let version = self.version + 1;
        let kind = DocumentKind::Root(version);
        let signatures = signature_text(kind, signatures.bytes())?; // 3a
        threshold(kind, self, document.bytes(), &signatures)?; // 3b
        let next: Root = canonical::parse(kind, document.bytes())?; // 3c
        next.ensure_strong_keys()?; // 3d
        own_threshold(kind, &next, document, &signatures)?; // 3e
        if next.version != version {
            return Err(Refusal::RootNumber { expected: version, found: next.version }); // 3f
        }
        if next.product != self.product {
            let expected = self.product.clone();
            return Err(Refusal::WrongProduct { document: kind, expected, found: next.product }); // 3g
        }
        if next.epoch < self.epoch {
            let (trusted, found) = (self.epoch, next.epoch);
            return Err(Refusal::EpochLowered { version, trusted, found }); // 3h
        }
        times.ensure_current(kind, next.issued, u64::MAX)?; // 3i
        Ok(Roots(next))
    }

    /// This root as the last one of the chain, which must not have expired. `VERSION` and the
    /// manifest are loaded under it.
    ///
    /// # Errors
    /// [`Refusal::Expired`].
    pub fn last(&self, times: &Times) -> Result<FinalRoot<'_>, Refusal> {
        times.ensure_current(self.kind(), 0, self.expires)?; // 5
        Ok(FinalRoot(self))
    }

    /// Checks that a threshold of this root's keys signed a document of this kind. Nothing else of
    /// the document is verified: a publisher uses this for the manifests of earlier releases.
    ///
    /// # Errors
    /// [`Refusal::SignatureForm`] and [`Refusal::Threshold`].
    pub fn ensure_threshold(
        &self,
        kind: DocumentKind,
        document: &Fetched,
        signatures: &Fetched,
    ) -> Result<(), Refusal> {
        threshold(kind, self, document.bytes(), &signature_text(kind, signatures.bytes())?).map(drop)
    }
}

impl Deref for Roots {
    type Target = Root;

    fn deref(&self) -> &Root {
        &self.0
    }
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Roots({})", self.version)
    }
}

/// The newest root of a chain, not expired. How recently the chain must have been asked for is the
/// check's decision.
///
/// Only [`Roots::last`] makes one:
/// ```compile_fail,E0423
/// fn load(roots: &relatch::trust::Roots) -> relatch::trust::FinalRoot<'_> {
///     relatch::trust::FinalRoot(roots)
/// }
/// ```
/// A root whose expiry was not checked cannot verify `VERSION`:
/// ```compile_fail,E0308
/// use relatch::trust::{Fetched, Identity, RollbackGuard, Roots, Times, Timestamp, Verified};
/// fn load(object: &Fetched, roots: &Roots, identity: &Identity, times: &Times) {
///     let _ = Verified::<Timestamp>::verify(object, roots, identity, &RollbackGuard::default(), times);
/// }
/// ```
#[derive(Clone, Copy)]
#[must_use]
pub struct FinalRoot<'a>(&'a Roots);

impl Deref for FinalRoot<'_> {
    type Target = Root;

    fn deref(&self) -> &Root {
        self.0
    }
}

impl Verified<Timestamp> {
    /// SPEC steps 4 and 5.
    ///
    /// # Errors
    /// The [`Refusal`] of the first of the steps 4a to 4i and 5 that fails.
    pub fn verify(
        object: &Fetched,
        root: &FinalRoot<'_>,
        identity: &Identity,
        guard: &RollbackGuard,
        times: &Times,
    ) -> Result<Self, Refusal> {
        let document = DocumentKind::Timestamp;
        let (signed, signatures) = Timestamp::split(object.bytes())?; // 4a; the fetch limits the size
        let signatures = signature_text(document, signatures)?; // 4b
        let signers = threshold(document, root, signed, &signatures)?; // 4c
        let version = Timestamp::parse(signed)?; // 4d
        if version.product != identity.product {
            let expected = identity.product.clone();
            return Err(Refusal::WrongProduct { document, expected, found: version.product }); // 4e
        }
        if version.channel != identity.channel {
            let expected = identity.channel.clone();
            return Err(Refusal::WrongChannel { document, expected, found: version.channel }); // 4f
        }
        if version.epoch != root.epoch {
            let (expected, found) = (root.epoch, version.epoch);
            return Err(Refusal::WrongEpoch { document, expected, found }); // 4g
        }
        check_not_older(&version, guard)?; // 4h, 4i
        times.ensure_current(document, version.issued, version.expires)?; // 5
        Ok(Verified::seal(version, signers))
    }
}

/// SPEC steps 4h and 4i: (epoch, seq, issued) must not be lower than before, and one `seq` must not
/// have two manifests.
fn check_not_older(version: &Timestamp, guard: &RollbackGuard) -> Result<(), Refusal> {
    let Some((epoch, seq)) = guard.release() else { return Ok(()) };
    match (version.epoch, version.seq).cmp(&(epoch, seq)) {
        Ordering::Greater => Ok(()),
        Ordering::Less => {
            let (found_epoch, found_seq) = (version.epoch, version.seq);
            Err(Refusal::Downgrade { epoch, seq, found_epoch, found_seq })
        }
        Ordering::Equal => match guard.manifest() {
            Some(seen) if seen != version.manifest => {
                Err(Refusal::Equivocation { seq, seen, found: version.manifest })
            }
            _ => match guard.issued() {
                Some(seen) if version.issued < seen => {
                    Err(Refusal::OlderIssue { seq, seen, found: version.issued })
                }
                _ => Ok(()),
            },
        },
    }
}

impl Verified<Manifest> {
    /// SPEC step 6.
    ///
    /// # Errors
    /// The [`Refusal`] of the first of the steps 6a to 6k that fails.
    pub fn verify(
        document: &Fetched,
        signatures: &Fetched,
        version: &Verified<Timestamp>,
        root: &FinalRoot<'_>,
        identity: &Identity,
        times: &Times,
    ) -> Result<Self, Refusal> {
        let kind = DocumentKind::Manifest;
        let found = Digest::of(document.bytes());
        if found != version.manifest {
            let expected = version.manifest;
            return Err(Refusal::WrongDigest { document: kind, expected, found }); // 6a
        }
        let signatures = signature_text(kind, signatures.bytes())?; // 6b
        let signers = threshold(kind, root, document.bytes(), &signatures)?; // 6c
        let manifest: Manifest = canonical::parse(kind, document.bytes())?; // 6d
        if manifest.product != identity.product {
            let expected = identity.product.clone();
            return Err(Refusal::WrongProduct { document: kind, expected, found: manifest.product }); // 6e
        }
        if manifest.channel != identity.channel {
            let expected = identity.channel.clone();
            return Err(Refusal::WrongChannel { document: kind, expected, found: manifest.channel }); // 6f
        }
        if manifest.epoch != version.epoch {
            let expected = version.epoch;
            return Err(Refusal::WrongEpoch { document: kind, expected, found: manifest.epoch }); // 6g
        }
        if manifest.seq != version.seq {
            let expected = version.seq;
            return Err(Refusal::WrongSeq { document: kind, expected, found: manifest.seq }); // 6h
        }
        if manifest.version != version.version {
            let expected = version.version.clone();
            return Err(Refusal::WrongVersion { document: kind, expected, found: manifest.version }); // 6i
        }
        if manifest.root_version > root.version {
            let needed = manifest.root_version;
            return Err(Refusal::RootAhead { document: kind, needed, trusted: root.version }); // 6j
        }
        times.ensure_current(kind, manifest.issued, manifest.expires)?; // 6k
        Ok(Verified::seal(manifest, signers))
    }
}

/// Parses a root and checks that it is signed by a threshold of its own keys.
fn signed_by_itself(document: &Fetched, signatures: &Fetched) -> Result<Root, Refusal> {
    let kind = DocumentKind::Root(0);
    let signatures = signature_text(kind, signatures.bytes())?;
    let root: Root = canonical::parse(kind, document.bytes())?;
    root.ensure_strong_keys()?;
    own_threshold(root.kind(), &root, document, &signatures)?;
    Ok(root)
}

/// Parses the signatures. If they are not in the strict form, the whole document is refused.
fn signature_text(document: DocumentKind, text: &[u8]) -> Result<SignatureText, Refusal> {
    SignatureText::parse(text).map_err(|(line, why)| Refusal::SignatureForm { document, line, why })
}

/// The only threshold check, for all three roles: enough *distinct* keys of the role that signs
/// documents of this kind must have signed. The result is these keys.
fn threshold(
    document: DocumentKind,
    root: &Root,
    message: &[u8],
    signatures: &SignatureText,
) -> Result<Vec<PublicKey>, Refusal> {
    let needed = root.roles.get(document.role()).threshold;
    let signers = signatures.valid_keys(&root.keys_of(document.role()), message);
    let valid = u32::try_from(signers.len()).unwrap_or(u32::MAX);
    // The parser refuses a threshold of 0. `max` keeps this check safe without it.
    if valid >= needed.max(1) { Ok(signers) } else { Err(Refusal::Threshold { document, needed, valid }) }
}

/// The threshold check with the root's own keys (SPEC step 3e). Its refusal differs from that with
/// the keys of the root before (3b).
fn own_threshold(
    kind: DocumentKind,
    root: &Root,
    document: &Fetched,
    signatures: &SignatureText,
) -> Result<(), Refusal> {
    threshold(kind, root, document.bytes(), signatures).map(drop).map_err(|refusal| match refusal {
        Refusal::Threshold { document, needed, valid } => Refusal::SelfThreshold { document, needed, valid },
        other => other,
    })
}
