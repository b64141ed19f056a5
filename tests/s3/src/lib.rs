//! An S3 server in the process, for tests only: [`Server::start`] serves until it is dropped.
//!
//! [s3s](https://docs.rs/s3s) checks the signatures and speaks S3's XML; the objects are kept in memory. What a store may do differently
//! from AWS is an [`Options`]: whether conditions hold, who may read, what an absent key is answered with. What may go wrong on the way is a
//! [`Fault`]. What was asked is in [`Server::requests`].
#![allow(clippy::expect_used, clippy::panic, reason = "for tests only: a test fails by panicking")]

mod access;
mod body;
mod checksum;
mod conditions;
mod credentials;
mod front;
mod list;
mod log;
mod objects;
mod options;
mod s3;
mod server;
mod store;

pub use conditions::Conditions;
pub use credentials::{Credentials, Rights};
pub use log::Request;
pub use objects::{Metadata, Objects};
pub use options::Options;
pub use server::Server;
