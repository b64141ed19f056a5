//! A directory that is held open, and the names in it.
//!
//! On Unix a directory is opened once for an operation, and each call in it is relative to that
//! descriptor. So a directory that is renamed, or replaced by a symbolic link, while an update runs
//! does not redirect a call. The descriptor is also the one that is flushed: it is open from before
//! a rename until after the fsync. If the system evicts a directory's inode in between, a
//! descriptor that is opened only for the fsync does not report that an earlier write failed.
//!
//! Windows has no calls relative to a handle in std. There the handle is held for the access list,
//! and files are reached by their paths.
//!
//! No call follows a symbolic link in the last component, except [`Entry::exists`],
//! [`Entry::leads_to`], and those that open small files.

#[cfg(unix)]
mod unix;
mod volume;
#[cfg(not(unix))]
mod windows;

use std::ffi::OsStr;
use std::fs::File;
use std::io::Result;
use std::path::PathBuf;

#[cfg(unix)]
pub(super) use unix::{OpenDir, is_same_file, set_mode};
pub(super) use volume::{Restrictions, file_size_limit};
#[cfg(not(unix))]
pub(super) use windows::{OpenDir, is_same_file, set_mode};

/// A name in an open directory. There may be no such file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    dir: &'a OpenDir,
    name: &'a OsStr,
}

impl<'a> Entry<'a> {
    pub(super) fn new(dir: &'a OpenDir, name: &'a (impl AsRef<OsStr> + ?Sized)) -> Self {
        Entry { dir, name: name.as_ref() }
    }

    /// For messages, and for programs that are started.
    pub(super) fn path(self) -> PathBuf {
        self.dir.path().join(self.name)
    }

    /// The path of the directory's descriptor, where a child process can have it as its working
    /// directory.
    pub(super) fn dir_by_descriptor(self) -> Option<PathBuf> {
        self.dir.by_descriptor()
    }

    /// The name, for a process whose working directory is this one.
    pub(super) fn relative(self) -> PathBuf {
        std::path::Path::new(".").join(self.name)
    }

    /// Whether the name leads to something. A symbolic link that leads nowhere does not.
    pub(super) fn exists(self) -> Result<bool> {
        self.dir.exists(self.name)
    }

    /// Whether it is a regular file.
    pub(super) fn is_file(self) -> Result<bool> {
        self.dir.is_file(self.name)
    }

    /// Whether it leads to a directory.
    pub(super) fn is_dir(self) -> Result<bool> {
        self.dir.is_dir(self.name)
    }

    /// Whether the name leads to this open file.
    pub(super) fn leads_to(self, file: &File) -> Result<bool> {
        self.dir.leads_to(self.name, file)
    }

    /// Whether the name is one of this open file. A symbolic link is not.
    pub(super) fn is(self, file: &File) -> Result<bool> {
        self.dir.is(self.name, file)
    }

    /// Opens a regular file for reading. Anything else is refused and is not opened: see
    /// [`crate::regular_file`].
    pub(super) fn open(self) -> Result<File> {
        self.dir.open_file(self.name)
    }

    /// [`Entry::open`], and no process can write, rename or remove the file while it is open.
    #[cfg(windows)]
    pub(super) fn open_guarded(self) -> Result<File> {
        self.dir.open_guarded(self.name)
    }

    /// [`Entry::open`], but a symbolic link is followed: for small files, whose content is checked,
    /// and which an administrator may have put elsewhere (SPEC section 4.2).
    pub(super) fn open_following_links(self) -> Result<File> {
        self.dir.open_following_links(self.name)
    }

    /// Opens a regular file for locking, and creates it if it does not exist. It is not truncated.
    pub(super) fn open_or_create(self) -> Result<File> {
        self.dir.open_or_create(self.name)
    }

    /// Opens a regular file for reading, and to append lines to it.
    pub(super) fn open_to_append(self) -> Result<File> {
        self.dir.open_to_append(self.name)
    }

    /// Creates a file that did not exist, readable and writable by its owner alone.
    pub(super) fn create(self) -> Result<File> {
        #[cfg(all(test, unix))]
        moment::see("create", &[self.name])?;
        self.dir.create_file(self.name)
    }

    /// Renames the file, and replaces the one that has the new name.
    pub(super) fn rename(self, to: Entry<'_>) -> Result<()> {
        #[cfg(all(test, unix))]
        moment::see("rename", &[self.name, to.name])?;
        self.dir.rename(self.name, to.dir, to.name)
    }

    /// Exchanges two names atomically; `false` if the system or the file system cannot.
    pub(super) fn exchange(self, with: Entry<'_>) -> Result<bool> {
        #[cfg(all(test, unix))]
        if !moment::is_possible(&[self.name, with.name])? {
            return Ok(false);
        }
        self.dir.exchange(self.name, with.dir, with.name)
    }

    /// Renames the file to a name that must not exist. An error also where the system or the file
    /// system cannot.
    pub(super) fn rename_new(self, to: Entry<'_>) -> Result<()> {
        self.dir.rename_new(self.name, to.dir, to.name)
    }

