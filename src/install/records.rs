//! What checks remember: the files `floors`, `cache` and `root` of one directory.

use std::rc::Rc;

use serde::{Deserialize, Serialize};

use super::dir::OpenDir;
use super::floors::Floors;
use super::record_file::{Kind, read_open, write_checked};
use super::root_file::{load_root, save_root};
use super::{durable, names};
use crate::check::{Cache, Domain, Memory, NewRoot};
use crate::error::{Error, Result};
use crate::limits;
use crate::trust::{Digest, Identity, Lineage, Name, Refusal, Relation, Root, Roots, TrustAnchor};

/// The type of the cache. A later version of relatch may have another number.
const KIND: &str = "relatch-cache/";

/// What checks remember in one directory.
#[derive(Debug)]
pub(crate) struct Records {
    /// `None`: nothing is written.
    dir: Option<Rc<OpenDir>>,
    /// Another directory that may have a newer root.
    beside: Option<Rc<OpenDir>>,
    floors: Floors,
    on_disk: Option<Floors>,
    cache: Option<CacheFile>,
    /// Why the floors are damaged. They are not changed until a verified check replaces them.
    damaged: Option<Refusal>,
}

/// The last check of a program that carries this root and follows this channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CacheFile {
    #[serde(rename = "type")]
    kind: Kind,
    product: Name,
    channel: Name,
    anchor: Digest,
    #[serde(flatten)]
    cache: Cache,
}

impl CacheFile {
    /// An absent or damaged one is `None`: nothing depends on it.
    pub(super) fn load(dir: &OpenDir) -> Option<Self> {
        let content = durable::read(dir, names::CACHE, limits::STATE).ok()??;
        CacheFile::parse(&content)
    }

    pub(super) fn parse(content: &[u8]) -> Option<Self> {
        let file: CacheFile = read_open(content, KIND).ok()?;
        file.cache.is_in_range().then_some(file)
    }

    /// The content of the file.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        write_checked(self)
    }

    /// The cache of a program of this identity and anchor.
    pub(super) fn of(identity: &Identity, anchor: Digest, cache: Cache) -> Self {
        let (product, channel) = (identity.product.clone(), identity.channel.clone());
        CacheFile { kind: Kind::first(KIND), product, channel, anchor, cache }
    }

    /// The product of these checks.
    pub(super) fn product(&self) -> &Name {
        &self.product
    }

    /// The cache, if it is about this identity and anchor.
    pub(super) fn about(&self, identity: &Identity, anchor: Digest) -> Option<&Cache> {
        let is_same =
            self.product == identity.product && self.channel == identity.channel && self.anchor == anchor;
        is_same.then_some(&self.cache)
    }

    /// Replaces the file, without flushing it: what a power cut damages counts as absent.
    pub(super) fn save(&self, dir: &OpenDir) -> Result<()> {
        durable::replace_unflushed(dir, names::CACHE, &self.to_bytes())
    }
}

/// A journal, floors or a cache, read and written again; for `fuzz/`.
#[cfg(fuzzing)]
pub(crate) fn rewritten(content: &[u8]) -> Option<Vec<u8>> {
    let journal = super::journal::Journal::parse(content).ok().map(|journal| journal.to_bytes());
    let floors = || Floors::parse(content).ok().map(|floors| floors.to_bytes());
    let cache = || CacheFile::parse(content).map(|cache| cache.to_bytes());
    journal.or_else(floors).or_else(cache)
}

impl Records {
    /// Reads the records. `dir` is `None` if there is no directory yet.
    ///
    /// # Errors
    /// [`Refusal::StateOfOther`] if they are those of another product.
    pub(super) fn load(dir: Option<Rc<OpenDir>>, product: &Name) -> Result<Self> {
        let (on_disk, damaged) = match dir.as_deref().map_or(Ok(None), Floors::load) {
            Ok(floors) => (floors, None),
            Err(Error::Refused(why)) => (None, Some(why)),
            Err(other) => return Err(other),
        };
        if let Some(floors) = on_disk.as_ref().filter(|floors| floors.product() != product) {
            let (expected, found) = (product.to_string(), floors.product().to_string());
            return Err(Refusal::StateOfOther { expected, found }.into());
        }
        let cache = dir.as_deref().and_then(CacheFile::load);
        let floors = on_disk.clone().unwrap_or_else(|| Floors::new(product.clone()));
        Ok(Records { dir, beside: None, floors, on_disk, cache, damaged })
    }

