//! Promises about publishing to S3, against a server in this process that does what stores do: AWS's and others'.
#![cfg(unix)] // its server is built for the systems that publishers use here
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

#[path = "../support/mod.rs"]
mod support;

mod bench;

mod blobs;
mod errors;
mod faults;
mod floor;
mod https;
mod identities;
mod killed;
mod locks;
mod races;
mod story;
