//! Promise: what a directory can do, a bucket can, and clients find what they need there.

use relatch::source::{Credentials, ProvideCredentials, S3};
use relatch::{Checked, Outcome, Updater};
use test_s3::{Conditions, Options};

use crate::bench::{Bench, KEYS};
use crate::support::{run_fresh, stderr};

struct Keys(Credentials);

impl ProvideCredentials for Keys {
    fn credentials(&self) -> Result<Credentials, String> {
        Ok(self.0.clone())
    }
}

/// Installs over HTTPS as everybody can.
fn installed(bench: &Bench) -> Updater {
    let from = format!("{}/test/demo", bench.server.endpoint());
    bench.desk.client_from(&from, Some(bench.ca()), &bench.desk.path("widget")).unwrap()
}

/// The same, from now on by signed requests.
fn signed(bench: &Bench, updater: Updater) -> Updater {
    let address =
        format!("{}?endpoint={}&region={}", bench.repo, bench.server.endpoint(), bench.server.region());
    let keys = bench.server.credentials();
    let keys = Keys(Credentials::new(&keys.access_key, &keys.secret_key, None));
    let source = S3::new(&address).unwrap().credentials(keys).ca_file(&bench.ca()).unwrap();
    updater.source(source)
}

#[test]
fn from_the_first_root_to_the_second() {
    let bench = Bench::with_tls(Options::new().anonymous_read(true), "demo");
    let told = bench.init();
    assert!(told.contains("published root 1 to s3://test/demo"), "{told}");
    assert!(told.contains("\n  conditional writes: honoured"), "{told}");
    let told = bench.released("1.0.0");
    assert!(told.contains("4 objects written, 0 existed already; all read back and verified"), "{told}");
    assert!(told.contains("\n  public: also read back without credentials"), "{told}");
    assert!(told.contains("\n  conditional writes: honoured"), "{told}");
    let mut client = installed(&bench);
    assert!(matches!(client.check(true).unwrap(), Checked::Nothing(_)));

    let artifact = bench.desk.build("1.1.0");
    let release = ["release", "--version", "1.1.0", "--artifact", &artifact, "--patches"];
    bench.ok(&[&release[..], &KEYS].concat());
    let told = bench.ok(&["refresh", "--rollout", "100", "--key", "keys/timestamp.key"]);
    assert!(told.contains("refreshed widget 1.1.0 on stable"), "{told}");
    let told = bench.ok(&["show"]);
    assert!(told.contains("1.1.0 on stable, release "), "{told}");
    let told = bench.ok(&["verify"]);
    assert!(told.contains("verifies: root 1, channels: 1, stored forms decoded: 2; 5 manifests"), "{told}");

    bench.ok(&["root", "renew", "root.json", "--out", "root2.json"]);
    bench.ok(&["root", "sign", "root2.json", "--key", "keys/root.key"]);
    let told = bench.ok(&["root", "publish", "root2.json"]);
    assert!(told.contains("published root 2 to s3://test/demo"), "{told}");
    let told = bench.ok(&["verify"]);
    assert!(told.contains("verifies: root 2"), "{told}");

    let mut client = signed(&bench, client);
    assert!(matches!(client.update(true).unwrap(), Outcome::Updated { .. }));
    let output = run_fresh(&mut std::process::Command::new(bench.desk.path("widget")));
    assert_eq!(output.stdout, b"1.1.0\n");
    // Nothing but the repository is left.
    let keys = bench.server.keys("");
    assert!(keys.iter().all(|key| !key.contains("/.")), "{keys:?}");
    assert!(keys.iter().all(|key| key.starts_with("demo/")), "{keys:?}");
}

#[test]
fn a_prefix_has_as_many_segments_as_it_likes() {
    for prefix in ["", "a/b-c/d_e"] {
        let bench = Bench::bare(Options::new(), prefix);
        bench.init();
        bench.released("1.0.0");
        bench.ok(&["refresh", "--key", "keys/timestamp.key"]);
        assert!(bench.ok(&["verify"]).contains("2 manifests and blobs"), "{prefix}");
        let names = ["root/1.json", "root/1.json.minisig", "stable/VERSION"];
        for name in names {
            assert!(bench.server.get(&bench.key(name)).is_some(), "{prefix}: {name}");
        }
    }
}

#[test]
fn all_but_version_may_be_cached_for_ever() {
    let bench = Bench::new(Options::new());
    bench.released("1.0.0");
    let keys = bench.server.keys("");
    assert_eq!(keys.len(), 6, "{keys:?}");
    for key in keys {
        let stored = bench.server.metadata(&key).unwrap();
        let cache =
            if key.ends_with("/VERSION") { "no-cache" } else { "public, max-age=31536000, immutable" };
        let content = match key.split('.').next_back().unwrap() {
            "json" => "application/json",
            "minisig" => "text/plain; charset=utf-8",
            _ if key.ends_with("VERSION") => "text/plain; charset=utf-8",
            _ => "application/octet-stream",
        };
        assert_eq!(stored.cache_control.as_deref(), Some(cache), "{key}");
        assert_eq!(stored.content_type.as_deref(), Some(content), "{key}");
    }
}

#[test]
fn a_bucket_is_private_where_nobody_else_can_read_it() {
    let bench = Bench::new(Options::new());
    let told = bench.released("1.0.0");
    assert!(told.contains("\n  private: cannot be read without credentials"), "{told}");
    assert!(bench.server.requests().iter().any(|request| !request.signed && request.status == Some(403)));
}

