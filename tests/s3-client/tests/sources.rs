//! Promise: each source of credentials gives access, in AWS's order; without any, a start knows within its 1.5 s where was looked, though
//! the address of the instance metadata answers nothing; and no secret is shown by any of it.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use support::{CONTENT, OBJECT, ROLE, Reading, Scene};
use test_s3::{Credentials, Fault, Options, When};

fn temporary() -> Options {
    Options::new().credentials(
        Credentials::new("ASIATEMPORARY", "secret/of+no=value").session_token("token/of+no=value"),
    )
}

fn environment(scene: &Scene) -> Vec<(&str, &str)> {
    let keys = scene.keys();
    let mut variables =
        vec![("AWS_ACCESS_KEY_ID", &*keys.access_key), ("AWS_SECRET_ACCESS_KEY", &*keys.secret_key)];
    variables.extend(keys.session_token.as_deref().map(|token| ("AWS_SESSION_TOKEN", token)));
    variables
}

#[test]
fn the_environment() {
    for options in [Options::new(), temporary()] {
        let scene = Scene::with(options);
        scene.read(&environment(&scene)).assert_has_access();
    }
    let scene = Scene::with(temporary());
    let without_token = &environment(&scene)[..2];
    scene
        .read(without_token)
        .assert_no_credentials(&["403 InvalidAccessKeyId to the credentials from the environment"]);
    let scene = Scene::new();
    scene
        .read(&[("AWS_ACCESS_KEY_ID", &*scene.keys().access_key), ("AWS_SECRET_ACCESS_KEY", "WRONG")])
        .assert_no_credentials(&[
            "403 SignatureDoesNotMatch to the credentials from the environment",
            "the secret access key does not",
        ]);
}

#[test]
fn region_and_endpoint_come_from_the_environment_too() {
    let scene = Scene::new();
    let endpoint = scene.server.endpoint();
    for (region, url) in [("AWS_REGION", "AWS_ENDPOINT_URL_S3"), ("AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL")] {
        let mut variables = environment(&scene);
        variables.extend([(region, scene.server.region()), (url, &*endpoint)]);
        scene.read_at("s3://test/demo", &variables).assert_has_access();
        let request = scene.server.requests().pop().unwrap();
        assert!(request.header("authorization").unwrap().contains("/eu-test-1/s3/"));
    }
    let mut variables = environment(&scene);
    variables.push(("AWS_ENDPOINT_URL", "http://s3.example.com"));
    let refused = scene.read_at("s3://test/demo", &variables);
    assert_eq!(refused.0.status.code(), Some(4));
    assert!(
        refused.stderr().contains("AWS_ENDPOINT_URL: repository s3://test/demo: the endpoint"),
        "{}",
        refused.stderr()
    );
}

#[test]
fn a_profile_with_keys() {
    for options in [Options::new(), temporary()] {
        let scene = Scene::with(options);
        let keys = scene.keys_as_properties();
        let properties =
            format!("region = {}\nendpoint_url = {}\n", scene.server.region(), scene.server.endpoint());
        scene.shared_files(
            &format!("[default]\n{properties}[profile ci]\n{properties}{keys}"),
            &format!("[default]\n{keys}"),
        );
        scene.read_at("s3://test/demo", &[]).assert_has_access();
        scene.read_at("s3://test/demo", &[("AWS_PROFILE", "ci")]).assert_has_access();
        scene.read_at("s3://test/demo?profile=ci", &[]).assert_has_access();
        // The address's profile alone counts, whatever is in the environment.
        let other = [("AWS_ACCESS_KEY_ID", "OTHER"), ("AWS_SECRET_ACCESS_KEY", "OTHER")];
        scene.read_at("s3://test/demo?profile=ci", &other).assert_has_access();
        scene
            .read_at("s3://test/demo", &other)
            .assert_no_credentials(&["InvalidAccessKeyId to the credentials from the environment"]);
        let told = ["Tried: profile `prod`: not found in", "/.aws/config and ", "/.aws/credentials"];
        scene.read_at(&format!("{}&profile=prod", scene.address()), &other).assert_no_credentials(&told);
    }
}

