//! Opening a name that should lead to a regular file, and may lead to something else by now.
//!
//! A FIFO waits for its other end, and a device may never end. Looked at before, because to open a device can do something (a watchdog, a
//! tape), and again after: who may write in the directory can change in between what a name leads to.

use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Result};
use std::path::Path;

/// Opens a regular file for reading.
pub(crate) fn open(path: &Path) -> Result<File> {
    open_with(OpenOptions::new().read(true), path)
}

/// Opens as the options say what is a regular file, or is not there yet.
pub(crate) fn open_with(options: &mut OpenOptions, path: &Path) -> Result<File> {
    if std::fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(refused());
    }
    open_at_once(options, path)
}

/// Waits for nobody, as a FIFO does for its other end. For regular files the options say what they always do.
fn open_at_once(options: &mut OpenOptions, path: &Path) -> Result<File> {
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        std::os::unix::fs::OpenOptionsExt::custom_flags(options, flags.bits() as i32);
    }
    let file = match options.open(path) {
        // A FIFO that nobody reads, opened for writing.
        #[cfg(unix)]
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error()) => {
            return Err(refused());
        }
        opened => opened?,
    };
    if file.metadata()?.is_file() { Ok(file) } else { Err(refused()) }
}

/// Whether it was one of the above that refused, and not the system.
pub(crate) fn is_refusal(error: &Error) -> bool {
    error.kind() == ErrorKind::InvalidInput && error.raw_os_error().is_none()
}

pub(crate) fn refused() -> Error {
    Error::new(ErrorKind::InvalidInput, "it is no regular file")
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    /// What it answers, or that it waits.
    fn at_once<T: Send + 'static>(ask: impl FnOnce() -> T + Send + 'static) -> T {
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || drop(sender.send(ask())));
        receiver.recv_timeout(Duration::from_secs(30)).unwrap() // else it waits for the other end
    }

    #[test]
    fn a_fifo_is_refused_and_nobody_waits_for_its_other_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let fifo = path.clone();
        assert!(is_refusal(&at_once(move || open(&fifo)).unwrap_err()));
        // As where it came between the look and the opening.
        let fifo = path.clone();
        assert!(is_refusal(
            &at_once(move || open_at_once(OpenOptions::new().read(true), &fifo)).unwrap_err()
        ));
        let fifo = path.clone();
        assert!(is_refusal(
            &at_once(move || open_at_once(OpenOptions::new().write(true), &fifo)).unwrap_err()
        ));
        let fifo = path.clone();
        assert!(is_refusal(&at_once(move || open_with(OpenOptions::new().write(true), &fifo)).unwrap_err()));
        assert!(is_refusal(&open(dir.path()).unwrap_err()));
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "x").unwrap();
        open(&path).unwrap();
        assert!(
            !is_refusal(&Error::from_raw_os_error(22)),
            "EINVAL of a file system says nothing of what lies there"
        );
    }
}
