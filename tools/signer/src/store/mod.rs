//! Where a repository is published.
//!
//! ```text
//! contract  what publishing requires of a store
//! dir       a directory: renames, and a lock file
//! staging   where a directory keeps what is not complete
//! s3        a bucket: conditional writes, or a lock object if the server has none
//! read_only an https: address, to show and verify
//! options   how a bucket is addressed
//! location  from an address to a store
//! ```

mod contract;
mod dir;
mod location;
mod options;
mod read_only;
#[cfg(feature = "s3")]
mod s3;
mod staging;

pub use contract::{Body, Put, Store, StoreClock};
pub use dir::DirStore;
pub use location::{from_location, to_read};
pub use options::S3Options;
pub use read_only::ReadOnlyStore;
#[cfg(feature = "s3")]
pub use s3::{LockTimes, S3Store};