#[test]
fn shared_files_elsewhere() {
    let scene = Scene::new();
    let config = scene.file("my config", "[profile ci]\nregion = eu-test-1\n");
    let credentials = scene.file("my credentials", &format!("[ci]\n{}", scene.keys_as_properties()));
    let variables = [
        ("AWS_CONFIG_FILE", &*config),
        ("AWS_SHARED_CREDENTIALS_FILE", &*credentials),
        ("AWS_PROFILE", "ci"),
    ];
    scene.read(&variables).assert_has_access();
}

#[test]
fn a_program_of_the_profile() {
    let scene = Scene::with(temporary());
    let keys = scene.keys();
    let json = |expiration: &str| {
        let (id, secret) = (&keys.access_key, &keys.secret_key);
        let token = keys.session_token.as_ref().unwrap();
        format!(
            r#"{{"Version": 1, "AccessKeyId": "{id}", "SecretAccessKey": "{secret}", "SessionToken": "{token}"{expiration}}}"#
        )
    };
    scene.file("answer", &json(r#", "Expiration": "2099-11-23T05:30:00Z""#));
    // By a shell, because a file that was just written may still be open in another thread's child.
    let script = |text: &str| scene.file("my script", text);
    let path = script(&format!("[ \"$1\" = 'it is' ] && cat {}/answer", scene.home.path().display()));
    scene.shared_files(&format!("[default]\ncredential_process = /bin/sh \"{path}\" 'it is'\n"), "");
    scene.read(&[]).assert_has_access();

    let told = "the credential_process of profile `default`";
    for (text, why) in [
        ("echo SECRET >&2; exit 3", "failed: exit status: 3"),
        ("echo SECRET", "did not print credentials as JSON"),
        (
            r#"echo '{"Version": 2, "AccessKeyId": "A", "SecretAccessKey": "SECRET"}'"#,
            "of a `Version` other than 1",
        ),
        (
            r#"echo '{"Version": 1, "AccessKeyId": "SECRET", "SecretAccessKey": ["SECRET"]}'"#,
            "did not print credentials",
        ),
        ("head -c 1000000 /dev/zero", "did not print credentials as JSON"),
    ] {
        script(text);
        let reading = scene.read(&[]);
        reading.assert_no_credentials(&[told, why]);
        assert!(!reading.stderr().contains("SECRET"), "{}", reading.stderr());
    }
    scene.shared_files("[default]\ncredential_process = /nonexistent; echo\n", "");
    scene.read(&[]).assert_no_credentials(&[told, "cannot be run"]);
}

#[test]
fn a_role_with_the_keys_of_another_profile() {
    let scene = Scene::new();
    let second = "arn:aws:iam::000000000000:role/second";
    scene.identity.allow_assume_role(&scene.keys().access_key, ROLE);
    (0..3).for_each(|n| scene.identity.allow_assume_role(&format!("ASIATEST0000000{n}"), second));
    let sts = scene.identity.endpoint();
    let config = format!(
        "[profile reader]\nrole_arn = {ROLE}\nsource_profile = base\nrole_session_name = me@x\nexternal_id = e/1\nduration_seconds = 900\n\
         [profile self]\nrole_arn = {ROLE}\nsource_profile = self\n{0}\
         [profile second]\nrole_arn = {second}\nsource_profile = reader\n\
         [profile environment]\nrole_arn = {ROLE}\ncredential_source = Environment\n\
         [profile forbidden]\nrole_arn = arn:aws:iam::000000000000:role/other\nsource_profile = base\n\
         [profile mfa]\nrole_arn = {ROLE}\nsource_profile = base\nmfa_serial = arn:aws:iam::1:mfa/me\n\
         [profile round]\nrole_arn = {ROLE}\nsource_profile = and-round\n\
         [profile and-round]\nrole_arn = {ROLE}\nsource_profile = round\n\
         [profile lost]\nrole_arn = {ROLE}\nsource_profile = nobody\n\
         [profile sso]\nsso_session = x\nsso_account_id = 1\n",
        scene.keys_as_properties()
    );
    scene.shared_files(&config, &format!("[base]\n{}", scene.keys_as_properties()));
    let read = |profile: &str| {
        let address = format!("{}&profile={profile}", scene.address());
        let mut variables = environment(&scene);
        variables.push(("AWS_ENDPOINT_URL_STS", &sts));
        scene.read_at(&address, &variables)
    };
    for profile in ["reader", "second", "self", "environment"] {
        scene.server.clear_requests();
        read(profile).assert_has_access();
        let request = scene.server.requests().pop().unwrap();
        assert!(request.access_key.unwrap().starts_with("ASIATEST"), "{profile}");
    }
    for (profile, why) in [
        ("forbidden", "cannot assume role arn:aws:iam::000000000000:role/other at http://127.0.0.1:"),
        ("forbidden", "the server answered 403 AccessDenied"),
        ("mfa", "requires an MFA code (mfa_serial)"),
        ("round", "the source_profile of profile `round` leads back to that profile"),
        ("lost", "profile `nobody`: not found in"),
        ("sso", "profile `sso` has `sso_account_id`, which requires relatch's feature `s3-sdk`"),
    ] {
        read(profile).assert_no_credentials(&[why]);
    }
}

#[test]
fn a_web_identity() {
    let scene = Scene::new();
    scene.identity.allow_web_identity("the.web/identity+token", ROLE);
    let file = scene.file("token", "the.web/identity+token\n");
    let sts = scene.identity.endpoint();
    let variables =
        [("AWS_WEB_IDENTITY_TOKEN_FILE", &*file), ("AWS_ROLE_ARN", ROLE), ("AWS_ENDPOINT_URL_STS", &*sts)];
    scene.read(&variables).assert_has_access();
    let request = scene.server.requests().pop().unwrap();
    assert_eq!(request.access_key.as_deref(), Some("ASIATEST00000000"));

    let config = format!("[profile web]\nrole_arn = {ROLE}\nweb_identity_token_file = {file}\n");
    scene.shared_files(&config, "");
    scene.read(&[("AWS_PROFILE", "web"), ("AWS_ENDPOINT_URL_STS", &*sts)]).assert_has_access();

    scene.file("token", "SECRET");
    let reading = scene.read(&variables);
    reading.assert_no_credentials(&["the server answered 400 InvalidIdentityToken"]);
    assert!(!reading.stderr().contains("SECRET"));
    std::fs::remove_file(&file).unwrap();
    scene.read(&variables).assert_no_credentials(&["the web identity token file ", " does not exist"]);
    scene.read(&variables[..1]).assert_no_credentials(&["AWS_ROLE_ARN is not"]);
    scene.file("token", "SECRET");
    let plain = [variables[0], variables[1], ("AWS_ENDPOINT_URL_STS", "http://sts.example.com")];
    scene.read(&plain).assert_no_credentials(&["not an https URL"]);
    let with_credentials =
        [variables[0], variables[1], ("AWS_ENDPOINT_URL_STS", "https://user:SECRET@sts.example.com")];
    let reading = scene.read(&with_credentials);
    reading.assert_no_credentials(&["https://sts.example.com: the address contains credentials"]);
    assert!(!reading.stderr().contains("SECRET"), "{}", reading.stderr());
}

#[test]
fn the_container() {
    let scene = Scene::new();
    scene.identity.allow_container("Bearer of/the+token");
    let uri = scene.identity.container_uri();
    let file = scene.file("token", "Bearer of/the+token\n");
    let full = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*uri);
    scene.read(&[full, ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Bearer of/the+token")]).assert_has_access();
    scene.read(&[full, ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &file)]).assert_has_access();
    let config = format!("[profile c]\nrole_arn = {ROLE}\ncredential_source = EcsContainer\n");
    scene.shared_files(&config, "");
    scene.identity.allow_assume_role("ASIATEST00000002", ROLE);
    let sts = scene.identity.endpoint();
    let by_profile =
        [full, ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &*file), ("AWS_ENDPOINT_URL_STS", &*sts)];
    scene.read_at(&format!("{}&profile=c", scene.address()), &by_profile).assert_has_access();

    scene
        .read(&[full, ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "SECRET")])
        .assert_no_credentials(&["the server answered 401"]);
    for url in ["http://example.com/SECRET", "http://user:SECRET@127.0.0.1/"] {
        let reading = scene.read(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)]);
        reading.assert_no_credentials(&["neither https nor a loopback address"]);
        assert!(!reading.stderr().contains("SECRET"), "{}", reading.stderr());
    }
    let nowhere = scene.nowhere();
    scene
        .read(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*nowhere)])
        .assert_no_credentials(&["container credentials at", "timeout"]);
}

