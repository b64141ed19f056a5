//! Whether a request may be made: beyond the signature, which s3s checks, what AWS checks too.

use std::sync::Arc;
use std::time::SystemTime;

use hyper::{HeaderMap, Uri};
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3Result, s3_error};

use crate::credentials::{Credentials, Keyring, Rights};
use crate::log::query_value;

pub(crate) struct Auth(pub(crate) Arc<Keyring>);

#[async_trait::async_trait]
impl S3Auth for Auth {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        match self.0.get(access_key) {
            Some(credentials) => Ok(credentials.secret_key.into()),
            None => Err(unknown_key()),
        }
    }
}

pub(crate) struct Access {
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) anonymous_read: bool,
    pub(crate) anonymous_list: bool,
    pub(crate) listing_forbidden: bool,
}

/// Whether an absent key is told from one that must not be seen.
#[derive(Clone, Copy)]
pub(crate) struct MayTellAbsent(pub(crate) bool);

#[async_trait::async_trait]
impl S3Access for Access {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let (mut rights, mut tells_absent) = match cx.credentials() {
            Some(signer) => {
                let credentials = self.keyring.get(&signer.access_key).ok_or_else(unknown_key)?;
                admit(&credentials, cx.headers(), cx.uri())?;
                (credentials.rights, credentials.rights.list)
            }
            // AWS tells an anonymous reader of an absent key only where the public may list; stores with public web access do tell.
            None if self.anonymous_read => {
                (Rights { read: true, list: self.anonymous_list, ..Rights::NONE }, true)
            }
            None => return Err(s3_error!(AccessDenied, "Access Denied: the request is not signed")),
        };
        if self.listing_forbidden {
            rights.list = false;
            tells_absent = false;
        }
        let operation = cx.s3_op().name();
        if !rights.allow(operation) {
            return Err(s3_error!(AccessDenied, "Access Denied: no right to {operation}"));
        }
        cx.extensions_mut().insert(MayTellAbsent(tells_absent));
        Ok(())
    }
}

/// Expiry, session token, and that what must be signed is.
pub(crate) fn admit(credentials: &Credentials, headers: &HeaderMap, uri: &Uri) -> S3Result<()> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let signed: Vec<&str> = match text("authorization") {
        Some(authorization) => {
            let names = authorization.split("SignedHeaders=").nth(1).unwrap_or_default();
            let signed: Vec<&str> = names.split(',').next().unwrap_or_default().trim().split(';').collect();
            let unsigned = headers
                .keys()
                .map(|name| name.as_str())
                .find(|name| (name.starts_with("x-amz-") || *name == "host") && !signed.contains(name));
            if let Some(name) = unsigned {
                return Err(s3_error!(
                    AccessDenied,
                    "There were headers present in the request which were not signed: {name}"
                ));
            }
            signed
        }
        None => Vec::new(), // presigned: the query is signed as a whole
    };
    let token = match text("x-amz-security-token") {
        Some(token) if signed.contains(&"x-amz-security-token") => Some(token.to_owned()),
        _ => query_value(uri.query().unwrap_or_default(), "X-Amz-Security-Token"),
    };
    match (&credentials.session_token, token) {
        (None, None) => {}
        (Some(expected), Some(token)) if *expected == token => {}
        // As AWS: a temporary key without its token is no key at all.
        (Some(_), None) => return Err(unknown_key()),
        (_, Some(_)) => {
            return Err(s3_error!(InvalidToken, "The provided token is malformed or otherwise invalid."));
        }
    }
    if credentials.expires.is_some_and(|expires| expires <= SystemTime::now()) {
        return Err(s3_error!(ExpiredToken, "The provided token has expired."));
    }
    Ok(())
}

fn unknown_key() -> s3s::S3Error {
    s3_error!(InvalidAccessKeyId, "The AWS Access Key Id you provided does not exist in our records.")
}
