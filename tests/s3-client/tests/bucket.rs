//! Promise: an object of a private bucket costs one signed GET; what a bucket says of itself is learned once and not asked for again;
//! what it refuses is told by its own code and without a secret.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use relatch::source::{Credentials, Etag, Object, Opened, ProvideCredentials, S3, Source};
use relatch::{Error, Unavailable};
use test_s3::{Credentials as Accepted, Fault, Options, Rights, Server, When, WrongRegion};

/// Gives these, the next each time; the last for ever.
struct Given(Vec<Credentials>, AtomicUsize);

impl ProvideCredentials for Given {
    fn credentials(&self) -> Result<Credentials, String> {
        let asked = self.1.fetch_add(1, Ordering::SeqCst);
        Ok(self.0[asked.min(self.0.len() - 1)].clone())
    }
}

/// As the server's client would hold them.
fn held(accepted: &Accepted) -> Credentials {
    Credentials::new(&accepted.access_key, &accepted.secret_key, accepted.session_token.as_deref())
}

fn giving(credentials: Vec<Credentials>) -> Given {
    Given(credentials, AtomicUsize::new(0))
}

fn address(server: &Server) -> String {
    format!("s3://{}/demo?region={}&endpoint={}", server.bucket(), server.region(), server.endpoint())
}

fn source_with(server: &Server, credentials: Vec<Credentials>) -> S3 {
    S3::new(&address(server)).unwrap().credentials(giving(credentials))
}

/// With the server's first key pair.
fn source(server: &Server) -> S3 {
    source_with(server, vec![held(server.credentials())])
}

fn news() -> Object {
    Object::Version("stable".parse().unwrap())
}

const KEY: &str = "demo/stable/VERSION";

fn read(source: &S3, object: &Object) -> Result<(String, Option<Etag>), Unavailable> {
    match source.open(object, None)? {
        Opened::Object { mut reader, etag } => {
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            Ok((text, etag))
        }
        Opened::NotModified => panic!("304 to an unconditional request"),
    }
}

#[track_caller]
fn error_of(source: &S3) -> Unavailable {
    read(source, &news()).unwrap_err()
}

/// Told as a matter of the credentials, with the code.
#[track_caller]
fn assert_of_credentials(error: &Unavailable, code: &str) {
    assert!(matches!(error, Unavailable::Credentials { why, .. } if why.contains(code)), "{error:?}");
    assert_eq!(Error::from(error.clone()).exit_code(), 4);
}

#[test]
fn an_object_is_one_signed_get_and_one_that_did_not_change_is_not_sent() {
    let server = Server::start(Options::new());
    server.put(KEY, "1.0.0");
    let source = source(&server);
    let (text, etag) = read(&source, &news()).unwrap();
    assert_eq!(text, "1.0.0");
    let unchanged = source.open(&news(), etag.as_ref()).unwrap();
    assert!(matches!(unchanged, Opened::NotModified));
    let requests = server.requests();
    let seen: Vec<_> = requests.iter().map(|r| (r.method.as_str(), r.key.as_str(), r.status)).collect();
    assert_eq!(seen, [("GET", KEY, Some(200)), ("GET", KEY, Some(304))]);
    assert_eq!(requests[0].header("if-none-match"), None);
    assert_eq!(requests[1].header("if-none-match"), etag.as_ref().map(Etag::as_str));
    assert_eq!(requests[1].bytes_sent, 0);
    for request in &requests {
        let authorization = request.header("authorization").unwrap();
        assert!(
            authorization.contains("SignedHeaders=host;x-amz-content-sha256;x-amz-date,"),
            "{authorization}"
        );
        assert_eq!(request.header("cache-control"), Some("no-cache"));
        assert_eq!(request.header("accept-encoding"), Some("identity"));
    }
}

#[test]
fn keys_that_need_escapes_are_signed_as_they_are_sent() {
    let server = Server::start(Options::new());
    server.put("a=b+c@d,e~f!'(*)&$;:/stable/VERSION", "1.0.0");
    let address = address(&server).replace("/demo", "/a=b+c@d,e~f!'(*)&$;:");
    let source = S3::new(&address).unwrap().credentials(giving(vec![held(server.credentials())]));
    assert_eq!(read(&source, &news()).unwrap().0, "1.0.0");
}

