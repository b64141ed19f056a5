//! Makes keys, signs and publishes releases for [`relatch`].
//!
//! The only program with secret keys, and the only one that publishes. It passes everything that it
//! signs or publishes to the client's own code first, and publishes nothing that a client would
//! refuse.
//!
//! ```text
//! custody   where secret keys and passwords come from; where secret keys must not be stored
//! key       minisign key files
//! kms       keys that never leave AWS KMS; feature `kms`, in the default build
//! signing   signing keys of any kind, and signatures that stock minisign verifies
//! files     reads that do not block, and atomic replacement
//! folder    a release in progress: prepared here, signed there, published elsewhere
//! root      root documents: make, change, show
//! store     where to publish: a directory or a bucket; put-if-absent, compare-and-swap
//! baseline  what the next publication builds on: the highest release that is known
//! floor     the state file: the highest release that was seen, kept outside of the repository
//! listing   the signed manifests in the repository
//! publish   blobs, root and manifest, then VERSION
//! second_verifier  every signature once more before it is published, by other code
//! read_back what was published: this release or a newer one, and who can read it
//! notice    something that a person should see, and that is no error
//! progress  what is shown during an upload
//! review    what people must see before they sign, and what is published
//! verify    a whole repository, by the client's own code
//! limits    every bound, with its reason
//! redact    removes secret keys and control characters from what is printed
//! ```

#![warn(unnameable_types, unreachable_pub)]

#[cfg(any(feature = "kms", feature = "s3"))]
mod aws;
pub mod baseline;
pub mod custody;
pub mod failure;
pub mod files;
pub mod floor;
pub mod folder;
pub mod key;
pub mod kms;
pub mod limits;
mod listing;
pub mod notice;
pub mod progress;
pub mod publish;
mod read_back;
mod redact;
pub mod repository;
pub mod review;
pub mod root;
mod second_verifier;
pub mod signing;
pub mod store;
pub mod verify;

pub use failure::{Failure, Result};
pub use redact::redacted;
