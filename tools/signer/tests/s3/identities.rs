//! Promise: credentials come from wherever AWS's own tools take them, and reading back uses the same.

use test_s3::{Identity, Options};

use crate::bench::{Bench, KEYS};
use crate::support::stderr;

const ROLE: &str = "arn:aws:iam::123456789012:role/publisher";

/// Releases with these variables and no keys; everything that is signed is signed with what was handed out.
#[track_caller]
fn releases(bench: &Bench, identity: &Identity, variables: &[(&str, &str)]) {
    let artifact = bench.desk.build("1.0.0");
    let release = ["release", "--version", "1.0.0", "--artifact", &artifact];
    let mut command = bench.command(&[&release[..], &KEYS].concat());
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED"] {
        command.env_remove(name);
    }
    bench.server.clear_requests();
    let output = command.envs(variables.iter().copied()).output().unwrap();
    assert!(output.status.success(), "{variables:?}: {}", stderr(&output));
    assert_eq!(bench.version().as_deref(), Some("1.0.0"));
    let issued: Vec<String> = identity.issued().into_iter().map(|issued| issued.access_key).collect();
    let requests = bench.server.requests();
    let mut signed = requests.iter().filter(|request| request.signed).peekable();
    assert!(signed.peek().is_some());
    for request in signed {
        assert!(request.access_key.as_ref().is_some_and(|key| issued.contains(key)), "{request:?}");
    }
}

/// As GitHub Actions and EKS hand them out.
#[test]
fn a_web_identity() {
    let bench = Bench::new(Options::new());
    let identity = Identity::start(&bench.server);
    identity.allow_web_identity("a.signed.token", ROLE);
    bench.desk.write("token", "a.signed.token");
    let (token, endpoint) = (bench.desk.path("token"), identity.endpoint());
    let variables = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()),
        ("AWS_ROLE_ARN", ROLE),
        ("AWS_ENDPOINT_URL_STS", &endpoint),
    ];
    releases(&bench, &identity, &variables);
}

#[test]
fn a_container() {
    let bench = Bench::new(Options::new());
    let identity = Identity::start(&bench.server);
    identity.allow_container("Basic YWJj");
    let uri = identity.container_uri();
    let variables = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Basic YWJj"),
    ];
    releases(&bench, &identity, &variables);
}

#[test]
fn an_instance() {
    let bench = Bench::new(Options::new());
    let identity = Identity::start(&bench.server);
    identity.allow_instance("publisher");
    let endpoint = identity.endpoint();
    releases(&bench, &identity, &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &endpoint)]);
}

#[test]
fn a_role_of_a_profile() {
    let bench = Bench::new(Options::new());
    let identity = Identity::start(&bench.server);
    let keys = bench.server.credentials();
    identity.allow_assume_role(&keys.access_key, ROLE);
    let credentials = format!(
        "[base]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
        keys.access_key, keys.secret_key
    );
    bench.desk.write("aws-credentials", credentials);
    bench.desk.write("aws-config", format!("[profile ci]\nrole_arn = {ROLE}\nsource_profile = base\n"));
    let endpoint = identity.endpoint();
    releases(&bench, &identity, &[("AWS_PROFILE", "ci"), ("AWS_ENDPOINT_URL_STS", &endpoint)]);
}

/// `aws configure export-credentials` and the like.
#[test]
fn a_program() {
    let bench = Bench::new(Options::new());
    let keys = bench.server.credentials();
    let answer = format!(
        r#"{{"Version":1,"AccessKeyId":"{}","SecretAccessKey":"{}"}}"#,
        keys.access_key, keys.secret_key
    );
    bench.desk.write("answer", answer);
    let answer = bench.desk.path("answer");
    bench.desk.write("aws-config", format!("[profile ci]\ncredential_process = cat {}\n", answer.display()));
    let artifact = bench.desk.build("1.0.0");
    let release = ["release", "--version", "1.0.0", "--artifact", &artifact];
    let mut command = bench.command(&[&release[..], &KEYS].concat());
    command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY").env("AWS_PROFILE", "ci");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    bench.verify_released();
}
