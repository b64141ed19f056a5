//! The scripts against a bucket, and the policies against what they ask of it.

use std::collections::BTreeSet;

use relatch::install::Probe;
use relatch::source::{Credentials, ProvideCredentials, S3};
use relatch::{Install, Outcome, Quiet, Updater};
use serde_json::Value;
use test_s3::{Authority, Options, Request, Rights, Server};

use crate::pipeline::{Pipeline, failed, worked};
use crate::policy::{Asked, allowing, may, policy};
use crate::support::proxy::without_proxy;

struct World {
    ci: Pipeline,
    server: Server,
}

impl World {
    /// The bucket of docs/ci, readable by all, over TLS.
    fn new() -> Self {
        without_proxy();
        let (mut ci, authority) = (Pipeline::bare(), Authority::new());
        let options = Options::new().bucket("example-releases").anonymous_read(true).https(&authority);
        let server = Server::start(options);
        authority.write(&ci.desk.path("ca.pem")).unwrap();
        for (name, value) in server.environment() {
            ci.env(name, value);
        }
        ci.env("SSL_CERT_FILE", ci.desk.path("ca.pem").display().to_string());
        ci.env("AWS_EC2_METADATA_DISABLED", "true");
        ci.env("SIGNER_REPO", "s3://example-releases/mytool");
        World { ci, server }
    }

    /// What was asked in somebody's name since the last time, as IAM sees it.
    fn asked(&self) -> Vec<Asked> {
        let requests = self.server.requests();
        self.server.clear_requests();
        requests.iter().filter(|request| request.signed).flat_map(as_iam_sees_it).collect()
    }

    /// A new copy over HTTPS, as everybody can have it.
    fn client(&self) -> Updater {
        let path = self.ci.desk.path("client");
        let install = Install {
            from: format!("{}/example-releases/mytool", self.server.endpoint()),
            ca_file: Some(self.ci.desk.path("ca.pem")),
            root: self.ci.desk.path("root.json"),
            product: "mytool".parse().unwrap(),
            channel: "stable".parse().unwrap(),
            target: "test".parse().unwrap(),
            path: path.clone(),
            probe: Some(Probe::None),
            force: true,
        };
        install.run(Quiet).unwrap();
        Updater::of_installed(&path).unwrap()
    }

    /// The same with the reader's role.
    fn as_reader(&self, client: Updater) -> Updater {
        struct Keys(Credentials);
        impl ProvideCredentials for Keys {
            fn credentials(&self) -> Result<Credentials, String> {
                Ok(self.0.clone())
            }
        }
        let server = &self.server;
        let keys =
            test_s3::Credentials::new("READER", "of no value").rights(Rights { read: true, ..Rights::NONE });
        server.accept(keys.clone());
        let address =
            format!("s3://example-releases/mytool?endpoint={}&region={}", server.endpoint(), server.region());
        let keys = Keys(Credentials::new(&keys.access_key, &keys.secret_key, None));
        let source = S3::new(&address).unwrap().credentials(keys);
        client.source(source.ca_file(&self.ci.desk.path("ca.pem")).unwrap())
    }
}

fn as_iam_sees_it(request: &Request) -> Vec<Asked> {
    let (key, query) = (request.key.as_str(), request.query.as_str());
    let asks = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
    let with_conditions = |mut asked: Asked| {
        for (header, context) in [("if-match", "s3:if-match"), ("if-none-match", "s3:if-none-match")] {
            if let Some(value) = request.header(header) {
                asked = asked.with(context, value);
            }
        }
        asked
    };
    let asked = match request.method.as_str() {
        "GET" if key.is_empty() => {
            let prefix = query.split('&').find_map(|pair| pair.strip_prefix("prefix=")).unwrap_or_default();
            Asked::list(&prefix.replace("%2F", "/"))
        }
        "GET" | "HEAD" => Asked::object("s3:GetObject", key),
        "POST" if asks("uploads") => Asked::part(key),
        "PUT" if asks("partNumber") => Asked::part(key),
        "PUT" | "POST" => with_conditions(Asked::put(key)),
        "DELETE" if asks("uploadId") => Asked::object("s3:AbortMultipartUpload", key),
        "DELETE" => Asked::object("s3:DeleteObject", key),
        other => panic!("{other} {key}?{query}"),
    };
    // To be told that a key is absent, one must be allowed to list it.
    let list = (request.status == Some(404)).then(|| Asked::list(key));
    [Some(asked), list].into_iter().flatten().collect()
}

/// All of it is allowed, and nothing of what is granted is for nothing.
#[track_caller]
fn assert_least(role: &str, asked: &[Asked]) {
    assert!(!asked.is_empty());
    let role_policy = policy(role);
    let mut used = BTreeSet::new();
    for bucket in ["bucket-policy", "bucket-policy-cloudfront"].map(policy) {
        for asked in asked {
            assert!(may(&role_policy, &bucket, asked), "{role}: {asked:?}");
            used.extend(allowing(&role_policy, asked));
        }
    }
    let granted = role_policy["Statement"].as_array().unwrap().iter();
    let granted: BTreeSet<String> = granted.map(|it: &Value| it["Sid"].as_str().unwrap().into()).collect();
    assert_eq!(used, granted, "{role}");
}

#[test]
fn a_bucket_is_published_to_by_roles_that_may_no_more_than_they_need() {
    let world = World::new();
    let ci = &world.ci;
    worked(ci.signer(&["init", "--product", "mytool", "--no-password", "--keys", "keys"]).output().unwrap());
    assert_least("root-publisher-policy", &world.asked());

    assert!(ci.published("41").contains("published mytool 41 as release "));
    let mut client = world.client();
    world.asked();
    // One that is sent in parts, too.
    let noise: Vec<u8> =
        (0..17 * 1024 * 1024_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    ci.desk.write("large", noise);
    let mut publish = ci.script("publish.sh", &["test=large", "also=large", "--", "--level", "1"]);
    let told = worked(publish.env("VERSION", "42").output().unwrap());
    assert!(told.contains("published mytool 42 as release "), "{told}");
    let objects = world.server.keys("");
    let mut rerun = ci.script("publish.sh", &["test=large", "also=large"]);
    let rerun = worked(rerun.env("VERSION", "42").output().unwrap());
    assert!(rerun.contains("build 42 was published before; nothing was changed\n"), "{rerun}");
    assert!(ci.published("40").starts_with("superseded"));
    failed(3, ci.publish("1"));
    assert_eq!(world.server.keys(""), objects);
    assert!(objects.iter().all(|key| !key.contains("/.")), "{objects:?}");
    assert_least("publisher-policy", &world.asked());

    assert!(worked(ci.refresh().output().unwrap()).starts_with("refreshed mytool 42"));
    assert_least("refresher-policy", &world.asked());

    assert!(matches!(client.update(false), Ok(Outcome::Updated { .. })));
    assert_eq!(std::fs::read(ci.desk.path("client")).unwrap(), std::fs::read(ci.desk.path("large")).unwrap());
    ci.desk.build("43");
    let mut publish = ci.script("publish.sh", &["test=build-43", "also=build-43"]);
    worked(publish.env("VERSION", "43").output().unwrap());
    world.asked();
    let mut client = world.as_reader(client);
    assert!(matches!(client.update(false), Ok(Outcome::Updated { .. })));
    assert_eq!(ci.desk.read("client"), ci.desk.read("build-43"));
    assert_least("reader-policy", &world.asked());
}
