//! Promise: whoever owns the bucket, the network and fewer keys than a threshold gets nothing executed, and nothing stays of what they
//! did.
//!
//! One table, one row an attack: what is done, the step of SPEC section 5 that refuses it, and the error. Each row is played against a real
//! executable that reads its repository from a directory and from a TLS server on loopback; see [`stage::Stage::suffers`] for what is
//! looked at after each. `cargo test --test attacks -- --nocapture` prints the table.

#![cfg(unix)]
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

/// A part of the table, played on a stage of its own.
macro_rules! table {
    ($name:ident, $attacks:expr) => {
        #[test]
        fn $name() {
            let mut stage = crate::stage::Stage::new();
            for attack in $attacks {
                stage.suffers(&attack);
            }
        }
    };
}

#[macro_use]
mod attack;
mod documents;
mod flips;
mod framing;
mod freshness;
mod memory;
mod signatures;
mod slow;
mod spelling;
mod stage;
mod tls;
mod transport;

use support::scene::without_state;

/// The table can fail: the same executable, signed by those who may, is run by the probe, and leaves its mark.
#[test]
fn what_is_signed_is_run() {
    let mut stage = stage::Stage::new();
    stage.publish(|_, _| {});
    let before = without_state(stage.tool.snapshot());
    let answer = stage.updater(stage::From::Tls).update(false);
    assert!(matches!(answer, Err(relatch::Error::Machine(relatch::Machine::CannotRun { .. }))), "{answer:?}");
    assert!(stage.mark().exists());
    assert_eq!(without_state(stage.tool.snapshot()), before, "what answers no probe is not installed");
}
