//! Credentials of a container's task or pod: ECS, EKS, and services with the same interface.

use std::net::IpAddr;
use std::path::Path;

use ureq::http::{Request, Uri};
use zeroize::Zeroizing;

use super::environment::var;
use super::fetch::fetch;
use super::files::read_text;
use super::json;
use super::provider::{ProviderError, ProviderResult};
use crate::escape::Words;
use crate::limits;
use crate::source::http::ReadClient;
use crate::source::url::{host, shown_origin};

const RELATIVE: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
const FULL: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";

/// `plain` is for loopback and link-local addresses, `tls` for all others.
pub(super) fn credentials(plain: &ReadClient, tls: &ReadClient) -> ProviderResult {
    let url = match (var(RELATIVE), var(FULL)) {
        (Some(path), _) => format!("http://169.254.170.2{path}"),
        (None, Some(url)) => url,
        (None, None) => {
            let why = format!("container: {RELATIVE} and {FULL} are not set");
            return Err(ProviderError::NotConfigured(why));
        }
    };
    let shown = shown_origin(&url); // without the path: in ECS, knowing it is the permission
    let failed =
        |why: &str| ProviderError::Failed(format!("container credentials at {shown}: {}", Words(why)));
    let uri: Uri = url.parse().map_err(|_| failed("invalid URL"))?;
    let (client, connect) = match uri.scheme_str() {
        Some("https") => (tls, limits::METADATA),
        Some("http") if is_container_address(&uri) => (plain, limits::METADATA_CONNECT),
        _ => return Err(failed("neither https nor a loopback address or container service address")),
    };
    let mut request = Request::get(uri);
    if let Some(token) = token().map_err(|why| failed(&why))? {
        request = request.header("authorization", token.as_str());
    }
    let response = fetch(client, request.body(()), connect, limits::METADATA);
    let (status, content) = response.map_err(|why| failed(&why))?;
    if status != 200 {
        return Err(failed(&format!("the server answered {status}")));
    }
    match json::parse(&content, "the container") {
        Some((credentials, _)) => Ok(credentials),
        None => Err(failed("the response contains no credentials")),
    }
}

fn token() -> Result<Option<Zeroizing<String>>, String> {
    if let Some(path) = var("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
        let text = read_text(Path::new(&path), limits::CREDENTIALS);
        let text = text.map_err(|why| format!("the token file {path} {why}"))?;
        return Ok(Some(Zeroizing::new(text.trim().to_owned())));
    }
    Ok(var("AWS_CONTAINER_AUTHORIZATION_TOKEN").map(Zeroizing::new))
}

/// Whether AWS's SDKs send a token to this address without TLS. Names do not count, because a name
/// can resolve to any address.
fn is_container_address(uri: &Uri) -> bool {
    let known = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];
    host(uri)
        .parse::<IpAddr>()
        .is_ok_and(|ip| ip.is_loopback() || known.iter().any(|known| known.parse() == Ok(ip)))
        && !uri.authority().is_some_and(|authority| authority.as_str().contains('@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_sent_without_tls_only_to_known_addresses() {
        for (url, is_known) in [
            ("http://127.0.0.1:1338/x", true),
            ("http://127.9.9.9/x", true),
            ("http://[::1]:80/x", true),
            ("http://169.254.170.2/v2/credentials", true),
            ("http://169.254.170.23/v1/credentials", true),
            ("http://[fd00:ec2::23]/v1/credentials", true),
            ("http://169.254.170.3/", false),
            ("http://169.254.169.254/", false),
            ("http://localhost/", false),
            ("http://127.0.0.1.example.com/", false),
            ("http://127.0.0.1@example.com/", false),
            ("http://user@127.0.0.1/", false),
            ("http://example.com/", false),
        ] {
            assert_eq!(is_container_address(&url.parse().unwrap()), is_known, "{url}");
        }
    }
}
