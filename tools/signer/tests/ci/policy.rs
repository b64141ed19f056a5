//! IAM as far as docs/ci/iam uses it: what the roles may do to the bucket, and what they may not.

use std::process::Command;

use serde_json::Value;

use crate::pipeline::{docs, worked};

/// A policy of docs/ci/iam.
pub fn policy(name: &str) -> Value {
    let path = docs().join("iam").join(format!("{name}.json"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// A request, as IAM sees it.
#[derive(Debug, Clone)]
pub struct Asked {
    action: &'static str,
    resource: String,
    context: Vec<(&'static str, String)>,
}

impl Asked {
    /// For an object below the prefix.
    pub fn object(action: &'static str, key: &str) -> Self {
        Asked::of("example-releases", action, key)
    }

    /// For an object of a bucket.
    fn of(bucket: &str, action: &'static str, key: &str) -> Self {
        let resource = format!("arn:aws:s3:::{bucket}/{key}");
        Asked { action, resource, context: Vec::new() }.with("aws:SecureTransport", "true")
    }

    pub fn list(prefix: &str) -> Self {
        let resource = "arn:aws:s3:::example-releases".into();
        Asked { action: "s3:ListBucket", resource, context: Vec::new() }
            .with("aws:SecureTransport", "true")
            .with("s3:prefix", prefix)
    }

    /// A write that makes an object: PutObject, CompleteMultipartUpload.
    pub fn put(key: &str) -> Self {
        Asked::object("s3:PutObject", key).with("s3:ObjectCreationOperation", "true")
    }

    /// A write that makes none yet: CreateMultipartUpload, UploadPart.
    pub fn part(key: &str) -> Self {
        Asked::object("s3:PutObject", key).with("s3:ObjectCreationOperation", "false")
    }

    /// With one more key of the context.
    pub fn with(mut self, key: &'static str, value: &str) -> Self {
        self.context.retain(|(known, _)| *known != key);
        self.context.push((key, value.into()));
        self
    }

    fn is_met(&self, statement: &Value) -> bool {
        strings(&statement["Action"]).iter().any(|action| is_like(action, self.action))
            && strings(&statement["Resource"]).iter().any(|resource| is_like(resource, &self.resource))
            && statement.get("Condition").is_none_or(|condition| self.meets(condition))
    }

    fn meets(&self, condition: &Value) -> bool {
        condition.as_object().unwrap().iter().all(|(operator, keys)| {
            keys.as_object().unwrap().iter().all(|(key, wanted)| {
                let found = self.context.iter().find(|(known, _)| known.eq_ignore_ascii_case(key));
                let found = found.map(|(_, value)| value.as_str());
                let wanted = strings(wanted);
                match operator.as_str() {
                    "Null" => wanted == [if found.is_none() { "true" } else { "false" }],
                    "Bool" => found.is_some_and(|found| wanted == [found]),
                    "StringEquals" => found.is_some_and(|found| wanted.contains(&found)),
                    "StringLike" => {
                        found.is_some_and(|found| wanted.iter().any(|wanted| is_like(wanted, found)))
                    }
                    other => panic!("{other}"),
                }
            })
        })
    }
}

/// Whether a role with this policy may do it to a bucket with that one.
pub fn may(role: &Value, bucket: &Value, asked: &Asked) -> bool {
    !allowing(role, asked).is_empty() && !effect(bucket, "Deny").any(|statement| asked.is_met(statement))
}

/// The statements that allow it.
pub fn allowing(role: &Value, asked: &Asked) -> Vec<String> {
    let statements = effect(role, "Allow").filter(|statement| asked.is_met(statement));
    statements.map(|statement| statement["Sid"].as_str().unwrap().into()).collect()
}

fn effect<'a>(policy: &'a Value, effect: &'static str) -> impl Iterator<Item = &'a Value> {
    policy["Statement"].as_array().unwrap().iter().filter(move |statement| statement["Effect"] == effect)
}

fn strings(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(all) => all.iter().map(|text| text.as_str().unwrap()).collect(),
        one => vec![one.as_str().unwrap()],
    }
}

/// `*` is any text, slashes included.
fn is_like(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            (0..=text.len()).any(|at| text.is_char_boundary(at) && is_like(rest, &text[at..]))
        }),
    }
}

const ROLES: [&str; 4] = ["publisher-policy", "refresher-policy", "root-publisher-policy", "reader-policy"];
const BUCKETS: [&str; 2] = ["bucket-policy", "bucket-policy-cloudfront"];

