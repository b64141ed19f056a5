//! The state machine of a check. The match in [`Check::supply`] is the state table of SPEC section
//! 5, steps 3 to 8.

use std::mem;

use super::cache::CacheValidator;
use super::decide::{self, Candidate, Decision};
use super::exchange::{Answer, NewRoot, Purpose, Release, Verdict, Want, Wanted};
use super::finding::Finding;
use super::floors::Floor;
use super::memory::Memory;
use super::walk::{Added, Beginning, Walk};
use crate::error::{Error, Result};
use crate::limits;
use crate::object::Object;
use crate::source::{Etag, Unavailable};
use crate::trust::{
    Digest, DocumentKind, Fetched, FinalRoot, Identity, Manifest, Refusal, Roots, Times, Timestamp, Verified,
};

/// One check. The module documentation shows how to use it.
pub struct Check<'a> {
    walk: Walk<'a>,
    identity: Identity,
    /// The repository's address.
    location: String,
    purpose: Purpose,
    memory: Memory,
    now: u64,
    chain: ChainState,
    phase: Phase,
}

/// The progress of the request for newer roots.
enum ChainState {
    /// The chain was requested within the last day, by an earlier check.
    Recent,
    /// The chain is requested before `VERSION`.
    First,
    /// The chain is requested after `VERSION`, because of this result under the root `under`.
    Again { found: Result<Found>, under: u64 },
    /// The chain is complete.
    Complete,
}

/// The object that is requested, and the data to continue with.
enum Phase {
    /// The newest root of the lineage, of which only the hash is here.
    KnownRoot,
    Root,
    RootSignatures(Fetched),
    /// With the entity tag and the finding that remains valid if `VERSION` was not modified.
    Timestamp(Option<(Etag, Finding)>),
    Manifest(Verified<Timestamp>, Option<Etag>),
    ManifestSignatures(Verified<Timestamp>, Option<Etag>, Fetched),
    Done(Result<Found>),
}

/// The result under one root.
enum Found {
    NotModified(Finding),
    Release(Box<Release>, Result<Decision, Refusal>),
}

impl<'a> Check<'a> {
    /// A check for a program that carries `anchor`, in the trust domain of `memory`. `recorded` is the
    /// newest root that was persisted; it counts only if it is one of that domain. `location` is the
    /// repository's address, and `now` is the system clock in Unix seconds.
    pub fn new(
        anchor: &'a Roots,
        recorded: Option<&'a Roots>,
        identity: Identity,
        location: &str,
        mut memory: Memory,
        purpose: Purpose,
        now: u64,
    ) -> Self {
        let (walk, may_begin) = match &purpose {
            Purpose::Publisher(_) => (Walk::of_publisher(anchor), Ok(())),
            Purpose::Client(Candidate { installed: Some(_), .. }) => {
                Walk::begin(anchor, recorded, &memory, Beginning::Newest)
            }
            Purpose::Client(_) => Walk::begin(anchor, recorded, &memory, Beginning::Anchor),
        };
        let is_update = matches!(&purpose, Purpose::Client(Candidate { installed: Some(_), .. }));
        let is_recent = is_update && walk.is_joined() && memory.is_chain_recent(walk.roots().version, now);
        memory.begin(anchor);
        let chain = if is_recent { ChainState::Recent } else { ChainState::First };
        let phase = if walk.needs_known_root() { Phase::KnownRoot } else { Phase::Root };
        let location = location.to_owned();
        let mut check = Check { walk, identity, location, purpose, memory, now, chain, phase };
        match may_begin {
            Err(refusal) => check.fail_chain(refusal.into()),
            Ok(()) if is_recent => check.ask_for_timestamp(true),
            Ok(()) => {}
        }
        check
    }

