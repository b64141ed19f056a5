//! Whether a release could update itself afterwards, by its answer to the probe (SPEC step 11).
//!
//! Its bytes are verified. This is about mistakes of the publisher: a build with another root, or
//! without the feature for its address, would be installed everywhere and never be replaced again.

use std::time::Instant;

use super::update::Updater;
use crate::check::Memory;
use crate::error::{Error, Result};
use crate::escape::Words;
use crate::install::{ProbeAnswer, ProbeFailure, Staged};
use crate::limits::{self, ByteLimit};
use crate::object::Object;
use crate::trust::{Fetched, Lineage, Refusal, Roots, Times, TrustAnchor, Version};

/// Why a release is not swapped in, although its bytes are verified.
#[derive(Debug)]
pub(super) enum Unfit {
    /// It does not run on this machine.
    Probe(ProbeFailure),
    /// It could not update itself afterwards.
    Refused(Refusal),
    /// Whether it could is unknown.
    Undetermined(Error),
}

impl From<ProbeFailure> for Unfit {
    fn from(failure: ProbeFailure) -> Self {
        Unfit::Probe(failure)
    }
}

impl Unfit {
    /// Records it for later starts, and returns what it is with what was recorded before: a crash
    /// that lack of memory causes as well is a verdict on the release once it has repeated.
    pub(super) fn recorded(self, memory: &mut Memory, now: u64) -> Self {
        let crashed = matches!(self, Unfit::Probe(ProbeFailure::Crashed(_)));
        let unfit = match self {
            Unfit::Probe(ProbeFailure::Crashed(why)) if memory.is_crash_repeated() => {
                Unfit::Probe(ProbeFailure::CannotRun(why))
            }
            other => other,
        };
        match unfit.is_verdict() {
            true => memory.probe_failed(),
            false => memory.probe_not_finished(now, crashed),
        }
        unfit
    }

    fn is_verdict(&self) -> bool {
        match self {
            Unfit::Probe(failure) => failure.is_verdict(),
            Unfit::Refused(_) => true,
            Unfit::Undetermined(_) => false,
        }
    }

    /// As an error about this version.
    pub(super) fn into_error(self, version: &Version) -> Error {
        match self {
            Unfit::Probe(failure) => failure.into_error(version),
            Unfit::Refused(refusal) => refusal.into(),
            Unfit::Undetermined(error) => error,
        }
    }
}

impl Updater {
    /// Step 11: it runs here, and could update itself afterwards.
    pub(super) fn ensure_fit(&mut self, staged: &Staged, memory: &Memory) -> Result<(), Unfit> {
        let answer = self.probe.run(staged, &self.identity.product)?;
        answer.map_or(Ok(()), |answer| self.ensure_can_update_itself(&answer, memory))
    }

    /// Compares the answer with this program, whose check has walked the chain of roots to its end.
    /// An unusual answer from which updates remain possible is a warning.
    pub(super) fn ensure_can_update_itself(
        &mut self,
        answer: &ProbeAnswer,
        memory: &Memory,
    ) -> Result<(), Unfit> {
        let dead_end = |why: String| Refusal::DeadEnd { version: answer.version.clone(), why };
        if !answer.readable {
            return Err(Unfit::Refused(dead_end(format!(
                "it cannot read its own repository {}: the address is invalid, or it was built without the \
                 feature for it",
                Words(&answer.address)
            ))));
        }
        let Some(lineage) = memory.lineage() else {
            return Err(Unfit::Undetermined(Error::usage("a check without a trust domain")));
        };
        let (number, root) = (answer.root_version, answer.root);
        match lineage.hash(number) {
            Some(known) if known == root => {}
            Some(known) => {
                return Err(Unfit::Refused(dead_end(format!(
                    "it carries root {number} {root}, which is not of the chain with root {number} {known}"
                ))));
            }
            None if number < lineage.first() => self.ensure_connected(answer, memory, lineage)?,
            // Not a verdict: the publisher may publish that root later.
            None => {
                let last = lineage.last();
                let why =
                    format!("it carries root {number}, and the repository has no root after {last} yet");
                return Err(Unfit::Undetermined(dead_end(why).into()));
            }
        }
        self.warn_of_changes(answer);
        Ok(())
    }

