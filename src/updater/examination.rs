//! What is at the path, and what is recorded of it; what is odd about it, and its repair.

use std::io::ErrorKind;

use super::status::{HeldVersion, KeptVersion, Oddity, Status, TrialStatus};
use super::update::Updater;
use crate::check::Memory;
use crate::clock::{Clock as _, SystemClock, Utc};
use crate::error::{Error, Local, Result};
use crate::install::{
    AtPath, Goal, Installation, Installed, Journal, Kept, Recorded, Session, Trial, ensure_is_mapped,
};
use crate::report::Quiet;
use crate::trust::{Digest, Refusal, Version};

impl Updater {
    /// What is at the path, and what is recorded of it. It uses no network and takes no lock.
    /// `running` is the version at the path, if the caller knows it.
    ///
    /// # Errors
    /// [`Local::Io`]; [`Local::NotInstalled`] if neither a record nor `running` tells what the file
    /// is.
    pub fn status(installation: &Installation, running: Option<&Version>) -> Result<Status> {
        ensure_is_mapped(installation)?;
        let recorded = installation.recorded(None)?;
        if running.is_none() && recorded.journal.is_none() && recorded.damaged.is_none() {
            installation.ensure_records_readable()?;
            let why = "nothing is recorded beside it".into();
            return Err(Local::NotInstalled { path: installation.executable().into(), why }.into());
        }
        let missing = match installation.ensure_executable() {
            Err(why @ Error::Local(Local::NoExecutable { .. })) => Some(why),
            found => found.map(|()| None)?,
        };
        let found = if missing.is_none() { Some(installation.digest()?) } else { None };
        let trial = installation.read_trial().filter(|trial| Some(trial.blake3) == found);
        let (next_back, refused) = (recorded.next(Goal::Back), recorded.refused());
        let goal = |trial: &Trial| Goal::Working { failed: trial.blake3, now: 0 };
        let working = trial.as_ref().and_then(|trial| recorded.next(goal(trial)));
        let oddities = oddities(installation, &recorded, found, missing.as_ref(), running)?;
        let Recorded { journal, records, damaged } = recorded;
        let last = records.as_ref().and_then(|records| records.last_memory());
        let (channel, memory) = last.unzip();
        let cache = memory.as_ref().map(Memory::cache);
        let failure = cache.and_then(|cache| cache.failure());
        let journal = journal.as_ref();
        let at_path = journal.zip(found).map_or(AtPath::Other, |(journal, found)| journal.at_path(found));
        let version = |installed: &Installed| installed.version.clone();
        let problem = missing.map(|why| why.to_string());
        let installed = journal.and_then(Journal::installed);
        let problem = problem.or_else(|| problem_of(&at_path, installed, found?, running));
        let is_critical = installed.is_some_and(|installed| installed.critical);
        Ok(Status {
            product: records.as_ref().map(|records| records.product().clone()),
            channel,
            installed: at_path.known().map(version).or(running.cloned()),
            signers: at_path.known().map(|known| known.signers.clone()).unwrap_or_default(),
            trial: trial.as_ref().filter(|trial| !trial.is_confirmed()).map(trial_status),
            problem,
            damaged: damaged.map(|why| why.to_string()),
            oddities,
            returned: journal.is_some_and(Journal::is_returned),
            kept: journal.map(|journal| kept_of(installation, journal, &refused)).unwrap_or_default(),
            next_back,
            held: journal.map(held_of).unwrap_or_default(),
            min_version: memory.as_ref().and_then(|memory| memory.min_version().cloned()),
            finding: cache.map(|cache| cache.finding().clone()),
            checked: cache.and_then(|cache| cache.checked()).unwrap_or_default(),
            failed: failure.map_or(0, |failure| failure.at),
            failure: failure.map(|failure| failure.text.clone()),
            rollout: journal.map(Journal::rollout),
            next_start: trial.filter(Trial::is_failed).zip(working).filter(|_| !is_critical).map(
                |(trial, back)| {
                    format!("leaves {}, which failed in its first starts, for {back}", trial.version)
                },
            ),
            events: installation.events(),
        })
    }

    /// Mends what can be mended without a repository: a swap that was interrupted, an executable
    /// that is gone while another one is kept, kept executables that were changed, a mode that lets
    /// nobody run it, and files that dead processes left. The result is what was done, a line each.
    ///
    /// # Errors
    /// As from [`Updater::rollback`]; [`Local::NotInstalled`] if nothing is recorded.
    pub fn repair(installation: &Installation) -> Result<Vec<String>> {
        ensure_is_mapped(installation)?;
        match Session::begin_repair(installation, &mut Quiet) {
            Err(Error::Local(Local::NothingToRollBack { path })) => {
                Err(Local::NotInstalled { path, why: "nothing is recorded beside it".into() }.into())
            }
            session => session?.repair(),
        }
    }
}

