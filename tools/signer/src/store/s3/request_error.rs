//! Errors of requests to a bucket: their classification, and advice.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use relatch::source::S3Address;

use crate::Failure;
use crate::aws::{causes, chain, excerpt};

/// A request that failed.
#[derive(Debug)]
pub(super) struct RequestError {
    pub(super) class: ErrorClass,
    /// The permission that the request requires.
    action: &'static str,
    key: String,
    /// The server's message, or what happened instead; safe to print.
    detail: String,
}

/// The meaning of an error for publishing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ErrorClass {
    /// The object or the upload does not exist.
    Absent,
    /// The condition of a write does not hold: 412.
    Precondition,
    /// Another client writes the same object at the same time: 409.
    Conflict,
    /// The server does not support the request: 501, 405, or it calls it invalid.
    Unsupported,
    Denied,
    NoBucket,
    /// The bucket is in another region; which one, if the server names it.
    WrongRegion(Option<String>),
    /// The credentials are invalid.
    Credentials,
    NoCredentials,
    /// The clocks differ too much.
    Skew,
    /// The server is overloaded or has a fault, after all attempts.
    Busy,
    /// No answer, or an incomplete one.
    Unreachable,
    /// The TLS certificate of the server is not trusted.
    Certificate,
    Other,
}

/// A request, as its error describes it.
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestContext<'a> {
    /// The permission that it requires, such as `s3:PutObject`.
    pub(super) action: &'static str,
    pub(super) key: &'a str,
}

impl RequestContext<'_> {
    /// Classifies an error of the SDK.
    pub(super) fn error<E>(self, error: &SdkError<E, HttpResponse>) -> RequestError
    where
        E: Error + ProvideErrorMetadata + 'static,
    {
        let class = match error {
            SdkError::ServiceError(answer) => {
                let region = answer.raw().headers().get("x-amz-bucket-region").map(excerpt);
                class_of(answer.err().code(), answer.raw().status().as_u16(), region)
            }
            _ => class_without_answer(error),
        };
        let detail = match error {
            SdkError::ServiceError(answer) => {
                let status = answer.raw().status().as_u16();
                match (answer.err().code(), answer.err().message()) {
                    (Some(code), Some(message)) => excerpt(&format!("{code}: {message}")),
                    (Some(code), None) => excerpt(code),
                    // An answer without a body, or of another kind of server.
                    (None, _) => format!("HTTP status {status}: {}", chain(error)),
                }
            }
            _ => chain(error),
        };
        self.error_of(class, detail)
    }

    pub(super) fn error_of(self, class: ErrorClass, detail: String) -> RequestError {
        RequestError { class, action: self.action, key: self.key.to_owned(), detail }
    }
}

fn class_of(code: Option<&str>, status: u16, region: Option<String>) -> ErrorClass {
    match (code.unwrap_or_default(), status) {
        ("NoSuchBucket", _) => ErrorClass::NoBucket,
        (
            "PermanentRedirect"
            | "TemporaryRedirect"
            | "AuthorizationHeaderMalformed"
            | "IllegalLocationConstraintException",
            _,
        )
        | (_, 301 | 307) => ErrorClass::WrongRegion(region),
        ("RequestTimeTooSkewed", _) => ErrorClass::Skew,
        (
            "InvalidAccessKeyId"
            | "SignatureDoesNotMatch"
            | "ExpiredToken"
            | "InvalidToken"
            | "TokenRefreshRequired",
            _,
        ) => ErrorClass::Credentials,
        ("RequestTimeout", _) | (_, 408) => ErrorClass::Busy, // AWS answers 400
        ("NotImplemented" | "InvalidArgument" | "InvalidRequest", _) | (_, 405 | 501) => {
            ErrorClass::Unsupported
        }
        (_, 401 | 403) => ErrorClass::Denied,
        (_, 404) => ErrorClass::Absent,
        (_, 412) => ErrorClass::Precondition,
        (_, 409) => ErrorClass::Conflict,
        // For a long operation S3 answers 200 first. An error, or an unreadable body, may follow.
        (_, ..=299 | 429 | 500..) => ErrorClass::Busy,
        _ => ErrorClass::Other,
    }
}

