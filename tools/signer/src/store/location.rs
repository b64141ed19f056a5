//! From an address to a store.

use std::sync::Arc;

use super::contract::Store;
use super::dir::DirStore;
use super::options::S3Options;
use super::read_only::ReadOnlyStore;
#[cfg(feature = "s3")]
use super::s3::S3Store;
use crate::{Failure, Result};

/// The repository with this address, only to read it: also `https:`.
///
/// # Errors
/// [`Failure::Client`] for an invalid address, or one of another kind.
pub fn to_read(location: &str, options: &S3Options) -> Result<Arc<dyn Store>> {
    match scheme_of(location).as_deref() {
        None | Some("s3") => from_location(location, options),
        Some(_) if *options != S3Options::default() => Err(needs_a_bucket()),
        Some(_) => Ok(Arc::new(ReadOnlyStore::open(location)?)),
    }
}

/// The store with this address: a directory, which is made if it does not exist, or
/// `s3://bucket/prefix`.
///
/// # Errors
/// [`Failure::Client`] for an invalid address, or one of another kind.
pub fn from_location(location: &str, options: &S3Options) -> Result<Arc<dyn Store>> {
    match scheme_of(location).as_deref() {
        #[cfg(feature = "s3")]
        Some("s3") => Ok(Arc::new(S3Store::open(location, options)?)),
        Some(scheme) => Err(Failure::usage(format!(
            "cannot publish to `{}:`: this signer supports {}",
            scheme.escape_debug(),
            if cfg!(feature = "s3") { "directories and s3://bucket/prefix" } else { "directories" }
        ))),
        None if *options != S3Options::default() => Err(needs_a_bucket()),
        None => Ok(Arc::new(DirStore::new(location))),
    }
}

fn scheme_of(location: &str) -> Option<String> {
    location.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase())
}

fn needs_a_bucket() -> Failure {
    Failure::usage("--endpoint, --region and --path-style require s3://bucket/prefix")
}
