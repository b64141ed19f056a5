//! Transport: servers that have time. Each check ends at its deadline, each download at the minimum rate, and when they have ended so has
//! the connection: nothing goes on in the background of a tool that only wanted to know whether there is news.
//!
//! Without limits each of these would last for ever. They are played at the same time, because each lasts as long as a limit.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use relatch::source::{Fetcher, Https, Object};
use relatch::{Error, Unavailable, limits};

use crate::attack::{Answer as Told, Attack, Outcome, is_unavailable};
use crate::stage::{Stage, together};
use crate::support::server::{Answer, Wire, stall};
use crate::transport::Part;

type Result = std::io::Result<()>;

/// Ends by a limit of the client. `why` is said where it is one of the connection's.
fn given_up(part: Part) -> Outcome {
    let told = Told {
        pattern: "TooSlow, or Unreachable: timeout".into(),
        is: Box::new(|error| {
            is_unavailable(error, |why| match why {
                Unavailable::TooSlow { .. } => true,
                Unavailable::Unreachable { why, .. } => why.contains("timeout"),
                _ => false,
            })
        }),
    };
    part.unavailable(told)
}

fn row(
    part: Part,
    name: &str,
    act: impl Fn(&mut Wire<'_>) -> Result + Send + Sync + Clone + 'static,
) -> Attack {
    let name = format!("{}: {name}", part.name());
    Attack::by_server(
        part.step(),
        name,
        move |stage| {
            stage.hurry = Some(patience(part));
            part.answer(stage, Answer::act(act.clone()));
        },
        given_up(part),
    )
}

/// For a start: ten times its deadline; a download may take longer before it is too slow.
fn patience(part: Part) -> Duration {
    if part == Part::Blob { Duration::from_secs(60) } else { Duration::from_secs(15) }
}

/// What is done with a connection before there is a request.
fn unspoken(name: &str, act: impl Fn(TcpStream) -> Result + Send + Sync + Clone + 'static) -> Attack {
    Attack::by_server(
        "4",
        name,
        move |stage| {
            stage.hurry = Some(patience(Part::Version));
            stage.publish(|_, _| {});
            stage.server.accept(act.clone());
        },
        given_up(Part::Version),
    )
}

/// The head of an answer with all of the file.
fn head(wire: &Wire<'_>) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", wire.file.len())
}

fn drip(wire: &mut Wire<'_>, bytes: &[u8], pause: Duration) -> Result {
    for byte in bytes {
        wire.send([*byte])?;
        thread::sleep(pause);
    }
    wire.stall()
}

/// No timeout ends this: each read gives something.
fn endless_trailers(wire: &mut Wire<'_>) -> Result {
    wire.send(format!("{CHUNKED}0\r\n"))?;
    loop {
        wire.send("X: x\r\n".repeat(100))?;
        thread::sleep(MOMENT);
    }
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
/// Without it the attack would be on the machine of this test.
const MOMENT: Duration = Duration::from_millis(50);
const SECOND: Duration = Duration::from_secs(1);
/// Just quick enough for a limit of 5 s on each read.
const PATIENT: Duration = Duration::from_secs(4);

pub fn rows() -> Vec<Box<dyn FnOnce() -> Attack + Send>> {
    let mut rows: Vec<Box<dyn FnOnce() -> Attack + Send>> = Vec::new();
    macro_rules! slow {
        ($row:expr) => {
            rows.push(Box::new(move || $row))
        };
    }
    for part in [Part::Root, Part::Version, Part::ManifestSignatures, Part::Blob] {
        slow!(row(part, "nothing is ever answered", |wire| wire.stall()));
        slow!(row(part, "a stall in the middle", |wire| {
            wire.send(head(wire))?;
            wire.send(&wire.file[..wire.file.len().min(8000) / 2])?;
            wire.stall()
        }));
    }
    for part in [Part::Version, Part::Blob] {
        slow!(row(part, "a byte of the head each 4 s", |wire| drip(wire, head(wire).as_bytes(), PATIENT)));
        slow!(row(part, "a byte each second", |wire| {
            wire.send(head(wire))?;
            drip(wire, wire.file, SECOND)
        }));
        slow!(row(part, "all but the last byte", |wire| {
            wire.send(head(wire))?;
            wire.send(&wire.file[..wire.file.len() - 1])?;
            wire.stall()
        }));
        slow!(row(part, "interim answers without end", |wire| loop {
            wire.send("HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100))?;
            thread::sleep(MOMENT);
        }));
        slow!(row(part, "trailers without end", endless_trailers));
        slow!(row(part, "a chunk's size that does not end", |wire| {
            wire.send(CHUNKED)?;
            drip(wire, &[b'0'; 20], SECOND)
        }));
    }
    slow!(unspoken("connections that are never accepted by TLS", |socket| stall(&socket)));
    slow!(unspoken("a byte of the TLS handshake each second", |mut socket| {
        // A ServerHello is announced and never comes to its end.
        for byte in b"\x16\x03\x03\x20\x00\x02\x00\x1f\xfc".iter().chain(&[3; 100]) {
            socket.write_all(&[*byte])?;
            thread::sleep(SECOND);
        }
        stall(&socket)
    }));
    slow!(unspoken("a byte of the TLS handshake each 4 s", |mut socket| {
        for byte in b"\x16\x03\x03\x20\x00\x02\x00\x1f\xfc".iter().chain(&[3; 100]) {
            socket.write_all(&[*byte])?;
            thread::sleep(PATIENT);
        }
        stall(&socket)
    }));
    rows
}

#[test]
fn servers_that_have_time() {
    together(rows().into_iter().map(|row| move || vec![row()]));
}

/// The last of the reads comes as far as to ask, also where the machine is busy.
const LAST: u32 = 40;

/// Whatever a read was doing at its deadline: loading certificates, connecting, asking, or nothing yet.
#[test]
fn at_whichever_moment_a_read_is_given_up_nothing_of_it_goes_on() {
    let stage = Stage::new();
    stage.server.answer("stable/VERSION", Answer::act(endless_trailers));
    let files = tempfile::tempdir().unwrap();
    let authority = stage.authority.write(files.path());
    let news = Object::Version("stable".parse().unwrap());
    stage.server.forget();
    let reads: Vec<_> = (0..=LAST)
        .map(|step| {
            // Gone with the last that holds the source.
            let (held, is_gone) = channel::<()>();
            let url = stage.server.url.clone();
            let url_of = move |object: &Object| {
                let _ = &held;
                Ok(format!("{url}/{object}"))
            };
            let source = Fetcher::new(Https::presigned("here", url_of).ca_file(&authority).unwrap());
            let deadline =
                Instant::now() + if step == LAST { SECOND * 10 } else { Duration::from_millis(5) * step };
            let error = source.fetch(&news, limits::VERSION_FILE, deadline).err();
            assert!(
                matches!(error, Some(Error::Unavailable(Unavailable::TooSlow { .. }))),
                "{step}: {error:?}"
            );
            is_gone
        })
        .collect();
    assert_ne!(stage.server.requests(), [""; 0], "no read came as far as to ask");
    let until = Instant::now() + Duration::from_secs(60);
    for (step, is_gone) in reads.iter().enumerate() {
        let gone = is_gone.recv_timeout(until.saturating_duration_since(Instant::now()));
        assert_eq!(gone, Err(RecvTimeoutError::Disconnected), "given up at step {step}, it goes on");
    }
    stage.lets_go("all of them");
}
