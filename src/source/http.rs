//! The HTTP client: connections, TLS, timeouts and cancellation.

use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
#[cfg(feature = "s3")]
use std::time::Duration;

use ureq::config::Config;
use ureq::http::{Request, Response};
use ureq::tls::{Certificate, TlsConfig};
use ureq::{AsSendBody, Body, BodyReader};

use super::authorities;
use super::cancellation::Cancellation;
use super::unavailable::Unavailable;
use crate::error::Result;
use crate::limits;
use crate::object::Object;

/// An HTTP client that follows no redirects and treats no status as an error.
///
/// Proxies come from the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`),
/// otherwise on Windows from the system's settings.
///
/// Each read has its own agent (connection pool) while it lasts, so that cancelling it closes no
/// connection of another read. A later read reuses the agent and its connections.
#[derive(Clone, Default)]
pub(super) struct Client(Arc<Shared>);

#[derive(Default)]
struct Shared {
    transport: Transport,
    extra: Vec<Certificate<'static>>,
    /// Created on first use. Loading the platform's certificates takes half of the CPU time of a
    /// check, and a start that reads nothing over the network does not need them.
    config: OnceLock<Config>,
    /// The agents of finished reads.
    idle: Mutex<Vec<ureq::Agent>>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Transport {
    #[default]
    Tls,
    /// Plain HTTP, without a proxy.
    Plain,
}

/// A [`Client`] as one read uses it.
pub(super) struct ReadClient {
    client: Client,
    cancellation: Cancellation,
    agent: OnceLock<ureq::Agent>,
}

/// Why a request has no response.
pub(super) struct RequestError {
    pub(super) why: String,
    /// Whether another request may succeed.
    is_transient: bool,
}

impl Client {
    /// Plain HTTP instead of TLS. Only for loopback and link-local addresses.
    pub(super) fn plain() -> Self {
        Client(Arc::new(Shared { transport: Transport::Plain, ..Shared::default() }))
    }

    /// A client that also trusts the certificate authorities of a PEM file.
    pub(super) fn with_ca_file(ca_file: &Path) -> Result<Self> {
        let extra = authorities::from_ca_file(ca_file)?;
        Ok(Client(Arc::new(Shared { extra, ..Shared::default() })))
    }

    /// The client for one read. Cancelling the read closes its connections, and every later request
    /// fails.
    pub(super) fn for_read(&self, cancellation: &Cancellation) -> ReadClient {
        ReadClient { client: self.clone(), cancellation: cancellation.clone(), agent: OnceLock::new() }
    }
}

impl ReadClient {
    /// Sends a request once, without a retry.
    pub(super) fn send(&self, request: Request<impl AsSendBody>) -> Result<Response<Body>, RequestError> {
        self.agent().run(request).map_err(RequestError::from)
    }

    /// Sends a request once. The response, including its body, must end within `limit`.
    #[cfg(feature = "s3")]
    pub(super) fn send_within(
        &self,
        request: Request<impl AsSendBody>,
        connect: Duration,
        limit: Duration,
    ) -> Result<Response<Body>, RequestError> {
        let agent = self.agent();
        let request = agent.configure_request(request).timeout_connect(Some(connect.min(limit)));
        agent.run(request.timeout_global(Some(limit)).build()).map_err(RequestError::from)
    }

    fn agent(&self) -> &ureq::Agent {
        self.agent.get_or_init(|| {
            let shared = &self.client.0;
            let idle = shared.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let agent = idle.unwrap_or_else(|| {
                shared.config.get_or_init(|| config(shared.transport, &shared.extra)).clone().into()
            });
            let lease = Lease { shared: Arc::clone(shared), agent: Some(agent.clone()) };
            self.cancellation.on_cancel(move || lease.shut_down());
            agent
        })
    }
}

/// The use of an agent by one read.
struct Lease {
    shared: Arc<Shared>,
    agent: Option<ureq::Agent>,
}

impl Lease {
    fn shut_down(mut self) {
        if let Some(agent) = self.agent.take() {
            agent.shutdown();
        }
    }
}

impl Drop for Lease {
    /// Returns the agent of a read that has finished, for the next read.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return; // its locks may be poisoned
        }
        let mut idle = self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.extend(self.agent.take());
    }
}

/// The body of a response.
pub(super) struct Content {
    // Dropped first: it returns its connection to the agent, which `_client` holds.
    reader: BodyReader<'static>,
    _client: ReadClient,
}

