//! The one change that people see: new bytes at the executable's path (SPEC step 12).
//!
//! ```text
//! state.pending = {file, from, to}; fsync        from here on a crash is finished or undone by the next start
//! exchange(<exe>, .<exe>.relatch/<file>)         Linux renameat2(RENAME_EXCHANGE), macOS renamex_np(RENAME_SWAP)
//! fsync both directories                         <exe> is the new one; at no moment was there none
//! rename(<file>, previous); fsync                unless <file> already is `previous`, as in a rollback
//! state.installed = to, previous = from, pending = none; fsync
//! ```
//! Where names cannot be exchanged: copy `<exe>` to `leaving`, fsync, rename `<file>` over `<exe>`, rename `leaving` to `previous`. On
//! Windows the copy is a rename, so that between the two there is no executable at the path.

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

use std::fs::File;
use std::path::{Path, PathBuf};

use super::stage::digest_of;
use super::{Installation, Installed, Lock, PendingSwap, Staged, State, durable};
use crate::error::{Result, io};
use crate::regular_file::{is_not_regular, open_regular_file};
use crate::trust::{Digest, Epoch, Version};

/// Where the old executable lies while names cannot be exchanged.
const BACKUP: &str = if cfg!(windows) { "leaving.exe" } else { "leaving" };
/// What a record calls the file that a rollback exchanges, on every system.
pub(super) const PREVIOUS: &str = "previous";
/// The name of that file. A person in need runs it by hand, and Windows runs by name only what ends so.
pub(super) const PREVIOUS_FILE: &str = if cfg!(windows) { "previous.exe" } else { PREVIOUS };

/// Lets a staged file be run, by the one who may run the installed one.
pub(super) fn make_executable(staged: &Staged) -> Result<()> {
    system::make_executable(staged.file()).map_err(io("make executable", staged.path()))
}

/// Swaps a staged executable in; the old one becomes `previous`. `unrecorded` is what the bytes at the path are where the state does not
/// know them: what the running program says of itself.
pub(crate) fn swap_in(
    site: &Installation,
    state: &mut State,
    staged: Staged,
    unrecorded: (&Version, Epoch),
    epoch: Epoch,
    lock: &Lock,
) -> Result<()> {
    let mut current = File::open(site.executable()).map_err(io("open", site.executable()))?;
    system::copy_metadata(&current, staged.file(), site.executable())?;
    system::sync_staged(staged.file()).map_err(io("synchronise", staged.path()))?;
    let (_, blake3) = digest_of(&mut current).map_err(io("read", site.executable()))?;
    // Not today's epoch: that may be the one that was raised because the keys were stolen that released what is at the path.
    let known = state.record.installed().filter(|installed| installed.blake3 == blake3).cloned();
    let (version, carried) = unrecorded;
    let from = known.unwrap_or_else(|| Installed { version: version.clone(), blake3, epoch: carried });
    let to = Installed { version: staged.version().clone(), blake3: staged.blake3(), epoch };
    exchange(site, state, PendingSwap { file: staged.into_name(), from, to, rollback: false }, lock)
}

/// Does what the module says, from the pending record to the commit.
pub(super) fn exchange(site: &Installation, state: &mut State, pending: PendingSwap, _: &Lock) -> Result<()> {
    let file = path_of(site, &pending.file);
    let to = pending.to.clone();
    state.record.swap_began(pending);
    let swapped = state.save(site).and_then(|()| put_at_path(site, &file));
    if let Err(error) = swapped {
        // Finished or undone at once where the disk lets us, else by the next start: the record says what was begun.
        recover(site, state)?;
        return if state.record.installed() == Some(&to) { Ok(()) } else { Err(error) };
    }
    commit(site, state)
}

fn put_at_path(site: &Installation, file: &Path) -> Result<()> {
    if !system::exchange(file, site.executable())
        .map_err(io("exchange with the new version", site.executable()))?
    {
        let leaving = site.dir().join(BACKUP);
        durable::remove(&leaving);
        system::keep_copy(site, site.executable(), &leaving)?;
        durable::sync_dir(site.dir())?;
        // Where this leaves nothing at the path, the recovery that follows puts one there.
        put(site, file, site.executable()).map_err(io("replace", site.executable()))?;
    }
    sync_both(site)
}

