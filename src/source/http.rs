//! HTTP for the sources that speak it: TLS, timeouts, and what an answer means.

use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
#[cfg(feature = "s3")]
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use ureq::config::Config;
use ureq::http::{Request, Response, header};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{AsSendBody, Body, BodyReader};

use super::Unavailable;
use super::{Cancellation, Etag, Object, Opened};
use crate::error::{Error, Result};
use crate::escape::Printable;
use crate::escape::Words;
use crate::limits;
use crate::regular;

/// An HTTP client that follows no redirect by itself and takes no status for an error.
///
/// Proxies come from the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`), else on Windows from its settings.
///
/// Each read has an agent of its own while it lasts, so that it can be ended and no other with it. Reads that follow each other have the same
/// one, and so the same connection.
#[derive(Clone, Default)]
pub(super) struct Client(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Plain HTTP, and no proxy.
    plain: bool,
    extra: Vec<Certificate<'static>>,
    /// Made once, when first needed: to load the platform's certificates is half of the CPU time of a check, and a start that reads no
    /// network does not need them.
    config: OnceLock<Config>,
    /// Of reads that have ended.
    idle: Mutex<Vec<ureq::Agent>>,
}

/// What one read asks a client.
pub(super) struct Session {
    client: Client,
    cancellation: Cancellation,
    agent: OnceLock<ureq::Agent>,
}

/// Why there is no answer at all.
pub(super) struct Failed {
    pub(super) why: String,
    /// Whether asking again may help.
    pub(super) transient: bool,
}

impl Client {
    /// Plain HTTP instead of TLS. Only for addresses of this machine.
    pub(super) fn plain() -> Self {
        Client(Arc::new(Shared { plain: true, ..Shared::default() }))
    }

    /// The certificate authorities of a PEM file, besides the platform's (`SSL_CERT_FILE` is honoured). See [`is_judged_by_the_system`].
    pub(super) fn with_ca_file(ca_file: &Path) -> Result<Self> {
        let mut pem = Vec::new();
        let limits::ByteLimit(most) = limits::CA_FILE;
        let read = regular::open(ca_file).and_then(|file| file.take(most + 1).read_to_end(&mut pem));
        read.map_err(crate::error::io("read the certificates", ca_file))?;
        if pem.len() as u64 > most {
            let what = format!(
                "{} has more than {most} bytes and is no file of authorities",
                Printable(ca_file.display())
            );
            return Err(Error::usage(what));
        }
        let extra: Vec<_> = parse_pem(&pem)
            .filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Some(certificate),
                _ => None,
            })
            .collect();
        if extra.is_empty() {
            return Err(Error::usage(format!("{} holds no PEM certificate", Printable(ca_file.display()))));
        }
        Ok(Client(Arc::new(Shared { extra, ..Shared::default() })))
    }

    /// For one read: when that is cancelled, its connections end, and each further request fails.
    pub(super) fn during(&self, cancellation: &Cancellation) -> Session {
        Session { client: self.clone(), cancellation: cancellation.clone(), agent: OnceLock::new() }
    }
}

impl Session {
    /// Asks once.
    pub(super) fn send(&self, request: Request<impl AsSendBody>) -> Result<Response<Body>, Failed> {
        self.agent().run(request).map_err(Failed::from)
    }

    /// Asks once, for an answer that has ended within `limit`.
    #[cfg(feature = "s3")]
    pub(super) fn send_within(
        &self,
        request: Request<impl AsSendBody>,
        connect: Duration,
        limit: Duration,
    ) -> Result<Response<Body>, Failed> {
        let agent = self.agent();
        let request = agent.configure_request(request).timeout_connect(Some(connect.min(limit)));
        agent.run(request.timeout_global(Some(limit)).build()).map_err(Failed::from)
    }

    fn agent(&self) -> &ureq::Agent {
        self.agent.get_or_init(|| {
            let shared = &self.client.0;
            let idle = shared.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let agent = idle.unwrap_or_else(|| {
                shared.config.get_or_init(|| config(!shared.plain, &shared.extra)).clone().into()
            });
            let lease = Lease { shared: Arc::clone(shared), agent: Some(agent.clone()) };
            self.cancellation.on_cancel(move || lease.end());
            agent
        })
    }
}

/// An agent that belongs to a read.
struct Lease {
    shared: Arc<Shared>,
    agent: Option<ureq::Agent>,
}

impl Lease {
    fn end(mut self) {
        if let Some(agent) = self.agent.take() {
            agent.shutdown();
        }
    }
}

