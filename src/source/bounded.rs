//! Limits, deadlines, the minimum rate and retries: once, for all sources.
//!
//! Each read runs on a thread of its own and is waited for, never joined: whatever DNS, a proxy, a hung share or a server does, the
//! caller has its answer at its deadline. The connections of a thread left behind are ended by its [`Cancellation`]: now, or as soon as
//! they are made. That is made before the thread, so that no deadline is too early for it. What cannot be ended it still waits for: a hung
//! share, a tool's own code, AWS's SDK, or another read's turn there.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::Unavailable;
use super::{Cancellation, Etag, Object, Opened, Source, unreachable};
use crate::error::{Error, Local, Result};
use crate::limits::{self, ByteLimit};
use crate::trust::Fetched;
use crate::trust::Refusal;

/// A source behind limits.
#[derive(Clone)]
pub struct Fetcher {
    source: Arc<dyn Source>,
}

/// Bytes handed over at once; four of them are the memory that a download costs.
const CHUNK: usize = 64 * 1024;
const CHUNKS: usize = 4;

/// Waits before the second and third try; each is also cut by the deadline.
const BACKOFF: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(400)];

impl Fetcher {
    /// Puts limits before a source.
    pub fn new(source: impl Source) -> Self {
        Fetcher { source: Arc::new(source) }
    }

    /// The address of the source.
    pub fn location(&self) -> String {
        self.source.location()
    }

    /// Reads a whole small object, or fails by the deadline.
    ///
    /// # Errors
    /// [`Refusal::Oversized`] past `limit`; [`Unavailable`] otherwise, after retries where these may help.
    pub fn fetch(&self, object: &Object, limit: ByteLimit, deadline: Instant) -> Result<Fetched> {
        Ok(self.fetch_with_etag(object, limit, deadline)?.0)
    }

    /// The same, with the entity tag where the source has one.
    ///
    /// # Errors
    /// As [`Fetcher::fetch`].
    pub fn fetch_with_etag(
        &self,
        object: &Object,
        limit: ByteLimit,
        deadline: Instant,
    ) -> Result<(Fetched, Option<Etag>)> {
        match self.fetch_retrying(object, None, limit, deadline)? {
            Some(tagged) => Ok(tagged),
            None => {
                let why = "it says that nothing has changed, though nobody asked that".into();
                let (location, object) = (self.location(), object.clone());
                Err(Unavailable::Unreachable { location, object, why, retryable: false }.into())
            }
        }
    }

    /// The same, unless the object is still the one with the entity tag `known`: then `None`.
    ///
    /// # Errors
    /// As [`Fetcher::fetch`].
    pub fn fetch_if_none_match(
        &self,
        object: &Object,
        known: &Etag,
        limit: ByteLimit,
        deadline: Instant,
    ) -> Result<Option<(Fetched, Option<Etag>)>> {
        self.fetch_retrying(object, Some(known), limit, deadline)
    }

    fn fetch_retrying(
        &self,
        object: &Object,
        known: Option<&Etag>,
        limit: ByteLimit,
        deadline: Instant,
    ) -> Result<Option<(Fetched, Option<Etag>)>> {
        let mut waits = BACKOFF.iter();
        loop {
            match self.fetch_once(object, known, limit, deadline) {
                Err(Error::Unavailable(why)) if why.is_transient() => match waits.next() {
                    Some(wait) if Instant::now() + *wait < deadline => thread::sleep(*wait),
                    _ => return Err(why.into()),
                },
                answer => return answer,
            }
        }
    }

