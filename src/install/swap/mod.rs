//! The swap of the executable at its path (SPEC step 12, and section 6). `system_calls.md`
//! lists its system calls.
//!
//! ```text
//! journal.pending = {file, from, to}; fsync    an update: the next session finishes or undoes it
//! exchange(<exe>, .<exe>.relatch/<file>)     Linux renameat2(RENAME_EXCHANGE), macOS RENAME_SWAP
//! is <exe> the verified inode?               if not, exchange again
//! fsync both directories                     <exe> exists at every moment; the swap has succeeded
//! rename(<file>, previous); fsync            unless <file> is `previous`, as in a rollback
//! journal: installed = to, kept = from, pending = none; fsync
//! ```
//! A rollback records nothing before the exchange: a full disk must not prevent it. The two names
//! are the record. If `<exe>` has the bytes of the kept executable, and the journal says otherwise,
//! a rollback was completed and is not recorded yet.
//!
//! If names cannot be exchanged: give `<exe>` the second name `leaving`, fsync, rename `<file>`
//! over `<exe>`, rename `leaving` to `previous`. On Windows `<exe>` is renamed to `leaving`, so
//! that there is no executable at the path until the next call.

#[cfg(any(target_os = "linux", target_os = "android", target_os = "macos"))]
mod attributes;
#[cfg(unix)]
mod unix;
#[cfg(not(unix))]
mod windows;

use std::fs::File;
use std::path::Path;

#[cfg(unix)]
use unix as system;
#[cfg(not(unix))]
use windows as system;

use super::digest::digest_of;
use super::dir::Entry;
use super::journal::{Installed, Journal, Swap, Under};
use super::lock::Locked;
use super::stage::Staged;
use super::{durable, names};
use crate::error::{Error, Local, Result, io};
use crate::regular_file;
use crate::trust::{Digest, Version};

/// A swap that is on the disk.
#[must_use]
#[derive(Debug)]
pub(crate) struct Swapped {
    /// Why it could not be flushed or recorded. The next session does it.
    pub(crate) warning: Option<Error>,
}

/// The two executables of a swap, by the descriptors over which they were hashed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Files<'a> {
    pub(super) entering: &'a File,
    pub(super) leaving: &'a File,
}

/// What is known of the bytes at the path, if the journal does not know them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Replaced<'a> {
    /// As the running program reports it.
    pub(crate) version: &'a Version,
    pub(crate) under: Under,
    /// The hash of the file for which the update was decided. It must still be there.
    pub(crate) answered: Option<Digest>,
}

/// Swaps a staged executable in; the old one becomes `previous`.
pub(super) fn swap_in(
    locked: &Locked,
    journal: &mut Journal,
    mut staged: Staged,
    replaced: Replaced<'_>,
    under: Under,
) -> Result<Swapped> {
    let executable = locked.installation().executable();
    let mut current = locked.executable().open().map_err(io("open", executable))?;
    let (_, blake3) = digest_of(&mut current).map_err(io("read", executable))?;
    // Not the current epoch: it may have been raised because the keys that released the bytes at
    // the path were stolen.
    let known = journal.installed().filter(|installed| installed.blake3 == blake3).cloned();
    if known.is_none() && replaced.answered != Some(blake3) {
        // A person or a package manager put it there since, or an interrupted rollback of another
        // process.
        return Err(Local::ChangedMeanwhile { path: executable.into() }.into());
    }
    let Replaced { version, under: carried, .. } = replaced;
    let from = known.unwrap_or_else(|| Installed::new(version.clone(), blake3, carried));
    let to = Installed::new(staged.version().clone(), staged.blake3(), under);
    let swap = Swap::update(staged.name(), Some(from), to);
    // The file is whole on the disk, with the mode of the old one, before a record names it.
    system::copy_metadata(&current, staged.file(), executable)?;
    system::sync_staged(staged.file()).map_err(io("synchronise", staged.path()))?;
    // From here on the old executable may have the name, and dropping `staged` must not remove it.
    staged.keep();
    exchange(locked, journal, swap, Files { entering: staged.file(), leaving: &current })
}

/// Gives a new file owner, mode and attributes of an old one, or refuses. The result is whether
/// anything was written.
pub(super) fn copy_metadata(old: &File, new: &File, path: &Path) -> Result<bool> {
    system::copy_metadata(old, new, path)
}

/// Before a rollback: `previous` gets owner, mode and attributes of the executable at the path, so
/// that what an administrator changed there stays.
pub(super) fn prepare_return(files: Files<'_>, executable: &Path) -> Result<()> {
    if copy_metadata(files.leaving, files.entering, executable)? {
        system::sync_staged(files.entering).map_err(io("synchronise the previous version of", executable))?;
    }
    Ok(())
}

