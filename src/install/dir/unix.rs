//! A directory by its descriptor: openat(2) and the calls of its kind.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io::{Error, ErrorKind, Result};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::regular_file;

/// What is opened is a directory, and not one that a symbolic link leads to.
const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// For a directory that this user may search and not read. Names in it can be used, and nothing can
/// be flushed or listed.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
const SEARCH: OFlags = OFlags::PATH;
#[cfg(target_vendor = "apple")]
const SEARCH: OFlags = OFlags::from_bits_retain(0x4000_0000); // O_SEARCH
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd", target_vendor = "apple")))]
const SEARCH: OFlags = OFlags::RDONLY;

/// An open directory.
#[derive(Debug)]
pub(in crate::install) struct OpenDir {
    file: File,
    path: PathBuf,
    is_readable: bool,
}

impl AsFd for OpenDir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// A call that a signal interrupted is made again, as std does.
fn open_at(
    dir: BorrowedFd<'_>,
    name: &OsStr,
    flags: OFlags,
    mode: Mode,
) -> std::result::Result<OwnedFd, Errno> {
    rustix::io::retry_on_intr(|| rustix::fs::openat(dir, name, flags, mode))
}

impl OpenDir {
    /// Opens a directory by a path whose last component is not a symbolic link.
    pub(in crate::install) fn open(path: &Path) -> Result<Self> {
        OpenDir::open_at(CWD, path.as_os_str(), path.into())
    }

    /// Opens a directory in this one.
    pub(in crate::install) fn open_dir(&self, name: &OsStr) -> Result<Self> {
        OpenDir::open_at(self.file.as_fd(), name, self.path.join(name))
    }

    fn open_at(dir: BorrowedFd<'_>, name: &OsStr, path: PathBuf) -> Result<Self> {
        // Of anything but a directory it fails, so that nothing is asked afterwards: an error of that
        // would be taken for a directory that this user may not open.
        let open = |flags| match open_at(dir, name, DIRECTORY | flags, Mode::empty()) {
            // NOTDIR on Linux, LOOP elsewhere, if it is a symbolic link.
            Err(Errno::NOTDIR | Errno::LOOP) => Err(Error::from(ErrorKind::NotADirectory)),
            opened => Ok(File::from(opened?)),
        };
        let (file, is_readable) = match open(OFlags::RDONLY) {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => (open(SEARCH)?, false),
            opened => (opened?, true),
        };
        Ok(OpenDir { file, path, is_readable })
    }

    /// Opens the directory that this one is in; the root is in itself.
    pub(in crate::install) fn open_above(&self) -> Result<Self> {
        let file = File::from(open_at(self.as_fd(), OsStr::new(".."), DIRECTORY | SEARCH, Mode::empty())?);
        Ok(OpenDir { file, path: self.path.parent().unwrap_or(Path::new("/")).into(), is_readable: false })
    }

    /// The path that it was opened by: for messages, and for programs that are started.
    pub(in crate::install) fn path(&self) -> &Path {
        &self.path
    }