impl Drop for Lease {
    /// The read has come to its end: the next one may have the agent.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return; // what it holds may be poisoned
        }
        let mut idle = self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.extend(self.agent.take());
    }
}

/// The body of an answer.
struct Content {
    reader: BodyReader<'static>,
    /// Holds the agent; after the reader, which gives its connection back to it.
    _session: Session,
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer)
    }
}

impl From<ureq::Error> for Failed {
    fn from(error: ureq::Error) -> Self {
        let why = match &error {
            // These quote the URL, whose query may be a secret.
            ureq::Error::RequireHttpsOnly(_) => "its URL is not https".into(),
            ureq::Error::BadUri(_) => "its URL is none".into(),
            _ => error.to_string().trim_start_matches("io: ").to_owned(),
        };
        Failed { why, transient: is_transient(&error) }
    }
}

/// Scheme, host and port of a URL that somebody set, for people: neither credentials nor paths nor queries, any of which may be a secret.
#[cfg(feature = "s3")]
pub(super) fn shown_origin(url: &str) -> String {
    let shown = super::shown(url);
    match shown.split_once("://") {
        Some((scheme, rest)) => format!("{scheme}://{}", rest.split('/').next().unwrap_or_default()),
        None => "(no URL)".into(),
    }
}

fn config(https_only: bool, extra: &[Certificate<'static>]) -> Config {
    let mut config = ureq::Agent::config_builder()
        .https_only(https_only)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_response_header_size(32 * 1024)
        .timeout_connect(Some(limits::CONNECT))
        .timeout_resolve(Some(limits::CONNECT))
        .timeout_recv_response(Some(limits::FIRST_BYTE))
        .timeout_per_read(Some(limits::RATE_WINDOW)) // so that an abandoned thread ends
        .user_agent(concat!("relatch/", env!("CARGO_PKG_VERSION")));
    if https_only {
        let tls = TlsConfig::builder()
            .root_certs(authorities(extra))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()));
        config = config.tls_config(tls.build());
    } else {
        config = config.proxy(None);
    }
    config.build()
}

/// Who may vouch for a server.
fn authorities(extra: &[Certificate<'static>]) -> RootCerts {
    let is_named = ["SSL_CERT_FILE", "SSL_CERT_DIR"].iter().any(|name| std::env::var_os(name).is_some());
    if is_judged_by_the_system(std::env::consts::OS, !extra.is_empty(), is_named) {
        return RootCerts::PlatformVerifier;
    }
    let platform = platform_certificates().into_iter();
    let platform = platform.map(|der| Certificate::from_der(der.as_ref()).to_owned());
    RootCerts::Specific(Arc::new(platform.chain(extra.iter().cloned()).collect()))
}

/// Windows and macOS know more than a list of authorities: which of them were distrusted for what, what an administrator allowed, and, on
/// Windows, those that it fetches when one is first needed. Their own check cannot be given further authorities through ureq; so where
/// some are named, the list is read, as on other systems.
fn is_judged_by_the_system(system: &str, has_extra: bool, is_named: bool) -> bool {
    matches!(system, "windows" | "macos") && !has_extra && !is_named
}

/// The authorities that the platform trusts, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`.
fn platform_certificates() -> Vec<CertificateDer<'static>> {
    // Linux distributions make one file of all that they trust, and a directory of the same again in hundreds of files, which would be
    // half of the CPU time of a check. Whoever puts an authority into the directory alone names that by SSL_CERT_DIR. Elsewhere file and
    // directory can be two different stores.
    #[cfg(target_os = "linux")]
    if !["SSL_CERT_FILE", "SSL_CERT_DIR"].iter().any(|name| std::env::var_os(name).is_some()) {
        let bundle = openssl_probe::probe().cert_file;
        let found = rustls_native_certs::load_certs_from_paths(bundle.as_deref(), None);
        if found.errors.is_empty() && !found.certs.is_empty() {
            return found.certs;
        }
    }
    rustls_native_certs::load_native_certs().certs
}

/// Lost or refused connections may work a moment later; wrong certificates, bad answers and unknown hosts will not.
fn is_transient(error: &ureq::Error) -> bool {
    matches!(error, ureq::Error::Io(_) | ureq::Error::Timeout(_) | ureq::Error::ConnectionFailed)
        && !error.to_string().contains("certificate")
}