fn trial_status(trial: &Trial) -> TrialStatus {
    TrialStatus { good: trial.good(), failed: trial.failures() }
}

fn held_of(journal: &Journal) -> Vec<HeldVersion> {
    let mut journal = journal.clone();
    journal.holds_over(SystemClock.now());
    let held = journal.holds_until();
    held.map(|(version, until)| HeldVersion { version: version.clone(), until }).collect()
}

/// What is kept, for the status.
fn kept_of(
    installation: &Installation,
    journal: &Journal,
    refused: &[(Version, Refusal)],
) -> Vec<KeptVersion> {
    let of = |kept: &Kept| {
        let (version, confirmed) = (kept.executable.version.clone(), kept.executable.confirmed);
        let refused = refused.iter().find(|(other, _)| *other == version).map(|(_, why)| why.to_string());
        KeptVersion { path: installation.kept(kept), version, confirmed, refused }
    };
    journal.kept().iter().map(of).collect()
}

/// What is wrong with the file at the path.
fn problem_of(
    at: &AtPath<'_>,
    installed: Option<&Installed>,
    found: Digest,
    running: Option<&Version>,
) -> Option<String> {
    match (at, installed) {
        (AtPath::Interrupted(_), _) => Some("an update was interrupted".into()),
        (AtPath::Kept(kept), _) if running.is_none() => Some(format!(
            "the file is the previous version {}: a rollback could not be recorded, or a person put it back",
            kept.version
        )),
        (AtPath::Other, Some(installed)) if running.is_none() => Some(format!(
            "the file is not the version {} that was installed: its hash is {found}, and {} is recorded",
            installed.version, installed.blake3
        )),
        (AtPath::Other | AtPath::Installed(_) | AtPath::Kept(_), _) => None,
    }
}

const MENDED: &str = "`relatch doctor --repair` with this path mends it";

/// What is not as it should be, and what to do about it.
fn oddities(
    installation: &Installation,
    recorded: &Recorded,
    found: Option<Digest>,
    missing: Option<&Error>,
    running: Option<&Version>,
) -> Result<Vec<Oddity>> {
    let mut odd = Vec::new();
    let mut add = |what: String, repair: &str| odd.push(Oddity { what, repair: repair.to_owned() });
    if let Some(why) = &recorded.damaged {
        add(why.to_string(), "the next check that succeeds, or an install, replaces it");
    }
    let journal = recorded.journal.as_ref();
    if let Some(why) = missing {
        let may_return = recorded.refused().len() < journal.map_or(0, |journal| journal.kept().len());
        let may_return = may_return && recorded.damaged.is_none();
        match may_return || journal.is_some_and(|journal| journal.pending().is_some()) {
            true => add(why.to_string(), MENDED),
            false => add(why.to_string(), "`relatch install` installs it again"),
        }
    }
    if let (Some(journal), Some(found)) = (journal, found) {
        let at_path = journal.at_path(found);
        if let Some(problem) = problem_of(&at_path, journal.installed(), found, running) {
            let repair = match at_path {
                AtPath::Interrupted(_) => "the next start, update or rollback completes it",
                AtPath::Kept(_) => "the next update or rollback records it",
                _ => {
                    "if a person put it there, its own --update takes over; `relatch install --force` replaces it"
                }
            };
            add(problem, repair);
        }
    }
    for kept in journal.map(Journal::kept).unwrap_or_default() {
        if let Some(why) = installation.lost(kept)? {
            add(format!("the kept version {} cannot come back: {why}", kept.executable.version), MENDED);
        }
    }
    if found.is_some() && !installation.is_executable()? {
        add("nobody may run the file at the path".into(), MENDED);
    }
    match installation.why_not_changed() {
        Ok(None) => {}
        Ok(Some(why)) | Err(why @ Error::Local(Local::UnsafeSite { .. })) => {
            add(why.to_string(), &why.advice());
        }
        // Who may not even look has heard of it.
        Err(Error::Local(Local::Io { error, .. })) if error.kind() == ErrorKind::PermissionDenied => {}
        Err(error) => return Err(error),
    }
    let last = recorded.records.as_ref().and_then(|records| records.last_memory());
    let (now, checked) = (SystemClock.now(), last.and_then(|(_, memory)| memory.cache().checked()));
    if let Some(checked) = checked.filter(|checked| *checked > now) {
        let what = format!("the clock says {}, and the last check was at {}", Utc(now), Utc(checked));
        add(what, "set the clock; the next start checks in any case");
    }
    Ok(odd)
}
