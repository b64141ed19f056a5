//! STS, as far as taking a role goes: the query protocol.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::http::Extensions;
use hyper::{HeaderMap, Method, Response, StatusCode, Uri};
use s3s::dto::StreamingBlob;
use s3s::route::S3Route;
use s3s::{Body, S3Request, S3Response, S3Result};

use super::issuer::Issuer;
use crate::access::admit;
use crate::answer::{text, xml_document};
use crate::body;
use crate::log::query_value;

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// Everything that is sent to STS.
pub(crate) struct Sts(pub(crate) Arc<Issuer>);

/// Status, code, message.
type Refusal = (StatusCode, &'static str, String);

#[async_trait::async_trait]
impl S3Route for Sts {
    fn is_match(&self, _: &Method, _: &Uri, _: &HeaderMap, _: &mut Extensions) -> bool {
        true
    }

    /// A web identity is not signed; what must be is checked below.
    async fn check_access(&self, _: &mut S3Request<Body>) -> S3Result<()> {
        Ok(())
    }

    async fn call(&self, mut request: S3Request<Body>) -> S3Result<S3Response<Body>> {
        let form = body::read(Some(StreamingBlob::from(std::mem::take(&mut request.input)))).await?;
        let form = String::from_utf8_lossy(&form).replace('+', "%20");
        let response = match self.take_role(&request, &form) {
            Ok(xml) => xml_document(StatusCode::OK, xml),
            Err((status, code, message)) => error(status, code, &message),
        };
        let (parts, body) = response.into_parts();
        let mut answer = S3Response::with_status(body, parts.status);
        answer.headers = parts.headers;
        Ok(answer)
    }
}

impl Sts {
    fn take_role(&self, request: &S3Request<Body>, form: &str) -> Result<String, Refusal> {
        let field = |name: &str| query_value(form, name).filter(|value| !value.is_empty());
        let required = |name: &str| {
            let message = format!("The request must contain the parameter {name}");
            field(name).ok_or((StatusCode::BAD_REQUEST, "MissingParameter", message))
        };
        if request.method != Method::POST || field("Version").as_deref() != Some("2011-06-15") {
            let message = "Could not find operation for this method and version".into();
            return Err((StatusCode::BAD_REQUEST, "InvalidAction", message));
        }
        let action = required("Action")?;
        match action.as_str() {
            "AssumeRole" => {
                let (role, duration) = (required("RoleArn")?, duration(field("DurationSeconds"))?);
                session_name(&required("RoleSessionName")?)?;
                self.assume_role(request, &role)?;
                Ok(self.result(&action, &role, duration))
            }
            "AssumeRoleWithWebIdentity" => {
                let (role, duration) = (required("RoleArn")?, duration(field("DurationSeconds"))?);
                session_name(&required("RoleSessionName")?)?;
                self.assume_role_with_web_identity(&required("WebIdentityToken")?, &role)?;
                Ok(self.result(&action, &role, duration))
            }
            _ => {
                let message = format!("Could not find operation {action} for version 2011-06-15");
                Err((StatusCode::BAD_REQUEST, "InvalidAction", message))
            }
        }
    }

    fn assume_role(&self, request: &S3Request<Body>, role: &str) -> Result<(), Refusal> {
        let Some(signer) = &request.credentials else {
            let message = "Request is missing Authentication Token".into();
            return Err((StatusCode::FORBIDDEN, "MissingAuthenticationToken", message));
        };
        let known = self.0.keyring.get(&signer.access_key);
        if known.is_none_or(|credentials| admit(&credentials, &request.headers, &request.uri).is_err()) {
            let message = "The security token included in the request is invalid.".into();
            return Err((StatusCode::FORBIDDEN, "InvalidClientTokenId", message));
        }
        let pair = (signer.access_key.clone(), role.to_owned());
        if !self.0.policy().assumers.contains(&pair) {
            let message = format!(
                "{} is not authorized to perform: sts:AssumeRole on resource: {role}",
                signer.access_key
            );
            return Err((StatusCode::FORBIDDEN, "AccessDenied", message));
        }
        Ok(())
    }

    fn assume_role_with_web_identity(&self, token: &str, role: &str) -> Result<(), Refusal> {
        let policy = self.0.policy();
        let mut roles = policy.web_identities.iter().filter(|(known, _)| known == token).peekable();
        if roles.peek().is_none() {
            let message = "The web identity token that was passed could not be validated".into();
            return Err((StatusCode::BAD_REQUEST, "InvalidIdentityToken", message));
        }
        if !roles.any(|(_, known)| known == role) {
            let message = "Not authorized to perform sts:AssumeRoleWithWebIdentity".into();
            return Err((StatusCode::FORBIDDEN, "AccessDenied", message));
        }
        Ok(())
    }

    fn result(&self, action: &str, role: &str, duration: Option<Duration>) -> String {
        let (credentials, expiration) = self.0.issue(duration);
        let role = text(role);
        format!(
            "<{action}Response xmlns=\"{NAMESPACE}\"><{action}Result>\
             <AssumedRoleUser><AssumedRoleId>AROATEST:session</AssumedRoleId><Arn>{role}/session</Arn></AssumedRoleUser>\
             <Credentials><AccessKeyId>{}</AccessKeyId><SecretAccessKey>{}</SecretAccessKey><SessionToken>{}</SessionToken>\
             <Expiration>{expiration}</Expiration></Credentials></{action}Result>\
             <ResponseMetadata><RequestId>test</RequestId></ResponseMetadata></{action}Response>",
            credentials.access_key,
            credentials.secret_key,
            credentials.session_token.unwrap_or_default(),
        )
    }
}

/// AWS's bounds.
fn duration(seconds: Option<String>) -> Result<Option<Duration>, Refusal> {
    let Some(seconds) = seconds else { return Ok(None) };
    match seconds.parse::<u64>() {
        Ok(seconds) if (900..=43_200).contains(&seconds) => Ok(Some(Duration::from_secs(seconds))),
        _ => Err(invalid(format!("DurationSeconds is {seconds}, not between 900 and 43200"))),
    }
}

/// AWS's pattern.
fn session_name(name: &str) -> Result<(), Refusal> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    if (2..=64).contains(&name.len()) && name.chars().all(allowed) {
        return Ok(());
    }
    Err(invalid(format!("RoleSessionName {name:?} is not 2 to 64 characters of [\\w+=,.@-]")))
}

