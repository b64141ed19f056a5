//! The state machine of a check. The match in [`Check::supply`] is the state table of SPEC section
//! 5, steps 3 to 8.

use std::mem;

use super::decide::{self, Candidate, Decision};
use super::exchange::{Answer, NewRoot, Purpose, Release, Verdict, Want, Wanted};
use super::finding::Finding;
use super::memory::Memory;
use crate::error::{Error, Result};
use crate::limits;
use crate::object::Object;
use crate::source::{Etag, Unavailable};
use crate::trust::{
    Digest, Document as _, DocumentKind, Fetched, FinalRoot, Identity, Manifest, Refusal, Roots, Times,
    Timestamp, Verified, Version,
};

/// One check. The module documentation shows how to use it.
pub struct Check<'a> {
    start: &'a Roots,
    newest: Option<Roots>,
    identity: Identity,
    /// The repository's address.
    location: String,
    purpose: Purpose,
    memory: Memory,
    now: u64,
    chain: ChainState,
    /// Roots that this check added to the chain.
    new_roots: usize,
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
    /// A check that begins with the newest trusted root, `start`. `location` is the repository's
    /// address, and `now` is the system clock in Unix seconds.
    pub fn new(
        start: &'a Roots,
        identity: Identity,
        location: &str,
        memory: Memory,
        purpose: Purpose,
        now: u64,
    ) -> Self {
        let is_recent = matches!(&purpose, Purpose::Client(Candidate { installed: Some(_), .. }))
            && memory.is_chain_recent(start.version, now);
        let mut check = Check {
            start,
            newest: None,
            identity,
            location: location.to_owned(),
            purpose,
            memory,
            now,
            chain: if is_recent { ChainState::Recent } else { ChainState::First },
            new_roots: 0,
            phase: Phase::Root,
        };
        if is_recent {
            check.ask_for_timestamp(true);
        }
        check
    }

    /// The object to read next.
    pub fn want(&self) -> Want {
        let next = self.roots().version + 1;
        let (object, limit) = match &self.phase {
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
            // Step 3: the chain of roots. It ends where the next root does not exist.
            (Phase::Root, Answer::Absent(_)) => self.end_chain(),
            (Phase::Root, Answer::Found(..)) if self.new_roots == self.most_roots() => {
                let (limit, trusted) = (self.most_roots(), self.roots().version);
                self.fail_chain(Refusal::TooManyRoots { limit, trusted }.into());
            }
            (Phase::Root, Answer::Found(document, _)) => {
                self.phase = Phase::RootSignatures(document);
            }
            (Phase::RootSignatures(document), Answer::Found(signatures, _)) => {
                return self.add_root(&document, &signatures); // 3a to 3i
            }
            (Phase::Root | Phase::RootSignatures(_), answer) => {
                self.fail_chain(self.error_of(wanted, answer));
            }

            // Steps 4 and 5: `VERSION`.
            (Phase::Timestamp(Some((_, finding))), Answer::NotModified) => {
                let (issued, expires) = (self.memory.guard().issued(), self.memory.expires());
                let current = self.times().ensure_current(DocumentKind::Timestamp, issued, expires); // 5
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
        self.newest.as_ref().unwrap_or(self.start)
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
        match self.roots().next(document, signatures, &self.times()) {
            Ok(next) => {
                self.memory.root_trusted(&next);
                self.new_roots += 1;
                let (document, signatures) = (next.to_canonical(), signatures.bytes().to_vec());
                self.newest = Some(next);
                self.phase = Phase::Root;
                Some(NewRoot { document, signatures })
            }
            Err(refusal) => {
                self.fail_chain(refusal.into());
                None
            }
        }
    }

    fn end_chain(&mut self) {
        let trusted = self.roots().version;
        if let Some(needed) = self.memory.root_version().filter(|needed| trusted < *needed) {
            let document = self.roots().kind();
            return self.fail_chain(Refusal::RootAhead { document, needed, trusted }.into());
        }
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
        let Purpose::Client(Candidate { installed: Some(installed), now: passes_rollout, .. }) =
            &self.purpose
        else {
            return None;
        };
        let etag = self.memory.validator(self.location_digest(), self.roots().version, now)?;
        Some((etag.clone(), self.found_again(installed, *passes_rollout)?))
    }

    /// The last finding, if the same `VERSION` leads to it again.
    fn found_again(&self, installed: &Version, passes_rollout: bool) -> Option<Finding> {
        match self.memory.finding_about(installed)? {
            Finding::NotInRollout { .. } if passes_rollout => None,
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
        let timestamp = Verified::<Timestamp>::verify(object, &root, &self.identity, guard, &times)?; // 4a to 5
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
        let Purpose::Client(Candidate { installed: Some(installed), .. }) = &self.purpose else {
            return false;
        };
        let guard = self.memory.guard();
        guard.release() == Some((timestamp.epoch, timestamp.seq))
            && guard.manifest() == Some(timestamp.manifest)
            && timestamp.version == *installed
            && self.found_again(installed, false) == Some(Finding::Current)
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
            return self.memory.succeeded(self.now);
        };
        match &release.manifest {
            Some(manifest) => self.memory.accepted(&release.timestamp, manifest),
            None => self.memory.refreshed(&release.timestamp),
        }
        let root = self.newest.as_ref().unwrap_or(self.start);
        self.memory.root_trusted(root);
        self.memory.validated(release.validator(self.location_digest()));
        match &candidate.installed {
            None => self.memory.checked_for_first_install(self.now),
            Some(installed) => {
                self.memory.succeeded(self.now);
                let finding = match decision {
                    Ok(Decision::Nothing(finding)) => finding.clone(),
                    _ => Finding::Outdated { version: release.timestamp.version.clone() },
                };
                self.memory.found(finding, installed);
            }
        }
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
            Purpose::Client(_) => Times::new(self.now, &[self.memory.guard().issued(), self.roots().issued]),
            Purpose::Publisher(leniency) => Times::new(self.now, &[]).with_leniency(*leniency),
        }
    }

    fn most_roots(&self) -> usize {
        match &self.purpose {
            Purpose::Client(_) => limits::NEW_ROOTS,
            Purpose::Publisher(_) => limits::PUBLISHED_ROOTS,
        }
    }
}
