//! One installation on the disk, in memory-backed files where there are any, and a repository that
//! answers as the attacker says.

use std::collections::{BTreeMap, HashMap};
use std::fs::Permissions;
use std::io::{Cursor, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use relatch::install::Installation;
use relatch::source::{Etag, Object, Opened, Source};
use relatch::trust::{Digest, Identity, Name, Version};
use relatch::{Clock, Install, Outcome, Reporter, Unavailable, Updater};
use tempfile::TempDir;

use super::chains::{self, ROOTS};
use super::invariant::unprintable;
use super::record::{parsed, with_hash};
use super::world::{self, CHANNEL, PRODUCT, TARGET, World};
use crate::NOW;

/// A clock that stands still.
pub struct Stopped(pub u64);

impl Clock for Stopped {
    fn now(&self) -> u64 {
        self.0
    }
}

/// What is told on the way cannot drive a terminal either.
struct Told;

impl Reporter for Told {
    fn warn(&mut self, what: &str) {
        assert_eq!(unprintable(what), None, "{what:?}");
    }

    fn downloading(&mut self, _: &Version, _: u64, _: u64) {}
}

/// What the repository says when it is asked for an object.
#[derive(Clone)]
pub enum Answer {
    Bytes(Arc<[u8]>),
    /// The connection breaks after these.
    Broken(Arc<[u8]>),
    Forbidden,
    /// Nothing has changed, whatever was asked.
    Unchanged,
    Failed,
}

/// A repository: what is not in it is absent.
#[derive(Clone, Default)]
pub struct Repository {
    pub answers: HashMap<Object, Answer>,
    /// Given with every object in place of an honest entity tag.
    pub etag: Option<Etag>,
}

impl Repository {
    pub fn honest(world: &World) -> Self {
        let mut repository = Repository::default();
        for (object, bytes) in &world.objects {
            repository.put(object, bytes);
        }
        repository.serve_roots(0, 2);
        repository
    }

    /// Serves the roots of a chain up to this number, and no others.
    pub fn serve_roots(&mut self, chain: usize, last: usize) {
        for number in 1..=ROOTS {
            let objects = [Object::Root(number as u64), Object::RootSignatures(number as u64)];
            if number > last {
                objects.iter().for_each(|object| drop(self.answers.remove(object)));
                continue;
            }
            let (root, signatures) = chains::published(chain, number);
            self.put(&objects[0], root.as_bytes());
            self.put(&objects[1], &signatures);
        }
    }

    pub fn put(&mut self, object: &Object, bytes: &[u8]) {
        self.answers.insert(object.clone(), Answer::Bytes(bytes.into()));
    }

    /// Whether a client that trusts the root before this one learns of it.
    pub fn tells_of_root(&self, chain: usize, number: usize) -> bool {
        if number > ROOTS {
            return false;
        }
        let (root, signatures) = chains::published(chain, number);
        let serves = |object, bytes: &[u8]| matches!(self.answers.get(&object), Some(Answer::Bytes(served)) if **served == *bytes);
        serves(Object::Root(number as u64), root.as_bytes())
            && serves(Object::RootSignatures(number as u64), &signatures)
    }

    /// Whether anything is answered to a request for this root.
    pub fn has_root(&self, number: usize) -> bool {
        self.answers.contains_key(&Object::Root(number as u64))
    }

    /// As files: only what can be said so.
    fn write(&self, dir: &Path) {
        for (object, answer) in &self.answers {
            if let Answer::Bytes(bytes) = answer {
                let path = dir.join(object.to_string());
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, bytes).unwrap();
            }
        }
    }
}

struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::Error::other("the connection broke"))
    }
}

