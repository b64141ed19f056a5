//! What the disk remembers: which executable is at the path, which one was before it, and a swap that
//! is under way.
//!
//! The fields are private. Each event that changes them is one function here, and no function that
//! answers a question changes anything.

use serde::{Deserialize, Serialize};

use crate::limits;
use crate::trust::{Digest, Epoch, Version};

/// One executable that was installed: its version, its bytes, and the epoch under which it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installed {
    /// Its version.
    pub version: Version,
    /// The hash of the file.
    pub blake3: Digest,
    /// The epoch of the root that was trusted when it was installed.
    pub epoch: Epoch,
}

/// An exchange of names that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PendingSwap {
    /// The file in `.<exe>.relatch/` that goes to the executable's path.
    pub(crate) file: String,
    pub(crate) from: Installed,
    pub(crate) to: Installed,
    /// Whether a person rolled back, so that `from` is to be held.
    pub(crate) rollback: bool,
}

/// What is recorded of an executable and of the one before it (SPEC section 4).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Record {
    installed: Option<Installed>,
    previous: Option<Installed>,
    /// Versions that the user rolled back from, the last one last.
    held: Vec<Version>,
    pending: Option<PendingSwap>,
}

/// The fields of a [`Record`], in the order of the state on the disk.
pub(super) type RecordParts = (Option<Installed>, Option<Installed>, Vec<Version>, Option<PendingSwap>);

impl Record {
    /// From the state on the disk; `None` if a value is out of its range.
    pub(super) fn from_parts((installed, previous, held, pending): RecordParts) -> Option<Self> {
        let record = Record { installed, previous, held, pending };
        record.is_in_range().then_some(record)
    }

    /// For the state on the disk.
    pub(super) fn into_parts(self) -> RecordParts {
        (self.installed, self.previous, self.held, self.pending)
    }

    /// What the last swap put at the path.
    pub(crate) fn installed(&self) -> Option<&Installed> {
        self.installed.as_ref()
    }

    /// What the last swap took away.
    pub(crate) fn previous(&self) -> Option<&Installed> {
        self.previous.as_ref()
    }

    /// Versions that the user rolled back from, the last one last.
    pub(crate) fn held(&self) -> &[Version] {
        &self.held
    }

    /// The swap that is under way, or that a crash interrupted.
    pub(crate) fn pending(&self) -> Option<&PendingSwap> {
        self.pending.as_ref()
    }

    /// The state on the disk is input: what it names is renamed and removed.
    fn is_in_range(&self) -> bool {
        let twice = |(at, held): (usize, &Version)| self.held.iter().skip(at + 1).any(|v| v == held);
        self.held.len() <= limits::HOLDS
            && !self.held.iter().enumerate().any(twice)
            && self.pending.as_ref().is_none_or(|pending| super::names::is_swappable(&pending.file))
    }

    // Events.

    /// A file that this library did not put there is at the path.
    pub(crate) fn replaced_by_hand(&mut self) {
        self.installed = None;
    }

    /// A swap begins: from here on a crash is finished or undone by the next start.
    pub(super) fn swap_began(&mut self, pending: PendingSwap) {
        self.pending = Some(pending);
    }

    /// The swap that was under way is complete. A version that is left by a rollback is held, and one
    /// that is returned to is not held any longer.
    pub(super) fn swap_ended(&mut self) -> Option<PendingSwap> {
        let pending = self.pending.take()?;
        if pending.rollback {
            let (from, to) = (&pending.from.version, &pending.to.version);
            self.held.retain(|held| held != to && held != from);
            if self.held.len() == limits::HOLDS {
                self.held.remove(0);
            }
            self.held.push(from.clone());
        }
        self.installed = Some(pending.to.clone());
        self.previous = Some(pending.from.clone());
        Some(pending)
    }

    /// The swap that was under way did not happen. `old_is_there` says whether the executable that it
    /// would have replaced is at the path.
    pub(super) fn swap_undone(&mut self, old_is_there: bool) {
        if let Some(pending) = self.pending.take().filter(|_| old_is_there) {
            self.installed = Some(pending.from);
        }
    }

    /// A first install is about to put this executable at the path. Nothing was there that could be
    /// returned to.
    pub(super) fn first_install_began(&mut self, installed: Installed) {
        self.installed = Some(installed);
        self.previous = None;
    }

    /// It did not get there.
    pub(super) fn first_install_failed(&mut self) {
        self.installed = None;
    }
}
