//! What only Unix offers to everybody: symbolic links without a privilege, pipes with names, modes. Rows that need it are marked with
//! `on_unix`, and elsewhere they say that they are skipped.

use std::path::Path;

pub use system::*;

#[cfg(unix)]
mod system {
    use super::Path;
    pub use std::os::unix::fs::symlink;

    pub fn make_fifo(path: &Path) {
        assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
    }

    pub fn set_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    }
}

#[cfg(not(unix))]
mod system {
    use super::Path;

    pub fn symlink(_: impl AsRef<Path>, _: impl AsRef<Path>) -> std::io::Result<()> {
        Err(std::io::ErrorKind::Unsupported.into())
    }

    pub fn make_fifo(path: &Path) {
        panic!("no pipe at {}: it is a row for Unix", path.display());
    }

    pub fn set_mode(path: &Path, mode: u32) {
        panic!("no mode {mode:o} for {}: it is a row for Unix", path.display());
    }
}
