//! Promise: over HTTPS a repository is read from the host that was named, past an overloaded server, through a proxy where there is one, and
//! with the authorities that one wants. What bad servers, networks and certificates do is in tests/attacks.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use relatch::source::{Fetcher, Https, Object, from_location};
use relatch::trust::Digest;
use relatch::{Error, Outcome, Unavailable, limits};
use serde_json::json;
use support::proxy::{self, next_head, without_proxy};
use support::server::{Answer, Authority, Server, Wire};
use support::tool::{run, stderr, stdout};
use support::{Repository, Snapshot, Tool, executable, executable_such};
use tempfile::TempDir;

/// 1.0.0 installed, 1.1.0 published, and a server in between.
struct Scene {
    repository: Repository,
    server: Server,
    tool: Tool,
    authority: Authority,
    files: TempDir,
    before: Snapshot,
}

impl Scene {
    fn new() -> Self {
        without_proxy();
        let mut repository = Repository::new();
        let old = executable(&repository, "1.0.0");
        repository.release("1.0.0", &old);
        let tool = Tool::installed(&repository);
        // As long ago as a walk of the root chain is due.
        tool.edit("cache", |cache| cache["root_checked"] = 1.into());
        let new = executable(&repository, "1.1.0");
        repository.release("1.1.0", &new);
        let authority = Authority::new();
        let server = Server::tls(&repository, &authority, "127.0.0.1");
        let before = tool.snapshot();
        Scene { repository, server, tool, authority, files: tempfile::tempdir().unwrap(), before }
    }

    fn source(&self) -> Https {
        trusting(&self.server.url, &self.authority.write(self.files.path())).unwrap()
    }

    fn update(&self) -> relatch::Result<Outcome> {
        self.tool.updater().source(self.source()).update(false)
    }

    #[track_caller]
    fn assert_updates(&self) {
        let outcome = self.update();
        assert!(matches!(outcome, Ok(Outcome::Updated { .. })), "{outcome:?}");
        assert_eq!(self.tool.version(), "1.1.0");
    }

    /// The error; the executable is as it was, and nothing lies beside it.
    #[track_caller]
    fn assert_fails(&self, exit_code: u8) -> Error {
        let error = self.update().unwrap_err();
        self.assert_untouched();
        assert_eq!(error.exit_code(), exit_code, "{error:?}");
        error
    }

    #[track_caller]
    fn assert_untouched(&self) {
        assert_eq!(self.tool.snapshot().executable(), self.before.executable());
        assert_eq!(self.tool.strays(), [""; 0]);
        assert_eq!(self.tool.version(), "1.0.0");
    }
}

fn trusting(url: &str, ca_file: &std::path::Path) -> relatch::Result<Https> {
    Https::new(url)?.ca_file(ca_file)
}

#[test]
fn an_update_over_https() {
    let scene = Scene::new();
    scene.assert_updates();
    assert_eq!(scene.server.count("stable/VERSION"), 1);
    let all_below = scene.server.requests().iter().all(|path| path.starts_with("/base/"));
    assert!(all_below, "{:?}", scene.server.requests());
}

#[test]
fn caches_are_asked_for_the_newest_of_what_changes_and_nothing_may_encode() {
    let scene = Scene::new();
    scene.assert_updates();
    for head in scene.server.heads() {
        let changes = ["/stable/", "/root/"].iter().any(|dir| head.starts_with(&format!("get /base{dir}")));
        assert!(!changes || head.contains("\r\ncache-control: no-cache\r\n"), "{head}");
        assert!(head.contains("\r\naccept-encoding: identity\r\n"), "{head}");
    }
}

#[test]
fn a_start_of_a_tool_with_an_internal_authority() {
    let scene = Scene::new();
    let ca_file = scene.authority.write(scene.files.path());
    let fields = json!({"repository": scene.server.url, "ca_file": ca_file});
    let tool = Tool::copied(&executable_such(&scene.repository, "1.0.0", fields));
    let output = tool.run(&["x"]);
    assert_eq!(stdout(&output), "widget 1.1.0 x\n", "{}", stderr(&output));

    let fields = json!({"repository": scene.server.url});
    let tool = Tool::copied(&executable_such(&scene.repository, "1.0.0", fields));
    let output = tool.run(&["x"]);
    assert_eq!(stdout(&output), "widget 1.0.0 x\n", "{}", stderr(&output));
    assert!(stderr(&output).contains("no check for updates"), "{}", stderr(&output));
}

