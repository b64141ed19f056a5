//! Promise: on every system a server is believed for the authorities that a file names, or for those of the platform, and for no others.
//! It needs nothing of Unix: on Windows and macOS the system's own check is asked where no file is named.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use relatch::source::{Fetcher, Https, Object};
use relatch::{Error, Unavailable, limits};

/// A server with a certificate by an authority of its own: its URL, and the authority as PEM.
fn server() -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).unwrap();
    let issuer = rcgen::Issuer::new(params, key);
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.serialize_der().try_into().unwrap())
        .unwrap();
    let (listener, tls) = (TcpListener::bind("127.0.0.1:0").unwrap(), Arc::new(tls));
    let url = format!("https://{}/base", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let tls = Arc::clone(&tls);
            thread::spawn(move || answer(stream, tls));
        }
    });
    (url, authority.pem())
}

fn answer(mut stream: TcpStream, tls: Arc<rustls::ServerConfig>) -> std::io::Result<()> {
    let mut session = rustls::ServerConnection::new(tls).unwrap();
    let mut wire = rustls::Stream::new(&mut session, &mut stream);
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        wire.read_exact(&mut byte)?;
        head.extend(byte);
    }
    wire.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nab")?;
    session.send_close_notify();
    session.complete_io(&mut stream).map(drop)
}

fn fetch(source: Https) -> relatch::Result<Vec<u8>> {
    let object = Object::Version("stable".parse().unwrap());
    let deadline = Instant::now() + Duration::from_secs(60);
    Ok(Fetcher::new(source).fetch(&object, limits::VERSION_FILE, deadline)?.bytes().to_vec())
}

#[track_caller]
fn assert_not_believed(answer: &relatch::Result<Vec<u8>>) {
    match answer {
        Err(Error::Unavailable(Unavailable::Unreachable { why, .. })) if why.contains("certificate") => {}
        other => panic!("{other:?}"),
    }
}

/// The half of each test below that runs in a process of its own, where a variable can be set.
#[test]
fn in_a_process_of_its_own() {
    let Ok(url) = std::env::var("TEST_URL") else { return };
    let source = Https::new(&url).unwrap();
    let source = match std::env::var_os("TEST_CA_FILE") {
        Some(file) => source.ca_file(Path::new(&file)).unwrap(),
        None => source,
    };
    let answer = fetch(source);
    match std::env::var("TEST_EXPECTED").as_deref() {
        Ok("believed") => assert_eq!(answer.unwrap(), b"ab"),
        _ => assert_not_believed(&answer),
    }
}

#[track_caller]
fn assert_answer(expected: &str, url: &str, variables: &[(&str, &Path)]) {
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "in_a_process_of_its_own", "--nocapture"]);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy().to_ascii_lowercase();
        if text.ends_with("_proxy") || text.starts_with("ssl_cert_") {
            again.env_remove(name);
        }
    }
    again.env("TEST_URL", url).env("TEST_EXPECTED", expected).envs(variables.iter().copied());
    // A proxy that is set in Windows is not for this machine.
    let Output { status, stdout, stderr } = again.env("NO_PROXY", "127.0.0.1").output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success() && stdout.contains("1 passed"), "{variables:?}: {stdout}{stderr}");
}

#[test]
fn an_authority_counts_where_it_is_named_and_nowhere_else() {
    let (url, pem) = server();
    let (_, other) = server();
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, pem: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, pem).unwrap();
        path
    };
    let (right, wrong) = (file("right.pem", &pem), file("wrong.pem", &other));
    // The platform alone: the system's own check on Windows and macOS.
    assert_answer("refused", &url, &[]);
    for variable in ["TEST_CA_FILE", "SSL_CERT_FILE"] {
        assert_answer("believed", &url, &[(variable, &right)]);
        assert_answer("refused", &url, &[(variable, &wrong)]);
    }
    // The file of a tool counts besides those of the environment.
    assert_answer("believed", &url, &[("TEST_CA_FILE", &right), ("SSL_CERT_FILE", &wrong)]);
    assert_answer("believed", &url, &[("TEST_CA_FILE", &wrong), ("SSL_CERT_FILE", &right)]);
}
