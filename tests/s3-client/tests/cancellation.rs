//! Promise: a read of a bucket that is given up asks for nothing more, whatever it has just been told.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "../../support/mod.rs"]
mod repository_support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use relatch::source::{Credentials, Fetcher, Object, ProvideCredentials, S3};
use relatch::{Error, Unavailable, limits};
use repository_support::Repository;
use repository_support::server::{Answer, Server, Wire};

/// Gone with the last that holds the source.
struct Keys {
    _held: Sender<()>,
}

impl ProvideCredentials for Keys {
    fn credentials(&self) -> Result<Credentials, String> {
        Ok(Credentials::new("A", "S", None))
    }
}

#[test]
fn what_was_learned_too_late_is_no_reason_to_ask_again() {
    for (status, header) in [
        (301, "x-amz-bucket-region: eu-central-1"),
        (307, "x-amz-bucket-region: eu-central-1"),
        (403, "date: Mon, 06 Jul 2026 05:30:00 GMT"),
    ] {
        let server = Server::plain(&Repository::new());
        let is_second = AtomicBool::new(false);
        let act = move |wire: &mut Wire<'_>| {
            if is_second.swap(true, Ordering::SeqCst) {
                wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n")?;
                loop {
                    wire.send("X: x\r\n".repeat(100))?;
                    thread::sleep(Duration::from_millis(50));
                }
            }
            wire.send(format!("HTTP/1.1 {status} No\r\n{header}\r\nContent-Length: 1000\r\n\r\n"))?;
            loop {
                wire.send(" ")?;
                thread::sleep(Duration::from_millis(50));
            }
        };
        server.answer("/", Answer::act(act));
        let endpoint = server.url.trim_end_matches("/base");
        let (held, is_gone) = channel();
        let source = S3::new(&format!("s3://releases?region=eu-west-1&endpoint={endpoint}")).unwrap();
        let source = Fetcher::new(source.credentials(Keys { _held: held }));
        let news = Object::Version("stable".parse().unwrap());

        let deadline = Instant::now() + Duration::from_secs(10); // each answer would go on for 50
        let error = source.fetch(&news, limits::VERSION_FILE, deadline).err();
        assert!(matches!(error, Some(Error::Unavailable(Unavailable::TooSlow { .. }))), "{error:?}");
        drop(source);
        let gone = is_gone.recv_timeout(Duration::from_secs(60));
        assert_eq!(gone, Err(RecvTimeoutError::Disconnected), "{status}: the read goes on");
        assert_eq!(server.requests().len(), 1, "{status}");
    }
}
