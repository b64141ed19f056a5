//! An installed executable in a directory of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use relatch::install::{Installation, Probe};
use relatch::trust::{Digest, Version};
use relatch::{Install, Quiet, Status, Updater};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::built::built;
use crate::repository::{PRODUCT, Repository};

/// The built `test-tool.exe`.
pub fn test_tool() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| std::fs::read(built("test-tool")).unwrap())
}

/// A real executable of this version that reads this repository at each start.
pub fn executable(repository: &Repository, version: &str) -> Vec<u8> {
    executable_such(repository, version, json!({}))
}

/// The same with further fields of the `Config`.
pub fn executable_such(repository: &Repository, version: &str, fields: Value) -> Vec<u8> {
    let mut config = json!({
        "product": PRODUCT,
        "version": version,
        "channel": repository.channel,
        "root": String::from_utf8(repository.anchor()).unwrap(),
        "repository": repository.location(),
        "deadline_ms": 20_000,
        "interval": 0,
    });
    for (name, value) in fields.as_object().unwrap() {
        config[name] = value.clone();
    }
    let mut bytes = test_tool().to_vec();
    bytes.push(b'\n');
    bytes.extend(config.to_string().into_bytes());
    bytes
}

/// An executable that is never run.
pub fn fake(version: &str) -> Vec<u8> {
    format!("this is {version}").into_bytes()
}

pub struct Place {
    pub dir: TempDir,
    pub path: PathBuf,
}

impl Place {
    pub fn new() -> Self {
        Place::named("", "widget.exe")
    }

    /// `sub` is made in a temporary directory.
    pub fn named(sub: &str, name: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join(sub);
        std::fs::create_dir_all(&inner).unwrap();
        // A temporary directory may be named by its short name (RUNNER~1).
        let inner = relatch::platform::canonicalize(&inner).unwrap();
        Place { path: inner.join(name), dir }
    }

    pub fn install(
        &self,
        repository: &Repository,
        probe: Option<Probe>,
        force: bool,
    ) -> relatch::Result<(Version, PathBuf)> {
        let install = Install {
            from: repository.location(),
            ca_file: None,
            root: repository.dir.path().join("root").join("1.json"),
            product: PRODUCT.parse().unwrap(),
            channel: repository.channel.parse().unwrap(),
            target: "test".parse().unwrap(),
            path: self.path.clone(),
            probe,
            force,
        };
        install.run(Quiet)
    }

    /// The current release, probed.
    pub fn installed(repository: &Repository) -> Self {
        let place = Place::new();
        place.install(repository, None, false).unwrap();
        place
    }

    /// The current release, which need not be a program.
    pub fn installed_plain(repository: &Repository) -> Self {
        let place = Place::new();
        place.install(repository, Some(Probe::None), false).unwrap();
        place
    }

    pub fn site(&self) -> Installation {
        Installation::at(&self.path).unwrap()
    }

    /// A file in `.<exe>.relatch`.
    pub fn inside(&self, name: &str) -> PathBuf {
        let own = self.path.file_name().unwrap().to_str().unwrap();
        self.path.with_file_name(format!(".{own}.relatch")).join(name)
    }

    pub fn update(&self) -> relatch::Result<relatch::Outcome> {
        Updater::of_installed(&self.path)?.update(false)
    }

    pub fn rollback(&self) -> relatch::Result<relatch::RolledBack> {
        Updater::rollback(&self.site(), None)
    }

    pub fn status(&self) -> relatch::Result<Status> {
        Updater::status(&self.site(), None)
    }

    pub fn command(&self) -> Command {
        clean(Command::new(&self.path))
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command().args(arguments).output().unwrap()
    }

    pub fn content(&self) -> Vec<u8> {
        std::fs::read(&self.path).unwrap()
    }

    /// The version that a run prints.
    pub fn version(&self) -> String {
        let output = self.run(&["--no-update"]);
        assert!(output.status.success(), "{output:?}");
        stdout(&output).split(' ').nth(1).unwrap().to_owned()
    }

    /// Names in `.<exe>.relatch` that a finished swap does not leave there.
    pub fn strays(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.inside("journal").parent().unwrap()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let expected = [
            "journal",
            "floors",
            "cache",
            "root",
            "lock",
            "staging",
            "previous.exe",
            "settings",
            "trial",
            "events",
        ];
        names.filter(|name| !expected.contains(&name.as_str())).collect()
    }

    /// One of the files `journal`, `floors` and `cache`.
    pub fn record(&self, name: &str) -> Value {
        let text = std::fs::read_to_string(self.inside(name)).unwrap();
        serde_json::from_str(text.lines().next().unwrap()).unwrap()
    }

    /// Says that a swap has begun, as if it had come so.
    pub fn begins(&self, pending: Value) {
        let mut journal = self.record("journal");
        journal["pending"] = pending;
        let line = journal.to_string();
        let text = format!("{line}\n{}\n", Digest::of(line.as_bytes()));
        std::fs::write(self.inside("journal"), text).unwrap();
    }

    /// In the words of SPEC 4.1: an executable, installed as the one that is there.
    pub fn copy(&self, version: &str, bytes: &[u8]) -> Value {
        let mut copy = self.record("journal")["installed"].clone();
        (copy["version"], copy["blake3"]) = (version.into(), Digest::of(bytes).to_string().into());
        copy
    }
}

/// Without what this test's own environment says.
pub fn clean(mut command: Command) -> Command {
    command.env_remove("CI").env_remove("RELATCH_NO_UPDATE").env_remove("RELATCH_RESTARTED");
    command
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Whether this is wine, which has the file system of the system below it.
pub fn is_wine() -> bool {
    Path::new(r"Z:\bin\sh").exists()
}
