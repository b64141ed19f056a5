//! The state that the client keeps beside an executable. The state is untrusted input: its size is
//! limited, and each value is checked.

use serde::{Deserialize, Serialize};

use super::dir::OpenDir;
use super::random::random;
use super::record::{Installed, PendingSwap, Record};
use super::record_file::{read_checked, write_checked};
use super::{durable, names};
use crate::check::{CacheValidator, Finding, LastCheck, Memory, Trusted};
use crate::error::{Error, Result};
use crate::limits;
use crate::trust::{Digest, Identity, Name, Refusal, RollbackGuard, Version, integer};

/// The state of one installed executable (SPEC section 4): the memory of checks, and the record of
/// what is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The product of this state.
    pub(crate) product: Name,
    /// The channel that the tool follows.
    pub(crate) channel: Name,
    pub(crate) memory: Memory,
    pub(crate) record: Record,
}

/// The result of loading a state.
pub(crate) enum Loaded {
    Absent,
    Present(Box<State>),
    /// Unlike an absent state, a damaged one is reported. Only a new verified check replaces it.
    Damaged(Refusal),
}

impl State {
    /// The first state: nothing was checked or installed yet. The place in rollouts is random.
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

    /// Parses a state file.
    ///
    /// # Errors
    /// [`Refusal::StateDamaged`]; [`Refusal::StateTooNew`] if a newer version of relatch wrote it.
    pub fn parse(content: &[u8]) -> Result<Self, Refusal> {
        let file: StateFile = read_checked(content, "relatch-state/1")?;
        file.checked().ok_or_else(|| Refusal::StateDamaged { why: "a value is out of range".into() })
    }

    /// The content of the state file.
    pub fn to_bytes(&self) -> Vec<u8> {
        write_checked(&StateFile::from(self.clone()))
    }

    /// The memory of checks.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The versions from which the user rolled back, the latest one last.
    pub fn held(&self) -> &[Version] {
        self.record.held()
    }

    /// Reads the state beside an executable. The state of another product is refused, so that it is
    /// not overwritten.
    pub(super) fn load(private: &OpenDir, identity: Option<&Identity>) -> Result<Loaded> {
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

    /// The state for a tool of this identity. If the channel differs, the memory of checks starts
    /// again, and the record of what is installed is kept.
    ///
    /// # Errors
    /// [`Refusal::StateOfOther`] if it is the state of another product.
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
    pub(super) fn save(&self, private: &OpenDir) -> Result<()> {
        durable::replace(private, names::STATE, &self.to_bytes())
    }

    /// Whether a decision that was based on `other` is also valid for this state: there was no
    /// swap, no new hold and no newer document since.
    pub(crate) fn same_basis(&self, other: &State) -> bool {
        self.memory.same_basis(&other.memory) && self.record == other.record
    }
}

/// The content of the file. Names and order of the fields are those of its first version (SPEC
/// section 4).
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
    /// `None` if a value is out of range.
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
