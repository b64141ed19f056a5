//! Writes the seeds: `RUSTFLAGS='--cfg fuzzing' cargo run --example seeds`, in this directory. Each is
//! accepted by the functions that its target calls, and the scripts of `client` end as expected.
//! `.ci/run` does the same, and fails if the result differs from the committed seeds.

use std::path::Path;

use relatch::trust::{
    Digest, Document as _, Fetched, Manifest, PublicKey, RollbackGuard, Root, SignatureText, Timestamp,
    TrustAnchor, Verified,
};
use relatch_fuzz::*;

fn write(target: &str, name: &str, content: impl AsRef<[u8]>) {
    let dir = Path::new("seeds").join(target);
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join(name), content).unwrap();
}

fn main() {
    // Some of them are not made any more.
    for target in ["client", "state"] {
        drop(std::fs::remove_dir_all(Path::new("seeds").join(target)));
    }
    let message = b"message";
    for (name, text) in [
        ("one", sign(ROOT, message)),
        ("two", sign(ROOT, message) + &sign(RELEASE, message)),
        ("twice-the-same-key", sign(ROOT, message).repeat(2)),
    ] {
        SignatureText::parse(text.as_bytes()).unwrap();
        write("signature", name, text);
    }

    // Besides what they are as texts, these say how a good signature is spoilt.
    for (name, how) in [
        ("good", &[0, 0, 0][..]),
        ("bit-of-the-signature", &[1, 40, 1]),
        ("bit-of-the-global-signature", &[2, 3, 128]),
        ("s-plus-l", &[3, 0, 0, 5, 6]),
        ("global-s-plus-l", &[4, 0, 0]),
        ("weak-r", &[5, 0, 0]),
        ("global-weak-r", &[6, 0, 0, 9]),
        ("another-id", &[7, 2, 255]),
    ] {
        let key = PublicKey::from_hex(&public(ROOT)).unwrap();
        let text = forged_block(ROOT, message, how);
        let valid = SignatureText::parse(text.as_bytes()).unwrap().count_valid(&[key], message);
        assert_eq!(valid, usize::from(["good", "another-id"].contains(&name)), "{name}");
        write("signature", name, how);
    }

    PublicKey::from_minisign(&public_file(ROOT)).unwrap();
    write("public_key", "minisign", public_file(ROOT));
    write("public_key", "hex", public(RELEASE));

    for version in [1, 2] {
        let _ = TrustAnchor::new(root_document(version).as_bytes()).unwrap();
        write("root", &format!("root-{version}"), root_document(version));
        write("canonical", &format!("root-{version}"), root_document(version));
    }
    let mut root = Root::from_canonical(root_document(2).as_bytes()).unwrap();
    root.epoch = root.epoch.next().unwrap();
    root.keys.insert(0, relatch::trust::Key { alg: "ml-dsa".parse().unwrap(), public: "00ff".into() });
    root.roles.release.keys.insert(0, "00ff".into());
    root.roles.release.keys.sort();
    root.roles.release.threshold = 2;
    root.keys.sort_by(|a, b| a.public.cmp(&b.public));
    let _ = TrustAnchor::new(&root.to_canonical()).unwrap();
    write("root", "key-of-the-future", root.to_canonical());

    let executable = Digest::of(b"executable");
    let identity_form = format!(r#"{{"encoding":"identity","from":null,"size":10,"blake3":"{executable}"}}"#);
    let zstd_forms = format!(
        r#"{{"encoding":"zstd","from":null,"size":9,"blake3":"{}"}},{{"encoding":"zstd-patch","from":"{}","size":5,"blake3":"{}"}}"#,
        Digest::of(b"zstd"),
        Digest::of(b"old"),
        Digest::of(b"patch")
    );
    let future_form =
        format!(r#"{{"encoding":"brotli","from":null,"size":8,"blake3":"{}"}}"#, Digest::of(b"brotli"));
    let artifact = |target: &str, stored: &str| {
        format!(r#"{{"target":"{target}","size":10,"blake3":"{executable}","stored":[{stored}]}}"#)
    };
    let manifest = |middle: &str, notes: &str, artifacts: &str| {
        format!(
            r#"{{"type":"relatch-manifest/1","product":"demo","channel":"stable","epoch":1,"root_version":1,"seq":7,"version":"1.4.0",{middle},"issued":1799980000,"expires":1807756000,"notes":"{notes}","artifacts":[{artifacts}]}}"#
        )
    };
    let plain = r#""min_version":null,"critical":false,"retracts":[]"#;
    for (name, text) in [
        ("identity", manifest(plain, "", &artifact("x86_64-unknown-linux-gnu", &identity_form))),
        (
            "everything",
            manifest(
                r#""min_version":"1.2.0","critical":true,"retracts":["1.10.0","1.5.0-rc.1"]"#,
                r#"Fixes a \"bug\".\nDanke, Jörg."#,
                &[
                    artifact("aarch64-apple-darwin", &format!("{identity_form},{zstd_forms}")),
                    artifact("x86_64-unknown-linux-gnu", &format!("{future_form},{identity_form}")),
                ]
                .join(","),
            ),
        ),
        ("no-targets", manifest(plain, "", "")),
    ] {
        let bytes = text.as_bytes();
        let lines = version_lines(&Digest::of(bytes));
        let version = Verified::<Timestamp>::verify(
            &signed(TIMESTAMP, lines.as_bytes()),
            &last(),
            &identity(),
            &RollbackGuard::default(),
            &times(),
        )
        .unwrap();
        let signatures = signature(RELEASE, bytes);
        let document = Fetched::new(bytes.to_vec());
        let _ =
            Verified::<Manifest>::verify(&document, &signatures, &version, &last(), &identity(), &times())
                .unwrap();
        write("manifest", name, bytes);
        write("canonical", &format!("manifest-{name}"), bytes);
        if name == "identity" {
            write("signature", "of-a-manifest", sign(RELEASE, bytes));
            write("version_file", "lines", &lines);
            write("canonical", "version", lines.lines().nth(1).unwrap());
            write("version_file", "object", lines.clone() + &sign(TIMESTAMP, lines.as_bytes()));
        }
    }

    for (name, json) in records() {
        let content = format!("{json}\n{}\n", Digest::of(json.as_bytes()));
        assert_eq!(
            relatch::fuzzing::record(content.as_bytes()).as_deref(),
            Some(content.as_bytes()),
            "{name}"
        );
        write("state", name, content);
    }

    let anchor_text = root_document(1).replace('\\', "\\\\").replace('"', "\\\"");
    for (name, ca_file, probe) in [
        ("library", "null", r#""library""#),
        ("command", r#""/etc/ssl/internal.pem""#, r#"{"command":["--check","a b"]}"#),
        ("none", "null", r#""none""#),
    ] {
        let json = format!(
            r#"{{"type":"relatch-settings/1","product":"demo","channel":"stable","target":"x86_64-unknown-linux-gnu","from":"https://releases.example.com/demo","ca_file":{ca_file},"probe":{probe},"root":"{anchor_text}"}}"#
        );
        let content = format!("{json}\n{}\n", Digest::of(json.as_bytes()));
        relatch::fuzzing::settings(content.as_bytes()).unwrap();
        write("settings", name, content);
    }

    for (name, text) in [
        ("name", "x86_64-unknown-linux-gnu"),
        ("semver", "1.2.3-rc.1"),
        ("build-number", "18446744073709551615"),
        ("digest", &executable.to_string()),
        ("notes", "Jörg:\n- α β"),
    ] {
        write("fields", name, text);
    }

    for (name, address) in [
        ("plain", "s3://example-releases/mytool"),
        (
            "another-vendor",
            "s3://example-releases/a/b?region=eu-central-1&endpoint=https://s3.example.com:9000&path-style=false",
        ),
        ("profile", "s3://Old_Bucket?endpoint=http://127.0.0.1:9000&profile=read%20only"),
    ] {
        address.parse::<relatch::source::S3Address>().unwrap();
        write("s3_address", name, address);
    }

    for (name, said) in [
        (
            "container",
            r#"{"AccessKeyId":"AKIAEXAMPLE","SecretAccessKey":"secret","Token":"token","Expiration":"2027-01-15T08:00:00Z"}"#,
        ),
        (
            "process",
            r#"{"Version":1,"AccessKeyId":"AKIAEXAMPLE","SecretAccessKey":"secret","SessionToken":"token","Expiration":"2027-01-15T09:00:00+01:00"}"#,
        ),
        (
            "role",
            "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials><AccessKeyId>ASIAEXAMPLE</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken><Expiration>2027-01-15T08:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>",
        ),
        (
            "shared-files",
            "[default]\nregion = eu-west-1\n[profile ci]\nrole_arn = arn:aws:iam::111122223333:role/reader # comment\nsource_profile = default\ns3 =\n  endpoint_url = https://s3.example.com\n",
        ),
        ("command", r#""/opt/get credentials" --for 'mytool' a\ b"#),
        ("error", "<?xml version=\"1.0\"?>\n<Error><Code>NoSuchKey</Code><Message>gone</Message></Error>"),
    ] {
        assert!(
            ["command", "error"].contains(&name) || relatch::fuzzing::credentials(said.as_bytes()) > 0,
            "{name}"
        );
        write("credentials", name, said);
    }

    let mut wrong = Vec::new();
    for (name, script, expected) in relatch_fuzz::client::seeds::all() {
        let ended = relatch_fuzz::client::run(&script);
        let as_expected = ended.len() == expected.len()
            && ended.iter().zip(expected).all(|(ended, expected)| ended.starts_with(expected));
        if !as_expected {
            wrong.push((name, ended));
        }
        write("client", name, script);
    }
    assert!(wrong.is_empty(), "they end otherwise: {wrong:#?}");
}

/// Lines of `journal`, `floors` and `cache`.
fn records() -> Vec<(&'static str, String)> {
    let (carried, newest) = (Digest::of(b"root 1"), Digest::of(b"root 2"));
    let executable = |version: &str| {
        format!(
            r#""version":"{version}","blake3":"{}","epoch":1,"domain":"{carried}""#,
            Digest::of(version.as_bytes())
        )
    };
    let (old, new) = (executable("1.3.0"), executable("1.4.0"));
    let journal = r#"{"type":"relatch-journal/1","product":"demo","rollout""#;
    let kept = format!(r#"{{"file":"previous",{new}}}"#);
    let pending =
        format!(r#"{{"file":"new-00112233445566ff","from":{{{old}}},"to":{{{new}}},"rollback":false}}"#);

    let floor = |channel: &str, min: &str, retracted: &str, later: &str| {
        format!(
            r#"{{"channel":"{channel}","seq":7,"issued":1799990000,"manifest":"{}","expires":1800594800,"manifest_expires":1807756000,"critical":false,"min_version":{min},"retracted":[{retracted}]{later}}}"#,
            Digest::of(b"manifest")
        )
    };
    let domain = |first: u64, epochs: &str, later: &str| {
        format!(
            r#"{{"id":"{carried}","lineage":{{"first":{first},"hashes":["{carried}","{newest}"]{later}}},"epoch":1,"epochs":[{epochs}]{later}}}"#
        )
    };
    let epoch = |channels: &str, later: &str| format!(r#"{{"epoch":1,"channels":[{channels}]{later}}}"#);
    let floors = |number: u64, domains: &str, later: &str| {
        format!(r#"{{"type":"relatch-floors/{number}","product":"demo","domains":[{domains}]{later}}}"#)
    };
    let both = [floor("stable", r#""1.2.0""#, r#""1.3.5""#, ""), floor("beta", "null", "", "")].join(",");
    let later = r#","later":{"a":[1,null]}"#;
    let extended = epoch(&floor("stable", "null", "", later), later);

    let cache = r#"{"type":"relatch-cache/1","product":"demo","channel":"stable","anchor""#;
    let validator = format!(
        r#"{{"location":"{}","root":"{carried}","manifest":"{}","etag":"\"5f2c9a0e1b7d4c3f8a6e5d4c3b2a1908\"","until":1800594800}}"#,
        Digest::of(b"https://releases.example.com/demo"),
        Digest::of(b"manifest")
    );
    let about = format!(r#"{{"version":"1.3.0","blake3":"{}"}}"#, Digest::of(b"1.3.0"));
    let failure = format!(
        r#"{{"at":1799999000,"count":2,"text":"VERSION expired","brief":false,"key":"{}","shown":1799990000}}"#,
        Digest::of(b"VERSION expired")
    );
    vec![
        ("journal-new", format!(r#"{journal}:42,"installed":null,"kept":[],"held":[],"pending":null}}"#)),
        (
            "journal-rolled-back",
            format!(
                r#"{journal}:7,"installed":{{{old}}},"kept":[{kept}],"held":[{{"version":"1.4.0"}}],"pending":null}}"#
            ),
        ),
        (
            "journal-swapping",
            format!(r#"{journal}:99,"installed":{{{old}}},"kept":[],"held":[],"pending":{pending}}}"#),
        ),
        (
            "journal-later",
            format!(
                r#"{{"type":"relatch-journal/2","product":"demo","rollout":7,"installed":{{{old}{later}}},"kept":[{{"file":"older",{new}{later}}}],"held":[{{"version":"1.4.0"{later}}}],"pending":null{later}}}"#
            ),
        ),
        ("floors-new", floors(1, "", "")),
        ("floors-of-two-channels", floors(1, &domain(1, &epoch(&both, ""), ""), "")),
        ("floors-later", floors(12, &domain(3, &extended, later), later)),
        (
            "cache-new",
            format!(
                r#"{cache}:"{carried}","validator":null,"finding":{{"is":"unknown"}},"about":null,"failed_probe":null,"checked":null,"root_checked":null,"failure":null,"warned":null}}"#
            ),
        ),
        (
            "cache-held",
            format!(
                r#"{cache}:"{carried}","validator":{validator},"finding":{{"is":"held","version":"1.4.0","critical":false}},"about":{about},"failed_probe":"{}","checked":1799999000,"root_checked":1799990000,"failure":{failure},"warned":1799990000}}"#,
                Digest::of(b"manifest")
            ),
        ),
    ]
}
