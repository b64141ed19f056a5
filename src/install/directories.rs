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
use super::safety::{refuse_raised_privileges, refuse_writable_by_others, unsafe_site};
use super::{durable, names};
use crate::error::{Local, Result, io};

/// The directory of the executable, and `.<exe>.relatch/` if it exists.
#[derive(Debug)]
pub(super) struct UnlockedDirectories {
    installation: Installation,
    parent: OpenDir,
    private: Option<Rc<OpenDir>>,
}

impl UnlockedDirectories {
    pub(super) fn open(installation: &Installation) -> Result<Self> {
        let path = installation.executable().parent().unwrap_or(Path::new("/"));
        let parent = OpenDir::open(path).map_err(io("open the directory", path))?;
        let mut opened = UnlockedDirectories { installation: installation.clone(), parent, private: None };
        opened.private = opened.open_private()?.map(Rc::new);
        Ok(opened)
    }

    fn open_private(&self) -> Result<Option<OpenDir>> {
        match self.parent.open_dir(&self.private_name()) {
            Ok(dir) => Ok(Some(dir)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == ErrorKind::NotADirectory => {
                Err(unsafe_site(self.installation.dir(), "it is not a directory"))
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

    /// `.<exe>.relatch/`, if it exists.
    pub(super) fn private(&self) -> Option<&OpenDir> {
        self.private.as_deref()
    }

    /// A further reference to it.
    pub(super) fn share_private(&self) -> Option<Rc<OpenDir>> {
        self.private.clone()
    }

    /// Whether this user may change anything here.
    pub(super) fn is_writable(&self) -> bool {
        let name = self.private_name();
        self.parent.is_writable(if self.private.is_some() { &name } else { OsStr::new(".") })
    }

    /// SPEC step 1. A crash, and on Windows a swap that another process is making, leave no executable
    /// at the path: where there is a journal, recovery puts it there.
    pub(super) fn check_safe(&self) -> Result<()> {
        let executable = self.installation.executable();
        refuse_raised_privileges(executable)?;
        let entry = Entry::new(&self.parent, self.installation.file_name());
        match entry.is_file() {
            Ok(true) => {}
            Ok(false) => return Err(unsafe_site(executable, "it is not a regular file")),
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
        refuse_raised_privileges(self.installation.executable())?;
        refuse_writable_by_others(&self.parent)?;
        self.private().map_or(Ok(()), refuse_writable_by_others)
    }

    /// `.<exe>.relatch/`, which is made if it does not exist, with the owner of all that this
    /// process makes. `None` if another process removed it at this moment, as an installer that
    /// failed does.
    pub(super) fn ensure_private(&mut self) -> Result<Option<Rc<OpenDir>>> {
        if self.private.is_none() {
            match self.parent.create_dir(&self.private_name()) {
                // Its name is durable before the name of a file in it is.
                Ok(()) => durable::sync_dir(&self.parent)?,
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(io("create", self.installation.dir())(error)),
            }
            self.private = self.open_private()?.map(Rc::new);
            if let Err(error) = self.private().map_or(Ok(()), refuse_writable_by_others) {
                // Only an empty directory is removed: the one that was just made.
                drop(std::fs::remove_dir(self.installation.dir()));
                return Err(error);
            }
        }
        Ok(self.private.clone())
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
    pub(super) fn leads_to(&self, private: &OpenDir) -> bool {
        self.parent.leads_to_dir(&self.private_name(), private)
    }

    /// The error if the path of the executable's directory leads to another one by now.
    pub(super) fn ensure_at_path(&self) -> Result<()> {
        if self.parent.is_at_its_path() {
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
    pub(super) fn is_current(&self) -> bool {
        let name = names::private_dir(self.installation.file_name());
        self.parent.is_at_its_path() && self.parent.leads_to_dir(&name, &self.private)
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