#[test]
fn what_is_granted_is_named_one_by_one() {
    for name in [&ROLES[..], &BUCKETS].concat() {
        for statement in effect(&policy(name), "Allow") {
            for action in strings(&statement["Action"]) {
                let known = [
                    "s3:GetObject",
                    "s3:PutObject",
                    "s3:ListBucket",
                    "s3:AbortMultipartUpload",
                    "s3:DeleteObject",
                ];
                assert!(known.contains(&action), "{name}: {action}");
                for resource in strings(&statement["Resource"]) {
                    let mytool = "arn:aws:s3:::example-releases/mytool/";
                    assert!(resource.starts_with(mytool) || action == "s3:ListBucket", "{name}: {resource}");
                    if action == "s3:DeleteObject" {
                        assert_eq!(resource, format!("{mytool}.probe-*"), "{name}");
                    }
                }
            }
        }
    }
    // The two buckets differ in their readers alone.
    let (private, cloudfront) = (policy(BUCKETS[0]), policy(BUCKETS[1]));
    assert_eq!(effect(&private, "Deny").collect::<Vec<_>>(), effect(&cloudfront, "Deny").collect::<Vec<_>>());
    assert_eq!(effect(&private, "Allow").count(), 0);
    assert_eq!(effect(&cloudfront, "Allow").next().unwrap()["Action"], "s3:GetObject");
}

#[test]
fn each_role_does_its_work_and_no_other() {
    let once = |asked: Asked| asked.with("s3:if-none-match", "*");
    let seen = |asked: Asked| asked.with("s3:if-match", "\"etag\"");
    let blob = "mytool/blobs/00";
    let (read, list) = (Asked::object("s3:GetObject", blob), Asked::list("mytool/manifests/"));
    let probe = [once(Asked::put("mytool/.probe-00")), Asked::object("s3:DeleteObject", "mytool/.probe-00")];
    let upload = [
        once(Asked::put(blob)),
        Asked::part(blob),
        Asked::object("s3:AbortMultipartUpload", blob),
        once(Asked::put("mytool/manifests/00.json")),
        once(Asked::put("mytool/manifests/00.json.minisig")),
    ];
    let root = [once(Asked::put("mytool/root/2.json"))];
    let version = [seen(Asked::put("mytool/stable/VERSION")), once(Asked::put("mytool/stable/VERSION"))];
    for bucket in BUCKETS.map(policy) {
        let check = |role: &str, asked: &[Asked], expected: bool| {
            for asked in asked {
                assert_eq!(may(&policy(role), &bucket, asked), expected, "{role}: {asked:?}");
            }
        };
        let does = |role: &str| (role == ROLES[0], role == ROLES[1], role == ROLES[2]);
        for role in ROLES {
            let (publishes, refreshes, roots) = does(role);
            check(role, std::slice::from_ref(&read), true);
            check(role, std::slice::from_ref(&list), role != "reader-policy");
            check(role, &probe, role != "reader-policy");
            check(role, &upload, publishes);
            check(role, &version, publishes || refreshes);
            check(role, &root, roots);
            // What nobody may.
            check(role, &[Asked::put(blob), seen(Asked::put(blob))], false);
            check(role, &[Asked::put("mytool/root/1.json"), Asked::put("mytool/manifests/00.json")], false);
            check(role, &[Asked::put("mytool/stable/VERSION")], false);
            for key in ["blobs/00", "manifests/00.json", "root/1.json", "stable/VERSION"] {
                let key = format!("mytool/{key}");
                let delete = |action| Asked::object(action, &key);
                check(role, &[delete("s3:DeleteObject"), delete("s3:DeleteObjectVersion")], false);
                check(role, &[delete("s3:PutObjectAcl"), delete("s3:BypassGovernanceRetention")], false);
            }
            check(
                role,
                &[once(Asked::put("mytool/beta/VERSION")), once(Asked::put("other/blobs/00"))],
                false,
            );
            check(role, &[Asked::object("s3:GetObject", "other/blobs/00"), Asked::list("")], false);
            check(role, &[read.clone().with("aws:SecureTransport", "false")], false);
            check(role, &[Asked { action: "s3:PutBucketPolicy", ..Asked::list("mytool/") }], false);
        }
    }
}

