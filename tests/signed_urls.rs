//! Promise: URLs that are secrets, presigned or of a CDN's signed prefix, give access and are told to nobody.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use relatch::source::{Https, Object, Source as _};
use relatch::{Error, Outcome, Unavailable};
use serde_json::json;
use support::server::{Answer, Authority, Server};
use support::tool::{stderr, stdout};
use support::{Repository, Tool, executable, executable_such, fake};

const SECRET: &str = "Policy=e30_&Signature=s3cr3t-s1gn4tur3&Key-Pair-Id=K1";

fn signed(server: &Server) -> Https {
    Https::plain_on_loopback(&format!("{}/?{SECRET}", server.url)).unwrap()
}

#[test]
fn a_query_goes_with_each_request() {
    let mut repository = Repository::new();
    repository.release("1.0.0", &fake("1.0.0"));
    let tool = Tool::installed_plain(&repository);
    repository.release("1.1.0", &fake("1.1.0"));
    let server = Server::plain(&repository);
    let outcome = tool.updater().source(signed(&server)).update(false);
    assert!(matches!(outcome, Ok(Outcome::Updated { .. })), "{outcome:?}");
    let requests = server.requests();
    assert!(
        requests.len() > 3 && requests.iter().all(|path| path.ends_with(&format!("?{SECRET}"))),
        "{requests:?}"
    );
}

#[test]
fn it_stands_in_no_error_no_output_and_no_file() {
    let mut repository = Repository::new();
    repository.release("1.0.0", &executable(&repository, "1.0.0"));
    let server = Server::plain(&repository);
    let address = format!("{}/?{SECRET}", server.url);
    let fields = json!({"repository": address, "plain": true, "interval": 0});
    let redirect = format!("http://elsewhere.example.com/x?{SECRET}");
    let answers = [
        Answer::Status(403),
        Answer::Status(500),
        Answer::Redirect(redirect),
        Answer::Content(b"x".to_vec()),
    ];
    for answer in answers {
        let tool = Tool::copied(&executable_such(&repository, "1.0.0", fields.clone()));
        server.answer("stable/", answer);
        for arguments in [&["x"][..], &["--update"], &["--update-status"]] {
            let output = tool.run(arguments);
            let told = stdout(&output) + &stderr(&output);
            assert!(told.contains("widget") && !told.contains("s3cr3t"), "{told}");
        }
        for entry in std::fs::read_dir(tool.site_dir()).unwrap() {
            let content = std::fs::read(entry.unwrap().path()).unwrap();
            assert!(!String::from_utf8_lossy(&content).contains("s3cr3t"));
        }
    }
    assert!(!signed(&server).location().contains('?'));
    for bad in [
        format!("ftp://host/?{SECRET}"),
        format!("https://u:s3cr3t@host/?{SECRET}"),
        format!("https://?{SECRET}"),
    ] {
        let error = Https::new(&bad).err().unwrap();
        assert!(matches!(error, Error::Usage { .. }) && !error.to_string().contains("s3cr3t"), "{error}");
    }
}

/// It would have to be kept in a file that everybody can read.
#[test]
fn relatch_installs_from_no_such_address() {
    let dir = tempfile::tempdir().unwrap();
    let repository = Repository::new();
    let root = dir.path().join("root.json");
    std::fs::write(&root, repository.anchor()).unwrap();
    let install = relatch::Install {
        from: format!("https://releases.example.com/?{SECRET}"),
        ca_file: None,
        root,
        product: support::PRODUCT.parse().unwrap(),
        channel: "stable".parse().unwrap(),
        target: "test".parse().unwrap(),
        path: dir.path().join("widget"),
        probe: None,
        force: false,
    };
    let error = install.run(relatch::Quiet).unwrap_err();
    assert!(matches!(error, Error::Usage { .. }) && !error.to_string().contains("s3cr3t"), "{error}");
    assert!(!dir.path().join("widget").exists() && !dir.path().join(".widget.relatch").exists());
}

#[test]
fn a_broker_hands_out_a_url_for_each_object() {
    support::proxy::without_proxy();
    let mut repository = Repository::new();
    repository.release("1.0.0", &fake("1.0.0"));
    let tool = Tool::installed_plain(&repository);
    repository.release("1.1.0", &fake("1.1.0"));
    let authority = Authority::new();
    let server = Server::tls(&repository, &authority, "127.0.0.1");
    let url = server.url.clone();
    let broker = move |object: &Object| Ok(format!("{url}/{object}?X-Amz-Signature=s3cr3t-{object}"));
    let source = Https::presigned("the broker", broker.clone());
    let error = tool.updater().source(source).update(false).unwrap_err(); // of an authority that nobody knows
    assert!(
        matches!(&error, Error::Unavailable(Unavailable::Unreachable { location, .. }) if location == "the broker"),
        "{error:?}"
    );
    assert!(!error.to_string().contains("s3cr3t"), "{error}");
    let source =
        Https::presigned("the broker", broker).ca_file(&authority.write(repository.dir.path())).unwrap();
    let outcome = tool.updater().source(source).update(false);
    assert!(matches!(outcome, Ok(Outcome::Updated { .. })), "{outcome:?}");
    assert!(
        server.requests().contains(&"/base/stable/VERSION?X-Amz-Signature=s3cr3t-stable/VERSION".to_owned())
    );

    let source = Https::presigned("the broker", |_| Err("you are not logged in".into()));
    let error = tool.updater().source(source).update(false).unwrap_err();
    assert!(error.to_string().contains("you are not logged in"), "{error}");

    let source = Https::presigned("the broker", |_| Ok("http://127.0.0.1:1/x?X-Amz-Signature=s3cr3t".into()));
    let error = source.open(&Object::Root(2), None).err().unwrap();
    assert!(matches!(error, Unavailable::Unreachable { retryable: false, .. }), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("s3cr3t"), "{error:?}");
    let source = Https::presigned("the broker", |_| Ok("127.0.0.1 x?X-Amz-Signature=s3cr3t".into()));
    let error = source.open(&Object::Root(2), None).err().unwrap();
    assert!(!format!("{error} {error:?}").contains("s3cr3t"), "{error:?}");
}
