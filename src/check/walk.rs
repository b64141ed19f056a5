//! The walk over the chain of roots: SPEC step 3, and whether the root that the program carries is of the
//! chain that was verified here before (SPEC section 4.3).

use super::exchange::NewRoot;
use super::memory::Memory;
use crate::trust::{Digest, Document as _, Fetched, Lineage, Refusal, Relation, Roots, Times, TrustAnchor};

/// One walk, from the root that the program carries, or from a newer one that was verified before.
pub(super) struct Walk<'a> {
    anchor: &'a Roots,
    /// The newest root that was recorded, if it is one of the lineage.
    recorded: Option<&'a Roots>,
    start: &'a Roots,
    newest: Option<Roots>,
    joining: Option<Joining>,
    /// Roots that this walk added to the chain.
    new_roots: usize,
}

/// Anchor and lineage are not known to be of one chain. The walk decides.
enum Joining {
    /// From the anchor to the first root of the lineage, over these roots so far.
    Older(Lineage),
    /// From the newest recorded root to the anchor.
    Newer,
}

/// A verified root, after it was compared.
pub(super) struct Added {
    /// What must be persisted, together with the memory.
    pub(super) new: Option<NewRoot>,
    /// The walk ends here: the anchor is of another chain.
    pub(super) forked: Option<Refusal>,
}

/// What a verified root is to anchor and lineage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compared {
    /// Between an older anchor and the lineage. It is not kept.
    OnTheWay,
    /// The first root of the lineage, to which an older anchor leads.
    Connected,
    /// The newest root of the lineage from now on, or one of it.
    Newest,
    /// The same, in the place of the anchor, which is of another chain.
    Forked,
}

/// Where a walk begins if the anchor is one of the lineage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beginning {
    /// With the newest root that is known: an update.
    Newest,
    /// With the anchor, which a person gave: a first install.
    Anchor,
}

impl<'a> Walk<'a> {
    /// # Errors
    /// [`Refusal::RootForked`], if there is nothing to walk.
    pub(super) fn begin(
        anchor: &'a Roots,
        recorded: Option<&'a Roots>,
        memory: &Memory,
        beginning: Beginning,
    ) -> (Self, Result<(), Refusal>) {
        let relation_of = |roots: &Roots| memory.lineage().map(|lineage| lineage.relation(roots));
        let recorded = recorded.filter(|recorded| relation_of(recorded) == Some(Relation::Member));
        let (start, joining) = match relation_of(anchor) {
            Some(Relation::Older) => (anchor, Some(Joining::Older(Lineage::beginning_with(anchor)))),
            Some(Relation::Newer | Relation::Forked) => (recorded.unwrap_or(anchor), Some(Joining::Newer)),
            Some(Relation::Member) | None => {
                let is_newer = |recorded: &&Roots| recorded.version > anchor.version;
                let newer = recorded.filter(is_newer).filter(|_| beginning == Beginning::Newest);
                (newer.unwrap_or(anchor), None)
            }
        };
        let walk = Walk { anchor, recorded, start, newest: None, joining, new_roots: 0 };
        let is_forked = relation_of(anchor) == Some(Relation::Forked);
        let may_begin = if is_forked { Err(walk.not_joined(memory)) } else { Ok(()) };
        (walk, may_begin)
    }

    /// The walk of a publisher, which remembers no lineage.
    pub(super) fn of_publisher(start: &'a Roots) -> Self {
        Walk { anchor: start, recorded: None, start, newest: None, joining: None, new_roots: 0 }
    }

    /// The newest root so far.
    pub(super) fn roots(&self) -> &Roots {
        self.newest.as_ref().unwrap_or(self.start)
    }

    /// Whether an older anchor has not reached the lineage yet.
    pub(super) fn is_older(&self) -> bool {
        matches!(self.joining, Some(Joining::Older(_)))
    }

    /// Whether the walk to a newer anchor begins with a root of which only the hash is here.
    pub(super) fn needs_known_root(&self) -> bool {
        matches!(self.joining, Some(Joining::Newer)) && self.recorded.is_none() && self.newest.is_none()
    }

    /// The number of the newest root of the lineage.
    pub(super) fn last_known(&self, memory: &Memory) -> u64 {
        memory.lineage().map_or(1, Lineage::last)
    }

    /// Begins with this document, if it is the newest root of the lineage. It was verified before, so
    /// that its hash is enough.
    ///
    /// # Errors
    /// [`Refusal::RootUndetermined`].
    pub(super) fn begin_with(&mut self, memory: &Memory, document: &Fetched) -> Result<(), Refusal> {
        let known = memory.lineage().and_then(Lineage::newest);
        let document = Some(document).filter(|document| Some(Digest::of(document.bytes())) == known);
        match document.and_then(|document| TrustAnchor::new(document.bytes()).ok()) {
            Some(root) => {
                self.newest = Some(root.into());
                Ok(())
            }
            None => Err(self.not_joined(memory)),
        }
    }

