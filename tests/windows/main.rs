//! What is different on Windows: a running executable cannot be replaced, a swap has a moment without one, access lists in place of modes, a
//! restart that is a child, and paths. Most of it runs under wine, too; what wine cannot show says so.
#![cfg(windows)]
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "../support/built.rs"]
mod built;
#[path = "../support/minisign.rs"]
mod minisign;
mod names;
mod place;
mod probe;
mod recovery;
#[path = "../support/repository.rs"]
mod repository;
mod restart;
mod running;
mod safety;
mod story;
mod trial;
