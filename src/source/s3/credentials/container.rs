//! Credentials of a container's task or pod: ECS, EKS, and what speaks as they do.

use std::net::IpAddr;
use std::path::Path;

use ureq::http::{Request, Uri};
use zeroize::Zeroizing;

use super::files::read_text;
use super::{Missing, Sought, document, var};
use crate::escape::Words;
use crate::limits;
use crate::source::http::{Session, shown_origin};

const RELATIVE: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
const FULL: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";

/// `plain` is for the addresses of this machine and its link, `tls` for all others.
pub(super) fn credentials(plain: &Session, tls: &Session) -> Sought {
    let url = match (var(RELATIVE), var(FULL)) {
        (Some(path), _) => format!("http://169.254.170.2{path}"),
        (None, Some(url)) => url,
        (None, None) => {
            return Err(Missing::Here(format!("container: {RELATIVE} and {FULL} are not set")));
        }
    };
    let shown = shown_origin(&url); // in ECS the path is the permission
    let failed =
        |why: &str| Missing::Failed(format!("the container's credentials at {shown}: {}", Words(why)));
    let uri: Uri = url.parse().map_err(|_| failed("it is no URL"))?;
    let (session, connect) = match uri.scheme_str() {
        Some("https") => (tls, limits::METADATA),
        Some("http") if is_container_address(&uri) => (plain, limits::METADATA_CONNECT),
        _ => return Err(failed("it is neither https nor an address of this machine or its link")),
    };
    let mut request = Request::get(uri);
    if let Some(token) = token().map_err(|why| failed(&why))? {
        request = request.header("authorization", token.as_str());
    }
    let answer = document::fetch(session, request.body(()), connect, limits::METADATA);
    let (status, content) = answer.map_err(|why| failed(&why))?;
    if status != 200 {
        return Err(failed(&format!("it answers {status}")));
    }
    match document::read(&content, "the container") {
        Some((credentials, _)) => Ok(credentials),
        None => Err(failed("it does not answer with credentials")),
    }
}

fn token() -> Result<Option<Zeroizing<String>>, String> {
    if let Some(path) = var("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
        let text = read_text(Path::new(&path), limits::CREDENTIALS);
        let text = text.map_err(|why| format!("the token file {path}: {why}"))?;
        return Ok(Some(Zeroizing::new(text.trim().to_owned())));
    }
    Ok(var("AWS_CONTAINER_AUTHORIZATION_TOKEN").map(Zeroizing::new))
}

/// Those that AWS's SDKs send a token to without TLS, names left out: a name can be made to point anywhere.
fn is_container_address(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let local = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];
    host.parse::<IpAddr>()
        .is_ok_and(|ip| ip.is_loopback() || local.iter().any(|local| local.parse() == Ok(ip)))
        && !uri.authority().is_some_and(|authority| authority.as_str().contains('@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_to_this_machine_alone() {
        for (url, is_here) in [
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
            assert_eq!(is_container_address(&url.parse().unwrap()), is_here, "{url}");
        }
    }
}
