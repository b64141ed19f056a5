//! Keys in AWS KMS: the secret half never leaves the service. It is asked to sign, and not believed.
//!
//! ```text
//! name      awskms:KEY, as checked; known to every build
//! key       asks for the public key once, then for signatures   (feature kms)
//! failure   why it did not sign, and what to do                 (feature kms)
//! ```

#[cfg(feature = "kms")]
mod failure;
#[cfg(feature = "kms")]
mod key;
mod name;

#[cfg(feature = "kms")]
use std::time::Duration;

#[cfg(feature = "kms")]
pub use failure::Cause;
#[cfg(feature = "kms")]
pub use key::KmsKey;
pub use name::{KmsName, SCHEME};

/// How long one question may take, with credentials, all of its tries, and the pauses between them.
#[cfg(feature = "kms")]
const PATIENCE: Duration = Duration::from_secs(30);
