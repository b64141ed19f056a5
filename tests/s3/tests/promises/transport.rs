//! HTTPS, bucket names as hosts, and an end that is an end.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};

use aws_sdk_s3::Client;
use aws_smithy_http_client::tls::{self, TlsContext, TrustStore};
use test_s3::{Authority, Options, Server, When};

use super::{LONG, client, config, get, put, raw};

#[tokio::test]
async fn https_is_trusted_by_whoever_trusts_the_authority() {
    let authority = Authority::new();
    let server = Server::start(Options::new().https(&authority));
    assert!(server.endpoint().starts_with("https://127.0.0.1:"));
    let over_tls = |authority: &Authority| {
        let trust = TrustStore::empty().with_pem_certificate(authority.pem());
        let context = TlsContext::builder().with_trust_store(trust).build().unwrap();
        let provider = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
        let http =
            aws_smithy_http_client::Builder::new().tls_provider(provider).tls_context(context).build_https();
        Client::from_conf(config(&server, server.credentials()).http_client(http).build())
    };
    put(&over_tls(&authority), "a", vec![1; 1_000_000]).await.unwrap();
    assert_eq!(get(&over_tls(&authority), "a").await.unwrap().len(), 1_000_000);
    let error = get(&over_tls(&Authority::new()), "a").await.unwrap_err();
    assert!(error.raw_response().is_none(), "another authority's client got an answer");
}

#[tokio::test]
async fn a_bucket_is_found_in_the_host_by_clients_that_have_a_resolver() {
    let server = Server::start(Options::new().domain("s3.example.test"));
    let ring = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
    let http = aws_smithy_http_client::Builder::new().tls_provider(ring).build_with_resolver(Loopback);
    let by_host = config(&server, server.credentials())
        .endpoint_url(server.endpoint_of("s3.example.test"))
        .force_path_style(false)
        .http_client(http)
        .build();
    let s3 = Client::from_conf(by_host);
    put(&s3, "dir/a", "x").await.unwrap();
    assert_eq!(get(&s3, "dir/a").await.unwrap(), b"x");
    let request = &server.requests()[0];
    let host = format!("test.s3.example.test:{}", server.address().port());
    assert_eq!(request.header("host"), Some(host.as_str()));
    assert_eq!(
        (request.path.as_str(), request.bucket.as_str(), request.key.as_str()),
        ("/dir/a", "test", "dir/a")
    );
    // The path still does, by address and by the domain itself.
    assert_eq!(get(&client(&server), "dir/a").await.unwrap(), b"x");
}

/// All names are on loopback.
#[derive(Clone, Debug)]
struct Loopback;

impl aws_smithy_runtime_api::client::dns::ResolveDns for Loopback {
    fn resolve_dns<'a>(&'a self, _: &'a str) -> aws_smithy_runtime_api::client::dns::DnsFuture<'a> {
        aws_smithy_runtime_api::client::dns::DnsFuture::ready(Ok(vec![IpAddr::from([127, 0, 0, 1])]))
    }
}

#[test]
fn below_localhost_a_bucket_is_a_host_without_more() {
    let server = Server::start(Options::new().anonymous_read(true));
    server.put("a", "bytes");
    let request = |host: &str, path: &str| {
        raw(&server, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
    };
    assert!(request("test.localhost:1234", "/a").ends_with("bytes"));
    assert!(request("localhost:1234", "/test/a").ends_with("bytes"));
    assert!(request("[::1]:1234", "/test/a").ends_with("bytes"));
    assert!(request("other.localhost", "/a").contains("NoSuchBucket"));
}

#[test]
fn the_end_of_a_server_is_the_end_of_its_port_and_connections() {
    let server = Server::start(Options::new().anonymous_read(true));
    let address = server.address();
    let mut kept = TcpStream::connect(address).unwrap();
    kept.set_read_timeout(Some(LONG)).unwrap();
    kept.write_all(b"HEAD /test/a HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut head = [0; 12];
    kept.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 404");
    drop(server);
    assert!(TcpStream::connect(address).is_err(), "somebody still listens");
    let mut rest = Vec::new();
    let _ = kept.read_to_end(&mut rest); // it ends: closed or reset

    // Another can take its place.
    let again = Server::start(Options::new().address(address));
    assert_eq!(again.address(), address);
}

#[tokio::test]
async fn a_server_starts_and_stops_within_a_runtime() {
    let server = Server::start(Options::new());
    put(&client(&server), "a", "x").await.unwrap();
    drop(server);
}

#[test]
fn hundreds_of_clients_at_once_are_served() {
    const CLIENTS: usize = 200; // two descriptors each, of 1024 that a process commonly has
    let server = Server::start(Options::new().anonymous_read(true));
    server.put("a", vec![b'x'; 10_000]);
    let hold = server.hold(When::any());
    let mut clients: Vec<TcpStream> = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = TcpStream::connect(server.address()).unwrap();
        client.set_read_timeout(Some(LONG)).unwrap();
        client.write_all(b"GET /test/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        clients.push(client);
    }
    assert!(hold.reached(CLIENTS, LONG), "not all of them were under way at the same time");
    hold.release();
    for mut client in clients {
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200 ") && answer.ends_with(&[b'x'; 10_000]));
    }
    let requests = server.requests();
    assert_eq!(requests.len(), CLIENTS);
    assert!(requests.iter().all(|request| request.bytes_sent == 10_000 && request.status == Some(200)));
}

#[test]
fn a_port_in_use_or_a_bucket_of_no_name_is_an_error() {
    let server = Server::start(Options::new());
    let taken: SocketAddr = server.address();
    let Err(error) = Server::try_start(Options::new().address(taken)) else {
        panic!("two servers on {taken}")
    };
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    let Err(error) = Server::try_start(Options::new().bucket("No Bucket")) else { panic!("such a bucket") };
    assert_eq!(error.to_string(), "\"No Bucket\" cannot be the name of a bucket");
}
