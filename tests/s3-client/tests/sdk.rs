//! Promise: with the feature `s3-sdk` the same bucket is read with AWS's own chain of credentials, SSO included, and what the chain finds for
//! region and endpoint; nothing of the lean chain is asked.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use support::{OBJECT, ROLE, Reading, Scene};
use test_s3::{Credentials, Options};

fn temporary() -> Options {
    Options::new().credentials(Credentials::new("ASIA1", "se/cret").session_token("to/ken"))
}

fn read(scene: &Scene, address: &str, variables: &[(&str, &str)]) -> Reading {
    let mut reader = scene.reader();
    reader.args(["--sdk", address, OBJECT]);
    scene.run(reader.envs(variables.iter().copied()))
}

#[test]
fn the_environment_with_region_and_endpoint() {
    let scene = Scene::with(temporary());
    let environment = scene.server.environment();
    let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    read(&scene, "s3://test/demo", &environment).assert_has_access();
    let request = scene.server.requests().pop().unwrap();
    assert!(request.header("authorization").unwrap().contains("/eu-test-1/s3/"));
}

#[test]
fn a_profile_of_the_address() {
    let scene = Scene::new();
    let properties =
        format!("region = {}\nendpoint_url = {}\n", scene.server.region(), scene.server.endpoint());
    scene.shared_files(&format!("[profile ci]\n{properties}{}", scene.keys_as_properties()), "");
    read(&scene, "s3://test/demo?profile=ci", &[]).assert_has_access();
}

#[test]
fn a_web_identity() {
    let scene = Scene::new();
    scene.identity.allow_web_identity("token", ROLE);
    let (file, sts) = (scene.file("token", "token"), scene.identity.endpoint());
    let variables =
        [("AWS_WEB_IDENTITY_TOKEN_FILE", &*file), ("AWS_ROLE_ARN", ROLE), ("AWS_ENDPOINT_URL_STS", &*sts)];
    read(&scene, &scene.address(), &variables).assert_has_access();
}

/// What `aws sso login` leaves, and a portal that gives a role's credentials for it.
#[test]
fn a_profile_of_sso() {
    let scene = Scene::with(temporary());
    let portal = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", portal.local_addr().unwrap());
    let keys = scene.keys().clone();
    let asked = thread::spawn(move || {
        let (mut stream, _) = portal.accept().unwrap();
        let mut request = Vec::new();
        let mut byte = [0];
        while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() > 0 {
            request.push(byte[0]);
        }
        let (id, secret, token) = (keys.access_key, keys.secret_key, keys.session_token.unwrap());
        let body = format!(
            r#"{{"roleCredentials":{{"accessKeyId":"{id}","secretAccessKey":"{secret}","sessionToken":"{token}","expiration":4099680000000}}}}"#
        );
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).unwrap();
        String::from_utf8(request).unwrap()
    });
    let cache = scene.home.path().join(".aws/sso/cache");
    std::fs::create_dir_all(&cache).unwrap();
    let token = r#"{"accessToken":"sso-token","expiresAt":"2099-11-23T05:30:00Z","region":"eu-test-1","startUrl":"https://corp.awsapps.com/start"}"#;
    std::fs::write(cache.join("ee0bfd2552fbd840c02cc48b6e823320543c450f.json"), token).unwrap(); // the SHA-1 of the session's name
    scene.shared_files(
        "[default]\nsso_session = corp\nsso_account_id = 000000000000\nsso_role_name = reader\nregion = eu-test-1\n\
         [sso-session corp]\nsso_region = eu-test-1\nsso_start_url = https://corp.awsapps.com/start\n",
        "",
    );
    read(&scene, &scene.address(), &[("AWS_ENDPOINT_URL_SSO", &url)]).assert_has_access();
    let request = asked.join().unwrap();
    assert!(request.contains("role_name=reader") && request.contains("sso-token"), "{request}");
}

#[test]
fn without_any_the_chain_says_so() {
    let scene = Scene::new();
    let reading = read(&scene, &scene.address(), &[("AWS_EC2_METADATA_DISABLED", "true")]);
    reading.assert_no_credentials(&["AWS's SDK found no credentials (environment, profile with SSO,"]);
    assert_eq!(scene.server.requests().len(), 0);
}

#[test]
fn what_is_wrong_with_the_credentials_is_told_by_the_code_of_s3() {
    let scene = Scene::new();
    let variables = [("AWS_ACCESS_KEY_ID", &*scene.keys().access_key), ("AWS_SECRET_ACCESS_KEY", "WRONG")];
    read(&scene, &scene.address(), &variables)
        .assert_no_credentials(&["403 SignatureDoesNotMatch to the credentials from AWS's SDK"]);
}
