//! Finishing or undoing a swap that was interrupted (SPEC step 2): the bytes at the path decide.

use super::super::digest::digest_of;
use super::super::dir::Entry;
use super::super::journal::{Journal, Swap};
use super::super::lock::Locked;
use super::super::{durable, names};
use super::commit::{Swapped, commit, is_executable, keep_leaving, put, remove_privileges, sync_both};
use crate::error::{Result, io};
use crate::trust::Digest;

/// A swap that a crash or a full disk had left without its record.
#[must_use]
#[derive(Debug)]
pub(in crate::install) struct Finished {
    pub(in crate::install) swap: Swap,
    pub(in crate::install) swapped: Swapped,
}

/// Finishes or undoes a swap that a crash interrupted (SPEC step 2). The bytes at the path decide
/// which. The result is the swap that it finished.
pub(in crate::install) fn recover(locked: &Locked, journal: &mut Journal) -> Result<Option<Finished>> {
    if let Some(pending) = journal.pending().cloned() {
        return resolve(locked, journal, pending);
    }
    // On a system that exchanges no names, this file shows that a rollback began.
    let backup = locked.file(names::BACKUP);
    match backup.exists().map_err(io("look at", &backup.path()))? {
        true => match recover_rollback(locked, journal)? {
            None => remove_begun_copy(locked, journal, backup).map(|()| None),
            finished => Ok(finished),
        },
        false => Ok(None),
    }
}

/// A copy of the executable that is still at its path, for a rollback that ended before it was
/// whole.
fn remove_begun_copy(locked: &Locked, journal: &Journal, copy: Entry<'_>) -> Result<()> {
    let Some(installed) = journal.installed() else { return Ok(()) };
    if is_executable(locked.executable(), installed, None)? {
        durable::remove(copy);
    }
    Ok(())
}

/// As [`recover`], for a rollback of which the names are the only record, if there was one: the
/// executable that it left has the name of the one that came back, or still `leaving`. A copy that
/// a person put back is none.
pub(in crate::install) fn recover_rollback(
    locked: &Locked,
    journal: &mut Journal,
) -> Result<Option<Finished>> {
    let (path, backup) = (locked.installation().executable(), locked.file(names::BACKUP));
    let Some(found) = digest_at(locked)? else {
        // Between two renames (Windows). Which one was to come back is not known.
        if let Some(installed) = journal.installed() {
            if is_executable(backup, installed, None)? {
                put(locked, backup, locked.executable()).map_err(io("put the executable back at", path))?;
                sync_both(locked)?;
            }
        }
        return Ok(None);
    };
    let Some(swap) = journal.unrecorded_rollback(found) else { return Ok(None) };
    let Some(from) = &swap.from else { return Ok(None) };
    let is_from = |name: &str| is_executable(locked.file(name), from, None);
    match is_from(names::file_of(&swap.file))? || is_from(names::BACKUP)? {
        true => resolve(locked, journal, swap),
        false => Ok(None),
    }
}

/// The hash of what is at the path; `None` if nothing is.
fn digest_at(locked: &Locked) -> Result<Option<Digest>> {
    let path = locked.installation().executable();
    if !locked.executable().exists().map_err(io("look at", path))? {
        return Ok(None);
    }
    let mut current = locked.executable().open().map_err(io("open", path))?;
    let (_, found) = digest_of(&mut current).map_err(io("read", path))?;
    Ok(Some(found))
}

