//! A publisher's desk whose repository is a bucket.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use relatch::source::{Fetcher, Object};

use signer::folder::Folder;
use signer::repository::newest_root;
use signer::store::{LockTimes, S3Options, S3Store, Store as _};
use signer::verify;
use test_s3::{Authority, Conditions, Options, Server};

use crate::support::proxy::without_proxy;
use crate::support::{Desk, stderr};

/// Short, but longer than requests on loopback take.
pub const TIMES: LockTimes = LockTimes {
    settle: Duration::from_millis(400),
    lease: Duration::from_secs(60),
    patience: Duration::from_secs(120),
};

/// What stores do with conditions of writes.
pub const ALL: [Conditions; 3] = [Conditions::Atomic, Conditions::Racy, Conditions::Ignored];

pub struct Bench {
    pub desk: Desk,
    pub server: Server,
    /// `s3://test/demo`
    pub repo: String,
    prefix: String,
}

impl Bench {
    /// A bucket with root 1 in it.
    pub fn new(options: Options) -> Self {
        let bench = Bench::bare(options, "demo");
        bench.init();
        bench
    }

    /// A bucket with nothing in it.
    pub fn bare(options: Options, prefix: &str) -> Self {
        without_proxy();
        let server = Server::start(options);
        let repo = format!("s3://{}/{prefix}", server.bucket());
        let repo = repo.trim_end_matches('/').to_owned();
        Bench { desk: Desk::bare(), server, repo, prefix: prefix.to_owned() }
    }

    /// The same over TLS, by a CA of its own.
    pub fn with_tls(options: Options, prefix: &str) -> Self {
        let authority = Authority::new();
        let bench = Bench::bare(options.https(&authority), prefix);
        authority.write(&bench.ca()).unwrap();
        bench
    }

    pub fn ca(&self) -> PathBuf {
        self.desk.path("ca.pem")
    }

    pub fn init(&self) -> String {
        self.ok(&["init", "--product", "widget", "--no-password", "--keys", "keys"])
    }

    /// The key of an object.
    pub fn key(&self, object: &str) -> String {
        if self.prefix.is_empty() { object.into() } else { format!("{}/{object}", self.prefix) }
    }

    /// What is published, without what is of this moment only.
    pub fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        let keys = self.server.keys("").into_iter();
        keys.map(|key| (key.clone(), self.server.get(&key).unwrap())).collect()
    }

    /// Puts back what was there.
    pub fn restore(&self, objects: &BTreeMap<String, Vec<u8>>) {
        for key in self.server.keys("") {
            self.server.delete(&key);
        }
        for (key, bytes) in objects {
            self.server.put(key, bytes.clone());
        }
    }

    pub fn version_file(&self) -> Option<Vec<u8>> {
        self.server.get(&self.key("stable/VERSION"))
    }

    /// The version that is published.
    pub fn version(&self) -> Option<String> {
        let text = String::from_utf8(self.version_file()?).unwrap();
        text.lines().next().map(str::to_owned)
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.desk.command(arguments);
        let ours = |name: &str| name.starts_with("AWS_") || name.to_ascii_uppercase().ends_with("_PROXY");
        for (name, _) in std::env::vars_os().filter(|(name, _)| ours(&name.to_string_lossy())) {
            command.env_remove(name);
        }
        command.envs(self.server.environment());
        command.env("AWS_EC2_METADATA_DISABLED", "true");
        command.env("AWS_CONFIG_FILE", self.desk.path("aws-config"));
        command.env("AWS_SHARED_CREDENTIALS_FILE", self.desk.path("aws-credentials"));
        if self.ca().exists() {
            command.env("SSL_CERT_FILE", self.ca());
        }
        command.env("SIGNER_REPO", &self.repo).env("SIGNER_ROOT", "root.json");
        command
    }

    pub fn signer(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// It works, says nothing on stderr, and this on stdout.
    #[track_caller]
    pub fn ok(&self, arguments: &[&str]) -> String {
        let output = self.signer(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// It fails with this exit code, and says all of this.
    #[track_caller]
    pub fn fails(&self, code: i32, says: &[&str], arguments: &[&str]) {
        fails(&mut self.command(arguments), code, says);
    }

    #[track_caller]
    pub fn released(&self, version: &str) -> String {
        let artifact = self.desk.build(version);
        let release = ["release", "--version", version, "--artifact", &artifact];
        self.ok(&[&release[..], &KEYS].concat())
    }

    /// A folder of this version, signed.
    pub fn prepared(&self, version: &str, artifact: &str) -> Folder {
        let prepare =
            ["prepare", "--version", version, "--artifact", artifact, "--level", "1", "--out", version];
        self.ok(&prepare);
        self.ok(&[&["sign", version], &KEYS[..]].concat());
        Folder::open(&self.desk.path(version)).unwrap()
    }

    /// The same repository, by a publisher in this process.
    pub fn store(&self) -> S3Store {
        let flags = S3Options {
            endpoint: Some(self.server.endpoint()),
            region: Some(self.server.region().into()),
            path_style: true,
        };
        let keys = self.server.credentials();
        let store = S3Store::open_with(&self.repo, &flags, &keys.access_key, &keys.secret_key);
        store.unwrap().with_lock_times(TIMES)
    }

    pub fn anchor(&self) -> Vec<u8> {
        std::fs::read(self.desk.path("root.json")).unwrap()
    }

    /// What `VERSION` names verifies by the client's own code, every byte of it.
    #[track_caller]
    pub fn verify_released(&self) {
        let source: Fetcher = self.store().source();
        let root = newest_root(&source, &self.anchor()).unwrap();
        verify::release(&source, &root, &"stable".parse().unwrap()).unwrap();
    }
}

pub const KEYS: [&str; 4] = ["--key", "keys/release.key", "--key", "keys/timestamp.key"];

#[track_caller]
pub fn fails(command: &mut Command, code: i32, says: &[&str]) {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
    for says in says {
        assert!(stderr(&output).contains(says), "`{says}` is not in: {}", stderr(&output));
    }
}

pub fn version() -> Object {
    Object::Version("stable".parse().unwrap())
}
