//! Transport: who speaks for the host, and what else can be there in the place of TLS. No request comes so far.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use crate::attack::{Attack, Outcome};
use crate::stage::Stage;
use crate::support::server::{Authority, self_signed};
use crate::transport::Part;

const HOST: &str = "127.0.0.1";
const BOTH: &[&rustls::SupportedProtocolVersion] = rustls::DEFAULT_VERSIONS;

/// A handshake as it should be, with something wrong in it.
fn presents(name: &str, because: &'static str, tls: fn(&Authority) -> rustls::ServerConfig) -> Attack {
    Attack::by_server(
        "10.1",
        name,
        move |stage| {
            publish(stage);
            stage.server.present(tls(&stage.authority));
        },
        Part::Version.unreachable(because),
    )
}

/// No handshake.
fn says(name: &str, because: &'static str, act: fn(TcpStream) -> std::io::Result<()>) -> Attack {
    Attack::by_server(
        "10.1",
        name,
        move |stage| {
            publish(stage);
            stage.server.accept(act);
        },
        Part::Version.unreachable(because),
    )
}

fn publish(stage: &mut Stage) {
    stage.publish(|_, _| {});
    stage.server.forget();
    stage.unheard = true;
}

/// Reads what comes first, so that the connection does not end by a reset.
fn hello(socket: &mut TcpStream) -> std::io::Result<()> {
    socket.read(&mut [0; 4096]).map(drop)
}

/// A handshake record with this content.
fn answers(mut socket: TcpStream, version: [u8; 2], content: &[u8]) -> std::io::Result<()> {
    hello(&mut socket)?;
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    socket.write_all(&[&[0x16][..], &version, &length, content].concat())?;
    hello(&mut socket)
}

/// A ServerHello of this version of TLS, with a cipher suite of its time.
fn old(socket: TcpStream, version: [u8; 2]) -> std::io::Result<()> {
    let body = [&version[..], &[7; 32], &[0], &[0xc0, 0x13], &[0]].concat();
    let content = [&[2, 0, 0, body.len() as u8][..], &body].concat();
    answers(socket, version, &content)
}

#[rustfmt::skip]
pub fn handshakes() -> Vec<Attack> {
    let mut rows = vec![
        presents("a self-signed certificate", "certificate", |_| self_signed(HOST)),
        presents("a certificate of an unknown authority", "certificate", |_| Authority::new().tls(HOST)),
        presents("a certificate of another host", "certificate", |authority| authority.tls("other.example")),
        presents("a certificate of another address", "certificate", |authority| authority.tls("127.0.0.2")),
        presents("an expired certificate", "certificate", |authority| authority.tls_such(HOST, BOTH, |params| {
            params.not_before = rcgen::date_time_ymd(2020, 1, 1);
            params.not_after = rcgen::date_time_ymd(2021, 1, 1);
        })),
        presents("a certificate that is not valid yet", "certificate", |authority| authority.tls_such(HOST, BOTH, |params| {
            params.not_before = rcgen::date_time_ymd(2220, 1, 1);
            params.not_after = rcgen::date_time_ymd(2221, 1, 1);
        })),
        presents("a certificate for clients", "certificate", |authority| authority.tls_such(HOST, BOTH, |params| {
            params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        })),
        presents("a certificate signed by a server's certificate", "certificate", |authority| authority.tls_by_a_server(HOST)),
        // An end or a reset, as it comes.
        says("the connection closes at once", "", |_| Ok(())),
        says("the connection closes in the handshake", "end of file", |mut socket| hello(&mut socket)),
        says("the connection closes in a message of the handshake", "end of file", |mut socket| {
            hello(&mut socket)?;
            socket.write_all(b"\x16\x03\x03\x00\x7a\x02\x00")
        }),
        says("HTTP without TLS", "InvalidContentType", |mut socket| {
            hello(&mut socket)?;
            socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        }),
        says("garbage that drives a terminal", "InvalidContentType", |mut socket| {
            hello(&mut socket)?;
            socket.write_all("\x1b[2J\u{202e}".repeat(1000).as_bytes())
        }),
        says("zeros without end", "InvalidContentType", |mut socket| loop {
            socket.write_all(&[0; 16 * 1024])?;
        }),
        says("SSL 3.0", "DoesNotSupportTls12Or13", |socket| old(socket, [3, 0])),
        says("TLS 1.0", "DoesNotSupportTls12Or13", |socket| old(socket, [3, 1])),
        says("TLS 1.1", "DoesNotSupportTls12Or13", |socket| old(socket, [3, 2])),
        says("an alert: the version is too new", "fatal alert: ProtocolVersion", |mut socket| {
            hello(&mut socket)?;
            socket.write_all(b"\x15\x03\x01\x00\x02\x02\x46")
        }),
        says("alerts that are only warnings, without end", "TooManyWarningAlerts", |mut socket| {
            hello(&mut socket)?;
            loop {
                socket.write_all(&b"\x15\x03\x03\x00\x02\x01\x5a".repeat(1000))?;
            }
        }),
        says("records of nothing without end", "InvalidEmptyPayload", |mut socket| {
            hello(&mut socket)?;
            loop {
                socket.write_all(&b"\x16\x03\x03\x00\x00".repeat(1000))?;
            }
        }),
        says("cipher changes without end", "ChangeCipherSpec", |mut socket| {
            hello(&mut socket)?;
            loop {
                socket.write_all(&b"\x14\x03\x03\x00\x01\x01".repeat(1000))?;
            }
        }),
        says("a message of 16 MiB", "HandshakePayloadTooLarge", |mut socket| {
            hello(&mut socket)?;
            let mut record = b"\x16\x03\x03\x40\x00\x0b\xff\xff\xff".to_vec();
            record.resize(5 + 0x4000, 0);
            loop {
                socket.write_all(&record)?;
            }
        }),
    ];
    rows.push(Attack::by_server("10.1", "key updates without end", |stage| {
        publish(stage);
        let tls = Arc::new(stage.authority.tls(HOST));
        stage.server.accept(move |mut socket| {
            let mut connection = rustls::ServerConnection::new(Arc::clone(&tls)).unwrap();
            while connection.is_handshaking() {
                connection.complete_io(&mut socket)?;
            }
            loop {
                connection.refresh_traffic_keys().map_err(std::io::Error::other)?;
                connection.write_tls(&mut socket)?;
            }
        });
    }, Part::Version.unreachable("TooManyKeyUpdateRequests")));
    for (name, version) in [("TLS 1.2 and nothing newer", &rustls::version::TLS12), ("TLS 1.3 and nothing older", &rustls::version::TLS13)] {
        rows.push(Attack::by_server("10.1", name, move |stage| {
            stage.publish(|_, _| {});
            stage.server.present(stage.authority.tls_such(HOST, &[version], |_| {}));
        }, Outcome::Harmless));
    }
    rows
}

table!(who_does_not_speak_for_the_host, handshakes());
