//! Going to another executable that is kept: hashes, one exchange of names, no network (SPEC
//! section 6).

use std::cmp::Ordering;
use std::fs::File;

use super::digest::digest_of;
use super::journal::{Installed, Journal, Kept, Swap, Under};
use super::kept::open_kept;
use super::lock::Locked;
use super::names;
use super::records::Records;
use super::swap::{self, Files, Finished};
use crate::check::Domain;
use crate::error::{Error, Local, Result, io};
use crate::trust::{Digest, Epoch, Refusal, Version};

/// Which kept executable is wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal<'a> {
    /// The one that left the path last, is lower and may come back.
    Back,
    /// This version, which is lower. The one that is left is put on hold.
    BackTo(&'a Version),
    /// The last one that is known to work, from the one with this hash, which failed by this time.
    Working { failed: Digest, now: u64 },
    /// This version, which is higher. Nothing is put on hold.
    ForwardTo(&'a Version),
}

impl Goal<'_> {
    /// Whether a rollback to this version is what was asked for.
    pub(super) fn is_met_by(self, to: &Version) -> bool {
        match self {
            Goal::Back | Goal::Working { .. } => true,
            Goal::BackTo(version) | Goal::ForwardTo(version) => version == to,
        }
    }
}

/// A kept executable that was passed over, and why.
pub(crate) type Skipped = (Version, Error);

/// What came of it.
#[derive(Debug)]
pub(super) enum Travelled {
    /// An earlier rollback had no record yet, and has one now.
    Earlier(Finished),
    /// The executable that was wanted is at the path already.
    Already(Version),
    /// It is now.
    Now(Finished, Vec<Skipped>),
}

/// Brings a kept executable back. By a rollback the version that is left is put on hold; a second
/// one changes nothing.
///
/// `running` is the version at the path, for an executable that no swap has recorded yet.
///
/// # Errors
/// [`Local::NothingToRollBack`], [`Local::NotKept`], [`Local::KeptOnHold`], [`Local::KeptIsNewer`],
/// [`Local::NoneComesBack`]; [`Refusal::PreviousAltered`], and those of [`ensure_may_return`].
/// Nothing is changed.
pub(super) fn travel(
    locked: &Locked,
    journal: &mut Journal,
    records: &Records,
    running: Option<&Version>,
    goal: Goal<'_>,
) -> Result<Travelled> {
    let executable = locked.installation().executable();
    let mut current = locked.executable().open().map_err(io("open", executable))?;
    let (_, blake3) = digest_of(&mut current).map_err(io("read", executable))?;
    if journal.installed().is_none_or(|installed| installed.blake3 != blake3) {
        if let Some(finished) = swap::recover_rollback(locked, journal)? {
            return Ok(Travelled::Earlier(finished));
        }
    }
    let at_path = AtPath { blake3, recorded: journal.installed().cloned(), running: running.cloned() };
    let is_recorded = at_path.recorded.as_ref().is_some_and(|recorded| recorded.blake3 == blake3);
    match (goal, at_path.version()) {
        // Its trial was that of other bytes.
        (Goal::Working { failed, .. }, _) if failed != blake3 => {
            return Err(Local::ChangedMeanwhile { path: executable.into() }.into());
        }
        (Goal::Back, Some(version)) if is_recorded && journal.is_returned() => {
            return Ok(Travelled::Already(version.clone()));
        }
        (Goal::BackTo(wanted) | Goal::ForwardTo(wanted), Some(version)) if version == wanted => {
            return Ok(Travelled::Already(version.clone()));
        }
        _ => {}
    }
    let Chosen { kept, file: entering, from, skipped } = choose(locked, journal, records, &at_path, goal)?;
    // What is left must be known when only the names tell of this rollback. A full disk is no
    // reason not to go back, but then the version may be installed again.
    let unknown = journal.installed() != Some(&from);
    journal.found_at_path(from.clone());
    let warning = if unknown { journal.save(locked.private()).err() } else { None };
    let swap = match goal {
        Goal::Back | Goal::BackTo(_) => Swap::rollback(from, kept.clone()),
        Goal::Working { now, .. } => Swap::rollback(from, kept.clone()).for_failing(now),
        Goal::ForwardTo(_) => Swap::update(&kept.file, Some(from), kept.executable.clone()),
    };
    let files = Files { entering: &entering, leaving: &current };
    let swapped = swap::exchange_with_kept(locked, journal, swap.clone(), files)?;
    Ok(Travelled::Now(Finished { swap, swapped: swapped.or(warning) }, skipped))
}

/// What is known of the executable at the path.
struct AtPath {
    blake3: Digest,
    recorded: Option<Installed>,
    running: Option<Version>,
}

impl AtPath {
    fn version(&self) -> Option<&Version> {
        let recorded = self.recorded.as_ref();
        let known = recorded.filter(|recorded| recorded.blake3 == self.blake3);
        known.map(|known| &known.version).or(self.running.as_ref()).or(recorded.map(|it| &it.version))
    }

    /// If a person put it there, only the running program knows its version, and its epoch is
    /// unknown: with the first epoch it does not come back if the epoch was ever raised.
    fn installed(&self, domain: Digest) -> Option<Installed> {
        match &self.recorded {
            Some(recorded) if recorded.blake3 == self.blake3 => Some(recorded.clone()),
            _ => {
                let under = Under::roots(Epoch::FIRST, domain);
                Some(Installed::new(self.version()?.clone(), self.blake3, under))
            }
        }
    }
}

/// A kept executable that may come back, by the descriptor over which it was hashed.
struct Chosen {
    kept: Kept,
    file: File,
    from: Installed,
    skipped: Vec<Skipped>,
}

