//! Credentials in JSON, as a container, the instance metadata or a program returns them.

use std::time::SystemTime;

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde::Deserialize;
use zeroize::Zeroize;

use crate::source::s3::access_key::Credentials;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CredentialsJson {
    version: Option<u64>,
    access_key_id: String,
    secret_access_key: String,
    #[serde(alias = "SessionToken")]
    token: Option<String>,
    expiration: Option<String>,
}

impl Drop for CredentialsJson {
    fn drop(&mut self) {
        self.secret_access_key.zeroize();
        self.token.zeroize();
    }
}

/// The credentials in a JSON document, and its `Version`; `None` if it does not have this form. No
/// error quotes the document, because it may contain secrets.
pub(super) fn parse(json: &[u8], origin: &'static str) -> Option<(Credentials, Option<u64>)> {
    let found: CredentialsJson = serde_json::from_slice(json).ok()?;
    let expires = match &found.expiration {
        Some(text) => Some(parse_time(text)?),
        None => None,
    };
    let (id, secret) = (&found.access_key_id, &found.secret_access_key);
    let credentials = Credentials::of(id, secret, found.token.as_deref(), expires, origin);
    Some((credentials, found.version))
}

/// A time such as `2026-11-23T05:30:00Z`, also with a fraction or an offset (RFC 3339).
pub(super) fn parse_time(text: &str) -> Option<SystemTime> {
    DateTime::from_str(text, Format::DateTimeWithOffset).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_document_is_complete_or_refused() {
        let json = br#"{"Code":"Success","AccessKeyId":"A","SecretAccessKey":"S","Token":"T","Expiration":"2026-11-23T05:30:00Z"}"#;
        let expires = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_411_800);
        let expected = Credentials::of("A", "S", Some("T"), Some(expires), "a test");
        assert_eq!(parse(json, "a test").unwrap(), (expected, None));
        let json = br#"{"Version":1,"AccessKeyId":"A","SecretAccessKey":"S","SessionToken":"T"}"#;
        let expected = Credentials::of("A", "S", Some("T"), None, "a test");
        assert_eq!(parse(json, "a test").unwrap(), (expected, Some(1)));
        for bad in [
            &br#"{"Code":"Failed","Message":"no"}"#[..],
            br#"{"AccessKeyId":"A","SecretAccessKey":"S","Expiration":"soon"}"#,
            br#"{"AccessKeyId":"A"}"#,
            b"[]",
            b"<html>",
        ] {
            assert!(parse(bad, "a test").is_none());
        }
    }

    #[test]
    fn times_may_have_fractions_and_offsets() {
        for text in ["2026-11-23T05:30:00Z", "2026-11-23T05:30:00.000Z", "2026-11-23T06:30:00+01:00"] {
            let expected = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_411_800);
            assert_eq!(parse_time(text), Some(expected), "{text}");
        }
    }
}
