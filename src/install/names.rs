//! The names of the files in `.<exe>.relatch/`, and of the directory itself.

use std::ffi::{OsStr, OsString};

/// The record of what is installed.
pub(super) const JOURNAL: &str = "journal";
/// What was accepted, which never decreases.
pub(super) const FLOORS: &str = "floors";
/// The result of the last check.
pub(super) const CACHE: &str = "cache";
/// The newest verified root, with its signatures.
pub(super) const ROOT: &str = "root";
/// The settings with which `relatch` updates an executable that does not link this library.
pub(super) const SETTINGS: &str = "settings";
/// The first starts of a version.
pub(super) const TRIAL: &str = "trial";
/// The last events.
pub(super) const EVENTS: &str = "events";
/// Locked by the process that changes files here.
pub(super) const LOCK: &str = "lock";
/// Locked by the process that downloads.
pub(super) const STAGING: &str = "staging";

/// What a record calls the executable that the last update replaced, on every system.
pub(super) const PREVIOUS: &str = "previous";
/// The name of that file. Windows runs a file by its name only if the name ends in `.exe`.
pub(super) const PREVIOUS_FILE: &str = if cfg!(windows) { "previous.exe" } else { PREVIOUS };
/// An executable from before that, and 16 random digits.
const KEPT: &str = "kept-";
/// The old executable during a swap on a file system that cannot exchange two names.
pub(super) const BACKUP: &str = if cfg!(windows) { "leaving.exe" } else { "leaving" };

/// A download, or an executable that is decoded, verified or tried.
pub(super) const NEW: &str = "new-";
/// A small file that is being written, before it is renamed.
pub(super) const WRITE: &str = "write-";
/// An old executable that is still running (Windows).
pub(super) const OLD: &str = "old-";

/// Whether a file of this name is left over if no download and no swap is under way, and no record
/// names it.
pub(super) fn is_leftover(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    [NEW, WRITE, OLD, KEPT].iter().any(|prefix| name.starts_with(prefix))
}

/// Whether there is an old executable that was renamed away.
pub(super) fn has_old(names: &[OsString]) -> bool {
    names.iter().any(|name| name.to_string_lossy().starts_with(OLD))
}

/// The name of the file that a record names.
pub(super) fn file_of(recorded: &str) -> &str {
    if recorded == PREVIOUS { PREVIOUS_FILE } else { recorded }
}

/// A new name for a kept executable.
pub(super) fn kept(suffix: &str) -> String {
    format!("{KEPT}{suffix}{}", if cfg!(windows) { ".exe" } else { "" })
}

/// Whether a record may name this file as an executable that is kept: state is input, and the file
/// it names is renamed and removed.
pub(super) fn is_kept(name: &str) -> bool {
    let is_numbered = |rest: &str| is_random(rest.strip_suffix(".exe").unwrap_or(rest));
    name == PREVIOUS || name.strip_prefix(KEPT).is_some_and(is_numbered)
}

/// Whether the record of a swap may name this file as the one that gets the executable's name.
pub(super) fn is_swappable(name: &str) -> bool {
    is_kept(name) || is_staged(name)
}

/// Whether it is a staged file.
pub(super) fn is_staged(name: &str) -> bool {
    name.strip_prefix(NEW).is_some_and(is_random)
}

fn is_random(rest: &str) -> bool {
    rest.len() == 16 && rest.bytes().all(|b| b.is_ascii_hexdigit())
}

/// `.<exe>.relatch` for `<exe>`.
pub(super) fn private_dir(executable: &OsStr) -> OsString {
    let mut name = OsString::from(".");
    name.push(executable);
    name.push(".relatch");
    name
}

/// `<exe>` for `.<exe>.relatch`.
#[cfg(unix)]
pub(super) fn executable_of(private_dir: &OsStr) -> Option<&OsStr> {
    use std::os::unix::ffi::OsStrExt;
    let executable = private_dir.as_bytes().strip_prefix(b".")?.strip_suffix(b".relatch")?;
    (!executable.is_empty()).then(|| OsStr::from_bytes(executable))
}

/// `<exe>` for `.<exe>.relatch`.
#[cfg(not(unix))]
pub(super) fn executable_of(private_dir: &OsStr) -> Option<&OsStr> {
    let executable = private_dir.to_str()?.strip_prefix('.')?.strip_suffix(".relatch")?;
    (!executable.is_empty()).then(|| OsStr::new(executable))
}
