//! publish.sh and refresh.sh.

use std::fs::File;
use std::process::Stdio;
use std::time::{Duration, Instant};

use relatch::Outcome;

use crate::pipeline::{Pipeline, failed, text, worked};

#[test]
fn build_numbers_are_published_in_order_and_no_rerun_harms() {
    let ci = Pipeline::new();
    assert!(ci.published("41").contains("published widget 41 as release "));
    let mut client = ci.desk.client("widget").unwrap();
    assert!(ci.published("42").contains("published widget 42 as release "));
    let before = ci.desk.repository();
    // The same pipeline once more, and one that was overtaken.
    let rerun = ci.published("42");
    assert!(rerun.contains("build 42 was published before; nothing was changed\n"), "{rerun}");
    assert!(rerun.contains("  42 on stable, release "), "{rerun}");
    let late = ci.publish("40");
    assert_eq!(text(&late.stderr), "");
    assert_eq!(worked(late), "superseded: build 40 is not published, because the newer build 42 is\n");
    assert_eq!(ci.desk.repository(), before);
    assert!(worked(ci.refresh().output().unwrap()).starts_with("refreshed widget 42 on stable"));
    assert_ne!(ci.desk.repository(), before);
    // Who was there takes it, and who comes now does, too.
    assert!(matches!(client.update(false), Ok(Outcome::Updated { .. })));
    assert_eq!(ci.desk.read("widget"), ci.desk.read("build-42"));
    ci.desk.client("another").unwrap();
    assert_eq!(ci.desk.read("another"), ci.desk.read("build-42"));
}

/// Killed between the manifest and VERSION: the pipeline that is run again finishes, and no person is asked.
#[test]
fn a_pipeline_that_was_killed_is_run_again() {
    let ci = Pipeline::new();
    ci.published("41");
    let before = ci.desk.read("repo/stable/VERSION");
    ci.published("42");
    let objects = ci.desk.repository().into_keys().collect::<Vec<_>>();
    ci.desk.write("repo/stable/VERSION", before);
    // Another build does not go on over it.
    let why = failed(3, ci.publish("43"));
    assert!(why.contains("is signed and in the repository (version 42, manifest "), "{why}");
    assert!(ci.published("42").contains("published widget 42 as release "));
    assert_eq!(ci.desk.repository().into_keys().collect::<Vec<_>>(), objects);
    assert!(ci.published("43").contains("published widget 43 as release "));
}

#[test]
fn flags_after_the_artifacts_reach_signer_and_each_channel_counts_for_itself() {
    let ci = Pipeline::new();
    ci.published("42");
    let artifact = ci.desk.build("7");
    let mut beta = ci.script("publish.sh", &[&artifact, "--", "--rollout", "10"]);
    let beta = worked(beta.env("VERSION", "7").env("CHANNEL", "beta").output().unwrap());
    assert!(beta.contains("published widget 7 as release ") && beta.contains(" on beta to "), "{beta}");
    assert!(beta.contains("rollout 10 of 100"), "{beta}");
}

#[test]
fn a_counter_that_started_again_is_no_late_build() {
    let ci = Pipeline::new();
    ci.published("42");
    let before = ci.desk.repository();
    let why = failed(3, ci.publish("1"));
    assert!(why.contains("build 1 is not published: it is 41 behind build 42"), "{why}");
    assert!(why.contains("raise OFFSET"), "{why}");
    assert!(ci.published("22").starts_with("superseded"));
    failed(3, ci.publish("21"));
    let artifact = ci.desk.build("1");
    let lenient =
        ci.script("publish.sh", &[&artifact]).env("VERSION", "1").env("MAX_BEHIND", "41").output().unwrap();
    assert!(worked(lenient).starts_with("superseded"));
    assert_eq!(ci.desk.repository(), before);
}

#[test]
fn a_build_that_was_taken_back_does_not_come_back_by_a_rerun() {
    let ci = Pipeline::new();
    ci.published("41");
    ci.published("42");
    ci.desk.released("41", &["--retract", "42", "--retract", "40"]);
    let before = ci.desk.repository();
    let why = failed(3, ci.publish("42"));
    assert!(why.contains("build 42 is not published: build 41, which is, took it back"), "{why}");
    failed(3, ci.publish("40"));
    assert_eq!(ci.desk.repository(), before);
    ci.published("43");
}

