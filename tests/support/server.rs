//! A small HTTP server on loopback, with or without TLS, that serves a repository and misbehaves on demand.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use relatch::trust::Digest;

use super::Repository;

/// What is answered for a path instead of the file.
#[derive(Clone)]
pub enum Answer {
    /// Nothing but a status.
    Status(u16),
    /// A redirect to this `Location`.
    Redirect(String),
    /// The file, with this `Content-Encoding`.
    Encoded(&'static str),
    /// Other content with status 200.
    Content(Vec<u8>),
    /// The file, with this `ETag`.
    Tagged(String),
    /// Nothing, while the connection stays open.
    Stall,
    /// The file, but not before this is set.
    Wait(Arc<AtomicBool>),
    /// The head and so many bytes of the file, then nothing while the connection stays open.
    StallAfter(usize),
    /// The head of the whole file and so many bytes of it, then the connection is closed.
    TruncatedAfter(usize),
    /// The whole file under this `Content-Length`.
    Length(usize),
    /// Zeros for as long as somebody reads.
    Endless,
    /// The first so often, then the file.
    Times(usize, Box<Answer>),
    /// Whatever can be done with a connection.
    Act(Act),
}

/// What a server does after a request was read; the connection is closed afterwards.
pub type Act = Arc<dyn Fn(&mut Wire<'_>) -> std::io::Result<()> + Send + Sync>;
/// What is done with a connection as it is accepted, instead of TLS and HTTP.
pub type Accept = Arc<dyn Fn(TcpStream) -> std::io::Result<()> + Send + Sync>;

/// A connection whose request was read.
pub struct Wire<'a> {
    pub stream: &'a mut dyn Connection,
    /// What was asked for; empty where there is no such file.
    pub file: &'a [u8],
    socket: &'a TcpStream,
}

impl Wire<'_> {
    /// Writes and sends.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.stream.write_all(bytes.as_ref())?;
        self.stream.flush()
    }

    /// Says nothing until the client ends the connection.
    pub fn stall(&self) -> std::io::Result<()> {
        stall(self.socket)
    }

    /// The connection ends by a reset (RST) instead of an end (FIN).
    pub fn reset(&self) -> std::io::Result<()> {
        rustix::net::sockopt::set_socket_linger(self.socket, Some(Duration::ZERO))?;
        Ok(())
    }
}

impl Answer {
    pub fn act(act: impl Fn(&mut Wire<'_>) -> std::io::Result<()> + Send + Sync + 'static) -> Self {
        Answer::Act(Arc::new(act))
    }

    /// These bytes, and the end.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Answer::act(move |wire| wire.send(&bytes))
    }
}

/// Serves until the test process ends.
pub struct Server {
    /// The repository's base URL.
    pub url: String,
    shared: Arc<Shared>,
}

struct Shared {
    dir: PathBuf,
    answers: Mutex<BTreeMap<String, Answer>>,
    requests: Mutex<Vec<String>>,
    heads: Mutex<Vec<String>>,
    tls: Option<Arc<rustls::ServerConfig>>,
    /// Instead of it.
    other_tls: Mutex<Option<Arc<rustls::ServerConfig>>>,
    accept: Mutex<Option<Accept>>,
    open: AtomicUsize,
    accepted: AtomicUsize,
}

/// A certificate authority of the test's own, as a PEM file.
pub struct Authority {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    pub pem: String,
}

impl Authority {
    pub fn new() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { issuer: rcgen::Issuer::new(params, key), pem }
    }

    pub fn write(&self, dir: &Path) -> PathBuf {
        let path = dir.join("ca.pem");
        std::fs::write(&path, &self.pem).unwrap();
        path
    }

    /// TLS 1.2 and 1.3, with a certificate for `host`.
    pub fn tls(&self, host: &str) -> rustls::ServerConfig {
        self.tls_such(host, rustls::DEFAULT_VERSIONS, |_| {})
    }

    /// The same with other versions, or a certificate with a change.
    pub fn tls_such(
        &self,
        host: &str,
        versions: &[&'static rustls::SupportedProtocolVersion],
        change: impl FnOnce(&mut rcgen::CertificateParams),
    ) -> rustls::ServerConfig {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec![host.to_owned()]).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        tls_of(vec![certificate.der().clone()], &key, versions)
    }

    /// A certificate for `host` that is signed by another one for `host`, which is no authority.
    pub fn tls_by_a_server(&self, host: &str) -> rustls::ServerConfig {
        let (key, of_server) = (rcgen::KeyPair::generate().unwrap(), rcgen::KeyPair::generate().unwrap());
        let params = || rcgen::CertificateParams::new(vec![host.to_owned()]).unwrap();
        let server = params().signed_by(&of_server, &self.issuer).unwrap();
        let certificate = params().signed_by(&key, &rcgen::Issuer::new(params(), &of_server)).unwrap();
        tls_of(vec![certificate.der().clone(), server.der().clone()], &key, rustls::DEFAULT_VERSIONS)
    }
}

