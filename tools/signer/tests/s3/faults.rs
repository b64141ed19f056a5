//! Promise: what goes wrong on the way is tried again, and what became of it in between is found out and not guessed.

use std::time::Duration;

use relatch::source::Object;
use relatch::trust::Digest;
use signer::Failure;
use signer::progress::Silent;
use signer::store::{Body, Put, Store as _};
use test_s3::{Fault, Options, When};

use crate::bench::{ALL, Bench, KEYS, version};

#[test]
fn a_server_that_is_overloaded_for_a_while_is_asked_again() {
    let bench = Bench::new(Options::new());
    bench.released("1.0.0");
    for (times, when) in [
        (2, When::prefix("demo/stable/VERSION").method("GET")),
        (2, When::prefix("demo/.probe-").method("PUT")),
        (2, When::prefix("demo/blobs/").method("HEAD")),
        (3, When::prefix("demo/blobs/").method("PUT")),
        (2, When::prefix("demo/manifests/").method("PUT")),
        (2, When::prefix("demo/stable/VERSION").method("PUT")),
        (2, When::prefix("demo/manifests/").method("GET")),
    ] {
        bench.server.fault(when.times(times), Fault::SLOW_DOWN);
    }
    bench.released("1.1.0");
    assert_eq!(bench.version().as_deref(), Some("1.1.0"));
}

#[test]
fn an_upload_that_is_cut_goes_on() {
    let bench = Bench::new(Options::new());
    let mut noise = vec![0; 17 * 1024 * 1024];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    bench.desk.write("large", noise);
    for fault in [Fault::Close, Fault::CloseAfterEffect] {
        for skip in [0, 1] {
            let part = When::prefix("demo/blobs/").method("PUT").query("partNumber=").skip(skip).times(1);
            bench.server.fault(part, fault.clone());
        }
        let complete = When::prefix("demo/blobs/").method("POST").query("uploadId=").times(1);
        bench.server.fault(complete, fault);
    }
    let release = ["release", "--version", "1.0.0", "--artifact", "test=large", "--level", "1"];
    bench.ok(&[&release[..], &KEYS].concat());
    bench.verify_released();
}

/// It took effect, and its answer is none, as some servers' are.
#[test]
fn what_became_of_an_upload_is_looked_at() {
    for method in ["PUT", "POST"] {
        let bench = Bench::bare(Options::new(), "demo");
        let length = if method == "PUT" { 100 } else { 17 * 1024 * 1024 };
        bench.desk.write("blob", vec![b'x'; length]);
        let object = Object::Blob(Digest::of(&vec![b'x'; length]));
        let key = format!("demo/{object}");
        let last = || When::key(&key).method(method).query(if method == "POST" { "uploadId=" } else { "" });
        bench.server.fault(last(), Fault::ErrorAfterEffect(500, "InternalError"));
        let path = bench.desk.path("blob");
        let put = bench.store().put_new(&object, Body::File(&path), &Silent);
        assert_eq!(put.unwrap(), Put::Existed, "{method}");
        bench.server.delete(&key);
        bench.server.clear_faults();
        bench.server.fault(last(), Fault::INTERNAL_ERROR);
        let put = bench.store().put_new(&object, Body::File(&path), &Silent);
        assert!(matches!(put, Err(Failure::Storage { .. })), "{method}: {put:?}");
        assert_eq!(bench.server.keys(""), Vec::<String>::new());
    }
}

/// The write took effect and nobody heard of it: a second try meets its own work.
#[test]
fn a_write_whose_answer_was_lost_is_no_lost_race() {
    for conditions in ALL {
        for fault in [Fault::ErrorAfterEffect(500, "InternalError"), Fault::CloseAfterEffect] {
            let bench = Bench::bare(Options::new().conditions(conditions), "demo");
            let store = bench.store();
            let mut seen: Option<&[u8]> = None;
            for new in [&b"one"[..], b"two"] {
                bench.server.fault(When::key("demo/stable/VERSION").method("PUT").times(1), fault.clone());
                store.swap(&version(), seen, new, &Silent).unwrap();
                assert_eq!(bench.version_file().unwrap(), new, "{conditions:?} {fault:?}");
                seen = Some(new);
            }
        }
    }
}

/// It is overtaken between the lost answer and the second try.
#[test]
fn a_write_whose_answer_was_lost_and_that_was_replaced_is_one() {
    let bench = Bench::bare(Options::new(), "demo");
    let put = When::key("demo/stable/VERSION").method("PUT");
    bench.server.fault(put.clone().times(1), Fault::CloseAfterEffect);
    let objects = bench.server.objects();
    bench.server.run(put.times(1), move |request| objects.put(&request.key, "theirs"));
    let swap = bench.store().swap(&version(), None, b"ours", &Silent);
    assert!(matches!(swap, Err(Failure::LostRace { .. })), "{swap:?}");
    assert_eq!(bench.version_file().unwrap(), b"theirs");
}

