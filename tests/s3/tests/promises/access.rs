//! Who may do what, and how a refusal looks.

use std::time::{Duration, SystemTime};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::Region;
use aws_sdk_s3::presigning::PresigningConfig;
use test_s3::{Credentials, Options, Rights, Server, WrongRegion};

use super::{anonymous, client, client_as, config, get, put, raw, refusal, refused};

#[tokio::test]
async fn a_wrong_secret_or_an_unknown_key_is_refused() {
    let server = Server::start(Options::new());
    server.put("a", "x");
    let wrong = Credentials::new(&server.credentials().access_key, "another");
    assert_eq!(refusal(get(&client_as(&server, &wrong), "a").await), refused(403, "SignatureDoesNotMatch"));
    assert_eq!(
        refusal(put(&client_as(&server, &wrong), "a", "y").await),
        refused(403, "SignatureDoesNotMatch")
    );
    let unknown = Credentials::new("UNKNOWN", "another");
    assert_eq!(refusal(get(&client_as(&server, &unknown), "a").await), refused(403, "InvalidAccessKeyId"));
    assert_eq!(server.get("a").unwrap(), b"x");
}

#[tokio::test]
async fn a_session_token_must_come_with_its_key() {
    let key = Credentials::new("TEMPORARY", "secret");
    let server = Server::start(Options::new().credentials(key.clone().session_token("token")));
    server.put("a", "x");
    assert_eq!(get(&client(&server), "a").await.unwrap(), b"x");
    assert_eq!(refusal(get(&client_as(&server, &key), "a").await), refused(403, "InvalidAccessKeyId"));
    let other = key.session_token("other");
    assert_eq!(refusal(get(&client_as(&server, &other), "a").await), refused(400, "InvalidToken"));
}

#[tokio::test]
async fn expired_or_revoked_credentials_are_refused() {
    let past = SystemTime::now() - Duration::from_secs(1);
    let expired = Credentials::new("EXPIRED", "secret").session_token("token").expires(past);
    let server = Server::start(Options::new().credentials(expired));
    server.put("a", "x");
    assert_eq!(refusal(get(&client(&server), "a").await), refused(400, "ExpiredToken"));

    let later = Credentials::new("LATER", "secret");
    server.accept(later.clone());
    assert_eq!(get(&client_as(&server, &later), "a").await.unwrap(), b"x");
    server.revoke("LATER");
    assert_eq!(refusal(get(&client_as(&server, &later), "a").await), refused(403, "InvalidAccessKeyId"));
}

#[tokio::test]
async fn rights_bound_what_a_key_may_do() {
    let writer = Credentials::new("WRITER", "secret").rights(Rights { write: true, ..Rights::NONE });
    let options = Options::new().credentials(Credentials::for_tests()).credentials(Credentials::read_only());
    let server = Server::start(options.credentials(writer.clone()));
    server.put("a", "x");
    let reader = client_as(&server, &Credentials::read_only());
    assert_eq!(get(&reader, "a").await.unwrap(), b"x");
    reader.list_objects_v2().bucket("test").send().await.unwrap();
    assert_eq!(refusal(put(&reader, "b", "y").await), refused(403, "AccessDenied"));
    assert_eq!(
        refusal(reader.create_multipart_upload().bucket("test").key("b").send().await),
        refused(403, "AccessDenied")
    );
    assert_eq!(
        refusal(reader.delete_object().bucket("test").key("a").send().await),
        refused(403, "AccessDenied")
    );
    let writer = client_as(&server, &writer);
    put(&writer, "b", "y").await.unwrap();
    assert_eq!(refusal(get(&writer, "b").await), refused(403, "AccessDenied"));
    assert_eq!(server.keys(""), ["a", "b"]);
}

#[test]
fn without_a_signature_nothing_is_allowed_unless_reading_is() {
    let server = Server::start(Options::new());
    server.put("a", "bytes");
    for (method, path) in
        [("GET", "/test/a"), ("PUT", "/test/b"), ("GET", "/test?list-type=2"), ("DELETE", "/test/a")]
    {
        let answer = anonymous(&server, method, path);
        assert!(answer.starts_with("HTTP/1.1 403 "), "{method} {path}: {answer}");
        assert!(answer.contains("<Code>AccessDenied</Code>"), "{method} {path}: {answer}");
    }

    let server = Server::start(Options::new().anonymous_read(true));
    server.put("a", "bytes");
    let answer = anonymous(&server, "GET", "/test/a");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\nbytes"), "{answer}");
    assert!(anonymous(&server, "HEAD", "/test/a").starts_with("HTTP/1.1 200 "));
    assert!(anonymous(&server, "GET", "/test/absent").starts_with("HTTP/1.1 404 "));
    for (method, path) in
        [("PUT", "/test/b"), ("GET", "/test?list-type=2"), ("DELETE", "/test/a"), ("POST", "/test/a?uploads")]
    {
        let answer = anonymous(&server, method, path);
        assert!(answer.starts_with("HTTP/1.1 403 "), "{method} {path}: {answer}");
    }
    assert_eq!(server.keys(""), ["a"]);
}

