//! Promise: a key in AWS KMS signs what a key file signs, clients and stock minisign verify it, and KMS, or whoever answers in its place, is
//! not believed.
//!
//! KMS is here `service`, which checks requests as AWS does; and, where it is installed, `ministack` (PyPI, with `cryptography`).
#![cfg(feature = "kms")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

#[path = "../support/mod.rs"]
mod support;

mod ministack;
mod publisher;
mod service;

use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64ct::{Base64, Encoding};
use blake2::{Blake2b512, Digest};
use ministack::Ministack;
use publisher::{Publisher, refused, told_no_secret};
use serde_json::{Value, json};
use service::{ACCESS_KEY, ALIAS, ALIAS_ARN, Fault, KEY_ARN, KEY_ID, Kms, REGION, SECRET, spki};
use support::{Desk, stderr};

const KEY: &str = "awskms:alias/release";

#[test]
fn a_release_is_signed_in_kms_and_a_client_installs_it() {
    let kms = Kms::start(Fault::None);
    let publisher = Publisher::rooted(kms.endpoint(), KEY);
    drop(kms.seen());
    publisher.released("1.0.0", KEY);
    let seen = kms.seen();
    publisher.verifies("1.0.0");
    // What was asked: the public key once, then two signatures of raw bytes, each small.
    let actions: Vec<&str> = seen.iter().map(|(action, _)| action.as_str()).collect();
    assert_eq!(actions, ["GetPublicKey", "Sign", "Sign"]);
    for (action, request) in &seen {
        assert_eq!(request["KeyId"], ALIAS);
        if action == "Sign" {
            let asked = (&request["SigningAlgorithm"], &request["MessageType"]);
            assert_eq!(asked, (&json!("ED25519_SHA_512"), &json!("RAW")));
        }
    }
    let message = |at: usize| Base64::decode_vec(seen[at].1["Message"].as_str().unwrap()).unwrap();
    let (manifest, path) = publisher.manifest();
    assert_eq!(message(1), Blake2b512::digest(&manifest).to_vec());
    let signature = std::fs::read_to_string(format!("{path}.minisig")).unwrap();
    let lines: Vec<&str> = signature.lines().collect();
    let trusted = lines[2].strip_prefix("trusted comment: ").unwrap();
    let first = Base64::decode_vec(lines[1]).unwrap();
    assert_eq!(message(2), [&first[10..], trusted.as_bytes()].concat());
    // The key id is the same wherever it is shown.
    let public = Base64::decode_vec(publisher.desk.read("release.pub").lines().nth(1).unwrap()).unwrap();
    assert_eq!(first[2..10], public[2..10]);
    assert_eq!(public[2..10], blake3::hash(&public[10..]).as_bytes()[..8]);
}

#[test]
fn kms_signs_for_every_role_and_every_command() {
    let kms = Kms::start(Fault::None);
    let publisher = Publisher::bare(kms.endpoint());
    publisher.ok(&["public", "--key", KEY, "--out", "release.pub"]);
    let mut new = vec!["root", "new", "--product", "widget", "--out", "root.json"];
    for role in ["--root-key", "--release-key", "--timestamp-key"] {
        new.extend([role, "release.pub"]);
    }
    publisher.ok(&new);
    publisher.ok(&["root", "sign", "root.json", "--key", KEY]);
    assert_ne!(publisher.minisign("root.json"), Some(false));
    let repo = ["--repo", "repo", "--root", "root.json"];
    std::fs::create_dir(publisher.desk.path("repo")).unwrap();
    publisher.ok(&[&["root", "publish", "root.json"][..], &repo].concat());
    let artifact = publisher.desk.build("1.0.0");
    let prepare = ["prepare", "--version", "1.0.0", "--artifact", &artifact, "--out", "folder"];
    publisher.ok(&[&prepare[..], &repo].concat());
    publisher.ok(&["sign", "folder", "--key", KEY]);
    publisher.ok(&[&["publish", "folder"][..], &repo].concat());
    publisher.ok(&[&["refresh", "--key", KEY][..], &repo].concat());
    publisher.verifies("1.0.0");
}