#[test]
fn the_machine() {
    let scene = Scene::new();
    scene.identity.allow_instance("reader-role");
    let metadata = scene.identity.endpoint();
    let variables = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", &*metadata)];
    scene.read_with_metadata(&variables).assert_has_access();
    let asked: Vec<_> =
        scene.identity.requests().into_iter().map(|request| (request.method, request.path)).collect();
    assert_eq!(asked.len(), 3, "{asked:?}");
    // A proxy is for others.
    let proxy = scene.nowhere();
    scene
        .read_with_metadata(&[variables[0], ("ALL_PROXY", &proxy), ("HTTP_PROXY", &proxy)])
        .assert_has_access();

    let off = [variables[0], ("AWS_EC2_METADATA_DISABLED", "true")];
    scene.read_with_metadata(&off).assert_no_credentials(&["disabled by AWS_EC2_METADATA_DISABLED"]);
    scene.identity.fault(When::key("latest/api/token"), Fault::Answer(403, Vec::new(), Vec::new()));
    scene
        .read_with_metadata(&variables)
        .assert_no_credentials(&["instance metadata: http://127.0.0.1:", "the server answered 403"]);
    let elsewhere = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://example.com")];
    scene
        .read_with_metadata(&elsewhere)
        .assert_no_credentials(&["not an http URL with a loopback or link-local address"]);
}

