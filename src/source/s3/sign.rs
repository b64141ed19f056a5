//! AWS Signature Version 4, with AWS's own crate.

use std::time::{Duration, SystemTime};

use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode,
};
use aws_sigv4::sign::v4::SigningParams;

use super::access_key::Credentials;

/// The service, region and time that a signature is valid for.
pub(super) struct Scope<'a> {
    pub(super) service: &'static str,
    pub(super) region: &'a str,
    pub(super) time: SystemTime,
}

/// Whether a signature can have this time. AWS's crate panics on years with five digits.
pub(super) fn can_be_signed(time: &SystemTime) -> bool {
    let year = Duration::from_secs(31_556_952);
    time.duration_since(SystemTime::UNIX_EPOCH).is_ok_and(|since| since < year * (9999 - 1970))
}

/// The header fields that sign a request.
///
/// The signature covers `headers` and the fields that SigV4 requires. Proxies may change all
/// others.
pub(super) fn sign(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &[u8],
    credentials: &Credentials,
    scope: &Scope<'_>,
) -> Result<Vec<(&'static str, String)>, String> {
    if !can_be_signed(&scope.time) {
        return Err("this machine's clock is outside of the years that can be signed, 1970 to 9998".into());
    }
    let mut settings = SigningSettings::default();
    if scope.service == "s3" {
        // S3 does not normalise keys, and requires the hash of the body in a header field.
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    // The crate's own messages may quote the credentials.
    let unsignable =
        |_| "cannot sign with these credentials: they contain characters invalid in HTTP headers".to_owned();
    let identity = credentials.for_signing().clone().into();
    let parameters = SigningParams::builder()
        .identity(&identity)
        .region(scope.region)
        .name(scope.service)
        .time(scope.time)
        .settings(settings)
        .build()
        .map_err(|_| "the parameters of the signature are incomplete")?;
    let request = SignableRequest::new(method, url, headers.iter().copied(), SignableBody::Bytes(body));
    let parameters = parameters.into();
    let signed = aws_sigv4::http_request::sign(request.map_err(unsignable)?, &parameters);
    let (headers, _) = signed.map_err(unsignable)?.into_parts().0.into_parts();
    Ok(headers.into_iter().map(|header| (header.name(), header.value().to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature<'a>(headers: &'a [(&'static str, String)]) -> &'a str {
        let (_, value) = headers.iter().find(|(name, _)| *name == "authorization").unwrap();
        value
    }

    /// The example "GET Object" of AWS's documentation, "Signature Calculations for the
    /// Authorization Header".
    #[test]
    fn the_example_of_aws_has_the_documented_signature() {
        let credentials =
            Credentials::new("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", None);
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_369_353_600); // 2013-05-24
        let scope = Scope { service: "s3", region: "us-east-1", time };
        let url = "https://examplebucket.s3.amazonaws.com/test.txt";
        let signed = sign("GET", url, &[("range", "bytes=0-9")], b"", &credentials, &scope).unwrap();
        assert_eq!(
            signature(&signed),
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
             SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, \
             Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855".to_owned();
        assert!(signed.contains(&("x-amz-content-sha256", empty)), "{signed:?}");
        assert!(signed.contains(&("x-amz-date", "20130524T000000Z".into())), "{signed:?}");
    }

    #[test]
    fn credentials_invalid_in_headers_are_an_error_that_does_not_quote_them() {
        let scope = Scope { service: "s3", region: "us-east-1", time: SystemTime::UNIX_EPOCH };
        let credentials = Credentials::new("A", "S", Some("SECRET\r\nX: y"));
        let error = sign("GET", "https://a.example.com/b", &[], b"", &credentials, &scope).unwrap_err();
        assert!(error.contains("invalid in HTTP headers") && !error.contains("SECRET"), "{error}");
    }

    #[test]
    fn a_clock_beyond_the_year_9998_is_an_error() {
        let credentials = Credentials::new("A", "S", None);
        for (seconds, signs) in
            [(0, true), (4_000_000_000, true), (253_402_300_799, false), (u64::MAX / 4, false)]
        {
            let Some(time) = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)) else {
                // Windows cannot represent times after 30828.
                assert!(!cfg!(unix) && !signs, "{seconds}");
                continue;
            };
            let scope = Scope { service: "s3", region: "us-east-1", time };
            assert_eq!(
                sign("GET", "https://a.example.com/b", &[], b"", &credentials, &scope).is_ok(),
                signs,
                "{seconds}"
            );
        }
        let before = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        assert!(!can_be_signed(&before));
    }
}
