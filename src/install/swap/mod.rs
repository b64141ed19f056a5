//! The swap of the executable at its path (SPEC step 12). `session.rs` lists its system calls.
//!
//! ```text
//! journal.pending = {file, from, to}; fsync    from here on the next session finishes or undoes it
//! exchange(<exe>, .<exe>.relatch/<file>)     Linux renameat2(RENAME_EXCHANGE), macOS RENAME_SWAP
//! fsync both directories                     <exe> exists at every moment
//! rename(<file>, previous); fsync            unless <file> is `previous`, as in a rollback
//! journal: installed = to, kept = from, pending = none; fsync
//! ```
//! If names cannot be exchanged: copy `<exe>` to `leaving`, fsync, rename `<file>` over `<exe>`,
//! rename `leaving` to `previous`. On Windows the copy is a rename, so that between the two there
//! is no executable at the path.

#[cfg(any(target_os = "linux", target_os = "android", target_os = "macos"))]
mod attributes;
#[cfg(unix)]
mod unix;
#[cfg(not(unix))]
mod windows;

#[cfg(unix)]
use unix as system;
#[cfg(not(unix))]
use windows as system;

use super::digest::digest_of;
use super::dir::Entry;
use super::journal::{Installed, Journal, PendingSwap, Under};
use super::lock::Locked;
use super::stage::Staged;
use super::{durable, names};
use crate::error::{Result, io};
use crate::regular_file;
use crate::trust::{Digest, Version};

/// Swaps a staged executable in; the old one becomes `previous`. `unrecorded` is version and epoch
/// of the bytes at the path if the journal does not know them, as the running program reports them.
pub(super) fn swap_in(
    locked: &Locked,
    journal: &mut Journal,
    staged: Staged,
    unrecorded: (&Version, Under),
    under: Under,
) -> Result<()> {
    let executable = locked.installation().executable();
    let mut current = locked.executable().open().map_err(io("open", executable))?;
    system::copy_metadata(&current, staged.file(), executable)?;
    // Before the record names it: a power cut never leaves a record of a file that is not whole.
    system::sync_staged(staged.file()).map_err(io("synchronise", staged.path()))?;
    let (_, blake3) = digest_of(&mut current).map_err(io("read", executable))?;
    // Not the current epoch: it may have been raised because the keys that released the bytes at
    // the path were stolen.
    let known = journal.installed().filter(|installed| installed.blake3 == blake3).cloned();
    let (version, carried) = unrecorded;
    let from = known.unwrap_or_else(|| Installed::new(version.clone(), blake3, carried));
    let to = Installed::new(staged.version().clone(), staged.blake3(), under);
    exchange(locked, journal, PendingSwap::new(staged.into_name(), from, to, false))
}

/// The steps of the module, from the pending record to the commit.
pub(super) fn exchange(locked: &Locked, journal: &mut Journal, pending: PendingSwap) -> Result<()> {
    let file = names::file_of(&pending.file).to_owned();
    let to = pending.to.clone();
    journal.swap_began(pending);
    let swapped = journal.save(locked.private()).and_then(|()| put_at_path(locked, locked.file(&file)));
    if let Err(error) = swapped {
        // Finished or undone at once if the disk permits, else by the next session: the record
        // names it.
        recover(locked, journal)?;
        return if journal.installed() == Some(&to) { Ok(()) } else { Err(error) };
    }
    commit(locked, journal)
}

fn put_at_path(locked: &Locked, file: Entry<'_>) -> Result<()> {
    let path = locked.installation().executable();
    if !file.exchange(locked.executable()).map_err(io("exchange with the new version", path))? {
        let backup = locked.file(names::BACKUP);
        durable::remove(backup);
        system::keep_copy(locked, locked.executable(), backup)?;
        // On the disk before its original is replaced.
        durable::sync_dir(locked.private())?;
        // A process that dies here, or a rename that fails, may leave nothing at the path
        // (Windows). The recovery that follows puts an executable there.
        put(locked, file, locked.executable()).map_err(io("replace", path))?;
    }
    sync_both(locked)
}

