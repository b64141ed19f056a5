//! Opening a file that must be a regular file.
//!
//! Opening a FIFO blocks until its other end is opened, and reading a device may never end. The
//! type is checked before opening, because opening some devices has side effects (a watchdog, a
//! tape), and again after, because anyone who can write to the directory can replace the file in
//! between.

use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Result};
use std::path::Path;

/// Opens a regular file for reading.
pub(crate) fn open_regular_file(path: &Path) -> Result<File> {
    open_regular_file_with(OpenOptions::new().read(true), path)
}

/// Opens a regular file with other options, which may create it.
pub(crate) fn open_regular_file_with(options: &mut OpenOptions, path: &Path) -> Result<File> {
    if std::fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(not_regular());
    }
    open_nonblocking(options, path)
}

/// Opens without blocking, and checks the type of the open file. `O_NONBLOCK` has no effect on
/// regular files.
fn open_nonblocking(options: &mut OpenOptions, path: &Path) -> Result<File> {
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        std::os::unix::fs::OpenOptionsExt::custom_flags(options, flags.bits() as i32);
    }
    let file = match options.open(path) {
        // ENXIO: a FIFO without a reader, opened for writing.
        #[cfg(unix)]
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error()) => {
            return Err(not_regular());
        }
        opened => opened?,
    };
    if file.metadata()?.is_file() { Ok(file) } else { Err(not_regular()) }
}

/// Whether an error means that the file is not a regular one, as opposed to an error of the system.
pub(crate) fn is_not_regular(error: &Error) -> bool {
    error.kind() == ErrorKind::InvalidInput && error.raw_os_error().is_none()
}

/// The error for a file that is not a regular one.
pub(crate) fn not_regular() -> Error {
    Error::new(ErrorKind::InvalidInput, "not a regular file")
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    /// Runs `ask` on its own thread and fails if it blocks.
    fn at_once<T: Send + 'static>(ask: impl FnOnce() -> T + Send + 'static) -> T {
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || drop(sender.send(ask())));
        receiver.recv_timeout(Duration::from_secs(30)).unwrap() // a timeout: it blocks
    }

    #[test]
    fn a_fifo_is_refused_without_blocking() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let fifo = path.clone();
        assert!(is_not_regular(&at_once(move || open_regular_file(&fifo)).unwrap_err()));
        // As if the FIFO replaced the file between the first check and the opening.
        let fifo = path.clone();
        assert!(is_not_regular(
            &at_once(move || open_nonblocking(OpenOptions::new().read(true), &fifo)).unwrap_err()
        ));
        let fifo = path.clone();
        assert!(is_not_regular(
            &at_once(move || open_nonblocking(OpenOptions::new().write(true), &fifo)).unwrap_err()
        ));
        let fifo = path.clone();
        assert!(is_not_regular(
            &at_once(move || open_regular_file_with(OpenOptions::new().write(true), &fifo)).unwrap_err()
        ));
        assert!(is_not_regular(&open_regular_file(dir.path()).unwrap_err()));
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "x").unwrap();
        open_regular_file(&path).unwrap();
        assert!(
            !is_not_regular(&Error::from_raw_os_error(22)),
            "EINVAL from a file system says nothing about the type"
        );
    }
}
