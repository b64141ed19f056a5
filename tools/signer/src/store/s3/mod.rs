//! A repository in a bucket (SPEC section 8.2).
//!
//! ```text
//! store          the bucket as a `Store`
//! environment    configuration and credentials, as AWS's own tools find them
//! bucket         the address, and clients with timeouts
//! requests       the requests
//! request_error  their errors, classified
//! conditions     probes how the server treats conditional writes
//! lock           the lock object, for servers without working ones
//! immutable      objects that are written once
//! upload         blobs, in parts if they are large
//! swap           VERSION
//! ```

mod bucket;
mod conditions;
mod environment;
mod immutable;
mod lock;
mod request_error;
mod requests;
mod store;
mod swap;
mod upload;

pub use lock::LockTimes;
pub use store::S3Store;
