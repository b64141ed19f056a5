//! Programs that this one starts: bounded in time and output.

use std::io::{self, Read};
use std::process::{Child, ExitStatus};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(2);
/// After its end, for what it said to come from the pipes: on a busy machine the threads that read may not have had their turn.
const DRAIN: Duration = Duration::from_secs(5);
/// The same for more of what has begun to come: where a grandchild keeps a pipe open, there is no end.
const MORE: Duration = Duration::from_millis(500);

/// How it ended, what it said on stdout and on stderr.
pub(crate) type Ended = (ExitStatus, Vec<u8>, Vec<u8>);

/// Waits, ends it at the limit or where it cannot be waited for, and waits for a pipe that a grandchild keeps open no longer than `DRAIN`. Of
/// each pipe that is there, the first `most` bytes are kept; of what a success said on stderr, those that have come.
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
    let until = Instant::now() + DRAIN;
    let stdout = rest_of(&stdout, until);
    // Of a success nobody tells what it said there.
    let until = if status.success() { Instant::now() } else { until };
    Ok(Some((status, stdout, rest_of(&stderr, until))))
}

/// All that has come, and what comes until then.
fn rest_of(pipe: &Receiver<Vec<u8>>, until: Instant) -> Vec<u8> {
    let (mut bytes, mut patience) = (Vec::new(), DRAIN);
    while let Ok(more) = pipe.recv_timeout(patience.min(until.saturating_duration_since(Instant::now()))) {
        bytes.extend(more);
        patience = MORE;
    }
    bytes
}

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

    /// Whether it is silent or goes on talking.
    #[test]
    fn what_was_said_counts_though_a_grandchild_keeps_the_pipes_open() {
        const LIFE: Duration = Duration::from_secs(60);
        let dir = tempfile::tempdir().unwrap();
        let end = dir.path().join("end");
        for goes_on in ["sleep 0.2", "echo .; echo . >&2; sleep 0.2"] {
            let mut command = Command::new("sh");
            let loops =
                format!("i=0; while [ $i -lt 300 ] && ! [ -e \"$0\" ]; do i=$((i+1)); {goes_on}; done");
            command.arg("-c").arg(format!("echo told; echo why >&2; ({loops}) & exit 3")).arg(&end);
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let (child, started) = (command.spawn().unwrap(), Instant::now());
            let (status, stdout, stderr) = wait(child, LIFE, 1 << 20).unwrap().unwrap();
            let took = started.elapsed();
            std::fs::write(&end, "").unwrap();
            assert_eq!(status.code(), Some(3));
            assert!(stdout.starts_with(b"told\n") && stderr.starts_with(b"why\n"), "{stdout:?} {stderr:?}");
            assert!(took < LIFE / 2, "{goes_on}: {took:?}");
            std::fs::remove_file(&end).unwrap();
        }
    }

    #[test]
    fn no_more_is_kept_than_the_limit_and_the_child_comes_to_its_end() {
        let mut command = Command::new("sh");
        command.args(["-c", "head -c 1000000 /dev/zero; echo >&2; exit 3"]).stdin(Stdio::null());
        for most in [1, 4095, 4096, 4097, 10_000] {
            let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            let (_, stdout, stderr) = wait(child, Duration::from_secs(60), most).unwrap().unwrap();
            assert_eq!((stdout.len() as u64, &stderr[..]), (most, &b"\n"[..]));
        }
    }
}
