//! Credentials are handed out to whom the test allows it, and are good for the S3 server.

use std::time::Duration;

use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials as SdkCredentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_sdk_sts::config::retry::RetryConfig;
use aws_sdk_sts::config::{BehaviorVersion, Region};
use test_s3::{Credentials, Fault, Identity, Options, Rights, Server, When};

use super::{LONG, client_as, get, put, raw_at, refusal, refused};

const ROLE: &str = "arn:aws:iam::000000000000:role/publisher";

fn scene() -> (Server, Identity) {
    let server = Server::start(Options::new());
    server.put("a", "bytes");
    let identity = Identity::start(&server);
    (server, identity)
}

fn sts(identity: &Identity, credentials: Option<&Credentials>) -> aws_sdk_sts::Client {
    let mut config = aws_sdk_sts::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-test-1"))
        .endpoint_url(identity.endpoint())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(RetryConfig::disabled());
    if let Some(known) = credentials {
        let token = known.session_token.clone();
        config = config.credentials_provider(SdkCredentials::new(
            &known.access_key,
            &known.secret_key,
            token,
            None,
            "test",
        ));
    }
    aws_sdk_sts::Client::from_conf(config.build())
}

fn pair(issued: &aws_sdk_sts::types::Credentials) -> Credentials {
    Credentials::new(issued.access_key_id(), issued.secret_access_key()).session_token(issued.session_token())
}

fn pair_of(issued: &SdkCredentials) -> Credentials {
    let pair = Credentials::new(issued.access_key_id(), issued.secret_access_key());
    pair.session_token(issued.session_token().unwrap())
}

#[tokio::test]
async fn a_web_identity_takes_the_role_it_may_take() {
    let (server, identity) = scene();
    identity.allow_web_identity("ey.token+/=", ROLE);
    identity.rights(Rights::READ);
    let sts = sts(&identity, None);
    let take = |token: &str, role: &str| {
        let request = sts.assume_role_with_web_identity().role_arn(role).role_session_name("ci-1");
        request.web_identity_token(token).duration_seconds(900).send()
    };
    let taken = take("ey.token+/=", ROLE).await.unwrap();
    let issued = taken.credentials().unwrap();
    let left = issued.expiration().secs()
        - aws_sdk_sts::primitives::DateTime::from(std::time::SystemTime::now()).secs();
    assert!((800..=900).contains(&left), "{left}");
    let s3 = client_as(&server, &pair(issued));
    assert_eq!(get(&s3, "a").await.unwrap(), b"bytes");
    assert_eq!(refusal(put(&s3, "a", "x").await), refused(403, "AccessDenied"));

    assert_eq!(refusal(take("other", ROLE).await), refused(400, "InvalidIdentityToken"));
    let elsewhere = take("ey.token+/=", "arn:aws:iam::000000000000:role/admin").await;
    assert_eq!(refusal(elsewhere), refused(403, "AccessDenied"));
    assert_eq!(identity.issued().len(), 1);
    assert_eq!(identity.requests().iter().filter(|request| request.signed).count(), 0);
}

#[tokio::test]
async fn a_role_is_assumed_with_a_valid_signature_of_whom_may() {
    let (server, identity) = scene();
    let allowed = server.credentials().clone();
    identity.allow_assume_role(&allowed.access_key, ROLE);
    let take = async |credentials: &Credentials, name: &str| {
        let sts = sts(&identity, Some(credentials));
        sts.assume_role().role_arn(ROLE).role_session_name(name).send().await
    };
    let taken = take(&allowed, "ci@1").await.unwrap();
    let temporary = pair(taken.credentials().unwrap());
    assert_eq!(get(&client_as(&server, &temporary), "a").await.unwrap(), b"bytes");

    let wrong = Credentials::new(&allowed.access_key, "another secret");
    assert_eq!(refusal(take(&wrong, "ci").await), refused(403, "SignatureDoesNotMatch"));
    let unknown = Credentials::new("UNKNOWN", "secret");
    assert_eq!(refusal(take(&unknown, "ci").await), refused(403, "InvalidClientTokenId"));
    // Known and signed, but not allowed; and from there with the session token left out.
    assert_eq!(refusal(take(&temporary, "ci").await), refused(403, "AccessDenied"));
    let tokenless = Credentials::new(&temporary.access_key, &temporary.secret_key);
    assert_eq!(refusal(take(&tokenless, "ci").await), refused(403, "InvalidClientTokenId"));
    assert_eq!(refusal(take(&allowed, "not a name").await), refused(400, "ValidationError"));
    assert_eq!(identity.issued().len(), 1);
}

