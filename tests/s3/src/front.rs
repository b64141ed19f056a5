//! What each request passes before s3s sees it, and each answer after.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use s3s::service::S3Service;
use s3s::{Body, HttpRequest, StdError};

use crate::answer;
use crate::body::{Counted, End, drain};
use crate::faults::{Effect, Fault, Faults};
use crate::host::Domains;
use crate::log::{Entry, Log, describe, unescape};
use crate::region::WrongRegion;

pub(crate) struct Front {
    pub(crate) s3: S3Service,
    pub(crate) log: Log,
    pub(crate) faults: Faults,
    pub(crate) domains: Domains,
    pub(crate) region: String,
    pub(crate) wrong_region: WrongRegion,
}

type Answer = Response<Counted<Body>>;

impl Front {
    /// An error closes the connection without an answer.
    pub(crate) async fn answer(
        self: Arc<Self>,
        request: hyper::Request<Incoming>,
        connection: u64,
    ) -> Result<Answer, StdError> {
        let request = request.map(Body::from);
        let (bucket, key) = self.target(&request);
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
        let response = self.serve(request, &entry).await;
        Ok(counted(response, &entry, End::Whole))
    }

    async fn serve(&self, request: HttpRequest, entry: &Entry) -> Response<Body> {
        if let Some(refusal) = self.wrong_region.refuse(&request, &entry.request().bucket, &self.region) {
            drain(request.into_body()).await;
            return refusal;
        }
        match self.s3.call(request).await {
            Ok(response) => response,
            Err(error) => {
                let message = format!("{error:?}");
                answer::error(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", &message, "")
            }
        }
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
                self.serve(request, entry).await;
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
                self.serve(request, entry).await;
                return Err("closed without an answer, as the test asked".into());
            }
            Fault::CloseAfter(bytes) => (self.serve(request, entry).await, End::CloseAfter(*bytes)),
            Fault::Stall => return std::future::pending().await,
            Fault::StallAfter(bytes) => (self.serve(request, entry).await, End::StallAfter(*bytes)),
            Fault::Delay(_) => (self.serve(request, entry).await, End::Whole),
        };
        Ok(counted(response, entry, end))
    }

    /// Bucket and key of a request.
    fn target(&self, request: &HttpRequest) -> (String, String) {
        let path = unescape(request.uri().path());
        let path = path.strip_prefix('/').unwrap_or(&path);
        let host = request.headers().get("host").and_then(|value| value.to_str().ok()).unwrap_or_default();
        match self.domains.bucket(host) {
            Some(bucket) => (bucket, path.into()),
            None => {
                let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
                (bucket.into(), key.into())
            }
        }
    }
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
