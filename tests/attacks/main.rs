//! Promise: whoever owns the bucket, the network and fewer keys than a threshold gets nothing executed, and nothing stays of what they
//! did.
//!
//! One table, one row an attack: what is done, the step of SPEC section 5 that refuses it, and the error. Each row is played against a real
//! executable that reads its repository from a directory and from a TLS server on loopback; see [`stage::Stage::suffers`] for what is
//! looked at after each. `cargo test --test attacks -- --nocapture` prints the table.

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
mod blobs;
mod chain;
mod disk;
mod documents;
mod executed;
mod flips;
mod framing;
mod freshness;
mod memory;
mod proxy;
mod remembered;
mod roots;
mod rotation;
mod signatures;
mod slow;
mod spelling;
mod stage;
mod state;
mod strings;
mod tls;
mod transport;
mod wycheproof;

use support::scene::without_state;

/// The table can fail: the same executable, signed by those who may, is run by the probe, and leaves its mark.
#[test]
fn what_is_signed_is_run() {
    let mut stage = stage::Stage::new();
    let (version, executable) = (stage.next(), stage.running_payload());
    stage.repository.release(&version, &executable);
    let before = without_state(stage.tool.snapshot());
    let answer = stage.updater(stage::From::Tls).update(false);
    assert!(matches!(answer, Err(relatch::Error::Local(relatch::Local::CannotRun { .. }))), "{answer:?}");
    assert!(stage.mark().exists());
    assert_eq!(without_state(stage.tool.snapshot()), before, "what answers no probe is not installed");
}

/// The rows of all tables about what is fetched.
fn rows() -> Vec<attack::Attack> {
    use signatures::Carrier;
    [
        signatures::attacks(Carrier::Root),
        signatures::attacks(Carrier::Version),
        signatures::attacks(Carrier::Manifest),
        roots::wrong_roots(),
        spelling::versions(),
        spelling::manifests(),
        spelling::roots(),
        spelling::first_lines(),
        documents::values(),
        documents::sizes(),
        strings::nasty_strings(),
        strings::versions(),
        strings::types(),
        strings::nasty_strings_of_roots(),
        strings::types_of_roots(),
        freshness::for_others(),
        freshness::downgrades(),
        freshness::ages(),
        freshness::mixes(),
        freshness::withheld(),
        freshness::passed_over(),
        blobs::altered(),
        blobs::undecodable(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Every step of SPEC section 5 that refuses has its rows. (That each is refused by the step that it names is seen where it is played.)
#[test]
fn every_step_that_refuses_has_an_attack() {
    let spec = std::fs::read_to_string("../docs/SPEC.md").unwrap();
    let lettered = spec.lines().filter_map(|line| line.strip_prefix("| ")?.split(' ').next());
    let is_step = |step: &&str| matches!(step.as_bytes(), [b'3'..=b'6', b'a'..=b'z']);
    let mut steps: Vec<&str> = lettered.filter(is_step).collect();
    steps.extend(["5", "5-6", "8a", "8b", "8d", "9"]);
    assert_eq!(steps.len(), 9 + 9 + 11 + 6, "{steps:?}");
    let attacks = rows().into_iter().filter(|attack| !matches!(attack.outcome, attack::Outcome::Harmless));
    let mut played: std::collections::BTreeSet<&str> = attacks.map(|attack| attack.step).collect();
    played.extend(roots::ROTATIONS.iter().filter_map(|(.., answer)| answer.err().map(|(step, ..)| step)));
    for step in steps {
        assert!(played.contains(step), "no row for step {step}");
    }
}