#[test]
fn what_is_no_file_of_authorities_is_neither_waited_for_nor_read_without_end() {
    let scene = Scene::new();
    let path = scene.authority.write(scene.files.path());
    let good = std::fs::read_to_string(&path).unwrap();
    let (fifo, zero) = (scene.files.path().join("fifo"), PathBuf::from("/dev/zero"));
    let mut never_end = vec![scene.files.path().to_owned()];
    match support::damage::fifo(&fifo) {
        Ok(()) => never_end.extend([fifo, zero]),
        Err(error) if cfg!(unix) => panic!("{error}"),
        Err(error) => println!("skipped: a FIFO and a device: {error}"),
    }
    let told = |path: &std::path::Path| {
        let (url, path) = (scene.server.url.clone(), path.to_owned());
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || sender.send(trusting(&url, &path).map(drop)));
        receiver.recv_timeout(Duration::from_secs(30)).expect("it waits").unwrap_err().to_string()
    };
    for path in &never_end {
        assert!(told(path).contains("not a regular file"), "{}", told(path));
    }
    let most = limits::CA_FILE.0 as usize;
    std::fs::write(&path, format!("{good}{}", "#".repeat(most - good.len()))).unwrap();
    trusting(&scene.server.url, &path).unwrap();
    std::fs::write(&path, format!("{good}{}", "#".repeat(most - good.len() + 1))).unwrap();
    assert!(told(&path).contains("is larger than the limit of 4194304 bytes"), "{}", told(&path));
    std::fs::write(&path, "nothing").unwrap();
    assert!(told(&path).contains("contains no PEM certificate"), "{}", told(&path));
}

#[test]
fn forbidden_means_absent_for_the_next_root_alone() {
    let scene = Scene::new();
    scene.server.answer("root/", Answer::Status(403));
    scene.server.answer("stable/", Answer::Status(403));
    let error = scene.assert_fails(4);
    assert!(
        matches!(&error, Error::Unavailable(Unavailable::Forbidden { object: Object::Version(_), .. })),
        "{error:?}"
    );
    assert_eq!(scene.server.count("root/2.json"), 1);
    scene.server.answer("stable/", Answer::Status(404));
    let error = scene.assert_fails(4);
    assert!(matches!(error, Error::Unavailable(Unavailable::Absent { .. })), "{error:?}");
    scene.server.answer("stable/", Answer::Times(0, Box::new(Answer::Stall)));
    scene.assert_updates();
}

#[test]
fn a_redirect_on_the_same_host_is_followed() {
    let scene = Scene::new();
    std::fs::copy(scene.repository.version_path(), scene.repository.dir.path().join("moved")).unwrap();
    scene.server.answer("stable/", Answer::Redirect("/base/moved".into()));
    scene.assert_updates();
    assert_eq!(scene.server.count("moved"), 1);

    let scene = Scene::new();
    std::fs::copy(scene.repository.version_path(), scene.repository.dir.path().join("moved")).unwrap();
    scene.server.answer("stable/", Answer::Redirect(format!("{}/moved", scene.server.url)));
    scene.assert_updates();
}

/// Where a redirect leads elsewhere, elsewhere does not hear of it. (What is told of it, and that nothing installs: tests/attacks.)
#[test]
fn no_other_place_is_asked() {
    let scene = Scene::new();
    let elsewhere = Server::tls(&scene.repository, &scene.authority, "127.0.0.1"); // the same host, another port
    let plain = Server::plain(&scene.repository);
    let manifest = Object::Manifest(scene.repository.current_manifest()).to_string();
    for path in ["stable/VERSION", &manifest] {
        for url in [&elsewhere.url, &plain.url, &elsewhere.url.replacen("127.0.0.1", "localhost", 1)] {
            scene.server.answer(path, Answer::Redirect(format!("{url}/{path}")));
            scene.assert_fails(4);
        }
        scene.server.behave();
    }
    assert_eq!((elsewhere.requests(), plain.requests()), (vec![], vec![]));

    scene.server.answer("stable/", Answer::Redirect("/base/stable/VERSION".into()));
    scene.assert_fails(4);
    let asked = scene.server.count("stable/VERSION");
    assert!(asked < 60, "{asked}");
}

#[test]
fn a_server_that_is_overloaded_for_a_moment_is_asked_again() {
    let scene = Scene::new();
    scene.server.answer("stable/", Answer::Times(2, Box::new(Answer::Status(500))));
    scene.assert_updates();
    assert_eq!(scene.server.count("stable/VERSION"), 3);

    let scene = Scene::new();
    scene.server.answer("stable/", Answer::Status(503));
    let error = scene.assert_fails(4);
    assert!(matches!(error, Error::Unavailable(Unavailable::Status { status: 503, .. })), "{error:?}");
    assert!(scene.server.count("stable/VERSION") <= 5);
}

#[test]
fn addresses_that_nobody_should_use_are_refused() {
    for address in [
        "http://releases.example.com/widget",
        "http://127.0.0.1:1/widget",
        "HTTP://releases.example.com/widget",
        "ftp://releases.example.com/widget",
        "file:///srv/widget",
        "https://user:secret@releases.example.com/widget",
        "https://",
        "https://../widget",
        "https://releases..example.com/widget",
        "",
    ] {
        let error = from_location(address).err();
        assert!(matches!(error, Some(Error::Usage { .. })), "{address}: {error:?}");
    }
    for address in ["http://localhost:1/", "http://releases.example.com/", "http://127.0.0.1.example.com/"] {
        assert!(matches!(Https::plain_on_loopback(address), Err(Error::Usage { .. })), "{address}");
    }
    let directory = tempfile::tempdir().unwrap();
    let empty = directory.path().join("empty.pem");
    std::fs::write(&empty, "no certificate").unwrap();
    let caller = trusting("https://releases.example.com/", &empty);
    assert!(matches!(caller, Err(Error::Usage { .. })));
    let missing = trusting("https://releases.example.com/", &directory.path().join("missing"));
    assert!(matches!(missing, Err(Error::Local(_))));
}

