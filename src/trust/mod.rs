//! What bytes prove. Pure: no clock, no disk, no network.
//!
//! ```text
//! root keys (offline)  ──sign──▶ root N+1: which keys hold which role      [`Root`]
//! timestamp keys (CI)  ──sign──▶ VERSION: which release is current today   [`Timestamp`]
//! release keys (m of n)──sign──▶ manifest: hashes of the executables       [`Manifest`]
//! ```
//! The tool carries its first root ([`Verified::anchor`]). From there each [`Verified`] document is made from fetched bytes and an
//! already verified one; a document is parsed only after the threshold of distinct keys is met.

mod canonical;
mod fields;
mod manifest;
mod minisign;
mod refusal;
mod role;
mod root;
mod timestamp;
mod verified;
mod version;

pub use canonical::Document;
pub(crate) use canonical::{integer, is_object};
pub use fields::{Digest, Epoch, Name, Notes, Seq};
pub use manifest::{Artifact, Encoding, Manifest, Stored};
pub use minisign::{PublicKey, SignatureText};
pub use refusal::Refusal;
pub use role::{DocumentKind, Role};
pub use root::{ED25519, Key, RoleKeys, Roles, Root};
pub use timestamp::{RollbackGuard, Timestamp};
pub use verified::{Fetched, Verified, signing_keys};
pub use version::{Version, VersionSchemeChanged};

/// What a client is: it accepts documents of this product and channel only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The product, as in all signed documents.
    pub product: Name,
    /// The channel; one of the repository's directories.
    pub channel: Name,
}

/// The two clocks of SPEC step 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// The system clock, in Unix seconds. Only compared with `issued`, never persisted.
    pub system: u64,
    /// The greatest of the system clock and every signed time seen: a clock set back does not bring expired documents to life.
    pub now: u64,
}

impl Times {
    /// SPEC step 5: refuses what has expired, and what is from more than a day in the future.
    pub(crate) fn check(&self, document: DocumentKind, issued: u64, expires: u64) -> Result<(), Refusal> {
        if issued > self.system.saturating_add(crate::limits::FUTURE) {
            return Err(Refusal::NotYetValid { document, issued, clock: self.system });
        }
        if self.now >= expires {
            return Err(Refusal::Expired { document, expires, now: self.now });
        }
        Ok(())
    }
}
