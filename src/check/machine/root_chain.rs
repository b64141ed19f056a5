//! Step 3 of a check: the chain of roots, from the one that it begins with to its end.

use std::mem;

use super::{ChainState, Check, Phase};
use crate::check::exchange::NewRoot;
use crate::check::joining::{self, Compared};
use crate::error::Error;
use crate::trust::{Digest, Document as _, Fetched, Lineage, Refusal, TrustAnchor};

impl Check<'_> {
    /// The newest root of the lineage was requested by its number. It was verified before, so that its
    /// hash is enough.
    pub(super) fn begin_with(&mut self, number: u64, document: &Fetched) {
        let known = self.memory.lineage().and_then(Lineage::newest);
        let root = Some(document).filter(|document| Some(Digest::of(document.bytes())) == known);
        match root.and_then(|document| TrustAnchor::new(document.bytes()).ok()) {
            Some(root) => (self.newest, self.phase) = (Some(root.into()), Phase::Root),
            None => self.fail_newest(number),
        }
    }

    pub(super) fn fail_newest(&mut self, number: u64) {
        self.phase = Phase::NewestRoot(number);
        self.fail_chain(self.not_joined().into());
    }

    /// Steps 3a to 3i.
    pub(super) fn add_root(&mut self, document: &Fetched, signatures: &Fetched) -> Option<NewRoot> {
        let next = self.roots().next(document, signatures, &self.times());
        let compared = next.and_then(|next| {
            joining::compare(&mut self.joining, &mut self.memory, self.anchor, &next).map(|is| (next, is))
        });
        let (next, compared) = match compared {
            Ok(compared) => compared,
            Err(refusal) => {
                self.fail_chain(refusal.into());
                return None;
            }
        };
        self.new_roots += 1;
        self.phase = Phase::Root;
        let root = NewRoot { document: next.to_canonical(), signatures: signatures.bytes().to_vec() };
        match (compared, self.recorded) {
            (Compared::Connected, Some(recorded)) if recorded.version > next.version => {
                // The rest of the chain was verified before.
                (self.start, self.newest) = (recorded, None);
                return None;
            }
            (Compared::OnTheWay, _) => {
                self.newest = Some(next);
                return None;
            }
            (Compared::Forked(refusal), _) => self.fail_chain(refusal.into()),
            (Compared::Newest | Compared::Connected, _) => {}
        }
        self.newest = Some(next);
        Some(root)
    }

    /// Why anchor and lineage could not be compared.
    pub(super) fn not_joined(&self) -> Refusal {
        let (carried, root) = (self.anchor.version, self.anchor.digest());
        let recorded = self.memory.lineage().map_or(0, Lineage::last);
        let reached = match (&self.phase, self.memory.lineage().and_then(|lineage| lineage.hash(carried))) {
            (_, Some(known)) => return Refusal::RootForked { number: carried, known, found: root },
            (Phase::NewestRoot(number), None) => number.saturating_sub(1),
            (_, None) => self.roots().version,
        };
        Refusal::RootUndetermined { carried, root, recorded, reached }
    }

    pub(super) fn end_chain(&mut self) {
        if self.joining.is_some() {
            return self.fail_chain(self.not_joined().into());
        }
        let trusted = self.roots().version;
        if let Some(needed) = self.memory.lineage().map(Lineage::last).filter(|needed| trusted < *needed) {
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

    pub(super) fn fail_chain(&mut self, error: Error) {
        self.phase = Phase::Done(Err(match mem::replace(&mut self.chain, ChainState::Complete) {
            // If newer roots cannot be read, the refusal that led to the request is the more
            // important error.
            ChainState::Again { found: Err(refused), .. } if matches!(error, Error::Unavailable(_)) => {
                refused
            }
            _ => error,
        }));
    }
}
