//! What each request passes before s3s sees it, and each answer after.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use hyper::body::Incoming;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use s3s::dto::{Timestamp, TimestampFormat};
use s3s::{Body, HttpRequest, StdError};

use crate::answer;
use crate::body::{Counted, End, drain};
use crate::faults::{Effect, Fault, Faults, When};
use crate::log::{Entry, Log, Request, describe};

/// What answers where nothing goes wrong.
pub(crate) trait Backend: Send + Sync + 'static {
    /// Bucket and key of a request, for the log.
    fn target(&self, request: &HttpRequest) -> (String, String);

    /// The answer.
    fn serve(&self, request: HttpRequest, described: &Request)
    -> impl Future<Output = Response<Body>> + Send;
}

pub(crate) struct Front<B> {
    backend: B,
    pub(crate) log: Log,
    pub(crate) faults: Faults,
    /// How far the server's clock is ahead, in seconds.
    pub(crate) ahead: AtomicI64,
}

type Answer = Response<Counted<Body>>;

impl<B: Backend> Front<B> {
    pub(crate) fn new(backend: B) -> Self {
        Front { backend, log: Log::default(), faults: Faults::default(), ahead: AtomicI64::new(0) }
    }

    pub(crate) fn fault(&self, when: When, fault: Fault) {
        self.faults.add(when, Effect::Fault(fault));
    }

    /// An error closes the connection without an answer.
    pub(crate) async fn answer(
        self: Arc<Self>,
        request: hyper::Request<Incoming>,
        connection: u64,
    ) -> Result<Answer, StdError> {
        let request = request.map(Body::from);
        let (bucket, key) = self.backend.target(&request);
        let entry = self.log.add(describe(&request, bucket, key, connection));
        let request = request.map(|body| Body::http_body(Counted::new(body, Arc::clone(&entry.received))));
        for effect in self.faults.take(entry.request()) {
            match effect {
                Effect::Hold(gate) => gate.pass().await,
                Effect::Run(act) => {
                    let entry = Arc::clone(&entry);
                    // It may wait; a panic in it is a test's own failure, and shows as a closed connection.
                    tokio::task::spawn_blocking(move || act(entry.request())).await?;
                }
                Effect::Fault(Fault::Delay(delay)) => tokio::time::sleep(delay).await,
                Effect::Fault(fault) => return self.misbehave(&fault, request, &entry).await,
            }
        }
        let mut response = self.backend.serve(request, entry.request()).await;
        let ahead = self.ahead.load(Ordering::SeqCst);
        if ahead != 0 {
            response.headers_mut().insert("date", http_date(ahead)?);
        }
        Ok(counted(response, &entry, End::Whole))
    }

    async fn misbehave(
        &self,
        fault: &Fault,
        request: HttpRequest,
        entry: &Arc<Entry>,
    ) -> Result<Answer, StdError> {
        let (response, end) = match fault {
            Fault::Error(status, code) => {
                drain(request.into_body()).await;
                (injected(*status, code), End::Whole)
            }
            Fault::ErrorAfterEffect(status, code) => {
                self.backend.serve(request, entry.request()).await;
                (injected(*status, code), End::Whole)
            }
            Fault::Answer(status, headers, body) => {
                drain(request.into_body()).await;
                let mut response = Response::new(Body::from(body.clone()));
                *response.status_mut() = status_of(*status);
                for (name, value) in headers {
                    response
                        .headers_mut()
                        .insert(HeaderName::from_static(name), HeaderValue::from_str(value)?);
                }
                (response, End::Whole)
            }
            Fault::Close => return Err("closed without an answer, as the test asked".into()),
            Fault::CloseAfterEffect => {
                self.backend.serve(request, entry.request()).await;
                return Err("closed without an answer, as the test asked".into());
            }
            Fault::CloseAfter(bytes) => {
                (self.backend.serve(request, entry.request()).await, End::CloseAfter(*bytes))
            }
            Fault::Stall => return std::future::pending().await,
            Fault::StallAfter(bytes) => {
                (self.backend.serve(request, entry.request()).await, End::StallAfter(*bytes))
            }
            Fault::Delay(_) => (self.backend.serve(request, entry.request()).await, End::Whole),
        };
        Ok(counted(response, entry, end))
    }
}

/// The time with that many seconds added, as a header.
fn http_date(ahead: i64) -> Result<HeaderValue, StdError> {
    let now = SystemTime::now();
    let shift = Duration::from_secs(ahead.unsigned_abs());
    let mut text = Vec::new();
    Timestamp::from(if ahead < 0 { now - shift } else { now + shift })
        .format(TimestampFormat::HttpDate, &mut text)?;
    Ok(HeaderValue::from_bytes(&text)?)
}

fn counted(mut response: Response<Body>, entry: &Arc<Entry>, end: End) -> Answer {
    entry.answered(response.status().as_u16());
    if let Ok(id) = format!("{:016X}", entry.number).parse() {
        response.headers_mut().insert("x-amz-request-id", id);
    }
    response.map(|body| Counted::new(body, Arc::clone(&entry.sent)).ends(end))
}

fn injected(status: u16, code: &str) -> Response<Body> {
    answer::error(status_of(status), code, "The test asked for this answer.", "")
}

fn status_of(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