    /// Records without a directory.
    pub(super) fn in_memory(product: &Name, floors: Option<Floors>, cache: Option<CacheFile>) -> Self {
        let floors = floors.unwrap_or_else(|| Floors::new(product.clone()));
        Records { dir: None, beside: None, floors, on_disk: None, cache, damaged: None }
    }

    /// The content of `floors`, and of `cache`.
    pub(super) fn to_bytes(&self) -> (Vec<u8>, Option<Vec<u8>>) {
        (self.floors.to_bytes(), self.cache.as_ref().map(CacheFile::to_bytes))
    }

    /// Raises these floors to those of another directory. Its persisted root counts if it is newer.
    pub(super) fn raise_to(&mut self, other: &Records) {
        other.floors.domains().iter().rev().for_each(|domain| self.floors.raise_to(domain));
        let checked = |file: &Option<CacheFile>| file.as_ref().and_then(|file| file.cache.checked());
        if checked(&self.cache) < checked(&other.cache) {
            self.cache.clone_from(&other.cache);
        }
        self.beside.clone_from(&other.dir);
    }

    /// The product that these records are of.
    pub(crate) fn product(&self) -> &Name {
        self.floors.product()
    }

    /// Why the floors are damaged.
    pub(crate) fn damaged(&self) -> Option<&Refusal> {
        self.damaged.as_ref()
    }

    /// The damaged floors may be replaced, because a release was verified.
    pub(crate) fn verified(&mut self) {
        self.damaged = None;
    }

    /// The next check reads `VERSION`, and does not ask whether it changed.
    pub(super) fn forget_validator(&mut self) {
        if let Some(file) = &mut self.cache {
            file.cache.forget_validator();
        }
    }

    /// Whether any trust domain is recorded.
    pub(crate) fn has_domains(&self) -> bool {
        !self.floors.domains().is_empty()
    }

    /// The domain that has this name, or of which the root with this hash is a member: where `floors` was
    /// deleted, the same roots have another name since.
    pub(crate) fn domain(&self, id: Digest) -> Option<&Domain> {
        self.floors.domain(id).or_else(|| self.floors.domain_of(id))
    }

    /// The newest root that was persisted, whatever domain it is of. `None` also if it is damaged.
    pub(crate) fn load_root(&self, anchor: &TrustAnchor) -> Result<Option<Roots>> {
        let mut newest: Option<Roots> = None;
        for dir in [&self.dir, &self.beside].into_iter().flatten() {
            let found = load_root(dir, anchor)?;
            let is_newer = |found: &Roots| newest.as_ref().is_none_or(|known| known.version < found.version);
            newest = found.filter(is_newer).or(newest);
        }
        Ok(newest)
    }

    /// The memory of a program with this anchor, if its domain is known without a network.
    pub(crate) fn memory(&self, identity: &Identity, anchor: Digest) -> Option<Memory> {
        self.floors.domain_of(anchor).map(|domain| self.memory_of(identity, anchor, Some(domain)))
    }

    /// The memories with which a check of a program with this anchor may begin, the likeliest first (SPEC
    /// section 4.3). The check is about the first one that does not prove to be forked. `recorded` is the
    /// persisted root.
    pub(crate) fn memories(
        &self,
        identity: &Identity,
        anchor: &Root,
        recorded: Option<&Roots>,
    ) -> Vec<Memory> {
        let hash = anchor.digest();
        if let Some(memory) = self.memory(identity, hash) {
            return vec![memory];
        }
        // A persisted root that no domain has: the floors were deleted.
        let is_of_none = |root: &&Roots| self.floors.domain_of(root.digest()).is_none();
        let nameless = recorded.filter(is_of_none).map(|root| Domain::beginning_with(root));
        let domains = self.floors.domains().iter().chain(&nameless);
        let may_be_connected =
            |domain: &&Domain| Lineage::relation(domain.lineage(), anchor) != Relation::Forked;
        let candidates = domains.filter(may_be_connected).map(Some).chain([None]);
        candidates.map(|domain| self.memory_of(identity, hash, domain)).collect()
    }

