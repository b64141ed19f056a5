//! Bodies: read whole within a limit, sent in pieces and counted.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use http_body::{Body as _, Frame, SizeHint};
use hyper::StatusCode;
use s3s::dto::StreamingBlob;
use s3s::stream::{ByteStream, RemainingLength};
use s3s::{Body, S3Error, S3ErrorCode, S3Result, StdError, s3_error};

/// A test's executables are some tens of megabytes; everything is kept in memory.
const LONGEST_OBJECT: usize = 1 << 30;
/// As much is handed to the connection at a time, so that what is counted was nearly sent.
const PIECE: usize = 64 << 10;

/// The whole of a body that a client sends.
pub(crate) async fn read(blob: Option<StreamingBlob>) -> S3Result<Bytes> {
    let Some(mut blob) = blob else { return Ok(Bytes::new()) };
    let mut whole = Vec::with_capacity(blob.remaining_length().exact().unwrap_or(0).min(LONGEST_OBJECT));
    while let Some(piece) = std::future::poll_fn(|cx| Pin::new(&mut blob).poll_next(cx)).await {
        let piece = piece.map_err(refused)?;
        if whole.len() + piece.len() > LONGEST_OBJECT {
            return Err(s3_error!(EntityTooLarge, "more than {LONGEST_OBJECT} bytes"));
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole.into())
}

/// s3s tells of a wrong `x-amz-content-sha256`, a broken aws-chunked body and a lost connection alike.
fn refused(source: StdError) -> S3Error {
    let code = S3ErrorCode::Custom("XAmzContentSHA256Mismatch".into());
    let mut error = S3Error::with_message(code, "The body is not the one that was signed, or is incomplete.");
    error.set_status_code(StatusCode::BAD_REQUEST);
    error.set_source(source);
    error
}

/// Sends `bytes` in pieces.
pub(crate) fn send(bytes: Bytes) -> StreamingBlob {
    StreamingBlob::new(Pieces(bytes))
}

struct Pieces(Bytes);

impl Stream for Pieces {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.0.is_empty() {
            return Poll::Ready(None);
        }
        let length = self.0.len().min(PIECE);
        Poll::Ready(Some(Ok(self.0.split_to(length))))
    }
}

impl ByteStream for Pieces {
    fn remaining_length(&self) -> RemainingLength {
        RemainingLength::new_exact(self.0.len())
    }
}

/// How a body ends.
#[derive(Clone, Copy)]
pub(crate) enum End {
    Whole,
    CloseAfter(u64),
    StallAfter(u64),
}

/// A body that counts what passes, and may end early.
pub(crate) struct Counted<B> {
    inner: Pin<Box<B>>,
    count: Arc<AtomicU64>,
    end: End,
    passed: u64,
    flushed: bool,
}

impl<B> Counted<B> {
    pub(crate) fn new(inner: B, count: Arc<AtomicU64>) -> Self {
        Counted { inner: Box::pin(inner), count, end: End::Whole, passed: 0, flushed: false }
    }

    pub(crate) fn ends(mut self, end: End) -> Self {
        self.end = end;
        self
    }
}

impl<B> http_body::Body for Counted<B>
where
    B: http_body::Body<Data = Bytes, Error = StdError>,
{
    type Data = Bytes;
    type Error = StdError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StdError>>> {
        let left = match self.end {
            End::Whole => u64::MAX,
            End::CloseAfter(bytes) | End::StallAfter(bytes) => bytes - self.passed,
        };
        if left == 0 {
            if let End::StallAfter(_) = self.end {
                return Poll::Pending;
            }
            if !self.flushed {
                // hyper drops what it has not sent when a body fails; it sends it while a body is not ready.
                self.flushed = true;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            return Poll::Ready(Some(Err("closed in the middle, as the test asked".into())));
        }
        let polled = self.inner.as_mut().poll_frame(cx);
        let Poll::Ready(Some(Ok(frame))) = polled else { return polled };
        let frame = match frame.into_data() {
            Ok(mut data) => {
                data.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                self.passed += data.len() as u64;
                self.count.fetch_add(data.len() as u64, Ordering::SeqCst);
                Frame::data(data)
            }
            Err(trailers) => trailers,
        };
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.end, End::Whole) && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Reads and drops what a client still sends, so that it gets to see an early answer.
pub(crate) async fn drain(mut body: Body) {
    while let Some(Ok(_)) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {}
}