    /// A path that leads a child process to this descriptor, which it inherits until it executes a
    /// program. `None` where `/proc` is not mounted, and on systems without it.
    pub(in crate::install) fn by_descriptor(&self) -> Option<PathBuf> {
        if !cfg!(any(target_os = "linux", target_os = "android")) {
            return None;
        }
        let path = PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd()));
        let found = rustix::fs::stat(&path).ok()?;
        is_same(&found, &rustix::fs::fstat(&self.file).ok()?).then_some(path)
    }

    /// Owner and mode, of the descriptor.
    pub(in crate::install) fn metadata(&self) -> Result<Metadata> {
        self.file.metadata()
    }

    /// The descriptor, if it can be flushed and listed.
    pub(in crate::install) fn readable(&self) -> Result<&File> {
        if self.is_readable { Ok(&self.file) } else { Err(Errno::ACCESS.into()) }
    }

    /// Whether this user may write in the directory that a name leads to; `.` is this one. An
    /// immutable directory (PERM) counts as one, so that the user hears of the attribute.
    pub(in crate::install) fn is_writable(&self, name: &OsStr) -> Result<bool> {
        match rustix::fs::accessat(&self.file, name, Access::WRITE_OK, AtFlags::empty()) {
            Ok(()) | Err(Errno::PERM) => Ok(true),
            Err(Errno::ACCESS | Errno::ROFS) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether this user may use names in this directory.
    pub(in crate::install) fn is_searchable(&self) -> Result<bool> {
        match rustix::fs::accessat(&self.file, ".", Access::EXEC_OK, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::ACCESS) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Who owns what a name leads to; `None` if there is no such name. A symbolic link is not
    /// followed.
    pub(in crate::install) fn owner_of(&self, name: &OsStr) -> Result<Option<u32>> {
        match self.stat(name) {
            Ok(found) => Ok(Some(found.st_uid)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Sets the mode of this directory, whatever the umask was when it was made.
    pub(in crate::install) fn ensure_mode(&self, mode: u32) -> Result<()> {
        set_mode(self.readable()?, mode)
    }

    /// Makes a directory in which only its owner may write.
    pub(in crate::install) fn create_dir(&self, name: &OsStr) -> Result<()> {
        Ok(rustix::fs::mkdirat(&self.file, name, Mode::from_raw_mode(0o755))?)
    }

    /// All names, without `.` and `..`.
    pub(in crate::install) fn names(&self) -> Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(self.readable()?)? {
            match entry?.file_name().to_bytes() {
                b"." | b".." => {}
                name => names.push(OsString::from_vec(name.to_vec())),
            }
        }
        Ok(names)
    }

    pub(super) fn exists(&self, name: &OsStr) -> Result<bool> {
        match rustix::fs::statat(&self.file, name, AtFlags::empty()) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn is_file(&self, name: &OsStr) -> Result<bool> {
        Ok(is_regular(&self.stat(name)?))
    }

    pub(super) fn is_dir(&self, name: &OsStr) -> Result<bool> {
        let found = rustix::fs::statat(&self.file, name, AtFlags::empty())?;
        Ok(FileType::from_raw_mode(found.st_mode) == FileType::Directory)
    }

    /// Without following a symbolic link.
    fn stat(&self, name: &OsStr) -> std::result::Result<Stat, Errno> {
        rustix::fs::statat(&self.file, name, AtFlags::SYMLINK_NOFOLLOW)
    }

    /// A symbolic link is followed, as by [`OpenDir::open_or_create`].
    pub(super) fn leads_to(&self, name: &OsStr, file: &File) -> Result<bool> {
        is_found(rustix::fs::statat(&self.file, name, AtFlags::empty()), file)
    }

    pub(super) fn is(&self, name: &OsStr, file: &File) -> Result<bool> {
        is_found(self.stat(name), file)
    }

    /// Whether a name in this directory is that of that open one.
    pub(in crate::install) fn leads_to_dir(&self, name: &OsStr, dir: &OpenDir) -> Result<bool> {
        is_found(self.stat(name), &dir.file)
    }

    /// Whether its path still leads to it: a deployment may have replaced a whole tree.
    pub(in crate::install) fn is_at_its_path(&self) -> Result<bool> {
        is_found(rustix::fs::lstat(&self.path), &self.file)
    }

    pub(super) fn open_file(&self, name: &OsStr) -> Result<File> {
        self.open_regular(name, OFlags::RDONLY)
    }

    pub(super) fn open_to_append(&self, name: &OsStr) -> Result<File> {
        self.open_regular(name, OFlags::RDWR | OFlags::APPEND)
    }

    pub(super) fn open_following_links(&self, name: &OsStr) -> Result<File> {
        self.open_target(name, OFlags::RDONLY)
    }

    pub(super) fn open_or_create(&self, name: &OsStr) -> Result<File> {
        let file = self.open_target(name, OFlags::WRONLY | OFlags::CREATE)?;
        if file.metadata()?.uid() == rustix::process::geteuid().as_raw() {
            set_mode(&file, PRIVATE)?;
        }
        Ok(file)
    }

    fn open_target(&self, name: &OsStr, flags: OFlags) -> Result<File> {
        let found = rustix::fs::statat(&self.file, name, AtFlags::empty());
        if found.is_ok_and(|found| !is_regular(&found)) {
            return Err(regular_file::not_regular());
        }
        self.open_at_once(name, flags)
    }

    /// The type is checked before opening, because opening some devices has side effects.
    fn open_regular(&self, name: &OsStr, flags: OFlags) -> Result<File> {
        if self.stat(name).is_ok_and(|found| !is_regular(&found)) {
            return Err(regular_file::not_regular());
        }
        self.open_at_once(name, flags | OFlags::NOFOLLOW)
    }

    /// The type is checked again after opening, because a user who can write in the directory can
    /// replace the file in between. NONBLOCK, because opening a FIFO blocks until its other end is
    /// opened; it has no effect on a regular file.
    fn open_at_once(&self, name: &OsStr, flags: OFlags) -> Result<File> {
        let flags = flags | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match open_at(self.file.as_fd(), name, flags, private()) {
            // NXIO is a FIFO without a reader, LOOP a symbolic link that must not be followed.
            Err(Errno::NXIO) => return Err(regular_file::not_regular()),
            Err(Errno::LOOP) if flags.contains(OFlags::NOFOLLOW) => {
                return Err(regular_file::not_regular());
            }
            opened => File::from(opened?),
        };
        if file.metadata()?.is_file() { Ok(file) } else { Err(regular_file::not_regular()) }
    }

    pub(super) fn create_file(&self, name: &OsStr) -> Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(open_at(self.file.as_fd(), name, flags, private())?);
        set_mode(&file, PRIVATE)?;
        Ok(file)
    }

    pub(super) fn rename(&self, from: &OsStr, to: &OpenDir, name: &OsStr) -> Result<()> {
        Ok(rustix::fs::renameat(&self.file, from, &to.file, name)?)
    }

    pub(super) fn exchange(&self, name: &OsStr, other: &OpenDir, with: &OsStr) -> Result<bool> {
        #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
        {
            use rustix::fs::{RenameFlags, renameat_with};
            match renameat_with(&self.file, name, &other.file, with, RenameFlags::EXCHANGE) {
                Ok(()) => return Ok(true),
                Err(errno) if cannot_exchange(errno) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let _ = (name, other, with);
        Ok(false)
    }

    /// Renames without replacing a file. An error also where the system or the file system cannot.
    pub(super) fn rename_new(&self, from: &OsStr, to: &OpenDir, name: &OsStr) -> Result<()> {
        #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
        {
            use rustix::fs::{RenameFlags, renameat_with};
            Ok(renameat_with(&self.file, from, &to.file, name, RenameFlags::NOREPLACE)?)
        }
        #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
        {
            let _ = (from, to, name);
            Err(ErrorKind::Unsupported.into())
        }
    }

    pub(super) fn link(&self, from: &OsStr, to: &OpenDir, name: &OsStr) -> Result<()> {
        Ok(rustix::fs::linkat(&self.file, from, &to.file, name, AtFlags::empty())?)
    }

    pub(super) fn remove(&self, name: &OsStr) -> Result<()> {
        Ok(rustix::fs::unlinkat(&self.file, name, AtFlags::empty())?)
    }

    /// Removes an empty directory.
    pub(in crate::install) fn remove_dir(&self, name: &OsStr) -> Result<()> {
        Ok(rustix::fs::unlinkat(&self.file, name, AtFlags::REMOVEDIR)?)
    }
}

/// The mode of a new file: for its owner alone.
const PRIVATE: u32 = 0o600;

fn private() -> Mode {
    Mode::from_raw_mode(PRIVATE as _)
}

/// Sets the mode of an open file or directory, unless it has it, whatever the umask is.
///
/// A file system without modes, such as FAT, refuses that. Its files have the mode that the mount
/// gives them, which is enough if it gives the owner what is needed.
///
/// # Errors
/// Also if the owner would lack a permission of `mode`.
pub(in crate::install) fn set_mode(file: &File, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let found = file.metadata()?.mode() & 0o7777;
    if found == mode {
        return Ok(());
    }
    const OF_OWNER: u32 = 0o700;
    match file.set_permissions(PermissionsExt::from_mode(mode)) {
        Err(error) if is_without_modes(&error) && mode & OF_OWNER & !found == 0 => Ok(()),
        set => set,
    }
}

fn is_without_modes(error: &Error) -> bool {
    let errnos = [Errno::PERM, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::INVAL, Errno::NOSYS];
    Errno::from_io_error(error).is_some_and(|errno| errnos.contains(&errno))
}

fn is_regular(found: &Stat) -> bool {
    FileType::from_raw_mode(found.st_mode) == FileType::RegularFile
}

fn is_same(a: &Stat, b: &Stat) -> bool {
    (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino)
}

/// Whether this is what a call found. What does not exist is no file.
fn is_found(found: std::result::Result<Stat, Errno>, file: &File) -> Result<bool> {
    match found {
        Ok(found) => Ok(is_same(&found, &rustix::fs::fstat(file)?)),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether two descriptors lead to one inode.
pub(in crate::install) fn is_same_file(a: &File, b: &File) -> Result<bool> {
    Ok(is_same(&rustix::fs::fstat(a)?, &rustix::fs::fstat(b)?))
}

/// An old kernel, a seccomp filter, or a file system without it.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn cannot_exchange(errno: Errno) -> bool {
    [Errno::NOSYS, Errno::INVAL, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::PERM].contains(&errno)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    /// What `ask` answers; fails if it blocks.
    fn at_once<T: Send + 'static>(ask: impl FnOnce() -> T + Send + 'static) -> T {
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || drop(sender.send(ask())));
        receiver.recv_timeout(Duration::from_secs(30)).unwrap()
    }

    #[test]
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    fn where_names_cannot_be_exchanged_the_other_way_is_taken() {
        // macOS answers ENOTSUP on a file system without RENAME_SWAP.
        for errno in [Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOSYS, Errno::INVAL, Errno::PERM] {
            assert!(cannot_exchange(errno), "{errno:?}");
        }
        for errno in [Errno::NOENT, Errno::ACCESS, Errno::ROFS, Errno::IO, Errno::NOSPC, Errno::XDEV] {
            assert!(!cannot_exchange(errno), "{errno:?}");
        }
    }

    #[test]
    fn only_a_regular_file_is_opened() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path();
        assert!(std::process::Command::new("mkfifo").arg(path.join("fifo")).status().unwrap().success());
        std::fs::write(path.join("file"), "x").unwrap();
        symlink("file", path.join("link")).unwrap();
        symlink("nothing", path.join("dangling")).unwrap();
        let open = || OpenDir::open(&path.canonicalize().unwrap()).unwrap();
        for name in ["fifo", "link", "dangling"] {
            for flags in [OFlags::RDONLY, OFlags::WRONLY, OFlags::WRONLY | OFlags::CREATE] {
                let (looked, raced) = (open(), open());
                let refused = at_once(move || looked.open_regular(OsStr::new(name), flags));
                assert!(regular_file::is_not_regular(&refused.unwrap_err()), "{name} {flags:?}");
                // It replaced a regular file after the first look.
                let raced = move || raced.open_at_once(OsStr::new(name), flags | OFlags::NOFOLLOW);
                let refused = at_once(raced);
                assert!(regular_file::is_not_regular(&refused.unwrap_err()), "{name} {flags:?}");
            }
        }
        open().open_file(OsStr::new("file")).unwrap();
        open().open_following_links(OsStr::new("link")).unwrap();
        let dir = open();
        let refused = at_once(move || dir.open_following_links(OsStr::new("fifo")));
        assert!(regular_file::is_not_regular(&refused.unwrap_err()));
        let missing = open().open_following_links(OsStr::new("dangling"));
        assert_eq!(missing.unwrap_err().kind(), ErrorKind::NotFound);
        assert!(open().exists(OsStr::new("link")).unwrap());
        assert!(!open().exists(OsStr::new("dangling")).unwrap());
    }

    #[test]
    fn a_link_to_a_directory_is_no_directory() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().canonicalize().unwrap();
        std::fs::create_dir(path.join("inner")).unwrap();
        symlink("inner", path.join("link")).unwrap();
        let dir = OpenDir::open(&path).unwrap();
        assert_eq!(OpenDir::open(&path.join("link")).unwrap_err().kind(), ErrorKind::NotADirectory);
        assert_eq!(dir.open_dir(OsStr::new("link")).unwrap_err().kind(), ErrorKind::NotADirectory);
    }

    #[test]
    fn an_open_directory_stays_the_one_that_was_opened() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().canonicalize().unwrap();
        let (here, elsewhere) = (path.join("here"), path.join("elsewhere"));
        std::fs::create_dir(&here).unwrap();
        let dir = OpenDir::open(&here).unwrap();
        std::fs::rename(&here, &elsewhere).unwrap();
        symlink("elsewhere", &here).unwrap();
        dir.create_file(OsStr::new("file")).unwrap();
        assert!(elsewhere.join("file").exists());
        assert!(!OpenDir::open(&path).unwrap().leads_to_dir(OsStr::new("here"), &dir).unwrap());
    }

    #[test]
    fn a_directory_without_read_permission_is_used_and_not_listed() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().canonicalize().unwrap();
        let file = rustix::fs::openat(CWD, &path, DIRECTORY | SEARCH, Mode::empty()).unwrap().into();
        let dir = OpenDir { file, path, is_readable: false };
        let (a, b) = (OsStr::new("a"), OsStr::new("b"));
        dir.create_file(a).unwrap();
        dir.rename(a, &dir, b).unwrap();
        assert!(
            dir.metadata().unwrap().is_dir()
                && dir.is_file(b).unwrap()
                && dir.is_writable(OsStr::new(".")).unwrap()
        );
        dir.open_file(b).unwrap();
        for error in [dir.names().unwrap_err(), dir.readable().unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        }
    }
}
