//! AWS Signature Version 4, by AWS's own crate.

use std::time::{Duration, SystemTime};

use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode,
};
use aws_sigv4::sign::v4::SigningParams;

use super::Credentials;

/// What a signature is good for.
pub(super) struct Scope<'a> {
    pub(super) service: &'static str,
    pub(super) region: &'a str,
    pub(super) time: SystemTime,
}

/// Whether signatures can have this time. The crate that writes it knows no five-digit years, and panics.
pub(super) fn can_be_signed(time: &SystemTime) -> bool {
    let year = Duration::from_secs(31_556_952);
    time.duration_since(SystemTime::UNIX_EPOCH).is_ok_and(|since| since < year * (9999 - 1970))
}

/// The headers that sign a request. Of its own headers those given here are signed too; all others may be changed on the way.
pub(super) fn sign(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &[u8],
    credentials: &Credentials,
    scope: &Scope<'_>,
) -> Result<Vec<(&'static str, String)>, String> {
    if !can_be_signed(&scope.time) {
        return Err("nothing can be signed at the time that this machine's clock shows".into());
    }
    let mut settings = SigningSettings::default();
    if scope.service == "s3" {
        // S3 takes keys as they are, and wants the hash of the body in a header.
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    // What the crate says of a failure may quote what it failed on.
    let failed = |_| "these credentials make no signature: they hold what no header can".to_owned();
    let identity = credentials.for_signing().clone().into();
    let parameters = SigningParams::builder()
        .identity(&identity)
        .region(scope.region)
        .name(scope.service)
        .time(scope.time)
        .settings(settings)
        .build()
        .map_err(|_| "a part of the signature is missing")?;
    let request = SignableRequest::new(method, url, headers.iter().copied(), SignableBody::Bytes(body));
    let parameters = parameters.into();
    let signed = aws_sigv4::http_request::sign(request.map_err(failed)?, &parameters).map_err(failed)?;
    let (headers, _) = signed.into_parts().0.into_parts();
    Ok(headers.into_iter().map(|header| (header.name(), header.value().to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature<'a>(headers: &'a [(&'static str, String)]) -> &'a str {
        let (_, value) = headers.iter().find(|(name, _)| *name == "authorization").unwrap();
        value
    }

    /// The example of AWS's documentation, "Signature Calculations for the Authorization Header", GET object.
    #[test]
    fn the_example_of_aws_is_signed_as_aws_signs_it() {
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
    fn what_no_header_can_hold_is_an_error_without_it() {
        let scope = Scope { service: "s3", region: "us-east-1", time: SystemTime::UNIX_EPOCH };
        let credentials = Credentials::new("A", "S", Some("SECRET\r\nX: y"));
        let error = sign("GET", "https://a.example.com/b", &[], b"", &credentials, &scope).unwrap_err();
        assert!(error.contains("make no signature") && !error.contains("SECRET"), "{error}");
    }

    #[test]
    fn a_clock_at_the_end_of_time_is_an_error() {
        let credentials = Credentials::new("A", "S", None);
        for (seconds, signs) in
            [(0, true), (4_000_000_000, true), (253_402_300_799, false), (u64::MAX / 4, false)]
        {
            let Some(time) = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)) else {
                assert!(!cfg!(unix) && !signs, "{seconds}"); // Windows' times end in the year 30828
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
