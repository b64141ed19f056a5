//! Whether [`Policy::Require`](super::Policy::Require) lets a version run.

use std::cmp::Ordering;
use std::time::Duration;

use super::builder::Startup;
use super::policy::{Policy, is_due};
use super::remember::Reminder;
use crate::check::{Finding, Memory};
use crate::clock::{Clock as _, SystemClock, Utc};
use crate::error::{Error, Result};
use crate::install::{Installation, Journal, Observation, Recorded};
use crate::limits;
use crate::trust::{Digest, DocumentKind, Refusal, Version};

/// A tool under [`Policy::Require`], and the record that decides whether it may run.
pub(super) struct Requirement {
    reminder: Reminder,
    interval: Duration,
    grace: Duration,
    installation: Installation,
    running: Version,
    is_writable: bool,
    /// Why this user cannot change anything there, if it is known before a check.
    obstacle: Option<Error>,
}

impl Requirement {
    pub(super) fn of(startup: &Startup, installation: &Installation, running: &Version) -> Result<Self> {
        let is_writable = installation.is_writable()?;
        let obstacle = if is_writable { installation.why_not_changed()? } else { None };
        Ok(Requirement {
            reminder: Reminder::of(startup)?,
            interval: startup.interval,
            grace: startup.grace,
            installation: installation.clone(),
            running: running.clone(),
            is_writable: is_writable && obstacle.is_none(),
            obstacle,
        })
    }

    /// Whether this user may change what is beside the executable. If not, the user's own directory
    /// has the record.
    pub(super) fn is_writable(&self) -> bool {
        self.is_writable
    }

    /// Whether a check is due: its time has come, or the last one does not let this version run.
    pub(super) fn is_due(&self) -> Result<bool> {
        let (journal, memory) = self.record()?;
        let Some(memory) = memory else { return Ok(true) };
        let now = SystemClock.now();
        Ok(is_due(memory.cache(), &self.running, now, self.interval, Policy::Require)
            || self.may_run(journal.as_ref(), &memory, now).is_err())
    }

    /// Whether this version may run, by the last check that is recorded.
    ///
    /// # Errors
    /// [`Refusal::Outdated`], with the reason.
    pub(super) fn ensure_may_run(&self) -> Result<()> {
        let (journal, memory) = self.record()?;
        let Some(memory) = memory else {
            return Err(outdated(&self.running, "no check is recorded").into());
        };
        self.ensure_may_run_by(journal.as_ref(), &memory).map(drop)
    }

    /// Whether this version may run, by the check of a process that could not install anything.
    /// `obstacle` is the reason, if it was found by trying.
    ///
    /// # Errors
    /// [`Refusal::Outdated`], with both reasons.
    pub(super) fn ensure_may_run_in_spite_of(
        &self,
        obstacle: Option<&Error>,
        journal: &Journal,
        memory: &Memory,
    ) -> Result<()> {
        match (self.ensure_may_run_by(Some(journal), memory), obstacle) {
            (Err(Error::Refused(Refusal::Outdated { running, why })), Some(obstacle)) => {
                Err(Refusal::Outdated { running, why: format!("{why}; {obstacle}") }.into())
            }
            (decided, _) => decided.map(drop),
        }
    }

