//! Promise: of those who saw the same, one publishes, whatever the server does with conditions; the others are told.

use std::sync::Barrier;
use std::thread;

use relatch::source::Object;
use signer::progress::Silent;
use signer::store::{Content, Put, Store as _};
use signer::{Failure, Result};
use test_s3::{Conditions, Options};

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
            race(&bench, |number, store| store.put_new(&object, Content::Bytes(&bytes(number)), &Silent));
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
                    assert!(stderr(&output).contains("was changed by somebody else"), "{}", stderr(&output))
                }
                _ => assert!(stderr(&output).contains("is not higher than"), "{}", stderr(&output)),
            }
        }
        let published = bench.version().unwrap();
        assert!(won.contains(&published.as_str()), "{conditions:?}: {won:?} and {published}");
        bench.verify_released();
        bench.ok(&["verify"]);
    }
}
