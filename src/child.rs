//! Child processes, bounded in time and output.

use std::io::{self, Read};
use std::process::{Child, ExitStatus};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(2);
/// The wait for remaining output after the child has exited: on a busy machine the threads that
/// read the pipes may not have run yet.
const DRAIN: Duration = Duration::from_secs(5);
/// The wait for more output once some has arrived. A pipe that a grandchild holds open never ends.
const MORE: Duration = Duration::from_millis(500);

/// The exit status, and the output on stdout and on stderr.
pub(crate) type Ended = (ExitStatus, Vec<u8>, Vec<u8>);

/// Waits for the child to exit. Returns `None` if it has not exited within `limit`; it is then
/// killed, as it is if waiting fails.
///
/// Keeps the first `most` bytes of each pipe. After the exit it waits at most [`DRAIN`] for output
/// from pipes that a grandchild holds open, and not at all for stderr if the child succeeded.
///
/// The child stays in this process's process group, so that an interrupt from the terminal ends
/// both.
pub(crate) fn wait(mut child: Child, limit: Duration, most: u64) -> io::Result<Option<Ended>> {
    let ended = wait_until(&mut child, Instant::now() + limit, most);
    if !matches!(ended, Ok(Some(_))) {
        // A program of another user cannot be killed; waiting for it could block.
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
    let until = Instant::now() + DRAIN;
    let stdout = rest_of(&stdout, until);
    // The stderr of a successful child is not reported, so it is not worth a wait.
    let until = if status.success() { Instant::now() } else { until };
    Ok(Some((status, stdout, rest_of(&stderr, until))))
}

/// The output that has arrived, and that arrives until `until`.
fn rest_of(pipe: &Receiver<Vec<u8>>, until: Instant) -> Vec<u8> {
    let (mut bytes, mut patience) = (Vec::new(), DRAIN);
    while let Ok(more) = pipe.recv_timeout(patience.min(until.saturating_duration_since(Instant::now()))) {
        bytes.extend(more);
        patience = MORE;
    }
    bytes
}

/// Reads a pipe to its end on a thread of its own, so that the child never blocks on it. The
/// channel receives the first `most` bytes.
fn collect(pipe: Option<impl Read + Send + 'static>, most: u64) -> io::Result<Receiver<Vec<u8>>> {
    let (sender, receiver) = channel();
    let Some(mut pipe) = pipe else { return Ok(receiver) };
    thread::Builder::new().name("relatch-child".into()).spawn(move || {
        let (mut bytes, mut left) = ([0; 4096], most);
        while left > 0 {
            match pipe.by_ref().take(left).read(&mut bytes) {
                Ok(read @ 1..) => {
                    drop(sender.send(bytes.iter().take(read).copied().collect()));
                    left = left.saturating_sub(read as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => break,
            }
        }
        drop(sender);
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
    fn a_child_that_does_not_exit_is_killed() {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let mut command = Command::new("sleep");
        command.arg("300").stdin(Stdio::null()).stdout(Stdio::null()).stderr(OwnedFd::from(theirs));
        let child = command.spawn().unwrap();
        drop(command); // closes this process's copy of `theirs`
        assert!(wait(child, Duration::from_millis(200), 16).unwrap().is_none());
        ours.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        assert_eq!(ours.read(&mut [0]).unwrap(), 0, "the child still holds the other end");
    }

    /// With a silent grandchild, and with one that keeps writing.
    #[test]
    fn output_is_kept_while_a_grandchild_holds_the_pipes_open() {
        const LIFE: Duration = Duration::from_secs(60);
        let dir = tempfile::tempdir().unwrap();
        let end = dir.path().join("end");
        for work in ["sleep 0.2", "echo .; echo . >&2; sleep 0.2"] {
            let mut command = Command::new("sh");
            let loops = format!("i=0; while [ $i -lt 300 ] && ! [ -e \"$0\" ]; do i=$((i+1)); {work}; done");
            command.arg("-c").arg(format!("echo out; echo err >&2; ({loops}) & exit 3")).arg(&end);
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let (child, started) = (command.spawn().unwrap(), Instant::now());
            let (status, stdout, stderr) = wait(child, LIFE, 1 << 20).unwrap().unwrap();
            let took = started.elapsed();
            std::fs::write(&end, "").unwrap();
            assert_eq!(status.code(), Some(3));
            assert!(stdout.starts_with(b"out\n") && stderr.starts_with(b"err\n"), "{stdout:?} {stderr:?}");
            assert!(took < LIFE / 2, "{work}: {took:?}");
            std::fs::remove_file(&end).unwrap();
        }
    }

    #[test]
    fn output_beyond_the_limit_is_discarded_without_blocking_the_child() {
        let mut command = Command::new("sh");
        command.args(["-c", "head -c 1000000 /dev/zero; echo >&2; exit 3"]).stdin(Stdio::null());
        for most in [1, 4095, 4096, 4097, 10_000] {
            let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            let (_, stdout, stderr) = wait(child, Duration::from_secs(60), most).unwrap().unwrap();
            assert_eq!((stdout.len() as u64, &stderr[..]), (most, &b"\n"[..]));
        }
    }
}
