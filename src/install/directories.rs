//! The two directories of an installation, each opened once for an operation.
//!
//! ```text
//! UnlockedDirectories  without a lock, for step 1 and for reading; `.<exe>.relatch/` is optional
//! Directories          both exist
//! ```

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::Path;
use std::rc::Rc;

use super::Installation;
use super::dir::{Entry, OpenDir};
use super::privileges::refuse_raised_privileges;
use super::restrictions::{refuse_restricted_dir, refuse_unreadable};
#[cfg(unix)]
use super::safety::refuse_foreign;
use super::safety::{refuse_writable_by_others, unsafe_site};
#[cfg(unix)]
use super::users::user_of;
use super::{durable, names};
use crate::error::{Local, Result, io};
#[cfg(unix)]
use crate::obstacle::Obstacle;
use crate::obstacle::UnsafeReason;

/// The directory of the executable, and `.<exe>.relatch/` if it exists.
#[derive(Debug)]
pub(super) struct UnlockedDirectories {
    installation: Installation,
    parent: OpenDir,
    private: Option<Rc<OpenDir>>,
    /// Whether `.<exe>.relatch/` exists and this user may not look into it.
    is_closed: bool,
    /// Whether this value made it.
    was_made: bool,
}

/// The mode of `.<exe>.relatch/`: every user who may run the tool may read what is recorded.
#[cfg(unix)]
const PRIVATE_MODE: u32 = 0o755;

impl UnlockedDirectories {
    /// # Errors
    /// [`Local::RaisedPrivileges`]: nothing is opened then.
    pub(super) fn open(installation: &Installation) -> Result<Self> {
        refuse_raised_privileges()?;
        let path = installation.executable().parent().unwrap_or(Path::new("/"));
        let parent = OpenDir::open(path).map_err(io("open the directory", path))?;
        let installation = installation.clone();
        let mut opened =
            UnlockedDirectories { installation, parent, private: None, is_closed: false, was_made: false };
        let found = opened.open_private()?;
        // As if there were none: an earlier version of relatch made it under a strict umask. Its
        // owner opens it by the next update.
        if let Some(dir) = &found {
            opened.is_closed = !dir.is_searchable().map_err(io("look at", dir.path()))?;
        }
        opened.private = found.filter(|_| !opened.is_closed).map(Rc::new);
        Ok(opened)
    }

    fn open_private(&self) -> Result<Option<OpenDir>> {
        match self.parent.open_dir(&self.private_name()) {
            Ok(dir) => Ok(Some(dir)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == ErrorKind::NotADirectory => {
                Err(unsafe_site(self.installation.dir(), UnsafeReason::NotDirectory))
            }
            Err(error) => Err(io("open the directory", self.installation.dir())(error)),
        }
    }

    fn private_name(&self) -> std::ffi::OsString {
        names::private_dir(self.installation.file_name())
    }

    pub(super) fn installation(&self) -> &Installation {
        &self.installation
    }

    /// The path that people run.
    pub(super) fn executable(&self) -> Entry<'_> {
        Entry::new(&self.parent, self.installation.file_name())
    }

    /// `.<exe>.relatch/`, if it exists.
    pub(super) fn private(&self) -> Option<&OpenDir> {
        self.private.as_deref()
    }

    /// A further reference to it.
    pub(super) fn share_private(&self) -> Option<Rc<OpenDir>> {
        self.private.clone()
    }

    /// Whether `.<exe>.relatch/` exists, and this user may not look into it.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Whether this user may change anything here, or is the one who can make that possible: the
    /// owner of the executable or of its directory.
    pub(super) fn is_writable(&self) -> std::io::Result<bool> {
        if !self.parent.is_writable(OsStr::new("."))? {
            return Ok(false);
        }
        #[cfg(unix)]
        {
            let user = rustix::process::geteuid();
            let owner = self.owner()?;
            let owners = [owner, self.parent.owner_of(OsStr::new("."))?];
            if !user.is_root() && !owners.contains(&Some(user.as_raw())) {
                // A member of a group that may write, who would lock out the owner.
                return Ok(owner.is_none());
            }
            let name = self.private_name();
            let is_own = self.parent.owner_of(&name)? == Some(user.as_raw());
            Ok(!is_own || self.parent.is_writable(&name)?)
        }
        #[cfg(not(unix))]
        return Ok(self.private.is_none() || self.parent.is_writable(&self.private_name())?);
    }

