//! The end of a swap: what left the path is kept, and both executables are recorded.

use std::fs::File;

use super::super::digest::digest_of;
use super::super::dir::Entry;
use super::super::journal::{Installed, Journal, Swap};
use super::super::lock::Locked;
use super::super::{durable, names};
#[cfg(unix)]
use super::unix as system;
#[cfg(not(unix))]
use super::windows as system;
use crate::error::{Error, Result, io};
use crate::regular_file;

/// A swap that is on the disk.
#[must_use]
#[derive(Debug)]
pub(crate) struct Swapped {
    /// Why it could not be flushed or recorded. The next session does it.
    pub(crate) warning: Option<Error>,
    /// Why the old executable keeps its set-id bits or capabilities. The next session tries again.
    pub(crate) privileges: Option<Error>,
}

impl Swapped {
    /// With a further reason why it may not be recorded.
    pub(in crate::install) fn or(self, error: Option<Error>) -> Self {
        Swapped { warning: self.warning.or(error), ..self }
    }
}

/// Renames over a file that may be a running executable.
pub(in crate::install) fn put(locked: &Locked, from: Entry<'_>, to: Entry<'_>) -> std::io::Result<()> {
    system::replace(locked, from, to)
}

/// Each descriptor was open before the names changed: see [`super::dir`].
pub(super) fn sync_both(locked: &Locked) -> Result<()> {
    durable::sync_dir(locked.parent())?;
    durable::sync_dir(locked.private())
}

/// After the exchange: keeps the old executable as `previous`, without the privileges that its name
/// gave it, and records both. `leaving` is the old executable, if this process hashed it. If this
/// fails, or the process dies in it, the next session repeats it.
pub(in crate::install) fn commit(
    locked: &Locked,
    journal: &mut Journal,
    swap: &Swap,
    leaving: Option<&File>,
) -> Swapped {
    let mut privileges = None;
    let warning = commit_to(locked, journal, swap, leaving, &mut privileges).err();
    Swapped { warning, privileges }
}

fn commit_to(
    locked: &Locked,
    journal: &mut Journal,
    swap: &Swap,
    leaving: Option<&File>,
    privileges: &mut Option<Error>,
) -> Result<()> {
    let is_kept = keep_leaving(locked, journal, swap, leaving)?;
    if is_kept {
        // The way back counts for more.
        *privileges = remove_privileges(locked.file(names::file_of(swap.place_of_leaving()))).err();
    }
    let mut after = journal.clone();
    after.swap_ended(swap, is_kept);
    *journal = after;
    journal.save(locked.private())
}

/// Gives the executable that left the path the name under which it is kept, and before that another
/// one to the file that has this name, if that is kept too. What an earlier process did is not
/// repeated. The result is whether it has that name.
pub(super) fn keep_leaving(
    locked: &Locked,
    journal: &Journal,
    swap: &Swap,
    leaving: Option<&File>,
) -> Result<bool> {
    let Some(from) = &swap.from else { return Ok(false) };
    let place = locked.file(names::file_of(swap.place_of_leaving()));
    for name in [names::BACKUP, names::file_of(&swap.file)] {
        let old = locked.file(name);
        if old.path() == place.path() || !is_executable(old, from, leaving)? {
            continue;
        }
        if let Some(aside) = journal.aside(swap).map(|aside| locked.file(aside)) {
            if place.exists().map_err(io("look at", &place.path()))? {
                put(locked, place, aside).map_err(io("keep an earlier version as", &aside.path()))?;
                // On the disk before its name goes to another file.
                durable::sync_dir(locked.private())?;
            }
        }
        put(locked, old, place).map_err(io("keep the previous version as", &place.path()))?;
        durable::sync_dir(locked.private())?;
        return Ok(true);
    }
    is_executable(place, from, leaving)
}

/// Takes set-id bits and capabilities from an executable that is not at the path, where no update
/// replaces it.
pub(in crate::install) fn remove_privileges(file: Entry<'_>) -> Result<()> {
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
pub(super) fn is_executable(file: Entry<'_>, recorded: &Installed, opened: Option<&File>) -> Result<bool> {
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
