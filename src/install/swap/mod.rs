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
mod commit;
mod recovery;
#[cfg(unix)]
mod unix;
#[cfg(not(unix))]
mod windows;

use std::fs::File;
use std::path::Path;

pub(crate) use commit::Swapped;
use commit::sync_both;
pub(super) use commit::{commit, put, remove_privileges};
pub(super) use recovery::{Finished, recover, recover_rollback, resolve};
#[cfg(unix)]
use unix as system;
#[cfg(not(unix))]
use windows as system;

use super::digest::digest_of;
use super::dir::Entry;
use super::journal::{Installed, Journal, Swap, Under};
use super::kept::open_kept;
use super::lock::Locked;
use super::random::random_suffix;
use super::stage::Staged;
use super::{durable, names};
use crate::error::{Error, Local, Result, io};
use crate::trust::{Digest, Version};

/// The two executables of a swap, by the descriptors over which they were hashed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Files<'a> {
    pub(super) entering: &'a File,
    pub(super) leaving: &'a File,
}

/// What is known of the bytes at the path, if the journal does not know them.
#[derive(Debug, Clone)]
pub(crate) struct Replaced<'a> {
    /// As the running program reports it.
    pub(crate) version: &'a Version,
    pub(crate) under: Under,
    /// The hash of the file for which the update was decided. It must still be there.
    pub(crate) answered: Option<Digest>,
    /// The hash of an executable that is known to work.
    pub(crate) working: Option<Digest>,
}

/// What an update puts at the path.
#[derive(Debug)]
pub(crate) enum Entering {
    /// A new file.
    Staged(Staged),
    /// A kept executable: this version, and its hash, which is the signed one.
    Kept(Version, Digest),
}

impl Entering {
    pub(super) fn version(&self) -> &Version {
        match self {
            Entering::Staged(staged) => staged.version(),
            Entering::Kept(version, _) => version,
        }
    }
}

/// Swaps an executable in. The old one is kept, and of those that were kept before, the newest
/// ones: `keep` in all.
pub(super) fn swap_in(
    locked: &Locked,
    journal: &mut Journal,
    entering: Entering,
    replaced: Replaced<'_>,
    under: Under,
    keep: usize,
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
    let mut from = known.unwrap_or_else(|| Installed::new(version.clone(), blake3, carried));
    from.confirmed |= replaced.working == Some(blake3);
    match entering {
        Entering::Staged(mut staged) => {
            let to = Installed::new(staged.version().clone(), staged.blake3(), under);
            let swap = journal.plan_update(staged.name(), from, to, keep, &names::kept(&random_suffix()?));
            // The file is whole on the disk, with the mode of the old one, before a record names it.
            copy_metadata(&current, staged.file(), executable)?;
            system::sync_staged(staged.file()).map_err(io("synchronise", staged.path()))?;
            // From here on the old executable may have the name, and dropping `staged` must not
            // remove it.
            staged.keep();
            exchange(locked, journal, swap, Files { entering: staged.file(), leaving: &current })
        }
        Entering::Kept(version, blake3) => {
            let gone = || Local::ChangedMeanwhile { path: executable.into() };
            let kept = journal.kept_with(blake3).cloned().ok_or_else(gone)?;
            let file = open_kept(locked.private(), &kept)?.ok_or_else(gone)?;
            let confirmed = kept.executable.confirmed;
            let to = Installed { confirmed, ..Installed::new(version, blake3, under) };
            let swap = Swap::update(&kept.file, Some(from), to);
            exchange_with_kept(locked, journal, swap, Files { entering: &file, leaving: &current })
        }
    }
}

/// Gives a new file owner, mode and attributes of an old one, or refuses. The result is whether
/// anything was written.
pub(super) fn copy_metadata(old: &File, new: &File, path: &Path) -> Result<bool> {
    system::copy_metadata(old, new, path)
}

