//! Signed documents and their verification. No clock, no disk, no network.
//!
//! ```text
//! root keys (offline)  ──sign──▶ root N+1: which keys hold which role      [`Root`]
//! timestamp keys (CI)  ──sign──▶ VERSION: which release is current today   [`Timestamp`]
//! release keys (m of n)──sign──▶ manifest: hashes of the executables       [`Manifest`]
//! ```
//! The tool contains its first root, its [`TrustAnchor`]. `trusted_set.rs` defines in which order
//! documents become trusted.

mod canonical;
mod fields;
mod identity;
mod lineage;
mod manifest;
mod minisign;
mod refusal;
mod role;
mod root;
mod times;
mod timestamp;
mod trusted_set;
mod verified;
mod version;

pub use canonical::Document;
pub(crate) use canonical::{integer, is_object};
pub use fields::{Digest, Epoch, Name, Notes, Seq};
pub use identity::Identity;
pub use lineage::{Lineage, Relation};
pub use manifest::{Artifact, Encoding, Manifest, Stored};
pub use minisign::{PublicKey, SignatureText};
pub use refusal::Refusal;
pub use role::{DocumentKind, Role};
pub use root::{ED25519, Key, RoleKeys, Roles, Root};
pub use times::{Leniency, Times};
pub use timestamp::{RollbackGuard, Timestamp};
pub use trusted_set::{FinalRoot, Roots, TrustAnchor};
pub use verified::{Fetched, Verified, signing_keys};
pub use version::{Version, VersionSchemeChanged};
