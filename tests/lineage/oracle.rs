//! The table of SPEC section 4.3, written a second time: over names of roots, without bytes, hashes and signatures.

use crate::world::{Chain, Chains, Id, LENGTH, OLD_SEQ, SEEN_SEQ, Served};

/// A client, and what it meets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Case {
    pub chains: Chains,
    pub anchor: Id,
    /// The lineages of the domains, the one that was used last first.
    pub domains: Vec<Vec<Id>>,
    /// The file `root`.
    pub file: Option<Id>,
    pub served: Served,
    pub is_update: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The release is installed. These are the lineages from then on, and whether the domain is new: nothing
    /// was accepted in it.
    Installs {
        lineages: Vec<Vec<Id>>,
        is_new: bool,
    },
    Refused,
    /// Whether anchor and lineage are of one chain is not known.
    Undetermined,
    Unavailable,
}

enum Next {
    Root(Id),
    End,
    Refused,
    Unavailable,
}

enum Joined {
    /// The lineage with all roots that were verified, and the root to go on with.
    Connected(Vec<Id>, Id),
    /// With the roots of the lineage's own chain that were verified on the way.
    Forked(Vec<Id>),
    Undetermined(Vec<Id>),
    Unavailable,
}

impl Case {
    fn object(&self, number: u64) -> Next {
        let (chain, last) = match self.served {
            Served::Nothing => return Next::End,
            Served::Offline => return Next::Unavailable,
            Served::Release(chain, last, _) | Served::Garbage(chain, last) => (chain, last),
            Served::Crossed(chain) => (chain, LENGTH),
        };
        match number {
            _ if number <= last => Next::Root(self.chains.id(chain, number)),
            _ if number == last + 1 && matches!(self.served, Served::Garbage(..)) => Next::Refused,
            _ => Next::End,
        }
    }

    /// One step of step 3: the next root, if the one before signed it.
    fn next(&self, (chain, number): Id) -> Next {
        match self.object(number + 1) {
            Next::Root(next) if self.chains.id(next.0, number) == (chain, number) => Next::Root(next),
            Next::Root(_) => Next::Refused,
            other => other,
        }
    }

    /// The walk from this root to the number of `to`.
    fn join(&self, mut at: Id, to: Id, mut known: Vec<Id>) -> Joined {
        while at.1 < to.1 {
            at = match self.next(at) {
                Next::Root(next) => next,
                Next::End | Next::Refused => return Joined::Undetermined(known),
                Next::Unavailable => return Joined::Unavailable,
            };
            match known.iter().find(|root| root.1 == at.1) {
                Some(root) if *root != at => return Joined::Forked(known),
                Some(_) => {}
                None => known.push(at),
            }
        }
        if at == to { Joined::Connected(known, at) } else { Joined::Forked(known) }
    }

    fn joined(&self, lineage: &[Id]) -> Joined {
        let (first, last, anchor) = (lineage[0], *lineage.last().unwrap(), self.anchor);
        let file = self.file.filter(|file| lineage.contains(file));
        match lineage.iter().find(|root| root.1 == anchor.1) {
            Some(root) if *root != anchor => Joined::Forked(lineage.into()),
            Some(_) => {
                let newer = file.filter(|file| self.is_update && file.1 > anchor.1);
                Joined::Connected(lineage.into(), newer.unwrap_or(anchor))
            }
            None if anchor.1 < first.1 => match self.join(anchor, first, vec![anchor]) {
                Joined::Connected(walked, _) => {
                    let lineage = walked.iter().chain(&lineage[1..]).copied().collect();
                    Joined::Connected(lineage, file.unwrap_or(first))
                }
                // Nothing of the anchor's chain is kept.
                Joined::Forked(_) => Joined::Forked(lineage.into()),
                Joined::Undetermined(_) => Joined::Undetermined(lineage.into()),
                Joined::Unavailable => Joined::Unavailable,
            },
            None => {
                let start = match (file, self.object(last.1)) {
                    (Some(file), _) => file,
                    (None, Next::Root(root)) if root == last => last,
                    (None, Next::Unavailable) => return Joined::Unavailable,
                    (None, _) => return Joined::Undetermined(lineage.into()),
                };
                self.join(start, anchor, lineage.into())
            }
        }
    }