#[tokio::test]
async fn what_was_handed_out_ends() {
    let (server, identity) = scene();
    identity.allow_web_identity("token", ROLE);
    identity.lifetime(Duration::ZERO);
    let request = sts(&identity, None).assume_role_with_web_identity().role_arn(ROLE).role_session_name("ci");
    let taken = request.web_identity_token("token").send().await.unwrap();
    let s3 = client_as(&server, &pair(taken.credentials().unwrap()));
    assert_eq!(refusal(get(&s3, "a").await), refused(400, "ExpiredToken"));
}

/// With SDKs' own requests as the model: they read the address from the environment, which a test cannot change for itself.
#[tokio::test]
async fn a_container_gets_credentials_for_its_token() {
    let (server, identity) = scene();
    let uri = identity.container_uri();
    let (host, path) = uri.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let ask = |token: &str| {
        let request = format!(
            "GET /{path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {token}\r\nConnection: close\r\n\r\n"
        );
        raw_at(host, &request)
    };
    assert!(ask("token").starts_with("HTTP/1.1 404 "), "nothing is allowed at first");
    identity.allow_container("token");
    let answer = ask("token");
    let issued: serde_json::Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    let text = |name: &str| issued[name].as_str().unwrap();
    assert!(text("Expiration").ends_with('Z'), "{issued}");
    let pair = Credentials::new(text("AccessKeyId"), text("SecretAccessKey")).session_token(text("Token"));
    assert_eq!(get(&client_as(&server, &pair), "a").await.unwrap(), b"bytes");
    assert!(ask("other").starts_with("HTTP/1.1 401 "));
    assert_eq!(identity.issued().len(), 1);
}

#[tokio::test]
async fn an_instance_gets_credentials_for_a_session_of_its_own() {
    let (server, identity) = scene();
    let http = aws_smithy_http_client::Builder::new().build_http();
    let provider_config = ProviderConfig::without_region().with_http_client(http);
    let provide = async || {
        let imds = aws_config::imds::Client::builder()
            .configure(&provider_config)
            .endpoint(identity.endpoint())
            .unwrap()
            .max_attempts(1)
            .connect_timeout(LONG)
            .read_timeout(LONG)
            .build();
        ImdsCredentialsProvider::builder().imds_client(imds).build().provide_credentials().await
    };
    assert!(provide().await.is_err(), "nothing is allowed at first");
    identity.allow_instance("publisher");
    identity.clear_requests();
    let issued = provide().await.unwrap();
    assert_eq!(get(&client_as(&server, &pair_of(&issued)), "a").await.unwrap(), b"bytes");
    let requests = identity.requests();
    let steps: Vec<_> =
        requests.iter().map(|request| (request.method.as_str(), request.key.as_str())).collect();
    let credentials = "latest/meta-data/iam/security-credentials/";
    let own = format!("{credentials}publisher");
    assert_eq!(steps, [("PUT", "latest/api/token"), ("GET", credentials), ("GET", own.as_str())]);

    identity.fault(When::key("latest/api/token"), Fault::Error(503, "Unavailable"));
    assert!(provide().await.is_err());
    assert_eq!(identity.requests().last().unwrap().status, Some(503));
}