#[test]
fn a_write_that_never_succeeds_changes_nothing() {
    for conditions in ALL {
        let bench = Bench::bare(Options::new().conditions(conditions), "demo");
        bench.server.put("demo/stable/VERSION", "old");
        bench.server.fault(When::key("demo/stable/VERSION").method("PUT"), Fault::INTERNAL_ERROR);
        let swap = bench.store().swap(&version(), Some(b"old"), b"new", &Silent);
        let Err(Failure::Storage { what, .. }) = &swap else { panic!("{conditions:?}: {swap:?}") };
        assert!(what.contains("s3:PutObject of demo/stable/VERSION"), "{what}");
        assert!(what.contains("InternalError"), "{what}");
        assert_eq!(bench.version_file().unwrap(), b"old");
        assert!(bench.server.get("demo/stable/.lock").is_none(), "{conditions:?}");
    }
}

/// AWS says 409 to one of two that write the same key at the same moment.
#[test]
fn a_conflict_is_tried_again() {
    let bench = Bench::bare(Options::new(), "demo");
    let put = When::key("demo/stable/VERSION").method("PUT").times(2);
    bench.server.fault(put, Fault::Error(409, "ConditionalRequestConflict"));
    bench.store().swap(&version(), None, b"new", &Silent).unwrap();
    assert_eq!(bench.version_file().unwrap(), b"new");
    let put = When::key("demo/stable/VERSION").method("PUT").times(1);
    bench.server.fault(put.clone(), Fault::Error(409, "ConditionalRequestConflict"));
    let objects = bench.server.objects();
    bench.server.run(put, move |request| objects.put(&request.key, "theirs"));
    let swap = bench.store().swap(&version(), Some(b"new"), b"newer", &Silent);
    assert!(matches!(swap, Err(Failure::LostRace { .. })), "{swap:?}");
}

/// Of the racers of the probe some are throttled: that says nothing about conditions.
#[test]
fn a_probe_is_not_misled_by_an_overloaded_server() {
    for (conditions, told) in [(ALL[0], "honoured"), (ALL[1], "not atomic"), (ALL[2], "ignored")] {
        let bench = Bench::bare(Options::new().conditions(conditions), "demo");
        for skip in [0, 5, 14, 23] {
            let put = When::prefix("demo/.probe-").method("PUT");
            bench.server.fault(put.skip(skip).times(1), Fault::SLOW_DOWN);
        }
        let store = bench.store();
        store.prepare().unwrap();
        assert!(store.remarks()[0].contains(told), "{:?}", store.remarks());
        assert_eq!(bench.server.keys(""), Vec::<String>::new());
        let asked = bench.server.requests().len();
        store.prepare().unwrap();
        assert_eq!(bench.server.requests().len(), asked, "it is asked once");
    }
}

#[test]
fn servers_that_do_not_know_conditions_get_none() {
    let bench = Bench::bare(Options::new().conditions(ALL[2]), "demo");
    bench
        .server
        .fault(When::prefix("demo/.probe-").method("PUT").times(1), Fault::Error(501, "NotImplemented"));
    let store = bench.store();
    store.swap(&version(), None, b"new", &Silent).unwrap();
    assert!(store.remarks()[0].contains("ignored by this server"), "{:?}", store.remarks());
    let conditional = |request: &test_s3::Request| {
        request.header("if-none-match").is_some() || request.header("if-match").is_some()
    };
    let written = bench.server.requests().into_iter().filter(|request| !request.key.contains("/.probe-"));
    assert_eq!(written.filter(conditional).count(), 0);
}

/// A server that takes requests and never answers.
#[test]
fn nothing_is_waited_for_for_ever() {
    let bench = Bench::bare(Options::new(), "demo");
    bench.server.put("demo/stable/VERSION", vec![b'x'; 8000]);
    bench.server.fault(When::key("demo/stable/VERSION").method("GET"), Fault::StallAfter(10));
    let begun = std::time::Instant::now();
    let read = bench.store().read(&version());
    assert!(matches!(read, Err(Failure::Storage { .. })), "{read:?}");
    assert!(begun.elapsed() < Duration::from_secs(100));
}

/// It failed, and the look at what became of it failed, too: both are told.
#[test]
fn a_write_of_which_nobody_knows_what_became_is_told_as_that() {
    for (conditions, reads) in [(ALL[0], 1), (ALL[2], 2)] {
        let bench = Bench::bare(Options::new().conditions(conditions), "demo");
        let version_file = || When::key("demo/stable/VERSION");
        bench.server.fault(version_file().method("PUT"), Fault::ErrorAfterEffect(400, "Odd"));
        bench.server.fault(version_file().method("GET").skip(reads), Fault::Error(403, "AccessDenied"));
        let swap = bench.store().swap(&version(), None, b"new", &Silent);
        let Err(failure @ Failure::Unfinished { .. }) = &swap else { panic!("{conditions:?}: {swap:?}") };
        let told = failure.to_string();
        let begin = "it is unknown whether stable/VERSION was written: s3:PutObject of demo/stable/VERSION in s3://test/demo";
        assert!(told.starts_with(begin), "{told}");
        assert!(told.contains("reading it back failed: s3:GetObject of demo/stable/VERSION"), "{told}");
        assert!(failure.advice().contains("`signer show`"), "{}", failure.advice());
        assert_eq!(failure.exit_code(), 4);
    }
}

