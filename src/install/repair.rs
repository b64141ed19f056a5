//! Mending what can be mended without a repository (`relatch doctor --repair`). What a swap left
//! incomplete, and files of dead processes, each session mends first.

use super::journal::{Journal, Kept, Swap};
use super::kept::open_kept;
use super::lock::Locked;
use super::records::Records;
use super::rollback::ensure_may_return;
use super::swap::{self, Swapped};
use super::{durable, names};
use crate::error::{Error, Result, io};
use crate::escape::Printable;

/// Mends an installation. The result is what was done, a line each.
pub(super) fn repair(locked: &Locked, journal: &mut Journal, records: &Records) -> Result<Vec<String>> {
    let mut done = Vec::new();
    if !locked.executable().exists().map_err(io("look at", locked.installation().executable()))? {
        done.extend(put_back(locked, journal, records)?);
    }
    let lost = forget_lost(locked, journal)?;
    if !lost.is_empty() {
        journal.save(locked.private())?;
        done.extend(lost);
    }
    done.extend(make_executable(locked, journal)?);
    Ok(done)
}

/// Puts a kept executable at the path, where nothing is. One that is on hold is the last resort.
fn put_back(locked: &Locked, journal: &mut Journal, records: &Records) -> Result<Option<String>> {
    let (path, held) = (locked.installation().executable(), journal.held());
    let mut known: Vec<Kept> =
        journal.kept().iter().filter(|kept| names::is_kept(&kept.file)).cloned().collect();
    known.sort_by_key(|kept| held.contains(&kept.executable.version));
    for kept in known {
        let to = &kept.executable;
        if ensure_may_return(to, journal.installed(), records).is_err()
            || !matches!(open_kept(locked.private(), &kept), Ok(Some(_)))
        {
            continue;
        }
        // From nothing, as a first install: the next session knows from the record what to finish.
        let swap = Swap::update(&kept.file, None, to.clone());
        journal.swap_began(swap.clone());
        journal.save(locked.private())?;
        let file = locked.file(names::file_of(&kept.file));
        let put = swap::put(locked, file, locked.executable()).map_err(io("put an executable at", path));
        let put = put.and_then(|()| {
            durable::sync_dir(locked.parent())?;
            durable::sync_dir(locked.private())
        });
        let Swapped { warning, .. } = match put {
            Ok(()) => swap::commit(locked, journal, &swap, None),
            Err(error) => match swap::resolve(locked, journal, swap)? {
                Some(finished) => finished.swapped.or(Some(error)),
                None => return Err(error),
            },
        };
        return match warning {
            None => Ok(Some(format!("put {} back at {}", to.version, Printable(path.display())))),
            Some(error) => Err(error),
        };
    }
    Ok(None)
}

/// Forgets kept executables that are gone or have other bytes.
fn forget_lost(locked: &Locked, journal: &mut Journal) -> Result<Vec<String>> {
    let mut done = Vec::new();
    for kept in journal.kept().to_vec() {
        let why = match open_kept(locked.private(), &kept) {
            Ok(Some(_)) => continue,
            Ok(None) => "it is gone".to_owned(),
            Err(Error::Refused(why)) => why.to_string(),
            Err(error) => return Err(error),
        };
        journal.kept_lost(&kept.file);
        done.push(format!("{} is not kept any more: {why}", kept.executable.version));
    }
    Ok(done)
}

/// Lets those run the executable who may read it, if nobody may.
#[cfg(unix)]
fn make_executable(locked: &Locked, journal: &Journal) -> Result<Option<String>> {
    use std::os::unix::fs::PermissionsExt;
    let path = locked.installation().executable();
    let mut file = match locked.executable().open() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(io("open", path))?,
    };
    let mode = file.metadata().map_err(io("look at", path))?.permissions().mode() & 0o7777;
    let (_, found) = super::digest::digest_of(&mut file).map_err(io("read", path))?;
    let is_installed = journal.installed().is_some_and(|installed| installed.blake3 == found);
    if mode & 0o111 != 0 || !is_installed {
        return Ok(None);
    }
    let wanted = mode | (mode & 0o444) >> 2;
    super::dir::set_mode(&file, wanted).map_err(io("make executable", path))?;
    Ok(Some(format!("made {} executable again (mode {wanted:o})", Printable(path.display()))))
}

#[cfg(not(unix))]
fn make_executable(_: &Locked, _: &Journal) -> Result<Option<String>> {
    Ok(None)
}
