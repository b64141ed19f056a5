//! The vectors, run through the library's public API.

pub mod check;
pub mod client;
pub mod low;
pub mod memory;
