//! Keys in AWS KMS: the secret half never leaves the service. Its answers are verified, not
//! trusted.
//!
//! ```text
//! name      awskms:KEY, as checked; part of every build
//! key       requests the public key once, then signatures   (feature kms)
//! error     why KMS did not sign, and what to do            (feature kms)
//! ```

#[cfg(feature = "kms")]
pub(crate) mod error;
#[cfg(feature = "kms")]
mod key;
pub(crate) mod name;

#[cfg(feature = "kms")]
pub use error::KmsError;
#[cfg(feature = "kms")]
pub use key::KmsKey;
pub use name::{KmsName, SCHEME};
