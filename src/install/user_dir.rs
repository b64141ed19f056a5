//! The directory of one user for an executable beside which this user may not write.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::dir::OpenDir;
use super::installation::Installation;
use super::safety::{refuse_raised_privileges, refuse_writable_by_others};
use crate::error::Result;
use crate::trust::Digest;

/// The user's own directory for what checks of this executable remember, created if it does not exist.
/// `None` if the user has no place for state: no home, one that cannot be written to, or one where others
/// may write.
///
/// # Errors
/// [`crate::Local::UnsafeSite`] if the process has raised privileges.
pub(super) fn open_user_dir(installation: &Installation) -> Result<Option<Rc<OpenDir>>> {
    refuse_raised_privileges(installation.executable())?;
    let Some(base) = state_home() else { return Ok(None) };
    let path = base.join("relatch").join(name_of(installation.executable()));
    if create(&path).is_err() {
        return Ok(None);
    }
    let Ok(dir) = OpenDir::open(&path) else { return Ok(None) };
    let is_usable = refuse_writable_by_others(&dir).is_ok() && dir.is_writable(std::ffi::OsStr::new("."));
    Ok(is_usable.then(|| Rc::new(dir)))
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

fn create(path: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}
