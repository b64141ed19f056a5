//! Transport: the proxy that the environment names is somebody else's. It can withhold everything, and nothing else.

use std::io::{Read as _, Result, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use relatch::limits;
use relatch::source::{Fetcher, Https, Object};

use crate::stage::Stage;
use crate::support::printed::drives;
use crate::support::proxy::{CONNECTED, next_head, tunnel, without_proxy};
use crate::support::scene::without_state;
use crate::support::server::{Authority, Server};
use crate::support::tool::{run, stderr, stdout};

/// Without it the attack would be on the machine of this test.
const MOMENT: Duration = Duration::from_millis(50);
const SECOND: Duration = Duration::from_secs(1);

/// What it does when it was asked for a tunnel.
type Act = Arc<dyn Fn(TcpStream) -> Result<()> + Send + Sync>;

struct Proxy {
    url: String,
    act: Arc<Mutex<Act>>,
    asked: Arc<AtomicUsize>,
}

impl Proxy {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let nothing: Act = Arc::new(stall);
        let act = Arc::new(Mutex::new(nothing));
        let asked = Arc::<AtomicUsize>::default();
        let (now, count) = (Arc::clone(&act), Arc::clone(&asked));
        thread::spawn(move || {
            for mut client in listener.incoming().flatten() {
                let (act, count) = (Arc::clone(&now.lock().unwrap()), Arc::clone(&count));
                thread::spawn(move || {
                    next_head(&mut client)?;
                    count.fetch_add(1, Ordering::SeqCst);
                    act(client)
                });
            }
        });
        Proxy { url, act, asked }
    }

    /// How often, since this was asked last.
    fn asked(&self) -> usize {
        self.asked.swap(0, Ordering::SeqCst)
    }

    fn does(&self, act: impl Fn(TcpStream) -> Result<()> + Send + Sync + 'static) {
        *self.act.lock().unwrap() = Arc::new(act);
    }
}

/// Until the client ends it.
fn stall(mut client: TcpStream) -> Result<()> {
    while client.read(&mut [0; 4096])? > 0 {}
    Ok(())
}

fn answers(mut client: TcpStream, answer: &[u8]) -> Result<()> {
    client.write_all(answer)?;
    stall(client)
}

fn again_and_again(mut client: TcpStream, head: &[u8], part: &[u8], pause: Duration) -> Result<()> {
    client.write_all(head)?;
    loop {
        client.write_all(part)?;
        thread::sleep(pause);
    }
}

fn address_of(server: &Server) -> String {
    server.url.trim_start_matches("https://").trim_end_matches("/base").to_owned()
}

