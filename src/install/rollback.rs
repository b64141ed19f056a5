//! Going back to the previous executable: two hashes, one exchange of names, no network (SPEC
//! section 6).

use std::cmp::Ordering;

use super::digest::digest_of;
use super::journal::{Installed, Journal, Swap, Under};
use super::lock::Locked;
use super::names;
use super::records::Records;
use super::swap::{self, Files, Finished};
use crate::check::Domain;
use crate::error::{Local, Result, io};
use crate::regular_file;
use crate::trust::{Epoch, Refusal, Version};

/// Brings the recorded previous executable back and holds the version that is left. A second
/// rollback goes forward again. The result is what was left, and what came back. If an earlier
/// rollback has no record yet, that is the one.
///
/// `running` is the version at the path, for an executable that no swap has recorded yet.
///
/// # Errors
/// [`Local::NothingToRollBack`]; [`Refusal::PreviousAltered`], and those of
/// [`ensure_may_return`]. Nothing is changed.
pub(super) fn rollback(
    locked: &Locked,
    journal: &mut Journal,
    records: &Records,
    running: Option<&Version>,
) -> Result<Finished> {
    let executable = locked.installation().executable();
    let nothing = || Local::NothingToRollBack { path: executable.into() };
    let to = journal.previous().cloned().ok_or_else(nothing)?;
    let previous = locked.file(names::PREVIOUS_FILE);
    let path = previous.path();
    // The exchange would put a symbolic link at the path as a link: anything but a file is no
    // executable.
    let mut file = match previous.open() {
        Err(error)
            if error.kind() == std::io::ErrorKind::NotFound || regular_file::is_not_regular(&error) =>
        {
            return Err(nothing().into());
        }
        opened => opened.map_err(io("open", &path))?,
    };
    let mut current = locked.executable().open().map_err(io("open", executable))?;
    let (_, blake3) = digest_of(&mut current).map_err(io("read", executable))?;
    if to.blake3 == blake3 {
        if let Some(finished) = swap::recover_rollback(locked, journal)? {
            return Ok(finished);
        }
    }
    let (_, found) = digest_of(&mut file).map_err(io("read", &path))?;
    if found != to.blake3 {
        return Err(Refusal::PreviousAltered { expected: to.blake3, found }.into());
    }
    let from = match (journal.installed(), running) {
        (Some(installed), _) if installed.blake3 == blake3 => installed.clone(),
        // A person put another executable at the path. Only the running program knows its version,
        // and its epoch is unknown: with the first epoch it does not come back if the epoch was
        // ever raised.
        (installed, running) => {
            let version = running.or(installed.map(|installed| &installed.version)).ok_or_else(nothing)?;
            let under = Under { epoch: Epoch::FIRST, domain: to.domain };
            Installed::new(version.clone(), blake3, under)
        }
    };
    ensure_may_return(&to, Some(&from), records)?;
    // What is left must be known when only the names tell of this rollback. A full disk is no
    // reason not to go back, but then the version may be installed again.
    let unknown = journal.installed() != Some(&from);
    journal.found_at_path(from.clone());
    let warning = if unknown { journal.save(locked.private()).err() } else { None };
    let swap = Swap::rollback(from, to);
    let files = Files { entering: &file, leaving: &current };
    let returned = swap::prepare_return(files, executable)
        .and_then(|()| swap::exchange(locked, journal, swap.clone(), files));
    if returned.is_err() {
        // What it was given for the path is not for where it stays.
        drop(swap::remove_privileges(previous));
    }
    Ok(Finished { swap, swapped: returned?.or(warning) })
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
