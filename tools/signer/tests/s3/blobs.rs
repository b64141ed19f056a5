//! Promise: a blob is uploaded whole, with the bytes that its name says, and never over another one.

use std::time::Duration;

use relatch::source::Object;
use relatch::trust::Digest;
use signer::Failure;
use signer::progress::{Progress, Silent};
use signer::store::{Body, Put, Store as _};
use test_s3::{Fault, Options, Request, When};

use crate::bench::{ALL, Bench};

const MIB: usize = 1024 * 1024;

/// Bytes that do not compress.
fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

fn is_part(request: &Request) -> bool {
    request.method == "PUT" && request.query.contains("partNumber=")
}

/// A blob in a file, and what it is called.
fn blob(bench: &Bench, bytes: &[u8]) -> (std::path::PathBuf, Object) {
    bench.desk.write("blob", bytes);
    (bench.desk.path("blob"), Object::Blob(Digest::of(bytes)))
}

#[test]
fn a_large_blob_goes_in_parts_and_several_at_a_time() {
    let bench = Bench::bare(Options::new(), "demo");
    let bytes = noise(40 * MIB + 1);
    let (path, object) = blob(&bench, &bytes);
    let hold = bench.server.hold(When::any().method("PUT").query("partNumber="));
    let store = bench.store();
    let put = std::thread::scope(|scope| {
        let put = scope.spawn(|| store.put_new(&object, Body::File(&path), &Silent));
        assert!(hold.reached(4, Duration::from_secs(60)), "four parts at a time");
        hold.release();
        put.join().unwrap()
    });
    assert_eq!(put.unwrap(), Put::Created);
    let key = format!("demo/{object}");
    assert!(bench.server.get(&key).unwrap() == bytes);
    let stored = bench.server.metadata(&key).unwrap();
    assert_eq!(stored.cache_control.as_deref(), Some("public, max-age=31536000, immutable"));
    assert_eq!(stored.content_type.as_deref(), Some("application/octet-stream"));
    let requests = bench.server.requests();
    assert_eq!(requests.iter().filter(|request| is_part(request)).count(), 6);
    let complete = |request: &&Request| request.method == "POST" && request.query.contains("uploadId=");
    let complete: Vec<_> = requests.iter().filter(complete).collect();
    assert_eq!(complete.len(), 1);
    assert_eq!(complete[0].header("if-none-match"), Some("*"));
    assert!(requests.iter().all(|request| !request.query.contains("uploads&") || request.method == "POST"));
}

#[test]
fn what_is_told_of_the_progress_adds_up() {
    struct Sum(std::sync::atomic::AtomicU64);
    impl Progress for Sum {
        fn begin(&self, _: u64) {}
        fn advance(&self, bytes: u64) {
            self.0.fetch_add(bytes, std::sync::atomic::Ordering::SeqCst);
        }
        fn waiting(&self, _: &str) {}
        fn end(&self) {}
    }
    let bench = Bench::bare(Options::new(), "demo");
    let (path, object) = blob(&bench, &noise(20 * MIB + 7));
    let sum = Sum(Default::default());
    bench.store().put_new(&object, Body::File(&path), &sum).unwrap();
    assert_eq!(sum.0.into_inner(), 20 * MIB as u64 + 7);
}

#[test]
fn other_content_than_the_name_says_is_never_published() {
    for length in [10, 20 * MIB] {
        let bench = Bench::bare(Options::new(), "demo");
        let mut bytes = noise(length);
        let object = Object::Blob(Digest::of(&bytes));
        *bytes.last_mut().unwrap() ^= 1;
        let (path, _) = blob(&bench, &bytes);
        let put = bench.store().put_new(&object, Body::File(&path), &Silent);
        let refused = matches!(&put, Err(Failure::Client(relatch::Error::Refused(
            relatch::Refusal::BlobDigest { expected, .. }))) if Object::Blob(*expected) == object);
        assert!(refused, "{put:?}");
        assert_eq!(bench.server.keys(""), Vec::<String>::new());
        // The upload that was begun is ended, so that it costs nothing.
        let aborted = |request: &Request| request.method == "DELETE" && request.query.contains("uploadId=");
        assert_eq!(bench.server.requests().iter().any(aborted), length > 16 * MIB);
    }
}

