//! A repository simulator with knobs named for attacks, real executables, and eyes on the disk.
//!
//! It signs with code of its own, not with `signer`'s: what the client accepts is checked by two writers of the format.
//! All keys here are test keys, made from one byte each, and worthless.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

pub mod built;
pub mod damage;
pub mod minisign;
pub mod printed;
pub mod proxy;
pub mod repository;
pub mod scene;
pub mod server;
pub mod strace;
pub mod tool;

#[allow(unused_imports)]
pub use minisign::Key;
#[allow(unused_imports)]
pub use repository::{Draft, Knobs, PRODUCT, Repository, now};
#[allow(unused_imports)]
pub use scene::{Scene, fake};
#[allow(unused_imports)]
pub use tool::{Snapshot, Tool, executable, executable_such, test_tool};
