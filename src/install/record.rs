//! The record of what is installed: the executable at the path, the one before it, and a swap in
//! progress.
//!
//! The fields are private. Each event that changes them has its own function here. The other
//! functions change nothing.

use serde::{Deserialize, Serialize};

use crate::limits;
use crate::trust::{Digest, Epoch, Version};

/// One installed executable: its version, its hash, and the epoch under which it was installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installed {
    /// The version.
    pub version: Version,
    /// The hash of the file.
    pub blake3: Digest,
    /// The epoch of the root that was trusted when it was installed.
    pub epoch: Epoch,
}

/// A swap that has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PendingSwap {
    /// The file in `.<exe>.relatch/` that is moved to the executable's path.
    pub(crate) file: String,
    pub(crate) from: Installed,
    pub(crate) to: Installed,
    /// Whether this is a rollback, which puts `from` on hold.
    pub(crate) rollback: bool,
}

/// The record of an executable and of the one before it (SPEC section 4).
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

    /// The executable that the last swap removed from the path.
    pub(crate) fn previous(&self) -> Option<&Installed> {
        self.previous.as_ref()
    }

    /// The versions from which the user rolled back, the latest one last.
    pub(crate) fn held(&self) -> &[Version] {
        &self.held
    }

    /// The swap that is in progress, or that a crash interrupted.
    pub(crate) fn pending(&self) -> Option<&PendingSwap> {
        self.pending.as_ref()
    }

    /// The state on the disk is input: what it names is renamed and removed.
    fn is_in_range(&self) -> bool {
        let is_repeated = |(at, held): (usize, &Version)| self.held.iter().skip(at + 1).any(|v| v == held);
        self.held.len() <= limits::HOLDS
            && !self.held.iter().enumerate().any(is_repeated)
            && self.pending.as_ref().is_none_or(|pending| super::names::is_swappable(&pending.file))
    }

    // Events.

    /// A file that this library did not put there is at the path.
    pub(crate) fn replaced_by_hand(&mut self) {
        self.installed = None;
    }

    /// A swap begins. If a crash interrupts it, the next session finishes or undoes it.
    pub(super) fn swap_began(&mut self, pending: PendingSwap) {
        self.pending = Some(pending);
    }

    /// The swap in progress is complete. A rollback puts the version that it leaves on hold, and
    /// ends the hold on the version that it returns to.
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

    /// The swap in progress did not happen. `old_is_there` is whether the executable that it should
    /// replace is at the path.
    pub(super) fn swap_undone(&mut self, old_is_there: bool) {
        if let Some(pending) = self.pending.take().filter(|_| old_is_there) {
            self.installed = Some(pending.from);
        }
    }

    /// A first install is about to put this executable at the path. There is no executable that a
    /// rollback can return to.
    pub(super) fn first_install_began(&mut self, installed: Installed) {
        self.installed = Some(installed);
        self.previous = None;
    }

    /// The first install failed.
    pub(super) fn first_install_failed(&mut self) {
        self.installed = None;
    }
}
