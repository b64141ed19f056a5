//! What the client remembers beside an executable. State is input: it is bounded, checked and never
//! believed beyond its checks.

use serde::{Deserialize, Serialize};

use super::dir::Dir;
use super::random::random;
use super::record::{Installed, PendingSwap, Record};
use super::record_file::{read_checked, write_checked};
use super::{durable, names};
use crate::check::{CacheValidator, Finding, LastCheck, Memory, Trusted};
use crate::error::{Error, Result};
use crate::limits;
use crate::trust::{Digest, Identity, Name, Refusal, RollbackGuard, Version, integer};

/// The state of one installed executable (SPEC section 4): what checks remember, and what the disk
/// does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The product that this is the state of.
    pub(crate) product: Name,
    /// The channel that it follows.
    pub(crate) channel: Name,
    pub(crate) memory: Memory,
    pub(crate) record: Record,
}

/// What lay there.
pub(crate) enum Loaded {
    Absent,
    Present(Box<State>),
    /// Not the same as absent: it is reported, and only a fresh verified check heals it.
    Damaged(Refusal),
}

impl State {
    /// A first state: nothing was checked or installed yet, and a place in rollouts is drawn.
    pub(crate) fn new(identity: &Identity) -> Result<Self> {
        // 2^64 is not a multiple of 100: the bias is below 10^-17.
        let rollout = (u64::from_le_bytes(random()?) % 100) as u8;
        Ok(State {
            product: identity.product.clone(),
            channel: identity.channel.clone(),
            memory: Memory::new(rollout),
            record: Record::default(),
        })
    }

    /// Reads a state file. What another product left there is refused, not overwritten.
    ///
    /// # Errors
    /// [`Refusal::StateDamaged`]; [`Refusal::StateTooNew`] for one that a newer version wrote.
    pub fn parse(content: &[u8]) -> Result<Self, Refusal> {
        let file: StateFile = read_checked(content, "relatch-state/1")?;
        file.checked().ok_or_else(|| Refusal::StateDamaged { why: "a value is out of its range".into() })
    }

    /// The content of the state file.
    pub fn to_bytes(&self) -> Vec<u8> {
        write_checked(&StateFile::from(self.clone()))
    }

    /// What checks remember.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Versions that the user rolled back from, the last one last.
    pub fn held(&self) -> &[Version] {
        self.record.held()
    }

    /// Reads the state beside an executable. What another product left there is refused, not overwritten.
    pub(super) fn load(private: &Dir, identity: Option<&Identity>) -> Result<Loaded> {
        let content = match durable::read(private, names::STATE, limits::STATE) {
            Ok(Some(content)) => content,
            Ok(None) => return Ok(Loaded::Absent),
            Err(Error::Refused(why)) => return Ok(Loaded::Damaged(why)),
            Err(other) => return Err(other),
        };
        let state = match State::parse(&content) {
            Ok(state) => state,
            Err(why @ Refusal::StateTooNew { .. }) => return Err(why.into()),
            Err(why) => return Ok(Loaded::Damaged(why)),
        };
        let state = match identity {
            Some(identity) => state.follow(identity)?,
            None => state,
        };
        Ok(Loaded::Present(Box::new(state)))
    }

    /// The state of a tool of this identity: what is remembered starts anew on another channel, and what
    /// is installed stays.
    ///
    /// # Errors
    /// [`Refusal::StateOfOther`] for the state of another product.
    pub fn follow(self, identity: &Identity) -> Result<Self, Refusal> {
        if self.product != identity.product {
            let (expected, found) = (identity.product.to_string(), self.product.to_string());
            return Err(Refusal::StateOfOther { expected, found });
        }
        if self.channel == identity.channel {
            return Ok(self);
        }
        let (channel, memory) = (identity.channel.clone(), self.memory.on_another_channel());
        Ok(State { channel, memory, ..self })
    }

    /// The same state after a check.
    #[doc(hidden)]
    #[must_use]
    pub fn with_memory(self, memory: Memory) -> Self {
        State { memory, ..self }
    }

    /// For `fuzz/`.
    #[cfg(fuzzing)]
    pub(crate) fn rewritten(content: &[u8]) -> Option<Vec<u8>> {
        read_checked::<StateFile>(content, "relatch-state/1").ok().map(|state| write_checked(&state))
    }

    /// Writes the state durably.
    pub(super) fn save(&self, private: &Dir) -> Result<()> {
        durable::replace(private, names::STATE, &self.to_bytes())
    }

    /// Whether a decision that was made from `other` would be made from this too: nothing was swapped,
    /// held or newly seen since.
    pub(crate) fn same_basis(&self, other: &State) -> bool {
        self.memory.same_basis(&other.memory) && self.record == other.record
    }
}

/// The file, whose fields have this order and the names of its first version (SPEC section 4).
#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename = "relatch-state/1")]
struct StateFile {
    product: Name,
    channel: Name,
    #[serde(deserialize_with = "integer")]
    root_version: u64,
    #[serde(deserialize_with = "integer")]
    root_epoch: u64,
    floors: RollbackGuard,
    #[serde(deserialize_with = "integer")]
    expires: u64,
    seen: Option<CacheValidator>,
    critical: bool,
    min_version: Option<Version>,
    installed: Option<Installed>,
    previous: Option<Installed>,
    held: Vec<Version>,
    pending: Option<PendingSwap>,
    unable: Option<Digest>,
    standing: Finding,
    judged: Option<Version>,
    rollout: u8,
    checked: u64,
    failed: u64,
    root_walked: u64,
}

impl StateFile {
    /// `None` if a value is out of its range.
    fn checked(self) -> Option<State> {
        let StateFile { product, channel, installed, previous, held, pending, .. } = self;
        let trusted = Trusted {
            root_version: self.root_version,
            root_epoch: self.root_epoch,
            guard: self.floors,
            expires: self.expires,
            validator: self.seen,
            critical: self.critical,
            min_version: self.min_version,
        };
        let last_check = LastCheck {
            failed_probe: self.unable,
            finding: self.standing,
            checked_version: self.judged,
            rollout: self.rollout,
            checked: self.checked,
            failed: self.failed,
            root_checked: self.root_walked,
        };
        let memory = Memory::from_parts(trusted, last_check)?;
        let record = Record::from_parts((installed, previous, held, pending))?;
        Some(State { product, channel, memory, record })
    }
}

impl From<State> for StateFile {
    fn from(State { product, channel, memory, record }: State) -> Self {
        let (trusted, last_check) = memory.into_parts();
        let (installed, previous, held, pending) = record.into_parts();
        StateFile {
            product,
            channel,
            root_version: trusted.root_version,
            root_epoch: trusted.root_epoch,
            floors: trusted.guard,
            expires: trusted.expires,
            seen: trusted.validator,
            critical: trusted.critical,
            min_version: trusted.min_version,
            installed,
            previous,
            held,
            pending,
            unable: last_check.failed_probe,
            standing: last_check.finding,
            judged: last_check.checked_version,
            rollout: last_check.rollout,
            checked: last_check.checked,
            failed: last_check.failed,
            root_walked: last_check.root_checked,
        }
    }
}