    fn fetch_once(
        &self,
        object: &Object,
        known: Option<&Etag>,
        limit: ByteLimit,
        deadline: Instant,
    ) -> Result<Option<(Fetched, Option<Etag>)>> {
        let started = Instant::now();
        let slow = || Unavailable::TooSlow {
            location: self.location(),
            object: object.clone(),
            limit: deadline.saturating_duration_since(started),
        };
        if deadline <= started {
            return Err(slow().into());
        }
        let (sender, receiver) = sync_channel(1);
        let asked = known.cloned();
        let cancellation = Cancellation::default();
        self.spawn(object, &cancellation, move |source, object, cancellation| {
            let read = source.open_cancellable(object, asked.as_ref(), &cancellation).and_then(|opened| {
                let Opened::Object { reader, etag } = opened else { return Ok(None) };
                let mut bytes = Vec::new();
                let read = reader.take(limit.0 + 1).read_to_end(&mut bytes);
                read.map(|_| Some((bytes, etag))).map_err(|error| unreachable(source, object, &error))
            });
            drop(cancellation); // before the answer: the next read has the connection of this one
            drop(sender.send(read)); // nobody waits any more: the deadline has passed
        })?;
        let read = match receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(read) => read?,
            Err(RecvTimeoutError::Disconnected) => return Err(self.died(object).into()),
            Err(RecvTimeoutError::Timeout) => {
                cancellation.cancel();
                return Err(slow().into());
            }
        };
        match read {
            Some((bytes, _)) if bytes.len() as u64 > limit.0 => {
                Err(Refusal::Oversized { object: object.clone(), limit: limit.0 }.into())
            }
            read => Ok(read.map(|(bytes, etag)| (Fetched::new(bytes), etag))),
        }
    }

    /// Begins a download. The reader fails when the stream falls below the minimum rate, and at the deadline where there is one; its
    /// length is for the reader to bound.
    pub fn stream(&self, object: &Object, deadline: Option<Instant>) -> Result<Stream> {
        let slow = Unavailable::TooSlow {
            location: self.location(),
            object: object.clone(),
            limit: limits::RATE_WINDOW,
        };
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Err(slow.into());
        }
        let (sender, chunks) = sync_channel(CHUNKS);
        let cancellation = Cancellation::default();
        self.spawn(object, &cancellation, move |source, object, cancellation| {
            let last = match source.open_cancellable(object, None, &cancellation) {
                Ok(Opened::Object { reader, .. }) => {
                    pump(reader, &sender, |error| unreachable(source, object, &error))
                }
                Ok(Opened::NotModified) => Some(Ok(Vec::new())), // nobody asked that: as an empty object
                Err(why) => Some(Err(why)),
            };
            drop(cancellation); // before the end is told, as above
            if let Some(last) = last {
                drop(sender.send(last)); // nobody listens any more: the stream was dropped
            }
        })?;
        let first_by = limits::CONNECT + limits::FIRST_BYTE;
        Ok(Stream {
            cancellation,
            ended: false,
            chunks,
            chunk: Vec::new(),
            read: 0,
            slow,
            died: self.died(object),
            window_ends: Instant::now() + first_by.max(limits::RATE_WINDOW),
            in_window: 0,
            deadline,
            failure: None,
        })
    }

    /// A thread that ended without an answer: a panic in a source, which has told its own story.
    fn died(&self, object: &Object) -> Unavailable {
        let why = "reading it ended without an answer".into();
        Unavailable::Unreachable { location: self.location(), object: object.clone(), why, retryable: false }
    }

    fn spawn(
        &self,
        object: &Object,
        cancellation: &Cancellation,
        work: impl FnOnce(&dyn Source, &Object, Cancellation) + Send + 'static,
    ) -> Result<()> {
        let (source, object, cancellation) = (Arc::clone(&self.source), object.clone(), cancellation.clone());
        let builder = thread::Builder::new().name("relatch-source".into());
        match builder.spawn(move || work(&*source, &object, cancellation)) {
            Ok(_) => Ok(()),
            Err(error) => {
                Err(Local::Io { action: "start a thread to read", path: self.location().into(), error }
                    .into())
            }
        }
    }
}

type Chunk = Result<Vec<u8>, Unavailable>;

