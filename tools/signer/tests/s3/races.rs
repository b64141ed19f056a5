//! Promise: of those who saw the same, one publishes, whatever the server does with conditions; the others are told.

use std::sync::Barrier;
use std::thread;

use relatch::source::Object;
use signer::progress::Silent;
use signer::store::{Body, Put, Store as _};
use signer::{Failure, Result};
use test_s3::{Conditions, Options, When};

use crate::bench::{ALL, Bench, KEYS, version};
use crate::support::stderr;

const PUBLISHERS: usize = 8;

/// Every publisher's answer; all begin at once, each with a store of its own.
fn race<T: Send>(
    bench: &Bench,
    publish: impl Fn(usize, &signer::store::S3Store) -> Result<T> + Sync,
) -> Vec<Result<T>> {
    let start = Barrier::new(PUBLISHERS);
    thread::scope(|scope| {
        let (start, publish) = (&start, &publish);
        let publisher = |number| {
            scope.spawn(move || {
                let store = bench.store();
                store.prepare().unwrap();
                start.wait();
                publish(number, &store)
            })
        };
        let publishers: Vec<_> = (0..PUBLISHERS).map(publisher).collect();
        publishers.into_iter().map(|publisher| publisher.join().unwrap()).collect()
    })
}

#[test]
fn one_of_eight_changes_version() {
    for conditions in ALL {
        let bench = Bench::bare(Options::new().conditions(conditions), "demo");
        let rounds = if conditions == Conditions::Atomic { 5 } else { 2 };
        let mut seen: Option<Vec<u8>> = None;
        for round in 0..rounds {
            let new = |number| format!("round {round} publisher {number}").into_bytes();
            let outcomes =
                race(&bench, |number, store| store.swap(&version(), seen.as_deref(), &new(number), &Silent));
            let won = |(_, outcome): &(usize, Result<()>)| outcome.is_ok();
            let (won, lost): (Vec<_>, Vec<_>) = outcomes.into_iter().enumerate().partition(won);
            assert_eq!(won.len(), 1, "{conditions:?} round {round}");
            for (_, outcome) in lost {
                let is_lost = matches!(&outcome, Err(Failure::LostRace { object }) if *object == version());
                assert!(is_lost, "{conditions:?} round {round}: {outcome:?}");
            }
            assert_eq!(bench.version_file(), Some(new(won[0].0)), "{conditions:?} round {round}");
            seen = bench.version_file();
        }
        assert_eq!(bench.server.keys(""), ["demo/stable/VERSION"], "{conditions:?}");
    }
}

/// Roots and signatures are not named by their own hash: two publishers can have different ones.
#[test]
fn one_of_eight_writes_an_immutable_object() {
    for conditions in ALL {
        let bench = Bench::bare(Options::new().conditions(conditions), "demo");
        let object = Object::RootSignatures(2);
        let bytes = |number| format!("signed by {number}").into_bytes();
        let outcomes =
            race(&bench, |number, store| store.put_new(&object, Body::Bytes(&bytes(number)), &Silent));
        let created = |outcome: &Result<Put>| matches!(outcome, Ok(Put::Created));
        let winner = outcomes.iter().position(created).unwrap();
        for (number, outcome) in outcomes.iter().enumerate() {
            let expected = number == winner || matches!(outcome, Err(Failure::Occupied { .. }));
            assert!(expected, "{conditions:?} {number}: {outcome:?}");
        }
        assert_eq!(bench.server.get("demo/root/2.json.minisig"), Some(bytes(winner)), "{conditions:?}");
    }
}

/// Whole programs, as two CI jobs would run them.
#[test]
fn two_releases_at_once_leave_one_that_verifies() {
    for conditions in ALL {
        let bench = Bench::new(Options::new().conditions(conditions));
        bench.released("1.0.0");
        let children: Vec<_> = ["1.1.0", "1.2.0", "1.3.0"]
            .into_iter()
            .map(|version| {
                let artifact = bench.desk.build(version);
                let release = ["release", "--version", version, "--artifact", &artifact];
                let mut command = bench.command(&[&release[..], &KEYS].concat());
                command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
                (version, command.spawn().unwrap())
            })
            .collect();
        let mut won = Vec::new();
        for (version, child) in children {
            let output = child.wait_with_output().unwrap();
            match output.status.code() {
                Some(0) => won.push(version),
                // It lost the race; or it began so late that it saw the other one, and is lower.
                Some(4) => {
                    assert!(
                        stderr(&output).contains("was changed by another publisher"),
                        "{}",
                        stderr(&output)
                    )
                }
                // Or it came between the manifest of another one and its VERSION.
                _ => {
                    let said = stderr(&output);
                    let is_late = ["is not higher than", "is signed and in the repository"];
                    assert!(is_late.iter().any(|why| said.contains(why)), "{version}: {said}");
                }
            }
        }
        let published = bench.version().unwrap();
        assert!(won.contains(&published.as_str()), "{conditions:?}: {won:?} and {published}");
        bench.verify_released();
        // A loser may have left the manifest with the highest number. Then `verify` names it.
        let verified = bench.signer(&["verify"]);
        let told = stderr(&verified);
        let is_named = verified.status.code() == Some(3) && told.contains("is signed and in the repository");
        assert!(verified.status.success() || is_named, "{told}");
    }
}

