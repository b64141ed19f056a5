//! Promise: whatever a server refuses, the one who publishes reads what it was and what to do, and nothing secret.

use std::process::Command;
use std::time::{Duration, Instant};

use test_s3::{Authority, Credentials, Fault, Identity, Options, Rights, Server, When, WrongRegion};

use crate::bench::{Bench, KEYS, fails};
use crate::support::stderr;

const SECRET: &str = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY";

/// The environment of other keys.
fn keys<'a>(command: &'a mut Command, access_key: &str, secret_key: &str) -> &'a mut Command {
    command.env("AWS_ACCESS_KEY_ID", access_key).env("AWS_SECRET_ACCESS_KEY", secret_key)
}

#[test]
fn without_credentials() {
    let bench = Bench::new(Options::new());
    let mut command = bench.command(&["show"]);
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        command.env_remove(name);
    }
    let begun = Instant::now();
    fails(&mut command, 4, &["s3://test/demo", "requires credentials", "a role by OIDC in CI, AWS_PROFILE"]);
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}

#[test]
fn with_keys_that_may_only_read_nothing_changes() {
    let bench = Bench::new(Options::new());
    bench.released("1.0.0");
    let reader = Credentials::read_only();
    bench.server.accept(reader.clone());
    let before = bench.objects();
    let artifact = bench.desk.build("1.1.0");
    let release = ["release", "--version", "1.1.0", "--artifact", &artifact];
    let refresh = ["refresh", "--key", "keys/timestamp.key"];
    bench.ok(&["root", "renew", "root.json", "--out", "root2.json"]);
    bench.ok(&["root", "sign", "root2.json", "--key", "keys/root.key"]);
    for arguments in [&[&release[..], &KEYS].concat(), &refresh[..], &["root", "publish", "root2.json"]] {
        let mut command = bench.command(arguments);
        keys(&mut command, &reader.access_key, &reader.secret_key);
        let says = [
            "s3:PutObject of demo/.probe-",
            "AccessDenied",
            "Allow these credentials s3:PutObject on arn:aws:s3:::test/demo/*. signer writes objects `.probe-*`",
        ];
        fails(&mut command, 4, &says);
        assert_eq!(bench.objects(), before);
    }
    for arguments in [&["show"][..], &["verify"]] {
        let mut command = bench.command(arguments);
        keys(&mut command, &reader.access_key, &reader.secret_key);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
    }
}

/// A repository that cannot be made leaves nothing that is in the way of the next try.
#[test]
fn init_without_rights_makes_nothing_and_with_too_few_says_how_to_go_on() {
    let bench = Bench::bare(Options::new(), "demo");
    let reader = Credentials::read_only();
    bench.server.accept(reader.clone());
    let init = ["init", "--product", "widget", "--no-password", "--keys", "keys"];
    let mut command = bench.command(&init);
    fails(keys(&mut command, &reader.access_key, &reader.secret_key), 4, &["s3:PutObject of demo/.probe-"]);
    assert!(!bench.desk.path("keys").exists() && !bench.desk.path("root.json").exists());
    let denied = When::key("demo/root/1.json").method("PUT");
    bench.server.fault(denied, Fault::Error(403, "AccessDenied"));
    let says = [
        "keys and root.json were created, but root 1 was not published: s3:PutObject of demo/root/1.json",
        "Then run the same command again: it keeps these files",
    ];
    bench.fails(4, &says, &init);
    let key = bench.desk.read("keys/root.key");
    bench.server.clear_faults();
    bench.ok(&["root", "publish", "root.json"]); // which is allowed, too
    let before = bench.objects();
    let kept = "continued an earlier `signer init`, and kept its keys/root.key, keys/release.key, \
                keys/timestamp.key, root.json";
    assert!(bench.ok(&init).contains(kept));
    assert_eq!((bench.desk.read("keys/root.key"), bench.objects()), (key, before));
    bench.fails(2, &["root.json already exists; nothing was created"], &init);
    bench.released("1.0.0");
}

#[test]
fn with_keys_that_may_not_list() {
    let rights = Rights { list: false, ..Rights::ALL };
    let bench = Bench::bare(
        Options::new().credentials(Credentials::new("AKIDNOLIST", SECRET).rights(rights)),
        "demo",
    );
    let says = ["s3:GetObject of demo/root/1.json", "Allow s3:ListBucket on the bucket too"];
    bench.fails(4, &says, &["init", "--product", "widget", "--no-password", "--keys", "keys"]);
}

#[test]
fn with_a_wrong_secret_or_an_unknown_key() {
    let bench = Bench::new(Options::new());
    let known = bench.server.credentials().access_key.clone();
    for (key, code) in [(known.as_str(), "SignatureDoesNotMatch"), ("AKIDUNKNOWN", "InvalidAccessKeyId")] {
        let mut command = bench.command(&["show"]);
        let output = keys(&mut command, key, SECRET).output().unwrap();
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(4), "{told}");
        assert!(told.contains(code) || told.contains("refuses"), "{told}");
        assert!(!told.contains(SECRET), "{told}");
    }
}