impl Source for Repository {
    fn open(&self, object: &Object, known: Option<&Etag>) -> Result<Opened, Unavailable> {
        let (location, object) = (self.location(), object.clone());
        let reader: Box<dyn Read + Send> = match self.answers.get(&object) {
            Some(Answer::Bytes(bytes)) => {
                let honest = Etag::new(&format!("\"{}\"", Digest::of(bytes)));
                let etag = self.etag.clone().or(honest);
                if known.is_some() && known == etag.as_ref() {
                    return Ok(Opened::NotModified);
                }
                return Ok(Opened::Object { reader: Box::new(Cursor::new(bytes.clone())), etag });
            }
            // Of a document that breaks off the client asks again after a pause, which a fuzzer has no time for.
            Some(Answer::Broken(bytes)) if matches!(object, Object::Blob(_)) => {
                Box::new(Cursor::new(bytes.clone()).chain(Broken))
            }
            Some(Answer::Broken(bytes)) => Box::new(Cursor::new(bytes.clone())),
            Some(Answer::Forbidden) => return Err(Unavailable::Forbidden { location, object, code: None }),
            Some(Answer::Unchanged) => return Ok(Opened::NotModified),
            Some(Answer::Failed) => {
                let why = "no route".into();
                return Err(Unavailable::Unreachable { location, object, why, retryable: false });
            }
            None => return Err(Unavailable::Absent { location, object }),
        };
        Ok(Opened::Object { reader, etag: None })
    }

    fn location(&self) -> String {
        "the attacker's repository".into()
    }
}

/// Writes a whole file.
fn write(path: &Path, bytes: &[u8], mode: u32) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

/// What lies on the disk: by name, content and mode. The executable is `demo`, the rest lies in `.demo.relatch/`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Snapshot(pub BTreeMap<String, (Vec<u8>, u32)>);

impl Snapshot {
    pub fn executable(&self) -> Option<&Vec<u8>> {
        self.0.get(PRODUCT).map(|(bytes, _)| bytes)
    }

    /// A file of the private directory.
    pub fn file(&self, name: &str) -> Option<&Vec<u8>> {
        self.entry(name).map(|(bytes, _)| bytes)
    }

    /// The same with its mode.
    pub fn entry(&self, name: &str) -> Option<&(Vec<u8>, u32)> {
        self.0.get(&format!(".{PRODUCT}.relatch/{name}"))
    }
}

/// The program that acts: the root that it carries, or that a person gave, and its channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Program {
    pub chain: usize,
    pub anchor: usize,
    pub channel: &'static str,
}

impl Program {
    /// A program with root 1 of the first chain, on the stable channel.
    pub const FIRST: Program = Program { chain: 0, anchor: 1, channel: CHANNEL };

    fn identity(&self) -> Identity {
        Identity { product: name(PRODUCT), channel: name(self.channel) }
    }

    fn root(&self) -> &'static str {
        chains::document(self.chain, self.anchor)
    }
}

/// A place to install to. It goes away when this is dropped.
pub struct Place {
    dir: TempDir,
}

impl Place {
    pub fn new() -> Self {
        let shm = Path::new("/dev/shm");
        let dir = if shm.is_dir() { tempfile::tempdir_in(shm) } else { tempfile::tempdir() };
        Place { dir: dir.unwrap() }
    }

    pub fn with(snapshot: &Snapshot) -> Self {
        let place = Place::new();
        for (name, (bytes, mode)) in &snapshot.0 {
            write(&place.dir.path().join(name), bytes, *mode);
        }
        place
    }

    /// Puts a file into the private directory.
    pub fn restore(&self, name: &str, bytes: &[u8], mode: u32) {
        write(&self.file(name), bytes, mode);
    }

    pub fn executable(&self) -> PathBuf {
        self.dir.path().join(PRODUCT)
    }