/// The steps of the module, from the pending record to the commit. After an error the entering
/// executable is not at the path.
pub(super) fn exchange(
    locked: &Locked,
    journal: &mut Journal,
    swap: Swap,
    files: Files<'_>,
) -> Result<Swapped> {
    if !swap.rollback {
        let before = journal.clone();
        journal.swap_began(swap.clone());
        if let Err(error) = journal.save(locked.private()) {
            // If the record is on the disk all the same, the next session undoes it.
            *journal = before;
            durable::remove(locked.file(&swap.file));
            return Err(error);
        }
    }
    let error = match put_at_path(locked, &swap, files) {
        Ok(()) => return Ok(Swapped { warning: commit(locked, journal, &swap, Some(files.leaving)).err() }),
        Err(error) => error,
    };
    // Finished or undone at once if the disk permits, else by the next session. The system tells of
    // a failed flush once: a second one that succeeds proves nothing, so the error stays a warning.
    match resolve(locked, journal, swap) {
        Ok(Some(finished)) => Ok(Swapped { warning: finished.swapped.warning.or(Some(error)) }),
        Ok(None) => Err(error),
        Err(_) if locked.executable().is(files.entering).unwrap_or(false) => {
            Ok(Swapped { warning: Some(error) })
        }
        Err(_) => Err(error),
    }
}

fn put_at_path(locked: &Locked, swap: &Swap, files: Files<'_>) -> Result<()> {
    let (path, executable) = (locked.installation().executable(), locked.executable());
    let (file, backup) = (locked.file(names::file_of(&swap.file)), locked.file(names::BACKUP));
    // Anybody who may write in a directory can give a name to another file after it was hashed.
    if !file.is(files.entering).map_err(io("look at", &file.path()))? {
        return Err(Local::ChangedMeanwhile { path: file.path() }.into());
    }
    let is = |entry: Entry<'_>, opened| entry.is(opened).map_err(io("look at", &entry.path()));
    let back = io("put the executable back at", path);
    if file.exchange(executable).map_err(io("exchange with the new version", path))? {
        // A package manager, for one, may have put a third file there since: it stays.
        if is(executable, files.entering)? && is(file, files.leaving)? {
            return sync_both(locked);
        }
        file.exchange(executable).map_err(back)?;
    } else {
        durable::remove(backup);
        system::keep_copy(locked, executable, backup)?;
        // On the disk before its original is replaced.
        durable::sync_dir(locked.private())?;
        let outgoing = if cfg!(windows) { backup } else { executable };
        let is_expected = is(outgoing, files.leaving)?;
        if is_expected {
            // A process that dies here, or a rename that fails, may leave nothing at the path
            // (Windows). The recovery that follows puts an executable there.
            put(locked, file, executable).map_err(io("replace", path))?;
            if is(executable, files.entering)? {
                return sync_both(locked);
            }
        }
        if is_expected || cfg!(windows) {
            put(locked, backup, executable).map_err(back)?;
        } else {
            durable::remove(backup);
        }
    }
    sync_both(locked)?;
    Err(Local::ChangedMeanwhile { path: path.into() }.into())
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

/// After the exchange: keeps the old executable as `previous`, without the privileges that its name
/// gave it, and records both. `leaving` is the old executable, if this process hashed it. If this
/// fails, or the process dies in it, the next session repeats it.
pub(super) fn commit(
    locked: &Locked,
    journal: &mut Journal,
    swap: &Swap,
    leaving: Option<&File>,
) -> Result<()> {
    let previous = locked.file(names::PREVIOUS_FILE);
    let mut kept = None;
    // It has its last name already if an earlier process died after that.
    for name in [names::BACKUP, &swap.file, names::PREVIOUS] {
        let Some(from) = &swap.from else { break };
        let old = locked.file(names::file_of(name));
        if !is_executable(old, from, leaving)? {
            continue;
        }
        // The way back counts for more. The next session tries it again.
        let cleared = remove_privileges(old);
        if name != names::PREVIOUS {
            put(locked, old, previous).map_err(io("keep the previous version as", &previous.path()))?;
            durable::sync_dir(locked.private())?;
        }
        kept = Some(cleared);
        break;
    }
    let mut after = journal.clone();
    after.swap_ended(swap, kept.is_some());
    *journal = after;
    journal.save(locked.private())?;
    kept.unwrap_or(Ok(()))
}

/// A swap that a crash or a full disk had left without its record.
#[must_use]
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) swap: Swap,
    pub(super) swapped: Swapped,
}

