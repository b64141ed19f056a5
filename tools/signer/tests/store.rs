//! Promise: an immutable object is written once, `VERSION` changes only from what the publisher has seen, and what was published is read
//! back before anybody calls it published.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

mod support;

use std::sync::Barrier;
use std::thread;

use relatch::source::{Fetcher, Object};
use relatch::trust::{Digest, Name};
use signer::baseline::Safeguards;
use signer::folder::Folder;
use signer::progress::{Progress, Silent};
use signer::publish::publish;
use signer::store::{Body, DirStore, Put, Store};
use signer::{Failure, Result};
use support::Desk;
use tempfile::TempDir;

fn version() -> Object {
    Object::Version("stable".parse().unwrap())
}

/// An empty repository in a directory.
struct Place {
    dir: TempDir,
    store: DirStore,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Place { store: DirStore::new(dir.path()), dir }
    }

    fn content(&self, object: &Object) -> Vec<u8> {
        std::fs::read(self.dir.path().join(object.to_string())).unwrap()
    }

    /// The names beside an object but for the lock.
    fn names_beside(&self, object: &Object) -> Vec<String> {
        let path = self.dir.path().join(object.to_string());
        let entries = std::fs::read_dir(path.parent().unwrap()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name != ".lock").collect()
    }
}

#[track_caller]
fn assert_lost(outcome: Result<()>) {
    assert!(matches!(&outcome, Err(Failure::LostRace { object }) if *object == version()), "{outcome:?}");
}

#[test]
fn version_changes_only_from_what_was_seen() {
    let place = Place::new();
    assert_eq!(place.store.read(&version()).unwrap(), None);
    // It was there when it was looked at, and is not any more.
    assert_lost(place.store.swap(&version(), Some(b"one"), b"two", &Silent));
    assert_eq!(place.store.read(&version()).unwrap(), None);
    place.store.swap(&version(), None, b"one", &Silent).unwrap();
    // It was not there, or another one.
    for stale in [None, Some(&b"zero"[..]), Some(b""), Some(b"on"), Some(b"one\n")] {
        assert_lost(place.store.swap(&version(), stale, b"two", &Silent));
        assert_eq!(place.content(&version()), b"one");
    }
    place.store.swap(&version(), Some(b"one"), b"two", &Silent).unwrap();
    assert_eq!(place.store.read(&version()).unwrap().as_deref(), Some(&b"two"[..]));
    assert_lost(place.store.swap(&version(), Some(b"one"), b"three", &Silent));
    assert_eq!(place.content(&version()), b"two");
    assert_eq!(place.names_beside(&version()), ["VERSION"]);
}

