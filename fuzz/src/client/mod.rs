//! The whole client against an attacker who controls the repository, the network and fewer keys than a
//! threshold.
//!
//! ```text
//! chains        the roots of two trust domains, and the stolen keys
//! world         what was published
//! installation  files on a disk, a repository in memory
//! script        the fuzzer's bytes as a list of steps: mangle, forge, answer, damage, put a program there
//!               by hand, move the clock; then update, check, roll back, install
//! forge         documents and records as the attacker, a person or a later version writes them
//! record        the records as plain JSON
//! invariant     what must hold after each act, whatever was done before: executables, roots, texts
//! floors        the same of the record `floors`
//! journal       the same of the records `journal` and `cache`
//! ```

mod chains;
mod floors;
mod forge;
mod installation;
mod invariant;
mod journal;
mod record;
mod script;
pub mod seeds;
mod world;

/// Runs a script and checks the invariant after each act. What each act ended with, for those who write seeds.
pub fn run(script: &[u8]) -> Vec<String> {
    script::Run::new(script).play()
}
