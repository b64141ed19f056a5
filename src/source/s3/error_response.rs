//! S3's error responses.

use std::io::Read;
use std::str;
use std::time::SystemTime;

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use roxmltree::Document;
use ureq::Body;
use ureq::http::{Response, header};

use super::region::is_region;
use super::xml::{child, code_in};
use crate::limits;
use crate::object::Object;
use crate::source::unavailable::Unavailable;

/// A response without an object.
pub(super) struct ErrorResponse {
    pub(super) status: u16,
    /// S3's error code.
    pub(super) code: Option<String>,
    /// The bucket's region, if the response names it.
    pub(super) region: Option<String>,
    /// The server's time, from the `Date` header field.
    pub(super) time: Option<SystemTime>,
}

/// Error codes that concern the credentials and not the object.
const CREDENTIAL_CODES: [(&str, &str); 10] = [
    ("AuthorizationHeaderMalformed", "the access key ID or the region is malformed"),
    ("ExpiredToken", "they have expired"),
    ("InvalidAccessKeyId", "unknown access key ID"),
    ("InvalidClientTokenId", "unknown access key ID"),
    ("InvalidToken", "invalid session token"),
    ("RequestExpired", "they have expired, or this machine's clock is slow"),
    ("RequestTimeTooSkewed", "this machine's clock is wrong"),
    (
        "SignatureDoesNotMatch",
        "the secret access key does not match the access key ID, or a proxy changed the request",
    ),
    ("TokenRefreshRequired", "they have expired"),
    ("UnrecognizedClientException", "unknown access key ID"),
];

impl ErrorResponse {
    /// Reads at most [`limits::S3_ERROR`] bytes of the body. Values that cannot be parsed are
    /// `None`.
    pub(super) fn read(response: Response<Body>) -> Self {
        let text = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        let in_header = text("x-amz-bucket-region").map(str::to_owned);
        let date = text(header::DATE.as_str());
        let time = date.and_then(|date| DateTime::from_str(date, Format::HttpDate).ok()?.try_into().ok());
        let status = response.status().as_u16();
        let mut body = Vec::new();
        // A truncated body is not valid XML, so that only the header fields count.
        drop(response.into_body().into_reader().take(limits::S3_ERROR.0).read_to_end(&mut body));
        let xml = str::from_utf8(&body).unwrap_or_default();
        let document = Document::parse(xml).ok();
        let in_body = document.as_ref().and_then(|document| child(document.root_element(), "Region"));
        let region = in_header.or_else(|| in_body.map(str::to_owned)).filter(|region| is_region(region));
        ErrorResponse { status, code: code_in(xml), region, time }
    }

    pub(super) fn has_code(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    /// `origin` is the source of the credentials that the request was signed with.
    pub(super) fn into_unavailable(self, location: String, object: &Object, origin: &str) -> Unavailable {
        let object = object.clone();
        let ErrorResponse { status, code, .. } = self;
        let credentials = CREDENTIAL_CODES.iter().find(|(known, _)| Some(*known) == code.as_deref());
        match (status, credentials) {
            (400 | 401 | 403, Some((code, meaning))) => {
                let why = format!(
                    "the server answered {status} {code} to the credentials from {origin}: {meaning}"
                );
                Unavailable::Credentials { location, why }
            }
            (403, None) => Unavailable::Forbidden { location, object, code },
            (404 | 410, _) if code.as_deref() != Some("NoSuchBucket") => {
                Unavailable::Absent { location, object }
            }
            _ => Unavailable::Status { location, object, status, code },
        }
    }
}