/// A bucket that shows its blobs to nobody and the rest to everybody: no client without credentials could install.
#[test]
fn what_everybody_is_promised_everybody_must_be_able_to_read() {
    let bench = Bench::new(Options::new().anonymous_read(true));
    let objects = bench.server.objects();
    // It changes between the two readings, which is as good as being another one.
    bench.server.run(test_s3::When::key("demo/stable/VERSION").method("GET"), move |request| {
        if !request.signed {
            for key in objects.keys("demo/blobs/") {
                objects.put(&key, "something else");
            }
        }
    });
    let artifact = bench.desk.build("1.0.0");
    let release = ["release", "--version", "1.0.0", "--artifact", &artifact];
    bench.fails(3, &["blobs/"], &[&release[..], &KEYS].concat());
}

#[test]
fn flags_are_stronger_than_the_address_and_the_address_than_the_environment() {
    let bench = Bench::new(Options::new());
    bench.released("1.0.0");
    let endpoint = bench.server.endpoint();
    let nowhere = "http://127.0.0.1:1";
    let show = |repo: &str, flags: &[&str], environment: &str| {
        let mut command = bench.command(&[&["show", "--repo", repo], flags].concat());
        command.env_remove("AWS_ENDPOINT_URL").env("AWS_ENDPOINT_URL_S3", environment);
        command.env("AWS_MAX_ATTEMPTS", "1").output().unwrap()
    };
    let at = |endpoint: &str| format!("{}?endpoint={endpoint}&region=eu-test-1", bench.repo);
    for (repo, flags, environment) in [
        (bench.repo.clone(), &[][..], &*endpoint),
        (at(&endpoint), &[], nowhere),
        (at(nowhere), &["--endpoint", &endpoint], nowhere),
        (bench.repo.clone(), &["--endpoint", &endpoint, "--region", "eu-test-1", "--path-style"], nowhere),
    ] {
        let output = show(&repo, flags, environment);
        assert!(output.status.success(), "{repo} {flags:?}: {}", stderr(&output));
    }
    for (repo, flags, says) in [
        ("repo", &["--region", "eu-test-1"][..], "--endpoint, --region and --path-style require s3://"),
        ("repo", &["--path-style"], "--endpoint, --region and --path-style require s3://"),
        ("s3://test/demo", &["--endpoint", "http://localhost:9000"], "must be https"),
        ("s3://test/demo", &["--endpoint", "http://192.0.2.1"], "must be https"),
        ("s3://test/demo?key=x", &[], "unknown option `key`"),
        ("ftp://test/demo", &[], "reads `https:`, `s3:` and directories, not `ftp:`"),
    ] {
        let output = show(repo, flags, &endpoint);
        assert_eq!(output.status.code(), Some(2), "{repo} {flags:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(says), "{repo} {flags:?}: {}", stderr(&output));
    }
    let output = show("s3://test/demo", &[], "http://192.0.2.1");
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
}

#[test]
fn a_profile_is_as_good_as_variables() {
    let bench = Bench::new(Options::new());
    bench.released("1.0.0");
    let (keys, endpoint) = (bench.server.credentials(), bench.server.endpoint());
    bench.desk.write(
        "aws-credentials",
        format!(
            "[ci]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
            keys.access_key, keys.secret_key
        ),
    );
    bench.desk.write(
        "aws-config",
        format!("[profile ci]\nregion = eu-test-1\nservices = local\n[services local]\ns3 =\n  endpoint_url = {endpoint}\n"),
    );
    let clean = |arguments: &[&str]| {
        let mut command = bench.command(arguments);
        for (name, _) in bench.server.environment() {
            command.env_remove(name);
        }
        command
    };
    let by_address = format!("{}?profile=ci", bench.repo);
    let output = clean(&["show", "--repo", &by_address]).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let output = clean(&["show"]).env("AWS_PROFILE", "ci").output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn a_changed_blob_is_found() {
    let bench = Bench::new(Options::new());
    bench.released("1.0.0");
    bench.released("1.1.0");
    let blobs = bench.server.keys("demo/blobs/");
    assert_eq!(blobs.len(), 2);
    for blob in blobs {
        let before = bench.server.get(&blob).unwrap();
        let mut changed = before.clone();
        changed[3] ^= 1;
        bench.server.put(&blob, changed);
        let name = blob.strip_prefix("demo/").unwrap();
        bench.fails(3, &[name], &["verify"]);
        bench.server.put(&blob, before);
    }
    bench.ok(&["verify"]);
    bench.server.put("demo/blobs/readme.txt", "hello");
    bench.fails(3, &["blobs/readme.txt is not an object of a repository"], &["verify"]);
}

/// What other publishers leave, and what probes and locks are, is nobody's concern.
#[test]
fn leftovers_of_publishers_are_no_objects() {
    let bench = Bench::new(Options::new());
    bench.released("1.0.0");
    for key in
        ["demo/.probe-0123456789abcdef", "demo/stable/.lock", "demo/root/.lock", "demo/manifests/.lock-00"]
    {
        bench.server.put(key, "{}");
    }
    bench.ok(&["verify"]);
    bench.ok(&["show"]);
}

#[test]
fn what_the_server_does_with_conditions_is_told() {
    for (conditions, told) in [
        (Conditions::Atomic, "conditional writes: honoured"),
        (Conditions::Racy, "conditional writes: not atomic on this server; a lock object is used"),
        (Conditions::Ignored, "conditional writes: ignored by this server; a lock object is used"),
    ] {
        let bench = Bench::bare(Options::new().conditions(conditions), "demo");
        let init = bench.init();
        assert!(init.contains(told), "{init}");
        let keys = bench.server.keys("");
        assert_eq!(keys, ["demo/root/1.json", "demo/root/1.json.minisig"]);
    }
}