#[test]
fn an_immutable_object_is_written_once() {
    for conditions in ALL {
        let bench = Bench::bare(Options::new().conditions(conditions), "demo");
        let store = bench.store();
        for object in
            [Object::Blob(Digest::of(b"content")), Object::Manifest(Digest::of(b"content")), Object::Root(1)]
        {
            let key = format!("demo/{object}");
            assert_eq!(
                store.put_new(&object, Body::Bytes(b"content"), &Silent).unwrap(),
                Put::Created,
                "{object}"
            );
            assert_eq!(
                store.put_new(&object, Body::Bytes(b"content"), &Silent).unwrap(),
                Put::Existed,
                "{object}"
            );
            for other in [&b"Content"[..], b"conten", b"content ", b""] {
                // What somebody put there by other means.
                bench.server.put(&key, other);
                let put = store.put_new(&object, Body::Bytes(b"content"), &Silent);
                let is_occupied =
                    matches!(&put, Err(Failure::Occupied { object: found }) if *found == object);
                assert!(is_occupied, "{conditions:?} {object}: {put:?}");
                assert_eq!(bench.server.get(&key).unwrap(), other, "{conditions:?} {object}");
            }
        }
    }
}

/// It comes into being between the look whether it is there and the write.
#[test]
fn a_large_blob_that_somebody_else_uploads_meanwhile_is_compared() {
    for (theirs, same) in [(noise(20 * MIB), true), (noise(20 * MIB - 1), false)] {
        let bench = Bench::bare(Options::new(), "demo");
        let (path, object) = blob(&bench, &noise(20 * MIB));
        let objects = bench.server.objects();
        let key = format!("demo/{object}");
        let meanwhile = When::key(&key).method("POST").query("uploadId=").times(1);
        bench.server.run(meanwhile, move |request| objects.put(&request.key, theirs.clone()));
        let put = bench.store().put_new(&object, Body::File(&path), &Silent);
        match same {
            true => assert_eq!(put.unwrap(), Put::Existed),
            false => assert!(matches!(put, Err(Failure::Occupied { .. })), "{put:?}"),
        }
    }
}

/// Some servers know the condition of whole objects and not that of completed uploads.
#[test]
fn an_upload_is_completed_where_its_condition_is_not_known() {
    let bench = Bench::bare(Options::new(), "demo");
    let bytes = noise(20 * MIB);
    let (path, object) = blob(&bench, &bytes);
    let complete = When::any().method("POST").query("uploadId=").times(1);
    bench.server.fault(complete, Fault::Error(501, "NotImplemented"));
    assert_eq!(bench.store().put_new(&object, Body::File(&path), &Silent).unwrap(), Put::Created);
    assert!(bench.server.get(&format!("demo/{object}")).unwrap() == bytes);
}

