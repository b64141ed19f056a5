//! Makes keys, signs and publishes releases for [`relatch`].
//!
//! The only place with secret keys, and the only one that publishes. Whatever it signs or publishes it first shows to the client's own
//! code: what a client would refuse never leaves this program.
//!
//! ```text
//! custody   where a secret key and its password come from; where they may never lie
//! key       minisign key files
//! kms       keys that never leave AWS KMS; feature `kms`, in the default build
//! signing   what signs, and signatures that stock minisign verifies
//! files     read without waiting, replaced whole
//! folder    a release on its way: prepared here, signed there, published elsewhere
//! root      root documents: make, change, show
//! store     where it is published: a directory, a bucket; only-if-absent, compare-and-swap
//! publish   blobs, root and manifest, then VERSION
//! read_back what was published: it, or a newer one, and who can read it
//! progress  what is told of it while it runs
//! verify    a whole repository by the client's own code
//! ```

#[cfg(any(feature = "kms", feature = "s3"))]
mod aws;
pub mod custody;
pub mod failure;
pub mod files;
pub mod folder;
pub mod key;
pub mod kms;
pub mod progress;
pub mod publish;
mod read_back;
pub mod repository;
pub mod root;
pub mod signing;
pub mod store;
pub mod verify;

pub use failure::{Failure, Result, printable};