#[tokio::test]
async fn where_listing_is_forbidden_an_absent_key_is_forbidden_too() {
    let server = Server::start(Options::new().listing_forbidden(true).anonymous_read(true));
    server.put("a", "x");
    let s3 = client(&server);
    assert_eq!(get(&s3, "a").await.unwrap(), b"x");
    assert_eq!(refusal(get(&s3, "absent").await), refused(403, "AccessDenied"));
    let head = s3.head_object().bucket("test").key("absent").send().await;
    assert_eq!(refusal(head).0, 403);
    assert_eq!(refusal(s3.list_objects_v2().bucket("test").send().await), refused(403, "AccessDenied"));
    assert!(anonymous(&server, "GET", "/test/absent").starts_with("HTTP/1.1 403 "));
    put(&s3, "b", "y").await.unwrap();

    let reader = Credentials::new("READER", "secret").rights(Rights { read: true, ..Rights::NONE });
    let server = Server::start(Options::new().credentials(reader));
    assert_eq!(refusal(get(&client(&server), "absent").await), refused(403, "AccessDenied"));
}

#[tokio::test]
async fn another_region_is_answered_as_the_test_asked() {
    let elsewhere = |server: &Server| {
        let config = config(server, server.credentials()).region(Region::new("us-other-2"));
        Client::from_conf(config.build())
    };
    let server = Server::start(Options::new());
    server.put("a", "x");
    assert_eq!(get(&elsewhere(&server), "a").await.unwrap(), b"x");

    let server = Server::start(Options::new().wrong_region(WrongRegion::Malformed));
    server.put("a", "x");
    let error = get(&elsewhere(&server), "a").await.unwrap_err();
    let body = String::from_utf8_lossy(error.raw_response().unwrap().body().bytes().unwrap()).into_owned();
    assert!(body.contains("the region 'us-other-2' is wrong; expecting 'eu-test-1'"), "{body}");
    assert!(body.contains("<Region>eu-test-1</Region>"), "{body}");
    assert_eq!(refusal::<(), _>(Err(error)), refused(400, "AuthorizationHeaderMalformed"));
    assert_eq!(get(&client(&server), "a").await.unwrap(), b"x");

    let server = Server::start(Options::new().wrong_region(WrongRegion::Redirect));
    let error = get(&elsewhere(&server), "a").await.unwrap_err();
    assert_eq!(error.raw_response().unwrap().headers().get("x-amz-bucket-region"), Some("eu-test-1"));
    assert_eq!(refusal::<(), _>(Err(error)), refused(301, "PermanentRedirect"));
}

#[tokio::test]
async fn a_presigned_url_is_good_for_what_was_signed() {
    let server = Server::start(Options::new());
    server.put("a", "bytes");
    let lifetime = PresigningConfig::expires_in(Duration::from_secs(60)).unwrap();
    let url = client(&server).get_object().bucket("test").key("a").presigned(lifetime).await.unwrap();
    let path = url.uri().split_once(&server.address().to_string()).unwrap().1.to_owned();
    assert!(anonymous(&server, "GET", &path).ends_with("\r\n\r\nbytes"));
    assert!(server.requests()[0].signed);
    assert!(anonymous(&server, "GET", &path.replace("/test/a", "/test/b")).starts_with("HTTP/1.1 403 "));
}

#[tokio::test]
async fn what_the_signature_leaves_out_is_refused() {
    let server = Server::start(Options::new());
    server.put("a", "bytes");
    get(&client(&server), "a").await.unwrap();
    // The same request again, as anybody on the way could send it, is served; with a header of S3's added it is not.
    let request = &server.requests()[0];
    let again = |added: &str| {
        let headers: String =
            request.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        raw(
            &server,
            &format!(
                "GET {}?{} HTTP/1.1\r\n{headers}{added}connection: close\r\n\r\n",
                request.path, request.query
            ),
        )
    };
    assert!(again("").starts_with("HTTP/1.1 200 "), "{}", again(""));
    let answer = again("x-amz-acl: public-read\r\n");
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("not signed: x-amz-acl"), "{answer}");
}