    /// What was remembered last, and on which channel.
    pub(crate) fn last_memory(&self) -> Option<(Name, Memory)> {
        let file = self.cache.as_ref()?;
        let domain = self.floors.domain_of(file.anchor).cloned();
        let memory = Memory::recorded(file.channel.clone(), domain, file.cache.clone());
        Some((file.channel.clone(), memory))
    }

    fn memory_of(&self, identity: &Identity, anchor: Digest, domain: Option<&Domain>) -> Memory {
        let cache = self.cache.as_ref().and_then(|file| file.about(identity, anchor));
        Memory::recorded(identity.channel.clone(), domain.cloned(), cache.cloned().unwrap_or_default())
    }

    /// Persists a verified root: first that it was verified, then the document, so that a document that
    /// is there is always known.
    pub(crate) fn save_root(&mut self, root: &NewRoot, memory: &Memory) -> Result<()> {
        self.save_floors(memory)?;
        self.dir.as_deref().map_or(Ok(()), |dir| save_root(dir, root))
    }

    /// Persists what a check remembers.
    ///
    /// # Errors
    /// [`crate::Local::Io`]; [`Refusal::TooManyDomains`].
    pub(crate) fn save(&mut self, identity: &Identity, anchor: Digest, memory: &Memory) -> Result<()> {
        self.save_floors(memory)?;
        self.save_cache(identity, anchor, memory.cache())
    }

    /// Persists the result of a check, or of a try.
    pub(crate) fn save_cache(&mut self, identity: &Identity, anchor: Digest, cache: &Cache) -> Result<()> {
        let file = CacheFile::of(identity, anchor, cache.clone());
        self.dir.as_deref().map_or(Ok(()), |dir| file.save(dir))?;
        self.cache = Some(file);
        Ok(())
    }

    fn save_floors(&mut self, memory: &Memory) -> Result<()> {
        let Some(domain) = memory.domain() else { return Ok(()) };
        let is_new = self.floors.domain(domain.id()).is_none();
        if is_new && self.floors.domains().len() >= limits::DOMAINS {
            return Err(Refusal::TooManyDomains { domains: limits::DOMAINS }.into());
        }
        self.floors.put(domain.clone());
        let Some(dir) = self.dir.as_deref().filter(|_| self.damaged.is_none()) else { return Ok(()) };
        if self.on_disk.as_ref() != Some(&self.floors) {
            self.floors.save(dir)?;
            self.on_disk = Some(self.floors.clone());
        }
        Ok(())
    }

    /// A rollback happened. The finding was about the executable that was left. That a check is needed to
    /// find it again is the worst that a failure here can do.
    pub(super) fn rolled_back(&mut self, from: &super::Installed, to: &super::Installed) {
        self.change_last(|memory| {
            memory.rolled_back((&from.version, from.blake3), (&to.version, to.blake3));
        });
    }

    /// A person went forward to a kept executable.
    pub(super) fn went_forward(&mut self, from: &super::Installed, to: &super::Installed) {
        self.change_last(|memory| {
            memory.went_forward((&from.version, from.blake3), (&to.version, to.blake3));
        });
    }

    /// A person ended all holds: the next start checks.
    pub(super) fn holds_ended(&mut self) {
        self.change_last(Memory::holds_ended);
    }

    fn change_last(&mut self, change: impl FnOnce(&mut Memory)) {
        let Some((_, mut memory)) = self.last_memory() else { return };
        let Some(file) = &mut self.cache else { return };
        change(&mut memory);
        file.cache = memory.cache().clone();
        if let Some(dir) = self.dir.as_deref() {
            drop(file.save(dir));
        }
    }
}