fn choose(
    locked: &Locked,
    journal: &Journal,
    records: &Records,
    at_path: &AtPath,
    goal: Goal<'_>,
) -> Result<Chosen> {
    let path = locked.installation().executable();
    let nothing = || Local::NothingToRollBack { path: path.into() };
    let known = journal.kept().iter();
    let known = known.filter(|kept| names::is_kept(&kept.file) && kept.executable.blake3 != at_path.blake3);
    let mut skipped: Vec<Skipped> = Vec::new();
    let mut is_there = false;
    for kept in known.clone() {
        let to = &kept.executable;
        if !goal.is_met_by(&to.version) || (matches!(goal, Goal::Working { .. }) && !to.confirmed) {
            continue;
        }
        is_there = true;
        let from = at_path.installed(to.domain).ok_or_else(nothing)?;
        let tried = open_kept(locked.private(), kept).and_then(|file| {
            ensure_may_return(to, Some(&from), records)?;
            ensure_wanted(journal, &from, to, goal).map(|()| file)
        });
        match (tried, goal) {
            (Ok(Some(file)), _) => return Ok(Chosen { kept: kept.clone(), file, from, skipped }),
            (Ok(None), Goal::Back | Goal::Working { .. }) => {} // it is not kept
            (Ok(None), _) => return Err(nothing().into()),
            (Err(error), Goal::Back | Goal::Working { .. }) => skipped.push((to.version.clone(), error)),
            (Err(error), _) => return Err(error),
        }
    }
    if let (false, Goal::BackTo(version) | Goal::ForwardTo(version)) = (is_there, goal) {
        let (version, kept) = (version.clone(), known.map(|kept| kept.executable.version.clone()).collect());
        return Err(Local::NotKept { path: path.into(), version, kept }.into());
    }
    let are_all_refused = skipped.iter().all(|(_, why)| matches!(why, Error::Refused(_)));
    if skipped.len() > 1 && !are_all_refused {
        let skipped = skipped.into_iter().map(|(version, why)| (version, why.to_string()));
        return Err(Local::NoneComesBack { path: path.into(), skipped: skipped.collect() }.into());
    }
    Err(skipped.into_iter().next().map_or_else(|| nothing().into(), |(_, why)| why))
}

/// Whether this goal leads from one version to the other.
fn ensure_wanted(journal: &Journal, from: &Installed, to: &Installed, goal: Goal<'_>) -> Result<()> {
    let order = to.version.compare(&from.version).unwrap_or(Ordering::Less);
    let version = || to.version.clone();
    match goal {
        Goal::Back | Goal::Working { .. } if journal.held().contains(&to.version) => {
            Err(Local::KeptOnHold { version: version() }.into())
        }
        Goal::Back | Goal::BackTo(_) | Goal::Working { .. } if order.is_gt() => {
            Err(Local::KeptIsNewer { version: version(), installed: from.version.clone() }.into())
        }
        Goal::ForwardTo(_) if order.is_lt() => {
            Err(Local::KeptIsOlder { version: version(), installed: from.version.clone() }.into())
        }
        _ => Ok(()),
    }
}

/// SPEC section 6: whether the publisher lets this executable come back in the place of `from`.
///
/// # Errors
/// [`Refusal::PreviousDomain`], [`Refusal::BelowFloor`], [`Refusal::Retracted`],
/// [`Refusal::PreviousEpoch`].
pub(super) fn ensure_may_return(
    to: &Installed,
    from: Option<&Installed>,
    records: &Records,
) -> Result<(), Refusal> {
    // Where `floors` was deleted, the same roots have another name since.
    let name = |domain| records.domain(domain).map_or(domain, Domain::id);
    if let Some(from) = from.filter(|from| name(from.domain) != name(to.domain)) {
        return Err(Refusal::PreviousDomain { previous: to.domain, trusted: from.domain });
    }
    let Some(domain) = records.domain(to.domain) else { return Ok(()) };
    let too_low = |floor: &&Version| to.version.compare(floor).is_ok_and(Ordering::is_lt);
    if let Some(floor) = domain.highest_min_version(&to.version).filter(too_low) {
        return Err(Refusal::BelowFloor { floor: floor.clone(), found: to.version.clone() });
    }
    if domain.is_retracted(&to.version) {
        return Err(Refusal::Retracted { version: to.version.clone() });
    }
    let trusted = domain.epoch();
    if to.epoch != trusted {
        return Err(Refusal::PreviousEpoch { previous: to.epoch, trusted });
    }
    Ok(())
}

/// What going there would bring back now, as far as the records tell.
pub(super) fn next(journal: &Journal, records: &Records, goal: Goal<'_>) -> Option<Version> {
    let is_wanted = |to: &Installed| match journal.installed() {
        Some(from) => from.blake3 != to.blake3 && ensure_wanted(journal, from, to, goal).is_ok(),
        None => true,
    };
    let may_return = |to: &Installed| ensure_may_return(to, journal.installed(), records).is_ok();
    let kept = journal.kept().iter().filter(|kept| names::is_kept(&kept.file)).map(|kept| &kept.executable);
    let mut kept = kept.filter(|to| to.confirmed || !matches!(goal, Goal::Working { .. }));
    kept.find(|to| is_wanted(to) && may_return(to)).map(|to| to.version.clone())
}

/// The kept versions that the publisher does not let come back, and why.
pub(super) fn refused(journal: &Journal, records: &Records) -> Vec<(Version, Refusal)> {
    let kept = journal.kept().iter().map(|kept| &kept.executable);
    let refused = kept.filter_map(|to| {
        let why = ensure_may_return(to, journal.installed(), records).err()?;
        Some((to.version.clone(), why))
    });
    refused.collect()
}
