//! The chain of roots in time: what has expired, what was taken away, what was stolen, and what never ends.

use relatch::trust::DocumentKind;
use relatch::{Error, Refusal};

use crate::attack::{Attack, Outcome};
use crate::disk::{Disk, FAILED, VERIFIED};
use crate::stage::{From, Stage};
use crate::support::scene::keys;
use crate::support::{Draft, now};

const DAY: u64 = 24 * 60 * 60;

/// Only the last root must be unexpired. One that has expired installs nothing, and the one after it heals.
#[test]
fn roots_that_have_expired() {
    let mut stage = Stage::new();
    let expired = |stage: &mut Stage| {
        stage.repository.root_version += 1;
        let mut root = stage.repository.root();
        (root["issued"], root["expires"]) = ((now() - 10 * DAY).into(), (now() - DAY).into());
        stage.repository.write_root(stage.repository.root_version, &root, &stage.repository.root_keys);
    };
    expired(&mut stage);
    stage.repository.rotate(|_| {});
    stage.heals("expired in the middle");
    assert_eq!(stage.root_on_disk(), 3);

    expired(&mut stage);
    expired(&mut stage);
    stage.publish(|_, _| {});
    let mut disk = Disk::of(&stage.tool).by_value();
    for from in [From::Directory, From::Tls] {
        let answer = stage.updater(from).update(false);
        assert!(
            matches!(answer, Err(Error::Refused(Refusal::Expired { document: DocumentKind::Root(5), expires, now }))
                if expires < now),
            "{answer:?}"
        );
        disk.trusts_more(&stage, 5, "expired at the end: verified roots stay");
        stage.runs("expired at the end", &stage.installed());
        disk.trusts_more(&stage, 5, "expired at the end: a start");
    }
    stage.repository.rotate(|_| {});
    stage.heals("a fresh root after expired ones");
    assert_eq!(stage.root_on_disk(), 6);
}

