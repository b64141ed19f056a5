//! Promise: `signer` neither signs nor publishes what a client would refuse, uses no key that it should not, and tells no secret; and a
//! refusal leaves everything as it was.
//!
//! ```text
//! table      a row: a mistake or an attack, the exit code, what is told; and what must hold after every row
//! scene      a publisher's desk: keys, a repository with two roots and two releases, prepared folders, a client
//! forge      documents that signer would not make, signed with the desk's keys
//! releases   what is asked for
//! artifacts  the executables and the notes of a release
//! signers    who signs
//! forms      stored forms that do not give the signed executable
//! folders    a prepared folder that somebody changed
//! places     a repository that somebody changed
//! published  documents in the repository that all signed, and that say something wrong
//! roots      root documents: signatures, numbers, times, what they take away
//! root_keys  keys and thresholds of roots; public key files
//! steps      which steps of the client have rows here, and which have none
//! race       a publisher that loses
//! key_file   minisign's secret key file by a second hand
//! keys       secret key files: fields and passwords
//! key_texts  their text, and the places where keys lie
//! names      of files: no line of their own in what is printed
//! secrets    where a secret may stand while it is used, and where not
//! unix       links, pipes and modes
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

#[path = "../support/mod.rs"]
mod support;

mod artifacts;
mod folders;
mod forge;
mod forms;
mod key_file;
mod key_texts;
mod keys;
#[cfg(unix)] // on Windows no name has a newline
mod names;
mod places;
mod published;
mod race;
mod releases;
mod root_keys;
mod roots;
mod scene;
mod secrets;
mod signers;
mod steps;
mod table;
mod unix;
