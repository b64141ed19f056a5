//! Programs that this one starts: bounded in time and output.

use std::io::{self, Read};
use std::process::{Child, ExitStatus};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(2);

/// How it ended, what it said on stdout and on stderr.
pub(crate) type Ended = (ExitStatus, Vec<u8>, Vec<u8>);

/// Waits, ends it at the limit or where it cannot be waited for, and never waits for a pipe that a grandchild keeps open. Of each pipe that
/// is there, the first `most` bytes are kept.
///
/// The child stays in this process's group, so that a person at a terminal ends both.
pub(crate) fn wait(mut child: Child, limit: Duration, most: u64) -> io::Result<Option<Ended>> {
    let ended = wait_until(&mut child, Instant::now() + limit, most);
    if !matches!(ended, Ok(Some(_))) {
        // A program of another user does not let itself be ended, and is not waited for.
        if child.kill().is_ok() {
            drop(child.wait());
        }
    }
    ended
}

fn wait_until(child: &mut Child, until: Instant, most: u64) -> io::Result<Option<Ended>> {
    let stdout = collect(child.stdout.take(), most)?;
    let stderr = collect(child.stderr.take(), most)?;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() >= until {
            return Ok(None);
        }
        thread::sleep(POLL);
    };
    let rest = Duration::from_millis(500);
    let bytes = |pipe: Receiver<Vec<u8>>| pipe.recv_timeout(rest).unwrap_or_default();
    Ok(Some((status, bytes(stdout), bytes(stderr))))
}

fn collect(pipe: Option<impl Read + Send + 'static>, most: u64) -> io::Result<Receiver<Vec<u8>>> {
    let (sender, receiver) = channel();
    let Some(mut pipe) = pipe else { return Ok(receiver) };
    thread::Builder::new().name("relatch-child".into()).spawn(move || {
        let mut bytes = Vec::new();
        drop(pipe.by_ref().take(most).read_to_end(&mut bytes));
        drop(sender.send(bytes));
        drop(io::copy(&mut pipe, &mut io::sink()));
    })?;
    Ok(receiver)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn what_does_not_end_is_ended() {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let mut command = Command::new("sleep");
        command.arg("300").stdin(Stdio::null()).stdout(Stdio::null()).stderr(OwnedFd::from(theirs));
        let child = command.spawn().unwrap();
        drop(command); // and with it this process's end of what both of them hold
        assert!(wait(child, Duration::from_millis(200), 16).unwrap().is_none());
        ours.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        assert_eq!(ours.read(&mut [0]).unwrap(), 0, "it still holds the other end");
    }
}