#[test]
fn four_names_of_one_key() {
    let kms = Kms::start(Fault::None);
    let publisher = Publisher::bare(kms.endpoint());
    let mut files = Vec::new();
    for (count, name) in [KEY_ID, KEY_ARN, ALIAS, ALIAS_ARN].into_iter().enumerate() {
        let out = format!("{count}.pub");
        let mut command = publisher.command(&["public", "--key", &format!("awskms:{name}"), "--out", &out]);
        if name.starts_with("arn:") {
            command.env("AWS_REGION", "us-east-1"); // the name knows better
        }
        let output = told_no_secret(command.output().unwrap());
        assert!(output.status.success(), "{name}: {}", stderr(&output));
        files.push(publisher.desk.read(&out));
    }
    assert!(files.iter().all(|file| *file == files[0]), "{files:?}");
    publisher.fails(
        2,
        &["was not found", "alias/nobody"],
        &["public", "--key", "awskms:alias/nobody", "--out", "x"],
    );
    publisher.fails(5, &["0.pub"], &["public", "--key", KEY, "--out", "0.pub"]);
}

#[test]
fn what_is_no_name_is_neither_shown_nor_sent() {
    let kms = Kms::start(Fault::None);
    let publisher = Publisher::bare(kms.endpoint());
    let long = "x".repeat(5000);
    for name in [SECRET, "", "release", "///alias/release", "alias/a b", "arn:aws:s3:::bucket", &long] {
        let output = publisher.run(&["public", "--key", &format!("awskms:{name}"), "--out", "x.pub"]);
        refused(&output, 2, &["an invalid KMS name: it is ", "`awskms:alias/release`"]);
        assert!(name.is_empty() || name == "release" || !stderr(&output).contains(name), "{name}");
    }
    assert!(kms.seen().is_empty());
}

#[test]
fn a_public_key_that_clients_would_not_trust_is_refused() {
    let kms = Kms::start(Fault::None);
    let mut publisher = Publisher::rooted(kms.endpoint(), KEY);
    let before = publisher.desk.repository();
    let point = |first: u8, rest: u8, last: u8| {
        let mut bytes = [rest; 32];
        (bytes[0], bytes[31]) = (first, last);
        spki(&bytes)
    };
    let good = spki(&[7; 32]);
    let mut x25519 = good.clone();
    x25519[8] = 0x6e;
    let with_null = [&[0x30, 0x2c, 0x30, 0x07], &good[4..9], &[0x05, 0x00], &good[9..]].concat();
    let not_der = "not the DER of an Ed25519 key";
    let cases = [
        (good[12..].to_vec(), not_der),
        (good[..43].to_vec(), not_der),
        ([&good[..], &[0]].concat(), not_der),
        (x25519, not_der),
        (with_null, not_der),
        (Vec::new(), not_der),
        (point(1, 0, 0), "of small order"),
        (point(0xee, 0xff, 0x7f), "not in its canonical form"),
        (point(2, 0, 0), "not a point of the curve"),
    ];
    for (der, why) in cases {
        let kms = Kms::start(Fault::Field("GetPublicKey", "PublicKey", json!(Base64::encode_string(&der))));
        publisher.endpoint = kms.endpoint();
        refused(
            &publisher.release("1.0.0", KEY),
            3,
            &["has a public key that is", why, "AWS_ENDPOINT_URL_KMS"],
        );
        assert!(kms.seen().iter().all(|(action, _)| action != "Sign"));
    }
    assert_eq!(publisher.desk.repository(), before);
}

#[test]
fn a_key_of_another_kind_is_refused_before_it_signs() {
    let kms = Kms::start(Fault::None);
    let mut publisher = Publisher::rooted(kms.endpoint(), KEY);
    let field = |name, value| Fault::Field("GetPublicKey", name, value);
    let cases = [
        (field("KeySpec", json!("ECC_NIST_P256")), "it is ECC_NIST_P256 for SIGN_VERIFY"),
        (field("KeySpec", json!("A\u{1b}[2J")), "it is A\\u{1b}[2J for SIGN_VERIFY"),
        (field("KeySpec", Value::Null), "it is nothing for SIGN_VERIFY"),
        (field("KeyUsage", json!("KEY_AGREEMENT")), "it is ECC_NIST_EDWARDS25519 for KEY_AGREEMENT"),
        (
            Fault::Error(
                "GetPublicKey",
                400,
                "UnsupportedOperationException",
                "not valid for this operation",
            ),
            "not valid for this operation",
        ),
    ];
    for (fault, says) in cases {
        let kms = Kms::start(fault);
        publisher.endpoint = kms.endpoint();
        refused(
            &publisher.release("1.0.0", KEY),
            2,
            &["is not an ECC_NIST_EDWARDS25519 key", says, "create-key"],
        );
        assert_eq!(kms.seen().len(), 1);
    }
}