#[test]
fn no_bucket() {
    let bench = Bench::new(Options::new());
    let says = ["NoSuchBucket", "Create the bucket `other`"];
    bench.fails(
        4,
        &says,
        &[
            "init",
            "--repo",
            "s3://other/demo",
            "--product",
            "w",
            "--no-password",
            "--keys",
            "k",
            "--root",
            "r",
        ],
    );
}

#[test]
fn another_region() {
    for answer in [WrongRegion::Redirect, WrongRegion::Malformed] {
        let bench = Bench::bare(Options::new().wrong_region(answer).region("eu-west-3"), "demo");
        let init = ["init", "--product", "w", "--no-password", "--keys", "k", "--region", "us-east-2"];
        bench.fails(4, &["The bucket is in eu-west-3: give --region eu-west-3"], &init);
        bench.ok(&[&init[..6], &["--region", "eu-west-3"]].concat());
    }
}

#[test]
fn nobody_there() {
    let bench = Bench::new(Options::new());
    let mut command = bench.command(&["show", "--endpoint", "http://127.0.0.1:9"]);
    fails(&mut command, 4, &["127.0.0.1:9", "Check the network, the proxy and --endpoint"]);
}

#[test]
fn a_certificate_of_somebody_else() {
    let bench = Bench::with_tls(Options::new(), "demo");
    bench.init();
    Authority::new().write(&bench.ca()).unwrap();
    bench.fails(4, &["certificate", "SSL_CERT_FILE"], &["show"]);
}

#[test]
fn a_clock_that_is_wrong() {
    let bench = Bench::new(Options::new());
    bench.server.fault(When::any(), Fault::Error(403, "RequestTimeTooSkewed"));
    bench.fails(4, &["RequestTimeTooSkewed", "that the system clock is correct"], &["show"]);
}

/// What a server says is shown, escaped and bounded.
#[test]
fn words_of_the_server_cannot_drive_a_terminal() {
    let bench = Bench::new(Options::new());
    let body = format!(
        "<?xml version=\"1.0\"?><Error><Code>Odd\u{1b}[2J</Code><Message>{}\u{202e}</Message></Error>",
        "long ".repeat(10_000)
    );
    let answer = Fault::Answer(400, vec![("content-type", "application/xml".into())], body.into_bytes());
    bench.server.fault(When::key("demo/stable/VERSION"), answer);
    let output = bench.signer(&["show"]);
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(4), "{told}");
    assert!(!told.contains('\u{1b}') && !told.contains('\u{202e}'), "{told:?}");
    assert!(told.len() < 2000, "{}", told.len());
}

/// AWS names caller, action and resource, and says at the end why it refuses.
#[test]
fn what_aws_says_is_shown_to_its_end() {
    let bench = Bench::new(Options::new());
    bench.released("1.0.0");
    let message =
        format!("User: {}is not allowed, because the key was deleted", "arn:aws:sts::1 ".repeat(200));
    let body = |code: &str| {
        let error = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
        (error.clone(), format!("<ErrorResponse>{error}</ErrorResponse>"))
    };
    let answer = |status, body: String| {
        Fault::Answer(status, vec![("content-type", "text/xml".into())], body.into_bytes())
    };
    let refresh = ["refresh", "--key", "keys/timestamp.key"];
    let before = bench.objects();
    for code in ["AccessDenied", "SignatureDoesNotMatch", "InvalidAccessKeyId", "ExpiredToken"] {
        let put = When::prefix("demo/.probe-").method("PUT");
        bench.server.fault(put, answer(403, body(code).0));
        bench.fails(4, &["s3:PutObject of demo/.probe-", &format!("{code}: {message}")], &refresh);
        bench.server.clear_faults();
    }
    let endless = body("AccessDenied").0.replace("because", &"long ".repeat(10_000));
    bench.server.fault(When::prefix("demo/.probe-").method("PUT"), answer(403, endless));
    let told = stderr(&bench.signer(&refresh));
    assert!(told.contains('…'), "{told}");
    assert!(told.len() < 6000, "{}", told.len());
    bench.server.clear_faults();
    // The token service, which gives a job its credentials.
    let identity = Identity::start(&bench.server);
    identity.fault(When::any(), answer(403, body("AccessDenied").1));
    bench.desk.write("token", "a.signed.token");
    for arguments in [&["show"][..], &["verify"], &refresh] {
        let mut command = bench.command(arguments);
        command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
        command.env("AWS_WEB_IDENTITY_TOKEN_FILE", bench.desk.path("token"));
        command.env("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/publisher");
        command.env("AWS_ENDPOINT_URL_STS", identity.endpoint());
        fails(&mut command, 4, &["requires credentials", &message]);
    }
    assert_eq!(bench.objects(), before);
}

#[test]
fn buckets_of_others_are_not_asked_over_plain_http() {
    let other = Server::start(Options::new());
    let bench = Bench::new(Options::new());
    let by_name = format!("http://localhost:{}", other.address().port());
    bench.fails(2, &["must be https"], &["show", "--endpoint", &by_name]);
    assert!(other.requests().is_empty());
}