    /// Follows the chain from a root that is older than all verified ones, as the release would.
    /// Nothing of it is kept: it is not this program's.
    fn ensure_connected(
        &self,
        answer: &ProbeAnswer,
        memory: &Memory,
        lineage: &Lineage,
    ) -> Result<(), Unfit> {
        let (number, root, first) = (answer.root_version, answer.root, lineage.first());
        let unconnected = |why: String| {
            let version = answer.version.clone();
            let why = format!(
                "it carries root {number} {root}, and the chain from there to root {first} does not verify: {why}"
            );
            Refusal::DeadEnd { version, why }
        };
        let dead_end = |why: String| Unfit::Refused(unconnected(why));
        if first - number > limits::LINEAGE as u64 {
            return Err(dead_end(format!("it has more than {} roots", limits::LINEAGE)));
        }
        let deadline = Instant::now() + limits::CHECK;
        let read = |object: Object, limit: ByteLimit| -> Result<Fetched, Unfit> {
            self.source.fetch(&object, limit, deadline).map_err(|error| match error {
                // Not a verdict: it may be back at once, or be published later.
                Error::Unavailable(why) if why.may_be_absent() => {
                    Unfit::Undetermined(unconnected(format!("the repository has no {object}")).into())
                }
                Error::Unavailable(why) => {
                    let (version, why) = (answer.version.clone(), Box::new(why));
                    Unfit::Undetermined(Error::Unconfirmed { version, why })
                }
                Error::Refused(why) => dead_end(why.to_string()),
                other => Unfit::Undetermined(other),
            })
        };
        let carried = Object::Root(number);
        let document = read(carried.clone(), limits::ROOT)?;
        let anchor = TrustAnchor::new(document.bytes()).map_err(|why| dead_end(why.to_string()))?;
        if anchor.digest() != root {
            return Err(dead_end(format!("{carried} of the repository is {}", anchor.digest())));
        }
        let mut newest = Roots::from(anchor);
        while newest.version < first {
            let next = newest.version + 1;
            let document = read(Object::Root(next), limits::ROOT)?;
            let signatures = read(Object::RootSignatures(next), limits::SIGNATURES)?;
            let accepted = memory.guard().issued_in(newest.epoch).unwrap_or(0);
            let times = Times::new(self.clock.now(), &[accepted, newest.issued]);
            newest = newest.next(&document, &signatures, &times).map_err(|why| dead_end(why.to_string()))?;
        }
        match lineage.hash(first) {
            Some(known) if known == newest.digest() => Ok(()),
            _ => Err(dead_end(format!("it leads to root {first} {}", newest.digest()))),
        }
    }

    /// An address is compared with the one that this program carries, or that was recorded: a
    /// mirror is not a change.
    fn warn_of_changes(&mut self, answer: &ProbeAnswer) {
        let location = &self.address;
        let (channel, target) = (&self.identity.channel, &self.target);
        let mut changes = Vec::new();
        if answer.address.trim_end_matches('/') != location.trim_end_matches('/') {
            changes.push(format!("from {}, not from {}", Words(&answer.address), Words(location)));
        }
        if answer.channel != *channel {
            changes.push(format!("on the channel {}, not on {channel}", answer.channel));
        }
        if answer.target != *target {
            changes.push(format!("for the target {}, not for {target}", answer.target));
        }
        if !changes.is_empty() {
            let (version, changes) = (&answer.version, changes.join("; "));
            self.reporter.warn(&format!("from {version} on, this program is updated {changes}"));
        }
    }
}