/// A certificate for `host` that nobody vouches for.
pub fn self_signed(host: &str) -> rustls::ServerConfig {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate =
        rcgen::CertificateParams::new(vec![host.to_owned()]).unwrap().self_signed(&key).unwrap();
    tls_of(vec![certificate.der().clone()], &key, rustls::DEFAULT_VERSIONS)
}

fn tls_of(
    chain: Vec<rustls::pki_types::CertificateDer<'static>>,
    key: &rcgen::KeyPair,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> rustls::ServerConfig {
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap()
}

impl Server {
    /// Plain HTTP.
    pub fn plain(repository: &Repository) -> Self {
        Server::start(repository, None)
    }

    /// HTTPS with a certificate for `host`, which need not be the server's.
    pub fn tls(repository: &Repository, authority: &Authority, host: &str) -> Self {
        Server::start(repository, Some(Arc::new(authority.tls(host))))
    }

    fn start(repository: &Repository, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}/base", listener.local_addr().unwrap());
        let dir = repository.dir.path().to_owned();
        let shared = Arc::new(Shared {
            dir,
            answers: Mutex::default(),
            requests: Mutex::default(),
            heads: Mutex::default(),
            tls,
            other_tls: Mutex::default(),
            accept: Mutex::default(),
            open: AtomicUsize::new(0),
            accepted: AtomicUsize::new(0),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&accepting);
                shared.open.fetch_add(1, Ordering::SeqCst);
                shared.accepted.fetch_add(1, Ordering::SeqCst);
                thread::spawn(move || {
                    drop(shared.serve(stream));
                    shared.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Server { url, shared }
    }

    /// Answers so for `path` below the base URL, or for all paths below it where it ends in `/`.
    pub fn answer(&self, path: &str, answer: Answer) {
        self.shared.answers.lock().unwrap().insert(path.into(), answer);
    }

    /// Speaks TLS so.
    pub fn present(&self, tls: rustls::ServerConfig) {
        *self.shared.other_tls.lock().unwrap() = Some(Arc::new(tls));
    }

    /// Does this with each connection, which never comes to a request.
    pub fn accept(&self, act: impl Fn(TcpStream) -> std::io::Result<()> + Send + Sync + 'static) {
        *self.shared.accept.lock().unwrap() = Some(Arc::new(act));
    }

    /// Answers as it should from now on.
    pub fn behave(&self) {
        self.shared.answers.lock().unwrap().clear();
        *self.shared.other_tls.lock().unwrap() = None;
        *self.shared.accept.lock().unwrap() = None;
    }

    /// The paths that were asked for, in order, as they stand in the requests.
    pub fn requests(&self) -> Vec<String> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// Connections that neither side has ended.
    pub fn connections(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// Connections that there have ever been.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// Request lines with all headers, in small letters.
    pub fn heads(&self) -> Vec<String> {
        self.shared.heads.lock().unwrap().clone()
    }

    /// Forgets what was asked for.
    pub fn forget(&self) {
        self.shared.requests.lock().unwrap().clear();
        self.shared.heads.lock().unwrap().clear();
    }

    /// How often a path below the base URL was asked for.
    pub fn count(&self, path: &str) -> usize {
        let path = format!("/base/{path}");
        self.requests().iter().filter(|request| **request == path).count()
    }
}

pub trait Connection: Read + Write {}
impl<T: Read + Write> Connection for T {}

impl Shared {
    fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let accept = self.accept.lock().unwrap().clone();
        if let Some(accept) = accept {
            return accept(stream);
        }
        let socket = stream.try_clone()?;
        let other_tls = self.other_tls.lock().unwrap().clone();
        let mut stream: Box<dyn Connection> = match other_tls.as_ref().or(self.tls.as_ref()) {
            None => Box::new(stream),
            Some(config) => {
                let connection = rustls::ServerConnection::new(Arc::clone(config)).unwrap();
                Box::new(rustls::StreamOwned::new(connection, stream))
            }
        };
        let mut reader = BufReader::new(&mut stream);
        let mut first = String::new();
        reader.read_line(&mut first)?;
        let (mut head, mut line) = (first.clone(), String::from("-"));
        while !line.trim().is_empty() {
            line.clear();
            reader.read_line(&mut line)?;
            head.push_str(&line);
        }
        let Some(path) = first.split(' ').nth(1).map(str::to_owned) else { return Ok(()) };
        self.requests.lock().unwrap().push(path.clone());
        let head = head.to_ascii_lowercase();
        self.heads.lock().unwrap().push(head.clone());
        let path = path.split('?').next().unwrap().trim_start_matches("/base/");
        self.respond(&mut *stream, &socket, path, &head)?;
        stream.flush()
    }

    fn answer_for(&self, path: &str) -> Option<Answer> {
        let mut answers = self.answers.lock().unwrap();
        let key = answers
            .keys()
            .find(|key| *key == path || (key.ends_with('/') && path.starts_with(*key)))?
            .clone();
        match answers.get_mut(&key)? {
            Answer::Times(0, _) => None,
            Answer::Times(left, answer) => {
                *left -= 1;
                Some((**answer).clone())
            }
            answer => Some(answer.clone()),
        }
    }

    fn respond(
        &self,
        stream: &mut dyn Connection,
        socket: &TcpStream,
        path: &str,
        head: &str,
    ) -> std::io::Result<()> {
        let answer = self.answer_for(path);
        let file = std::fs::read(self.dir.join(path));
        let whole = file.as_deref().unwrap_or_default();
        match answer {
            None => match &file {
                Ok(content) => {
                    let etag = format!("\"{}\"", &Digest::of(content).to_string()[..32]);
                    if head.contains(&format!("\r\nif-none-match: {etag}\r\n")) {
                        return send(stream, 304, &format!("ETag: {etag}\r\n"), 0, &[]);
                    }
                    send(stream, 200, &format!("ETag: {etag}\r\n"), content.len(), content)
                }
                Err(_) => send(stream, 404, "", 0, &[]),
            },
            Some(Answer::Status(status)) => send(stream, status, "", 0, &[]),
            Some(Answer::Redirect(to)) => send(stream, 302, &format!("Location: {to}\r\n"), 0, &[]),
            Some(Answer::Encoded(coding)) => {
                send(stream, 200, &format!("Content-Encoding: {coding}\r\n"), whole.len(), whole)
            }
            Some(Answer::Tagged(etag)) => send(stream, 200, &format!("ETag: {etag}\r\n"), whole.len(), whole),
            Some(Answer::Content(content)) => send(stream, 200, "", content.len(), &content),
            Some(Answer::Stall) => stall(socket),
            Some(Answer::Wait(set)) => {
                while !set.load(Ordering::SeqCst) {
                    thread::sleep(Duration::from_millis(5));
                }
                send(stream, 200, "", whole.len(), whole)
            }
            Some(Answer::StallAfter(count)) => {
                send(stream, 200, "", whole.len(), &whole[..count])?;
                stall(socket)
            }
            Some(Answer::TruncatedAfter(count)) => send(stream, 200, "", whole.len(), &whole[..count]),
            Some(Answer::Length(length)) => send(stream, 200, "", length, whole),
            Some(Answer::Endless) => {
                write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
                loop {
                    stream.write_all(&[0; 16 * 1024])?;
                }
            }
            Some(Answer::Times(..)) => Ok(()),
            Some(Answer::Act(act)) => act(&mut Wire { stream, file: whole, socket }),
        }
    }
}

fn send(
    stream: &mut dyn Connection,
    status: u16,
    headers: &str,
    length: usize,
    content: &[u8],
) -> std::io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {status} Test\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    stream.write_all(content)?;
    stream.flush()
}

/// Says nothing until the client ends the connection, or for longer than any limit of the client.
pub fn stall(socket: &TcpStream) -> std::io::Result<()> {
    socket.set_read_timeout(Some(Duration::from_secs(600)))?;
    let mut socket = socket;
    while socket.read(&mut [0; 4096])? > 0 {}
    Ok(())
}