/// Finishes or undoes a swap that a crash interrupted (SPEC step 2). The bytes at the path decide
/// which. The result is the swap that it finished.
pub(super) fn recover(locked: &Locked, journal: &mut Journal) -> Result<Option<Finished>> {
    if let Some(pending) = journal.pending().cloned() {
        return resolve(locked, journal, pending);
    }
    // On a system that exchanges no names, this file shows that a rollback began.
    let backup = locked.file(names::BACKUP);
    match backup.exists().map_err(io("look at", &backup.path()))? {
        true => recover_rollback(locked, journal),
        false => Ok(None),
    }
}

/// As [`recover`], for a rollback of which the names are the only record, if there was one: the
/// executable that it left has the name `previous`, or still `leaving`. A copy that a person put
/// back is none.
pub(super) fn recover_rollback(locked: &Locked, journal: &mut Journal) -> Result<Option<Finished>> {
    let Some(swap) = journal.unrecorded_rollback() else { return Ok(None) };
    let Some(from) = &swap.from else { return Ok(None) };
    for name in [names::PREVIOUS_FILE, names::BACKUP] {
        if is_executable(locked.file(name), from, None)? {
            return resolve(locked, journal, swap);
        }
    }
    Ok(None)
}

/// Finishes or undoes this swap.
pub(super) fn resolve(locked: &Locked, journal: &mut Journal, swap: Swap) -> Result<Option<Finished>> {
    let executable = locked.installation().executable();
    let exists = locked.executable().exists().map_err(io("look at", executable))?;
    if !exists && !restore_executable(locked, &swap)? {
        // Neither executable exists: no swap is in progress, and the session reports the error.
        if swap.from.is_none() && names::is_swappable(&swap.file) {
            durable::remove(locked.file(&swap.file));
        }
        return undone(locked, journal, None).map(|()| None);
    }
    let mut current = locked.executable().open().map_err(io("open", executable))?;
    let (_, found) = digest_of(&mut current).map_err(io("read", executable))?;
    // A later version of relatch may name files that this one does not know. They stay.
    let is_known = names::is_swappable(&swap.file);
    if found == swap.to.blake3 && is_known {
        // The process may have died between the exchange and the fsync.
        sync_both(locked)?;
        let swapped = Swapped { warning: commit(locked, journal, &swap, None).err() };
        return Ok(Some(Finished { swap, swapped }));
    }
    if swap.from.is_none() && found == Digest::of(b"") {
        // A first install claimed the name, and died before it put the executable there.
        durable::remove(locked.executable());
    }
    if let Some(rollback) = unrecorded_return(locked, &swap, found)? {
        journal.swap_ended(&swap, true);
        return resolve(locked, journal, rollback);
    }
    // Either the swap did not happen yet, or a third executable was put there since. In both cases,
    // no swap is in progress.
    let is_third = swap.from.as_ref().is_none_or(|from| from.blake3 != found);
    if is_third && is_known && !swap.rollback && keep_overtaken(locked, journal, &swap)? {
        return Ok(None);
    }
    durable::remove(locked.file(names::BACKUP));
    if is_known && swap.file != names::PREVIOUS {
        durable::remove(locked.file(&swap.file));
    }
    undone(locked, journal, Some(found)).map(|()| None)
}

/// If the swap was complete before somebody else put a third executable at the path, the old one
/// has the staged name or `leaving`, and is kept. `false` if it has neither.
fn keep_overtaken(locked: &Locked, journal: &mut Journal, swap: &Swap) -> Result<bool> {
    let Some(from) = &swap.from else { return Ok(false) };
    let previous = locked.file(names::PREVIOUS_FILE);
    for name in [names::BACKUP, &swap.file] {
        let old = locked.file(names::file_of(name));
        if name == names::PREVIOUS || !is_executable(old, from, None)? {
            continue;
        }
        let cleared = remove_privileges(old);
        put(locked, old, previous).map_err(io("keep the previous version as", &previous.path()))?;
        durable::sync_dir(locked.private())?;
        journal.swap_overtaken(swap, true);
        journal.save(locked.private())?;
        return cleared.map(|()| true);
    }
    Ok(false)
}