#[test]
fn temporary_credentials_send_their_token_signed() {
    let server =
        Server::start(Options::new().credentials(Accepted::new("ASIA1", "secret").session_token("a/b+c=")));
    server.put(KEY, "1.0.0");
    assert_eq!(read(&source(&server), &news()).unwrap().0, "1.0.0");
    let without = source_with(&server, vec![Credentials::new("ASIA1", "secret", None)]);
    assert_of_credentials(&error_of(&without), "403 InvalidAccessKeyId");
    let other = source_with(&server, vec![Credentials::new("ASIA1", "secret", Some("other"))]);
    assert_of_credentials(&error_of(&other), "InvalidToken");
}

#[test]
fn what_is_wrong_with_the_credentials_is_told_by_the_code_of_s3() {
    let server = Server::start(Options::new());
    server.put(KEY, "1.0.0");
    let known = server.credentials().access_key.clone();
    for (id, code) in
        [(known.as_str(), "403 SignatureDoesNotMatch"), ("AKIAUNKNOWN", "403 InvalidAccessKeyId")]
    {
        let source = source_with(&server, vec![Credentials::new(id, "WRONGSECRET", None)]);
        let error = error_of(&source);
        assert_of_credentials(&error, code);
        assert!(error.to_string().contains("the credentials from this program"), "{error}");
        assert!(!format!("{error:?}").contains("WRONGSECRET"), "{error:?}");
    }
    let source = source_with(&server, vec![Credentials::new("A", "S", Some("with\nSECRET"))]);
    let error = error_of(&source);
    assert!(matches!(error, Unavailable::Credentials { .. }), "{error:?}");
    assert!(!format!("{error:?}").contains("SECRET"), "{error:?}");
}

