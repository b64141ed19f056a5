//! Promise: a publisher compares its clock with the server's, and finds out what it must not build on, as far as the server
//! lets it look.

use test_s3::{Fault, Options, When};

use crate::bench::{Bench, KEYS};
use crate::support::stderr;

const CLOCK: [&str; 2] = ["--key", "keys/timestamp.key"];

/// Both directions, and nothing is written. What is within the limit is let be.
#[test]
fn clocks_that_differ_are_refused_before_anything_is_signed() {
    let bench = Bench::new(Options::new());
    bench.released("1.0.0");
    bench.prepared("1.2.0", &bench.desk.build("1.2.0"));
    let before = bench.objects();
    for ahead in [3600_i64, -3600, 330, -330] {
        bench.server.set_clock_ahead(ahead);
        let artifact = bench.desk.build("1.1.0");
        let release = ["release", "--version", "1.1.0", "--artifact", &artifact];
        let prepare = ["prepare", "--version", "1.1.0", "--artifact", &artifact, "--out", "not-made"];
        let says = [
            "this machine's clock says ",
            "and that of s3://test/demo",
            "says ",
            " s apart, more than 300 s",
            "Look at this machine's clock first",
        ];
        for call in [
            &[&release[..], &KEYS].concat()[..],
            &prepare,
            &[&["refresh"][..], &CLOCK].concat(),
            &[&["renew"][..], &KEYS].concat(),
            &["renew", "--out", "not-made"],
            &["publish", "1.2.0"],
        ] {
            bench.fails(3, &says, call);
        }
        assert!(!bench.desk.path("not-made").exists());
        assert!(bench.objects() == before, "{ahead}");
    }
    for ahead in [240, -240] {
        bench.server.set_clock_ahead(ahead);
        bench.ok(&[&["refresh"][..], &CLOCK].concat());
    }
}

/// `s3:ListBucket` is not given: it is said once, and the state file alone counts.
#[test]
fn where_the_bucket_cannot_be_listed_the_state_file_counts() {
    let bench = Bench::new(Options::new());
    let artifact = bench.desk.build("1.0.0");
    let release = ["release", "--version", "1.0.0", "--artifact", &artifact, "--state", "state"];
    bench.ok(&[&release[..], &KEYS].concat());
    let old = bench.version_file().unwrap();
    let artifact = bench.desk.build("1.0.1");
    let release = ["release", "--version", "1.0.1", "--artifact", &artifact, "--state", "state"];
    bench.ok(&[&release[..], &KEYS].concat());
    bench.server.fault(When::any().query("list-type=2"), Fault::Error(403, "AccessDenied"));
    let verify = ["verify", "--channel", "stable"];
    for (more, says) in
        [(&[][..], "without --state, nothing detects"), (&["--state", "state"], "only --state detects")]
    {
        let output = bench.signer(&[&verify[..], more].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(told.matches("were not searched, because it cannot be listed").count(), 1, "{told}");
        assert!(told.contains(says), "{told}");
    }
    bench.server.put("demo/stable/VERSION", old);
    bench.ok(&verify);
    let says = ["state has seen release ", "(version 1.0.1, manifest "];
    bench.fails(3, &says, &[&verify[..], &["--state", "state"]].concat());
    bench.fails(3, &says, &[&["refresh", "--state", "state"][..], &CLOCK].concat());
    bench.server.clear_faults();
    bench.fails(3, &["is signed and in the repository (version 1.0.1, manifest "], &verify);
}

/// Fault 49: a blob is streamed, and was asked for once.
#[test]
fn a_blob_that_is_read_back_is_asked_for_four_times() {
    for (fault, times) in [(Fault::SLOW_DOWN, 3), (Fault::CloseAfter(10), 3), (Fault::Close, 1)] {
        let bench = Bench::new(Options::new());
        bench.server.fault(When::prefix("demo/blobs/").method("GET").times(times), fault);
        bench.released("1.0.0");
    }
    let bench = Bench::new(Options::new());
    bench.server.fault(When::prefix("demo/blobs/").method("GET").times(4), Fault::SLOW_DOWN);
    let artifact = bench.desk.build("1.0.0");
    let release = ["release", "--version", "1.0.0", "--artifact", &artifact];
    bench.fails(4, &["could not be read back completely", "503"], &[&release[..], &KEYS].concat());
}
