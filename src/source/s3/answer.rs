//! What S3 says where it does not give the object.

use std::io::Read;
use std::str;
use std::time::SystemTime;

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use roxmltree::{Document, Node};
use ureq::Body;
use ureq::http::{Response, header};

use super::Unavailable;
use super::address::is_region;
use crate::limits;
use crate::source::Object;

/// An answer without an object.
pub(super) struct Answer {
    pub(super) status: u16,
    /// What S3 calls it.
    pub(super) code: Option<String>,
    /// Where the bucket is, if it says so.
    pub(super) region: Option<String>,
    /// By the server's clock.
    pub(super) time: Option<SystemTime>,
}

/// Codes that say something about the credentials, and nothing about the object.
const OF_CREDENTIALS: [(&str, &str); 10] = [
    ("AuthorizationHeaderMalformed", "the key or the region has a wrong form"),
    ("ExpiredToken", "they have expired"),
    ("InvalidAccessKeyId", "the access key id is not known there"),
    ("InvalidClientTokenId", "the access key id is not known there"),
    ("InvalidToken", "the session token is not valid"),
    ("RequestExpired", "they or this machine's clock are too old"),
    ("RequestTimeTooSkewed", "this machine's clock is wrong"),
    (
        "SignatureDoesNotMatch",
        "the secret key does not belong to the access key id, or a proxy changed the request",
    ),
    ("TokenRefreshRequired", "they have expired"),
    ("UnrecognizedClientException", "the access key id is not known there"),
];

impl Answer {
    /// Reads no more than it needs; what cannot be read says nothing.
    pub(super) fn read(response: Response<Body>) -> Self {
        let text = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        let named = text("x-amz-bucket-region").map(str::to_owned);
        let date = text(header::DATE.as_str());
        let time = date.and_then(|date| DateTime::from_str(date, Format::HttpDate).ok()?.try_into().ok());
        let status = response.status().as_u16();
        let mut body = Vec::new();
        // A body that breaks off is one that says nothing more.
        drop(response.into_body().into_reader().take(limits::S3_ERROR.0).read_to_end(&mut body));
        let xml = str::from_utf8(&body).unwrap_or_default();
        let document = Document::parse(xml).ok();
        let in_body = document.as_ref().and_then(|document| child(document.root_element(), "Region"));
        let region = named.or_else(|| in_body.map(str::to_owned)).filter(|region| is_region(region));
        Answer { status, code: code_in(xml), region, time }
    }

    pub(super) fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    /// As an error for people.
    pub(super) fn told(self, location: String, object: &Object, origin: &str) -> Unavailable {
        let object = object.clone();
        let Answer { status, code, .. } = self;
        let of_credentials = OF_CREDENTIALS.iter().find(|(of, _)| Some(*of) == code.as_deref());
        match (status, of_credentials) {
            (400 | 401 | 403, Some((code, meaning))) => {
                let why = format!("it answers {status} {code} to those of {origin}: {meaning}");
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

/// The text of a child element.
pub(super) fn child<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    node.children().find(|child| child.tag_name().name() == name)?.text().map(str::trim)
}

/// What the error in `xml` is called; by S3 `<Error><Code>`, by the token service one element deeper.
pub(super) fn code_in(xml: &str) -> Option<String> {
    let document = Document::parse(xml).ok()?;
    let error = document.descendants().find(|node| node.tag_name().name() == "Error")?;
    let is_code = |code: &&str| {
        (1..=64).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.')
    };
    child(error, "Code").filter(is_code).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_a_code_that_can_be_printed_or_none() {
        for (xml, code) in [
            (
                "<?xml version=\"1.0\"?>\n<Error><Code>NoSuchKey</Code><Message>SECRET</Message></Error>",
                Some("NoSuchKey"),
            ),
            (
                "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>AccessDenied</Code></Error></ErrorResponse>",
                Some("AccessDenied"),
            ),
            ("<Error><Code>\u{1b}[2J</Code></Error>", None),
            ("<Error><Code>a b</Code></Error>", None),
            ("<Error><Code/></Error>", None),
            ("<!DOCTYPE html><html><Error><Code>A</Code></Error></html>", None),
            ("<Error><Code>NoSuchKey", None),
            ("", None),
        ] {
            assert_eq!(code_in(xml).as_deref(), code, "{xml}");
        }
    }
}