    /// The object to read next.
    pub fn want(&self) -> Want {
        let next = self.roots().version + 1;
        let (object, limit) = match &self.phase {
            Phase::KnownRoot => (Object::Root(self.walk.last_known(&self.memory)), limits::ROOT),
            Phase::Root => (Object::Root(next), limits::ROOT),
            Phase::RootSignatures(_) => (Object::RootSignatures(next), limits::SIGNATURES),
            Phase::Timestamp(_) => (Object::Version(self.identity.channel.clone()), limits::VERSION_FILE),
            Phase::Manifest(timestamp, _) => (Object::Manifest(timestamp.manifest), limits::MANIFEST),
            Phase::ManifestSignatures(timestamp, ..) => {
                (Object::ManifestSignatures(timestamp.manifest), limits::SIGNATURES)
            }
            Phase::Done(_) => return Want::Done,
        };
        let if_none_match = match &self.phase {
            Phase::Timestamp(Some((etag, _))) => Some(etag.clone()),
            _ => None,
        };
        Want::Object(Wanted { object, limit, if_none_match })
    }

    /// Continues with the answer. `now` is the system clock in Unix seconds. If a root is returned,
    /// the caller must persist it together with [`Check::memory`].
    pub fn supply(&mut self, answer: Answer, now: u64) -> Option<NewRoot> {
        self.now = now;
        let Want::Object(wanted) = self.want() else { return None };
        let answer = match answer {
            Answer::Found(bytes, _) if bytes.bytes().len() as u64 > wanted.limit.0 => Answer::Oversized,
            answer => answer,
        };
        match (mem::replace(&mut self.phase, Phase::Root), answer) {
            // Section 4.3: the root with which the walk to a newer anchor begins.
            (Phase::KnownRoot, Answer::Found(document, _)) => {
                if let Err(refusal) = self.walk.begin_with(&self.memory, &document) {
                    self.fail_chain(refusal.into());
                }
            }
            (Phase::KnownRoot, Answer::Absent(_)) => self.end_chain(),

            // Step 3: the chain of roots. It ends where the next root does not exist.
            (Phase::Root, Answer::Absent(_)) => self.end_chain(),
            (Phase::Root, Answer::Found(..)) if self.walk.new_roots() == self.most_roots() => {
                let (limit, trusted) = (self.most_roots(), self.roots().version);
                self.fail_chain(Refusal::TooManyRoots { limit, trusted }.into());
            }
            (Phase::Root, Answer::Found(document, _)) => {
                self.phase = Phase::RootSignatures(document);
            }
            (Phase::RootSignatures(document), Answer::Found(signatures, _)) => {
                return self.add_root(&document, &signatures); // 3a to 3i
            }
            (Phase::KnownRoot | Phase::Root | Phase::RootSignatures(_), answer) => {
                self.fail_chain(self.error_of(wanted, answer));
            }

            // Steps 4 and 5: `VERSION`.
            (Phase::Timestamp(Some((_, finding))), Answer::NotModified) => {
                let current = self.ensure_floor_current(); // 5, 6k
                self.end(current.map(|()| Found::NotModified(finding)).map_err(Error::from));
            }
            (Phase::Timestamp(_), Answer::Found(object, etag)) => self.read_timestamp(&object, etag), // 4a to 5

            // Step 6: the manifest that `VERSION` names.
            (Phase::Manifest(timestamp, etag), Answer::Found(document, _)) => {
                self.phase = Phase::ManifestSignatures(timestamp, etag, document);
            }
            (Phase::ManifestSignatures(timestamp, etag, document), Answer::Found(signatures, _)) => {
                self.read_manifest(timestamp, etag, &document, &signatures); // 6a to 6k
            }
            (Phase::Timestamp(_) | Phase::Manifest(..) | Phase::ManifestSignatures(..), answer) => {
                self.end(Err(self.error_of(wanted, answer)));
            }
            (done @ Phase::Done(_), _) => self.phase = done,
        }
        None
    }

    /// What is remembered so far. It is persisted together with each new root.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The newest root so far.
    pub fn roots(&self) -> &Roots {
        self.walk.roots()
    }

    /// Whether the root that the program carries was found to be of the chain that was verified before. If
    /// not, and the check is refused, it may be about another trust domain.
    pub fn is_joined(&self) -> bool {
        self.walk.is_joined()
    }