fn news() -> Object {
    Object::Version("stable".parse().unwrap())
}

#[test]
fn a_read_that_is_given_up_ends_no_other_one() {
    let scene = Scene::new();
    let goes_on = Arc::new(AtomicBool::new(false));
    let wait = Arc::clone(&goes_on);
    scene.server.answer("stable/", Answer::Stall);
    let in_two_parts = move |wire: &mut Wire<'_>| {
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")?;
        while !wait.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(5));
        }
        wire.send("later")
    };
    scene.server.answer("blobs/", Answer::act(in_two_parts));
    let source = Fetcher::new(scene.source());
    let mut download = source.stream(&Object::Blob(Digest::of(b"")), None).unwrap();
    let mut bytes = [0; 10];
    download.read_exact(&mut bytes[..5]).unwrap();

    let deadline = Instant::now() + Duration::from_millis(300);
    let error = source.clone().fetch(&news(), limits::VERSION_FILE, deadline).err();
    assert!(matches!(error, Some(Error::Unavailable(Unavailable::TooSlow { .. }))), "{error:?}");
    goes_on.store(true, Ordering::SeqCst);
    download.read_exact(&mut bytes[5..]).unwrap();
    assert_eq!(&bytes, b"firstlater");
}

/// The server takes a second connection only when the first has ended, so that whoever makes one waits for ever.
#[test]
fn reads_that_follow_each_other_share_a_connection() {
    without_proxy();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let source = Https::plain_on_loopback(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            while next_head(&mut stream).is_ok() {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab").unwrap();
            }
        }
    });
    let source = Fetcher::new(source);
    let deadline = Instant::now() + Duration::from_secs(60);
    for _ in 0..50 {
        let fetched = source.fetch(&news(), limits::VERSION_FILE, deadline).unwrap();
        assert_eq!(fetched.bytes(), b"ab");
        let mut text = String::new();
        let mut blob = source.stream(&Object::Blob(Digest::of(b"")), Some(deadline)).unwrap();
        blob.read_to_string(&mut text).unwrap();
        assert_eq!(text, "ab");
    }
}

/// A proxy on loopback that knows CONNECT and nothing else; all that it was asked for.
fn connect_proxy() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let all = Arc::clone(&asked);
    thread::spawn(move || {
        for client in listener.incoming() {
            let asked = Arc::clone(&all);
            thread::spawn(move || client.and_then(|client| tunnel_for(client, &asked)));
        }
    });
    (url, asked)
}

fn tunnel_for(mut client: TcpStream, asked: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let head = next_head(&mut client)?;
    let first = head.lines().next().unwrap_or_default().to_owned();
    asked.lock().unwrap().push(first.clone());
    let Some(target) = first.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()) else {
        return client.write_all(b"HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n");
    };
    proxy::tunnel(client, target)
}

#[test]
fn the_proxy_of_the_environment_is_used_and_nothing_goes_around_it() {
    let scene = Scene::new();
    let (proxy, asked) = connect_proxy();
    let count = || asked.lock().unwrap().len();
    let ca_file = scene.authority.write(scene.files.path());
    let fields = json!({"repository": scene.server.url, "ca_file": ca_file, "deadline_ms": 20_000});
    let bytes = executable_such(&scene.repository, "1.0.0", fields);
    let update = |variables: &[(&str, &str)]| {
        let tool = Tool::copied(&bytes);
        let output = run(tool.command().arg("--update").envs(variables.iter().copied()));
        (output.status.success(), tool.version(), stderr(&output))
    };

    for variable in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"] {
        let (tunnels, requests) = (count(), scene.server.requests().len());
        let (success, version, said) = update(&[(variable, &proxy)]);
        assert!(success && version == "1.1.0", "{variable}: {said}");
        // The server closes each connection after one answer, so each request went through a tunnel of its own.
        let (tunnels, requests) = (count() - tunnels, scene.server.requests().len() - requests);
        assert!(requests > 2 && tunnels >= requests, "{variable}: {tunnels} tunnels, {requests} requests");
    }
    let host = scene.server.url.trim_start_matches("https://").trim_end_matches("/base");
    let expected = format!("CONNECT {host} ");
    assert!(asked.lock().unwrap().iter().all(|line| line.starts_with(&expected)), "{asked:?}");

    // A proxy that is not there is no reason to go without one.
    let gone = "127.0.0.1:1";
    let requests = scene.server.requests().len();
    let (success, version, said) = update(&[("HTTPS_PROXY", &format!("http://{gone}"))]);
    assert!(!success && version == "1.0.0", "{said}");
    assert_eq!(scene.server.requests().len(), requests);

    let tunnels = count();
    let (success, version, said) = update(&[("HTTPS_PROXY", &proxy), ("NO_PROXY", "127.0.0.1")]);
    assert!(success && version == "1.1.0", "{said}");
    assert_eq!(count(), tunnels);
}
