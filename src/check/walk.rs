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

    /// Steps 3a to 3i. The result must be persisted, together with the memory.
    pub(super) fn add(
        &mut self,
        memory: &mut Memory,
        document: &Fetched,
        signatures: &Fetched,
        times: &Times,
    ) -> Result<Option<NewRoot>, Refusal> {
        let next = self.roots().next(document, signatures, times)?;
        let new = NewRoot { document: next.to_canonical(), signatures: signatures.bytes().to_vec() };
        let was_older = self.is_older();
        self.ensure_of_lineage(&next, memory)?;
        self.new_roots += 1;
        let connected = was_older && self.is_joined();
        match self.recorded.filter(|recorded| connected && recorded.version > next.version) {
            // The rest of the chain was verified before.
            Some(recorded) => {
                (self.start, self.newest) = (recorded, None);
                Ok(None)
            }
            None => {
                self.newest = Some(next);
                // Nothing of an older anchor's chain is persisted before it has reached the lineage.
                Ok(Some(new).filter(|_| !self.is_older()))
            }
        }
    }

    fn is_older(&self) -> bool {
        matches!(self.joining, Some(Joining::Older(_)))
    }

    /// Compares a root with the one of its number that was verified before, and remembers it.
    fn ensure_of_lineage(&mut self, next: &Roots, memory: &mut Memory) -> Result<(), Refusal> {
        let (number, found, carried) = (next.version, next.digest(), self.anchor.digest());
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
                    return Ok(());
                }
                memory.connected(walked);
            }
            Some(Joining::Newer) if number < self.anchor.version => self.joining = Some(Joining::Newer),
            Some(Joining::Newer) if found != carried => {
                self.joining = Some(Joining::Newer);
                return Err(Refusal::RootForked { number, known: found, found: carried });
            }
            Some(Joining::Newer) | None => {}
        }
        memory.root_verified(next);
        Ok(())
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