    /// A file of the private directory.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!(".{PRODUCT}.relatch")).join(name)
    }

    pub fn snapshot(&self) -> Snapshot {
        let mut all = BTreeMap::new();
        let mut take = |path: &Path, name: String| {
            let meta = std::fs::symlink_metadata(path).unwrap();
            // A directory, or a link, is nothing that belongs here: kept, so that it is seen.
            let bytes = if meta.is_file() { std::fs::read(path).unwrap() } else { Vec::new() };
            all.insert(name, (bytes, meta.permissions().mode() & 0o7777));
        };
        for entry in std::fs::read_dir(self.dir.path()).unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap();
            if name == format!(".{PRODUCT}.relatch") {
                for inner in std::fs::read_dir(entry.path()).unwrap().flatten() {
                    take(&inner.path(), format!("{name}/{}", inner.file_name().into_string().unwrap()));
                }
            } else {
                take(&entry.path(), name);
            }
        }
        Snapshot(all)
    }

    /// The updater of the executable here: of a tool that knows its version and its root, or as
    /// `relatch install` recorded it.
    pub fn updater(
        &self,
        repository: &Repository,
        clock: u64,
        running: Option<(&Version, Program)>,
    ) -> relatch::Result<Updater> {
        let (path, source) = (self.executable(), repository.clone());
        let updater = match running {
            Some((running, program)) => {
                let (identity, anchor) = (program.identity(), program.root().as_bytes());
                relatch::fuzzing::updater(&path, identity, name(TARGET), running.clone(), anchor, source)?
            }
            None => Updater::of_installed(&path)?.source(source),
        };
        Ok(updater.clock(Stopped(clock)).reporter(Told))
    }

    /// A first install, or one in the place of what is there. It goes by the system's clock.
    pub fn install(
        &self,
        repository: &Repository,
        program: Program,
        force: bool,
    ) -> relatch::Result<Version> {
        let from = Place::new();
        repository.write(from.dir.path());
        let root = from.dir.path().join("anchor");
        std::fs::write(&root, program.root()).unwrap();
        let Identity { product, channel } = program.identity();
        let install = Install {
            from: from.dir.path().to_str().unwrap().into(),
            ca_file: None,
            root,
            product,
            channel,
            target: name(TARGET),
            path: self.executable(),
            probe: None,
            force,
        };
        install.run(Told).map(|(version, _)| version)
    }

    /// A person puts this file at the path.
    pub fn put_executable(&self, bytes: &[u8]) {
        write(&self.executable(), bytes, 0o755);
    }

    pub fn site(&self) -> relatch::Result<Installation> {
        Installation::at(&self.executable())
    }
}

/// What the attacks begin with, made by the client itself.
pub fn starts(world: &World) -> Vec<Snapshot> {
    let mut repository = Repository::honest(world);
    let place = Place::new();
    let mut starts = vec![place.snapshot()];
    let mut take = |place: &Place, index: usize| {
        // Random numbers and the system's time would make every run another one.
        for (file, field, value) in
            [("journal", "rollout", 50), ("cache", "checked", NOW), ("cache", "root_checked", NOW)]
        {
            let mut record = parsed(&std::fs::read(place.file(file)).unwrap()).expect("the client wrote it");
            record[field] = value.into();
            std::fs::write(place.file(file), with_hash(&record)).unwrap();
        }
        let snapshot = place.snapshot();
        assert_eq!(snapshot.executable(), Some(&world.drafts[index].executable));
        starts.push(snapshot);
    };
    for index in 0..2 {
        let (object, bytes) = world::version_object(&world.pointers[index].value, &[30]);
        repository.put(&object, &bytes);
        let version = &world.drafts[index].version;
        if index == 0 {
            place.install(&repository, Program::FIRST, false).unwrap();
        } else {
            let outcome = place.updater(&repository, NOW, None).unwrap().update(false);
            assert!(matches!(outcome, Ok(Outcome::Updated { to, .. }) if to.to_string() == *version));
        }
        take(&place, index);
    }
    repository.answers.remove(&Object::Root(2));
    let (object, bytes) = world::version_object(&world.pointers[0].value, &[30]);
    repository.put(&object, &bytes);
    let place = Place::new();
    place.install(&repository, Program::FIRST, false).unwrap();
    take(&place, 0);
    starts
}
