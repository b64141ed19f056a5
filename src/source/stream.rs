//! A download in progress, with a minimum rate and a deadline.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Instant;

use super::cancellation::Cancellation;
use super::unavailable::Unavailable;
use crate::limits;

/// A download in progress.
///
/// An error of its [`Read`] implementation contains the [`Unavailable`] that explains it:
/// [`io::Error::downcast`] returns it. Dropping the stream cancels the download.
pub struct Stream {
    cancellation: Cancellation,
    /// Whether the reading thread has sent its last chunk.
    ended: bool,
    chunks: Receiver<Chunk>,
    chunk: Vec<u8>,
    /// Bytes of `chunk` that the caller has read.
    read: usize,
    too_slow: Unavailable,
    /// The error if the reading thread ends without a last chunk.
    died: Unavailable,
    window_ends: Instant,
    in_window: u64,
    deadline: Option<Instant>,
}

/// Bytes of the object; an empty chunk is its end.
pub(super) type Chunk = Result<Vec<u8>, Unavailable>;

/// The largest chunk. The channel holds [`CHUNKS`] of them, which bounds a download's memory.
const CHUNK: usize = 64 * 1024;
const CHUNKS: usize = 4;

/// The channel from the reading thread to its [`Stream`].
pub(super) fn channel() -> (SyncSender<Chunk>, Receiver<Chunk>) {
    sync_channel(CHUNKS)
}

/// Sends chunks as they arrive. Returns the last one, which is empty or an error, unsent; `None` if
/// the stream was dropped.
pub(super) fn pump(
    mut reader: impl Read,
    sender: &SyncSender<Chunk>,
    unavailable: impl Fn(io::Error) -> Unavailable,
) -> Option<Chunk> {
    loop {
        let mut chunk = vec![0; CHUNK];
        let read = match reader.read(&mut chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read,
        };
        let last = !matches!(read, Ok(1..));
        let chunk = read.map_err(&unavailable).map(|count| {
            chunk.truncate(count);
            chunk
        });
        if last {
            return Some(chunk);
        }
        sender.send(chunk).ok()?;
    }
}

impl Stream {
    /// `too_slow` is the error at the deadline and below the minimum rate; `died` is the error if
    /// the reading thread ends without a last chunk.
    pub(super) fn new(
        chunks: Receiver<Chunk>,
        cancellation: Cancellation,
        deadline: Option<Instant>,
        too_slow: Unavailable,
        died: Unavailable,
    ) -> Self {
        // The first window also covers the time to connect and to the first byte.
        let first_window = limits::RATE_WINDOW.max(limits::CONNECT + limits::FIRST_BYTE);
        Stream {
            cancellation,
            ended: false,
            chunks,
            chunk: Vec::new(),
            read: 0,
            too_slow,
            died,
            window_ends: Instant::now() + first_window,
            in_window: 0,
            deadline,
        }
    }

    fn next_chunk(&mut self) -> Chunk {
        let needed = limits::MINIMUM_RATE * limits::RATE_WINDOW.as_secs();
        loop {
            let now = Instant::now();
            if self.deadline.is_some_and(|deadline| now >= deadline) {
                return Err(self.too_slow.clone());
            }
            let until = self.deadline.map_or(self.window_ends, |deadline| deadline.min(self.window_ends));
            match self.chunks.recv_timeout(until.saturating_duration_since(now)) {
                Ok(chunk) => {
                    self.ended = !matches!(&chunk, Ok(chunk) if !chunk.is_empty());
                    return chunk;
                }
                Err(RecvTimeoutError::Disconnected) => {
                    self.ended = true;
                    return Err(self.died.clone());
                }
                // The deadline.
                Err(RecvTimeoutError::Timeout) if Instant::now() < self.window_ends => {}
                Err(RecvTimeoutError::Timeout) if self.in_window < needed => {
                    return Err(self.too_slow.clone());
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.in_window = 0;
                    self.window_ends = now + limits::RATE_WINDOW;
                }
            }
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if !self.ended {
            self.cancellation.cancel();
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read == self.chunk.len() {
            let chunk = self.next_chunk().map_err(io::Error::other)?;
            self.in_window += chunk.len() as u64;
            (self.chunk, self.read) = (chunk, 0);
        }
        let rest = self.chunk.get(self.read..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        let (Some(from), Some(to)) = (rest.get(..count), buffer.get_mut(..count)) else { return Ok(0) };
        to.copy_from_slice(from);
        self.read += count;
        Ok(count)
    }
}