    pub fn outcome(&self) -> Outcome {
        /// A domain by its place; the one of a lost file has none.
        type Domain = (Option<usize>, Vec<Id>);
        let domains: Vec<Domain> =
            self.domains.iter().enumerate().map(|(at, lineage)| (Some(at), lineage.clone())).collect();
        let mut candidates: Vec<Domain> =
            domains.iter().filter(|(_, lineage)| lineage.contains(&self.anchor)).take(1).cloned().collect();
        if candidates.is_empty() {
            candidates.clone_from(&domains);
            let lost = self.file.filter(|file| !self.domains.iter().flatten().any(|root| root == file));
            candidates.extend(lost.map(|file| (None, vec![file])));
        }
        let (mut order, mut is_undetermined) = (domains, false);
        for (at, lineage) in candidates {
            let known = match self.joined(&lineage) {
                Joined::Connected(known, start) => {
                    order.retain(|(other, _)| *other != at);
                    let floor = at.map(|at| self.epoch_of(&self.domains[at]));
                    return self.go_on(floor, known, start, order.into_iter().map(|(_, known)| known));
                }
                Joined::Forked(known) => known,
                Joined::Undetermined(known) => {
                    is_undetermined = true;
                    known
                }
                Joined::Unavailable => return Outcome::Unavailable,
            };
            if known != lineage {
                // It was used, though not for this program.
                order.retain(|(other, _)| *other != at);
                order.insert(0, (at, known));
            }
        }
        match is_undetermined {
            true => Outcome::Undetermined,
            false => {
                let others = order.into_iter().map(|(_, known)| known);
                self.go_on(None, vec![self.anchor], self.anchor, others)
            }
        }
    }

    fn epoch_of(&self, lineage: &[Id]) -> u64 {
        self.chains.epoch(lineage.last().unwrap().1)
    }

    /// Steps 3 to 8 in one domain.
    fn go_on(
        &self,
        floor: Option<u64>,
        mut known: Vec<Id>,
        mut at: Id,
        others: impl Iterator<Item = Vec<Id>>,
    ) -> Outcome {
        loop {
            match self.next(at) {
                Next::Root(next) => {
                    match known.iter().find(|root| root.1 == next.1) {
                        Some(root) if *root != next => return Outcome::Refused,
                        Some(_) => {}
                        None => known.push(next),
                    }
                    at = next;
                }
                Next::End => break,
                Next::Refused => return Outcome::Refused,
                Next::Unavailable => return Outcome::Unavailable,
            }
        }
        if at != *known.last().unwrap() {
            return Outcome::Refused;
        }
        let Some((signer, seq)) = self.chains.release_of(self.served) else { return Outcome::Unavailable };
        let served_last = match self.served {
            Served::Release(_, last, _) | Served::Garbage(_, last) => last,
            _ => LENGTH,
        };
        let (epoch, trusted) = (self.chains.epoch(served_last), self.chains.epoch(at.1));
        let is_older = floor.is_some_and(|floor| (epoch, seq) < (floor, SEEN_SEQ));
        if signer != at.0 || epoch != trusted || is_older {
            return Outcome::Refused;
        }
        debug_assert!(seq != OLD_SEQ || floor != Some(epoch));
        let lineages = std::iter::once(known).chain(others).collect();
        Outcome::Installs { lineages, is_new: floor.is_none() }
    }

    /// Where the epoch is raised changes what is accepted, and not which domain it is: at one number, all
    /// cases; at the others, the updates with one domain or none.
    pub fn is_of_interest(&self) -> bool {
        matches!(self.chains.raised, None | Some(3)) || (self.is_update && self.domains.len() < 2)
    }

    /// Every client and repository of these chains.
    pub fn all(chains: Chains) -> Vec<Case> {
        let mut cases = Vec::new();
        let mut add = |domains: &[Vec<Id>], file, served: &[Served]| {
            for number in 1..=LENGTH {
                for served in served {
                    for is_update in [true, false] {
                        let (anchor, domains, served) = ((Chain::A, number), domains.to_vec(), *served);
                        cases.push(Case { chains, anchor, domains, file, served, is_update });
                    }
                }
            }
        };
        let served = chains.served();
        let mut roots: Vec<Id> = chains.lineages(LENGTH).concat();
        roots.sort_unstable();
        roots.dedup();
        for file in [None].into_iter().chain(roots.into_iter().map(Some)) {
            add(&[], file, &served);
        }
        for lineage in chains.lineages(LENGTH) {
            for file in [None].into_iter().chain(lineage.iter().copied().map(Some)) {
                add(std::slice::from_ref(&lineage), file, &served);
            }
        }
        // With two domains, roots up to number 3, and a repository that is whole.
        let whole = |served: &Served| matches!(served, Served::Release(_, 2.., _) | Served::Crossed(_));
        let served: Vec<_> = served.into_iter().filter(whole).collect();
        for first in chains.lineages(3) {
            for second in chains.lineages(3) {
                // Of two domains, neither ends with a root that leads to the other: a walk connects those,
                // or finds where they fork, and remembers that root.
                let leads_to = |a: &[Id], b: &[Id]| {
                    let (a, b) = (a.last().unwrap(), b.last().unwrap());
                    a.1 <= b.1 && *a == chains.id(b.0, a.1)
                };
                let shares = first.iter().any(|root| second.contains(root));
                if shares || leads_to(&first, &second) || leads_to(&second, &first) {
                    continue;
                }
                for file in [None, first.last().copied()] {
                    add(&[first.clone(), second.clone()], file, &served);
                }
            }
        }
        cases
    }
}
