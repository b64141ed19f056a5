//! AWS's token service (STS): temporary credentials for a role.

use std::path::Path;
use std::str;
use std::time::SystemTime;

use percent_encoding::utf8_percent_encode;
use ureq::http::{Request, Uri};
use zeroize::Zeroizing;

use super::fetch::fetch;
use super::files::read_text;
use super::json::parse_time;
use super::provider::{ProviderError, ProviderResult};
use crate::escape::Words;
use crate::limits;
use crate::source::http::ReadClient;
use crate::source::s3::access_key::Credentials;
use crate::source::s3::percent::STRICT;
use crate::source::s3::region::dns_suffix;
use crate::source::s3::sign::{Scope, sign};
use crate::source::s3::xml::{child, code_in};
use crate::source::url::{is_plain_loopback, shown_origin};

/// The token service of a region, or a configured one.
pub(in crate::source::s3) struct TokenService {
    tls: ReadClient,
    plain: ReadClient,
    region: String,
    /// Replaces the region's endpoint.
    endpoint: Option<String>,
}

/// The parameters of `AssumeRole`.
pub(super) struct AssumeRole<'a> {
    pub(super) arn: &'a str,
    pub(super) session_name: Option<&'a str>,
    pub(super) external_id: Option<&'a str>,
    pub(super) seconds: Option<&'a str>,
}

impl TokenService {
    pub(in crate::source::s3) fn new(
        tls: ReadClient,
        plain: ReadClient,
        region: &str,
        endpoint: Option<String>,
    ) -> Self {
        TokenService { tls, plain, region: region.into(), endpoint }
    }

    /// The client for `https:` addresses.
    pub(super) fn tls(&self) -> &ReadClient {
        &self.tls
    }

    /// Calls `AssumeRole`, signed with `credentials`.
    pub(super) fn assume(&self, role: &AssumeRole<'_>, credentials: &Credentials) -> ProviderResult {
        let mut form = form("AssumeRole", role.arn, &session_name(role.session_name));
        add(&mut form, "ExternalId", role.external_id);
        add(&mut form, "DurationSeconds", role.seconds);
        self.call(role.arn, &form, Some(credentials), "an assumed role")
    }

    /// Calls `AssumeRoleWithWebIdentity`. Reads the token each time, because the identity provider
    /// replaces the file before the token expires.
    pub(super) fn assume_with_web_identity(
        &self,
        role: &str,
        name: Option<&str>,
        token_file: &str,
    ) -> ProviderResult {
        let token = read_text(Path::new(token_file), limits::CREDENTIALS).map_err(|why| {
            ProviderError::Failed(format!("the web identity token file {} {why}", Words(token_file)))
        })?;
        let mut form = form("AssumeRoleWithWebIdentity", role, &session_name(name));
        add(&mut form, "WebIdentityToken", Some(token.trim()));
        self.call(role, &form, None, "a web identity")
    }

    fn call(
        &self,
        role: &str,
        form: &str,
        credentials: Option<&Credentials>,
        origin: &'static str,
    ) -> ProviderResult {
        let region = &self.region;
        let url = match &self.endpoint {
            Some(endpoint) => format!("{}/", endpoint.trim_end_matches('/')),
            None => format!("https://sts.{region}.{}/", dns_suffix(region)),
        };
        let failed = |why: &str| {
            let (role, url) = (Words(role).to_string(), shown_origin(&url));
            ProviderError::Failed(format!("cannot assume role {role} at {url}: {}", Words(why)))
        };
        let uri: Uri = url.parse().map_err(|_| failed("invalid URL"))?;
        let client = match uri.scheme_str() {
            _ if url.contains('@') => {
                return Err(failed("the address contains credentials, which do not belong in it"));
            }
            Some("https") => &self.tls,
            _ if is_plain_loopback(&uri) => &self.plain,
            _ => return Err(failed("not an https URL")),
        };
        let content_type = ("content-type", "application/x-www-form-urlencoded");
        let mut request = Request::post(&url).header(content_type.0, content_type.1);
        if let Some(credentials) = credentials {
            let scope = Scope { service: "sts", region, time: SystemTime::now() };
            let signed = sign("POST", &url, &[content_type], form.as_bytes(), credentials, &scope);
            for (name, value) in signed.map_err(|why| failed(&why))? {
                request = request.header(name, value);
            }
        }
        let limit = limits::TOKEN_SERVICE;
        let response = fetch(client, request.body(form), limit, limit);
        let (status, content) = response.map_err(|why| failed(&why))?;
        let text = str::from_utf8(&content).unwrap_or_default();
        if status != 200 {
            let code = code_in(text).map(|code| format!(" {code}")).unwrap_or_default();
            return Err(failed(&format!("the server answered {status}{code}")));
        }
        credentials_in(text, origin).ok_or_else(|| failed("the response contains no credentials"))
    }
}

fn form(action: &str, role: &str, session_name: &str) -> Zeroizing<String> {
    let mut form = Zeroizing::new(format!("Action={action}&Version=2011-06-15"));
    add(&mut form, "RoleArn", Some(role));
    add(&mut form, "RoleSessionName", Some(session_name));
    form
}

fn add(form: &mut String, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        form.extend(["&", name, "="]);
        form.extend(utf8_percent_encode(value, STRICT));
    }
}

/// The session's name in AWS's logs; by default it contains this process's ID.
fn session_name(named: Option<&str>) -> String {
    named.map_or_else(|| format!("relatch-{}", std::process::id()), str::to_owned)
}

/// The credentials in a response of STS; `None` if it does not have this form.
pub(super) fn credentials_in(xml: &str, origin: &'static str) -> Option<Credentials> {
    let document = roxmltree::Document::parse(xml).ok()?;
    let node = document.descendants().find(|node| node.tag_name().name() == "Credentials")?;
    let (id, secret) = (child(node, "AccessKeyId")?, child(node, "SecretAccessKey")?);
    let token = child(node, "SessionToken");
    let expires = parse_time(child(node, "Expiration")?)?;
    Some(Credentials::of(id, secret, token, Some(expires), origin))
}
