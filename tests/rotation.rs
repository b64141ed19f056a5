//! Promise: the chain of roots is walked one number at a time, daily and before anything is installed. Who may sign what is in
//! tests/attacks/roots.rs.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "the helpers of tests are tests")]

mod support;

use relatch::Finding;
use relatch::trust::DocumentKind;
use relatch::{Error, Outcome, Refusal};
use support::scene::{Stopped, keys};
use support::{Key, Scene, fake, now};

const DAY: u64 = 24 * 60 * 60;

/// A number that is not there ends the chain: what comes after it is never read.
#[test]
fn a_root_behind_a_gap_is_not_read() {
    let mut scene = Scene::new();
    scene.repository.root_version = 3;
    scene.repository.release_keys = keys(&[7]);
    let root = scene.repository.root();
    scene.repository.write_root(3, &root, &scene.repository.root_keys);
    scene.repository.release("1.1.0", &fake("1.1.0")); // by the key of root 3
    scene.refused("behind a gap", |refusal| {
        matches!(refusal, Refusal::Threshold { document: DocumentKind::Manifest, needed: 1, valid: 0 })
    });
    assert_eq!(scene.root_on_disk(), 1);
    let mut root = scene.repository.root();
    root["version"] = 2.into();
    scene.repository.write_root(2, &root, &scene.repository.root_keys);
    scene.updates_to("without the gap", "1.1.0", &fake("1.1.0"));
    assert_eq!(scene.root_on_disk(), 3);
}

/// The first root counts as well, when no other follows it.
#[test]
fn an_expired_first_root_installs_nothing() {
    let mut scene = Scene::new();
    scene.repository.release("1.1.0", &fake("1.1.0"));
    let before = scene.tool.snapshot();
    let far = now() + 400 * DAY;
    let answer = scene.tool.updater().clock(Stopped(far)).update(false);
    assert!(
        matches!(answer, Err(Error::Refused(Refusal::Expired { document: DocumentKind::Root(1), now, .. })) if now == far),
        "{answer:?}"
    );
    assert_eq!(scene.tool.snapshot(), before);
    scene.heals("expired first root");
}

/// Numbers start again under a higher epoch, and are counted there.
#[test]
fn numbers_count_within_the_new_epoch() {
    let mut scene = Scene::new();
    scene.repository.rotate(|repository| repository.epoch = 3);
    scene.repository.seq = 0;
    let first = scene.repository.release("1.1.0", &fake("1.1.0"));
    scene.updates_to("first of the epoch", "1.1.0", &fake("1.1.0"));
    scene.repository.release("1.2.0", &fake("1.2.0"));
    scene.updates_to("second of the epoch", "1.2.0", &fake("1.2.0"));
    scene.repository.publish(&first);
    scene.refused("first again", |refusal| {
        matches!(refusal, Refusal::Downgrade { epoch, seq, found_epoch, found_seq }
            if (epoch.get(), seq.get(), found_epoch.get(), found_seq.get()) == (3, 2, 3, 1))
    });
    scene.heals("first again");
}

/// Within the day after a walk nothing asks for roots, unless something is to be installed or does not verify.
#[test]
fn the_chain_is_walked_daily_and_before_anything_is_installed() {
    let mut scene = Scene::new();
    scene.repository.rotate(|repository| repository.release_keys.push(Key::new(7)));
    scene.is_current("nothing to install");
    assert_eq!(scene.root_on_disk(), 1);
    let answer = scene.tool.updater().clock(Stopped(now() + DAY + 60)).update(false);
    assert!(matches!(answer, Ok(Outcome::Nothing(Finding::Current))), "{answer:?}");
    assert_eq!(scene.root_on_disk(), 2);
}