    /// How many roots this walk added to the chain.
    pub(super) fn new_roots(&self) -> usize {
        self.new_roots
    }

    /// Whether anchor and lineage are known to be of one chain.
    pub(super) fn is_joined(&self) -> bool {
        self.joining.is_none()
    }

    /// Steps 3a to 3i.
    ///
    /// # Errors
    /// The refusal of the first of these steps that fails; [`Refusal::RootForked`] and
    /// [`Refusal::RootEquivocation`] for another root than was verified before.
    pub(super) fn add(
        &mut self,
        memory: &mut Memory,
        document: &Fetched,
        signatures: &Fetched,
        times: &Times,
    ) -> Result<Added, Refusal> {
        let next = self.roots().next(document, signatures, times)?;
        let new = NewRoot { document: next.to_canonical(), signatures: signatures.bytes().to_vec() };
        let compared = self.compare(&next, memory)?;
        self.new_roots += 1;
        match (compared, self.recorded) {
            (Compared::Connected, Some(recorded)) if recorded.version > next.version => {
                // The rest of the chain was verified before.
                (self.start, self.newest) = (recorded, None);
                return Ok(Added { new: None, forked: None });
            }
            _ => self.newest = Some(next),
        }
        // A first install walks again to the persisted root, and may not get there.
        let is_newer = self.recorded.is_none_or(|recorded| recorded.version < self.roots().version);
        let new = Some(new).filter(|_| is_newer);
        Ok(match compared {
            Compared::OnTheWay => Added { new: None, forked: None },
            Compared::Forked => Added { new, forked: Some(self.forked()) },
            Compared::Connected | Compared::Newest => Added { new, forked: None },
        })
    }

    /// Compares a root with the one of its number that was verified before, and remembers it.
    fn compare(&mut self, next: &Roots, memory: &mut Memory) -> Result<Compared, Refusal> {
        let (number, found) = (next.version, next.digest());
        let known = memory.lineage().and_then(|lineage| lineage.hash(number));
        if let Some(known) = known.filter(|known| *known != found) {
            return Err(match self.joining {
                Some(_) => Refusal::RootForked { number, known, found },
                None => Refusal::RootEquivocation { number, known, found },
            });
        }
        match self.joining.take() {
            Some(Joining::Older(mut walked)) => {
                walked.append(next);
                if known.is_none() {
                    self.joining = Some(Joining::Older(walked));
                    return Ok(Compared::OnTheWay);
                }
                memory.connected(walked);
                return Ok(Compared::Connected);
            }
            Some(Joining::Newer) if number < self.anchor.version => self.joining = Some(Joining::Newer),
            Some(Joining::Newer) if found != self.anchor.digest() => {
                self.joining = Some(Joining::Newer);
                // Else this chain could later go on with the anchor.
                memory.root_verified(next);
                return Ok(Compared::Forked);
            }
            Some(Joining::Newer) | None => {}
        }
        memory.root_verified(next);
        Ok(Compared::Newest)
    }

    /// The newest root is in the place of the anchor, which is of another chain.
    fn forked(&self) -> Refusal {
        let (known, found) = (self.roots().digest(), self.anchor.digest());
        Refusal::RootForked { number: self.anchor.version, known, found }
    }

    /// The repository has no further root.
    ///
    /// # Errors
    /// [`Refusal::RootUndetermined`]; [`Refusal::RootAhead`] if roots are missing that were verified
    /// before.
    pub(super) fn end(&self, memory: &Memory) -> Result<(), Refusal> {
        if !self.is_joined() {
            return Err(self.not_joined(memory));
        }
        let trusted = self.roots().version;
        match memory.lineage().map(Lineage::last).filter(|needed| trusted < *needed) {
            Some(needed) => Err(Refusal::RootAhead { document: self.roots().kind(), needed, trusted }),
            None => Ok(()),
        }
    }

    /// Why anchor and lineage could not be compared.
    fn not_joined(&self, memory: &Memory) -> Refusal {
        let (carried, root) = (self.anchor.version, self.anchor.digest());
        let lineage = memory.lineage();
        match lineage.and_then(|lineage| lineage.hash(carried)) {
            Some(known) => Refusal::RootForked { number: carried, known, found: root },
            None => {
                let recorded = self.last_known(memory);
                // Not even the root with which the walk should begin.
                let reached = if self.needs_known_root() { recorded - 1 } else { self.roots().version };
                Refusal::RootUndetermined { carried, root, recorded, reached }
            }
        }
    }
}
