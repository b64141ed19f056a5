//! The fuzzer's bytes as steps. Every byte string is a script: what is missing at its end counts as zero, and what is too large is taken
//! modulo what there is. So a short script means something, and half of two scripts is a third one.
//!
//! The first byte says what is installed. Each step is one byte for its kind and the bytes that it takes.

use std::time::{SystemTime, UNIX_EPOCH};

use relatch::source::{Etag, Object};
use relatch::trust::{Digest, Version};
use relatch::{Checked, Outcome, Updater};

use super::forge;
use super::installation::{Answer, Place, Repository, Snapshot};
use super::invariant;
use super::world::{self, World};
use crate::NOW;

/// Acts in one script; each costs some milliseconds.
const ACTS: usize = 3;
/// Steps in one script.
const STEPS: usize = 64;

/// The kinds of steps. The first four are what a person or a tool does, the others are the attacker's.
#[repr(u8)]
#[derive(Clone, Copy)]
pub enum Step {
    /// `flags`: 1 for `--update=now`, 2 for a tool whose version stands in the state only.
    Update,
    /// `flags` as of an update.
    Check,
    /// `flags` as of an update.
    Rollback,
    /// `flags`: 1 to replace what is there.
    Install,
    /// `to`, `from`: one object with the content of another one; its own old content counts as another one.
    Put,
    /// `object`, `what`: absent, forbidden, broken off after so many bytes, "not changed", unreachable.
    Answer,
    /// `object`, `at` (2), `mask`
    Flip,
    /// `object`, `length` (2)
    Cut,
    /// `object`, `at` (2), `remove`, `insert`, and so many bytes
    Splice,
    /// `object`, `signers`: signs what is served there anew; bit 7 keeps the signatures that there are.
    Sign,
    /// `object`, `field`, `value`, `signers`: another value for a field of a document, which is then signed and named.
    Edit,
    /// `manifest`, `tweaks` and their values: a `VERSION` by the stolen timestamp keys, see [`forge::pointer`]
    Name,
    /// `draft`, `tweaks` and their values: a manifest of the attacker's, named by a `VERSION`; see [`forge::manifest`]
    Manifest,
    /// `number`, `tweaks` and their values: a root of the attacker's, see [`forge::root`]
    Root,
    /// `file`, `how`, and what it takes: what a bad disk does to the client's own files
    Damage,
    /// `days`: sets the clock so many days after noon, or before it
    Clock,
    /// `tag`: every object has this entity tag; 0 for honest ones
    Etag,
}

const KINDS: [Step; 17] = [
    Step::Update,
    Step::Check,
    Step::Rollback,
    Step::Install,
    Step::Put,
    Step::Answer,
    Step::Flip,
    Step::Cut,
    Step::Splice,
    Step::Sign,
    Step::Edit,
    Step::Name,
    Step::Manifest,
    Step::Root,
    Step::Damage,
    Step::Clock,
    Step::Etag,
];

/// Reads a script from its front.
#[derive(Default)]
pub(super) struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or_default()
    }

    pub(super) fn signed(&mut self) -> i64 {
        i64::from(self.byte() as i8)
    }

    fn index(&mut self, of: usize) -> usize {
        usize::from(self.byte()) % of.max(1)
    }

    pub(super) fn choose<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.index(from.len())]
    }

    fn offset(&mut self, of: usize) -> usize {
        let wide = usize::from(self.byte()) << 8 | usize::from(self.byte());
        wide % of.max(1)
    }

    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

/// A script under way.
pub struct Run<'a> {
    bytes: Bytes<'a>,
    pub(super) world: &'static World,
    place: Place,
    pub(super) repository: Repository,
    /// Objects by number: what was published, then what was forged.
    pub(super) objects: Vec<(Object, Vec<u8>)>,
    /// `VERSION`s that a timestamp key signed, the attacker's among them.
    pub(super) pointers: Vec<serde_json::Value>,
    clock: u64,
    /// Whether the state is what this client wrote at some time.
    state_is_own: bool,
    /// What the place looked like after each act, and whether its state was the client's own.
    seen: Vec<(Snapshot, bool)>,
    ended: Vec<String>,
}