/// What is done, and what a check tells of it: one of these.
type Row = (&'static str, &'static [&'static str], fn(TcpStream) -> Result<()>);

/// By which limit it ends depends on how busy the machine is.
const GIVEN_UP: &[&str] = &["timeout", "did not deliver"];

/// It never ends by itself.
const ENDLESS: [Row; 7] = [
    ("nothing is ever answered", GIVEN_UP, stall),
    ("a byte of its head each second", GIVEN_UP, |client| {
        again_and_again(client, b"HTTP/1.1 200 Connected\r\nX: ", b"x", SECOND)
    }),
    ("headers without end", &["too many headers"], |client| {
        again_and_again(client, b"HTTP/1.1 200 Connected\r\n", &b"X: x\r\n".repeat(100), MOMENT)
    }),
    ("a header without end, at once", &["did not respond"], |client| {
        again_and_again(client, b"HTTP/1.1 200 Connected\r\nX: ", &[b'x'; 16 * 1024], Duration::ZERO)
    }),
    ("interim answers without end", &["responded 103"], |client| {
        again_and_again(client, b"", &b"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100), MOMENT)
    }),
    ("a tunnel in which nobody speaks", GIVEN_UP, |client| answers(client, CONNECTED)),
    ("a byte of the TLS handshake each second", GIVEN_UP, |client| {
        again_and_again(client, &[CONNECTED, b"\x16\x03\x03\x20\x00\x02\x00\x1f\xfc"].concat(), &[3], SECOND)
    }),
];

const AT_ONCE: [Row; 9] = [
    ("it wants a password", &["responded 407"], |client| {
        answers(
            client,
            b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n",
        )
    }),
    ("it fails, and drives a terminal", &["invalid response status"], |client| {
        answers(client, b"HTTP/1.1 502 \x1b[2J\r\nContent-Length: 4\r\n\r\n\x1b[2J")
    }),
    ("it sends elsewhere", &["responded 302"], |client| {
        answers(client, b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")
    }),
    ("it is no proxy", &["invalid HTTP version"], |client| answers(client, b"SSH-2.0-OpenSSH_10.0\r\n")),
    ("it answers itself, without TLS", &["InvalidContentType"], |client| {
        answers(client, &[CONNECTED, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"].concat())
    }),
    ("it ends", &["did not respond"], |client| client.shutdown(Shutdown::Both)),
    ("it ends in its head", &["did not respond"], |mut client| client.write_all(b"HTTP/1.1 200 Conn")),
    ("its tunnel ends", &["unexpected end of file"], |mut client| {
        client.write_all(CONNECTED)?;
        client.shutdown(Shutdown::Write)?;
        stall(client)
    }),
    // What it has not read is lost at its end, which resets the connection.
    ("its tunnel breaks", &["Connection reset", "Broken pipe"], |mut client| {
        client.write_all(CONNECTED)?;
        client.read_exact(&mut [0; 1])
    }),
];

struct Behind {
    stage: Stage,
    proxy: Proxy,
}

impl Behind {
    /// One after another; what then waits, waits together.
    fn new() -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        let _turn = TURN.lock();
        let mut stage = Stage::new();
        stage.publish(|_, _| {});
        Behind { stage, proxy: Proxy::start() }
    }

    fn command(&self) -> Command {
        let mut command = self.stage.tool.command();
        command.env("HTTPS_PROXY", &self.proxy.url).env_remove("NO_PROXY").env_remove("no_proxy");
        command
    }

    /// Nothing comes of it, and a start goes on with what is installed.
    fn withholds(&self, name: &str, told: &[&str]) {
        println!("10.1  {name}");
        self.stage.server.forget();
        self.proxy.asked();
        let before = without_state(self.stage.tool.snapshot());
        let update = run(self.command().arg("--update"));
        let heard = stderr(&update);
        assert_eq!(update.status.code(), Some(4), "{name}: {heard}");
        assert!(told.iter().any(|told| heard.contains(told)), "{name}: {heard}");
        assert!(self.proxy.asked() > 0, "{name}: the update did not ask");
        assert_eq!(drives(&heard), None, "{name}: {heard:?}");
        // A start on a busy machine may have been given up before it comes as far as to ask.
        let has_asked = (0..5).any(|_| {
            let started = Instant::now();
            let start = run(self.command().env("TEST_DEADLINE_MS", "1500").arg("x"));
            let heard = stderr(&start);
            assert!(started.elapsed() < Duration::from_secs(15), "{name}: {:?}", started.elapsed());
            assert_eq!(stdout(&start), format!("widget {} x\n", self.stage.installed()), "{name}: {heard}");
            assert_eq!(drives(&heard), None, "{name}: {heard:?}");
            self.proxy.asked() > 0
        });
        assert!(has_asked, "{name}: no start asked");
        assert_eq!(without_state(self.stage.tool.snapshot()), before, "{name}: the disk changed");
        assert_eq!(self.stage.server.requests(), [""; 0], "{name}: something went around it, or through");
        assert!(!self.stage.mark().exists(), "{name}: the attacker's executable was run");
    }
}

#[test]
fn a_proxy_withholds() {
    let behind = Behind::new();
    for (name, told, act) in AT_ONCE {
        behind.proxy.does(act);
        behind.withholds(name, told);
    }
}

#[test]
fn a_proxy_that_has_time() {
    without_proxy();
    thread::scope(|scope| {
        for (name, told, act) in ENDLESS {
            scope.spawn(move || {
                let behind = Behind::new();
                behind.proxy.does(act);
                behind.withholds(name, told);
            });
        }
    });
}

#[test]
fn a_proxy_in_the_middle() {
    let mut behind = Behind::new();
    let own = Authority::new();
    let middle = Server::tls(&behind.stage.repository, &own, "127.0.0.1");
    let address = address_of(&middle);
    behind.proxy.does(move |client| tunnel(client, &address));
    behind.withholds("it is the server, with an authority of its own", &["invalid peer certificate"]);
    assert_eq!(middle.requests(), [""; 0]);

    // It can fail: through the same proxy a good release comes.
    let address = address_of(&behind.stage.server);
    behind.proxy.does(move |client| tunnel(client, &address));
    let version = behind.stage.next();
    let executable = behind.stage.executable(&version);
    behind.stage.repository.release(&version, &executable);
    let output = run(behind.command().arg("x"));
    assert_eq!(stdout(&output), format!("widget {version} x\n"), "{}", stderr(&output));
}

const URL: &str = "TEST_READ_THROUGH_PROXY";
const CA_FILE: &str = "TEST_READ_CA_FILE";

/// In a process of its own, whose environment names the proxy; by itself it has nothing to do.
#[test]
fn a_read_through_a_proxy_that_is_given_up_ends() {
    let (Ok(url), Ok(ca_file)) = (std::env::var(URL), std::env::var(CA_FILE)) else { return };
    let (held, is_gone) = channel::<()>();
    let url_of = move |object: &Object| {
        let _ = &held;
        Ok(format!("{url}/{object}"))
    };
    let source = Fetcher::new(Https::presigned("here", url_of).ca_file(ca_file.as_ref()).unwrap());
    let news = Object::Version("stable".parse().unwrap());
    let error = source.fetch(&news, limits::VERSION_FILE, Instant::now() + SECOND * 3).err().unwrap();
    println!("{error}");
    drop(source);
    assert_eq!(
        is_gone.recv_timeout(Duration::from_secs(60)),
        Err(RecvTimeoutError::Disconnected),
        "it goes on"
    );
    println!("it has ended");
}

#[test]
fn nothing_of_a_read_through_a_proxy_goes_on() {
    without_proxy();
    let files = tempfile::tempdir().unwrap();
    let ca_file = Authority::new().write(files.path());
    let turn = Mutex::new(());
    thread::scope(|scope| {
        for (name, told, act) in ENDLESS {
            let (ca_file, turn) = (&ca_file, &turn);
            scope.spawn(move || {
                let proxy = Proxy::start();
                proxy.does(act);
                let mut read = Command::new(std::env::current_exe().unwrap());
                read.args(["--exact", "proxy::a_read_through_a_proxy_that_is_given_up_ends", "--nocapture"]);
                read.env("HTTPS_PROXY", &proxy.url)
                    .env(URL, "https://127.0.0.1:1/base")
                    .env(CA_FILE, ca_file);
                // One after another, so that each comes as far as to ask.
                let turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
                let output = read.output().unwrap();
                drop(turn);
                let said = stdout(&output);
                assert!(output.status.success() && said.contains("it has ended"), "{name}: {output:?}");
                assert!(proxy.asked() > 0, "{name}: no read came as far as to ask");
                assert!(
                    told != GIVEN_UP || said.contains("did not deliver"),
                    "{name}: it ended by itself: {said}"
                );
            });
        }
    });
}
