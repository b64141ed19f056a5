//! A repository in an S3 bucket, private or not.

mod address;

pub use address::S3Address;
