//! The recorded files without a disk: for test vectors, the model of trust domains, and fuzzers. No
//! client uses it.

use super::floors::Floors;
use super::journal::Journal;
use super::records::{CacheFile, Records};
use crate::check::{Candidate, Memory};
use crate::error::Result;
use crate::trust::{Digest, Identity, Name, Refusal, Roots, Version};

/// `journal`, `floors` and `cache` (SPEC section 4.1).
#[doc(hidden)]
#[derive(Debug)]
pub struct RecordedFiles {
    journal: Journal,
    records: Records,
}

impl RecordedFiles {
    /// Parses the files as a client does that finds them on its disk; `None` is an absent one.
    ///
    /// # Errors
    /// [`Refusal::StateDamaged`] for a damaged journal or damaged floors. A damaged cache is absent.
    pub fn parse(
        product: &Name,
        journal: Option<&[u8]>,
        floors: Option<&[u8]>,
        cache: Option<&[u8]>,
    ) -> Result<Self> {
        let journal = match journal {
            Some(content) => Journal::parse(content)?,
            None => Journal::new(product)?,
        };
        journal.ensure_product(product)?;
        let floors = floors.map(Floors::parse).transpose()?;
        let is_other = |floors: &&Floors| floors.product() != product;
        if let Some(floors) = floors.as_ref().filter(is_other) {
            let (expected, found) = (product.to_string(), floors.product().to_string());
            return Err(Refusal::StateOfOther { expected, found }.into());
        }
        let records = Records::in_memory(product, floors, cache.and_then(CacheFile::parse));
        Ok(RecordedFiles { journal, records })
    }

    /// The contents of `journal`, `floors` and `cache`.
    pub fn to_bytes(&self) -> (Vec<u8>, Vec<u8>, Option<Vec<u8>>) {
        let (floors, cache) = self.records.to_bytes();
        (self.journal.to_bytes(), floors, cache)
    }

    /// The memories with which a check of a program with this anchor may begin, in their order (SPEC
    /// section 4.3).
    pub fn memories(&self, identity: &Identity, anchor: &Roots, recorded: Option<&Roots>) -> Vec<Memory> {
        self.records.memories(identity, anchor, recorded)
    }

    /// The installation for which a check decides.
    pub fn candidate(&self, target: Name, installed: Option<Version>, now: bool) -> Candidate {
        Candidate {
            target,
            executable: installed.as_ref().and_then(|version| self.journal.executable(version)),
            installed,
            held: self.journal.held(),
            failed: Vec::new(),
            place: self.journal.rollout(),
            now,
        }
    }

    /// Records what a check remembers. `anchor` is the hash of the root that the program carries.
    ///
    /// # Errors
    /// [`Refusal::TooManyDomains`].
    pub fn save(&mut self, identity: &Identity, anchor: Digest, memory: &Memory) -> Result<()> {
        self.records.save(identity, anchor, memory)
    }

    /// Records a root that was verified: its lineage, and nothing of the release.
    ///
    /// # Errors
    /// [`Refusal::TooManyDomains`].
    pub fn save_root(&mut self, root: &crate::check::NewRoot, memory: &Memory) -> Result<()> {
        self.records.save_root(root, memory)
    }
}