/// Renames over a file that may be a running executable.
pub(super) fn put(site: &Installation, from: &Path, to: &Path) -> std::io::Result<()> {
    system::replace(site, from, to)
}

/// A file by the name that it has in a record.
fn path_of(site: &Installation, recorded: &str) -> PathBuf {
    if recorded == PREVIOUS { site.previous() } else { site.dir().join(recorded) }
}

fn sync_both(site: &Installation) -> Result<()> {
    durable::sync_dir(site.executable().parent().unwrap_or(Path::new("/")))?;
    durable::sync_dir(site.dir())
}

/// The new executable is at its path: keep the old one as `previous`, and remember both.
fn commit(site: &Installation, state: &mut State) -> Result<()> {
    let Some(pending) = state.record.swap_ended() else { return Ok(()) };
    for name in [BACKUP, &pending.file] {
        let path = path_of(site, name);
        if name != PREVIOUS && path.exists() && is_copy(&path, &pending.from.blake3)? {
            put(site, &path, &site.previous())
                .map_err(io("keep the previous version as", &site.previous()))?;
            durable::sync_dir(site.dir())?;
            break;
        }
    }
    if pending.rollback {
        state.memory.rolled_back(&pending.from.version, &pending.to.version);
    }
    state.memory.swapped();
    state.save(site)
}

/// Finishes or undoes a swap that a crash interrupted (SPEC step 2): what lies at the path says which. Called under the lock.
pub(crate) fn recover(site: &Installation, state: &mut State) -> Result<()> {
    let Some(pending) = state.record.pending().cloned() else { return Ok(()) };
    let exists = site.executable().try_exists().map_err(io("look at", site.executable()))?;
    if !exists && !close_gap(site, &pending)? {
        state.record.swap_undone(false); // neither is there: nothing is under way, and `Session::begin` says what is missing
        return state.save(site);
    }
    let mut current = File::open(site.executable()).map_err(io("open", site.executable()))?;
    let (_, found) = digest_of(&mut current).map_err(io("read", site.executable()))?;
    if found == pending.to.blake3 {
        sync_both(site)?;
        return commit(site, state);
    }
    // Either nothing happened yet, or somebody put a third executable there since. Both mean: no swap is under way.
    durable::remove(&site.dir().join(BACKUP));
    if pending.file != PREVIOUS {
        durable::remove(&site.dir().join(&pending.file));
    }
    state.record.swap_undone(found == pending.from.blake3);
    state.save(site)
}

/// Puts the new executable at a path where a crash left none, or else the old one; says whether one of them is still there.
fn close_gap(site: &Installation, pending: &PendingSwap) -> Result<bool> {
    let mut failed = None;
    for (name, copy) in [(pending.file.as_str(), &pending.to), (BACKUP, &pending.from)] {
        let path = path_of(site, name);
        if !path.exists() {
            continue;
        }
        match is_copy(&path, &copy.blake3) {
            Ok(true) => match put(site, &path, site.executable()) {
                Ok(()) => return sync_both(site).map(|()| true),
                Err(error) => failed = Some(io("put an executable at", site.executable())(error)),
            },
            Ok(false) => {}
            Err(error) => failed = Some(error),
        }
    }
    failed.map_or(Ok(false), Err)
}

/// What is no file, or does not lead to one, is none.
fn is_copy(path: &Path, expected: &Digest) -> Result<bool> {
    let mut file = match open_regular_file(path) {
        Err(error) if is_not_regular(&error) => return Ok(false),
        opened => opened.map_err(io("open", path))?,
    };
    let (_, found) = digest_of(&mut file).map_err(io("read", path))?;
    Ok(found == *expected)
}

/// Something that must stay with an executable cannot be given to its successor.
#[cfg(unix)]
fn cannot_carry(path: &Path, what: &str, error: std::io::Error) -> crate::Error {
    crate::Local::UnsafeSite {
        path: path.into(),
        why: format!("its {what} cannot be carried over to the new version: {error}"),
    }
    .into()
}
