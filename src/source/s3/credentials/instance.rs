//! Credentials of the machine: EC2's instance metadata, version 2 only.

use std::net::IpAddr;
use std::str;
use std::time::{Duration, Instant};

use ureq::http::{Request, Uri};
use zeroize::Zeroizing;

use super::{Missing, Sought, document, var};
use crate::escape::Words;
use crate::limits;
use crate::source::http::{Session, shown_origin};

const SERVICE: &str = "http://169.254.169.254";
const SERVICE_V6: &str = "http://[fd00:ec2::254]";
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";

/// One try, short: most machines have no such address, and nobody answers there.
pub(super) fn credentials(session: &Session) -> Sought {
    let is_set = |name, value: &str| var(name).is_some_and(|set| set.eq_ignore_ascii_case(value));
    if is_set("AWS_EC2_METADATA_DISABLED", "true") {
        return Err(Missing::Here("instance metadata: AWS_EC2_METADATA_DISABLED is set".into()));
    }
    let usual = if is_set("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ipv6") { SERVICE_V6 } else { SERVICE };
    let base = var("AWS_EC2_METADATA_SERVICE_ENDPOINT").unwrap_or_else(|| usual.into());
    let missing =
        |why: &str| Missing::Here(format!("instance metadata: {}: {}", shown_origin(&base), Words(why)));
    if !is_metadata_address(&base) {
        return Err(missing("it is no http URL of an address of this machine or its link"));
    }
    let base = base.trim_end_matches('/');
    let until = Instant::now() + limits::METADATA;
    let token =
        ask(session, &format!("{base}/latest/api/token"), None, until).map_err(|why| missing(&why))?;
    let roles = ask(session, &format!("{base}{ROLES}"), Some(&token), until).map_err(|why| missing(&why))?;
    let role = roles.lines().next().unwrap_or_default().trim();
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b);
    if role.is_empty() || !role.bytes().all(is_name) {
        return Err(missing("the machine has no role"));
    }
    let content =
        ask(session, &format!("{base}{ROLES}{role}"), Some(&token), until).map_err(|why| missing(&why))?;
    match document::read(content.as_bytes(), "the instance metadata") {
        Some((credentials, _)) => Ok(credentials),
        None => Err(missing("it does not answer with credentials")),
    }
}

/// With a token: what is there. Without: a token.
fn ask(
    session: &Session,
    url: &str,
    token: Option<&str>,
    until: Instant,
) -> Result<Zeroizing<String>, String> {
    let request = match token {
        None => Request::put(url).header("x-aws-ec2-metadata-token-ttl-seconds", "60"),
        Some(token) => Request::get(url).header("x-aws-ec2-metadata-token", token),
    };
    let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    let connect = limits::METADATA_CONNECT;
    let (status, content) = match token {
        None => document::fetch(session, request.body(""), connect, left)?,
        Some(_) => document::fetch(session, request.body(()), connect, left)?,
    };
    match str::from_utf8(&content) {
        Ok(text) if status == 200 => Ok(Zeroizing::new(text.to_owned())),
        _ => Err(format!("it answers {status}")),
    }
}

fn is_metadata_address(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_here = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.segments().starts_with(&[0xfd00, 0x0ec2]),
    };
    uri.scheme_str() == Some("http")
        && !url.contains('@')
        && host.parse().is_ok_and(is_here)
        && uri.query().is_none()
}