#[test]
fn of_those_who_saw_the_same_one_wins() {
    const PUBLISHERS: usize = 4;
    let place = Place::new();
    let mut seen: Option<Vec<u8>> = None;
    for round in 0..20 {
        let start = Barrier::new(PUBLISHERS);
        let publisher = |number: usize| {
            let new = format!("round {round} publisher {number}").into_bytes();
            start.wait();
            match place.store.swap(&version(), seen.as_deref(), &new, &Silent) {
                Ok(()) => Some(new),
                lost => {
                    assert_lost(lost);
                    None
                }
            }
        };
        let won: Vec<Vec<u8>> = thread::scope(|scope| {
            let publisher = &publisher;
            let threads: Vec<_> =
                (0..PUBLISHERS).map(|number| scope.spawn(move || publisher(number))).collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(won.len(), 1, "round {round}");
        assert_eq!(place.content(&version()), won[0], "round {round}");
        seen = Some(won[0].clone());
    }
}

#[test]
fn an_immutable_object_is_written_once() {
    let place = Place::new();
    let object = Object::Blob(Digest::of(b"content"));
    assert_eq!(place.store.put_new(&object, Body::Bytes(b"content"), &Silent).unwrap(), Put::Created);
    let file = place.dir.path().join("upload");
    std::fs::write(&file, b"content").unwrap();
    for same in [Body::Bytes(b"content"), Body::File(&file)] {
        assert_eq!(place.store.put_new(&object, same, &Silent).unwrap(), Put::Existed);
    }
    std::fs::write(&file, b"Content").unwrap();
    for other in [Body::Bytes(b"other content"), Body::Bytes(b"conten"), Body::Bytes(b""), Body::File(&file)]
    {
        let outcome = place.store.put_new(&object, other, &Silent);
        assert!(
            matches!(&outcome, Err(Failure::Occupied { object: found }) if *found == object),
            "{outcome:?}"
        );
        assert_eq!(place.content(&object), b"content");
    }
    assert_eq!(place.names_beside(&object).len(), 1);
}

/// A store whose disk damages one kind of object while writing it, or loses it, and tells nobody.
struct Faulty {
    inner: DirStore,
    is_hit: fn(&Object) -> bool,
    lost: bool,
}

impl Store for Faulty {
    fn source(&self) -> Fetcher {
        self.inner.source()
    }

    fn put_new(&self, object: &Object, content: Body<'_>, progress: &dyn Progress) -> Result<Put> {
        match ((self.is_hit)(object), self.lost) {
            (false, _) => self.inner.put_new(object, content, progress),
            (true, true) => Ok(Put::Created),
            (true, false) => self.inner.put_new(object, Body::Bytes(b"what the disk made of it"), progress),
        }
    }

    fn read(&self, object: &Object) -> Result<Option<Vec<u8>>> {
        self.inner.read(object)
    }

    fn swap(
        &self,
        object: &Object,
        expected: Option<&[u8]>,
        new: &[u8],
        progress: &dyn Progress,
    ) -> Result<()> {
        match (self.is_hit)(object) {
            false => self.inner.swap(object, expected, new, progress),
            true => Ok(()),
        }
    }

    fn list(&self) -> Result<Vec<Object>> {
        self.inner.list()
    }

    fn manifests(&self) -> Result<Option<Vec<Digest>>> {
        self.inner.manifests()
    }

    fn channels(&self) -> Result<Vec<Name>> {
        self.inner.channels()
    }

    fn location(&self) -> String {
        self.inner.location()
    }
}

const REPO: [&str; 4] = ["--repo", "repo", "--root", "root.json"];

/// A folder that is prepared and signed.
fn signed(desk: &Desk, version: &str, more: &[&str]) -> Folder {
    let artifact = desk.build(version);
    let prepare = ["prepare", "--version", version, "--artifact", &artifact, "--out", version];
    desk.ok(&[&prepare[..], &REPO, more].concat());
    desk.ok(&["sign", version, "--key", "keys/release.key", "--key", "keys/timestamp.key"]);
    Folder::open(&desk.path(version)).unwrap()
}

#[test]
fn what_was_published_is_read_back() {
    for (name, is_hit) in [
        ("a blob", (|object| matches!(object, Object::Blob(_))) as fn(&Object) -> bool),
        ("the manifest", |object| matches!(object, Object::Manifest(_))),
        ("the signatures", |object| matches!(object, Object::ManifestSignatures(_))),
    ] {
        for lost in [false, true] {
            let desk = Desk::new();
            let folder = signed(&desk, "1.0.0", &[]);
            let root = std::fs::read(desk.path("root.json")).unwrap();
            let store = Faulty { inner: DirStore::new(desk.path("repo")), is_hit, lost };
            let outcome = publish(&folder, &store, &root, Safeguards::default(), &Silent);
            // Bytes that are not those of the name are noticed before anything is written.
            let is_right = match &outcome {
                Err(Failure::Client(_)) => !lost && name != "the signatures",
                outcome => matches!(why_unfinished(outcome), Failure::Client(_)),
            };
            assert!(is_right, "{name}, lost: {lost}: {outcome:?}");
            assert!(desk.client("widget").is_err(), "{name}, lost: {lost}");
        }
    }
    // The same folder to a disk that works.
    let desk = Desk::new();
    let folder = signed(&desk, "1.0.0", &[]);
    let root = std::fs::read(desk.path("root.json")).unwrap();
    publish(&folder, &DirStore::new(desk.path("repo")), &root, Safeguards::default(), &Silent).unwrap();
    desk.client("widget").unwrap();
}

#[track_caller]
fn why_unfinished<T: std::fmt::Debug>(outcome: &Result<T>) -> &Failure {
    let Err(failure @ Failure::Unfinished { why, .. }) = outcome else { panic!("{outcome:?}") };
    let next = "do not release it again. `signer verify --channel stable` reports";
    assert!(failure.advice().contains(next), "{}", failure.advice());
    assert_eq!(failure.exit_code(), why.exit_code());
    why
}

/// `VERSION` is told to be written and is not: a release that no client will see, first or not.
#[test]
fn a_version_that_was_not_written_is_noticed() {
    let desk = Desk::new();
    let root = std::fs::read(desk.path("root.json")).unwrap();
    let is_hit: fn(&Object) -> bool = |object| matches!(object, Object::Version(_));
    let store = Faulty { inner: DirStore::new(desk.path("repo")), is_hit, lost: true };
    let outcome = publish(&signed(&desk, "1.0.0", &[]), &store, &root, Safeguards::default(), &Silent);
    assert!(matches!(why_unfinished(&outcome), Failure::Client(_)), "{outcome:?}");
    // Its manifest is there, and goes by its name.
    let lost = Digest::of(desk.read("1.0.0/manifest.json").as_bytes()).to_string();
    desk.released("1.0.1", &["--abandon", &lost]);
    let outcome = publish(&signed(&desk, "1.1.0", &[]), &store, &root, Safeguards::default(), &Silent);
    let Failure::Storage { what, .. } = why_unfinished(&outcome) else { panic!("{outcome:?}") };
    assert!(what.starts_with("stable/VERSION was read back as that of 1.0.1 as release "), "{what}");
}
