//! What differs between systems and is needed by relatch's own tools too. It is no part of the library's promises.
//!
//! ```text
//! paths      paths as people write them: without the `\\?\` of Windows
//! access     who may change or read a file on Windows, decided from its owner and DACL; no system calls, tested everywhere
//! windows    the system calls for it: the only unsafe code of this project
//! ```

#[cfg(any(windows, test))]
pub mod access;
mod paths;
#[cfg(windows)]
pub mod windows;

pub use paths::{canonicalize, plain, program};
