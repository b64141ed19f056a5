//! A directory on Windows: a handle that is held, and paths.
//!
//! The handle lets other processes rename and remove the directory, as the calls by path do.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Result};
use std::path::{Path, PathBuf};

use crate::regular_file;

/// An open directory.
#[derive(Debug)]
pub(in crate::install) struct OpenDir {
    #[cfg(windows)]
    handle: File,
    path: PathBuf,
}

impl OpenDir {
    /// Opens a directory. The path was resolved before; a volume that is mounted there is followed.
    pub(in crate::install) fn open(path: &Path) -> Result<Self> {
        if !fs::metadata(path)?.is_dir() {
            return Err(ErrorKind::NotADirectory.into());
        }
        Ok(OpenDir {
            #[cfg(windows)]
            handle: handle::open(path, 0)?,
            path: path.into(),
        })
    }

    /// Opens a directory in this one. A link is refused.
    pub(in crate::install) fn open_dir(&self, name: &OsStr) -> Result<Self> {
        let path = self.path.join(name);
        #[cfg(windows)]
        let handle = handle::open(&path, handle::NO_FOLLOW)?;
        #[cfg(windows)]
        let found = handle.metadata()?;
        #[cfg(not(windows))]
        let found = fs::symlink_metadata(&path)?;
        if !found.is_dir() {
            return Err(ErrorKind::NotADirectory.into());
        }
        Ok(OpenDir {
            #[cfg(windows)]
            handle,
            path,
        })
    }

    /// Its path.
    pub(in crate::install) fn path(&self) -> &Path {
        &self.path
    }

    /// There is no working directory by a handle.
    pub(in crate::install) fn by_descriptor(&self) -> Option<PathBuf> {
        None
    }

    /// The handle, which owner and access list are read from.
    #[cfg(windows)]
    pub(in crate::install) fn handle(&self) -> &File {
        &self.handle
    }

    /// Whether this user may make files in the directory that a name leads to; `.` is this one.
    pub(in crate::install) fn is_writable(&self, name: &OsStr) -> Result<bool> {
        let path = if name == "." { self.path.clone() } else { self.path.join(name) };
        #[cfg(windows)]
        return Ok(crate::platform::windows::may_add_files(&path));
        #[cfg(not(windows))]
        return Ok(!fs::metadata(path)?.permissions().readonly());
    }

    /// Whether this user may use names in this directory: Windows lets every user pass by default.
    pub(in crate::install) fn is_searchable(&self) -> Result<bool> {
        Ok(true)
    }

    /// Makes a directory, which inherits the access list of this one.
    pub(in crate::install) fn create_dir(&self, name: &OsStr) -> Result<()> {
        fs::create_dir(self.path.join(name))
    }

    /// All names.
    pub(in crate::install) fn names(&self) -> Result<Vec<OsString>> {
        fs::read_dir(&self.path)?.map(|entry| entry.map(|entry| entry.file_name())).collect()
    }

    pub(super) fn exists(&self, name: &OsStr) -> Result<bool> {
        self.path.join(name).try_exists()
    }

    pub(super) fn is_file(&self, name: &OsStr) -> Result<bool> {
        Ok(fs::symlink_metadata(self.path.join(name))?.is_file())
    }

    pub(super) fn is_dir(&self, name: &OsStr) -> Result<bool> {
        Ok(fs::symlink_metadata(self.path.join(name))?.is_dir())
    }

