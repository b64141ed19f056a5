//! A client on a disk, and a repository beside it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use relatch::{Clock, Outcome, RolledBack, Status, Updater};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::minisign::sign_all;
use crate::release::{NOW, PRODUCT, Release, TARGET, blake3, executable, keys};

/// The files of a folder.
pub const FILES: [&str; 4] = ["journal", "floors", "cache", "root"];

pub struct Place {
    dir: TempDir,
}

struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> u64 {
        NOW
    }
}

impl Place {
    /// An executable of this version, and nothing else.
    pub fn new(version: &str) -> Self {
        let place = Place { dir: tempfile::tempdir().unwrap() };
        std::fs::create_dir(place.dir.path().join("bin")).unwrap();
        std::fs::create_dir(place.site()).unwrap();
        std::fs::write(place.tool(), executable(version)).unwrap();
        place
    }

    /// The client that left these files.
    pub fn of(folder: &Path) -> Self {
        let place = Place::new("1.3.0");
        for name in FILES {
            if let Ok(content) = std::fs::read(folder.join(name)) {
                std::fs::write(place.site().join(name), content).unwrap();
            }
        }
        let journal = place.record("journal");
        if let Some(version) = journal["installed"]["version"].as_str() {
            std::fs::write(place.tool(), executable(version)).unwrap();
        }
        if let Some(version) = journal["kept"][0]["version"].as_str() {
            place.write("previous", &executable(version));
        }
        place
    }

    pub fn tool(&self) -> PathBuf {
        self.dir.path().join("bin/tool")
    }

    pub fn site(&self) -> PathBuf {
        self.dir.path().join("bin/.tool.relatch")
    }

    /// A file by the name that SPEC gives it.
    pub fn write(&self, name: &str, content: &[u8]) {
        let name = if cfg!(windows) && name == "previous" { "previous.exe" } else { name };
        std::fs::write(self.site().join(name), content).unwrap();
    }

    /// Line 1 of a file.
    pub fn record(&self, name: &str) -> Value {
        let text = std::fs::read_to_string(self.site().join(name)).unwrap();
        serde_json::from_str(text.lines().next().unwrap()).unwrap()
    }

    /// A file with another line 1.
    pub fn edit(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let mut record = self.record(name);
        change(&mut record);
        self.write(name, &checked(&record));
    }

    /// The repository has these roots and releases, and nothing else.
    pub fn serve(&self, roots: &[(Value, &[u8])], releases: &[Release]) {
        let repository = self.repository();
        drop(std::fs::remove_dir_all(&repository));
        std::fs::create_dir(&repository).unwrap();
        let mut objects = BTreeMap::new();
        for (root, signers) in roots {
            let (text, path) = (root.to_string(), format!("root/{}.json", root["version"]));
            objects.insert(format!("{path}.minisig"), sign_all(&keys(signers), text.as_bytes()).into_bytes());
            objects.insert(path, text.into_bytes());
        }
        for release in releases {
            for (path, content) in release.objects() {
                let channel = release.version["channel"].as_str().unwrap();
                objects.insert(path.replace("stable/", &format!("{channel}/")), content);
            }
        }
        for (path, content) in objects {
            let path = repository.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
    }

    fn repository(&self) -> PathBuf {
        self.dir.path().join("repository")
    }

    /// An update of a program of this version that carries this root.
    pub fn update(&self, anchor: &Value, channel: &str, version: &str) -> relatch::Result<Outcome> {
        let settings = json!({
            "type": "relatch-settings/1",
            "product": PRODUCT,
            "channel": channel,
            "target": TARGET,
            "from": self.repository().to_str().unwrap(),
            "ca_file": null,
            "probe": "none",
            "root": anchor.to_string(),
        });
        self.write("settings", &checked(&settings));
        let updater = Updater::of_installed(&self.tool())?.version(version.parse().unwrap());
        updater.clock(Stopped).update(false)
    }

    pub fn rollback(&self) -> relatch::Result<RolledBack> {
        Updater::rollback(&relatch::install::Installation::at(&self.tool())?, None)
    }

    pub fn forward(&self, to: &str) -> relatch::Result<RolledBack> {
        let installation = relatch::install::Installation::at(&self.tool())?;
        Updater::forward(&installation, None, &to.parse().unwrap())
    }

    pub fn status(&self) -> Status {
        Updater::status(&relatch::install::Installation::at(&self.tool()).unwrap(), None).unwrap()
    }

    /// The version whose executable is at the path.
    pub fn version(&self) -> String {
        let text = std::fs::read_to_string(self.tool()).unwrap();
        text.trim_end().rsplit(' ').next().unwrap().to_owned()
    }

    /// Leaves the files in a folder of the corpus.
    pub fn keep(&self, folder: &Path) {
        std::fs::create_dir(folder).unwrap();
        for name in FILES {
            if let Ok(content) = std::fs::read(self.site().join(name)) {
                std::fs::write(folder.join(name), content).unwrap();
            }
        }
    }
}

pub fn checked(line: &Value) -> Vec<u8> {
    let line = line.to_string();
    format!("{line}\n{}\n", blake3(line.as_bytes())).into_bytes()
}
