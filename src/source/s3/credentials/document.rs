//! Credentials as JSON: of a container, a machine, a program.

use std::io::Read;
use std::time::{Duration, SystemTime};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde::Deserialize;
use ureq::AsSendBody;
use ureq::http::Request;
use zeroize::{Zeroize, Zeroizing};

use super::Credentials;
use crate::limits;
use crate::source::http::Session;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    version: Option<u64>,
    access_key_id: String,
    secret_access_key: String,
    #[serde(alias = "SessionToken")]
    token: Option<String>,
    expiration: Option<String>,
}

impl Drop for Document {
    fn drop(&mut self) {
        self.secret_access_key.zeroize();
        self.token.zeroize();
    }
}

/// The credentials in a document, and its version; `None` where it is no such document. What it says instead may hold secrets and is in no
/// error.
pub(super) fn read(json: &[u8], origin: &'static str) -> Option<(Credentials, Option<u64>)> {
    let document: Document = serde_json::from_slice(json).ok()?;
    let expires = match &document.expiration {
        Some(text) => Some(time(text)?),
        None => None,
    };
    let (id, secret) = (&document.access_key_id, &document.secret_access_key);
    let credentials = Credentials::of(id, secret, document.token.as_deref(), expires, origin);
    Some((credentials, document.version))
}

/// `2026-11-23T05:30:00Z`, also with fractions and offsets.
pub(super) fn time(text: &str) -> Option<SystemTime> {
    DateTime::from_str(text, Format::DateTimeWithOffset).ok()?.try_into().ok()
}

/// A small answer within a time: its status, and its content if that is not too long.
pub(super) fn fetch(
    session: &Session,
    request: Result<Request<impl AsSendBody>, ureq::http::Error>,
    connect: Duration,
    limit: Duration,
) -> Result<(u16, Zeroizing<Vec<u8>>), String> {
    let request = request.map_err(|_| "what is set makes no request")?;
    let response = session.send_within(request, connect, limit).map_err(|failed| failed.why)?;
    let status = response.status().as_u16();
    let mut content = Zeroizing::new(Vec::new());
    let most = limits::CREDENTIALS.0;
    let read = response.into_body().into_reader().take(most + 1).read_to_end(&mut content);
    read.map_err(|error| error.to_string())?;
    if content.len() as u64 > most {
        return Err(format!("its answer is longer than {most} bytes"));
    }
    Ok((status, content))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_whole_or_none() {
        let json = br#"{"Code":"Success","AccessKeyId":"A","SecretAccessKey":"S","Token":"T","Expiration":"2026-11-23T05:30:00Z"}"#;
        let expires = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_411_800);
        let expected = Credentials::of("A", "S", Some("T"), Some(expires), "a test");
        assert_eq!(read(json, "a test").unwrap(), (expected, None));
        let json = br#"{"Version":1,"AccessKeyId":"A","SecretAccessKey":"S","SessionToken":"T"}"#;
        let expected = Credentials::of("A", "S", Some("T"), None, "a test");
        assert_eq!(read(json, "a test").unwrap(), (expected, Some(1)));
        for bad in [
            &br#"{"Code":"Failed","Message":"no"}"#[..],
            br#"{"AccessKeyId":"A","SecretAccessKey":"S","Expiration":"soon"}"#,
            br#"{"AccessKeyId":"A"}"#,
            b"[]",
            b"<html>",
        ] {
            assert!(read(bad, "a test").is_none());
        }
    }

    #[test]
    fn times_come_with_fractions_and_offsets() {
        for text in ["2026-11-23T05:30:00Z", "2026-11-23T05:30:00.000Z", "2026-11-23T06:30:00+01:00"] {
            let expected = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_411_800);
            assert_eq!(time(text), Some(expected), "{text}");
        }
    }
}
