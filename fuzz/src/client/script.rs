//! The fuzzer's bytes as steps. Every byte string is a script: bytes that are missing at its end count
//! as zero, and an index that is too large is taken modulo the number of choices. So a short script is
//! valid, and so are the halves of two scripts together.
//!
//! The first byte says what is installed. Each step is one byte for its kind and the bytes that it takes.

use std::time::{SystemTime, UNIX_EPOCH};

use relatch::source::{Etag, Object};
use relatch::{Checked, Outcome, Updater};

use super::chains;
use super::forge;
use super::installation::{Answer, Place, Program, Repository, Snapshot};
use super::invariant::Scene;
use super::record::{self, Own};
use super::world::{self, BETA, CHANNEL, Pointer, World};
use crate::NOW;

/// Acts in one script; each costs some milliseconds.
const ACTS: usize = 3;
/// Steps in one script.
const STEPS: usize = 64;

/// The kinds of steps. The first four are what a person or a tool does, the others are the attacker's.
#[repr(u8)]
#[derive(Clone, Copy)]
pub enum Step {
    /// `flags`: 1 for `--update=now`, 2 for a tool that `relatch` installed, whose version is recorded
    /// only.
    Update,
    /// `flags` as of an update.
    Check,
    /// `flags` as of an update.
    Rollback,
    /// `flags`: 1 to replace what is there, 2 for the beta channel; divided by 4, the root that is given.
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
    /// `object`, `signers`: signs the object that is served; bit 7 keeps the signatures that it has.
    Sign,
    /// `object`, `field`, `value`, `signers`: another value for a field of a document, which is then signed and named.
    Edit,
    /// `manifest`, `tweaks` and their values: a `VERSION` by the stolen timestamp keys, see [`forge::pointer`]
    Name,
    /// `draft`, `tweaks` and their values: a manifest of the attacker's, named by a `VERSION`; see [`forge::manifest`]
    Manifest,
    /// `number`, `tweaks` and their values: a root of the attacker's, see [`forge::root`]
    Root,
    /// `file`, `how`, and the bytes that it takes: what a bad disk, a person or a later version of relatch
    /// does to the client's files
    Damage,
    /// `days`: sets the clock so many days after noon, or before it
    Clock,
    /// `tag`: every object has this entity tag; 0 for honest ones
    Etag,
    /// `release`: a person puts this program at the path
    ByHand,
    /// `chain`, `number`: the honest roots of this chain are served, up to this number
    Roots,
}

