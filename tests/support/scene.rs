//! A tool at release 1.0.0 that has checked once, and what a refusal must leave as it was.

use std::sync::{Arc, Mutex};

use relatch::Finding;
use relatch::trust::Version;
use relatch::{Clock, Error, Outcome, Refusal, Reporter};

use super::minisign::Key;
use super::repository::{Draft, Repository};
use super::tool::{Snapshot, Tool};

/// An executable of a few bytes, for tests that run none.
pub fn fake(version: &str) -> Vec<u8> {
    format!("#!/bin/sh\necho {version}\n").into_bytes()
}

pub struct Scene {
    pub repository: Repository,
    pub tool: Tool,
    /// Release 1.0.0 as it was published.
    pub first: Draft,
}

impl Scene {
    /// Epoch 2 and release number 6, so that there is something lower.
    pub fn new() -> Self {
        Scene::of(Repository::with_a_past())
    }

    /// The tool is installed from the repository and has found nothing to do: its state is written.
    pub fn of(mut repository: Repository) -> Self {
        let first = repository.release("1.0.0", &fake("1.0.0"));
        let tool = Tool::installed_plain(&repository);
        let scene = Scene { repository, tool, first };
        scene.is_current("before anything is wrong");
        scene
    }

    pub fn is_current(&self, name: &str) {
        let answer = self.tool.updater().update(false);
        assert!(matches!(answer, Ok(Outcome::Nothing(Finding::Current))), "{name}: {answer:?}");
    }

    /// Refused so, and the disk is as it was.
    pub fn refused(&self, name: &str, is: impl FnOnce(&Refusal) -> bool) {
        let before = self.tool.snapshot();
        self.refused_at_all(name, is);
        assert_eq!(self.tool.snapshot(), before, "{name}: the disk changed");
    }

    /// Refused after VERSION and manifest were verified: the floors may advance, and nothing else.
    pub fn refused_with_floors(&self, name: &str, is: impl FnOnce(&Refusal) -> bool) {
        let before = without_state(self.tool.snapshot());
        self.refused_at_all(name, is);
        assert_eq!(without_state(self.tool.snapshot()), before, "{name}: the disk changed");
    }

    fn refused_at_all(&self, name: &str, is: impl FnOnce(&Refusal) -> bool) {
        match self.tool.updater().update(false) {
            Err(Error::Refused(refusal)) => assert!(is(&refusal), "{name}: refused, but as {refusal:?}"),
            other => panic!("{name}: {other:?}"),
        }
    }

    pub fn updates_to(&self, name: &str, version: &str, executable: &[u8]) {
        let answer = self.tool.updater().update(false);
        let is = |to: &Version| to.to_string() == version;
        assert!(matches!(&answer, Ok(Outcome::Updated { to, .. }) if is(to)), "{name}: {answer:?}");
        assert_eq!(std::fs::read(&self.tool.path).unwrap(), executable, "{name}");
    }

    /// The next good release installs, whatever was refused before.
    pub fn heals(&mut self, name: &str) {
        self.repository.release("9.0.0", &fake("9.0.0"));
        self.updates_to(name, "9.0.0", &fake("9.0.0"));
    }

    /// The number of the root beside the executable; 1 is the one that was given.
    pub fn root_on_disk(&self) -> u64 {
        self.tool.root_on_disk()
    }
}

pub fn without_state(mut snapshot: Snapshot) -> Snapshot {
    snapshot.0.retain(|name, _| !["/journal", "/floors", "/cache"].iter().any(|file| name.ends_with(file)));
    snapshot
}

pub fn keys(seeds: &[u8]) -> Vec<Key> {
    seeds.iter().map(|seed| Key::new(*seed)).collect()
}

/// A clock that stands still.
pub struct Stopped(pub u64);

impl Clock for Stopped {
    fn now(&self) -> u64 {
        self.0
    }
}

/// Keeps what was warned of.
#[derive(Clone, Default)]
pub struct Warnings(pub Arc<Mutex<Vec<String>>>);

impl Warnings {
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Reporter for Warnings {
    fn warn(&mut self, what: &str) {
        self.0.lock().unwrap().push(what.into());
    }

    fn downloading(&mut self, _: &Version, _: u64, _: u64) {}
}
