//! The whole client against whoever owns the repository, the network and fewer keys than a threshold.
//!
//! ```text
//! world         what was published, which keys were stolen
//! installation  files on a disk, a repository in memory
//! script        the fuzzer's bytes as a list of steps: mangle, forge, answer, damage, move the clock; then update, check, roll back, install
//! forge         documents as the attacker writes and signs them
//! invariant     what must hold after each act, whatever was done before: the executable, roots, words
//! record        the same of what the client remembers
//! ```

mod forge;
mod installation;
mod invariant;
mod record;
mod script;
pub mod seeds;
mod world;

/// Runs a script and checks the invariant after each act. What each act ended with, for those who write seeds.
pub fn run(script: &[u8]) -> Vec<String> {
    script::Run::new(script).play()
}