    pub(super) fn leads_to(&self, name: &OsStr, file: &File) -> Result<bool> {
        match self.open_file(name) {
            Ok(named) => is_same_file(file, &named),
            // Windows denies access to a file that was removed while it was open.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn is(&self, name: &OsStr, file: &File) -> Result<bool> {
        match patiently(|| self.open_file(name)) {
            Err(error) if error.kind() == ErrorKind::NotFound || regular_file::is_not_regular(&error) => {
                Ok(false)
            }
            named => is_same_file(file, &named?),
        }
    }

    /// Whether a name in this directory leads to that open one.
    pub(in crate::install) fn leads_to_dir(&self, name: &OsStr, dir: &OpenDir) -> Result<bool> {
        is_found(self.open_dir(name), dir)
    }

    /// Whether its path still leads to it: a deployment may have replaced a whole tree.
    pub(in crate::install) fn is_at_its_path(&self) -> Result<bool> {
        is_found(OpenDir::open(&self.path), self)
    }

    pub(super) fn open_file(&self, name: &OsStr) -> Result<File> {
        self.open_regular(name, OpenOptions::new().read(true))
    }

    /// Opens a regular file that no process can write, rename or remove while it is open.
    #[cfg(windows)]
    pub(super) fn open_guarded(&self, name: &OsStr) -> Result<File> {
        use std::os::windows::fs::OpenOptionsExt;
        const FILE_SHARE_READ: u32 = 1;
        patiently(|| self.open_regular(name, OpenOptions::new().read(true).share_mode(FILE_SHARE_READ)))
    }

    pub(super) fn open_to_append(&self, name: &OsStr) -> Result<File> {
        self.open_regular(name, OpenOptions::new().read(true).append(true))
    }

    pub(super) fn open_following_links(&self, name: &OsStr) -> Result<File> {
        regular_file::open_regular_file(&self.path.join(name))
    }

    pub(super) fn open_or_create(&self, name: &OsStr) -> Result<File> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true);
        regular_file::open_regular_file_with(&mut options, &self.path.join(name))
    }

    fn open_regular(&self, name: &OsStr, options: &mut OpenOptions) -> Result<File> {
        let path = self.path.join(name);
        if fs::symlink_metadata(&path).is_ok_and(|found| !found.is_file()) {
            return Err(regular_file::not_regular());
        }
        regular_file::open_regular_file_with(options, &path)
    }

    pub(super) fn create_file(&self, name: &OsStr) -> Result<File> {
        OpenOptions::new().read(true).write(true).create_new(true).open(self.path.join(name))
    }

    pub(super) fn rename(&self, from: &OsStr, to: &OpenDir, name: &OsStr) -> Result<()> {
        fs::rename(self.path.join(from), to.path.join(name))
    }

    /// There is no exchange of names.
    pub(super) fn exchange(&self, _: &OsStr, _: &OpenDir, _: &OsStr) -> Result<bool> {
        Ok(false)
    }

    /// There is no such call in std.
    pub(super) fn rename_new(&self, _: &OsStr, _: &OpenDir, _: &OsStr) -> Result<()> {
        Err(ErrorKind::Unsupported.into())
    }

    pub(super) fn link(&self, from: &OsStr, to: &OpenDir, name: &OsStr) -> Result<()> {
        fs::hard_link(self.path.join(from), to.path.join(name))
    }

    pub(super) fn remove(&self, name: &OsStr) -> Result<()> {
        fs::remove_file(self.path.join(name))
    }

    /// Removes an empty directory.
    pub(in crate::install) fn remove_dir(&self, name: &OsStr) -> Result<()> {
        fs::remove_dir(self.path.join(name))
    }
}

/// Tries again for a second: a virus scanner may hold a new file for a moment, and access is denied
/// to a file that was removed until its last handle is closed.
fn patiently(open: impl Fn() -> Result<File>) -> Result<File> {
    const ERROR_ACCESS_DENIED: i32 = 5;
    const ERROR_SHARING_VIOLATION: i32 = 32;
    let mut tries = 0;
    loop {
        match open() {
            Err(error)
                if matches!(error.raw_os_error(), Some(ERROR_ACCESS_DENIED | ERROR_SHARING_VIOLATION))
                    && tries < 100 =>
            {
                tries += 1;
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            opened => return opened,
        }
    }
}

/// A file here has an access list, which it inherits.
pub(in crate::install) fn set_mode(_: &File, _: u32) -> Result<()> {
    Ok(())
}

/// Whether this is what a call found. What does not exist is no directory.
fn is_found(found: Result<OpenDir>, dir: &OpenDir) -> Result<bool> {
    match found {
        #[cfg(windows)]
        Ok(found) => is_same_file(&found.handle, &dir.handle),
        #[cfg(not(windows))]
        Ok(found) => Ok(found.path == dir.path),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether two handles lead to one file.
#[cfg(windows)]
pub(in crate::install) fn is_same_file(a: &File, b: &File) -> Result<bool> {
    use crate::platform::windows::identity;
    let ((volume, high, low), (other_volume, other_high, other_low)) = (identity(a)?, identity(b)?);
    // A volume need not have a number, and wine does not find it by the handle of a file that was
    // renamed since.
    let is_same_volume = volume == other_volume || volume == 0 || other_volume == 0;
    Ok(is_same_volume && (high, low) == (other_high, other_low))
}

/// There is no known call for it. The name is in a private directory.
#[cfg(not(windows))]
pub(in crate::install) fn is_same_file(_: &File, _: &File) -> Result<bool> {
    Ok(true)
}

#[cfg(windows)]
mod handle {
    use std::fs::{File, OpenOptions};
    use std::io::{ErrorKind, Result};
    use std::os::windows::fs::OpenOptionsExt;
    use std::path::Path;

    use windows_sys::Win32::Storage::FileSystem::{
        FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT, READ_CONTROL,
    };

    /// A link is opened itself, and not what it leads to.
    pub(super) const NO_FOLLOW: u32 = FILE_FLAG_OPEN_REPARSE_POINT;

    /// Opens a directory to read its access list, or at least to know which one it is.
    pub(super) fn open(path: &Path, flags: u32) -> Result<File> {
        let open = |access| {
            let mut options = OpenOptions::new();
            options.access_mode(access).custom_flags(FILE_FLAG_BACKUP_SEMANTICS | flags).open(path)
        };
        match open(READ_CONTROL) {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => open(0),
            opened => opened,
        }
    }
}