#[test]
fn a_signature_that_does_not_verify_is_not_used() {
    let kms = Kms::start(Fault::None);
    let mut publisher = Publisher::rooted(kms.endpoint(), KEY);
    let artifact = publisher.desk.build("1.0.0");
    let prepare = ["prepare", "--repo", "repo", "--root", "root.json", "--version", "1.0.0"];
    publisher.ok(&[&prepare[..], &["--artifact", &artifact, "--out", "folder"]].concat());
    let before = publisher.desk.repository();
    let signature =
        |length| Fault::Field("Sign", "Signature", json!(Base64::encode_string(&vec![1; length])));
    let cases = [
        (Fault::OtherMessage, "does not verify with the key"),
        // The digest's, or the one over that and the trusted comment.
        (Fault::OtherKey(|length| length == 64), "does not verify with the key"),
        (Fault::OtherKey(|length| length > 64), "does not verify with the key"),
        (signature(64), "does not verify with the key"),
        (signature(63), "a signature of 63 bytes instead of 64"),
        (signature(65), "a signature of 65 bytes instead of 64"),
        (Fault::Field("Sign", "Signature", Value::Null), "a signature of 0 bytes instead of 64"),
    ];
    for (fault, says) in cases {
        let kms = Kms::start(fault);
        publisher.endpoint = kms.endpoint();
        refused(&publisher.release("1.0.0", KEY), 3, &[says]);
        publisher.fails(3, &[says], &["sign", "folder", "--key", KEY]);
        assert!(!publisher.desk.path("folder/manifest.json.minisig").exists());
    }
    assert_eq!(publisher.desk.repository(), before);
}

/// The key before it can sign, KMS does not: neither has signed.
#[test]
fn a_key_file_does_not_sign_alone() {
    let kms = Kms::start(Fault::None);
    let mut publisher = Publisher::rooted(kms.endpoint(), KEY);
    let artifact = publisher.desk.build("1.0.0");
    let prepare = ["prepare", "--repo", "repo", "--root", "root.json", "--version", "1.0.0"];
    publisher.ok(&[&prepare[..], &["--artifact", &artifact, "--out", "folder"]].concat());
    let mut new = vec!["root", "new", "--product", "widget", "--threshold", "root=2", "--out", "two.json"];
    new.extend(["--root-key", "root.pub", "--root-key", "release.pub"]);
    new.extend(["--release-key", "release.pub", "--timestamp-key", "timestamp.pub"]);
    publisher.ok(&new);
    let sign = ["sign", "folder", "--key", "timestamp.key", "--key", KEY];
    let sign_root = ["root", "sign", "two.json", "--key", "root.key", "--key", KEY];
    let tree = |publisher: &Publisher| {
        let mut tree = Vec::new();
        for dir in [".", "folder"] {
            for entry in std::fs::read_dir(publisher.desk.path(dir)).unwrap() {
                let path = entry.unwrap().path();
                tree.push((path.clone(), path.is_file().then(|| std::fs::read(&path).unwrap())));
            }
        }
        tree.sort();
        tree
    };
    let before = tree(&publisher);
    let faults = [
        (Fault::Error("Sign", 400, "AccessDeniedException", "no"), 2, "kms:Sign was denied"),
        (Fault::Error("Sign", 400, "ThrottlingException", "Rate exceeded"), 4, "temporarily unavailable"),
        (Fault::OtherMessage, 3, "does not verify with the key"),
        (Fault::OtherKey(|length| length > 64), 3, "does not verify with the key"),
    ];
    for (fault, code, says) in faults {
        let kms = Kms::start(fault);
        publisher.endpoint = kms.endpoint();
        for arguments in [&sign[..], &sign_root] {
            publisher.fails(code, &[says], arguments);
            assert!(kms.seen().iter().any(|(action, _)| action == "Sign"), "it was asked");
            assert!(tree(&publisher) == before, "{arguments:?}: something was written");
        }
    }
    // With a KMS that signs, all of them have.
    publisher.endpoint = kms.endpoint();
    publisher.ok(&sign);
    publisher.ok(&sign_root);
    publisher.ok(&["publish", "folder", "--repo", "repo", "--root", "root.json"]);
    publisher.verifies("1.0.0");
    assert!(publisher.ok(&["root", "show", "two.json"]).contains("signed by 2 of its own root keys"));
}

