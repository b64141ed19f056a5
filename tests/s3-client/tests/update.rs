//! Promise: a tool whose repository is a private bucket updates from it, asks one question where there is no news, takes an absent root for
//! absent though S3 calls it forbidden, and leaves no secret in what it prints and writes.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "../../support/mod.rs"]
mod repository_support;
mod support;

use std::path::Path;
use std::process::{Command, Output};

use repository_support::tool::{built, run, stderr, stdout};
use repository_support::{Repository, Tool, executable_such};
use serde_json::{Value, json};
use support::Scene;
use test_s3::{Authority, Credentials, Options, Server};

/// Puts all objects of the repository where they belong.
fn upload(repository: &Repository, server: &Server) {
    upload_from(repository.dir.path(), "demo", server);
}

fn upload_from(directory: &Path, prefix: &str, server: &Server) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let key = format!("{prefix}/{}", path.file_name().unwrap().to_str().unwrap());
        if path.is_dir() {
            upload_from(&path, &key, server)
        } else {
            server.put(&key, std::fs::read(&path).unwrap())
        }
    }
}

/// A private bucket behind TLS whose reader may not list, and a tool that reads it.
struct Private {
    scene: Scene,
    repository: Repository,
    tool: Tool,
    fields: Value,
}

impl Private {
    fn new() -> Self {
        let authority = Authority::new();
        let reader = Credentials::new("ASIAREADER", "secret/of+no=value").session_token("token/of+no=value");
        let options = Options::new().https(&authority).listing_forbidden(true).credentials(reader);
        let scene = Scene::with(options);
        let ca_file = scene.file("ca.pem", authority.pem());
        let fields =
            json!({"repository": scene.address(), "ca_file": ca_file, "interval": 0, "deadline_ms": 20_000});
        let mut repository = Repository::new();
        let executable = executable_such(&repository, "1.0.0", fields.clone());
        repository.release("1.0.0", &executable);
        upload(&repository, &scene.server);
        Private { tool: Tool::copied(&executable), scene, repository, fields }
    }

    fn release(&mut self, version: &str) {
        let executable = executable_such(&self.repository, version, self.fields.clone());
        self.repository.release(version, &executable);
        upload(&self.repository, &self.scene.server);
    }

    fn command(&self) -> Command {
        self.command_of(&self.tool.path)
    }

    /// Of a program with the reader's credentials.
    fn command_of(&self, program: &Path) -> Command {
        let keys = self.scene.keys();
        let mut command = self.scene.clean(program);
        command.env("AWS_ACCESS_KEY_ID", &keys.access_key).env("AWS_SECRET_ACCESS_KEY", &keys.secret_key);
        command.env("AWS_SESSION_TOKEN", keys.session_token.as_ref().unwrap());
        command
    }

    fn start(&self, arguments: &[&str]) -> Output {
        let output = run(self.command().args(arguments));
        self.scene.assert_no_secret(&output);
        output
    }

    /// Requests since the last time: method, key, status.
    fn asked(&self) -> Vec<(String, String, u16)> {
        let requests = self.scene.server.requests();
        self.scene.server.clear_requests();
        requests.into_iter().map(|r| (r.method, r.key, r.status.unwrap())).collect()
    }

    fn assert_no_secret_on_disk(&self) {
        for entry in std::fs::read_dir(self.tool.site_dir()).unwrap() {
            let path = entry.unwrap().path();
            let content = if path.is_file() { std::fs::read(&path).unwrap() } else { continue };
            for secret in self.scene.secrets() {
                let found = content.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!found, "{}", path.display());
            }
        }
    }
}

fn runs(output: &Output, version: &str) {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
    assert_eq!(stdout(output).split(' ').nth(1), Some(version), "{}", stderr(output));
}

#[test]
fn a_tool_updates_from_a_private_bucket_and_asks_once_where_there_is_no_news() {
    let mut private = Private::new();
    let first = private.start(&[]);
    runs(&first, "1.0.0");
    assert_eq!(stderr(&first), "");
    let asked = private.asked();
    assert!(asked.contains(&("GET".into(), "demo/root/2.json".into(), 403)), "{asked:?}");
    assert!(asked.iter().all(|(method, ..)| method == "GET"), "{asked:?}");

    runs(&private.start(&[]), "1.0.0");
    assert_eq!(private.asked(), [("GET".to_owned(), "demo/stable/VERSION".to_owned(), 304)]);

    private.release("1.1.0");
    runs(&private.start(&[]), "1.1.0");
    private.asked();
    runs(&private.start(&[]), "1.1.0");
    assert_eq!(private.asked().len(), 1);

    let status = private.start(&["--update-status"]);
    assert!(stdout(&status).contains("previous   1.0.0"), "{}", stdout(&status));
    let update = private.start(&["--update"]);
    assert_eq!(update.status.code(), Some(0), "{}", stderr(&update));
    private.assert_no_secret_on_disk();
}

#[test]
fn a_root_that_is_there_is_taken() {
    let mut private = Private::new();
    private.repository.rotate(|_| {});
    private.release("1.1.0");
    runs(&private.start(&[]), "1.1.0");
    let asked = private.asked();
    assert!(asked.contains(&("GET".into(), "demo/root/2.json".into(), 200)), "{asked:?}");
    assert!(asked.contains(&("GET".into(), "demo/root/3.json".into(), 403)), "{asked:?}");
}

#[test]
fn relatch_installs_and_updates_from_a_private_bucket() {
    let mut private = Private::new();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().canonicalize().unwrap().join("widget");
    let path = path.to_str().unwrap();
    let root = private.repository.dir.path().join("root/1.json");
    let relatch = |private: &Private, arguments: &[&str]| {
        let mut relatch = private.command_of(&built("relatch"));
        let output = run(relatch.args(arguments));
        private.scene.assert_no_secret(&output);
        output
    };
    let (address, ca_file) =
        (private.scene.address(), private.fields["ca_file"].as_str().unwrap().to_owned());
    let from = ["install", "--from", &address, "--ca-file", &ca_file, "--root", root.to_str().unwrap()];
    let installed =
        relatch(&private, &[&from[..], &["--product", "widget", "--target", "test", "--to", path]].concat());
    assert_eq!(installed.status.code(), Some(0), "{}", stderr(&installed));
    assert_eq!(relatch(&private, &["check", path]).status.code(), Some(0));
    private.release("1.1.0");
    assert_eq!(relatch(&private, &["check", path]).status.code(), Some(100));
    let updated = relatch(&private, &["update", path]);
    assert_eq!(updated.status.code(), Some(0), "{}", stderr(&updated));
    assert_eq!(
        std::fs::read(path).unwrap(),
        executable_such(&private.repository, "1.1.0", private.fields.clone())
    );
}

#[test]
fn without_credentials_the_installed_version_runs_and_says_what_is_missing() {
    let private = Private::new();
    let output = run(private.command().env_remove("AWS_ACCESS_KEY_ID"));
    runs(&output, "1.0.0");
    assert!(stderr(&output).contains("widget: no check for updates: s3://test/demo?"), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("requires credentials: no credentials were found. Tried: environment: "),
        "{}",
        stderr(&output)
    );
    private.scene.assert_no_secret(&output);
    assert_eq!(private.asked(), []);

    let output = run(private.command().env("AWS_SECRET_ACCESS_KEY", "WRONG").arg("--update"));
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    assert!(stderr(&output).contains("403 SignatureDoesNotMatch"), "{}", stderr(&output));
    private.scene.assert_no_secret(&output);
}