/// Renames over a file that may be a running executable.
pub(super) fn put(locked: &Locked, from: Entry<'_>, to: Entry<'_>) -> std::io::Result<()> {
    system::replace(locked, from, to)
}

/// Each descriptor was open before the names changed: see [`super::dir`].
fn sync_both(locked: &Locked) -> Result<()> {
    durable::sync_dir(locked.parent())?;
    durable::sync_dir(locked.private())
}

/// After the exchange: keeps the old executable as `previous`, and records both. If the process dies
/// in this function, `pending` is still recorded, and the next session repeats it.
fn commit(locked: &Locked, journal: &mut Journal) -> Result<()> {
    // What follows may fail: the record of a swap that is under way stays until then.
    let mut after = journal.clone();
    let Some(pending) = after.swap_ended() else { return Ok(()) };
    for name in [names::BACKUP, &pending.file] {
        let old = locked.file(names::file_of(name));
        if name != names::PREVIOUS && has_digest(old, &pending.from.blake3)? {
            let previous = locked.file(names::PREVIOUS_FILE);
            put(locked, old, previous).map_err(io("keep the previous version as", &previous.path()))?;
            durable::sync_dir(locked.private())?;
            break;
        }
    }
    *journal = after;
    journal.save(locked.private())
}

/// Finishes or undoes a swap that a crash interrupted (SPEC step 2). The bytes at the path decide
/// which. The result is the swap that it finished.
pub(super) fn recover(locked: &Locked, journal: &mut Journal) -> Result<Option<PendingSwap>> {
    let Some(pending) = journal.pending().cloned() else { return Ok(None) };
    let executable = locked.installation().executable();
    let exists = locked.executable().exists().map_err(io("look at", executable))?;
    if !exists && !restore_executable(locked, &pending)? {
        // Neither executable exists: no swap is in progress, and the session reports the error.
        journal.swap_undone(None);
        return journal.save(locked.private()).map(|()| None);
    }
    let mut current = locked.executable().open().map_err(io("open", executable))?;
    let (_, found) = digest_of(&mut current).map_err(io("read", executable))?;
    // A later version of relatch may name files that this one does not know. They stay.
    let is_known = names::is_swappable(&pending.file);
    if found == pending.to.blake3 && is_known {
        // The process may have died between the exchange and the fsync.
        sync_both(locked)?;
        return commit(locked, journal).map(|()| Some(pending));
    }
    // Either the swap did not happen yet, or a third executable was put there since. In both cases,
    // no swap is in progress.
    durable::remove(locked.file(names::BACKUP));
    if is_known && pending.file != names::PREVIOUS {
        durable::remove(locked.file(&pending.file));
    }
    journal.swap_undone(Some(found));
    journal.save(locked.private()).map(|()| None)
}

/// Restores the new executable, or otherwise the old one, after a crash left none at the path. The
/// result is `false` if neither exists.
fn restore_executable(locked: &Locked, pending: &PendingSwap) -> Result<bool> {
    let executable = locked.installation().executable();
    let mut failed = None;
    let staged = Some(pending.file.as_str()).filter(|file| names::is_swappable(file));
    let candidates = [(staged, &pending.to), (Some(names::BACKUP), &pending.from)];
    for (name, installed) in candidates.into_iter().filter_map(|(name, of)| Some((name?, of))) {
        let file = locked.file(names::file_of(name));
        match has_digest(file, &installed.blake3) {
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

/// Whether a regular file with this hash exists.
fn has_digest(file: Entry<'_>, expected: &Digest) -> Result<bool> {
    if !file.exists().unwrap_or(false) {
        return Ok(false);
    }
    let mut opened = match file.open() {
        Err(error)
            if error.kind() == std::io::ErrorKind::NotFound || regular_file::is_not_regular(&error) =>
        {
            return Ok(false);
        }
        opened => opened.map_err(io("open", &file.path()))?,
    };
    let (_, found) = digest_of(&mut opened).map_err(io("read", &file.path()))?;
    Ok(found == *expected)
}