#[test]
fn a_real_refusal_stays_red() {
    let ci = Pipeline::new();
    ci.published("42");
    let before = ci.desk.repository();
    // A target less than before.
    ci.desk.build("43");
    let output = ci.script("publish.sh", &["other=build-43"]).env("VERSION", "43").output().unwrap();
    assert!(failed(3, output).contains("the published release has test and this one has not"));
    // A key that no root names, a key that is none, and no key.
    for (key, code) in [(Some("keys/root.key"), 3), (Some("root.json"), 2), (None, 2)] {
        let artifact = ci.desk.build("43");
        let mut publish = ci.script("publish.sh", &[&artifact]);
        publish.env("VERSION", "43").env_remove("RELEASE_KEY");
        if let Some(key) = key {
            publish.env("RELEASE_KEY", ci.desk.read(key));
        }
        failed(code, publish.output().unwrap());
    }
    assert_eq!(ci.desk.repository(), before);
    // A repository that was changed.
    ci.desk.write("repo/stable/VERSION", "42\n");
    failed(3, ci.publish("43"));
}

#[test]
fn what_is_no_build_number_is_refused_before_anything_is_read() {
    let ci = Pipeline::new();
    ci.shim("echo reached >&2; exit 9");
    for version in ["", "0", "042", "1.2.3", "-1", "4 2", "42\n43", "v42", "1234567890123456789"] {
        let why = failed(2, ci.publish(version));
        assert_eq!(
            why,
            "publish: VERSION must be a build number such as 42: digits only, at most 18, no zero in front\n"
        );
    }
    failed(2, ci.script("publish.sh", &[]).env("VERSION", "42").output().unwrap());
    ci.unshim();
    ci.published("123456789012345678");
}

/// Somebody else publishes between the look and the release.
#[test]
fn who_is_overtaken_at_the_last_moment_is_late_and_not_red() {
    let ci = Pipeline::new();
    ci.published("41");
    let artifact = ci.desk.build("43");
    let keys = "--key keys/release.key --key keys/timestamp.key";
    ci.shim(&format!(
        "if [ \"$1\" = release ] && [ ! -e raced ]; then\n\
         touch raced && \"$real\" release --version 43 --artifact {artifact} {keys} >&2 || exit 9\n\
         fi\n\
         exec \"$real\" \"$@\""
    ));
    let output = ci.publish("42");
    assert!(ci.desk.path("raced").exists());
    assert_eq!(worked(output), "superseded: build 42 is not published, because the newer build 43 is\n");
    // One who was overtaken by a lower build comes through.
    std::fs::remove_file(ci.desk.path("raced")).unwrap();
    ci.shim(
        "if [ \"$1\" = release ] && [ ! -e raced ]; then touch raced; echo lost >&2; exit 4; fi\n\
         exec \"$real\" \"$@\"",
    );
    assert!(ci.published("44").contains("published widget 44"));
    // Who never comes through is told so.
    ci.shim("if [ \"$1\" = release ]; then echo again >> tries; exit 4; fi\nexec \"$real\" \"$@\"");
    failed(4, ci.publish("45"));
    assert_eq!(ci.desk.read("tries"), "again\n".repeat(3));
}

/// Published, and then the read-back fails: neither this run nor the next may call that a success.
#[test]
fn a_release_that_could_not_be_read_back_is_read_back_by_the_rerun() {
    let ci = Pipeline::new();
    ci.published("41");
    for (code, version) in [(3, "42"), (4, "43")] {
        ci.shim(&format!(
            "\"$real\" \"$@\" || exit $?\nif [ \"$1\" = release ]; then echo 'read back' >&2; exit {code}; fi"
        ));
        failed(code, ci.publish(version));
        ci.unshim();
        assert!(ci.published(version).contains(&format!("build {version} was published before")));
    }
    for (path, content) in blobs(&ci) {
        std::fs::write(&path, [&content[..], b"!"].concat()).unwrap();
    }
    let why = failed(3, ci.publish("43"));
    assert!(why.contains("blobs/"), "{why}");
}

