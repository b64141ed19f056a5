//! What is at the path, and what is recorded of it.

use super::outcome::{KeptVersion, Status};
use super::update::Updater;
use crate::check::Memory;
use crate::error::{Local, Result};
use crate::install::{AtPath, Installation, Installed, Journal, Kept, Recorded, ensure_is_mapped};
use crate::trust::{Digest, Refusal, Version};

impl Updater {
    /// What is at the path, and what is recorded of it. It uses no network and takes no lock.
    /// `running` is the version at the path, if the caller knows it.
    ///
    /// # Errors
    /// [`Local::Io`]; [`Local::NoExecutable`]; [`Local::NotInstalled`] if neither a record nor
    /// `running` tells what the file is.
    pub fn status(installation: &Installation, running: Option<&Version>) -> Result<Status> {
        ensure_is_mapped(installation)?;
        installation.ensure_executable()?;
        let recorded = installation.recorded(None)?;
        if running.is_none() && recorded.journal.is_none() && recorded.damaged.is_none() {
            installation.ensure_records_readable()?;
            let why = "nothing is recorded beside it".into();
            return Err(Local::NotInstalled { path: installation.executable().into(), why }.into());
        }
        let (next_back, refused) = recorded.next_back();
        let found = installation.digest()?;
        let Recorded { journal, records, damaged } = recorded;
        let damaged = damaged.map(|why| why.to_string());
        let last = records.as_ref().and_then(|records| records.last_memory());
        let (channel, memory) = last.unzip();
        let cache = memory.as_ref().map(Memory::cache);
        let failure = cache.and_then(|cache| cache.failure());
        let journal = journal.as_ref();
        let at_path = journal.map_or(AtPath::Other, |journal| journal.at_path(found));
        let version = |installed: &Installed| installed.version.clone();
        Ok(Status {
            product: records.as_ref().map(|records| records.product().clone()),
            channel,
            installed: at_path.known().map(version).or(running.cloned()),
            problem: problem(&at_path, journal.and_then(Journal::installed), found, running),
            returned: journal.is_some_and(Journal::is_returned),
            kept: journal.map(|journal| kept_of(installation, journal, &refused)).unwrap_or_default(),
            next_back,
            held: journal.map(Journal::held).unwrap_or_default(),
            min_version: memory.as_ref().and_then(|memory| memory.min_version().cloned()),
            finding: cache.map(|cache| cache.finding().clone()),
            checked: cache.and_then(|cache| cache.checked()).unwrap_or_default(),
            failed: failure.map_or(0, |failure| failure.at),
            failure: failure.map(|failure| failure.text.clone()),
            rollout: journal.map(Journal::rollout),
            damaged,
        })
    }
}

/// What is kept, for the status.
fn kept_of(
    installation: &Installation,
    journal: &Journal,
    refused: &[(Version, Refusal)],
) -> Vec<KeptVersion> {
    let of = |kept: &Kept| {
        let version = kept.executable.version.clone();
        let refused = refused.iter().find(|(other, _)| *other == version).map(|(_, why)| why.to_string());
        KeptVersion { path: installation.kept(kept), version, refused }
    };
    journal.kept().iter().map(of).collect()
}

/// What is wrong with the file at the path.
fn problem(
    at: &AtPath<'_>,
    installed: Option<&Installed>,
    found: Digest,
    running: Option<&Version>,
) -> Option<String> {
    match (at, installed) {
        (AtPath::Interrupted(_), _) => {
            Some("an update was interrupted; the next start, update or rollback completes it".into())
        }
        (AtPath::Kept(kept), _) if running.is_none() => Some(format!(
            "the file is the previous version {}: a rollback could not be recorded, which the next update or \
             rollback does, or a person put it back",
            kept.version
        )),
        (AtPath::Other, Some(installed)) if running.is_none() => Some(format!(
            "the file is not the version {} that was installed: its hash is {found}, and {} is recorded",
            installed.version, installed.blake3
        )),
        (AtPath::Other | AtPath::Installed(_) | AtPath::Kept(_), _) => None,
    }
}