fn invalid(message: String) -> Refusal {
    (StatusCode::BAD_REQUEST, "ValidationError", message)
}

/// An error in STS's XML.
pub(crate) fn error(status: StatusCode, code: &str, message: &str) -> Response<Body> {
    let kind = if status.is_server_error() { "Receiver" } else { "Sender" };
    let (code, message) = (text(code), text(message));
    let xml = format!(
        "<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>{kind}</Type><Code>{code}</Code><Message>{message}</Message></Error>\
         <RequestId>test</RequestId></ErrorResponse>"
    );
    xml_document(status, xml)
}

/// What s3s refuses, it refuses in S3's words.
pub(crate) async fn in_its_words(response: Response<Body>) -> Response<Body> {
    let status = response.status();
    if status.is_success() {
        return response;
    }
    let (parts, mut body) = response.into_parts();
    let mut xml = Vec::new();
    while let Some(Ok(frame)) =
        std::future::poll_fn(|cx| http_body::Body::poll_frame(Pin::new(&mut body), cx)).await
    {
        xml.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
    }
    let xml = String::from_utf8_lossy(&xml).into_owned();
    if xml.contains("<ErrorResponse") {
        return Response::from_parts(parts, Body::from(xml));
    }
    let code =
        xml.split("<Code>").nth(1).and_then(|rest| rest.split('<').next()).unwrap_or("InternalFailure");
    match code {
        "InvalidAccessKeyId" => {
            error(status, "InvalidClientTokenId", "The security token included in the request is invalid.")
        }
        code => error(status, code, "The request was refused."),
    }
}
