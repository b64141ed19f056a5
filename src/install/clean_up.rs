//! Removes what dead processes left (SPEC step 2).

use std::ffi::OsString;

use super::dir::{Entry, OpenDir};
use super::journal::Journal;
use super::lock::{Lock, Locked};
use super::{durable, names};

/// Removes the files of processes that were killed while they staged, old executables that are no
/// longer running, and executables that are not kept any more. No swap is pending. A download in progress stays: it holds `staging`, unless
/// this process does.
///
/// Nothing is removed if there is no executable: one of these files may be its only copy (Windows,
/// or a forced install that was interrupted between its two renames).
pub(super) fn clean_up(locked: &Locked, staging: Option<&Lock>, journal: &Journal) {
    if !locked.executable().exists().unwrap_or(false) {
        return;
    }
    let _taken = match staging {
        Some(_) => None,
        None => match Lock::try_staging(locked) {
            Ok(Some(lock)) => Some(lock),
            Ok(None) | Err(_) => return,
        },
    };
    let Ok(found) = locked.private().names() else { return };
    let is_recorded =
        |name: &OsString| journal.kept().iter().any(|kept| *name == *names::file_of(&kept.file));
    for name in found.iter().filter(|name| names::is_leftover(name) && !is_recorded(name)) {
        durable::remove(Entry::new(locked.private(), name));
    }
}

/// Removes all that is in a directory, with what a program that was probed left there. Links are
/// not followed. What cannot be removed stays.
pub(super) fn empty(dir: &OpenDir) {
    empty_to(dir, LEVELS);
}

const LEVELS: u32 = 16;

fn empty_to(dir: &OpenDir, levels: u32) {
    for name in dir.names().unwrap_or_default() {
        if Entry::new(dir, &name).remove().is_ok() || levels == 0 {
            continue;
        }
        if let Ok(inner) = dir.open_dir(&name) {
            empty_to(&inner, levels - 1);
            drop(inner);
            drop(dir.remove_dir(&name));
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    /// As a program leaves them that was probed.
    #[test]
    fn directories_are_emptied_and_links_are_not_followed() {
        let (temporary, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(outside.path().join("kept"), "x").unwrap();
        let base = temporary.path().canonicalize().unwrap();
        std::fs::create_dir_all(base.join("a/b")).unwrap();
        std::fs::write(base.join("a/b/file"), "x").unwrap();
        std::os::unix::fs::symlink(outside.path(), base.join("a/link")).unwrap();
        std::os::unix::fs::symlink(outside.path(), base.join("link")).unwrap();
        empty(&OpenDir::open(&base).unwrap());
        assert_eq!(std::fs::read_dir(&base).unwrap().count(), 0);
        assert!(outside.path().join("kept").exists());
    }
}