#[test]
fn checksums_are_sent_where_they_are_asked_for() {
    for wanted in [false, true] {
        let bench = Bench::new(Options::new());
        bench.desk.write("large", noise(17 * MIB));
        bench.server.clear_requests();
        let release = ["release", "--version", "1.0.0", "--artifact", "test=large", "--level", "1"];
        let mut command = bench.command(&[&release[..], &crate::bench::KEYS].concat());
        if wanted {
            command.env("AWS_REQUEST_CHECKSUM_CALCULATION", "when_supported");
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", crate::support::stderr(&output));
        let requests = bench.server.requests();
        let parts: Vec<_> = requests.iter().filter(|request| is_part(request)).collect();
        assert_eq!(parts.len(), 3);
        for part in parts {
            assert_eq!(part.header("x-amz-checksum-crc32").is_some(), wanted, "{part:?}");
            // The signature covers the bytes, whatever else there is.
            let hash = part.header("x-amz-content-sha256").unwrap();
            assert_eq!(hash.len(), 64, "{hash}");
        }
    }
}

fn begins(bench: &Bench) -> usize {
    let begins = |request: &&Request| request.method == "POST" && request.query.contains("uploads");
    bench.server.requests().iter().filter(begins).count()
}

#[test]
fn two_targets_with_one_executable_are_one_upload() {
    let bench = Bench::new(Options::new());
    bench.desk.write("large", noise(17 * MIB));
    let release =
        ["release", "--version", "1.0.0", "--artifact", "a=large", "--artifact", "b=large", "--level", "1"];
    let told = bench.ok(&[&release[..], &crate::bench::KEYS].concat());
    assert!(told.contains("4 objects written, 0 existed already"), "{told}");
    assert_eq!(begins(&bench), 1);
    bench.verify_released();
}

/// AWS answers 409 to who completes an upload while somebody else writes the same key, and wants it begun anew.
#[test]
fn a_blob_that_somebody_else_writes_at_the_same_moment_is_tried_again() {
    for (length, method) in [(100, "PUT"), (17 * MIB, "POST")] {
        let bench = Bench::bare(Options::new(), "demo");
        let bytes = noise(length);
        let (path, object) = blob(&bench, &bytes);
        let key = format!("demo/{object}");
        let last = || When::key(&key).method(method).query(if method == "POST" { "uploadId=" } else { "" });
        let conflict = Fault::Error(409, "ConditionalRequestConflict");
        bench.server.fault(last().times(2), conflict.clone());
        let put = bench.store().put_new(&object, Body::File(&path), &Silent);
        assert_eq!(put.unwrap(), Put::Created, "the other has failed");
        bench.server.delete(&key);
        bench.server.fault(last().times(1), conflict.clone());
        let objects = bench.server.objects();
        bench.server.run(When::key(&key).method("HEAD").skip(1).times(1), move |request| {
            objects.put(&request.key, bytes.clone());
        });
        let put = bench.store().put_new(&object, Body::File(&path), &Silent);
        assert_eq!(put.unwrap(), Put::Existed, "the other was quicker");
        bench.server.delete(&key);
        bench.server.fault(last(), conflict);
        let put = bench.store().put_new(&object, Body::File(&path), &Silent);
        assert!(matches!(put, Err(Failure::Storage { .. })), "it has an end: {put:?}");
    }
}

/// A lifecycle rule was quicker than the upload: there is no other content, and nothing that must be removed.
#[test]
fn an_upload_that_is_gone_is_told_as_that() {
    let bench = Bench::bare(Options::new(), "demo");
    let (path, object) = blob(&bench, &noise(17 * MIB));
    let complete = When::any().method("POST").query("uploadId=");
    bench.server.fault(complete, Fault::Error(404, "NoSuchUpload"));
    let put = bench.store().put_new(&object, Body::File(&path), &Silent);
    assert!(matches!(&put, Err(Failure::Storage { what, .. }) if what.contains("NoSuchUpload")), "{put:?}");
}

/// Another upload has failed meanwhile: this one does not go on to its end, and says what it leaves.
#[test]
fn an_upload_that_is_not_needed_any_more_ends() {
    struct Stopped;
    impl Progress for Stopped {
        fn begin(&self, _: u64) {}
        fn advance(&self, _: u64) {}
        fn waiting(&self, _: &str) {}
        fn end(&self) {}
        fn should_continue(&self) -> bool {
            false
        }
    }
    let bench = Bench::bare(Options::new(), "demo");
    let (path, object) = blob(&bench, &noise(17 * MIB));
    let abort = When::any().method("DELETE").query("uploadId=");
    bench.server.fault(abort, Fault::Error(403, "AccessDenied"));
    let store = bench.store();
    let put = store.put_new(&object, Body::File(&path), &Stopped);
    assert!(matches!(put, Err(Failure::Client(_))), "{put:?}");
    assert!(!bench.server.requests().iter().any(is_part));
    let told = store.remarks();
    assert!(told[1].contains("could not be removed: s3:AbortMultipartUpload of demo/blobs/"), "{told:?}");
}
