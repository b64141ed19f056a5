//! Credentials of the machine: EC2 instance metadata, version 2 only.

use std::net::IpAddr;
use std::str;
use std::time::{Duration, Instant};

use ureq::http::{Request, Uri};
use zeroize::Zeroizing;

use super::environment::var;
use super::fetch::fetch;
use super::json;
use super::provider::{ProviderError, ProviderResult};
use crate::escape::Words;
use crate::limits;
use crate::source::http::ReadClient;
use crate::source::url::{host, shown_origin};

const SERVICE: &str = "http://169.254.169.254";
const SERVICE_V6: &str = "http://[fd00:ec2::254]";
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";

/// Makes one short attempt: on most machines nothing answers at this address.
pub(super) fn credentials(client: &ReadClient) -> ProviderResult {
    let is_set = |name, value: &str| var(name).is_some_and(|set| set.eq_ignore_ascii_case(value));
    if is_set("AWS_EC2_METADATA_DISABLED", "true") {
        let why = "instance metadata: disabled by AWS_EC2_METADATA_DISABLED";
        return Err(ProviderError::NotConfigured(why.into()));
    }
    let default = if is_set("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ipv6") { SERVICE_V6 } else { SERVICE };
    let base = var("AWS_EC2_METADATA_SERVICE_ENDPOINT").unwrap_or_else(|| default.into());
    let missing = |why: &str| {
        let origin = shown_origin(&base);
        ProviderError::NotConfigured(format!("instance metadata: {origin}: {}", Words(why)))
    };
    if !is_metadata_address(&base) {
        return Err(missing("not an http URL with a loopback or link-local address"));
    }
    let base = base.trim_end_matches('/');
    let deadline = Instant::now() + limits::METADATA;
    let get = |path: &str, token: Option<&str>| {
        request(client, &format!("{base}{path}"), token, deadline).map_err(|why| missing(&why))
    };
    let token = get("/latest/api/token", None)?;
    let roles = get(ROLES, Some(&token))?;
    let role = roles.lines().next().unwrap_or_default().trim();
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b);
    if role.is_empty() || !role.bytes().all(is_name) {
        return Err(missing("the machine has no IAM role"));
    }
    let content = get(&format!("{ROLES}{role}"), Some(&token))?;
    match json::parse(content.as_bytes(), "the instance metadata") {
        Some((credentials, _)) => Ok(credentials),
        None => Err(missing("the response contains no credentials")),
    }
}

/// With a token, gets a document; without one, requests a token.
fn request(
    client: &ReadClient,
    url: &str,
    token: Option<&str>,
    deadline: Instant,
) -> Result<Zeroizing<String>, String> {
    let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    let connect = limits::METADATA_CONNECT;
    let (status, content) = match token {
        None => {
            let request = Request::put(url).header("x-aws-ec2-metadata-token-ttl-seconds", "60");
            fetch(client, request.body(""), connect, left)?
        }
        Some(token) => {
            let request = Request::get(url).header("x-aws-ec2-metadata-token", token);
            fetch(client, request.body(()), connect, left)?
        }
    };
    match str::from_utf8(&content) {
        Ok(text) if status == 200 => Ok(Zeroizing::new(text.to_owned())),
        _ => Err(format!("the server answered {status}")),
    }
}

fn is_metadata_address(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let is_local = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.segments().starts_with(&[0xfd00, 0x0ec2]),
    };
    uri.scheme_str() == Some("http")
        && !url.contains('@')
        && host(&uri).parse().is_ok_and(is_local)
        && uri.query().is_none()
}