#[test]
fn what_kms_refuses_is_told_with_what_to_do() {
    let kms = Kms::start(Fault::None);
    let mut publisher = Publisher::rooted(kms.endpoint(), KEY);
    let before = publisher.desk.repository();
    let denied = "User: arn:aws:sts::111122223333:assumed-role/ci/x is not authorized to perform it\u{1b}[2J\u{202e} because no identity-based policy allows it";
    let shown =
        "x is not authorized to perform it\\u{1b}[2J\\u{202e} because no identity-based policy allows it";
    // AWS says at the end why it refuses.
    let long: &'static str = format!("User: {} because it ended", "arn:aws:sts::1 ".repeat(200)).leak();
    let cases = [
        ("GetPublicKey", 400, "AccessDeniedException", denied, 2, ["kms:GetPublicKey was denied", shown]),
        ("Sign", 400, "AccessDeniedException", denied, 2, ["kms:Sign was denied", "keys/README.md"]),
        ("Sign", 400, "UnrecognizedClientException", long, 2, ["AWS rejects", long]),
        ("Sign", 400, "DisabledException", "KEY is disabled.", 2, ["KEY is disabled.", "enable-key"]),
        ("Sign", 400, "KMSInvalidStateException", "pending deletion", 2, ["state", "cancel-key-deletion"]),
        ("GetPublicKey", 400, "ExpiredTokenException", "expired", 2, ["AWS rejects", "get-caller-identity"]),
        (
            "Sign",
            400,
            "SomethingNewException",
            "new",
            2,
            ["SomethingNewException: new", "Nothing was signed"],
        ),
        ("Sign", 400, "ThrottlingException", "Rate exceeded", 4, ["temporarily unavailable", "Try again"]),
        ("GetPublicKey", 500, "KMSInternalException", "", 4, ["KMSInternalException", "Try again"]),
        ("GetPublicKey", 503, "SomethingNew", "", 4, ["SomethingNew", "Try again"]),
    ];
    for (action, status, code, message, exit, says) in cases {
        let kms = Kms::start(Fault::Error(action, status, code, message));
        publisher.endpoint = kms.endpoint();
        refused(&publisher.release("1.0.0", KEY), exit, &says);
    }
    assert_eq!(publisher.desk.repository(), before);
}

#[test]
fn a_busy_kms_is_asked_again() {
    let kms = Kms::start(Fault::None);
    let mut publisher = Publisher::rooted(kms.endpoint(), KEY);
    let kms = Kms::start(Fault::Throttled(Arc::new(Mutex::new(2))));
    publisher.endpoint = kms.endpoint();
    publisher.released("1.0.0", KEY);
    assert_eq!(kms.seen().len(), 2 + 3);
    publisher.verifies("1.0.0");
}

#[test]
fn an_answer_that_is_none_of_kms() {
    let bad_gateway = b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nContent-Length: 15\r\nConnection: close\r\n\r\n<h1>proxy</h1>\n";
    let cut_short = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\n{";
    let not_json = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]";
    for bytes in [&bad_gateway[..], cut_short, not_json] {
        let kms = Kms::start(Fault::Raw("GetPublicKey", bytes));
        let publisher = Publisher::bare(kms.endpoint());
        let public = ["public", "--key", KEY, "--out", "x.pub"];
        publisher.fails(4, &["cannot be reached", "AWS_ENDPOINT_URL_KMS"], &public);
        assert!(!publisher.desk.path("x.pub").exists());
    }
}

