//! What each request passes before s3s sees it, and each answer after.

use std::sync::Arc;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::{Response, StatusCode};
use s3s::service::S3Service;
use s3s::{Body, HttpRequest};

use crate::body::Counted;
use crate::log::{Log, describe, unescape};

pub(crate) struct Front {
    pub(crate) s3: S3Service,
    pub(crate) log: Log,
}

/// The connection is closed without an answer.
pub(crate) type Closed = s3s::StdError;

impl Front {
    pub(crate) async fn answer(
        self: Arc<Self>,
        request: hyper::Request<Incoming>,
        connection: u64,
    ) -> Result<Response<Counted<Body>>, Closed> {
        let request = request.map(Body::from);
        let (bucket, key) = self.target(&request);
        let entry = self.log.add(describe(&request, bucket, key, connection));
        let request = request.map(|body| Body::http_body(Counted::new(body, Arc::clone(&entry.received))));
        let response = self.s3.call(request).await.unwrap_or_else(|error| broken(&error));
        entry.answered(response.status().as_u16());
        Ok(response.map(|body| Counted::new(body, Arc::clone(&entry.sent))))
    }

    /// Bucket and key of a request.
    fn target(&self, request: &HttpRequest) -> (String, String) {
        let path = unescape(request.uri().path());
        let path = path.strip_prefix('/').unwrap_or(&path);
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        (bucket.into(), key.into())
    }
}

/// s3s could not even say what went wrong.
fn broken(error: &dyn std::fmt::Debug) -> Response<Body> {
    let mut response = Response::new(Body::from(Bytes::from(format!("{error:?}"))));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}
