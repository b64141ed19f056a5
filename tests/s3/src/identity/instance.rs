//! The container endpoint, and the instance metadata service, version 2 only.

use hyper::header::HeaderValue;
use hyper::{Response, StatusCode};
use s3s::Body;
use serde_json::json;

use super::issuer::Issuer;
use crate::answer::{json_document, plain};
use crate::log::Request;

pub(crate) const CONTAINER: &str = "container/credentials";
const TOKEN: &str = "latest/api/token";
const CREDENTIALS: &str = "latest/meta-data/iam/security-credentials/";
const REGION: &str = "latest/meta-data/placement/region";
/// AWS's: six hours.
const LONGEST_SESSION: u32 = 21_600;

pub(crate) fn answer(issuer: &Issuer, request: &Request) -> Result<Response<Body>, StatusCode> {
    match (request.method.as_str(), request.key.as_str()) {
        ("GET", CONTAINER) => container(issuer, request),
        ("PUT", TOKEN) => session(issuer, request),
        ("GET", path) if path.starts_with("latest/meta-data/") => {
            let token = request.header("x-aws-ec2-metadata-token").ok_or(StatusCode::UNAUTHORIZED)?;
            if !issuer.has_session(token) {
                return Err(StatusCode::UNAUTHORIZED);
            }
            metadata(issuer, path)
        }
        _ => Err(StatusCode::NOT_FOUND),
    }
}

fn container(issuer: &Issuer, request: &Request) -> Result<Response<Body>, StatusCode> {
    let expected = issuer.policy().container.clone().ok_or(StatusCode::NOT_FOUND)?;
    if request.header("authorization") != Some(expected.as_str()) {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let (credentials, expiration) = issuer.issue(None);
    Ok(json_document(&json!({
        "RoleArn": "arn:aws:iam::000000000000:role/container",
        "AccessKeyId": credentials.access_key,
        "SecretAccessKey": credentials.secret_key,
        "Token": credentials.session_token,
        "Expiration": expiration,
    })))
}

fn session(issuer: &Issuer, request: &Request) -> Result<Response<Body>, StatusCode> {
    // A forwarded request is not the instance's own.
    if request.header("x-forwarded-for").is_some() {
        return Err(StatusCode::FORBIDDEN);
    }
    let seconds = request
        .header("x-aws-ec2-metadata-token-ttl-seconds")
        .and_then(|seconds| seconds.parse::<u32>().ok())
        .filter(|seconds| (1..=LONGEST_SESSION).contains(seconds))
        .ok_or(StatusCode::BAD_REQUEST)?;
    let mut response = plain(StatusCode::OK, &issuer.open_session());
    response.headers_mut().insert("x-aws-ec2-metadata-token-ttl-seconds", HeaderValue::from(seconds));
    Ok(response)
}

fn metadata(issuer: &Issuer, path: &str) -> Result<Response<Body>, StatusCode> {
    if path == REGION {
        return Ok(plain(StatusCode::OK, &issuer.region));
    }
    let role = issuer.policy().instance_role.clone().ok_or(StatusCode::NOT_FOUND)?;
    match path.strip_prefix(CREDENTIALS) {
        Some("") => Ok(plain(StatusCode::OK, &role)),
        Some(name) if name == role => {
            let (credentials, expiration) = issuer.issue(None);
            Ok(json_document(&json!({
                "Code": "Success",
                "LastUpdated": "2026-01-01T00:00:00Z",
                "Type": "AWS-HMAC",
                "AccessKeyId": credentials.access_key,
                "SecretAccessKey": credentials.secret_key,
                "Token": credentials.session_token,
                "Expiration": expiration,
            })))
        }
        _ => Err(StatusCode::NOT_FOUND),
    }
}