#[test]
fn nobody_waits_for_ever() {
    let public = ["public", "--key", KEY, "--out", "x.pub"];
    let limit = Duration::from_secs(60); // twice what it may take
    // Nobody listens.
    let begun = Instant::now();
    Publisher::bare("http://127.0.0.1:1".into()).fails(4, &["cannot be reached", "AWS_REGION"], &public);
    assert!(begun.elapsed() < limit);
    // It never ends.
    let begun = Instant::now();
    let kms = Kms::start(Fault::Endless("GetPublicKey"));
    Publisher::bare(kms.endpoint()).fails(4, &["cannot be reached", "length limit exceeded"], &public);
    assert!(begun.elapsed() < limit);
    // It listens and says nothing.
    let kms = Kms::start(Fault::None);
    let mut publisher = Publisher::rooted(kms.endpoint(), KEY);
    let kms = Kms::start(Fault::Silence("Sign"));
    publisher.endpoint = kms.endpoint();
    let (before, begun) = (publisher.desk.repository(), Instant::now());
    refused(&publisher.release("1.0.0", KEY), 4, &["no answer within 30 s", "Nothing was signed"]);
    assert!(begun.elapsed() < limit);
    assert_eq!(publisher.desk.repository(), before);
}

#[test]
fn credentials_and_region_come_from_where_aws_keeps_them() {
    let kms = Kms::start(Fault::None);
    let publisher = Publisher::bare(kms.endpoint());
    let public = |out: &str, change: &dyn Fn(&mut Command)| {
        let mut command = publisher.command(&["public", "--key", KEY, "--out", out]);
        change(&mut command);
        told_no_secret(command.output().unwrap())
    };
    let without = |names: &'static [&'static str]| {
        move |command: &mut Command| {
            for name in names {
                command.env_remove(name);
            }
        }
    };
    let all = &[
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_REGION",
        "AWS_ENDPOINT_URL_KMS",
    ];
    let region = public("x.pub", &without(&["AWS_REGION"]));
    refused(&region, 2, &["has no region", "Set AWS_REGION"]);
    let credentials = public("x.pub", &without(&all[..3]));
    refused(&credentials, 2, &["requires credentials", "AWS_PROFILE", "OIDC"]);
    let refusals = [
        ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLEOFANOTHER", "UnrecognizedClientException"),
        ("AWS_SECRET_ACCESS_KEY", "another", "InvalidSignatureException"),
    ];
    for (name, value, code) in refusals {
        let output = public("x.pub", &|command| {
            command.env(name, value);
        });
        refused(&output, 2, &["credentials that AWS rejects", code, "get-caller-identity"]);
    }
    // A profile has everything.
    std::fs::create_dir(publisher.desk.path(".aws")).unwrap();
    let profile = format!(
        "[profile ci]\nregion = {REGION}\nservices = local\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET}\n\
         [services local]\nkms =\n  endpoint_url = {}\n",
        publisher.endpoint
    );
    publisher.desk.write(".aws/config", profile);
    let output = public("profile.pub", &|command| {
        without(all)(command);
        command.env("AWS_PROFILE", "ci");
    });
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(!publisher.desk.path("x.pub").exists() && publisher.desk.path("profile.pub").exists());
}

#[test]
fn a_release_is_signed_in_a_kms_that_somebody_else_wrote() {
    let desk = Desk::bare();
    let Some(server) = Ministack::start(&desk) else { return };
    let made =
        server.ask("CreateKey", &json!({"KeySpec": "ECC_NIST_EDWARDS25519", "KeyUsage": "SIGN_VERIFY"}));
    let Some(arn) = made["KeyMetadata"]["Arn"].as_str() else {
        println!("skipped: ministack makes no Ed25519 key, as without the package cryptography: {made}");
        return;
    };
    server.ask("CreateAlias", &json!({"AliasName": ALIAS, "TargetKeyId": arn}));
    for (version, key) in [("1.0.0", KEY.to_owned()), ("1.0.1", format!("awskms:{arn}"))] {
        let publisher = Publisher::rooted(format!("http://127.0.0.1:{}", server.port), &key);
        publisher.released(version, &key);
        publisher.verifies(version);
    }
    let other = server.ask("CreateKey", &json!({"KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY"}));
    let other = format!("awskms:{}", other["KeyMetadata"]["KeyId"].as_str().unwrap());
    let publisher = Publisher::bare(format!("http://127.0.0.1:{}", server.port));
    let says = ["it is ECC_NIST_P256 for SIGN_VERIFY", "create-key"];
    publisher.fails(2, &says, &["public", "--key", &other, "--out", "x.pub"]);
}