    /// `VERSION`, from its own verification until that of its manifest.
    pub fn timestamp(&self) -> Option<&Verified<Timestamp>> {
        match &self.phase {
            Phase::Manifest(timestamp, _) | Phase::ManifestSignatures(timestamp, ..) => Some(timestamp),
            _ => None,
        }
    }

    /// The result of a client's check.
    ///
    /// # Errors
    /// [`Error::Refused`] and [`Error::Unavailable`]. The caller then keeps only the roots that it
    /// has already persisted. [`Error::Usage`] if the check is not complete.
    pub fn into_verdict(self) -> Result<Verdict> {
        match self.phase {
            Phase::Done(Ok(Found::NotModified(finding))) => {
                let decision = Ok(Decision::Nothing(finding));
                Ok(Verdict { memory: self.memory, decision, release: None })
            }
            Phase::Done(Ok(Found::Release(release, decision))) => {
                Ok(Verdict { memory: self.memory, decision, release: Some(*release) })
            }
            Phase::Done(Err(error)) => Err(error),
            _ => Err(Error::usage("a check was ended before it was complete")),
        }
    }

    /// The result of a publisher's check.
    ///
    /// # Errors
    /// As from [`Check::into_verdict`].
    pub fn into_release(self) -> Result<Release> {
        match self.phase {
            Phase::Done(Ok(Found::Release(release, _))) => Ok(*release),
            Phase::Done(Err(error)) => Err(error),
            _ => Err(Error::usage("a check was ended before it was complete")),
        }
    }

    /// Steps 3a to 3i.
    fn add_root(&mut self, document: &Fetched, signatures: &Fetched) -> Option<NewRoot> {
        self.phase = Phase::Root;
        let times = self.times();
        match self.walk.add(&mut self.memory, document, signatures, &times) {
            Ok(Added { new, forked }) => {
                forked.into_iter().for_each(|refusal| self.fail_chain(refusal.into()));
                new
            }
            Err(refusal) => {
                self.fail_chain(refusal.into());
                None
            }
        }
    }

    fn end_chain(&mut self) {
        if let Err(refusal) = self.walk.end(&self.memory) {
            return self.fail_chain(refusal.into());
        }
        let trusted = self.roots().version;
        self.memory.root_checked(self.now);
        match mem::replace(&mut self.chain, ChainState::Complete) {
            ChainState::Again { found, under } if under == trusted => self.end(found),
            ChainState::Again { .. } => self.ask_for_timestamp(false),
            _ => self.ask_for_timestamp(true),
        }
    }

    fn fail_chain(&mut self, error: Error) {
        self.phase = Phase::Done(Err(match mem::replace(&mut self.chain, ChainState::Complete) {
            // If newer roots cannot be read, the refusal that led to the request is the more
            // important error.
            ChainState::Again { found: Err(refused), .. } if matches!(error, Error::Unavailable(_)) => {
                refused
            }
            _ => error,
        }));
    }

    /// Step 3: checks the expiry of the last root, and requests `VERSION`.
    fn ask_for_timestamp(&mut self, may_be_conditional: bool) {
        let times = self.times();
        if let Err(refusal) = self.roots().last(&times) {
            return self.end(Err(refusal.into()));
        }
        let known = self.known(times.now()).filter(|_| may_be_conditional);
        self.phase = Phase::Timestamp(known);
    }

    /// The entity tag of the last `VERSION` and the finding about it. Both are returned only if all
    /// documents that were verified then are still valid: under this root, from this address, and
    /// for the installed version.
    fn known(&self, now: u64) -> Option<(Etag, Finding)> {
        let Purpose::Client(candidate) = &self.purpose else { return None };
        let etag = self.memory.validator(self.location_digest(), self.roots().digest(), now)?;
        Some((etag.clone(), self.found_again(candidate, candidate.now)?))
    }