fn blobs(ci: &Pipeline) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let entries = std::fs::read_dir(ci.desk.path("repo/blobs")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

#[test]
fn a_refresh_needs_the_timestamp_key_alone_and_says_what_it_cannot_renew() {
    let ci = Pipeline::new();
    failed(3, ci.refresh().output().unwrap()); // nothing is published yet
    ci.desk.released("42", &["--expires-in", "50d", "--version-expires-in", "1h"]);
    let why = failed(1, ci.refresh().output().unwrap());
    assert!(why.contains("expires soon:\n  release  valid until"), "{why}");
    assert!(!why.contains("  root"), "{why}");
    let version = ci.desk.read("repo/stable/VERSION");
    let pointer: serde_json::Value = serde_json::from_str(version.lines().nth(1).unwrap()).unwrap();
    let valid = pointer["expires"].as_u64().unwrap() - pointer["issued"].as_u64().unwrap();
    assert!((29 * 86_400..=30 * 86_400).contains(&valid), "{valid}");
    worked(ci.refresh().env("WARN_DAYS", "40").output().unwrap());
    // The root has a time of its own: it is harder to renew.
    let why = failed(1, ci.refresh().env("WARN_DAYS", "40").env("WARN_ROOT_DAYS", "1095").output().unwrap());
    assert!(why.contains("expires soon:\n  root     1, epoch 1, valid until"), "{why}");
    assert!(!why.contains("  release"), "{why}");
    // Without its key it does nothing.
    let before = ci.desk.repository();
    failed(2, ci.refresh().env_remove("TIMESTAMP_KEY").output().unwrap());
    assert_eq!(ci.desk.repository(), before);
    // Who loses against a publisher tries again.
    ci.shim("if [ \"$1\" = refresh ] && [ ! -e raced ]; then touch raced; exit 4; fi\nexec \"$real\" \"$@\"");
    worked(ci.refresh().env("WARN_DAYS", "40").output().unwrap());
    assert!(ci.desk.path("raced").exists());
    ci.shim("if [ \"$1\" = refresh ]; then exit 4; fi\nexec \"$real\" \"$@\"");
    failed(4, ci.refresh().output().unwrap());
}

/// 60 days for a release, 90 for a root.
#[test]
fn a_refresh_warns_in_time() {
    for (root, release, warns) in
        [("91d", "61d", None), ("89d", "61d", Some("root")), ("91d", "59d", Some("release"))]
    {
        let ci = Pipeline::bare();
        let init = ["init", "--product", "widget", "--no-password", "--keys", "keys", "--repo", "repo"];
        // Half a day more: `show` counts whole days.
        let half = |days: &str| format!("{days} 12h");
        ci.desk.ok(&[&init[..], &["--expires-in", &half(root)]].concat());
        ci.desk.released("42", &["--expires-in", &half(release)]);
        let output = ci.refresh().output().unwrap();
        match warns {
            None => drop(worked(output)),
            Some(what) => {
                let why = failed(1, output);
                assert!(why.contains(&format!("expires soon:\n  {what}")), "{why}");
                assert_eq!(why.matches("valid until").count(), 1, "{why}");
            }
        }
    }
}

#[test]
fn a_release_is_renewed_when_it_has_little_time_left() {
    let ci = Pipeline::new();
    ci.desk.released("42", &["--expires-in", "80d 12h"]);
    // `renew` of its own is tested elsewhere.
    ci.shim(
        "if [ \"$1\" != renew ]; then exec \"$real\" \"$@\"; fi\n\
         echo \"$*\" >> renewed\n\
         if [ -e busy ]; then rm busy; exit 4; fi",
    );
    let renew = |days: &str| ci.script("renew.sh", &["--x"]).env("RENEW_DAYS", days).output().unwrap();
    let said = worked(renew("80"));
    assert_eq!(said, "renew: the release on stable is valid for 80 days; nothing was changed\n");
    assert!(!ci.desk.path("renewed").exists());
    ci.desk.write("busy", "");
    worked(renew("81"));
    let call = "renew --channel stable --x --key env:RELEASE_KEY --key env:TIMESTAMP_KEY\n";
    assert_eq!(ci.desk.read("renewed"), call.repeat(2));
    worked(ci.script("renew.sh", &[]).output().unwrap()); // 90 days
    assert_eq!(ci.desk.read("renewed").lines().count(), 3);
    ci.shim("exit 4");
    failed(4, renew("80"));
    assert_eq!(ci.desk.read("renewed").lines().count(), 3);
}

/// `signer show` fails where clients would refuse what is published, and shows it all the same.
#[test]
fn what_clients_refuse_does_not_keep_a_release_back() {
    let ci = Pipeline::new();
    ci.shim("\"$real\" \"$@\" || exit $?; if [ \"$1\" = show ]; then exit 3; fi");
    ci.published("42");
    ci.published("43");
    assert!(ci.published("43").contains("build 43 was published before"));
    assert!(ci.published("42").starts_with("superseded"));
    // A refresh mends nothing of it: the job is red, and shows what it saw.
    assert!(failed(3, ci.refresh().output().unwrap()).contains("43 on stable, release "));
    // But who shows nothing could not read it.
    ci.shim("if [ \"$1\" = show ]; then exit 4; fi; exec \"$real\" \"$@\"");
    failed(4, ci.publish("44"));
    failed(4, ci.refresh().output().unwrap());
    ci.unshim();
    assert!(ci.published("43").contains("build 43 was published before"));
}

/// With a memory, each run that ends well has brought it up to date.
#[test]
fn a_late_build_remembers_what_is_published() {
    let ci = Pipeline::new();
    ci.published("42");
    ci.shim("echo \"$1\" >> calls; exec \"$real\" \"$@\"");
    let artifact = ci.desk.build("41");
    let late = |state: &str| {
        let mut late = ci.script("publish.sh", &[&artifact]);
        worked(late.env("VERSION", "41").env("SIGNER_STATE", state).output().unwrap())
    };
    assert!(late("").starts_with("superseded"));
    assert_eq!(ci.desk.read("calls"), "show\n");
    let said = late("state.json");
    assert_eq!(said, "superseded: build 41 is not published, because the newer build 42 is\n");
    assert_eq!(ci.desk.read("calls"), "show\nshow\nverify\n");
}

/// An old VERSION that somebody put back into the bucket.
#[test]
fn a_memory_outside_of_the_bucket_notices_an_old_version() {
    let ci = Pipeline::new();
    let with =
        |mut command: std::process::Command| command.env("SIGNER_STATE", "state.json").output().unwrap();
    let publish = |version: &str| {
        let artifact = ci.desk.build(version);
        let mut publish = ci.script("publish.sh", &[&artifact]);
        publish.env("VERSION", version);
        with(publish)
    };
    worked(publish("42"));
    let old = ci.desk.read("repo/stable/VERSION");
    worked(publish("43"));
    let new = ci.desk.read("repo/stable/VERSION");
    ci.desk.write("repo/stable/VERSION", &old);
    let before = ci.desk.repository();
    let why = failed(3, with(ci.refresh()));
    assert!(why.contains("state.json has seen release"), "{why}");
    failed(3, publish("44"));
    assert_eq!(ci.desk.repository(), before);
    ci.desk.write("repo/stable/VERSION", &new);
    worked(with(ci.refresh()));
    worked(publish("44"));
}

#[test]
fn no_key_is_in_an_argument_or_in_what_is_said() {
    let ci = Pipeline::new();
    ci.shim("printf '%s\\n' \"$*\" >> arguments; exec \"$real\" \"$@\"");
    let mut said = ci.published("42");
    said += &ci.published("42");
    said += &worked(ci.refresh().output().unwrap());
    said += &failed(3, ci.publish("1"));
    said += &ci.desk.read("arguments");
    assert!(said.contains("--key env:RELEASE_KEY --key env:TIMESTAMP_KEY"));
    for key in ["keys/release.key", "keys/timestamp.key"] {
        let secret = ci.desk.read(key);
        assert!(!said.contains(secret.lines().nth(1).unwrap()), "{key}");
    }
}

/// A person who takes a build back with the script must not be told that all is well when nothing was done.
#[test]
fn who_takes_a_newer_build_back_is_sent_to_signer() {
    let ci = Pipeline::new();
    ci.published("41");
    ci.published("42");
    let before = ci.desk.repository();
    let artifact = ci.desk.build("41");
    for retract in [&["--retract", "42"][..], &["--retract=42"], &["--critical", "--retract", "42"]] {
        let mut back = ci.script("publish.sh", &[&[artifact.as_str(), "--"], retract].concat());
        let why = failed(3, back.env("VERSION", "41").output().unwrap());
        assert!(why.contains("nothing is taken back: build 42, which is, is newer"), "{why}");
        assert!(why.contains("`signer release`"), "{why}");
    }
    assert_eq!(ci.desk.repository(), before);
    // A higher build may take it back.
    let artifact = ci.desk.build("43");
    let mut forward = ci.script("publish.sh", &[&artifact, "--", "--retract", "42"]);
    let told = worked(forward.env("VERSION", "43").output().unwrap());
    assert!(told.contains("published widget 43"), "{told}");
}

/// What expired is not refreshed, and the job is red because of that, not because it "expires soon".
#[test]
fn a_refresh_of_what_has_expired_is_red() {
    let ci = Pipeline::new();
    ci.desk.released("42", &[]);
    ci.desk.expire_manifest();
    let before = ci.desk.repository();
    let why = failed(3, ci.refresh().output().unwrap());
    assert!(why.contains("the manifest expired at ") && why.contains("signer renew"), "{why}");
    assert!(!why.contains("VERSION is refreshed"), "{why}");
    assert_eq!(ci.desk.repository(), before);
}

/// A pipeline loses at VERSION itself: it waits for the lock with its manifest written while
/// `theirs` is published, under a number that is `higher` or not.
fn overtaken_at_version(ci: &Pipeline, theirs: &str, ours: &str, is_higher: bool) -> std::process::Output {
    ci.published("41");
    let artifact = ci.desk.build(theirs);
    let run = |commands: &str| worked(ci.shell().args(["-euc", commands]).output().unwrap());
    let keys = "--key keys/release.key --key keys/timestamp.key";
    let release = format!("signer release --repo theirs --version {theirs} --artifact {artifact} {keys}");
    run("cp -a repo theirs");
    if !is_higher {
        run(&release);
        std::thread::sleep(Duration::from_millis(2100)); // a number is the time
    }
    let lock = File::options().write(true).open(ci.desk.path("repo/stable/.lock")).unwrap();
    lock.lock().unwrap();
    let artifact = ci.desk.build(ours);
    let mut publish = ci.script("publish.sh", &[&artifact]);
    publish.env("VERSION", ours).env("SIGNER_STATE", "state.json");
    let publish = publish.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // With its manifest it has looked at VERSION for the last time before the lock.
    let manifests = || std::fs::read_dir(ci.desk.path("repo/manifests")).unwrap().count();
    let (before, until) = (manifests(), Instant::now() + Duration::from_secs(60));
    while manifests() < before + 2 {
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(10));
    }
    if is_higher {
        run(&release);
    }
    run("cp -a theirs/. repo");
    drop(lock);
    let output = publish.wait_with_output().unwrap();
    let complaint = text(&output.stderr);
    assert!(complaint.contains("stable/VERSION was changed by another publisher"), "{complaint}");
    output
}

