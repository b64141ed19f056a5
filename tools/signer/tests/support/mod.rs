//! A publisher's desk: keys, a repository, the `signer` that was built, and a client.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "../../../../tests/support/built.rs"]
pub mod built;
#[path = "../../../../tests/support/printed.rs"]
pub mod printed;
#[path = "../../../../tests/support/proxy.rs"]
pub mod proxy;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use relatch::install::Probe;
use relatch::trust::{Digest, Document as _, Manifest, Timestamp};
use relatch::{Install, Quiet, Updater};
use signer::key::SecretKey;
use signer::repository::now;
use signer::signing::SigningKey as _;
use tempfile::TempDir;

const DAY: u64 = 86_400;

pub struct Desk {
    pub dir: TempDir,
}

/// Who makes a key of a password wants a gigabyte of memory for it: one after another.
pub fn password_turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Desk {
    /// One person with one key for each role.
    pub fn new() -> Self {
        let desk = Desk::bare();
        desk.ok(&[
            "init",
            "--product",
            "widget",
            "--no-password",
            "--keys",
            "keys",
            "--repo",
            "repo",
            "--root",
            "root.json",
        ]);
        desk
    }

    /// Nothing but a directory.
    pub fn bare() -> Self {
        Desk { dir: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_signer"));
        command.args(arguments).current_dir(self.dir.path()).stdin(Stdio::null());
        for name in ["SIGNER_REPO", "SIGNER_ROOT", "SIGNER_PASSWORD", "SIGNER_STATE"] {
            command.env_remove(name);
        }
        command
    }

    pub fn signer(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// It works, and this is what it says.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let output = self.signer(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// It fails with this exit code, and says this.
    pub fn fails(&self, code: i32, says: &str, arguments: &[&str]) {
        let output = self.signer(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", stderr(&output));
        assert!(is_in(says, &stderr(&output)), "{arguments:?}: `{says}` is not in: {}", stderr(&output));
    }

    /// A tiny executable of this version.
    pub fn build(&self, version: &str) -> String {
        let name = format!("build-{version}");
        self.write(&name, format!("#!/bin/sh\necho {version}\n"));
        format!("test={name}")
    }

    pub fn release(&self, version: &str, more: &[&str]) -> Output {
        let artifact = self.build(version);
        let mut arguments = vec!["release", "--repo", "repo", "--root", "root.json", "--version", version];
        arguments.extend([
            "--artifact",
            &artifact,
            "--key",
            "keys/release.key",
            "--key",
            "keys/timestamp.key",
        ]);
        arguments.extend(more);
        self.signer(&arguments)
    }

    pub fn released(&self, version: &str, more: &[&str]) {
        let output = self.release(version, more);
        assert!(output.status.success(), "{}", stderr(&output));
    }

    /// The number of the release that is published.
    pub fn seq(&self) -> u64 {
        let version = self.read("repo/stable/VERSION");
        let pointer: serde_json::Value = serde_json::from_str(version.lines().nth(1).unwrap()).unwrap();
        pointer["seq"].as_u64().unwrap()
    }

    /// VERSION as the same key has signed it a month ago: it expired yesterday.
    pub fn expire_version(&self) {
        let mut version = self.published_version();
        (version.issued, version.expires) = (now() - 31 * DAY, now() - DAY);
        self.write_version(&version);
    }

    /// The release as the same keys have signed it a year ago: it expired yesterday, and VERSION has not.
    pub fn expire_manifest(&self) {
        let mut version = self.published_version();
        let old = self.read(&format!("repo/manifests/{}.json", version.manifest));
        let mut manifest = Manifest::from_canonical(old.as_bytes()).unwrap();
        (manifest.issued, manifest.expires) = (now() - 365 * DAY, now() - DAY);
        let document = manifest.to_canonical();
        version.manifest = Digest::of(&document);
        let path = format!("repo/manifests/{}.json", version.manifest);
        self.write(&format!("{path}.minisig"), self.signature("release", &document));
        self.write(&path, document);
        self.write_version(&version);
    }

    fn published_version(&self) -> Timestamp {
        let raw = self.read("repo/stable/VERSION");
        Timestamp::from_canonical(raw.lines().nth(1).unwrap().as_bytes()).unwrap()
    }

    fn write_version(&self, version: &Timestamp) {
        let signed = version.to_signed();
        let signature = self.signature("timestamp", &signed);
        self.write("repo/stable/VERSION", [signed, signature.into_bytes()].concat());
    }

    /// By the key of a role, without `signer`.
    fn signature(&self, role: &str, document: &[u8]) -> String {
        let key = SecretKey::from_text(&self.read(&format!("keys/{role}.key")), None);
        key.map_err(|why| panic!("{why}")).unwrap().sign(document, "test", now()).unwrap()
    }

    /// Every file of the repository with the hash of its content.
    pub fn repository(&self) -> BTreeMap<PathBuf, Digest> {
        let mut files = BTreeMap::new();
        collect(&self.path("repo"), &mut files);
        files
    }

    /// A client that installs from the repository.
    pub fn client(&self, name: &str) -> relatch::Result<Updater> {
        self.client_from(&self.path("repo").display().to_string(), None, &self.path(name))
    }

    /// A client that installs from elsewhere.
    pub fn client_from(&self, from: &str, ca_file: Option<PathBuf>, path: &Path) -> relatch::Result<Updater> {
        let install = Install {
            from: from.into(),
            ca_file,
            root: self.path("root.json"),
            product: "widget".parse().unwrap(),
            channel: "stable".parse().unwrap(),
            target: "test".parse().unwrap(),
            path: path.into(),
            probe: Some(Probe::None),
            force: false,
        };
        install.run(Quiet)?;
        Updater::of_installed(path)
    }
}

fn collect(dir: &Path, files: &mut BTreeMap<PathBuf, Digest>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.file_name().unwrap() != ".lock" {
            let digest = Digest::of(&std::fs::read(&path).unwrap());
            files.insert(path, digest);
        }
    }
}

/// Runs what was just written: while another thread of this process forks, somebody may still hold it open for writing.
pub fn run_fresh(command: &mut Command) -> Output {
    for _ in 0..1000 {
        match command.output() {
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            output => return output.unwrap(),
        }
    }
    panic!("the executable stays busy");
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Whether this part of a message is in it. Expected paths have slashes; on Windows, messages separate a path with either character.
pub fn is_in(part: &str, told: &str) -> bool {
    let as_here = |text: &str| if cfg!(windows) { text.replace('\\', "/") } else { text.to_owned() };
    as_here(told).contains(&as_here(part))
}

/// Takes a file for its owner alone, as a secret key must be.
pub fn make_private(path: &Path) {
    let content = std::fs::read(path).unwrap();
    std::fs::remove_file(path).unwrap();
    signer::files::write_new(path, &content, signer::files::Readers::Owner).unwrap();
}