/// The rollback from an update that could not be recorded, if the disk was full both times: the
/// staged file is gone, and `previous` is what was updated to.
fn unrecorded_return(locked: &Locked, swap: &Swap, found: Digest) -> Result<Option<Swap>> {
    let Some(from) = swap.from.as_ref().filter(|from| from.blake3 == found && !swap.rollback) else {
        return Ok(None);
    };
    let (staged, previous) = (locked.file(&swap.file), locked.file(names::PREVIOUS_FILE));
    let is_gone = !staged.exists().map_err(io("look at", &staged.path()))?;
    let is_return = is_gone && is_executable(previous, &swap.to, None)?;
    Ok(is_return.then(|| Swap::rollback(swap.to.clone(), from.clone())))
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

/// Takes set-id bits and capabilities from an executable that is not at the path, where no update
/// replaces it.
pub(super) fn remove_privileges(file: Entry<'_>) -> Result<()> {
    if cfg!(windows) {
        return Ok(()); // there are none
    }
    match file.open() {
        Err(error)
            if error.kind() == std::io::ErrorKind::NotFound || regular_file::is_not_regular(&error) =>
        {
            Ok(())
        }
        opened => opened
            .and_then(|file| system::remove_privileges(&file))
            .map_err(io("take set-id bits and capabilities from", &file.path())),
    }
}

/// Whether a name leads to a file that is this recorded executable. `opened` is that executable, if
/// it was hashed in this process.
fn is_executable(file: Entry<'_>, recorded: &Installed, opened: Option<&File>) -> Result<bool> {
    let path = file.path();
    if let Some(opened) = opened {
        if file.is(opened).map_err(io("look at", &path))? {
            return Ok(true);
        }
    }
    let mut found = match file.open() {
        Err(error)
            if error.kind() == std::io::ErrorKind::NotFound || regular_file::is_not_regular(&error) =>
        {
            return Ok(false);
        }
        found => found.map_err(io("open", &path))?,
    };
    let (_, blake3) = digest_of(&mut found).map_err(io("read", &path))?;
    Ok(blake3 == recorded.blake3)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::time::Duration;

    use super::super::Installation;
    use super::super::directories::UnlockedDirectories;
    use super::*;
    use crate::trust::Epoch;

    fn locked(dir: &std::path::Path) -> Locked {
        let installation = Installation::at(&dir.join("tool")).unwrap();
        Locked::take(UnlockedDirectories::open(&installation).unwrap(), Duration::ZERO).unwrap()
    }

    fn installed(version: &str, content: &[u8]) -> Installed {
        let under = Under { epoch: Epoch::FIRST, domain: Digest::of(b"") };
        Installed::new(version.parse().unwrap(), Digest::of(content), under)
    }

    /// An update or a rollback, while somebody who may write in the directory gives a name to
    /// another file. The result is what the executable's path leads to.
    fn swapped_while_another_file_gets(name_of_tool: bool, is_rollback: bool) -> String {
        let dir = tempfile::tempdir().unwrap();
        let tool = dir.path().join("tool");
        std::fs::write(&tool, "old").unwrap();
        let locked = locked(dir.path());
        let name = if is_rollback { names::PREVIOUS } else { "new-0123456789abcdef" };
        let path = locked.file(name).path();
        std::fs::write(&path, "verified").unwrap();
        let (entering, leaving) = (locked.file(name).open().unwrap(), locked.executable().open().unwrap());
        let replaced = if name_of_tool { &tool } else { &path };
        std::fs::rename(replaced, dir.path().join("moved")).unwrap();
        std::fs::write(replaced, "another").unwrap();

        let mut journal = Journal::new(&"p".parse().unwrap()).unwrap();
        let (from, to) = (installed("1.0.0", b"old"), installed("2.0.0", b"verified"));
        let swap = match is_rollback {
            true => Swap::rollback(from, to),
            false => Swap::update(name, Some(from), to),
        };
        let files = Files { entering: &entering, leaving: &leaving };
        let refused = exchange(&locked, &mut journal, swap, files).map(drop);
        assert!(matches!(refused, Err(Error::Local(Local::ChangedMeanwhile { .. }))), "{refused:?}");
        assert_eq!(journal.pending(), None);
        let recorded = Journal::load(locked.private()).unwrap();
        assert_eq!(recorded.and_then(|found| found.pending().cloned()), None);
        std::fs::read_to_string(tool).unwrap()
    }

    #[test]
    fn a_file_that_was_put_in_the_place_of_the_verified_one_does_not_stay() {
        for is_rollback in [false, true] {
            assert_eq!(swapped_while_another_file_gets(false, is_rollback), "old");
        }
    }

    /// As a package manager does: nobody decided that this file is replaced.
    #[test]
    fn a_file_that_was_put_at_the_path_stays() {
        for is_rollback in [false, true] {
            assert_eq!(swapped_while_another_file_gets(true, is_rollback), "another");
        }
    }
}