    /// Whether this version may run, by this check. A warning is printed once a day. The result is
    /// whether there is something to warn of.
    ///
    /// # Errors
    /// [`Refusal::Outdated`], with the reason.
    pub(super) fn ensure_may_run_by(&self, journal: Option<&Journal>, memory: &Memory) -> Result<bool> {
        match self.may_run(journal, memory, SystemClock.now()) {
            Ok(warning) => {
                warning.iter().for_each(|warning| self.reminder.warn(memory.cache(), warning));
                Ok(warning.is_some())
            }
            Err(Refusal::Outdated { running, why }) if !self.is_writable => {
                let whose = match &self.obstacle {
                    Some(obstacle) => obstacle.to_string(),
                    None => "it is installed where you may not write, and its owner must update it".into(),
                };
                Err(Refusal::Outdated { running, why: format!("{why}; {whose}") }.into())
            }
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// A check failed. A publisher who is late does not stop the tool within the grace time.
    ///
    /// # Errors
    /// The error of the check, unless what expired is what the last check trusted, or its
    /// successor.
    pub(super) fn excuse(&self, error: Error) -> Result<()> {
        let is_late = matches!(
            &error,
            Error::Refused(Refusal::Expired {
                document: DocumentKind::Timestamp | DocumentKind::Manifest,
                ..
            })
        );
        match self.record()? {
            (journal, Some(memory)) if is_late && !self.grace.is_zero() => {
                match self.ensure_may_run_by(journal.as_ref(), &memory) {
                    Ok(true) => Ok(()),
                    _ => Err(error),
                }
            }
            _ => Err(error),
        }
    }

    fn may_run(
        &self,
        journal: Option<&Journal>,
        memory: &Memory,
        now: u64,
    ) -> Result<Option<String>, Refusal> {
        let executable = journal.and_then(|journal| journal.executable(&self.running));
        may_run(memory, &self.running, executable, now, self.grace)
    }

    fn record(&self) -> Result<(Option<Journal>, Option<Memory>)> {
        let (identity, anchor) = (self.reminder.identity(), self.reminder.anchor());
        if self.is_writable {
            let Recorded { journal, records, .. } = self.installation.recorded(Some(&identity.product))?;
            let memory = records.and_then(|records| records.memory(identity, anchor));
            if memory.is_some() {
                return Ok((journal, memory));
            }
            // Nothing could be made there, for example on a file system without locks.
        }
        let seen = Observation::read(&self.installation, &identity.product)?;
        Ok((seen.journal, seen.records.memory(identity, anchor)))
    }
}

pub(super) fn outdated(running: &Version, why: &str) -> Refusal {
    Refusal::Outdated { running: running.clone(), why: why.into() }
}

/// Whether this version may run, by the record of the last check. `executable` is its hash, if that
/// is recorded. The result is a warning, if what the record trusts is about to expire, or has
/// expired within
/// `grace`.
///
/// # Errors
/// [`Refusal::Outdated`], with the reason.
fn may_run(
    memory: &Memory,
    running: &Version,
    executable: Option<Digest>,
    now: u64,
    grace: Duration,
) -> Result<Option<String>, Refusal> {
    let Some(finding) = memory.cache().finding_about(running, executable) else {
        return Err(outdated(running, "the last check was about another version"));
    };
    let Some(floor) = memory.trusted_floor() else {
        return Err(outdated(
            running,
            "the publisher has raised the epoch of its keys since the last release",
        ));
    };
    // A withdrawal that is rolled out reaches the others later.
    let is_later = matches!(finding, Finding::NotInRollout { .. });
    if memory.is_retracted(running) && !is_later {
        return Err(outdated(running, "the publisher withdrew it"));
    }
    let too_low = |floor: &&Version| !running.compare(floor).is_ok_and(Ordering::is_ge);
    if let Some(floor) = memory.min_version().filter(too_low) {
        return Err(outdated(running, &format!("it is below {floor}, the lowest version that may run")));
    }
    match finding {
        Finding::Current | Finding::NotInRollout { .. } | Finding::Held { critical: false, .. } => {}
        Finding::Held { version, critical: true } => {
            let why = format!("you rolled back from {version}, which is critical");
            return Err(outdated(running, &why));
        }
        Finding::Outdated { version } => {
            return Err(outdated(running, &format!("{version} is the current release")));
        }
        Finding::NoTarget { version, .. } => {
            let why = format!("{version} is the current release and has no executable for this target");
            return Err(outdated(running, &why));
        }
        Finding::Unknown => return Err(outdated(running, "no check has succeeded yet")),
    }
    let (what, expires) = match floor.version_expires() <= floor.manifest_expires() {
        true => ("VERSION", floor.version_expires()),
        false => ("manifest", floor.manifest_expires()),
    };
    let issued = memory.epoch().and_then(|epoch| memory.guard().issued_in(epoch));
    let now = now.max(issued.unwrap_or(0));
    let end = expires.saturating_add(grace.as_secs());
    if end <= now {
        let grace =
            if grace.is_zero() { "" } else { ", and the time that its author grants after that is over" };
        return Err(outdated(
            running,
            &format!("the last verified {what} expired at {}{grace}", Utc(expires)),
        ));
    }
    let is_near = expires.saturating_sub(now) < limits::EXPIRY_WARNING;
    Ok(is_near.then(|| {
        let tense = if expires <= now { "expired" } else { "expires" };
        format!(
            "the publisher's {what} {tense} at {}; after {} this tool does not run. Tell the publisher.",
            Utc(expires),
            Utc(end)
        )
    }))
}