    /// The last finding, if the same `VERSION` leads to it again.
    fn found_again(&self, candidate: &Candidate, passes_rollout: bool) -> Option<Finding> {
        let installed = candidate.installed.as_ref()?;
        match self.memory.cache().finding_about(installed, candidate.executable)? {
            Finding::NotInRollout { .. } if passes_rollout => None,
            Finding::Held { version, .. }
                if ![&candidate.held, &candidate.failed].iter().any(|held| held.contains(version)) =>
            {
                None
            }
            found @ (Finding::Current | Finding::Held { .. } | Finding::NotInRollout { .. }) => {
                Some(found.clone())
            }
            _ => None,
        }
    }

    /// Steps 4 and 5.
    fn read_timestamp(&mut self, object: &Fetched, etag: Option<Etag>) {
        match self.verify_timestamp(object) {
            Err(refusal) => self.end(Err(refusal.into())),
            Ok(timestamp) if self.is_installed(&timestamp) => {
                // The manifest that was verified before limits the release as well as `VERSION` does: else
                // a thief of the timestamp key could hold clients at it for as long as the root is valid.
                if let Err(refusal) = self.ensure_manifest_current() {
                    return self.end(Err(refusal.into())); // 6k
                }
                let release = Release { timestamp, manifest: None, signatures: Vec::new(), etag };
                let decision = Ok(Decision::Nothing(Finding::Current));
                self.end(Ok(Found::Release(Box::new(release), decision)));
            }
            Ok(timestamp) => self.phase = Phase::Manifest(timestamp, etag),
        }
    }

    fn verify_timestamp(&self, object: &Fetched) -> Result<Verified<Timestamp>, Refusal> {
        let (times, guard) = (self.times(), self.memory.guard());
        let root = self.last_root(&times)?;
        let timestamp = Verified::<Timestamp>::verify(object, &root, &self.identity, &guard, &times)?; // 4a to 5
        match &self.purpose {
            Purpose::Client(Candidate { installed: Some(installed), .. })
                if !timestamp.version.same_scheme(installed) =>
            {
                let (known, found) = (installed.clone(), timestamp.version.clone());
                Err(Refusal::VersionSchemeChanged { known, found })
            }
            _ => Ok(timestamp),
        }
    }

    /// Whether this `VERSION` names a manifest that was accepted before and is installed. The
    /// manifest is then not read again. Epoch, sequence number and version must be equal as well,
    /// because only steps 6g to 6i detect a `VERSION` that contradicts its manifest.
    fn is_installed(&self, timestamp: &Timestamp) -> bool {
        let Purpose::Client(candidate) = &self.purpose else { return false };
        let guard = self.memory.guard();
        guard.release() == Some((timestamp.epoch, timestamp.seq))
            && guard.manifest() == Some(timestamp.manifest)
            && candidate.installed.as_ref() == Some(&timestamp.version)
            && self.found_again(candidate, false) == Some(Finding::Current)
    }

    /// Step 5 for the `VERSION` and the manifest that were accepted last.
    fn ensure_floor_current(&self) -> Result<(), Refusal> {
        if let Some(floor) = self.memory.floor() {
            let (issued, expires) = (floor.issued(), floor.version_expires());
            self.times().ensure_current(DocumentKind::Timestamp, issued, expires)?;
        }
        self.ensure_manifest_current()
    }

    fn ensure_manifest_current(&self) -> Result<(), Refusal> {
        match self.memory.floor() {
            Some(floor) => self.times().ensure_current(DocumentKind::Manifest, 0, floor.manifest_expires()),
            None => Ok(()),
        }
    }

    /// Steps 6 to 8.
    fn read_manifest(
        &mut self,
        timestamp: Verified<Timestamp>,
        etag: Option<Etag>,
        document: &Fetched,
        signatures: &Fetched,
    ) {
        let times = self.times();
        let manifest = self.last_root(&times).and_then(|root| {
            Verified::<Manifest>::verify(document, signatures, &timestamp, &root, &self.identity, &times)
        });
        match manifest {
            Err(refusal) => self.end(Err(refusal.into())),
            Ok(manifest) => {
                let mut memory = self.memory.clone();
                memory.accepted(&timestamp, &manifest); // 7, because step 8 depends on it
                let decision = match &self.purpose {
                    Purpose::Client(candidate) => {
                        decide::decide(candidate, &memory, &timestamp, &manifest) // 8
                    }
                    Purpose::Publisher(_) => Ok(Decision::Nothing(Finding::Unknown)),
                };
                let (signatures, manifest) = (signatures.bytes().to_vec(), Some(manifest));
                let release = Release { timestamp, manifest, signatures, etag };
                self.end(Ok(Found::Release(Box::new(release), decision)));
            }
        }
    }

