//! `s3-server` serves a directory to a shell.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::{Client, Config};

use super::{refusal, refused};

struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn program(dir: &Path) -> (Program, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_s3-server"))
        .args(["--bucket", "releases", "--address", "127.0.0.1:0", "--dir"])
        .arg(dir)
        .env_clear()
        .env("AWS_ACCESS_KEY_ID", "KEY")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (Program(child), line)
}

fn client(line: &str) -> Client {
    let endpoint = line.split(' ').next().unwrap();
    Client::from_conf(
        Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-test-1"))
            .endpoint_url(endpoint)
            .credentials_provider(Credentials::new("KEY", "secret", None, None, "test"))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .force_path_style(true)
            .build(),
    )
}

#[tokio::test]
async fn it_says_where_it_is_and_keeps_objects_in_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let (first, line) = program(dir.path());
    assert!(line.ends_with(" is an S3 server for tests only: bucket releases, region eu-test-1\n"), "{line}");
    let s3 = client(&line);
    let put = s3.put_object().bucket("releases").key("blobs/x").cache_control("immutable");
    put.body(ByteStream::from_static(b"bytes")).send().await.unwrap();
    assert_eq!(std::fs::read(dir.path().join("releases/blobs/x")).unwrap(), b"bytes");
    for key in ["../x", "a/../../x", "a//b", "/a", "a/"] {
        let put =
            s3.put_object().bucket("releases").key(key).body(ByteStream::from_static(b"x")).send().await;
        assert_eq!(refusal(put), refused(400, "InvalidArgument"), "{key}");
    }
    drop(first);

    std::fs::write(dir.path().join("releases/by-hand"), "other").unwrap();
    let (_second, line) = program(dir.path());
    let s3 = client(&line);
    let kept = s3.get_object().bucket("releases").key("blobs/x").send().await.unwrap();
    assert_eq!(kept.cache_control(), Some("immutable"));
    assert_eq!(kept.body.collect().await.unwrap().to_vec(), b"bytes");
    let listed = s3.list_objects_v2().bucket("releases").send().await.unwrap();
    let keys: Vec<_> = listed.contents().iter().map(|object| object.key().unwrap()).collect();
    assert_eq!(keys, ["blobs/x", "by-hand"]);
    s3.delete_object().bucket("releases").key("blobs/x").send().await.unwrap();
    assert!(!dir.path().join("releases/blobs/x").exists());
}

#[test]
fn without_keys_in_the_environment_or_off_loopback_it_does_not_start() {
    let run = |address: &str, secret: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_s3-server"))
            .args(["--bucket", "releases", "--dir", "unused", "--address", address])
            .env_clear()
            .env("AWS_ACCESS_KEY_ID", "KEY")
            .env("AWS_SECRET_ACCESS_KEY", secret)
            .output()
            .unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(
        run("127.0.0.1:0", ""),
        "s3-server: AWS_SECRET_ACCESS_KEY is not set: the key pair to accept comes from the environment\n"
    );
    assert_eq!(
        run("0.0.0.0:0", "secret"),
        "s3-server: 0.0.0.0:0 is not on loopback, and this server is for tests only\n"
    );
}
