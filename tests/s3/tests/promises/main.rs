//! Promises of the test server itself, proven with the AWS SDK: where it is wrong, tests that use it prove nothing.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod access;
mod conditions;
mod faults;
mod identity;
mod objects;
mod program;
mod transport;
mod uploads;

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Credentials as SdkCredentials, Region};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::{Client, Config};
use test_s3::{Credentials, Server};

/// For what comes at once where it comes at all.
const LONG: Duration = Duration::from_secs(30);

fn client(server: &Server) -> Client {
    client_as(server, server.credentials())
}

fn client_as(server: &Server, credentials: &Credentials) -> Client {
    Client::from_conf(config(server, credentials).build())
}

/// One attempt only: a test counts them.
fn config(server: &Server, credentials: &Credentials) -> aws_sdk_s3::config::Builder {
    let credentials = SdkCredentials::new(
        &credentials.access_key,
        &credentials.secret_key,
        credentials.session_token.clone(),
        None,
        "test",
    );
    Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(server.region().to_owned()))
        .endpoint_url(server.endpoint())
        .credentials_provider(credentials)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(RetryConfig::disabled())
        .force_path_style(true)
}

async fn get(
    s3: &Client,
    key: &str,
) -> Result<Vec<u8>, SdkError<aws_sdk_s3::operation::get_object::GetObjectError>> {
    let output = s3.get_object().bucket("test").key(key).send().await?;
    Ok(output.body.collect().await.unwrap().to_vec())
}

async fn put(
    s3: &Client,
    key: &str,
    bytes: impl Into<Vec<u8>>,
) -> Result<
    aws_sdk_s3::operation::put_object::PutObjectOutput,
    SdkError<aws_sdk_s3::operation::put_object::PutObjectError>,
> {
    s3.put_object().bucket("test").key(key).body(ByteStream::from(bytes.into())).send().await
}

/// HTTP status and S3's code.
fn refusal<T, E: ProvideErrorMetadata + std::fmt::Debug>(result: Result<T, SdkError<E>>) -> (u16, String) {
    let Err(error) = result else { panic!("was not refused") };
    let status = error.raw_response().unwrap_or_else(|| panic!("no answer: {error:?}")).status().as_u16();
    (status, error.code().unwrap_or_default().to_owned())
}

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.into())
}

/// The whole answer to a request as it stands, on a connection of its own.
fn raw(server: &Server, request: &str) -> String {
    raw_at(server.address(), request)
}

fn raw_at(address: impl ToSocketAddrs, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// Without a signature.
fn anonymous(server: &Server, method: &str, path: &str) -> String {
    let host = server.address();
    raw(
        server,
        &format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        ),
    )
}