/// [`exchange`] with a kept executable. Before that it gets owner, mode and attributes of the one
/// at the path, so that what an administrator changed there stays.
pub(super) fn exchange_with_kept(
    locked: &Locked,
    journal: &mut Journal,
    swap: Swap,
    files: Files<'_>,
) -> Result<Swapped> {
    let (executable, place) = (locked.installation().executable(), names::file_of(&swap.file).to_owned());
    let prepared = copy_metadata(files.leaving, files.entering, executable).and_then(|changed| {
        let synced = if changed { system::sync_staged(files.entering) } else { Ok(()) };
        synced.map_err(io("synchronise a kept version of", executable))
    });
    let swapped = prepared.and_then(|()| exchange(locked, journal, swap, files));
    if swapped.is_err() {
        // What it was given for the path is not for where it stays.
        drop(remove_privileges(locked.file(&place)));
    }
    swapped
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
            if names::is_staged(&swap.file) {
                durable::remove(locked.file(&swap.file));
            }
            return Err(error);
        }
    }
    let error = match put_at_path(locked, &swap, files) {
        Ok(()) => return Ok(commit(locked, journal, &swap, Some(files.leaving))),
        Err(error) => error,
    };
    // Finished or undone at once if the disk permits, else by the next session. The system tells of
    // a failed flush once: a second one that succeeds proves nothing, so the error stays a warning.
    match resolve(locked, journal, swap) {
        // Somebody else put the same bytes there, and they are recorded.
        Ok(Some(finished)) if matches!(error, Error::Local(Local::ChangedMeanwhile { .. })) => {
            Ok(finished.swapped)
        }
        Ok(Some(finished)) => Ok(finished.swapped.or(Some(error))),
        Ok(None) => Err(error),
        Err(_) if locked.executable().is(files.entering).unwrap_or(false) => {
            Ok(Swapped { warning: Some(error), privileges: None })
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

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::time::Duration;

    use super::super::Installation;
    use super::super::dir::moment;
    use super::super::directories::UnlockedDirectories;
    use super::super::journal::Kept;
    use super::*;
    use crate::trust::Epoch;

    fn locked(dir: &std::path::Path) -> Locked {
        let installation = Installation::at(&dir.join("tool")).unwrap();
        Locked::take(UnlockedDirectories::open(&installation).unwrap(), Duration::ZERO).unwrap()
    }

    fn installed(version: &str, content: &[u8]) -> Installed {
        let under = Under::roots(Epoch::FIRST, Digest::of(b""));
        Installed::new(version.parse().unwrap(), Digest::of(content), under)
    }

    /// When a name gets another file: before the swap looks at it, or at the last moment, with and
    /// without an exchange of names.
    #[derive(Clone, Copy)]
    enum When {
        Before,
        AtExchange,
        AtCopy,
    }

    /// An update or a rollback, while somebody who may write in the directory gives a name to
    /// another file. The result is what the executable's path leads to.
    fn swapped_while_another_file_gets(name_of_tool: bool, when: When, is_rollback: bool) -> String {
        let dir = tempfile::tempdir().unwrap();
        let tool = dir.path().join("tool");
        std::fs::write(&tool, "old").unwrap();
        let locked = locked(dir.path());
        let name = if is_rollback { names::PREVIOUS } else { "new-0123456789abcdef" };
        let path = locked.file(name).path();
        std::fs::write(&path, "verified").unwrap();
        let (entering, leaving) = (locked.file(name).open().unwrap(), locked.executable().open().unwrap());
        let replaced = if name_of_tool { tool.clone() } else { path };
        let moved = dir.path().join("moved");
        let replace = move || {
            std::fs::rename(&replaced, moved).unwrap();
            std::fs::write(&replaced, "another").unwrap();
        };
        match when {
            When::Before => replace(),
            When::AtExchange | When::AtCopy => moment::before_exchange(move || {
                replace();
                matches!(when, When::AtExchange)
            }),
        }

        let mut journal = Journal::new(&"p".parse().unwrap()).unwrap();
        let (from, to) = (installed("1.0.0", b"old"), installed("2.0.0", b"verified"));
        let swap = match is_rollback {
            true => Swap::rollback(from, Kept::new(name, to)),
            false => Swap::update(name, Some(from), to),
        };
        let files = Files { entering: &entering, leaving: &leaving };
        let refused = exchange(&locked, &mut journal, swap, files).map(drop);
        assert!(matches!(refused, Err(Error::Local(Local::ChangedMeanwhile { .. }))), "{refused:?}");
        assert_eq!(journal.pending(), None);
        let recorded = Journal::load(locked.private()).unwrap();
        assert_eq!(recorded.and_then(|found| found.pending().cloned()), None);
        assert!(!locked.file(names::BACKUP).exists().unwrap());
        std::fs::read_to_string(tool).unwrap()
    }

    #[test]
    fn a_file_that_was_put_in_the_place_of_the_verified_one_does_not_stay() {
        for when in [When::Before, When::AtExchange, When::AtCopy] {
            for is_rollback in [false, true] {
                assert_eq!(swapped_while_another_file_gets(false, when, is_rollback), "old");
            }
        }
    }

    /// As a package manager does: nobody decided that this file is replaced.
    #[test]
    fn a_file_that_was_put_at_the_path_stays() {
        for when in [When::Before, When::AtExchange, When::AtCopy] {
            for is_rollback in [false, true] {
                assert_eq!(swapped_while_another_file_gets(true, when, is_rollback), "another");
            }
        }
    }
}