impl Content {
    /// `client` is the one that received the response.
    pub(super) fn new(response: Response<Body>, client: ReadClient) -> Self {
        Content { reader: response.into_body().into_reader(), _client: client }
    }
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer)
    }
}

impl From<ureq::Error> for RequestError {
    fn from(error: ureq::Error) -> Self {
        let why = match &error {
            // ureq's messages for these contain the URL, whose query may be a secret.
            ureq::Error::RequireHttpsOnly(_) => "not an https URL".into(),
            ureq::Error::BadUri(_) => "invalid URL".into(),
            _ => error.to_string().trim_start_matches("io: ").to_owned(),
        };
        RequestError { why, is_transient: is_transient(&error) }
    }
}

impl RequestError {
    /// For the request of an object.
    pub(super) fn into_unavailable(self, location: String, object: &Object) -> Unavailable {
        match self.is_transient {
            true => Unavailable::transient(location, object, self.why),
            false => Unavailable::permanent(location, object, self.why),
        }
    }
}

/// A lost or refused connection may work a moment later. An invalid certificate, a malformed
/// response or an unknown host will not.
fn is_transient(error: &ureq::Error) -> bool {
    matches!(error, ureq::Error::Io(_) | ureq::Error::Timeout(_) | ureq::Error::ConnectionFailed)
        && !error.to_string().contains("certificate")
}

fn config(transport: Transport, extra: &[Certificate<'static>]) -> Config {
    let config = ureq::Agent::config_builder()
        .https_only(transport == Transport::Tls)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_response_header_size(32 * 1024)
        .timeout_connect(Some(limits::CONNECT))
        .timeout_resolve(Some(limits::CONNECT))
        .timeout_recv_response(Some(limits::FIRST_BYTE))
        .timeout_per_read(Some(limits::RATE_WINDOW)) // ends a thread that was abandoned
        .user_agent(concat!("relatch/", env!("CARGO_PKG_VERSION")));
    match transport {
        Transport::Tls => {
            let tls = TlsConfig::builder()
                .root_certs(authorities::root_certs(extra))
                .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()));
            config.tls_config(tls.build()).build()
        }
        Transport::Plain => config.proxy(None).build(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpListener;
    use std::thread;

    use ureq::tls::RootCerts;

    use super::*;

    #[test]
    fn the_certificates_are_loaded_once() {
        let one = rcgen::generate_simple_self_signed(["example.com".to_owned()]).unwrap().cert;
        let extra = vec![Certificate::from_der(one.der()).to_owned()];
        let client = Client(Arc::new(Shared { extra, ..Shared::default() }));
        let certificates = |client: &ReadClient| match client.agent().config().tls_config().root_certs() {
            RootCerts::Specific(certificates) => Arc::clone(certificates),
            other => panic!("{other:?}"),
        };
        let (first, second) = (Cancellation::default(), Cancellation::default());
        let (one, other) = (client.for_read(&first), client.clone().for_read(&second));
        let loaded = certificates(&one);
        assert!(Arc::ptr_eq(&loaded, &certificates(&other)), "two reads at the same time");
        first.cancel();
        drop((one, other, second));
        for _ in 0..3 {
            let later = client.for_read(&Cancellation::default());
            assert!(Arc::ptr_eq(&loaded, &certificates(&later)), "after one was cancelled");
        }
        assert_eq!(client.0.idle.lock().unwrap().len(), 1, "a cancelled agent is not reused");
    }

    #[test]
    fn a_cancelled_read_opens_no_connection_and_sends_no_request() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let client = Client::plain();
        let ask = |read: &ReadClient| read.send(Request::get(&url).body(()).unwrap());

        let cancellation = Cancellation::default();
        let read = client.for_read(&cancellation);
        cancellation.cancel();
        assert!(ask(&read).is_err(), "cancelled before its first request");

        let cancellation = Cancellation::default();
        let read = client.for_read(&cancellation);
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"HTTP/1.1 301 No\r\nContent-Length: 0\r\n\r\n").unwrap();
            (listener, stream)
        });
        assert_eq!(ask(&read).ok().unwrap().status().as_u16(), 301);
        cancellation.cancel();
        assert!(ask(&read).is_err(), "cancelled between two requests");

        let (listener, _stream) = server.join().unwrap();
        listener.set_nonblocking(true).unwrap();
        assert_eq!(listener.accept().err().unwrap().kind(), io::ErrorKind::WouldBlock);
    }
}
