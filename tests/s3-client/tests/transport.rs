//! Promise: a bucket is found in the path and in the name of the host, on any port, behind TLS with an internal authority, and through a
//! proxy.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use support::{OBJECT, Reading, Scene, connect_proxy};
use test_s3::{Authority, Options};

fn read(scene: &Scene, address: &str, ca_file: Option<&str>, variables: &[(&str, &str)]) -> Reading {
    let keys = scene.keys();
    let mut reader = scene.reader();
    reader.env("AWS_ACCESS_KEY_ID", &keys.access_key).env("AWS_SECRET_ACCESS_KEY", &keys.secret_key);
    reader.envs(variables.iter().copied());
    if let Some(ca_file) = ca_file {
        reader.args(["--ca-file", ca_file]);
    }
    scene.run(reader.args([address, OBJECT]))
}

#[test]
fn tls_with_an_internal_authority() {
    let authority = Authority::new();
    let scene = Scene::with(Options::new().https(&authority));
    let ca_file = scene.file("ca.pem", authority.pem());
    let address = scene.address();
    assert!(address.contains("endpoint=https://127.0.0.1:"), "{address}");
    read(&scene, &address, Some(&ca_file), &[]).assert_has_access();
    let other = scene.file("other.pem", Authority::new().pem());
    for ca_file in [None, Some(&*other)] {
        let refused = read(&scene, &address, ca_file, &[]);
        assert_eq!(refused.0.status.code(), Some(4));
        assert!(refused.stderr().contains("certificate"), "{}", refused.stderr());
    }
    assert_eq!(scene.server.requests().len(), 1);
}

#[test]
fn the_bucket_in_the_name_of_the_host_and_in_the_path() {
    let authority = Authority::new();
    let scene = Scene::with(Options::new().domain("s3.example.com").https(&authority));
    let ca_file = scene.file("ca.pem", authority.pem());
    let proxy = connect_proxy(scene.server.address());
    let endpoint = scene.server.endpoint_of("s3.example.com");
    let region = scene.server.region();
    for (path_style, host, path) in [
        ("&path-style=false", "test.s3.example.com:", "/demo/stable/VERSION"),
        ("&path-style=true", "s3.example.com:", "/test/demo/stable/VERSION"),
        ("", "s3.example.com:", "/test/demo/stable/VERSION"),
    ] {
        let address = format!("s3://test/demo?region={region}&endpoint={endpoint}{path_style}");
        for proxy in [("HTTPS_PROXY", &*proxy), ("ALL_PROXY", &*proxy)] {
            read(&scene, &address, Some(&ca_file), &[proxy]).assert_has_access();
            let request = scene.server.requests().pop().unwrap();
            assert!(request.header("host").unwrap().starts_with(host), "{request:?}");
            assert_eq!(request.path, path);
        }
    }
}
