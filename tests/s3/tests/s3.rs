//! Promise: what the AWS SDK expects of S3, this server does.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use aws_sdk_s3::config::{BehaviorVersion, Credentials as SdkCredentials, Region};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::{Client, Config};
use test_s3::{Conditions, Credentials, Options, Server};

fn client(server: &Server) -> Client {
    client_as(server, server.credentials())
}

fn client_as(server: &Server, credentials: &Credentials) -> Client {
    let credentials = SdkCredentials::new(
        &credentials.access_key,
        &credentials.secret_key,
        credentials.session_token.clone(),
        None,
        "test",
    );
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(server.region().to_owned()))
        .endpoint_url(server.endpoint())
        .credentials_provider(credentials)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .force_path_style(true)
        .build();
    Client::from_conf(config)
}

/// HTTP status and S3's code.
fn refusal<T, E>(result: Result<T, SdkError<E>>) -> (u16, String)
where
    E: ProvideErrorMetadata,
{
    let Err(error) = result else { panic!("was not refused") };
    let status = error.raw_response().unwrap().status().as_u16();
    (status, error.code().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn put_get_head_delete() {
    let server = Server::start(Options::new());
    let s3 = client(&server);
    let put = s3.put_object().bucket("test").key("a/b").cache_control("no-cache").content_type("text/plain");
    let put = put.body(ByteStream::from_static(b"hello")).send().await.unwrap();
    assert_eq!(put.e_tag(), Some("\"5d41402abc4b2a76b9719d911017c592\""));
    assert_eq!(server.get("a/b").unwrap(), b"hello");
    let get = s3.get_object().bucket("test").key("a/b").send().await.unwrap();
    assert_eq!(get.cache_control(), Some("no-cache"));
    assert_eq!(get.content_type(), Some("text/plain"));
    assert_eq!(get.e_tag(), Some("\"5d41402abc4b2a76b9719d911017c592\""));
    assert_eq!(get.body.collect().await.unwrap().to_vec(), b"hello");
    let head = s3.head_object().bucket("test").key("a/b").send().await.unwrap();
    assert_eq!(head.content_length(), Some(5));
    s3.delete_object().bucket("test").key("a/b").send().await.unwrap();
    assert_eq!(refusal(s3.get_object().bucket("test").key("a/b").send().await), (404, "NoSuchKey".into()));
}

#[tokio::test]
async fn of_racing_creates_one_wins() {
    let server = Server::start(Options::new().conditions(Conditions::Atomic));
    assert_eq!(winners(&server).await, 1);
}

async fn winners(server: &Server) -> usize {
    let s3 = client(server);
    let racers: Vec<_> = (0..16)
        .map(|n| {
            let body = ByteStream::from(format!("{n}").into_bytes());
            let put = s3.put_object().bucket("test").key("raced").if_none_match("*").body(body);
            tokio::spawn(async move {
                match put.send().await {
                    Ok(_) => true,
                    refused => {
                        assert_eq!(refusal(refused), (412, "PreconditionFailed".into()));
                        false
                    }
                }
            })
        })
        .collect();
    let mut winners = 0;
    for racer in racers {
        winners += usize::from(racer.await.unwrap());
    }
    winners
}