/// What a key signed before it was taken away is worth nothing to whoever has heard of it, and they hear of it before they install.
#[test]
fn keys_that_were_taken_away() {
    type Rows = [(&'static str, Outcome, fn(&mut Stage), fn(&mut Stage, &Draft)); 3];
    let release = |stage: &mut Stage, stolen: &Draft| stage.repository.publish(stolen);
    let rows: Rows = [
        (
            "6c",
            refused!(Threshold { document: DocumentKind::Manifest, needed: 1, valid: 0 }),
            |stage| stage.repository.rotate(|repository| repository.release_keys = keys(&[7])),
            release,
        ),
        (
            "4c",
            refused!(Threshold { document: DocumentKind::Timestamp, needed: 1, valid: 0 }),
            |stage| stage.repository.rotate(|repository| repository.timestamp_keys = keys(&[7])),
            release,
        ),
        (
            "3b",
            refused!(Threshold { document: DocumentKind::Root(3), needed: 1, valid: 0 }),
            |stage| stage.repository.rotate(|repository| repository.root_keys = keys(&[7])),
            root_of_a_key_that_was_taken_away,
        ),
    ];
    for (step, outcome, revoke, abuse) in rows {
        let mut stage = Stage::new();
        let stolen = stage.draft();
        revoke(&mut stage);
        let mut disk = Disk::of(&stage.tool).by_value();
        let knobs = stage.repository.knobs();
        abuse(&mut stage, &stolen);
        // The tool has not heard of root 2 when it sees the release; it hears of it now.
        stage.runs("what a stolen key signed", &stage.installed());
        disk.trusts_more(&stage, 2, "what a stolen key signed");
        stage.repository.restore(knobs);
        let again = move |stage: &mut Stage| abuse(stage, &stolen);
        stage.suffers(&Attack::new(step, "signed by a key that was taken away", again, outcome));
    }
}

/// Root 3 by the key of root 1 that root 2 took away: good for itself, with the thief's keys for a release.
fn root_of_a_key_that_was_taken_away(stage: &mut Stage, stolen: &Draft) {
    let repository = &mut stage.repository;
    repository.root_version = 3;
    [repository.root_keys, repository.release_keys, repository.timestamp_keys] =
        [keys(&[1]), keys(&[8]), keys(&[9])];
    let root = repository.root();
    repository.write_root(3, &root, &repository.root_keys);
    let (release_keys, timestamp_keys) = (repository.release_keys.clone(), repository.timestamp_keys.clone());
    repository.publish(&Draft { release_keys, timestamp_keys, ..stolen.clone() });
}

/// With both keys a thief can burn all numbers of an epoch. The next epoch begins at 1 again, and the keys are worth nothing there.
#[test]
fn a_stolen_key_that_signed_the_largest_number_is_ended_by_a_higher_epoch() {
    const LAST: u64 = (1 << 53) - 1;
    let mut stage = Stage::new();
    let mut burnt = stage.current.clone();
    (burnt.version["seq"], burnt.manifest["seq"]) = (LAST.into(), LAST.into());
    burnt.manifest["min_version"] = stage.installed().into();
    let mut disk = Disk::of(&stage.tool).by_value();
    stage.repository.publish(&burnt);
    stage.runs("the numbers are burnt", &stage.installed());
    // The thief has both keys: step 7 believes them, of what it keeps, and keeps nothing else.
    let after = Disk::of(&stage.tool).by_value();
    let floor = stage.tool.floor();
    assert_eq!(floor["seq"], LAST);
    assert_eq!(after.records["floors"]["domains"][0]["epochs"].as_array().unwrap().len(), 1);
    for advanced in VERIFIED {
        *disk.records.pointer_mut(advanced).unwrap() = after.records.pointer(advanced).unwrap().clone();
    }
    assert_eq!(after, disk, "burnt: the disk changed");

    let refused = |stage: &Stage, looks: &mut dyn FnMut(&str)| {
        for from in [From::Directory, From::Tls] {
            let answer = stage.updater(from).update(false);
            assert!(
                matches!(&answer, Err(Error::Refused(Refusal::Downgrade { seq, .. })) if seq.get() == LAST),
                "{answer:?}"
            );
            looks("burnt");
        }
        stage.runs("burnt", &stage.installed());
        looks("burnt: a start");
    };
    stage.publish(|_, _| {});
    refused(&stage, &mut |name| {
        let (after, disk) = (Disk::of(&stage.tool).but(FAILED), disk.clone().but(FAILED));
        assert_eq!(after, disk, "{name}: the disk changed")
    });
    // New keys alone do not help: within the epoch the number stays the highest seen.
    stage.repository.rotate(|repository| {
        repository.release_keys = keys(&[7]);
        repository.timestamp_keys = keys(&[8]);
    });
    stage.publish(|_, _| {});
    refused(&stage, &mut |name| disk.trusts_more(&stage, 2, name));
    stage.repository.rotate(|repository| repository.epoch = 3);
    stage.repository.seq = 0;
    stage.heals("a higher epoch");
    assert_eq!(stage.root_on_disk(), 3);
    // What was signed in the old epoch does not come back, by whatever keys.
    stage.suffers(&Attack::new(
        "4g",
        "a release of the old epoch",
        move |stage| {
            stage.repository.publish(&Draft {
                release_keys: stage.repository.release_keys.clone(),
                timestamp_keys: stage.repository.timestamp_keys.clone(),
                ..burnt.clone()
            });
        },
        refused!(WrongEpoch { document: DocumentKind::Timestamp, expected, found } if (expected.get(), found.get()) == (3, 2)),
    ));
}

/// Whoever holds the root keys adds roots faster than a check follows them. Each check ends at its limit, keeps what it has verified, and
/// goes on there; the tool runs, and when they stop, the next checks reach the end.
#[test]
fn an_endless_chain() {
    let mut stage = Stage::new();
    stage.publish(|_, _| {});
    let (mut reached, mut disk) = (1, Disk::of(&stage.tool).by_value());
    for from in [From::Directory, From::Tls, From::Tls] {
        for _ in 0..70 {
            stage.repository.rotate(|_| {});
        }
        let answer = stage.updater(from).update(false);
        reached += 32;
        assert!(
            matches!(answer, Err(Error::Refused(Refusal::TooManyRoots { limit: 32, trusted })) if trusted == reached),
            "{answer:?}"
        );
        disk.trusts_more(&stage, reached, "in an endless chain");
        stage.runs("in an endless chain", &stage.installed());
        reached += 32; // by the start
        disk.trusts_more(&stage, reached, "in an endless chain: a start");
    }
    stage.heals("the end of the chain");
    assert_eq!(stage.root_on_disk(), stage.repository.root_version);
}