#[test]
fn a_machine_without_a_role() {
    let scene = Scene::new();
    let metadata = scene.identity.endpoint();
    scene
        .read_with_metadata(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &*metadata)])
        .assert_no_credentials(&["the server answered 404"]);
}

/// The reader has the 1.5 s of a start-up check: later it tells of a repository that is too slow. It can know in time, if the machine is not
/// busy with something else.
#[test]
fn without_any_a_start_knows_in_time_where_was_looked() {
    let scene = Scene::new();
    let told = [
        "no credentials were found. Tried: environment: AWS_ACCESS_KEY_ID is not set; profile `default`: not found in ",
        "/.aws/config (does not exist) and ",
        "/.aws/credentials (does not exist); web identity: AWS_WEB_IDENTITY_TOKEN_FILE is not set; container: AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and \
         AWS_CONTAINER_CREDENTIALS_FULL_URI are not set; instance metadata: http://127.0.0.1:",
        "timeout",
        "For a public bucket, use its https URL",
    ];
    let read = || {
        let mut reader = scene.reader();
        scene.run(reader.args(["--within-ms", "1500", &scene.address(), OBJECT]))
    };
    let is_in_time = |reading: &Reading| !reading.stderr().contains("did not deliver");
    std::iter::repeat_with(read)
        .take(10)
        .find(is_in_time)
        .expect("one start knew in time")
        .assert_no_credentials(&told);
    assert_eq!(scene.server.requests().len(), 0);
}

/// One process asks for several objects: what expires between them is fetched again, what does not is not.
#[test]
fn temporary_credentials_are_fetched_once_as_long_as_they_last() {
    let scene = Scene::new();
    scene.identity.allow_instance("reader-role");
    scene.server.put("demo/root/2.json", "");
    let metadata = scene.identity.endpoint();
    let read_three = || {
        let mut reader = scene.reader();
        reader.args([&*scene.address(), OBJECT, "root/2.json", OBJECT]);
        let reading = scene.run_with_metadata(reader.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &metadata));
        assert_eq!(String::from_utf8_lossy(&reading.0.stdout), CONTENT.repeat(2), "{}", reading.stderr());
    };
    read_three();
    assert_eq!(scene.identity.issued().len(), 1);
    // Where S3 says that they have expired, they are fetched once more, whatever they say themselves.
    scene.server.fault(When::any().times(1), Fault::Error(400, "ExpiredToken"));
    read_three();
    assert_eq!(scene.identity.issued().len(), 3);
}