/// Puts these objects at the first reading of `VERSION` after so many.
fn at_reading(bench: &Bench, after: usize, newer: std::collections::BTreeMap<String, Vec<u8>>) {
    let objects = bench.server.objects();
    bench.server.run(When::key("demo/stable/VERSION").method("GET").skip(after).times(1), move |_| {
        newer.iter().for_each(|(key, bytes)| objects.put(key, bytes.clone()));
    });
}

/// Somebody publishes while it is compressed and signed: its numbers are wrong by then, but that is the race's fault.
#[test]
fn who_is_overtaken_while_preparing_has_lost() {
    let refresh: &[&str] = &["refresh", "--key", "keys/timestamp.key"];
    for theirs in ["refresh", "1.1.0"] {
        let bench = Bench::new(Options::new());
        bench.released("1.0.0");
        let before = bench.objects();
        match theirs {
            "refresh" => drop(bench.ok(refresh)),
            version => drop(bench.released(version)),
        }
        let newer = bench.objects();
        let lower = ["release", "--version", "1.0.1", "--artifact", &bench.desk.build("1.0.1")];
        let higher = ["release", "--version", "1.2.0", "--artifact", &bench.desk.build("1.2.0")];
        for ours in [refresh, &[&lower[..], &KEYS].concat(), &[&higher[..], &KEYS].concat()] {
            bench.restore(&before);
            at_reading(&bench, 1, newer.clone());
            bench.fails(4, &["stable/VERSION was changed by another publisher after it was read"], ours);
            assert_eq!(bench.objects(), newer, "{theirs} {ours:?}");
        }
    }
}

/// The compare-and-swap was won; what is read back is whole, and said to be another one.
#[test]
fn who_is_replaced_right_after_says_by_what() {
    let bench = Bench::new(Options::new());
    bench.released("1.0.0");
    let before = bench.objects();
    // However long this takes: a number is never below the time.
    let later = ["release", "--version", "1.2.0", "--artifact", &bench.desk.build("1.2.0"), "--seq"];
    bench.ok(&[&later[..], &["9007199254740000"], &KEYS].concat());
    let newer = bench.objects();
    bench.restore(&before);
    // It is read to prepare, before publishing, before the manifest, for the swap, and then back.
    at_reading(&bench, 4, newer);
    let told = bench.released("1.1.0");
    assert!(told.contains("\n  replaced by another publisher since then: 1.2.0 as release "), "{told}");
    bench.verify_released();
}

/// A cache in front of the bucket answers whoever has no credentials.
#[test]
fn what_everybody_reads_must_be_what_was_written() {
    let bench = Bench::new(Options::new().anonymous_read(true));
    assert!(bench.released("1.0.0").contains("public: also read back without credentials"));
    let old = test_s3::Fault::Answer(200, Vec::new(), bench.version_file().unwrap());
    bench.server.fault(When::key("demo/stable/VERSION").method("GET").skip(5).times(1), old);
    let told = bench.released("1.1.0");
    let stale = "it is unknown whether the repository is public: without credentials, stable/VERSION is stale, that of 1.0.0 as release ";
    assert!(told.contains(stale), "{told}");
}

/// So does an emergency that comes right after, under a root of a higher epoch and with other keys.
#[test]
fn who_is_replaced_under_a_newer_root_says_by_what() {
    let bench = Bench::new(Options::new());
    bench.released("1.0.0");
    let before = bench.objects();
    bench.desk.ok(&["keygen", "--no-password", "--out", "clock.key"]);
    bench.desk.ok(&[
        "root",
        "add",
        "root.json",
        "--role",
        "timestamp",
        "--key",
        "clock.pub",
        "--out",
        "2.json",
    ]);
    bench.desk.ok(&["root", "remove", "2.json", "--key", "keys/timestamp.pub", "--raise-epoch"]);
    bench.desk.ok(&["root", "sign", "2.json", "--key", "keys/root.key"]);
    bench.ok(&["root", "publish", "2.json", "--revoke-release"]);
    let artifact = bench.desk.build("2.0.0");
    let release = ["release", "--version", "2.0.0", "--artifact", &artifact];
    bench.ok(&[&release[..], &["--key", "keys/release.key", "--key", "clock.key"]].concat());
    let newer = bench.objects();
    bench.restore(&before);
    at_reading(&bench, 4, newer);
    let told = bench.released("1.1.0");
    assert!(told.contains("\n  replaced by another publisher since then: 2.0.0 as release "), "{told}");
    bench.verify_released();
}
