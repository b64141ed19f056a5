//! Transport: what whoever owns the server or the network answers, for each object that an update fetches.

use relatch::source::Object;
use relatch::trust::{Digest, DocumentKind};
use relatch::{Refusal, Unavailable};
use serde_json::json;

use crate::attack::{Answer as Told, Attack, Outcome, is_refusal, is_unavailable};
use crate::stage::{Stage, together};
use crate::support::server::{Answer, Server};
use crate::support::tool::{stderr, stdout};
use crate::support::{Repository, Tool, executable_such};

/// An object on the way of an update.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Root,
    RootSignatures,
    Version,
    Manifest,
    ManifestSignatures,
    Blob,
}

/// In which way its content is not what was published.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wrong {
    Other,
    Empty,
    Short,
    Long,
    Compressed,
}

impl Part {
    const ALL: [Part; 6] = [
        Part::Root,
        Part::RootSignatures,
        Part::Version,
        Part::Manifest,
        Part::ManifestSignatures,
        Part::Blob,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Part::Root => "root",
            Part::RootSignatures => "signatures of the root",
            Part::Version => "VERSION",
            Part::Manifest => "manifest",
            Part::ManifestSignatures => "signatures of the manifest",
            Part::Blob => "blob",
        }
    }

    /// That fetches it.
    pub fn step(self) -> &'static str {
        match self {
            Part::Root | Part::RootSignatures => "3",
            Part::Version => "4",
            Part::Manifest | Part::ManifestSignatures => "6",
            Part::Blob => "9",
        }
    }

    /// Publishes the next release, and a root before it where that is what is meant, and answers so for this object.
    pub fn answer(self, stage: &mut Stage, answer: Answer) {
        let trusted = stage.repository.root_version;
        // Nothing was seen before that could be unchanged.
        stage.tool.edit("cache", |cache| cache["validator"] = serde_json::Value::Null);
        if matches!(self, Part::Root | Part::RootSignatures) {
            stage.repository.rotate(|_| {});
        }
        let mut draft = stage.draft();
        if draft.blobs[0] == stage.payload() {
            // Of more than one read, as an executable is.
            let large = [stage.payload(), vec![b'\n'; 300_000]].concat();
            draft = stage.repository.draft(&stage.next(), &large);
        }
        // A release that does not need the new root, so that nothing but the answer is in the way.
        draft.manifest["root_version"] = trusted.into();
        stage.repository.publish(&draft);
        let repository = &stage.repository;
        let object = match self {
            Part::Root => Object::Root(repository.root_version),
            Part::RootSignatures => Object::RootSignatures(repository.root_version),
            Part::Version => Object::Version(repository.channel.parse().unwrap()),
            Part::Manifest => Object::Manifest(repository.current_manifest()),
            Part::ManifestSignatures => Object::ManifestSignatures(repository.current_manifest()),
            Part::Blob => Object::Blob(Digest::of(&draft.blobs[0])),
        };
        stage.server.answer(&object.to_string(), answer);
    }

    /// Before a blob is fetched, `VERSION` and manifest have verified.
    fn later(self, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Unavailable(answer) if self == Part::Blob => Outcome::UnavailableLater(answer),
            Outcome::Refused(answer) if self == Part::Blob => Outcome::RefusedLater(answer),
            other => other,
        }
    }

    pub fn unavailable(self, answer: Told) -> Outcome {
        self.later(Outcome::Unavailable(answer))
    }

    pub fn refused(self, pattern: &str, is: impl Fn(&Refusal) -> bool + 'static) -> Outcome {
        let answer = Told {
            pattern: pattern.into(),
            is: Box::new(move |error| is_refusal(error, |refusal| is(refusal))),
        };
        self.later(Outcome::Refused(answer))
    }

    /// Not to be had from there, and the reason says this, or that.
    pub fn unreachable(self, because: &'static str) -> Outcome {
        let is = move |why: &str| because.split(" or ").any(|because| why.contains(because));
        self.unavailable(Told {
            pattern: format!("Unreachable {{ why: {because:?} .. }}"),
            is: Box::new(move |error| {
                is_unavailable(error, |why| matches!(why, Unavailable::Unreachable { why, .. } if is(why)))
            }),
        })
    }

    pub fn status(self, status: u16) -> Outcome {
        self.unavailable(Told {
            pattern: format!("Status {{ status: {status} .. }}"),
            is: Box::new(move |error| {
                is_unavailable(
                    error,
                    |why| matches!(why, Unavailable::Status { status: found, .. } if *found == status),
                )
            }),
        })
    }

    /// What lies there is not what was signed.
    fn wrong(self, how: Wrong) -> Outcome {
        use DocumentKind::{Manifest, Root, Timestamp};
        match (self, how) {
            (Part::Root, _) => self.refused("Threshold { document: Root(_), needed: 1, valid: 0 }", |refusal| {
                matches!(refusal, Refusal::Threshold { document: Root(_), needed: 1, valid: 0 })
            }),
            (Part::RootSignatures, _) => self.refused("SignatureForm { document: Root(_), .. }", |refusal| {
                matches!(refusal, Refusal::SignatureForm { document: Root(_), .. })
            }),
            (Part::Version, Wrong::Empty) => self.refused("Malformed { document: Timestamp, .. }", |refusal| {
                matches!(refusal, Refusal::Malformed { document: Timestamp, why } if why.contains("two lines"))
            }),
            // How many line ends it has is luck.
            (Part::Version, Wrong::Compressed) => {
                self.refused("Malformed or SignatureForm { document: Timestamp, .. }", |refusal| match refusal {
                    Refusal::Malformed { document: Timestamp, why } => why.contains("two lines"),
                    Refusal::SignatureForm { document, .. } => *document == Timestamp,
                    _ => false,
                })
            }
            (Part::Version, _) => self.refused("SignatureForm { document: Timestamp, .. }", |refusal| {
                matches!(refusal, Refusal::SignatureForm { document: Timestamp, .. })
            }),
            (Part::Manifest, _) => self.refused("WrongDigest { document: Manifest, .. }", |refusal| {
                matches!(refusal, Refusal::WrongDigest { document: Manifest, .. })
            }),
            (Part::ManifestSignatures, _) => {
                self.refused("SignatureForm { document: Manifest, .. }", |refusal| {
                    matches!(refusal, Refusal::SignatureForm { document: Manifest, .. })
                })
            }
            (Part::Blob, Wrong::Long) => {
                self.refused("Long { .. }", |refusal| matches!(refusal, Refusal::Long { .. }))
            }
            (Part::Blob, _) => {
                self.refused("Short { .. }", |refusal| matches!(refusal, Refusal::Short { .. }))
            }
        }
    }

    pub fn row(self, name: &str, answer: Answer, outcome: Outcome) -> Attack {
        let name = format!("{}: {name}", self.name());
        Attack::by_server(self.step(), name, move |stage| self.answer(stage, answer.clone()), outcome)
    }
}

