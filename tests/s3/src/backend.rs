//! S3 behind the front: which region a request is for, then s3s.

use std::sync::Arc;

use hyper::header::CONTENT_TYPE;
use hyper::{Response, StatusCode};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, HttpRequest};

use crate::access::{Access, Auth};
use crate::answer;
use crate::body::drain;
use crate::credentials::Keyring;
use crate::front::Backend;
use crate::host::Domains;
use crate::log::{Request, unescape};
use crate::options::Options;
use crate::region::WrongRegion;
use crate::s3::{Gaps, Operations};
use crate::store::Store;
use crate::uploads::Uploads;

pub(crate) struct S3Backend {
    s3: S3Service,
    domains: Domains,
    region: String,
    wrong_region: WrongRegion,
}

impl S3Backend {
    pub(crate) fn new(options: &Options, store: &Arc<Store>, keyring: &Arc<Keyring>) -> Self {
        let mut builder = S3ServiceBuilder::new(Operations {
            store: Arc::clone(store),
            uploads: Uploads::default(),
            conditions: options.conditions,
            gaps: Gaps::default(),
            region: options.region.clone(),
        });
        builder.set_auth(Auth(Arc::clone(keyring)));
        builder.set_access(Access {
            keyring: Arc::clone(keyring),
            anonymous_read: options.anonymous_read,
            anonymous_list: options.anonymous_list,
            listing_forbidden: options.listing_forbidden,
        });
        builder.set_host(options.domains());
        S3Backend {
            s3: builder.build(),
            domains: options.domains(),
            region: options.region.clone(),
            wrong_region: options.wrong_region,
        }
    }
}

impl Backend for S3Backend {
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

    async fn serve(&self, request: HttpRequest, described: &Request) -> Response<Body> {
        if let Some(refusal) = self.wrong_region.refuse(&request, &described.bucket, &self.region) {
            drain(request.into_body()).await;
            return refusal;
        }
        match self.s3.call(request).await {
            Ok(response) if response.status() == StatusCode::NOT_MODIFIED => {
                let (mut parts, _) = response.into_parts();
                parts.headers.remove(CONTENT_TYPE);
                Response::from_parts(parts, Body::empty())
            }
            Ok(response) => response,
            Err(error) => {
                let message = format!("{error:?}");
                answer::error(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", &message, "")
            }
        }
    }
}
