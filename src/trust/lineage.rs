//! The roots of one trust domain (SPEC section 4.3), by number and hash.

use serde::{Deserialize, Serialize};

use super::canonical::{Document as _, integer};
use super::{Digest, Root};
use crate::limits;
use crate::unknown::Unknown;

/// The roots of one chain that this client has verified: consecutive numbers, with their hashes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Lineage {
    first: u64,
    hashes: Vec<Digest>,
    #[serde(flatten)]
    unknown: Unknown,
}

/// What a root that a program carries, or that a person gave, is to a lineage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// It is one of these roots.
    Member,
    /// Another root of these has its number.
    Forked,
    /// Its number is below the first one.
    Older,
    /// Its number is above the last one.
    Newer,
}

impl Lineage {
    /// The lineage that begins with this root.
    pub fn beginning_with(root: &Root) -> Self {
        Lineage { first: root.version, hashes: vec![root.digest()], unknown: Unknown::default() }
    }

    /// The number of its first root.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The number of its newest root.
    pub fn last(&self) -> u64 {
        self.first + (self.hashes.len() as u64).saturating_sub(1)
    }

    /// The hash of the root of this number.
    pub fn hash(&self, number: u64) -> Option<Digest> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.hashes.get(at).copied()
    }

    /// Whether a root with this hash is one of it.
    pub fn contains(&self, hash: Digest) -> bool {
        self.hashes.contains(&hash)
    }

    /// The hash of its newest root.
    pub fn newest(&self) -> Option<Digest> {
        self.hashes.last().copied()
    }

    /// What this root is to the lineage, by numbers and hashes alone.
    pub fn relation(&self, root: &Root) -> Relation {
        match self.hash(root.version) {
            Some(hash) if hash == root.digest() => Relation::Member,
            Some(_) => Relation::Forked,
            None if root.version < self.first => Relation::Older,
            None => Relation::Newer,
        }
    }

    /// Two lineages that share a root as one; `None` if they share none, or differ at a number.
    pub(crate) fn joined(&self, other: &Lineage) -> Option<Lineage> {
        let (low, high) = if self.first <= other.first { (self, other) } else { (other, self) };
        let shared = (high.first..=low.last().min(high.last())).collect::<Vec<_>>();
        if shared.is_empty() || shared.iter().any(|number| low.hash(*number) != high.hash(*number)) {
            return None;
        }
        let rest = high.hashes.iter().skip(shared.len());
        let hashes: Vec<_> = low.hashes.iter().chain(rest).copied().collect();
        let forgotten = hashes.len().saturating_sub(limits::LINEAGE);
        let (first, hashes) = (low.first + forgotten as u64, hashes.into_iter().skip(forgotten).collect());
        Some(Lineage { first, hashes, unknown: self.unknown.clone() })
    }

    /// Appends a root that was verified as the one after the newest.
    pub(crate) fn append(&mut self, root: &Root) {
        if root.version == self.last() + 1 {
            self.hashes.push(root.digest());
            if self.hashes.len() > limits::LINEAGE {
                self.hashes.remove(0);
                self.first += 1;
            }
        }
    }

    /// Puts an older lineage, which was verified to lead to the first root, before this one. Both have
    /// that root.
    pub(crate) fn prepend(&mut self, older: Lineage) {
        let known = (older.last() + 1).saturating_sub(self.first);
        let rest = self.hashes.iter().skip(usize::try_from(known).unwrap_or(usize::MAX));
        let hashes: Vec<_> = older.hashes.iter().chain(rest).copied().collect();
        let forgotten = hashes.len().saturating_sub(limits::LINEAGE);
        self.first = older.first + forgotten as u64;
        self.hashes = hashes.into_iter().skip(forgotten).collect();
    }
}

#[derive(Deserialize)]
struct Unchecked {
    #[serde(deserialize_with = "integer")]
    first: u64,
    hashes: Vec<Digest>,
    #[serde(flatten)]
    unknown: Unknown,
}

impl TryFrom<Unchecked> for Lineage {
    type Error = &'static str;

    fn try_from(Unchecked { first, hashes, unknown }: Unchecked) -> Result<Self, Self::Error> {
        match hashes.len() {
            0 => Err("a lineage has no root"),
            _ if first == 0 => Err("a lineage begins with root 0"),
            length if length > limits::LINEAGE => Err("a lineage has too many roots"),
            _ => Ok(Lineage { first, hashes, unknown }),
        }
    }
}

impl Root {
    /// The hash of its canonical document, which is what a lineage remembers.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.to_canonical())
    }
}
