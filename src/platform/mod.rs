//! Differences between systems, also for relatch's own tools. Not part of the stable API.
//!
//! ```text
//! paths      paths without the verbatim prefix `\\?\` of Windows
//! access     decides from a Windows security descriptor which other users have access to a file;
//!            without system calls, so its tests run on every system
//! windows    the system calls: the only unsafe code of this project
//! ```

#[cfg(any(windows, test))]
pub mod access;
mod paths;
#[cfg(windows)]
pub mod windows;

pub use paths::{canonicalize, join, plain, program};