/// The file under this head; `LENGTH` in it is the file's.
pub fn whole(head: &'static str) -> Answer {
    changed(head, |file| file.to_vec())
}

/// The same with the file changed.
pub fn changed(head: &'static str, change: fn(&[u8]) -> Vec<u8>) -> Answer {
    Answer::act(move |wire| {
        let head = head.replace("LENGTH", &wire.file.len().to_string());
        wire.send([head.as_bytes(), b"\r\n", &change(wire.file)].concat())
    })
}

const LENGTH: &str = "HTTP/1.1 200 OK\r\nContent-Length: LENGTH\r\n";
const NO_LENGTH: &str = "HTTP/1.1 200 OK\r\n";

fn longer(file: &[u8]) -> Vec<u8> {
    [file, b"\n"].concat()
}

fn zstd(file: &[u8]) -> Vec<u8> {
    zstd::encode_all(file, 3).unwrap()
}

fn half(file: &[u8]) -> &[u8] {
    &file[..file.len() / 2]
}

#[rustfmt::skip]
fn answers(part: Part) -> Vec<Attack> {
    let row = |name: &str, answer: Answer, outcome: Outcome| part.row(name, answer, outcome);
    let page = "<!DOCTYPE html>\n<html><title>Log in</title></html>\n";
    let mut rows = vec![
        row("500", Answer::Status(500), part.status(500)),
        row("HTML with status 200", Answer::Content(page.into()), part.wrong(Wrong::Other)),
        row("nothing with status 200", Answer::Content(Vec::new()), part.wrong(Wrong::Empty)),
        row("cut at 0", changed(LENGTH, |_| Vec::new()), part.unreachable("disconnected")),
        row("cut at 1", changed(LENGTH, |file| file[..1].to_vec()), part.unreachable("disconnected")),
        row("cut at half", changed(LENGTH, |file| half(file).to_vec()), part.unreachable("disconnected")),
        row("cut at size - 1", changed(LENGTH, |file| file[..file.len() - 1].to_vec()), part.unreachable("disconnected")),
        row("cut at half without a length", changed(NO_LENGTH, |file| half(file).to_vec()), part.wrong(Wrong::Short)),
        row("one byte too many, told", Answer::act(|wire| {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", wire.file.len() + 1);
            wire.send([head.as_bytes(), wire.file, b"\n"].concat())
        }), part.wrong(Wrong::Long)),
        row("one byte too many, not told", changed(LENGTH, longer), Outcome::Harmless),
        row("one byte too many without a length", changed(NO_LENGTH, longer), part.wrong(Wrong::Long)),
        row("no length", whole(NO_LENGTH), Outcome::Harmless),
        row("a length of one less", Answer::act(|wire| {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", wire.file.len() - 1);
            wire.send([head.as_bytes(), wire.file].concat())
        }), part.wrong(Wrong::Short)),
        row("a length of one more", Answer::act(|wire| {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", wire.file.len() + 1);
            wire.send([head.as_bytes(), wire.file].concat())
        }), part.unreachable("disconnected")),
        row("a reset at once", Answer::act(|wire| wire.reset()), part.unreachable("reset")),
        row("a reset in the middle", Answer::act(|wire| {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", wire.file.len());
            wire.send([head.as_bytes(), half(wire.file)].concat())?;
            wire.reset()
        }), part.unreachable("disconnected or reset")),
        row("a content encoding that nobody asked for", Answer::Encoded("gzip"), part.unreachable("content encoding gzip")),
        row("compressed, and told", changed("HTTP/1.1 200 OK\r\nContent-Encoding: zstd\r\n", zstd), part.unreachable("content encoding zstd")),
        row("compressed, and not told", changed("HTTP/1.1 200 OK\r\n", zstd), part.wrong(Wrong::Compressed)),
        row("a redirect to http", Answer::Redirect("http://127.0.0.1:1/base/x".into()), part.unreachable("redirects to http:")),
        row("a redirect to itself", Answer::act(|wire| {
            wire.send("HTTP/1.1 302 Found\r\nLocation: ?\r\nContent-Length: 0\r\n\r\n")
        }), part.unreachable("redirects to ")),
    ];
    match part {
        // S3 says 403 for what is absent. Who hides a root delays it: the release does not need it, and installs.
        Part::Root => rows.extend([
            row("404", Answer::Status(404), Outcome::Harmless),
            row("403", Answer::Status(403), Outcome::Harmless),
        ]),
        _ => rows.extend([
            row("404", Answer::Status(404), part.later(unavailable!(Absent { .. }))),
            row("410", Answer::Status(410), part.later(unavailable!(Absent { .. }))),
            row("403", Answer::Status(403), part.later(unavailable!(Forbidden { .. }))),
        ]),
    }
    rows
}