/// Finishes or undoes this swap.
pub(in crate::install) fn resolve(
    locked: &Locked,
    journal: &mut Journal,
    swap: Swap,
) -> Result<Option<Finished>> {
    let found = match digest_at(locked)? {
        None if restore_executable(locked, &swap)? => digest_at(locked)?,
        found => found,
    };
    let Some(found) = found else {
        // Neither executable exists: no swap is in progress, and the session reports the error.
        if swap.from.is_none() && names::is_staged(&swap.file) {
            durable::remove(locked.file(&swap.file));
        }
        return undone(locked, journal, None).map(|()| None);
    };
    // A later version of relatch may name files that this one does not know. They stay.
    let is_known = names::is_swappable(&swap.file);
    if found == swap.to.blake3 && is_known {
        // The process may have died between the exchange and the fsync.
        sync_both(locked)?;
        let swapped = commit(locked, journal, &swap, None);
        return Ok(Some(Finished { swap, swapped }));
    }
    if swap.from.is_none() && found == Digest::of(b"") {
        // A first install claimed the name, and died before it put the executable there.
        durable::remove(locked.executable());
    }
    if let Some(rollback) = unrecorded_return(locked, journal, &swap, found)? {
        journal.swap_ended(&swap, true);
        return resolve(locked, journal, rollback);
    }
    // Either the swap did not happen yet, or a third executable was put there since. In both cases,
    // no swap is in progress.
    let is_third = swap.from.as_ref().is_none_or(|from| from.blake3 != found);
    if is_third && is_known && !swap.rollback && keep_overtaken(locked, journal, &swap)? {
        return Ok(None);
    }
    // It happened, up to a point, and somebody put the old one back.
    if let (Some(aside), Some(previous)) = (journal.aside(&swap).map(str::to_owned), journal.previous()) {
        if is_executable(locked.file(&aside), &previous.executable, None)? {
            journal.previous_is_aside(&aside);
        }
    }
    durable::remove(locked.file(names::BACKUP));
    if names::is_staged(&swap.file) {
        durable::remove(locked.file(&swap.file));
    }
    undone(locked, journal, Some(found)).map(|()| None)
}

/// If the swap was complete before somebody else put a third executable at the path, the old one
/// has the staged name, `leaving` or its place already, and is kept. `false` if it has none of
/// them.
fn keep_overtaken(locked: &Locked, journal: &mut Journal, swap: &Swap) -> Result<bool> {
    if !keep_leaving(locked, journal, swap, None)? {
        return Ok(false);
    }
    drop(remove_privileges(locked.file(names::file_of(swap.place_of_leaving())))); // else the next session does it
    journal.swap_overtaken(swap, true);
    journal.save(locked.private()).map(|()| true)
}

/// The rollback from an update that could not be recorded, if the disk was full both times: the
/// staged file is gone, and what was updated to has the name of the one that came back, or is still
/// `leaving`.
fn unrecorded_return(locked: &Locked, journal: &Journal, swap: &Swap, found: Digest) -> Result<Option<Swap>> {
    let staged = locked.file(&swap.file);
    if swap.rollback
        || !names::is_staged(&swap.file)
        || staged.exists().map_err(io("look at", &staged.path()))?
    {
        return Ok(None);
    }
    let mut after = journal.clone();
    after.swap_ended(swap, true);
    let Some(rollback) = after.unrecorded_rollback(found) else { return Ok(None) };
    let is_to = |name: &str| is_executable(locked.file(name), &swap.to, None);
    let is_return = is_to(names::file_of(&rollback.file))? || is_to(names::BACKUP)?;
    Ok(is_return.then_some(rollback))
}

fn undone(locked: &Locked, journal: &mut Journal, found: Option<Digest>) -> Result<()> {
    match journal.swap_undone(found) {
        true => journal.save(locked.private()),
        false => Ok(()),
    }
}

/// Restores the new executable, or otherwise the old one, after a crash left none at the path. The
/// result is `false` if neither exists, and for a first install, which nobody could run yet.
fn restore_executable(locked: &Locked, swap: &Swap) -> Result<bool> {
    // Where a running file cannot be replaced, a forced install renames it away first.
    let was_renamed_away = || match cfg!(windows) {
        true => locked.private().names().map(|found| names::has_old(&found)),
        false => Ok(false),
    };
    if swap.from.is_none() && !was_renamed_away().map_err(io("list", locked.private().path()))? {
        return Ok(false);
    }
    let executable = locked.installation().executable();
    let mut failed = None;
    let entering = Some((swap.file.as_str(), &swap.to)).filter(|(file, _)| names::is_swappable(file));
    let backup = swap.from.as_ref().map(|from| (names::BACKUP, from));
    for (name, installed) in [entering, backup].into_iter().flatten() {
        let file = locked.file(names::file_of(name));
        match is_executable(file, installed, None) {
            Ok(true) => match put(locked, file, locked.executable()) {
                Ok(()) => return sync_both(locked).map(|()| true),
                Err(error) => failed = Some(io("put an executable at", executable)(error)),
            },
            Ok(false) => {}
            Err(error) => failed = Some(error),
        }
    }
    failed.map_or(Ok(false), Err)
}
