//! Limits, deadlines and retries for all sources.
//!
//! Each read runs on its own thread, which the caller waits for but never joins. So the caller has
//! its result by the deadline, even while DNS, a proxy, a hung network share or a server blocks
//! that thread. The read's [`Cancellation`], created before its thread, closes its connections: at
//! once, or as soon as they are opened. A thread can outlive its deadline only while it is blocked
//! in something that cannot be cancelled: a hung share, a tool's own [`Source`], AWS's SDK, or a
//! lock that another read holds there.

use std::io::Read;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::cancellation::Cancellation;
use super::etag::Etag;
use super::stream::{self, Stream};
use super::unavailable::Unavailable;
use super::{Opened, Source};
use crate::error::{Error, Local, Result};
use crate::limits::{self, ByteLimit};
use crate::object::Object;
use crate::trust::{Fetched, Refusal};

/// A source with limits, deadlines and retries.
#[derive(Clone)]
pub struct Fetcher {
    source: Arc<dyn Source>,
}

/// The waits before the second and third attempt. There is no attempt after the deadline.
const BACKOFF: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(400)];

impl Fetcher {
    /// Wraps a source.
    pub fn new(source: impl Source) -> Self {
        Fetcher { source: Arc::new(source) }
    }

    /// The address of the source, for messages.
    pub fn location(&self) -> String {
        self.source.location()
    }

    /// Reads a whole object of at most `limit` bytes, or fails by the deadline.
    ///
    /// # Errors
    /// [`Refusal::Oversized`] if the object is larger than `limit`; [`Unavailable`] if it cannot be
    /// read, after retries if the failure is transient; [`Local::Io`] if no thread can be started.
    pub fn fetch(&self, object: &Object, limit: ByteLimit, deadline: Instant) -> Result<Fetched> {
        Ok(self.fetch_with_etag(object, limit, deadline)?.0)
    }

