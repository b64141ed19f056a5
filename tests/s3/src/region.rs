//! A request signed for another region than the bucket's.

use hyper::{Response, StatusCode};
use s3s::{Body, HttpRequest};

use crate::answer::{self, text};
use crate::log::credential;

/// What a request that was signed for another region is answered with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WrongRegion {
    /// As if it were the right one, as many stores do.
    #[default]
    Served,
    /// 400 `AuthorizationHeaderMalformed` that names the right one, as AWS's regional endpoints do.
    Malformed,
    /// 301 `PermanentRedirect` with `x-amz-bucket-region`, as AWS does at another region's endpoint.
    Redirect,
}

impl WrongRegion {
    /// The refusal of a request that is for another region than `expected`.
    pub(crate) fn refuse(
        self,
        request: &HttpRequest,
        bucket: &str,
        expected: &str,
    ) -> Option<Response<Body>> {
        let authorization = request.headers().get("authorization").and_then(|value| value.to_str().ok());
        let scope = credential(authorization, request.uri().query().unwrap_or_default())?;
        let signed_for = scope.split('/').nth(2).filter(|region| *region != expected)?;
        let (status, code, message, element) = match self {
            WrongRegion::Served => return None,
            WrongRegion::Malformed => (
                StatusCode::BAD_REQUEST,
                "AuthorizationHeaderMalformed",
                format!("The authorization header is malformed; the region '{signed_for}' is wrong; expecting '{expected}'"),
                format!("<Region>{}</Region>", text(expected)),
            ),
            WrongRegion::Redirect => (
                StatusCode::MOVED_PERMANENTLY,
                "PermanentRedirect",
                "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future \
                 requests to this endpoint."
                    .into(),
                format!("<Endpoint>s3.{0}.test</Endpoint><Bucket>{1}</Bucket>", text(expected), text(bucket)),
            ),
        };
        let mut response = answer::error(status, code, &message, &element);
        if let Ok(region) = expected.parse() {
            response.headers_mut().insert("x-amz-bucket-region", region);
        }
        Some(response)
    }
}
