//! Where a repository is published.
//!
//! ```text
//! contract  what publishing requires of a store
//! dir       a directory: renames, and a lock file
//! staging   where a directory keeps what is not complete
//! s3        a bucket: conditional writes, or a lock object if the server has none
//! options   how a bucket is addressed
//! location  from an address to a store
//! ```

mod contract;
mod dir;
mod location;
mod options;
#[cfg(feature = "s3")]
mod s3;
mod staging;

pub use contract::{Body, Put, Store};
pub use dir::DirStore;
pub use location::from_location;
pub use options::S3Options;
#[cfg(feature = "s3")]
pub use s3::{LockTimes, S3Store};
