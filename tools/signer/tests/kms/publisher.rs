//! A publisher who signs through a KMS.

use std::process::{Command, Output, Stdio};

use crate::service::{ACCESS_KEY, REGION, SECRET, SESSION};
use crate::support::{Desk, stderr};

/// A publisher whose release key is in KMS.
pub struct Publisher {
    pub desk: Desk,
    pub endpoint: String,
}

impl Publisher {
    /// Nothing but a KMS.
    pub fn bare(endpoint: String) -> Self {
        Publisher { desk: Desk::bare(), endpoint }
    }

    /// A published root that names this key for releases, and a key file for `VERSION`.
    pub fn rooted(endpoint: String, key: &str) -> Self {
        let publisher = Publisher::bare(endpoint);
        publisher.ok(&["public", "--key", key, "--out", "release.pub"]);
        for role in ["root", "timestamp"] {
            publisher.ok(&["keygen", "--no-password", "--out", &format!("{role}.key")]);
        }
        let mut new = vec!["root", "new", "--product", "widget", "--out", "root.json"];
        new.extend(["--root-key", "root.pub", "--release-key", "release.pub"]);
        new.extend(["--timestamp-key", "timestamp.pub"]);
        publisher.ok(&new);
        publisher.ok(&["root", "sign", "root.json", "--key", "root.key"]);
        std::fs::create_dir(publisher.desk.path("repo")).unwrap();
        publisher.ok(&["root", "publish", "root.json", "--repo", "repo", "--root", "root.json"]);
        publisher
    }

    /// With the standard variables of AWS, and none of this machine's own.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.desk.command(arguments);
        for (name, _) in std::env::vars_os() {
            let upper = name.to_string_lossy().to_uppercase();
            if upper.starts_with("AWS_") || upper.ends_with("_PROXY") {
                command.env_remove(name);
            }
        }
        let home = self.desk.dir.path();
        command.env("HOME", home).env("USERPROFILE", home).env("AWS_EC2_METADATA_DISABLED", "true");
        command.env("AWS_ACCESS_KEY_ID", ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", SECRET);
        command.env("AWS_SESSION_TOKEN", SESSION);
        command.env("AWS_REGION", REGION).env("AWS_ENDPOINT_URL_KMS", &self.endpoint);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        told_no_secret(self.command(arguments).output().unwrap())
    }

    pub fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn fails(&self, code: i32, says: &[&str], arguments: &[&str]) {
        refused(&self.run(arguments), code, says);
    }

    pub fn release(&self, version: &str, key: &str) -> Output {
        let artifact = self.desk.build(version);
        let mut arguments = vec!["release", "--repo", "repo", "--root", "root.json", "--version", version];
        arguments.extend(["--artifact", &artifact, "--key", key, "--key", "timestamp.key"]);
        self.run(&arguments)
    }

    pub fn released(&self, version: &str, key: &str) {
        let output = self.release(version, key);
        assert!(output.status.success(), "{}", stderr(&output));
    }

    /// The bytes of the one manifest, and where they are.
    pub fn manifest(&self) -> (Vec<u8>, String) {
        let entries = std::fs::read_dir(self.desk.path("repo/manifests")).unwrap();
        let mut paths = entries.map(|entry| entry.unwrap().path());
        let path = paths.find(|path| path.extension().is_some_and(|end| end == "json")).unwrap();
        (std::fs::read(&path).unwrap(), path.to_str().unwrap().to_owned())
    }

    /// Whether stock minisign verifies a file by `release.pub`; `None` where it is not installed.
    pub fn minisign(&self, path: &str) -> Option<bool> {
        let mut command = Command::new("minisign");
        command.args(["-V", "-p", "release.pub", "-m", path]).current_dir(self.desk.dir.path());
        match command.stdout(Stdio::null()).stderr(Stdio::null()).status() {
            Ok(status) => Some(status.success()),
            Err(_) => {
                println!("skipped: minisign is not installed");
                None
            }
        }
    }

    /// The release is one that the client's own code and stock minisign verify.
    pub fn verifies(&self, version: &str) {
        self.ok(&["verify", "--repo", "repo", "--root", "root.json"]);
        self.desk.client("tool").unwrap();
        assert_eq!(self.desk.read("tool"), self.desk.read(&format!("build-{version}")));
        let (manifest, path) = self.manifest();
        if self.minisign(&path) == Some(false) {
            panic!("minisign refuses {}", String::from_utf8_lossy(&manifest));
        }
    }
}

pub fn told_no_secret(output: Output) -> Output {
    let said = format!("{}{}", stderr(&output), String::from_utf8_lossy(&output.stdout));
    assert!(!said.contains(SECRET) && !said.contains(SESSION), "{said}");
    output
}

pub fn refused(output: &Output, code: i32, says: &[&str]) {
    let said = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for part in says {
        assert!(said.contains(part), "`{part}` is not in: {said}");
    }
}