/// The server refuses, and `VERSION` is what it was: nobody else has changed it.
#[test]
fn a_refusal_without_another_s_write_is_no_lost_race() {
    for (status, code) in [(412, "PreconditionFailed"), (409, "ConditionalRequestConflict")] {
        let bench = Bench::bare(Options::new(), "demo");
        bench.server.put("demo/stable/VERSION", "old");
        bench.server.fault(When::key("demo/stable/VERSION").method("PUT"), Fault::Error(status, code));
        let swap = bench.store().swap(&version(), Some(b"old"), b"new", &Silent);
        let Err(Failure::Storage { what, advice }) = &swap else { panic!("{swap:?}") };
        assert!(what.contains(code), "{what}");
        assert!(advice.contains("run the same command again"), "{advice}");
        assert_eq!(bench.version_file().unwrap(), b"old");
    }
}

/// The server says that it has written, and has not.
#[test]
fn a_write_that_is_not_to_be_seen_is_no_lost_race() {
    let bench = Bench::bare(Options::new().conditions(ALL[2]), "demo");
    bench.server.put("demo/stable/VERSION", "old");
    let put = When::key("demo/stable/VERSION").method("PUT");
    bench.server.fault(put, Fault::Answer(200, vec![("etag", "\"x\"".into())], Vec::new()));
    let swap = bench.store().swap(&version(), Some(b"old"), b"new", &Silent);
    let Err(Failure::Storage { what, .. }) = &swap else { panic!("{swap:?}") };
    assert!(what.ends_with("failed: the server confirmed the write, but the object is unchanged"), "{what}");
}

#[test]
fn a_probe_tells_what_is_not_understood_from_what_failed() {
    let put = || When::prefix("demo/.probe-").method("PUT");
    for (status, code) in [(400, "RequestTimeout"), (408, "Late"), (429, "Often"), (409, "Conflict")] {
        let bench = Bench::bare(Options::new(), "demo");
        for skip in [0, 1] {
            bench.server.fault(put().skip(skip).times(1), Fault::Error(status, code));
        }
        let store = bench.store();
        store.prepare().unwrap();
        assert!(store.remarks()[0].contains("honoured"), "{code}: {:?}", store.remarks());
    }
    for skip in [0, 1, 2, 3] {
        for (status, code) in
            [(400, "InvalidArgument"), (400, "InvalidRequest"), (405, "MethodNotAllowed"), (501, "What")]
        {
            let bench = Bench::bare(Options::new(), "demo");
            bench.server.fault(put().skip(skip).times(1), Fault::Error(status, code));
            let store = bench.store();
            store.prepare().unwrap();
            assert!(store.remarks()[0].contains("ignored by this server"), "{code}: {:?}", store.remarks());
        }
        let bench = Bench::bare(Options::new(), "demo");
        bench.server.fault(put().skip(skip).times(1), Fault::Error(400, "InvalidDigest"));
        let prepared = bench.store().prepare();
        assert!(matches!(&prepared, Err(Failure::Storage { what, .. }) if what.contains("InvalidDigest")));
        assert_eq!(bench.server.keys(""), Vec::<String>::new());
    }
}

/// In each of its races one is throttled, who may have won, too.
#[test]
fn a_race_that_is_throttled_proves_nothing() {
    let bench = Bench::bare(Options::new(), "demo");
    // After four writes come the races, of eight each; who is throttled does not count for the faults that follow.
    for race in 0..8 {
        let put = When::prefix("demo/.probe-").method("PUT").skip(4 + 7 * race).times(1);
        bench.server.fault(put, Fault::SLOW_DOWN);
    }
    let store = bench.store();
    store.prepare().unwrap();
    assert!(store.remarks()[0].contains("not atomic"), "{:?}", store.remarks());
}

/// As other servers than AWS's throttle.
#[test]
fn too_many_requests_are_tried_again() {
    let bench = Bench::bare(Options::new(), "demo");
    for method in ["GET", "PUT"] {
        let when = When::key("demo/stable/VERSION").method(method).times(2);
        bench.server.fault(when, Fault::Error(429, "Often"));
    }
    bench.store().swap(&version(), None, b"new", &Silent).unwrap();
    assert_eq!(bench.version_file().unwrap(), b"new");
}

/// What costs, and is not removed, is told whatever comes after.
#[test]
fn what_was_left_behind_is_told_with_a_failure_too() {
    let bench = Bench::new(Options::new());
    let denied = || Fault::Error(403, "AccessDenied");
    bench.server.fault(When::prefix("demo/.probe-").method("DELETE"), denied());
    bench.server.fault(When::key("demo/stable/VERSION").method("PUT"), denied());
    let artifact = bench.desk.build("1.0.0");
    let release = ["release", "--version", "1.0.0", "--artifact", &artifact];
    let says = [
        "conditional writes: honoured",
        "s3:DeleteObject of demo/.probe-",
        "s3:PutObject of demo/stable/VERSION",
    ];
    bench.fails(4, &says, &[&release[..], &KEYS].concat());
}