fn class_without_answer<E: Error + 'static>(error: &SdkError<E, HttpResponse>) -> ErrorClass {
    if causes(error).any(|cause| cause.is::<CredentialsError>()) {
        return ErrorClass::NoCredentials;
    }
    match error {
        SdkError::ConstructionFailure(_) => ErrorClass::Other,
        // The type of rustls's error is not available here.
        SdkError::DispatchFailure(_) if chain(error).contains("certificate") => ErrorClass::Certificate,
        _ => ErrorClass::Unreachable,
    }
}

impl RequestError {
    /// Whether the request may have taken effect all the same.
    pub(super) fn is_ambiguous(&self) -> bool {
        matches!(self.class, ErrorClass::Busy | ErrorClass::Unreachable)
    }

    /// The error with the address of the bucket, and advice.
    pub(super) fn into_failure(self, address: &S3Address) -> Failure {
        let RequestError { class, action, key, detail } = self;
        let bucket = address.bucket();
        let what = match &class {
            ErrorClass::NoCredentials => format!("{address} requires credentials: {detail}"),
            _ => format!("{action} of {key} in {address} failed: {detail}"),
        };
        Failure::Storage { what, advice: advice(&class, action, bucket, &key, address) }
    }
}

fn advice(class: &ErrorClass, action: &str, bucket: &str, key: &str, address: &S3Address) -> String {
    match class {
        ErrorClass::NoCredentials => {
            "Give this process AWS credentials: a role by OIDC in CI, AWS_PROFILE (after `aws sso \
             login`), or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
                .into()
        }
        ErrorClass::Credentials => {
            "The credentials are mistyped, expired, or belong to another server: check them and \
             --endpoint. `aws sts get-caller-identity` shows the identity that AWS sees."
                .into()
        }
        ErrorClass::Denied => {
            let why = if action == "s3:GetObject" {
                " Allow s3:ListBucket on the bucket too: without it, S3 also denies access to an \
                 object that does not exist."
            } else if key.contains(".probe-") {
                " signer writes objects `.probe-*` to determine how the server treats conditional \
                 writes."
            } else {
                ""
            };
            let resource = match (action, address.prefix()) {
                ("s3:ListBucket", _) => format!("arn:aws:s3:::{bucket}"),
                (_, "") => format!("arn:aws:s3:::{bucket}/*"),
                (_, prefix) => format!("arn:aws:s3:::{bucket}/{prefix}/*"),
            };
            format!("Allow these credentials {action} on {resource}.{why}")
        }
        ErrorClass::NoBucket => format!(
            "Create the bucket `{bucket}`, or correct its name, --region and --endpoint. signer \
             does not create buckets."
        ),
        ErrorClass::WrongRegion(Some(region)) => {
            format!("The bucket is in {region}: give --region {region}, or set AWS_REGION.")
        }
        ErrorClass::WrongRegion(None) => {
            "The bucket is in another region: give --region NAME, or set AWS_REGION.".into()
        }
        ErrorClass::Skew => "Set this machine's clock: a request signature is valid for 15 minutes.".into(),
        ErrorClass::Certificate => {
            "Another server or a proxy answers, or the server's CA is internal: name its \
             certificates with SSL_CERT_FILE."
                .into()
        }
        ErrorClass::Unreachable => {
            "Check the network, the proxy and --endpoint. Published releases are intact; run the \
             same command again to finish."
                .into()
        }
        ErrorClass::Busy => {
            "The server is overloaded or has a fault. Published releases are intact; run the same \
             command again to finish."
                .into()
        }
        ErrorClass::Precondition | ErrorClass::Conflict | ErrorClass::Absent => {
            "Another client writes or removes the same object. Published releases are intact; run \
             the same command again to finish."
                .into()
        }
        ErrorClass::Unsupported | ErrorClass::Other => {
            "signer does not know this error; see the server's message. Buckets with Object Lock \
             require AWS_REQUEST_CHECKSUM_CALCULATION=when_supported."
                .into()
        }
    }
}
