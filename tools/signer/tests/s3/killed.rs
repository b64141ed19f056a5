//! Promise: after a kill between any two requests, what is published is whole, and a rerun finishes.

use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use signer::baseline::Safeguards;
use signer::folder::Folder;
use signer::progress::Silent;
use signer::publish::publish;
use signer::store::{LockTimes, Store as _};
use test_s3::{Conditions, Fault, Options, Request, When};

use crate::bench::{Bench, TIMES};
use crate::support::stderr;

/// Not one of the many that find out what the server does: those write nothing that anybody reads.
fn counts(request: &Request) -> bool {
    !request.key.contains("/.probe-")
}

/// A bucket with 1.0.0 in it, and 1.1.0 in a folder.
fn scene(conditions: Conditions, size: usize) -> (Bench, Folder) {
    let bench = Bench::new(Options::new().conditions(conditions));
    bench.released("1.0.0");
    let mut noise = vec![0; size];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    bench.desk.write("executable", [b"#!/bin/sh\necho 1.1.0\nexit\n", &noise[..]].concat());
    let folder = bench.prepared("1.1.0", "test=executable");
    (bench, folder)
}

#[test]
fn killed_before_any_answer() {
    let (bench, _) = scene(Conditions::Atomic, 17 * 1024 * 1024); // in parts
    let before = bench.objects();
    let mut killed = 0;
    loop {
        bench.restore(&before);
        bench.server.clear_faults();
        let child: Arc<Mutex<Option<Child>>> = Arc::default();
        let (seen, victim) = (AtomicUsize::new(0), Arc::clone(&child));
        // The request takes effect; whoever sent it is gone.
        bench.server.run(When::any(), move |request| {
            if counts(request) && seen.fetch_add(1, Ordering::SeqCst) == killed {
                victim.lock().unwrap().as_mut().unwrap().kill().unwrap();
            }
        });
        let mut guard = child.lock().unwrap();
        let mut command = bench.command(&["publish", "1.1.0"]);
        *guard = Some(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap());
        drop(guard);
        let status = loop {
            if let Some(status) = child.lock().unwrap().as_mut().unwrap().try_wait().unwrap() {
                break status;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        };
        bench.server.clear_faults();
        bench.verify_released();
        if status.success() {
            break;
        }
        assert_eq!(status.code(), None, "killed by a signal at request {killed}: {status}");
        let version = bench.version().unwrap();
        assert!(["1.0.0", "1.1.0"].contains(&version.as_str()), "request {killed}: {version}");
        let rerun = bench.signer(&["publish", "1.1.0"]);
        assert!(rerun.status.success(), "request {killed}: {}", stderr(&rerun));
        assert_eq!(bench.version().as_deref(), Some("1.1.0"), "request {killed}");
        bench.verify_released();
        killed += 1;
    }
    assert_eq!(bench.version().as_deref(), Some("1.1.0"));
    // As many as a publication has: reading, the upload in parts, the documents, VERSION, reading back.
    assert!((18..40).contains(&killed), "{killed} requests");
    bench.ok(&["verify"]);
}

/// The same where a lock is used: from some request on the server refuses everything, so that the publisher cannot clean up either.
#[test]
fn gone_before_any_request_where_a_lock_is_used() {
    let (bench, folder) = scene(Conditions::Ignored, 100);
    let (before, anchor) = (bench.objects(), bench.anchor());
    // Nobody else is there to wait for. But a token that took longer than this to write does not count: of the some 40 requests of
    // prepare(), as many as ten tokens have.
    let begun = Instant::now();
    bench.store().prepare().unwrap();
    let times = LockTimes { settle: (begun.elapsed() / 2).max(Duration::from_millis(20)), ..TIMES };
    let (mut answered, mut left) = (0, 0);
    loop {
        bench.restore(&before);
        let store = bench.store().with_lock_times(times);
        store.prepare().unwrap();
        bench.server.fault(When::any().skip(answered), Fault::Error(403, "AccessDenied"));
        let done = publish(&folder, &store, &anchor, Safeguards::default(), &Silent);
        bench.server.clear_faults();
        bench.verify_released();
        if done.is_ok() {
            break;
        }
        for lock in bench.server.keys("").into_iter().filter(|key| key.contains("/.lock")) {
            bench.server.put(&lock, r#"{"holder":"gone","host":"ci","lease":0}"#); // its lease has ended
            left += 1;
        }
        let rerun =
            publish(&folder, &bench.store().with_lock_times(times), &anchor, Safeguards::default(), &Silent);
        rerun.unwrap_or_else(|failure| panic!("request {answered}: {failure}"));
        assert_eq!(bench.version().as_deref(), Some("1.1.0"), "request {answered}");
        answered += 1;
    }
    assert!(left >= 8, "a lock was left behind {left} times in {answered}");
}
