//! A port on loopback and the runtime that serves it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use crate::front::{Backend, Front};

/// As long may requests that are being answered hold up the end.
const LAST_REQUESTS: Duration = Duration::from_secs(5);

/// Listens until dropped; then its connections are gone too.
pub(crate) struct Listening {
    pub(crate) address: SocketAddr,
    runtime: Option<Runtime>,
}

impl Listening {
    pub(crate) fn start<B: Backend>(
        address: SocketAddr,
        tls: Option<Arc<rustls::ServerConfig>>,
        front: Arc<Front<B>>,
    ) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("test-s3")
            .enable_all()
            .build()?;
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let entered = runtime.enter();
        let listener = TcpListener::from_std(listener)?;
        drop(entered);
        runtime.spawn(accept(listener, tls.map(TlsAcceptor::from), front));
        Ok(Listening { address, runtime: Some(runtime) })
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let Some(runtime) = self.runtime.take() else { return };
        // On a thread of its own: a runtime must not wait inside another, which a test may be.
        let stopping = std::thread::spawn(move || runtime.shutdown_timeout(LAST_REQUESTS));
        let _ = stopping.join();
    }
}

async fn accept<B: Backend>(listener: TcpListener, tls: Option<TlsAcceptor>, front: Arc<Front<B>>) {
    for connection in 0.. {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(serve(stream, tls.clone(), Arc::clone(&front), connection));
            }
            // Too many open files, or a client that is gone already.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn serve<B: Backend>(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    front: Arc<Front<B>>,
    connection: u64,
) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| Arc::clone(&front).answer(request, connection));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new());
    // What ends a connection early is the client's to see.
    let _ = match tls {
        None => http.serve_connection(TokioIo::new(stream), service).await,
        Some(tls) => match tls.accept(stream).await {
            Ok(stream) => http.serve_connection(TokioIo::new(stream), service).await,
            Err(_) => return, // the client does not like the certificate
        },
    };
}