#[test]
fn what_is_answered() {
    type Rows = Box<dyn FnOnce() -> Vec<Attack> + Send>;
    let objects = Part::ALL.map(|part| Box::new(move || answers(part)) as Rows);
    let others: [Rows; 3] =
        [Box::new(hidden_roots), Box::new(|| redirects(Part::Version)), Box::new(|| redirects(Part::Blob))];
    together(objects.into_iter().chain(others));
}

/// A root that is hidden where the release needs it is noticed.
fn hidden_roots() -> Vec<Attack> {
    [404, 403]
        .map(|status| {
            Attack::by_server("6j", format!("the root that a manifest needs, hidden by {status}"), move |stage| {
                stage.repository.rotate(|_| {});
                stage.publish(|_, _| {});
                let object = Object::Root(stage.repository.root_version);
                stage.server.answer(&object.to_string(), Answer::Status(status));
            }, refused!(RootAhead { document: DocumentKind::Manifest, needed, trusted } if *needed == trusted + 1))
        })
        .into()
}

/// To wherever the client does not go. Each names what it finds there: it would be the right file.
fn redirects(part: Part) -> Vec<Attack> {
    fn to(part: Part, name: &str, target: fn(&Stage) -> String) -> Attack {
        let name = format!("{}: a redirect to {name}", part.name());
        let outcome = part.unreachable("the server redirects to ");
        Attack::by_server(
            part.step(),
            name,
            move |stage| {
                let target = target(stage);
                part.answer(stage, Answer::Redirect(target));
            },
            outcome,
        )
    }
    /// The server by another name, or another server.
    fn url(stage: &Stage) -> String {
        format!("{}/moved", stage.server.url)
    }
    let round = || Answer::Redirect("/base/round".into());
    vec![
        to(part, "the same port without TLS", |stage| url(stage).replacen("https:", "http:", 1)),
        to(part, "another port", |_| "https://127.0.0.1:1/base/moved".into()),
        to(part, "another name of the same host", |stage| url(stage).replacen("127.0.0.1", "localhost", 1)),
        to(part, "another spelling of the same address", |stage| {
            url(stage).replacen("127.0.0.1", "127.1", 1)
        }),
        to(part, "another host without a scheme", |_| "//localhost/base/moved".into()),
        to(part, "a file", |stage| format!("file://{}", stage.repository.version_path().display())),
        to(part, "a bucket", |_| "s3://bucket/moved".into()),
        to(part, "text in the address itself", |_| "data:text/plain,1.0.0".into()),
        to(part, "credentials", |stage| url(stage).replacen("//", "//user:secret@", 1)),
        to(part, "nowhere", |_| String::new()),
        to(part, "a relative path", |_| "../../moved".into()),
        to(part, "an address that drives a terminal", |_| "https://\u{9b}2J\u{202e}\u{ad}/".into()),
        to(part, "an address of 20,000 bytes", |_| format!("https://x/{}", "x".repeat(20_000))),
        Attack::by_server(
            part.step(),
            format!("{}: redirects round and round", part.name()),
            move |stage| {
                part.answer(stage, round());
                stage.server.answer("round", round());
            },
            part.unreachable("more than 3 times"),
        ),
    ]
}

