//! What the system reports of a name and of a file system, which decides whether a file there can
//! be replaced. What a system cannot report does not restrict. An error is an error.

use std::ffi::OsStr;
use std::io::Result;

use super::OpenDir;

/// What prevents the replacement of a file, beside its owner and mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::install) struct Restrictions {
    /// chattr +i
    pub(in crate::install) immutable: bool,
    /// chattr +a
    pub(in crate::install) append_only: bool,
    /// Something is mounted at this name.
    pub(in crate::install) mount_point: bool,
}

/// A file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::install) struct Volume {
    /// The bytes that this user may still write.
    pub(in crate::install) free: Option<u64>,
    pub(in crate::install) read_only: bool,
    pub(in crate::install) noexec: bool,
}

/// The longest file that this process may write: a longer one gets it killed by SIGXFSZ.
#[cfg(unix)]
pub(in crate::install) fn file_size_limit() -> u64 {
    rustix::process::getrlimit(rustix::process::Resource::Fsize).current.unwrap_or(u64::MAX)
}

#[cfg(not(unix))]
pub(in crate::install) fn file_size_limit() -> u64 {
    u64::MAX
}

#[cfg(any(target_os = "linux", target_os = "android"))]
impl OpenDir {
    /// The restrictions of what a name leads to; `.` is this directory. A symbolic link is not
    /// followed, and what does not exist has none.
    pub(in crate::install) fn restrictions(&self, name: &OsStr) -> Result<Restrictions> {
        use rustix::fs::{AtFlags, StatxAttributes, StatxFlags, statx};
        use rustix::io::Errno;
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
        let found = match statx(self, name, flags, StatxFlags::TYPE) {
            Err(Errno::NOENT) => return Ok(Restrictions::default()),
            // Before Linux 4.11, or a seccomp filter that does not know the call.
            Err(Errno::NOSYS | Errno::PERM) => {
                let mount_point = is_in_mountinfo(&self.path().join(name))?;
                return Ok(Restrictions { mount_point, ..Restrictions::default() });
            }
            found => found?,
        };
        let known = found.stx_attributes & found.stx_attributes_mask;
        let mount_point = match found.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT) {
            true => known.contains(StatxAttributes::MOUNT_ROOT),
            false => is_in_mountinfo(&self.path().join(name))?, // before Linux 5.8
        };
        let (immutable, append_only) =
            (known.contains(StatxAttributes::IMMUTABLE), known.contains(StatxAttributes::APPEND));
        Ok(Restrictions { immutable, append_only, mount_point })
    }

    /// The file system of this directory.
    pub(in crate::install) fn volume(&self) -> Result<Volume> {
        use rustix::fs::StatVfsMountFlags;
        let found = rustix::fs::fstatvfs(self)?;
        // Some file systems in user space and on servers do not know their size.
        let blocks = if rustix::process::geteuid().is_root() { found.f_bfree } else { found.f_bavail };
        let free = (found.f_blocks != 0).then(|| blocks.saturating_mul(found.f_frsize));
        let (read_only, noexec) = (
            found.f_flag.contains(StatVfsMountFlags::RDONLY),
            found.f_flag.contains(StatVfsMountFlags::NOEXEC),
        );
        Ok(Volume { free, read_only, noexec })
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
impl OpenDir {
    /// Other systems say it in other ways, and refuse the rename.
    pub(in crate::install) fn restrictions(&self, _: &OsStr) -> Result<Restrictions> {
        Ok(Restrictions::default())
    }

    #[cfg(unix)]
    pub(in crate::install) fn volume(&self) -> Result<Volume> {
        let found = rustix::fs::fstatvfs(self)?;
        let free = (found.f_blocks != 0).then(|| found.f_bavail.saturating_mul(found.f_frsize));
        let read_only = found.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY);
        Ok(Volume { free, read_only, noexec: false })
    }

    #[cfg(not(unix))]
    pub(in crate::install) fn volume(&self) -> Result<Volume> {
        Ok(Volume::default())
    }
}

/// Whether something is mounted at this path (proc(5)).
#[cfg(any(target_os = "linux", target_os = "android"))]
fn is_in_mountinfo(path: &std::path::Path) -> Result<bool> {
    use std::io::ErrorKind::{NotFound, PermissionDenied};
    let text = match std::fs::read("/proc/self/mountinfo") {
        Err(error) if matches!(error.kind(), NotFound | PermissionDenied) => return Ok(false),
        read => read?,
    };
    let mount_point = |line: &[u8]| line.split(|byte| *byte == b' ').nth(4).map(unescaped);
    let mut mounted = text.split(|byte| *byte == b'\n').filter_map(mount_point);
    Ok(mounted.any(|found| found == path.as_os_str().as_encoded_bytes()))
}

/// Space, tab, newline and backslash are written as `\040` and the like there.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()).filter(|_| *first == b'\\') {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    bytes
}

#[cfg(all(test, any(target_os = "linux", target_os = "android")))]
mod tests {
    use super::*;

    #[test]
    fn mountinfo_is_read_with_its_escapes() {
        assert!(is_in_mountinfo(std::path::Path::new("/proc")).unwrap());
        assert!(!is_in_mountinfo(std::path::Path::new("/proc/self")).unwrap());
        assert_eq!(unescaped(br"/a\040b\134c\011\08"), b"/a b\\c\t\\08");
    }
}
