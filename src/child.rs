//! Programs that this one starts: bounded in time and output.

use std::io::{self, Read};
use std::process::{Child, ExitStatus};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(2);

/// How it ended, what it said on stdout and on stderr.
pub(crate) type Ended = (ExitStatus, Vec<u8>, Vec<u8>);

/// Waits, kills at the limit, and never waits for a pipe that a grandchild keeps open. Of each pipe that is there, the first `most` bytes
/// are kept.
pub(crate) fn wait(mut child: Child, limit: Duration, most: u64) -> io::Result<Option<Ended>> {
    let stdout = collect(child.stdout.take(), most)?;
    let stderr = collect(child.stderr.take(), most)?;
    let until = Instant::now() + limit;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() >= until {
            child.kill()?;
            child.wait()?;
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