impl<'a> Run<'a> {
    /// Before its first step.
    pub fn new(script: &'a [u8]) -> Self {
        let world = World::get();
        let mut bytes = Bytes(script);
        let start = [2, 1, 0, 3][usize::from(bytes.byte()) % 4];
        Run {
            bytes,
            world,
            place: Place::with(&world.starts[start]),
            repository: Repository::honest(world),
            objects: world.objects.clone(),
            pointers: world.pointers.clone(),
            clock: NOW,
            state_is_own: true,
            seen: world.starts.iter().map(|start| (start.clone(), true)).collect(),
            ended: Vec::new(),
        }
    }

    /// All steps, and an update where the last step was none of the acts.
    pub fn play(mut self) -> Vec<String> {
        let mut steps = 0;
        let mut acted = false;
        while !self.bytes.0.is_empty() && steps < STEPS && self.ended.len() < ACTS {
            let step = *self.bytes.choose(&KINDS);
            acted = (step as u8) <= (Step::Install as u8);
            self.step(step);
            steps += 1;
        }
        if !acted && self.ended.len() < ACTS {
            self.act(Step::Update, 0);
        }
        self.ended
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Update | Step::Check | Step::Rollback | Step::Install => {
                let flags = self.bytes.byte();
                self.act(step, flags);
            }
            Step::Put => {
                let (to, from) = (self.object(), self.object());
                let (object, bytes) = (self.objects[to].0.clone(), self.objects[from].1.clone());
                self.repository.put(&object, &bytes);
            }
            Step::Answer => {
                let object = self.object();
                let (object, served) = (self.objects[object].0.clone(), self.served(object));
                match self.bytes.byte() {
                    0 => drop(self.repository.answers.remove(&object)),
                    1 => drop(self.repository.answers.insert(object, Answer::Forbidden)),
                    2 => drop(self.repository.answers.insert(object, Answer::Unchanged)),
                    3 => drop(self.repository.answers.insert(object, Answer::Failed)),
                    length => {
                        let served = &served[..served.len().min(length.into())];
                        drop(self.repository.answers.insert(object, Answer::Broken(served.into())));
                    }
                }
            }
            Step::Flip => self.mangle(|bytes, script| {
                let (at, mask) = (script.offset(bytes.len()), script.byte().max(1));
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= mask;
                }
            }),
            Step::Cut => self.mangle(|bytes, script| bytes.truncate(script.offset(bytes.len()))),
            Step::Splice => self.mangle(|bytes, script| {
                let at = script.offset(bytes.len() + 1);
                let end = bytes.len().min(at + usize::from(script.byte()));
                let count = script.byte();
                let inserted = script.take(count.into()).to_vec();
                bytes.splice(at..end, inserted);
            }),
            Step::Sign => {
                let (object, signers) = (self.object(), self.bytes.byte());
                let (object, bytes) = (self.objects[object].0.clone(), self.served(object));
                forge::sign(self, &object, &bytes, signers);
            }
            Step::Edit => {
                let object = self.object();
                let (object, bytes) = (self.objects[object].0.clone(), self.served(object));
                let (field, value, signers) = (self.bytes.byte(), self.bytes.byte(), self.bytes.byte());
                forge::edit(self, &object, &bytes, field, value, signers);
            }
            Step::Name | Step::Manifest | Step::Root => {
                let forge: fn(&mut Run<'_>, &mut Bytes<'_>) = match step {
                    Step::Name => forge::pointer,
                    Step::Manifest => forge::manifest,
                    _ => forge::root,
                };
                let mut bytes = std::mem::take(&mut self.bytes);
                forge(self, &mut bytes);
                self.bytes = bytes;
            }
            Step::Damage => self.damage(),
            Step::Clock => self.clock = NOW.saturating_add_signed(self.bytes.signed() * 86_400),
            Step::Etag => {
                let tag = self.bytes.byte();
                self.repository.etag = Etag::new(&format!("\"{tag}\"")).filter(|_| tag != 0);
            }
        }
    }

    fn object(&mut self) -> usize {
        self.bytes.index(self.objects.len())
    }

    /// What is served at the name of an object now.
    fn served(&self, object: usize) -> Vec<u8> {
        let (object, bytes) = &self.objects[object];
        match self.repository.answers.get(object) {
            Some(Answer::Bytes(served) | Answer::Broken(served)) => served.to_vec(),
            _ => bytes.clone(),
        }
    }

    fn mangle(&mut self, change: impl FnOnce(&mut Vec<u8>, &mut Bytes<'_>)) {
        let object = self.object();
        let mut bytes = self.served(object);
        change(&mut bytes, &mut self.bytes);
        self.repository.put(&self.objects[object].0, &bytes);
    }

    /// Serves a new object, and gives it a number.
    pub(super) fn publish(&mut self, object: Object, bytes: Vec<u8>) {
        self.repository.put(&object, &bytes);
        self.objects.push((object, bytes));
    }

    /// What a bad disk, a restored backup or a person who tidies up does. Not what somebody does who may write there at will: that one
    /// could write the executable. So `root` and `settings` never get a content that was not theirs at some time.
    fn damage(&mut self) {
        let name = *self.bytes.choose(&["state", "root", "settings", "previous"]);
        let path = self.place.file(name);
        let how = self.bytes.byte() % 6;
        let Ok(mut content) = std::fs::read(&path) else { return };
        match how {
            0 => {
                self.state_is_own |= name == "state";
                return std::fs::remove_file(&path).unwrap();
            }
            1 => content.truncate(self.bytes.offset(content.len())),
            2 => {
                let (at, mask) = (self.bytes.offset(content.len()), self.bytes.byte().max(1));
                if let Some(byte) = content.get_mut(at) {
                    *byte ^= mask;
                }
            }
            3 => content.fill(0),
            4 => {
                let (old, is_own) = self.bytes.choose(&self.seen);
                let Some(old) = old.file(name) else { return };
                content = old.clone();
                if name == "state" {
                    self.state_is_own = *is_own;
                }
            }
            // A state that says something else and whose hash is right.
            _ if name == "state" => {
                let (field, value) = (self.bytes.byte(), self.bytes.byte());
                let Some(edited) = forge::edited_state(&content, field, value) else { return };
                content = edited;
                self.state_is_own = false;
            }
            _ => return,
        }
        std::fs::write(&path, content).unwrap();
    }

    fn act(&mut self, step: Step, flags: u8) {
        let before = self.place.snapshot();
        let now = flags & 1 != 0;
        let running: Option<Version> = match before.executable() {
            Some(bytes) if flags & 2 == 0 => self.world.version_of(bytes).cloned(),
            _ => None,
        };
        let system = || SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        let begun = system();
        let updater = || self.place.updater(&self.repository, self.clock, running.as_ref());
        let answer = match step {
            Step::Check => {
                updater().and_then(|mut updater| updater.check(now)).map(|checked| match checked {
                    Checked::Update { to, .. } => format!("{to} is there"),
                    Checked::Nothing(reason) => reason.to_string(),
                })
            }
            Step::Rollback => self
                .place
                .site()
                .and_then(|site| Updater::rollback(&site, running.as_ref()))
                .map(|done| done.to_string()),
            Step::Install => self.place.install(&self.repository, now).map(|to| format!("installed {to}")),
            _ => updater().and_then(|mut updater| updater.update(now)).map(|outcome| match outcome {
                Outcome::Updated { from, to } => format!("updated {from} to {to}"),
                Outcome::Nothing(reason) => reason.to_string(),
            }),
        };
        let after = self.place.snapshot();
        let scene = invariant::Scene {
            world: self.world,
            pointers: &self.pointers,
            repository: &self.repository,
            clock: if matches!(step, Step::Install) { begun..=system() } else { self.clock..=self.clock },
            step,
            now,
            is_running: running.is_some(),
            state_is_own: self.state_is_own,
            before: &before,
            after: &after,
        };
        self.ended.push(scene.holds_after(answer));
        self.seen.push((after, self.state_is_own));
    }
}

/// The number of an object whose content satisfies this.
pub(super) fn number_of(is: impl Fn(&Object, &[u8]) -> bool) -> u8 {
    let objects = &World::get().objects;
    let index = objects.iter().position(|(object, bytes)| is(object, bytes)).expect("there is one");
    index.try_into().expect("a byte is enough for what was published")
}

/// The number of the release of this version, as [`Step::Name`] and [`Step::Manifest`] take it.
pub(super) fn number_of_release(version: &str) -> u8 {
    let drafts = &World::get().drafts;
    drafts.iter().position(|draft| draft.version == version).expect("there is one").try_into().expect("few")
}

/// The blob of a release as it is.
pub(super) fn served_blob(version: &str) -> Object {
    Object::Blob(Digest::of(&world::executable(version)))
}