    /// Who owns the executable; `None` if there is none yet.
    #[cfg(unix)]
    fn owner(&self) -> std::io::Result<Option<u32>> {
        self.parent.owner_of(self.installation.file_name())
    }

    /// The error if this user may not change anything here, whatever the modes allow: a member of a
    /// group would take the directory over, and lock out the owner and root.
    #[cfg(unix)]
    pub(super) fn ensure_may_change(&self) -> Result<()> {
        let user = rustix::process::geteuid();
        if user.is_root() {
            return Ok(());
        }
        let user = user.as_raw();
        let refused = |path: &Path, why| Err(Local::CannotUpdate { path: path.into(), why }.into());
        let (executable, private) = (self.installation.executable(), self.installation.dir());
        match self.owner().map_err(io("look at", executable))? {
            Some(id) if id != user => {
                let above = self.parent.owner_of(OsStr::new("."));
                let is_at_home = above.map_err(io("look at", self.parent.path()))? == Some(user);
                return refused(executable, Obstacle::NotOwner { owner: user_of(id), is_at_home });
            }
            _ => {}
        }
        match self.parent.owner_of(&self.private_name()).map_err(io("look at", private))? {
            Some(id) if id != user => {
                let (owner, user) = (user_of(id), user_of(user));
                refused(private, Obstacle::PrivateNotOwner { owner, user })
            }
            _ => Ok(()),
        }
    }

    /// Windows has an access list in the place of an owner.
    #[cfg(not(unix))]
    pub(super) fn ensure_may_change(&self) -> Result<()> {
        Ok(())
    }

    /// SPEC step 1. A crash, and on Windows a swap that another process is making, leave no
    /// executable at the path: where there is a journal, recovery puts it there.
    pub(super) fn check_safe(&self) -> Result<()> {
        let executable = self.installation.executable();
        match self.executable().is_file() {
            Ok(true) => {}
            Ok(false) => return Err(unsafe_site(executable, UnsafeReason::NotRegularFile)),
            Err(error) if error.kind() == ErrorKind::NotFound && self.has_journal()? => {}
            Err(error) => return Err(io("look at", executable)(error)),
        }
        self.check_safe_for_new()
    }

    fn has_journal(&self) -> Result<bool> {
        let journal = self.private().map(|private| Entry::new(private, names::JOURNAL));
        journal.map_or(Ok(false), |journal| journal.exists().map_err(io("look at", &journal.path())))
    }

    /// SPEC step 1 for a first install, where there is no executable yet.
    pub(super) fn check_safe_for_new(&self) -> Result<()> {
        refuse_writable_by_others(&self.parent)?;
        self.private().map_or(Ok(()), |private| self.check_safe_private(private))
    }

    /// The records are trusted if only users wrote them who may replace the executable anyway.
    #[cfg(unix)]
    fn check_safe_private(&self, private: &OpenDir) -> Result<()> {
        let parent = self.parent.owner_of(OsStr::new(".")).map_err(io("look at", self.parent.path()))?;
        let executable = self.owner().map_err(io("look at", self.installation.executable()))?;
        let user = rustix::process::geteuid().as_raw();
        refuse_foreign(private, &[0, parent.unwrap_or(user)], executable.unwrap_or(user))
    }

    #[cfg(not(unix))]
    fn check_safe_private(&self, private: &OpenDir) -> Result<()> {
        refuse_writable_by_others(private)
    }