/// The headers of a GET of an object, as name and value.
pub(super) fn headers_for<'a>(
    object: &Object,
    known: Option<&'a Etag>,
) -> impl Iterator<Item = (header::HeaderName, &'a str)> {
    // Caches may keep what is immutable; whether there is news must come from the repository.
    let is_news = matches!(object, Object::Version(_) | Object::Root(_));
    let fresh = is_news.then_some((header::CACHE_CONTROL, "no-cache"));
    let unless = known.map(|etag| (header::IF_NONE_MATCH, etag.as_str()));
    [(header::ACCEPT_ENCODING, "identity")].into_iter().chain(fresh).chain(unless)
}

/// What an answer to a GET of an object means; `known` is whether it was asked for with an entity tag.
pub(super) fn opened(
    response: Response<Body>,
    session: Session,
    location: String,
    object: &Object,
    known: bool,
) -> Result<Opened, Unavailable> {
    let object = object.clone();
    match response.status().as_u16() {
        200 => {
            let text =
                |name| response.headers().get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
            if let Some(coding) = text(header::CONTENT_ENCODING).filter(|coding| coding != "identity") {
                let why = format!("it answered with the content encoding {coding}, which nobody asked for");
                let why = Words(why).to_string();
                return Err(Unavailable::Unreachable { location, object, why, retryable: false });
            }
            let etag = text(header::ETAG).and_then(|text| Etag::new(&text));
            let reader = response.into_body().into_reader();
            Ok(Opened::Object { reader: Box::new(Content { reader, _session: session }), etag })
        }
        304 if known => Ok(Opened::NotModified),
        404 | 410 => Err(Unavailable::Absent { location, object }),
        403 => Err(Unavailable::Forbidden { location, object, code: None }),
        status => Err(Unavailable::Status { location, object, status, code: None }),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[test]
    fn windows_and_macos_judge_certificates_where_no_list_is_named() {
        for system in ["windows", "macos"] {
            assert!(is_judged_by_the_system(system, false, false), "{system}");
            assert!(!is_judged_by_the_system(system, true, false), "{system}: a file of authorities");
            assert!(!is_judged_by_the_system(system, false, true), "{system}: SSL_CERT_FILE");
        }
        for system in ["linux", "freebsd", "android", "ios"] {
            assert!(!is_judged_by_the_system(system, false, false), "{system}");
        }
        // A feature of ureq's that only these targets have: without it this would panic when a connection is made.
        let judged = is_judged_by_the_system(std::env::consts::OS, false, false);
        assert_eq!(judged, cfg!(any(windows, target_os = "macos")));
    }

    #[test]
    fn the_certificates_are_loaded_once_however_reads_end() {
        let one = rcgen::generate_simple_self_signed(["example.com".to_owned()]).unwrap().cert;
        let extra = vec![Certificate::from_der(one.der()).to_owned()];
        let client = Client(Arc::new(Shared { extra, ..Shared::default() }));
        let certificates = |session: &Session| match session.agent().config().tls_config().root_certs() {
            RootCerts::Specific(certificates) => Arc::clone(certificates),
            other => panic!("{other:?}"),
        };
        let (first, second) = (Cancellation::default(), Cancellation::default());
        let (one, other) = (client.during(&first), client.clone().during(&second));
        let loaded = certificates(&one);
        assert!(Arc::ptr_eq(&loaded, &certificates(&other)), "two reads at the same time");
        first.cancel();
        drop((one, other, second));
        for _ in 0..3 {
            let session = client.during(&Cancellation::default());
            assert!(Arc::ptr_eq(&loaded, &certificates(&session)), "after one was cancelled");
        }
        assert_eq!(client.0.idle.lock().unwrap().len(), 1, "what was cancelled is not used again");
    }

    #[test]
    fn a_cancelled_read_makes_no_connection_and_no_request() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let client = Client::plain();
        let ask = |session: &Session| session.send(Request::get(&url).body(()).unwrap());

        let cancellation = Cancellation::default();
        let session = client.during(&cancellation);
        cancellation.cancel();
        assert!(ask(&session).is_err(), "cancelled before its first request");

        let cancellation = Cancellation::default();
        let session = client.during(&cancellation);
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"HTTP/1.1 301 No\r\nContent-Length: 0\r\n\r\n").unwrap();
            (listener, stream)
        });
        assert_eq!(ask(&session).ok().unwrap().status().as_u16(), 301);
        cancellation.cancel();
        assert!(ask(&session).is_err(), "cancelled between two requests");

        let (listener, _stream) = server.join().unwrap();
        listener.set_nonblocking(true).unwrap();
        assert_eq!(listener.accept().err().unwrap().kind(), io::ErrorKind::WouldBlock);
    }
}
