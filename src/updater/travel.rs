//! Going to a kept executable, and the end of holds (SPEC section 6).

use std::time::Duration;

use super::outcome::RolledBack;
use super::update::{Updater, warning_of};
use crate::clock::{Clock as _, SystemClock};
use crate::error::{Local, Result, io};
use crate::install::{Goal, Installation, Returned, Session, ensure_is_mapped};
use crate::limits;
use crate::report::Quiet;
use crate::trust::{Digest, Version};

impl Updater {
    /// Goes back to the kept executable that left the path last and may come back (SPEC section 6),
    /// without a network. The version that is left is put on hold. Twice is once: if a rollback put
    /// there what is installed, nothing is changed. `running` is the version at the path, for an
    /// executable that was never updated.
    ///
    /// # Errors
    /// [`Local::NothingToRollBack`], [`Local::KeptOnHold`], [`Local::KeptIsNewer`],
    /// [`Local::NoneComesBack`], [`Local::Busy`], [`crate::Refusal::PreviousAltered`],
    /// [`crate::Refusal::PreviousDomain`], [`crate::Refusal::BelowFloor`], [`crate::Refusal::Retracted`],
    /// [`crate::Refusal::PreviousEpoch`], [`crate::Refusal::StateDamaged`]; nothing is changed.
    pub fn rollback(installation: &Installation, running: Option<&Version>) -> Result<RolledBack> {
        travel(installation, running, Goal::Back)
    }

    /// The same to this version, which is lower than the one at the path.
    ///
    /// # Errors
    /// [`Local::NotKept`], and as from [`Updater::rollback`].
    pub fn rollback_to(
        installation: &Installation,
        running: Option<&Version>,
        to: &Version,
    ) -> Result<RolledBack> {
        travel(installation, running, Goal::BackTo(to))
    }

    /// Goes forward to a kept executable of this version, without a network. It is on hold no
    /// longer.
    ///
    /// # Errors
    /// [`Local::NotKept`], [`Local::KeptIsOlder`], and as from [`Updater::rollback`].
    pub fn forward(
        installation: &Installation,
        running: Option<&Version>,
        to: &Version,
    ) -> Result<RolledBack> {
        travel(installation, running, Goal::ForwardTo(to))
    }

    /// Leaves a version that failed in its first starts, for the last one that is known to work.
    /// The result is that one. `failed` is the hash of the executable that failed. If another
    /// process holds the lock, it is not waited for.
    ///
    /// # Errors
    /// As from [`Updater::rollback`]; nothing is changed. Also if the version is critical.
    pub(crate) fn leave_failing(
        installation: &Installation,
        running: &Version,
        failed: Digest,
    ) -> Result<Version> {
        let goal = Goal::Working { failed, now: SystemClock.now() };
        let nothing = || Local::NothingToRollBack { path: installation.executable().into() };
        ensure_is_mapped(installation)?;
        // Asked at each start that cannot leave it: without a lock first.
        if installation.recorded(None)?.next(goal).is_none() {
            return Err(nothing().into());
        }
        let mut session = Session::begin_rollback(installation, Duration::ZERO, &mut Quiet)?;
        if session.is_critical() {
            return Err(nothing().into());
        }
        match session.travel(Some(running), goal)? {
            Returned::Now { to, .. } => Ok(to),
            Returned::Already { .. } => {
                Err(Local::ChangedMeanwhile { path: installation.executable().into() }.into())
            }
        }
    }

    /// Ends all holds: what was left by a rollback may be installed again. The result is the
    /// versions.
    ///
    /// # Errors
    /// As from [`Updater::rollback`].
    pub fn end_holds(installation: &Installation) -> Result<Vec<Version>> {
        begin_travel(installation)?.end_holds()
    }
}

fn begin_travel(installation: &Installation) -> Result<Session> {
    ensure_is_mapped(installation)?;
    // If this directory does not exist, there was never an update. A rollback must not create it.
    match std::fs::metadata(installation.dir()) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(Local::NothingToRollBack { path: installation.executable().into() }.into())
        }
        Err(error) => Err(io("look at", installation.dir())(error)),
        Ok(_) => Session::begin_rollback(installation, limits::LOCK_WAIT, &mut Quiet),
    }
}

fn travel(installation: &Installation, running: Option<&Version>, goal: Goal<'_>) -> Result<RolledBack> {
    let mut session = begin_travel(installation)?;
    Ok(match session.travel(running, goal)? {
        Returned::Now { from, to, swapped, skipped } => {
            let skipped = skipped.into_iter().map(|(version, why)| (version, why.to_string())).collect();
            let warning = warning_of(&swapped, &to);
            let held = !matches!(goal, Goal::ForwardTo(_));
            RolledBack::Now { from, to, held, skipped, warning }
        }
        Returned::Already { installed } => {
            let journal = session.journal();
            let is_forward = |held: &Version| {
                held.compare(&installed).is_ok_and(std::cmp::Ordering::is_gt)
                    && journal.kept().iter().any(|kept| kept.executable.version == *held)
            };
            let forward = journal.held().into_iter().rev().find(is_forward);
            RolledBack::Already { installed, further: session.next_back(), forward }
        }
    })
}
