//! The same repository as everybody reads it: `show` and `verify` by an `https:` address, without credentials and without a list.

use std::process::Command;

use test_s3::Options;

use crate::bench::Bench;
use crate::support::stderr;

/// A bucket that everybody may read, with releases on two channels, and its address.
fn published() -> (Bench, String) {
    let bench = Bench::with_tls(Options::new().anonymous_read(true), "demo");
    bench.init();
    bench.released("1.0.0");
    let url = format!("{}/{}/demo", bench.server.endpoint(), bench.server.bucket());
    (bench, url)
}

/// Without credentials: nothing of AWS's is asked.
fn anonymous(bench: &Bench, url: &str, arguments: &[&str]) -> Command {
    let mut command = bench.command(arguments);
    for (name, _) in bench.server.environment() {
        command.env_remove(name);
    }
    command.env("SIGNER_REPO", url);
    command
}

fn run(bench: &Bench, url: &str, code: i32, arguments: &[&str]) -> (String, String) {
    let output = anonymous(bench, url, arguments).output().unwrap();
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {told}");
    (String::from_utf8(output.stdout).unwrap(), told)
}

#[test]
fn show_and_verify_read_an_https_address() {
    let (bench, url) = published();
    let (shown, _) = run(&bench, &url, 0, &["show"]);
    assert!(shown.contains("\n  1.0.0 on stable, release "), "{shown}");
    assert!(shown.contains(&format!("widget at {url}")), "{shown}");
    let (verified, _) = run(&bench, &url, 0, &["verify", "--channel", "stable"]);
    assert!(verified.contains("the release on stable of https://"), "{verified}");
    // It cannot be listed: that is said, and not that all is well.
    let (verified, _) = run(&bench, &url, 0, &["verify"]);
    for part in ["the release on stable of https://", "cannot be listed over https: other channels"] {
        assert!(verified.contains(part), "`{part}` is not in: {verified}");
    }
    let (json, _) = run(&bench, &url, 0, &["--json", "verify"]);
    assert!(json.contains(r#""channel":"stable","listed":false"#), "{json}");
    let (_, told) = run(&bench, &url, 4, &["verify", "--channel", "beta"]);
    assert!(told.contains("beta/VERSION"), "{told}");
    assert!(bench.server.requests().iter().any(|request| !request.signed));
}

#[test]
fn a_folder_is_compared_with_an_https_address_before_it_is_signed() {
    let (bench, url) = published();
    let artifact = bench.desk.build("1.1.0");
    let prepare = ["prepare", "--version", "1.1.0", "--artifact", &artifact, "--out", "folder"];
    bench.ok(&[&prepare[..], &["--retract", "1.0.0"]].concat());
    let (shown, _) = run(&bench, &url, 0, &["show", "folder"]);
    assert!(shown.contains("changes to 1.0.0, which is published"), "{shown}");
    let why = "it was not checked whether the retracted versions were published: https://";
    assert!(shown.contains(why) && shown.contains("can be read, but not listed"), "{shown}");
    let sign = ["sign", "folder", "--repo", &url, "--root", "root.json", "--key", "keys/release.key"];
    let (_, told) = run(&bench, &url, 0, &sign);
    assert!(told.contains("changes to 1.0.0, which is published"), "{told}");
}

/// What is there and wrong is refused; what cannot be reached is not.
#[test]
fn exit_codes_are_those_of_every_repository() {
    let (bench, url) = published();
    let before = bench.objects();
    let version = bench.version_file().unwrap();
    bench.server.put(&bench.key("stable/VERSION"), [&version[..], b"junk"].concat());
    for command in ["show", "verify"] {
        let (_, told) = run(&bench, &url, 3, &[command]);
        assert!(told.contains("strict minisign form"), "{command}: {told}");
    }
    bench.server.delete(&bench.key("stable/VERSION"));
    let (shown, _) = run(&bench, &url, 4, &["show"]);
    assert!(shown.contains("problem: nothing is published on stable"), "{shown}");
    let (_, told) = run(&bench, &url, 4, &["verify"]);
    assert!(told.contains("has no stable/VERSION"), "{told}");
    bench.restore(&before);
    for command in [&["release"][..], &["refresh"], &["renew"], &["root", "publish"]] {
        assert!(run(&bench, &url, 2, command).1.contains("error: "), "{command:?}");
    }
    let refresh = ["refresh", "--key", "keys/timestamp.key"];
    assert!(run(&bench, &url, 2, &refresh).1.contains("cannot publish to `https:`"));
    assert_eq!(bench.objects(), before);
    let away = url.replacen(&format!(":{}", bench.server.address().port()), ":1", 1);
    for command in ["show", "verify"] {
        run(&bench, &away, 4, &[command]);
    }
}
