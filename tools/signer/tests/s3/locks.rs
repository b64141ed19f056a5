//! Promise: where conditions are worth nothing, the lock object is honoured while it is fresh, and a killed publisher's is not for ever.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use relatch::source::Object;
use signer::Failure;
use signer::progress::{Progress, Silent};
use signer::store::{Body, LockTimes, Store as _};
use test_s3::{Conditions, Credentials, Fault, Options, Rights, When};

use crate::bench::{Bench, TIMES, version};

const LOCK: &str = "demo/stable/.lock";

/// Where an attempt more, because this machine was busy, would be one too many.
const PATIENT: LockTimes = LockTimes { settle: Duration::from_secs(2), ..TIMES };

fn bench() -> Bench {
    Bench::bare(Options::new().conditions(Conditions::Ignored), "demo")
}

/// What was told of waits.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Progress for Told {
    fn begin(&self, _: u64) {}
    fn advance(&self, _: u64) {}
    fn waiting(&self, why: &str) {
        self.0.lock().unwrap().push(why.into());
    }
    fn end(&self) {}
}

#[test]
fn a_fresh_lock_is_waited_for_and_its_holder_is_named() {
    let bench = bench();
    let text = r#"{"holder":"0123\u001b[2J","lease":60}"#;
    bench.server.put(LOCK, text);
    let times = LockTimes { patience: Duration::from_secs(1), ..TIMES };
    let told = Told::default();
    let swap = bench.store().with_lock_times(times).swap(&version(), None, b"new", &told);
    let Err(Failure::Locked { key, by, age, .. }) = &swap else { panic!("{swap:?}") };
    assert!(key.starts_with("demo/stable/.lock in s3://test/demo"), "{key}");
    assert_eq!(by, "0123\\u{1b}[2J");
    assert!(*age < Duration::from_secs(60), "{age:?}");
    let told = told.0.into_inner().unwrap();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("waiting for publisher 0123\\u{1b}[2J,"), "{told:?}");
    // Nothing was written, and the lock is still the other's.
    assert_eq!(bench.server.keys(""), [LOCK]);
    assert_eq!(bench.server.get(LOCK).unwrap(), text.as_bytes());
}

