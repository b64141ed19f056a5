//! Promise: what a build of relatch recorded, every later build reads, understands, and writes again without a loss; and what a later
//! version recorded does not lock the older one out of its way back.

#![allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and its helpers are tests"
)]

mod later;
mod place;
#[path = "../vectors/tables/release.rs"]
mod release;
mod situations;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::path::PathBuf;

use relatch::Updater;
use relatch::install::{Installation, RecordedFiles};
use serde_json::json;
use support::minisign;
use support::tool::{PREVIOUS, run, stderr};
use support::{Repository, Tool, executable_such};

use place::Place;
use situations::ALL;

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden").join(name)
}

fn folders() -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder("")).unwrap().map(|entry| entry.unwrap());
    let folders = entries.filter(|entry| entry.file_type().unwrap().is_dir());
    folders.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

#[test]
fn every_folder_is_of_a_situation() {
    if std::env::var_os("RELATCH_WRITE_GOLDEN").is_some() {
        for situation in ALL.iter().filter(|situation| !folders().contains(situation.name)) {
            (situation.write)().keep(&folder(situation.name));
        }
    }
    let named: BTreeSet<String> = ALL.iter().map(|situation| situation.name.into()).collect();
    assert_eq!(folders(), named, "RELATCH_WRITE_GOLDEN=1 writes those that do not exist yet");
}

#[test]
fn every_file_is_written_again_byte_for_byte() {
    for name in folders() {
        let read = |file: &str| std::fs::read(folder(&name).join(file)).unwrap();
        let (journal, floors, cache) = (read("journal"), read("floors"), read("cache"));
        let files =
            RecordedFiles::parse(&"demo".parse().unwrap(), Some(&journal), Some(&floors), Some(&cache))
                .unwrap();
        let written = files.to_bytes();
        assert!(written.0 == journal, "{name}: journal");
        assert!(written.1 == floors, "{name}: floors");
        // A cache need not keep what it does not know.
        let is_same = written.2.as_ref() == Some(&cache);
        assert!(is_same || (name == "later" && written.2.is_some()), "{name}: cache");
    }
}

#[test]
fn every_folder_means_what_it_says() {
    for situation in ALL {
        println!("{}", situation.name);
        (situation.means)(&Place::of(&folder(situation.name)));
    }
}

/// What this build writes means the same, so that a folder that is added is right from the beginning.
#[test]
fn this_build_means_the_same() {
    for situation in ALL {
        println!("{}", situation.name);
        let written = (situation.write)();
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join(situation.name);
        written.keep(&folder);
        (situation.means)(&Place::of(&folder));
    }
}

/// The three ways back of a real executable whose records a later version wrote.
#[test]
fn a_later_version_locks_nobody_out_of_the_way_back() {
    let back: [fn(&Tool); 3] = [
        |tool| {
            let output = tool.run(&["--rollback"]);
            assert!(output.status.success(), "{}", stderr(&output));
        },
        |tool| {
            let output = run(std::process::Command::new(tool.site_dir().join(PREVIOUS)).arg("--rollback"));
            assert!(output.status.success(), "{}", stderr(&output));
        },
        // As `relatch rollback PATH` does.
        |tool| drop(Updater::rollback(&Installation::at(&tool.path).unwrap(), None).unwrap()),
    ];
    for go_back in back {
        let mut repository = Repository::new();
        let bytes = |repository: &Repository, version: &str| {
            executable_such(repository, version, json!({"interval": 0}))
        };
        let tool = Tool::copied(&bytes(&repository, "1.0.0"));
        for version in ["1.1.0", "1.2.0"] {
            let new = bytes(&repository, version);
            repository.release(version, &new);
            let output = tool.run(&["--update"]);
            assert!(output.status.success(), "{}", stderr(&output));
            if version == "1.1.0" {
                for (file, places) in later::FILES {
                    tool.edit(file, |record| later::add(record, file, places));
                }
                go_back(&tool);
                assert_eq!(tool.version(), "1.0.0");
                later::ensure_exchanged(&tool.record("journal"));
                later::ensure_floors(&tool.record("floors"));
            }
        }
        assert_eq!(tool.version(), "1.2.0");
        later::ensure_floors(&tool.record("floors"));
    }
}