/// The address that a tool was built with is of a server without TLS, which has the right files: it is not spoken to.
#[test]
fn an_address_without_tls() {
    let mut repository = Repository::new();
    let server = Server::plain(&repository);
    for url in [server.url.clone(), server.url.replacen("http:", "HTTP:", 1)] {
        let tool = Tool::copied(&executable_such(&repository, "1.0.0", json!({"repository": url})));
        repository.release("1.1.0", &executable_such(&repository, "1.1.0", json!({"repository": url})));
        let start = tool.run(&["x"]);
        let told = stderr(&start);
        println!("10.1  {url}: {told}");
        assert_eq!(stdout(&start), "widget 1.0.0 x\n", "{url}: {told}");
        assert!(told.contains("https"), "{url}: {told}");
        assert_eq!(tool.record("cache")["checked"], serde_json::Value::Null, "{url}: nothing but a failure");
        let before = tool.snapshot();
        let update = tool.run(&["--update"]);
        assert_ne!(update.status.code(), Some(0), "{url}: {}", stderr(&update));
        assert_eq!(stdout(&update), "", "{url}");
        assert_eq!(tool.snapshot(), before, "{url}");
        assert_eq!(server.requests(), [""; 0], "{url}");
        assert_eq!(server.connections(), 0, "{url}");
    }
}
