//! A session between its two halves: what it read, and what it holds while it uses the network.

use super::directories::Directories;
use super::events::{self, Happened};
use super::journal::Journal;
use super::kept::open_kept;
use super::lock::Lock;
use super::records::Records;
use super::{digest, identity};
use crate::error::{Error, Local, Result, io};
use crate::trust::{Digest, Name, Refusal, Version};

/// What is recorded beside an executable, as this process read it and changes it.
#[derive(Debug)]
pub(super) struct Recorded {
    pub(super) journal: Journal,
    /// `None` if there is no journal, or a damaged one.
    pub(super) on_disk: Option<Journal>,
    pub(super) records: Records,
    /// Why the journal is damaged. It is not changed until a verified check replaces it.
    pub(super) damaged: Option<Refusal>,
}

/// A session that has released `lock`, to use the network: a rollback must not wait for that. It
/// holds `staging`, so that no other process changes `floors` and `root`, or downloads.
#[must_use]
#[derive(Debug)]
pub(crate) struct Paused {
    pub(super) directories: Directories,
    pub(super) staging: Option<Lock>,
    pub(super) recorded: Recorded,
}

impl Paused {
    /// SPEC step 1: the file at the path is this tool. The result is its hash.
    ///
    /// # Errors
    /// [`Local::NotTheTool`]; [`Local::ChangedMeanwhile`].
    pub(crate) fn ensure_answers(&self, product: &Name, running: &Version) -> Result<Digest> {
        identity::ensure_answers(&self.directories, self.recorded.journal.installed(), product, running)
    }

    /// The hash of the file at the path, which is the recorded one.
    ///
    /// # Errors
    /// [`Local::ChangedMeanwhile`].
    pub(crate) fn ensure_recorded(&self) -> Result<Digest> {
        let found = self.digest()?;
        match self.recorded.journal.installed() {
            Some(installed) if installed.blake3 == found => Ok(found),
            _ => {
                Err(Local::ChangedMeanwhile { path: self.directories.installation().executable().into() }
                    .into())
            }
        }
    }

    /// The hash of the file at the path.
    pub(crate) fn digest(&self) -> Result<Digest> {
        let path = self.directories.installation().executable();
        let mut file = self.directories.executable().open().map_err(io("open", path))?;
        let (_, found) = digest::digest_of(&mut file).map_err(io("read", path))?;
        Ok(found)
    }

    /// The versions that are kept.
    pub(crate) fn kept_versions(&self) -> Vec<Version> {
        self.recorded.journal.kept().iter().map(|kept| kept.executable.version.clone()).collect()
    }

    /// Whether an executable with this hash is kept, and its file has it.
    pub(crate) fn is_kept(&self, blake3: Digest) -> bool {
        let kept = self.recorded.journal.kept_with(blake3);
        kept.is_some_and(|kept| matches!(open_kept(self.directories.private(), kept), Ok(Some(_))))
    }

    /// The directories, for staging a file.
    pub(crate) fn directories(&self) -> &Directories {
        &self.directories
    }

    pub(crate) fn records(&mut self) -> &mut Records {
        &mut self.recorded.records
    }

    /// What a check reads and saves.
    pub(crate) fn for_check(&mut self) -> (&mut Records, &Journal) {
        (&mut self.recorded.records, &self.recorded.journal)
    }

    /// Records an event, for people.
    pub(crate) fn record(&self, what: Happened) {
        events::record(self.directories.private(), what);
    }

    /// The damaged files may be replaced, because a release was verified.
    pub(crate) fn verified(&mut self) {
        self.recorded.verified();
    }

    /// Whether the journal is the one that was read, as far as can be known without the lock: if
    /// not, a download would be in vain.
    ///
    /// # Errors
    /// [`Local::ChangedMeanwhile`].
    pub(crate) fn ensure_current(&self) -> Result<()> {
        self.recorded.ensure_current(&self.directories)
    }
}

impl Recorded {
    fn verified(&mut self) {
        self.damaged = None;
        self.records.verified();
    }

    pub(super) fn ensure_current(&self, directories: &Directories) -> Result<()> {
        let on_disk = match Journal::load(directories.private()) {
            Err(Error::Refused(_)) => None,
            loaded => loaded?,
        };
        if on_disk == self.on_disk {
            return Ok(());
        }
        Err(Local::ChangedMeanwhile { path: directories.installation().executable().into() }.into())
    }

    pub(super) fn is_unsaved(&self) -> bool {
        self.damaged.is_none() && self.on_disk.as_ref() != Some(&self.journal)
    }
}