    /// Gives the file a second name that must not exist.
    pub(super) fn link(self, to: Entry<'_>) -> Result<()> {
        #[cfg(all(test, unix))]
        moment::see("link", &[self.name, to.name])?;
        self.dir.link(self.name, to.dir, to.name)
    }

    /// Removes the name of a file.
    pub(super) fn remove(self) -> Result<()> {
        #[cfg(all(test, unix))]
        moment::see("remove", &[self.name])?;
        self.dir.remove(self.name)
    }
}

/// What happens just before a call that changes a name, in a test.
#[cfg(all(test, unix))]
pub(crate) mod moment {
    use std::cell::RefCell;
    use std::ffi::OsStr;
    use std::io::{ErrorKind, Result};

    type Act = Box<dyn FnOnce() -> bool>;
    type Watch = Box<dyn FnMut(&'static str, &[&OsStr]) -> Result<()>>;

    thread_local! {
        static NEXT: RefCell<Option<Act>> = const { RefCell::new(None) };
        static WATCH: RefCell<Option<Watch>> = const { RefCell::new(None) };
    }

    /// The result of `act` is whether names can be exchanged here.
    pub(in crate::install) fn before_exchange(act: impl FnOnce() -> bool + 'static) {
        NEXT.set(Some(Box::new(act)));
    }

    /// While `act` runs, `watch` sees each call and its names before it is made. Its error is the
    /// call's. What `watch` calls itself is not seen.
    #[cfg(target_os = "linux")]
    pub(crate) fn watched<T>(
        watch: impl FnMut(&'static str, &[&OsStr]) -> Result<()> + 'static,
        act: impl FnOnce() -> T,
    ) -> T {
        let before = WATCH.replace(Some(Box::new(watch)));
        let done = act();
        WATCH.set(before);
        done
    }

    pub(super) fn see(call: &'static str, names: &[&OsStr]) -> Result<()> {
        let Some(mut watch) = WATCH.take() else { return Ok(()) };
        let seen = watch(call, names);
        WATCH.set(Some(watch));
        seen
    }

    pub(super) fn is_possible(names: &[&OsStr]) -> Result<bool> {
        match see("exchange", names) {
            Err(error) if error.kind() == ErrorKind::Unsupported => Ok(false),
            seen => seen.map(|()| NEXT.take().is_none_or(|act| act())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;
    use crate::regular_file;

    fn opened() -> (tempfile::TempDir, OpenDir) {
        let temporary = tempfile::tempdir().unwrap();
        let path = crate::platform::canonicalize(temporary.path()).unwrap();
        let dir = OpenDir::open(&path).unwrap();
        (temporary, dir)
    }

    fn entry<'a>(dir: &'a OpenDir, name: &'a str) -> Entry<'a> {
        Entry::new(dir, name)
    }

    #[test]
    fn files_are_created_renamed_linked_and_removed() {
        let (_temporary, dir) = opened();
        let (a, b, c) = (entry(&dir, "a"), entry(&dir, "b"), entry(&dir, "c"));
        assert!(!a.exists().unwrap());
        assert_eq!(a.open().unwrap_err().kind(), ErrorKind::NotFound);
        let file = a.create().unwrap();
        assert!(a.exists().unwrap() && a.is_file().unwrap() && a.leads_to(&file).unwrap());
        assert_eq!(a.create().unwrap_err().kind(), ErrorKind::AlreadyExists);
        drop(file);
        a.rename(b).unwrap();
        assert!(!a.exists().unwrap() && b.is_file().unwrap());
        assert_eq!(b.link(b).unwrap_err().kind(), ErrorKind::AlreadyExists);
        b.link(c).unwrap();
        assert!(is_same_file(&b.open().unwrap(), &c.open().unwrap()).unwrap());
        b.remove().unwrap();
        assert!(!b.exists().unwrap());
        assert!(c.leads_to(&c.open_or_create().unwrap()).unwrap());
        entry(&dir, "d").open_or_create().unwrap();
        let mut names = dir.names().unwrap();
        names.sort();
        assert_eq!(names, ["c", "d"]);
    }

    #[test]
    fn a_directory_in_a_directory_is_opened_and_is_no_file() {
        let (_temporary, dir) = opened();
        let name = OsStr::new("inner");
        assert_eq!(dir.open_dir(name).unwrap_err().kind(), ErrorKind::NotFound);
        dir.create_dir(name).unwrap();
        assert_eq!(dir.create_dir(name).unwrap_err().kind(), ErrorKind::AlreadyExists);
        let inner = dir.open_dir(name).unwrap();
        assert_eq!(inner.path(), dir.path().join("inner"));
        assert!(dir.leads_to_dir(name, &inner).unwrap());
        assert!(!dir.leads_to_dir(OsStr::new("other"), &inner).unwrap());
        let named = Entry::new(&dir, name);
        assert!(named.is_dir().unwrap() && !named.is_file().unwrap());
        assert!(regular_file::is_not_regular(&named.open().unwrap_err()));
        entry(&dir, "file").create().unwrap();
        assert_eq!(dir.open_dir(OsStr::new("file")).unwrap_err().kind(), ErrorKind::NotADirectory);
    }
}
