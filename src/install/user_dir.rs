//! The directory of one user for an executable beside which this user may not write.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::dir::OpenDir;
use super::installation::Installation;
use super::privileges::refuse_raised_privileges;
use super::safety::refuse_writable_by_others;
use crate::error::{Result, io};
use crate::trust::Digest;

/// Whether a directory that does not exist is created.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Absent {
    Create,
    Leave,
}

/// The user's own directory for what checks of this executable remember. `None` if the user has no
/// place for state: no home, one that cannot be written to, or one where other users may write.
///
/// # Errors
/// [`crate::Local::RaisedPrivileges`]; [`crate::Local::Io`] if it is not known whether there is a
/// place: what a check remembers there protects the next one.
pub(super) fn open_user_dir(installation: &Installation, absent: Absent) -> Result<Option<Rc<OpenDir>>> {
    refuse_raised_privileges()?;
    let Some(base) = state_home() else { return Ok(None) };
    let path = base.join("relatch").join(name_of(installation.executable()));
    if !may_create(&path)? {
        return Ok(None);
    }
    if absent == Absent::Create && usable(create(&path)).map_err(io("create", &path))?.is_none() {
        return Ok(None);
    }
    let opened = usable(OpenDir::open(&path)).map_err(io("open the directory", &path))?;
    let Some(dir) = opened.filter(is_safe) else { return Ok(None) };
    let is_writable = dir.is_writable(std::ffi::OsStr::new(".")).map_err(io("look at", &path))?;
    Ok(is_writable.then(|| Rc::new(dir)))
}

/// `None` for an error that says that the user has no such place.
fn usable<T>(tried: std::io::Result<T>) -> std::io::Result<Option<T>> {
    use std::io::ErrorKind as Kind;
    match tried {
        Err(error)
            if matches!(
                error.kind(),
                Kind::NotFound
                    | Kind::PermissionDenied
                    | Kind::NotADirectory
                    | Kind::AlreadyExists
                    | Kind::ReadOnlyFilesystem
                    | Kind::StorageFull
                    | Kind::QuotaExceeded
            ) =>
        {
            Ok(None)
        }
        tried => tried.map(Some),
    }
}

fn is_safe(dir: &OpenDir) -> bool {
    refuse_writable_by_others(dir).is_ok()
}

/// The first 16 digits of the hash of the executable's path: two executables share nothing.
fn name_of(executable: &Path) -> String {
    let hash = Digest::of(executable.as_os_str().as_encoded_bytes()).to_string();
    hash.chars().take(16).collect()
}

/// Where the user's programs keep their state (XDG Base Directory Specification 0.8; Apple's File
/// System Programming Guide; `FOLDERID_LocalAppData`).
fn state_home() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    if cfg!(windows) {
        return absolute("LOCALAPPDATA");
    }
    if cfg!(target_vendor = "apple") {
        return absolute("HOME").map(|home| home.join("Library/Application Support"));
    }
    absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
}

/// Whether this user's directories can be made there. Root makes none in the home of another user,
/// as after `sudo` that kept `HOME`.
#[cfg(unix)]
fn may_create(path: &Path) -> Result<bool> {
    if !rustix::process::geteuid().is_root() {
        return Ok(true);
    }
    for path in path.ancestors() {
        match std::fs::canonicalize(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            found => {
                let Some(found) = usable(found).map_err(io("find", path))? else { return Ok(false) };
                let opened = usable(OpenDir::open(&found)).map_err(io("open the directory", &found))?;
                return Ok(opened.is_some_and(|dir| is_safe(&dir)));
            }
        }
    }
    Ok(false)
}

#[cfg(not(unix))]
fn may_create(_: &Path) -> Result<bool> {
    Ok(true)
}

fn create(path: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}