    /// Ends the check with the result under the newest root so far. Before an update or a refusal,
    /// the chain of roots must be complete.
    fn end(&mut self, found: Result<Found>) {
        let is_settled = match &found {
            Ok(Found::NotModified(_) | Found::Release(_, Ok(Decision::Nothing(_)))) => true,
            Ok(Found::Release(..)) | Err(Error::Refused(_)) => false,
            Err(_) => true,
        };
        if matches!(self.chain, ChainState::Recent) && !is_settled {
            self.chain = ChainState::Again { found, under: self.roots().version };
            self.phase = Phase::Root;
            return;
        }
        if let Ok(found) = &found {
            self.remember(found); // 7
        }
        self.phase = Phase::Done(found);
    }

    /// Step 7.
    fn remember(&mut self, found: &Found) {
        let Purpose::Client(candidate) = &self.purpose else { return };
        let Found::Release(release, decision) = found else {
            self.memory.checked(self.now);
            return self.memory.succeeded();
        };
        match &release.manifest {
            Some(manifest) => self.memory.accepted(&release.timestamp, manifest),
            None => self.memory.refreshed(&release.timestamp),
        }
        let until = self.memory.floor().map(Floor::expires);
        let validator = release.etag.clone().zip(until);
        let (location, root) = (self.location_digest(), self.roots().digest());
        let manifest = release.timestamp.manifest;
        let validator =
            validator.map(|(etag, until)| CacheValidator { location, root, manifest, etag, until });
        self.memory.validated(validator);
        self.memory.checked(self.now);
        let Some(installed) = &candidate.installed else { return };
        if matches!(decision, Ok(Decision::Nothing(_))) {
            self.memory.succeeded();
        }
        let finding = match decision {
            Ok(Decision::Nothing(finding)) => finding.clone(),
            _ => Finding::Outdated { version: release.timestamp.version.clone() },
        };
        self.memory.found(finding, installed, candidate.executable);
    }

    /// What a cache validator remembers of the address.
    fn location_digest(&self) -> Digest {
        Digest::of(self.location.as_bytes())
    }

    /// Why an object could not be read.
    fn error_of(&self, Wanted { object, limit, .. }: Wanted, answer: Answer) -> Error {
        match answer {
            Answer::Absent(why) | Answer::Unreachable(why) => why.into(),
            Answer::Oversized | Answer::Found(..) => Refusal::Oversized { object, limit: limit.0 }.into(),
            Answer::NotModified => Unavailable::Unreachable {
                location: self.location.clone(),
                object,
                why: "unexpected 304 Not Modified to an unconditional request".into(),
                retryable: false,
            }
            .into(),
        }
    }

    fn last_root(&self, times: &Times) -> Result<FinalRoot<'_>, Refusal> {
        self.roots().last(times)
    }

    fn times(&self) -> Times {
        match &self.purpose {
            Purpose::Client(_) => {
                let accepted = self.memory.guard().issued_in(self.roots().epoch);
                Times::new(self.now, &[accepted.unwrap_or(0), self.roots().issued])
            }
            Purpose::Publisher(leniency) => Times::new(self.now, &[]).with_leniency(*leniency),
        }
    }

    fn most_roots(&self) -> usize {
        match &self.purpose {
            // Of the way to the lineage, nothing is kept: the next check would begin again.
            Purpose::Client(_) if self.walk.is_older() => limits::LINEAGE,
            Purpose::Client(_) => limits::NEW_ROOTS,
            Purpose::Publisher(_) => limits::PUBLISHED_ROOTS,
        }
    }
}