#[test]
fn a_lock_ends_with_its_lease_by_the_server_s_clock() {
    let bench = bench();
    bench.server.put(LOCK, r#"{"holder":"0123456789abcdef","lease":2}"#);
    bench.store().swap(&version(), None, b"new", &Silent).unwrap();
    assert_eq!(bench.server.keys(""), ["demo/stable/VERSION"]);
}

/// Neither may a lock that is no lock be in the way for ever, nor may a lease without end.
#[test]
fn a_lease_has_an_end_and_nonsense_counts_as_a_lock() {
    for text in [r#"{"holder":"x","lease":9007199254740993}"#, "", "[]", "\u{0}\u{1}"] {
        let bench = bench();
        bench.server.put(LOCK, text);
        let times = LockTimes { patience: Duration::ZERO, ..TIMES };
        let swap = bench.store().with_lock_times(times).swap(&version(), None, b"new", &Silent);
        assert!(matches!(swap, Err(Failure::Locked { .. })), "{text}: {swap:?}");
        assert_eq!(bench.server.get(LOCK).unwrap(), text.as_bytes());
    }
}

/// Overwrites the lock once, between its taking and what is done under it. The lock that was there.
fn overwrite_lock(bench: &Bench, text: &'static str) -> Arc<OnceLock<Vec<u8>>> {
    let (objects, there) = (bench.server.objects(), Arc::<OnceLock<Vec<u8>>>::default());
    let first = Arc::clone(&there);
    bench.server.run(When::key("demo/stable/VERSION").method("GET"), move |_| {
        if let Some(lock) = objects.get(LOCK).filter(|_| first.get().is_none()) {
            first.set(lock).unwrap();
            objects.put(LOCK, text);
        }
    });
    there
}

#[test]
fn who_lost_the_lock_writes_nothing() {
    let bench = bench();
    overwrite_lock(&bench, r#"{"holder":"other","lease":60}"#);
    let times = LockTimes { patience: Duration::from_secs(15), ..PATIENT };
    let swap = bench.store().with_lock_times(times).swap(&version(), None, b"new", &Silent);
    assert!(matches!(&swap, Err(Failure::Locked { by, .. }) if by == "other"), "{swap:?}");
    assert_eq!(bench.server.keys(""), [LOCK], "the other's lock is left alone");
}

/// By a token that came late, and ends: nobody has changed anything, so that nobody has lost anything.
#[test]
fn who_lost_the_lock_takes_it_again() {
    let bench = bench();
    let lost = overwrite_lock(&bench, r#"{"holder":"other","lease":1}"#);
    bench.store().swap(&version(), None, b"new", &Silent).unwrap();
    assert_eq!(bench.server.keys(""), ["demo/stable/VERSION"]);
    let lock: serde_json::Value = serde_json::from_slice(lost.get().unwrap()).unwrap();
    let names: Vec<&String> = lock.as_object().unwrap().keys().collect();
    assert_eq!(names, ["holder", "lease"], "everybody can read it in a public bucket");
}

/// The first try of a removal may have been done: a second one could remove the lock of the next holder.
#[test]
fn a_lock_is_removed_with_one_request() {
    let bench = bench();
    bench.server.fault(When::key(LOCK).method("DELETE"), Fault::SLOW_DOWN);
    let store = bench.store().with_lock_times(PATIENT);
    store.swap(&version(), None, b"new", &Silent).unwrap();
    let requests = bench.server.requests();
    assert_eq!(requests.iter().filter(|r| r.key == LOCK && r.method == "DELETE").count(), 1);
    let told = store.remarks();
    assert!(told[1].contains("the lock object demo/stable/.lock could not be removed"), "{told:?}");
}

#[test]
fn a_server_that_is_too_slow_for_locks_is_blamed_and_not_others() {
    let bench = bench();
    bench.server.fault(When::key(LOCK).method("PUT"), Fault::Delay(TIMES.settle * 2));
    let times = LockTimes { patience: Duration::from_secs(1), ..TIMES };
    let swap = bench.store().with_lock_times(times).swap(&version(), None, b"new", &Silent);
    let Err(Failure::Storage { what, .. }) = &swap else { panic!("{swap:?}") };
    assert!(what.starts_with("the server took "), "{what}");
    assert!(what.contains(" s to write the lock demo/stable/.lock in s3://test/demo"), "{what}");
    assert!(what.contains("; the limit is 0.4 s (gave up after 1 s)"), "{what}");
    assert_eq!(bench.server.keys(""), Vec::<String>::new());
}

/// Somebody else wrote after all: whoever does not find its own bytes has lost.
#[test]
fn what_was_written_is_looked_at_after_it_has_settled() {
    let bench = bench();
    let objects = bench.server.objects();
    let after = When::key("demo/stable/VERSION").method("GET").skip(2).times(1);
    bench.server.run(after, move |_| objects.put("demo/stable/VERSION", "theirs"));
    let swap = bench.store().swap(&version(), None, b"new", &Silent);
    assert!(matches!(swap, Err(Failure::LostRace { .. })), "{swap:?}");
    assert_eq!(bench.version_file().unwrap(), b"theirs");
}

/// A token that took longer to write than others wait may have come over another's: it does not count.
#[test]
fn a_slow_token_is_taken_back() {
    let bench = bench();
    let slow = When::key(LOCK).method("PUT").times(1);
    bench.server.fault(slow, Fault::Delay(PATIENT.settle + Duration::from_millis(200)));
    bench.store().with_lock_times(PATIENT).swap(&version(), None, b"new", &Silent).unwrap();
    let requests = bench.server.requests();
    let count = |method: &str| requests.iter().filter(|r| r.key == LOCK && r.method == method).count();
    // Once more at least; more often where the machine is slow by itself.
    assert!(count("PUT") >= 2, "{requests:?}");
    assert_eq!(count("PUT"), count("DELETE"));
    assert_eq!(bench.server.keys(""), ["demo/stable/VERSION"]);
}

/// Two that overwrite each other's tokens all the time: neither writes, and neither goes on for ever.
#[test]
fn a_contest_that_nobody_wins_has_an_end() {
    let bench = bench();
    let objects = bench.server.objects();
    let look = AtomicUsize::new(0);
    // Each attempt reads the lock before its token and after it: nothing, and another's.
    bench.server.run(When::key(LOCK).method("GET"), move |_| match look.fetch_add(1, Ordering::SeqCst) % 2 {
        0 => drop(objects.delete(LOCK)),
        _ => objects.put(LOCK, r#"{"holder":"other","lease":60}"#),
    });
    let times = LockTimes { patience: Duration::from_secs(8), ..PATIENT };
    let swap = bench.store().with_lock_times(times).swap(&version(), None, b"new", &Silent);
    let Err(Failure::Locked { by, .. }) = &swap else { panic!("{swap:?}") };
    assert_eq!(by, "another publisher at the same time");
    assert_eq!(bench.version_file(), None);
}

/// A publisher that was slow for so long that its lease could end during the write.
#[test]
fn half_of_the_lease_must_be_left() {
    for object in [version(), Object::RootSignatures(2)] {
        let bench = bench();
        let settle = Duration::from_secs(2);
        let times = LockTimes { settle, lease: settle, patience: Duration::from_secs(5) };
        let store = bench.store().with_lock_times(times);
        let done = match &object {
            Object::RootSignatures(_) => store.put_new(&object, Body::Bytes(b"new"), &Silent).map(drop),
            _ => store.swap(&object, None, b"new", &Silent),
        };
        assert!(matches!(done, Err(Failure::Locked { .. })), "{object}: {done:?}");
        assert!(bench.server.get(&format!("demo/{object}")).is_none());
    }
}

#[test]
fn who_may_not_delete_leaves_a_lock_that_ends_by_itself_and_is_told() {
    let rights = Rights { delete: false, ..Rights::ALL };
    let keys = Credentials::new("AKIDNODELETE", "secret").rights(rights);
    let bench = Bench::bare(Options::new().conditions(Conditions::Ignored).credentials(keys), "demo");
    let store = bench.store();
    store.swap(&version(), None, b"new", &Silent).unwrap();
    let told = store.remarks();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[1].contains("the objects of the probe could not be removed"), "{told:?}");
    assert!(told[1].contains("s3:DeleteObject of demo/.probe-"), "{told:?}");
    assert!(
        told[2].contains("the lock object demo/stable/.lock could not be removed, and expires after 60 s"),
        "{told:?}"
    );
    assert!(bench.server.get(LOCK).is_some());
}

#[test]
fn where_conditions_hold_nobody_locks() {
    let bench = Bench::new(Options::new());
    bench.released("1.0.0");
    let locks = bench.server.requests().into_iter().filter(|request| request.key.ends_with("/.lock"));
    assert_eq!(locks.count(), 0);
}
