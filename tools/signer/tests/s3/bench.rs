//! A publisher's desk whose repository is a bucket.

use std::process::{Command, Output};

use test_s3::{Options, Server};

use crate::support::{Desk, stderr};

pub struct Bench {
    pub desk: Desk,
    pub server: Server,
    /// `s3://test/demo`
    pub repo: String,
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
        let server = Server::start(options);
        let repo = format!("s3://{}/{prefix}", server.bucket());
        Bench { desk: Desk::bare(), server, repo: repo.trim_end_matches('/').into() }
    }

    pub fn init(&self) -> String {
        self.ok(&["init", "--product", "widget", "--no-password", "--keys", "keys"])
    }

    /// Of an object.
    pub fn key(&self, object: &str) -> String {
        let prefix = self.repo.split('/').skip(3).collect::<Vec<_>>().join("/");
        if prefix.is_empty() { object.into() } else { format!("{prefix}/{object}") }
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.desk.command(arguments);
        let names = std::env::vars_os().map(|(name, _)| name);
        for name in names.filter(|name| name.to_string_lossy().starts_with("AWS_")) {
            command.env_remove(name);
        }
        command.envs(self.server.environment());
        command.env("AWS_EC2_METADATA_DISABLED", "true");
        command.env("AWS_CONFIG_FILE", "no-config").env("AWS_SHARED_CREDENTIALS_FILE", "no-credentials");
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
            command.env_remove(name);
        }
        command.env("SIGNER_REPO", &self.repo).env("SIGNER_ROOT", "root.json");
        command
    }

    pub fn signer(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// It works, and this is what it says.
    #[track_caller]
    pub fn ok(&self, arguments: &[&str]) -> String {
        let output = self.signer(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The arguments of a release.
    pub fn release(&self, version: &str) -> Vec<String> {
        let artifact = self.desk.build(version);
        let arguments = ["release", "--version", version, "--artifact", &artifact];
        let keys = ["--key", "keys/release.key", "--key", "keys/timestamp.key"];
        arguments.into_iter().chain(keys).map(str::to_owned).collect()
    }

    #[track_caller]
    pub fn released(&self, version: &str) -> String {
        let arguments = self.release(version);
        self.ok(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }
}
