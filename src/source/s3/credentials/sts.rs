//! AWS's token service: temporary credentials for a role.

use std::path::Path;
use std::str;
use std::time::SystemTime;

use percent_encoding::utf8_percent_encode;
use ureq::http::{Request, Uri};
use zeroize::Zeroizing;

use super::files::read_text;
use super::{Credentials, Missing, Sought, document};
use crate::escape::Words;
use crate::limits;
use crate::source::http::{Session, shown_origin};
use crate::source::https::is_plain_loopback;
use crate::source::s3::address::{UNRESERVED, dns_suffix};
use crate::source::s3::answer::{child, code_in};
use crate::source::s3::sign::{Scope, sign};

/// The token service of a region, or the one that was configured.
pub(in crate::source::s3) struct TokenService {
    tls: Session,
    plain: Session,
    region: String,
    /// Instead of the region's.
    endpoint: Option<String>,
}

/// A role to take on.
pub(super) struct Role<'a> {
    pub(super) arn: &'a str,
    pub(super) session: Option<&'a str>,
    pub(super) external_id: Option<&'a str>,
    pub(super) seconds: Option<&'a str>,
}

impl TokenService {
    pub(in crate::source::s3) fn new(
        tls: Session,
        plain: Session,
        region: &str,
        endpoint: Option<String>,
    ) -> Self {
        TokenService { tls, plain, region: region.into(), endpoint }
    }

    /// For addresses with TLS.
    pub(super) fn tls(&self) -> &Session {
        &self.tls
    }

    /// `AssumeRole`.
    pub(super) fn assume(&self, role: &Role<'_>, with: &Credentials) -> Sought {
        let session = session_name(role.session);
        let mut form = form("AssumeRole", role.arn, &session);
        add(&mut form, "ExternalId", role.external_id);
        add(&mut form, "DurationSeconds", role.seconds);
        self.ask(role.arn, &form, Some(with), "an assumed role")
    }

    /// `AssumeRoleWithWebIdentity`. The token is read each time: whoever put it there replaces it.
    pub(super) fn assume_with_web_identity(
        &self,
        role: &str,
        session: Option<&str>,
        token_file: &str,
    ) -> Sought {
        let token = read_text(Path::new(token_file), limits::CREDENTIALS).map_err(|why| {
            Missing::Failed(format!("the web identity's token in {} {why}", Words(token_file)))
        })?;
        let mut form = form("AssumeRoleWithWebIdentity", role, &session_name(session));
        add(&mut form, "WebIdentityToken", Some(token.trim()));
        self.ask(role, &form, None, "a web identity")
    }

    fn ask(&self, role: &str, form: &str, with: Option<&Credentials>, origin: &'static str) -> Sought {
        let region = &self.region;
        let url = match &self.endpoint {
            Some(endpoint) => format!("{}/", endpoint.trim_end_matches('/')),
            None => format!("https://sts.{region}.{}/", dns_suffix(region)),
        };
        let failed = |why: &str| {
            let (role, url) = (Words(role).to_string(), shown_origin(&url));
            Missing::Failed(format!("the role {role} cannot be taken on: {url}: {}", Words(why)))
        };
        let uri: Uri = url.parse().map_err(|_| failed("it is no URL"))?;
        let session = match uri.scheme_str() {
            _ if url.contains('@') => return Err(failed("it holds credentials, which belong in no address")),
            Some("https") => &self.tls,
            _ if is_plain_loopback(&uri) => &self.plain,
            _ => return Err(failed("it is not https")),
        };
        let content_type = ("content-type", "application/x-www-form-urlencoded");
        let mut request = Request::post(&url).header(content_type.0, content_type.1);
        if let Some(with) = with {
            let scope = Scope { service: "sts", region, time: SystemTime::now() };
            let signed = sign("POST", &url, &[content_type], form.as_bytes(), with, &scope);
            for (name, value) in signed.map_err(|why| failed(&why))? {
                request = request.header(name, value);
            }
        }
        let limit = limits::TOKEN_SERVICE;
        let answer = document::fetch(session, request.body(form), limit, limit);
        let (status, content) = answer.map_err(|why| failed(&why))?;
        let text = str::from_utf8(&content).unwrap_or_default();
        if status != 200 {
            let code = code_in(text).map(|code| format!(" {code}")).unwrap_or_default();
            return Err(failed(&format!("it answers {status}{code}")));
        }
        credentials_in(text, origin).ok_or_else(|| failed("it does not answer with credentials"))
    }
}

fn form(action: &str, role: &str, session: &str) -> Zeroizing<String> {
    let mut form = Zeroizing::new(format!("Action={action}&Version=2011-06-15"));
    add(&mut form, "RoleArn", Some(role));
    add(&mut form, "RoleSessionName", Some(session));
    form
}

fn add(form: &mut String, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        form.extend(["&", name, "="]);
        form.extend(utf8_percent_encode(value, UNRESERVED));
    }
}

/// What the sessions of this client are called in a log, where nobody gave a name.
fn session_name(named: Option<&str>) -> String {
    named.map_or_else(|| format!("relatch-{}", std::process::id()), str::to_owned)
}

pub(super) fn credentials_in(xml: &str, origin: &'static str) -> Option<Credentials> {
    let document = roxmltree::Document::parse(xml).ok()?;
    let node = document.descendants().find(|node| node.tag_name().name() == "Credentials")?;
    let (id, secret) = (child(node, "AccessKeyId")?, child(node, "SecretAccessKey")?);
    let token = child(node, "SessionToken");
    let expires = document::time(child(node, "Expiration")?)?;
    Some(Credentials::of(id, secret, token, Some(expires), origin))
}