/// Hands over what arrives as it arrives, until nobody listens, or the end or an error, which it returns; the empty chunk is the end.
fn pump(
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

/// A download in progress.
pub struct Stream {
    cancellation: Cancellation,
    /// Whether its thread has ended.
    ended: bool,
    chunks: Receiver<Chunk>,
    chunk: Vec<u8>,
    read: usize,
    slow: Unavailable,
    /// Where the source panicked.
    died: Unavailable,
    window_ends: Instant,
    in_window: u64,
    deadline: Option<Instant>,
    failure: Option<Unavailable>,
}

impl Stream {
    /// Why reading failed, where it did.
    pub fn into_failure(mut self) -> Option<Unavailable> {
        self.failure.take()
    }

    fn next_chunk(&mut self) -> Result<Vec<u8>, Unavailable> {
        let needed = limits::MINIMUM_RATE * limits::RATE_WINDOW.as_secs();
        loop {
            let now = Instant::now();
            if self.deadline.is_some_and(|deadline| now >= deadline) {
                return Err(self.slow.clone());
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
                Err(RecvTimeoutError::Timeout) if Instant::now() < self.window_ends => {} // the deadline
                Err(RecvTimeoutError::Timeout) if self.in_window < needed => return Err(self.slow.clone()),
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
            match self.next_chunk() {
                Ok(chunk) => {
                    self.in_window += chunk.len() as u64;
                    (self.chunk, self.read) = (chunk, 0);
                }
                Err(why) => {
                    let message = why.to_string();
                    self.failure = Some(why);
                    return Err(io::Error::other(message));
                }
            }
        }
        let rest = self.chunk.get(self.read..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        let (Some(from), Some(to)) = (rest.get(..count), buffer.get_mut(..count)) else { return Ok(0) };
        to.copy_from_slice(from);
        self.read += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::Digest;

    /// A byte each time, for ever.
    struct Drip(Duration);

    impl Read for Drip {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            thread::sleep(self.0);
            let Some(first) = buffer.first_mut() else { return Ok(0) };
            *first = b'x';
            Ok(1)
        }
    }

    struct Tap(Duration);

    impl Source for Tap {
        fn open(&self, _: &Object, _: Option<&Etag>) -> Result<Opened, Unavailable> {
            Ok(Opened::object(Drip(self.0)))
        }

        fn location(&self) -> String {
            "a tap".into()
        }
    }

    /// Says when it is asked, and by its end when nobody can ask it any more.
    struct Asked(SyncSender<()>);

    impl Source for Asked {
        fn open(&self, _: &Object, _: Option<&Etag>) -> Result<Opened, Unavailable> {
            self.0.send(()).unwrap();
            Ok(Opened::object(io::empty()))
        }

        fn location(&self) -> String {
            "here".into()
        }
    }

    #[test]
    fn nothing_is_asked_for_when_there_is_no_time_left() {
        let (sender, asked) = sync_channel(2);
        let source = Fetcher::new(Asked(sender));
        let (object, now) = (Object::Blob(Digest::of(b"x")), Instant::now());
        let fetched = source.fetch(&object, limits::MANIFEST, now).map(|_| ());
        for given_up in [fetched, source.stream(&object, Some(now)).map(|_| ())] {
            assert!(matches!(given_up, Err(Error::Unavailable(Unavailable::TooSlow { .. }))), "{given_up:?}");
        }
        drop(source);
        assert!(asked.recv().is_err(), "it was asked");
    }

    /// Begins well, and then has a fault of its own.
    struct Faulty;

    impl Read for Faulty {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            panic!("a fault of this test's source")
        }
    }

    impl Source for Faulty {
        fn open(&self, _: &Object, _: Option<&Etag>) -> Result<Opened, Unavailable> {
            Ok(Opened::object(io::Cursor::new(b"half").chain(Faulty)))
        }

        fn location(&self) -> String {
            "here".into()
        }
    }

    /// Else half of a blob would be told as an attack.
    #[test]
    fn a_source_that_panics_is_not_the_end_of_an_object() {
        let object = Object::Blob(Digest::of(b"half"));
        let mut stream = Fetcher::new(Faulty).stream(&object, None).unwrap();
        assert!(stream.read_to_end(&mut Vec::new()).is_err());
        let failure = stream.into_failure();
        assert!(matches!(&failure, Some(Unavailable::Unreachable { retryable: false, .. })), "{failure:?}");
    }

    /// The minimum rate would end it too, but only after its window of 10 s.
    #[test]
    fn a_download_ends_at_its_deadline_whether_bytes_keep_coming_or_not() {
        for interval in [Duration::from_millis(50), Duration::from_secs(3600)] {
            let object = Object::Blob(Digest::of(b"x"));
            let started = Instant::now();
            let deadline = started + Duration::from_millis(300);
            let mut stream = Fetcher::new(Tap(interval)).stream(&object, Some(deadline)).unwrap();
            let read = stream.read_to_end(&mut Vec::new());
            let took = started.elapsed();
            assert!(read.is_err(), "{interval:?}: {read:?}");
            assert!(matches!(stream.into_failure(), Some(Unavailable::TooSlow { .. })), "{interval:?}");
            assert!(
                Duration::from_millis(300) <= took && took < limits::RATE_WINDOW,
                "{interval:?}: {took:?}"
            );
        }
    }
}