/// Of moving-over.md: until the freeze the publisher writes what old clients read, and nothing beside it; then nobody does.
#[test]
fn the_old_place_is_written_until_it_is_frozen() {
    let (publisher, old_place) = (policy("publisher-policy"), policy("old-place-policy"));
    let everything = serde_json::json!({ "Statement": [
        { "Sid": "Administrator", "Effect": "Allow", "Action": "s3:*", "Resource": "*" }] });
    let (open, frozen) = (serde_json::json!({ "Statement": [] }), policy("freeze-policy"));
    let old = |action, key: &str| Asked::of("example-tools", action, &format!("mytool/{key}"));
    for key in ["VERSION", "mytool-linux-x86_64"] {
        for action in ["s3:GetObject", "s3:PutObject"] {
            assert!(!may(&publisher, &open, &old(action, key)), "{action} {key}");
            assert!(may(&old_place, &open, &old(action, key)), "{action} {key}");
        }
        for action in ["s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion"] {
            assert!(!may(&everything, &frozen, &old(action, key)), "{action} {key}");
            assert!(action == "s3:PutObject" || !may(&old_place, &open, &old(action, key)), "{action} {key}");
        }
        assert!(may(&everything, &frozen, &old("s3:GetObject", key)), "{key}");
    }
    let beside = [old("s3:PutObject", "another"), Asked::of("example-tools", "s3:PutObject", "VERSION")];
    for asked in beside.into_iter().chain([Asked::put("mytool/stable/VERSION"), Asked::list("mytool/")]) {
        assert!(!may(&old_place, &open, &asked), "{asked:?}");
    }
    // It is a bucket's policy, for everybody, and takes no right from the new place.
    assert_eq!(frozen["Statement"][0]["Principal"], "*");
    assert!(may(&everything, &frozen, &Asked::put("mytool/stable/VERSION")));
}

/// Without a subject every repository of the world could take the role.
#[test]
fn trust_names_one_audience_and_one_branch_or_environment() {
    for (name, end) in
        [("github", ":environment:release"), ("circleci", "/heads/main"), ("gitlab", ":ref:main")]
    {
        let document = policy(&format!("trust-{name}"));
        let refresher = refreshers_trust(name);
        // One job's token is of no use for the other's role, but for CircleCI's, where nothing tells them apart.
        assert_eq!(refresher == document, name == "circleci", "{name}");
        let refresher = refresher.to_string();
        assert!(!refresher.contains("release") && !refresher.contains("relatch-publish"), "{refresher}");
        let statement = &document["Statement"][0];
        assert_eq!(document["Statement"].as_array().unwrap().len(), 1);
        assert_eq!(statement["Action"], "sts:AssumeRoleWithWebIdentity");
        let provider = statement["Principal"]["Federated"].as_str().unwrap();
        let issuer = provider.split_once("oidc-provider/").unwrap().1;
        let conditions = statement["Condition"].as_object().unwrap();
        let value = |claim: &str| {
            let key = format!("{issuer}:{claim}");
            conditions.values().find_map(|keys| keys.get(&key)).unwrap().as_str().unwrap()
        };
        assert!(!value("aud").contains('*'), "{name}");
        let subject = value("sub");
        assert!(subject.ends_with(end) && subject.contains("example"), "{name}");
        // CircleCI puts the person in the middle.
        assert_eq!(subject.matches('*').count(), usize::from(name == "circleci"), "{name}: {subject}");
    }
}

/// What README.md's command makes of the publisher's.
fn refreshers_trust(name: &str) -> Value {
    let readme = std::fs::read_to_string(docs().join("README.md")).unwrap();
    let command = readme.lines().map(str::trim).find(|line| line.starts_with("sed ")).unwrap();
    let (command, _) = command.split_once(" > ").unwrap();
    let command = command.replace("trust-github", &format!("trust-{name}"));
    let command = command.replace("docs/ci/", &format!("{}/", docs().display()));
    let said = worked(Command::new("sh").args(["-c", &command]).output().unwrap());
    serde_json::from_str(&said).unwrap()
}

#[test]
fn nothing_that_clients_may_still_need_expires() {
    let rules = policy("lifecycle");
    for rule in rules["Rules"].as_array().unwrap() {
        let prefix = rule["Filter"]["Prefix"].as_str().unwrap();
        let probes = prefix == "mytool/.probe-";
        // A killed publisher's are current. `Days` takes the markers of deleted ones, too, and nothing may stand beside it.
        let expiration = rule.get("Expiration");
        assert_eq!(expiration, probes.then(|| serde_json::json!({ "Days": 1 })).as_ref(), "{rule}");
        let former = rule.get("NoncurrentVersionExpiration").is_some();
        assert!(!former || probes || prefix.ends_with("/VERSION"), "{rule}");
    }
}
