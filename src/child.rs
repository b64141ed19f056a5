//! Programs that this one starts: bounded in time and output.

use std::io::{self, Read};
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(2);

/// How it ended, what it said on stdout and on stderr.
pub(crate) type Ended = (ExitStatus, Vec<u8>, Vec<u8>);

/// Starts it so that what it starts itself can be ended with it.
pub(crate) fn start(command: &mut Command) -> io::Result<Child> {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    command.spawn()
}

/// Waits for what [`start`] started, ends it at the limit or where it cannot be waited for, and never waits for a pipe that a grandchild
/// keeps open. Of each pipe that is there, the first `most` bytes are kept.
pub(crate) fn wait(mut child: Child, limit: Duration, most: u64) -> io::Result<Option<Ended>> {
    let ended = wait_until(&mut child, Instant::now() + limit, most);
    if !matches!(ended, Ok(Some(_))) {
        end(&mut child);
    }
    ended
}

/// With all that it started. What does not let itself be ended, such as a program of another user, is left behind.
fn end(child: &mut Child) {
    #[cfg(unix)]
    {
        use rustix::process::{Pid, Signal, kill_process_group};

        if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
    if child.kill().is_ok() {
        drop(child.wait());
    }
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
    use std::process::Stdio;

    use super::*;

    #[test]
    fn what_does_not_end_is_ended_with_all_that_it_started() {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 300 & wait"]).stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(OwnedFd::from(theirs));
        let child = start(&mut command).unwrap();
        drop(command); // and with it this process's end of what both of them hold
        assert!(wait(child, Duration::from_millis(200), 16).unwrap().is_none());
        ours.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        assert_eq!(ours.read(&mut [0]).unwrap(), 0, "somebody still holds the other end");
    }
}