#[test]
fn a_source_without_credentials_says_why() {
    struct Nothing;
    impl ProvideCredentials for Nothing {
        fn credentials(&self) -> Result<Credentials, String> {
            Err("the vault is\x1b[2J locked".into())
        }
    }
    let server = Server::start(Options::new());
    let error = error_of(&S3::new(&address(&server)).unwrap().credentials(Nothing));
    let why = "the vault is\\u{1b}[2J locked".to_owned();
    assert_eq!(error, Unavailable::Credentials { location: address(&server), why });
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn absent_and_forbidden_are_what_s3_says_they_are() {
    let server = Server::start(Options::new());
    let source = source(&server);
    let location = address(&server);
    let absent = Unavailable::Absent { location: location.clone(), object: news() };
    assert_eq!(error_of(&source), absent);

    let lister_only = Accepted::new("NOREAD", "secret").rights(Rights { list: true, ..Rights::NONE });
    server.accept(lister_only.clone());
    let code = Some("AccessDenied".to_owned());
    let forbidden = Unavailable::Forbidden { location: location.clone(), object: news(), code };
    let error = error_of(&source_with(&server, vec![held(&lister_only)]));
    assert_eq!(error, forbidden);
    assert_eq!(error.to_string(), format!("{location} refuses access to stable/VERSION (AccessDenied)"));

    let blind = Server::start(Options::new().listing_forbidden(true));
    assert!(matches!(error_of(&self::source(&blind)), Unavailable::Forbidden { .. }));

    let elsewhere = location.replace("s3://test/", "s3://other/");
    let source = S3::new(&elsewhere).unwrap().credentials(giving(vec![held(server.credentials())]));
    let code = Some("NoSuchBucket".to_owned());
    assert_eq!(
        error_of(&source),
        Unavailable::Status { location: elsewhere, object: news(), status: 404, code }
    );
}

#[test]
fn a_wrong_region_is_learned_from_the_answer_and_remembered() {
    for answer in [WrongRegion::Malformed, WrongRegion::Redirect] {
        let server = Server::start(Options::new().wrong_region(answer).region("eu-test-7"));
        server.put(KEY, "1.0.0");
        server.put("demo/root/2.json", "root");
        let wrong = address(&server).replace("eu-test-7", "us-east-1");
        let source = S3::new(&wrong).unwrap().credentials(giving(vec![held(server.credentials())]));
        assert_eq!(read(&source, &news()).unwrap().0, "1.0.0");
        assert_eq!(server.requests().len(), 2, "{answer:?}");
        assert_eq!(read(&source, &Object::Root(2)).unwrap().0, "root");
        assert_eq!(server.requests().len(), 3, "{answer:?}");
    }
}

#[test]
fn a_region_that_is_none_is_not_believed_and_no_region_is_tried_for_ever() {
    let server = Server::start(Options::new());
    for region in ["evil.example.com/", "EU", "", &"x".repeat(33)] {
        server.clear_requests();
        server.clear_faults();
        let headers = vec![("x-amz-bucket-region", region.to_owned())];
        server.fault(When::any(), Fault::Answer(301, headers, Vec::new()));
        let error = error_of(&source(&server));
        assert!(matches!(error, Unavailable::Status { status: 301, code: None, .. }), "{error:?}");
        assert_eq!(server.requests().len(), 1, "{region}");
    }
    server.clear_requests();
    server.clear_faults();
    for region in ["eu-one-1", "eu-two-2", "eu-three-3"] {
        let headers = vec![("x-amz-bucket-region", region.to_owned())];
        server.fault(When::any().times(1), Fault::Answer(301, headers, Vec::new()));
    }
    let error = error_of(&source(&server));
    assert!(matches!(error, Unavailable::Status { status: 301, .. }), "{error:?}");
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn other_redirects_are_not_followed() {
    let server = Server::start(Options::new());
    let elsewhere = Server::start(Options::new().anonymous_read(true));
    elsewhere.put(KEY, "elsewhere");
    for status in [301, 302, 303, 307, 308] {
        server.clear_faults();
        let target = format!("{}/test/{KEY}", elsewhere.endpoint());
        server.fault(When::any(), Fault::redirect(status, &target));
        let error = error_of(&source(&server));
        assert!(matches!(error, Unavailable::Status { status: found, .. } if found == status), "{error:?}");
    }
    assert_eq!(elsewhere.requests().len(), 0);
}

/// `Sun, 01 Nov 2026 ..` as S3 would write its clock, and how `x-amz-date` begins.
const CLOCK: (&str, &str) = ("Tue, 01 Nov 2033 12:00:00 GMT", "20331101T12");

#[test]
fn a_clock_that_is_wrong_is_corrected_by_that_of_the_server() {
    let server = Server::start(Options::new());
    let date = vec![("date", CLOCK.0.to_owned())];
    let skewed = b"<Error><Code>RequestTimeTooSkewed</Code></Error>".to_vec();
    server.fault(When::any().times(1), Fault::Answer(403, date, skewed.clone()));
    server.fault(When::any().times(2), Fault::Answer(200, Vec::new(), b"1.0.0".to_vec()));
    let source = source(&server);
    for _ in 0..2 {
        assert_eq!(read(&source, &news()).unwrap().0, "1.0.0");
    }
    let requests = server.requests();
    let dates: Vec<_> = requests.iter().map(|request| request.header("x-amz-date").unwrap()).collect();
    assert_eq!(dates.len(), 3);
    assert!(!dates[0].starts_with("2033"), "{dates:?}");
    assert!(dates[1].starts_with(CLOCK.1) && dates[2].starts_with(CLOCK.1), "{dates:?}");

    // A time that no signature can have is no clock.
    for date in [
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Fri, 31 Dec 9999 23:59:59.999 GMT",
        "Thu, 01 Jan 1960 00:00:00 GMT",
    ] {
        server.clear_requests();
        server.clear_faults();
        server.fault(When::any(), Fault::Answer(403, vec![("date", date.into())], skewed.clone()));
        let source = self::source(&server);
        for _ in 0..2 {
            assert_of_credentials(&error_of(&source), "RequestTimeTooSkewed");
        }
        assert_eq!(server.requests().len(), 2, "{date}");
    }

    // With the right clock it is not asked again, and what stays wrong is told.
    server.clear_requests();
    server.clear_faults();
    server.fault(When::any(), Fault::Answer(403, Vec::new(), skewed));
    assert_of_credentials(&error_of(&self::source(&server)), "RequestTimeTooSkewed");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn expired_credentials_are_fetched_again_once() {
    let server = Server::start(Options::new());
    server.put(KEY, "1.0.0");
    let expired = Accepted::new("ASIAOLD", "OLDSECRET").session_token("OLDTOKEN");
    server.accept(expired.clone().expires(SystemTime::now() - Duration::from_secs(60)));
    let fresh = held(server.credentials());
    let provider = Arc::new(giving(vec![held(&expired), fresh]));
    struct Shared(Arc<Given>);
    impl ProvideCredentials for Shared {
        fn credentials(&self) -> Result<Credentials, String> {
            self.0.credentials()
        }
    }
    let source = S3::new(&address(&server)).unwrap().credentials(Shared(Arc::clone(&provider)));
    for _ in 0..3 {
        assert_eq!(read(&source, &news()).unwrap().0, "1.0.0");
    }
    assert_eq!((provider.1.load(Ordering::SeqCst), server.requests().len()), (2, 4));

    server.clear_requests();
    let error = error_of(&source_with(&server, vec![held(&expired)]));
    assert_of_credentials(&error, "400 ExpiredToken");
    assert_eq!(server.requests().len(), 2);
    assert!(!format!("{error:?}").contains("OLD"), "{error:?}");
}

#[test]
fn credentials_that_are_known_to_end_are_not_used_until_s3_says_so() {
    let server = Server::start(Options::new());
    server.put(KEY, "1.0.0");
    let fresh = held(server.credentials()).expiring(SystemTime::now() + Duration::from_secs(3600));
    let ending = Credentials::new("ASIAOLD", "OLDSECRET", None).expiring(SystemTime::now());
    let provider = giving(vec![fresh.clone(), ending]);
    let source = S3::new(&address(&server)).unwrap().credentials(provider);
    for _ in 0..3 {
        assert_eq!(read(&source, &news()).unwrap().0, "1.0.0");
    }
    assert_eq!(format!("{fresh:?}"), "Credentials { .. }");
}

#[test]
fn errors_of_the_service_keep_their_status_and_code() {
    let server = Server::start(Options::new());
    let source = source(&server);
    for (fault, status, code) in [
        (Fault::SLOW_DOWN, 503, Some("SlowDown")),
        (Fault::INTERNAL_ERROR, 500, Some("InternalError")),
        (Fault::Error(400, "InvalidBucketName"), 400, Some("InvalidBucketName")),
        (Fault::Answer(400, Vec::new(), b"<html>no</html>".to_vec()), 400, None),
        (Fault::Answer(502, Vec::new(), b"<a>".repeat(5000)), 502, None),
        (Fault::Answer(418, Vec::new(), vec![b'x'; 1024 * 1024]), 418, None),
        (Fault::Answer(204, Vec::new(), Vec::new()), 204, None),
        (Fault::Answer(206, Vec::new(), b"1.0".to_vec()), 206, None),
        (Fault::Answer(304, Vec::new(), Vec::new()), 304, None),
    ] {
        server.clear_faults();
        server.fault(When::any(), fault);
        let error = error_of(&source);
        let expected = Unavailable::Status {
            location: address(&server),
            object: news(),
            status,
            code: code.map(str::to_owned),
        };
        assert_eq!(error, expected);
        assert_eq!(error.is_transient(), status >= 500);
    }
    server.clear_faults();
    server.fault(When::any(), Fault::Answer(403, Vec::new(), b"<html>blocked</html>".to_vec()));
    assert!(matches!(error_of(&source), Unavailable::Forbidden { code: None, .. }));
}

#[test]
fn nothing_shows_a_secret() {
    let server = Server::start(Options::new());
    let shown = format!("{:?}", source(&server));
    assert_eq!(shown, format!("S3({:?})", address(&server)));
    let credentials = held(&Accepted::new("AKIAID", "SECRET").session_token("TOKEN"));
    let shown = format!("{credentials:?}");
    assert!(!shown.contains("SECRET") && !shown.contains("TOKEN") && !shown.contains("AKIAID"), "{shown}");
}