/// Looked at again, it is the newest and comes through: as a new release, or by finishing the one that
/// its first try left.
#[test]
fn who_is_overtaken_at_version_by_a_lower_build_tries_again() {
    for is_higher in [true, false] {
        let ci = Pipeline::new();
        let output = overtaken_at_version(&ci, "43", "44", is_higher);
        let complaint = text(&output.stderr);
        assert!(complaint.contains("publish: try 1 of 3 did not get through"), "{complaint}");
        let left = complaint.contains(" of this release was written, but VERSION was not");
        assert_eq!(left, !is_higher, "{complaint}");
        let said = worked(output);
        assert!(said.contains("published widget 44"), "{said}");
        assert_eq!(said.contains("finished the release that an earlier run left"), left, "{said}");
        ci.desk.ok(&["verify", "--repo", "repo", "--root", "root.json"]);
        ci.published("45");
    }
}

/// The late build gives way, and what its failed try left does not keep others from going on: exactly
/// that is abandoned, under a new number of the newer build.
#[test]
fn who_is_overtaken_at_version_by_a_newer_build_abandons_what_it_left() {
    let ci = Pipeline::new();
    let output = overtaken_at_version(&ci, "43", "42", false);
    let complaint = text(&output.stderr);
    let (_, left) = complaint.split_once("signer: manifest ").unwrap();
    let left = &left[..64];
    assert!(complaint.contains("renewed widget 43 as release "), "{complaint}");
    assert!(complaint.contains(&format!("abandoned the release with the manifest {left}")), "{complaint}");
    assert_eq!(worked(output), "superseded: build 42 is not published, because the newer build 43 is\n");
    let verify = ["verify", "--repo", "repo", "--root", "root.json"];
    ci.desk.ok(&verify);
    ci.desk.ok(&[&verify[..], &["--state", "state.json"]].concat());
    assert!(ci.desk.read("repo/stable/VERSION").contains("\"version\":\"43\""));
    ci.published("44");
    // Another's manifest is not abandoned by a run that did not leave it.
    let old = ci.desk.read("repo/stable/VERSION");
    ci.published("45");
    ci.desk.write("repo/stable/VERSION", old);
    assert!(failed(3, ci.publish("46")).contains("is signed and in the repository (version 45, manifest "));
}