    /// [`Fetcher::fetch`], with the entity tag if the source has one.
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
                let why = "unexpected 304 Not Modified to an unconditional request";
                Err(Unavailable::permanent(self.location(), object, why).into())
            }
        }
    }

    /// [`Fetcher::fetch_with_etag`] with `If-None-Match` (RFC 9110 section 13.1.2): `None` if the
    /// object still has the entity tag `known`.
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
                result => return result,
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
        let too_slow = || Unavailable::TooSlow {
            location: self.location(),
            object: object.clone(),
            limit: deadline.saturating_duration_since(started),
        };
        if deadline <= started {
            return Err(too_slow().into());
        }
        let (sender, receiver) = sync_channel(1);
        let known = known.cloned();
        let cancellation = Cancellation::default();
        self.spawn(object, &cancellation, move |source, object, cancellation| {
            let read = source.open_cancellable(object, known.as_ref(), &cancellation).and_then(|opened| {
                let Opened::Object { reader, etag } = opened else { return Ok(None) };
                let mut bytes = Vec::new();
                match reader.take(limit.0 + 1).read_to_end(&mut bytes) {
                    Ok(_) => Ok(Some((bytes, etag))),
                    Err(error) => Err(Unavailable::transient(source.location(), object, error)),
                }
            });
            // Before the result is sent, so that the next read can reuse this read's connection.
            drop(cancellation);
            // Sending fails if the caller has stopped waiting because the deadline has passed.
            drop(sender.send(read));
        })?;
        let read = match receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(read) => read?,
            Err(RecvTimeoutError::Disconnected) => return Err(self.died(object).into()),
            Err(RecvTimeoutError::Timeout) => {
                cancellation.cancel();
                return Err(too_slow().into());
            }
        };
        match read {
            Some((bytes, _)) if bytes.len() as u64 > limit.0 => {
                Err(Refusal::Oversized { object: object.clone(), limit: limit.0 }.into())
            }
            read => Ok(read.map(|(bytes, etag)| (Fetched::new(bytes), etag))),
        }
    }

    /// Begins a download. The stream fails if its rate falls below the minimum rate, and at the
    /// deadline if there is one. The caller bounds its length.
    ///
    /// # Errors
    /// [`Unavailable::TooSlow`] if the deadline has passed already; [`Local::Io`] if no thread can
    /// be started. All other failures are errors of [`Stream::read`](Stream#impl-Read-for-Stream).
    pub fn stream(&self, object: &Object, deadline: Option<Instant>) -> Result<Stream> {
        let too_slow = Unavailable::TooSlow {
            location: self.location(),
            object: object.clone(),
            limit: limits::RATE_WINDOW,
        };
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Err(too_slow.into());
        }
        let (sender, chunks) = stream::channel();
        let cancellation = Cancellation::default();
        self.spawn(object, &cancellation, move |source, object, cancellation| {
            let last = match source.open_cancellable(object, None, &cancellation) {
                Ok(Opened::Object { reader, .. }) => stream::pump(reader, &sender, |error| {
                    Unavailable::transient(source.location(), object, error)
                }),
                // An unexpected 304 to an unconditional request counts as an empty object.
                Ok(Opened::NotModified) => Some(Ok(Vec::new())),
                Err(why) => Some(Err(why)),
            };
            drop(cancellation); // before the end of the stream is sent, as above
            if let Some(last) = last {
                drop(sender.send(last)); // sending fails if the stream was dropped
            }
        })?;
        Ok(Stream::new(chunks, cancellation, deadline, too_slow, self.died(object)))
    }

    /// For a thread that ended without a result: the source panicked. The panic message was
    /// printed.
    fn died(&self, object: &Object) -> Unavailable {
        Unavailable::permanent(self.location(), object, "the reading thread ended without a result")
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
                let path = self.location().into();
                Err(Local::Io { action: "start a thread to read", path, error }.into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::mpsc::SyncSender;

    use super::*;
    use crate::trust::Digest;

    fn failure(error: io::Error) -> Unavailable {
        error.downcast().unwrap()
    }

    /// One byte for each read, without end.
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

    /// Reports each request. Its sender is dropped with the source.
    struct Reporting(SyncSender<()>);

    impl Source for Reporting {
        fn open(&self, _: &Object, _: Option<&Etag>) -> Result<Opened, Unavailable> {
            self.0.send(()).unwrap();
            Ok(Opened::object(io::empty()))
        }

        fn location(&self) -> String {
            "here".into()
        }
    }

    #[test]
    fn no_request_is_sent_after_the_deadline() {
        let (sender, requests) = sync_channel(2);
        let source = Fetcher::new(Reporting(sender));
        let (object, now) = (Object::Blob(Digest::of(b"x")), Instant::now());
        let fetched = source.fetch(&object, limits::MANIFEST, now).map(|_| ());
        for given_up in [fetched, source.stream(&object, Some(now)).map(|_| ())] {
            assert!(matches!(given_up, Err(Error::Unavailable(Unavailable::TooSlow { .. }))), "{given_up:?}");
        }
        drop(source);
        assert!(requests.recv().is_err(), "a request was sent");
    }

    /// Panics after the first bytes.
    struct Faulty;

    impl Read for Faulty {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            panic!("this test's source panics")
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

    /// Otherwise half of a blob would be reported as an attack.
    #[test]
    fn a_source_that_panics_is_not_the_end_of_an_object() {
        let object = Object::Blob(Digest::of(b"half"));
        let mut stream = Fetcher::new(Faulty).stream(&object, None).unwrap();
        let why = failure(stream.read_to_end(&mut Vec::new()).unwrap_err());
        assert!(matches!(&why, Unavailable::Unreachable { retryable: false, .. }), "{why:?}");
    }

    /// The minimum rate would also end the download, but only after its window of 10 s.
    #[test]
    fn a_download_ends_at_its_deadline_whether_bytes_keep_coming_or_not() {
        for interval in [Duration::from_millis(50), Duration::from_secs(3600)] {
            let object = Object::Blob(Digest::of(b"x"));
            let started = Instant::now();
            let deadline = started + Duration::from_millis(300);
            let mut stream = Fetcher::new(Tap(interval)).stream(&object, Some(deadline)).unwrap();
            let why = failure(stream.read_to_end(&mut Vec::new()).unwrap_err());
            let took = started.elapsed();
            assert!(matches!(why, Unavailable::TooSlow { .. }), "{interval:?}: {why:?}");
            assert!(
                Duration::from_millis(300) <= took && took < limits::RATE_WINDOW,
                "{interval:?}: {took:?}"
            );
        }
    }
}