    /// `.<exe>.relatch/`, which is made if it does not exist, for the owner of the executable or
    /// for root. It has the mode 0755, whatever the umask is. `None` if another process removed it
    /// at this moment, as an installer that failed does.
    ///
    /// # Errors
    /// [`Local::CannotUpdate`] for any other user.
    pub(super) fn ensure_private(&mut self) -> Result<Option<Rc<OpenDir>>> {
        self.ensure_may_change()?;
        if self.private.is_none() {
            refuse_unreadable(&self.parent)?;
            match self.parent.create_dir(&self.private_name()) {
                // Its name is durable before the name of a file in it is.
                Ok(()) => {
                    self.was_made = true;
                    if let Err(error) = durable::sync_dir(&self.parent) {
                        drop(self.parent.remove_dir(&self.private_name()));
                        return Err(error);
                    }
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => {
                    refuse_restricted_dir(&self.parent)?;
                    return Err(io("create", self.installation.dir())(error));
                }
            }
            self.private = self.open_private()?.map(Rc::new);
            self.is_closed = false;
            let checked = self.private().map_or(Ok(()), |private| self.check_safe_private(private));
            if let Err(error) = checked {
                // Only an empty directory is removed: the one that was just made.
                drop(self.parent.remove_dir(&self.private_name()));
                return Err(error);
            }
        }
        #[cfg(unix)]
        if let Some(private) = self.private() {
            refuse_unreadable(private)?;
            private.ensure_mode(PRIVATE_MODE).map_err(io("change the mode of", private.path()))?;
        }
        Ok(self.private.clone())
    }

    /// Whether this value made `.<exe>.relatch/`.
    pub(super) fn was_made(&self) -> bool {
        self.was_made
    }

    /// Removes `.<exe>.relatch/` if this value made it, and nothing but a lock file is in it.
    pub(super) fn remove_made(&mut self) {
        if let Some(private) = self.private.take().filter(|_| self.was_made) {
            durable::remove(Entry::new(&private, names::LOCK));
            durable::remove(Entry::new(&private, names::STAGING));
            drop(self.parent.remove_dir(&self.private_name()));
        }
    }

    /// Forgets a directory that was removed, or renamed, so that the next one is opened.
    pub(super) fn forget_private(&mut self) {
        self.private = None;
    }

    /// Both, if the name still leads to this private directory.
    pub(super) fn with_private(self, private: Rc<OpenDir>) -> Directories {
        Directories { installation: self.installation, parent: self.parent, private }
    }

    /// Whether `.<exe>.relatch` still leads to this directory.
    pub(super) fn leads_to(&self, private: &OpenDir) -> Result<bool> {
        let path = self.installation.dir();
        self.parent.leads_to_dir(&self.private_name(), private).map_err(io("look at", path))
    }

    /// The error if the path of the executable's directory leads to another one by now.
    pub(super) fn ensure_at_path(&self) -> Result<()> {
        if self.parent.is_at_its_path().map_err(io("look at", self.parent.path()))? {
            return Ok(());
        }
        Err(Local::ChangedMeanwhile { path: self.installation.executable().into() }.into())
    }
}

/// The directory of the executable and `.<exe>.relatch/`.
#[derive(Debug)]
pub(crate) struct Directories {
    installation: Installation,
    parent: OpenDir,
    private: Rc<OpenDir>,
}

impl Directories {
    pub(super) fn installation(&self) -> &Installation {
        &self.installation
    }

    pub(super) fn parent(&self) -> &OpenDir {
        &self.parent
    }

    /// `.<exe>.relatch/`
    pub(super) fn private(&self) -> &OpenDir {
        &self.private
    }

    /// The same for a staged file, which may outlive this value.
    pub(super) fn share_private(&self) -> Rc<OpenDir> {
        self.private.clone()
    }

    /// The path that people run.
    pub(super) fn executable(&self) -> Entry<'_> {
        Entry::new(&self.parent, self.installation.file_name())
    }

    /// Whether the paths still lead to both.
    pub(super) fn is_current(&self) -> std::io::Result<bool> {
        let name = names::private_dir(self.installation.file_name());
        Ok(self.parent.is_at_its_path()? && self.parent.leads_to_dir(&name, &self.private)?)
    }

    /// A file in `.<exe>.relatch/`.
    pub(super) fn file<'a>(&'a self, name: &'a str) -> Entry<'a> {
        Entry::new(&self.private, name)
    }

    /// For another lock.
    pub(super) fn into_unlocked(self) -> UnlockedDirectories {
        UnlockedDirectories {
            installation: self.installation,
            parent: self.parent,
            private: Some(self.private),
            is_closed: false,
            was_made: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    /// On Windows another process may be between the two renames of its swap.
    #[test]
    fn a_missing_executable_is_left_to_recovery_where_there_is_a_journal() {
        let dir = tempfile::tempdir().unwrap();
        let installation = Installation::for_new(&dir.path().join("tool")).unwrap();
        let checked = || UnlockedDirectories::open(&installation).unwrap().check_safe();
        let is_missing = |checked: &Result<()>| matches!(checked, Err(Error::Local(Local::Io { error, .. })) if error.kind() == ErrorKind::NotFound);
        assert!(is_missing(&checked()));
        std::fs::create_dir(installation.dir()).unwrap();
        assert!(is_missing(&checked()));
        std::fs::write(installation.dir().join(names::JOURNAL), "").unwrap();
        checked().unwrap();
        // What is there, and is no file, stays refused.
        std::fs::create_dir(installation.executable()).unwrap();
        assert!(matches!(checked(), Err(Error::Local(Local::UnsafeSite { .. }))));
    }
}