const KINDS: [Step; 19] = [
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
    Step::ByHand,
    Step::Roots,
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
    pub(super) pointers: Vec<Pointer>,
    clock: u64,
    /// Whether each record is one that this client wrote at some time.
    own: Own,
    /// The files after each act, and which records were the client's own.
    seen: Vec<(Snapshot, Own)>,
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
            own: Own::default(),
            seen: world.starts.iter().map(|start| (start.clone(), Own::default())).collect(),
            ended: Vec::new(),
        }
    }

    /// All steps, and an update if the last step was none of the acts.
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
            Step::ByHand => {
                let release = &self.world.drafts[self.bytes.index(self.world.drafts.len())];
                if self.world.build(&release.executable).is_some() {
                    self.place.put_executable(&release.executable);
                }
            }
            Step::Roots => {
                let (chain, number) = (self.bytes.index(2), self.bytes.index(chains::ROOTS + 1));
                self.repository.serve_roots(chain, number);
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

    /// What a bad disk, a restored backup or a person who tidies up does. Not what somebody does who may
    /// write there at will: that one could write the executable. So `root` and `settings` never get a
    /// content that they did not have at some time.
    fn damage(&mut self) {
        let name = *self.bytes.choose(&["journal", "root", "settings", "previous", "floors", "cache"]);
        let is_record = record::NAMES.contains(&name);
        let path = self.place.file(name);
        let how = self.bytes.byte() % 7;
        let there = std::fs::read(&path).ok();
        let changed = match (how, there) {
            // From a backup, also where it was deleted.
            (4, _) => {
                let (old, own) = self.bytes.choose(&self.seen);
                let Some((old, mode)) = old.entry(name) else { return };
                self.own.set(name, own.is(name));
                // It may be about other floors, or about another executable.
                self.own.set("cache", self.own.is("cache") && !is_record);
                return self.place.restore(name, old, *mode);
            }
            (_, None) => return,
            (0, _) => {
                self.own.set(name, true);
                return std::fs::remove_file(&path).unwrap();
            }
            (1, Some(mut content)) => {
                content.truncate(self.bytes.offset(content.len()));
                Some(content)
            }
            (2, Some(mut content)) => {
                let (at, mask) = (self.bytes.offset(content.len()), self.bytes.byte().max(1));
                content.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= mask);
                Some(content)
            }
            (3, Some(content)) => Some(vec![0; content.len()]),
            // Another value, with the right hash.
            (5, Some(content)) if is_record => {
                let edited = forge::edited_record(&content, self.bytes.byte(), self.bytes.byte());
                if edited.is_some() {
                    self.own.set(name, false);
                }
                edited
            }
            (_, Some(content)) if is_record => {
                forge::later_record(&content, self.bytes.byte(), self.bytes.byte())
            }
            _ => None,
        };
        if let Some(changed) = changed {
            std::fs::write(&path, changed).unwrap();
        }
    }

    fn act(&mut self, step: Step, flags: u8) {
        let before = self.place.snapshot();
        let now = flags & 1 != 0;
        let build = before.executable().and_then(|bytes| self.world.build(bytes));
        let running = build.filter(|_| flags & 2 == 0 && !matches!(step, Step::Install));
        let program = match step {
            Step::Install => {
                let given = usize::from(flags >> 2) % (2 * chains::ROOTS);
                let channel = if flags & 2 == 0 { CHANNEL } else { BETA };
                Some(Program { chain: given / chains::ROOTS, anchor: given % chains::ROOTS + 1, channel })
            }
            _ => match running {
                Some(build) => Some(build.program()),
                None => record::settings(&before),
            },
        };
        let version = running.map(|build| &build.version);
        let system = || SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        let begun = system();
        let updater = || {
            let running = running.map(|build| (&build.version, build.program()));
            self.place.updater(&self.repository, self.clock, running)
        };
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
                .and_then(|site| Updater::rollback(&site, version))
                .map(|done| done.to_string()),
            Step::Install => match program {
                Some(program) => self.place.install(&self.repository, program, now),
                None => unreachable!("an install has a root"),
            }
            .map(|to| format!("installed {to}")),
            _ => updater().and_then(|mut updater| updater.update(now)).map(|outcome| match outcome {
                Outcome::Updated { from, to, withdrawn: false, .. } => format!("updated {from} to {to}"),
                Outcome::Updated { from, to, withdrawn: true, .. } => format!("replaced {from} by {to}"),
                Outcome::Nothing(reason) => reason.to_string(),
            }),
        };
        let after = self.place.snapshot();
        let scene = Scene {
            world: self.world,
            pointers: &self.pointers,
            repository: &self.repository,
            clock: if matches!(step, Step::Install) { begun..=system() } else { self.clock..=self.clock },
            step,
            now,
            program,
            is_running: running.is_some(),
            own: self.own,
            before: &before,
            after: &after,
        };
        self.ended.push(scene.holds_after(answer));
        self.seen.push((after, self.own));
    }
}

/// The number of the last object whose content satisfies this.
pub(super) fn number_of(is: impl Fn(&Object, &[u8]) -> bool) -> u8 {
    let objects = &World::get().objects;
    let index = objects.iter().rposition(|(object, bytes)| is(object, bytes)).expect("there is one");
    index.try_into().expect("a byte is enough for what was published")
}

/// The number of the release of this version, as [`Step::Name`], [`Step::Manifest`] and [`Step::ByHand`]
/// take it.
pub(super) fn number_of_release(chain: usize, version: &str) -> u8 {
    let drafts = &World::get().drafts;
    let is_it = |draft: &world::Draft| draft.chain == chain && draft.version == version;
    drafts.iter().position(is_it).expect("there is one").try_into().expect("few")
}

/// The blob of a release of the first chain as it is.
pub(super) fn served_blob(version: &str) -> Object {
    let is_it = |release: &&world::Release| release.chain == 0 && release.version.to_string() == version;
    let release = World::get().releases.iter().find(is_it).expect("there is one");
    Object::Blob(release.executable.expect("it is for this target"))
}
