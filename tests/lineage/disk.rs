//! The same cases on a disk, by the updater.

use std::collections::BTreeMap;
use std::path::Path;

use relatch::{Clock, Error, Outcome as Done, Refusal, Updater};
use serde_json::{Value, json};

use crate::oracle::{Case, Outcome};
use crate::release::{NOW, PRODUCT, TARGET, executable};
use crate::world::{Id, Served};
use crate::{Bytes, checked, first_line};

struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> u64 {
        NOW
    }
}

fn content(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let name = |entry: &std::fs::DirEntry| entry.file_name().into_string().unwrap();
    let locks = ["lock", "staging"];
    let files = files.filter(|entry| entry.file_type().unwrap().is_file());
    files
        .filter(|entry| !locks.contains(&name(entry).as_str()))
        .map(|entry| (name(&entry), std::fs::read(entry.path()).unwrap()))
        .collect()
}

/// What the updater does, and `floors` from then on. Nothing but roots on the way to a newer anchor is
/// written where nothing was accepted.
pub fn told(bytes: &Bytes, case: &Case, lineages: &dyn Fn(&Value) -> Vec<Vec<Id>>) -> Outcome {
    let dir = tempfile::tempdir().unwrap();
    let (tool, repository) = (dir.path().join("tool"), dir.path().join("repository"));
    let site = dir.path().join(".tool.relatch");
    for dir in [&site, &repository] {
        std::fs::create_dir(dir).unwrap();
    }
    assert_ne!(case.served, Served::Offline, "a directory is always there");
    for (path, content) in &bytes.repositories[&case.served] {
        let path = repository.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    let settings = json!({
        "type": "relatch-settings/1",
        "product": PRODUCT,
        "channel": "stable",
        "target": TARGET,
        "from": repository.to_str().unwrap(),
        "ca_file": null,
        "probe": "none",
        "root": bytes.documents[&case.anchor],
    });
    std::fs::write(&tool, executable("1.3.0")).unwrap();
    std::fs::write(site.join("settings"), checked(&settings)).unwrap();
    if let Some(floors) = bytes.floors(case) {
        std::fs::write(site.join("floors"), checked(&floors)).unwrap();
    }
    if let Some(file) = case.file {
        std::fs::write(site.join("root"), &bytes.files[&file]).unwrap();
    }
    let before = content(&site);
    let updater = Updater::of_installed(&tool).unwrap().version("1.3.0".parse().unwrap());
    let done = updater.clock(Stopped).update(true);
    let after = content(&site);
    let version = if done.is_ok() { "1.4.0" } else { "1.3.0" };
    assert_eq!(std::fs::read(&tool).unwrap(), executable(version), "{case:?}");
    if done.is_err() {
        let changed = |name: &String| before.get(name) != after.get(name);
        let changed: Vec<_> = after.keys().filter(|name| changed(name)).collect();
        assert!(
            changed.iter().all(|name| ["events", "floors", "root"].contains(&name.as_str())),
            "{case:?}: {changed:?}"
        );
        assert!(before.keys().all(|name| after.contains_key(name)), "{case:?}");
    }
    match done {
        Ok(Done::Updated { .. }) => {
            let floors = first_line(&after["floors"]);
            let is_new = floors["domains"][0]["epochs"].as_array().unwrap().len() == 1
                && !before.get("floors").is_some_and(|before| {
                    let before = first_line(before);
                    before["domains"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .any(|old| old["id"] == floors["domains"][0]["id"])
                });
            Outcome::Installs { lineages: lineages(&floors), is_new }
        }
        Ok(Done::Nothing(finding)) => panic!("{case:?}: {finding}"),
        Err(Error::Unavailable(_)) => Outcome::Unavailable,
        Err(Error::Refused(Refusal::RootUndetermined { .. })) => Outcome::Undetermined,
        Err(Error::Refused(_)) => Outcome::Refused,
        Err(other) => panic!("{case:?}: {other}"),
    }
}
