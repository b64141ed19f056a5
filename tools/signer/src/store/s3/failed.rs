//! Why a server did not do what was asked: what it means here, and how a person is told.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use relatch::source::S3Address;

use crate::Failure;
use crate::aws::{causes, chain, printable};

/// A request without success.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) kind: Kind,
    /// The permission that the request needs.
    action: &'static str,
    key: String,
    /// The server's words, or what happened instead; safe to print.
    said: String,
}

/// What matters about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// There is no such object, or no such upload.
    Absent,
    /// A condition did not hold: 412.
    Precondition,
    /// Somebody writes the same object at this moment: 409.
    Conflict,
    /// The server does not know what was asked: 501, 405, or it takes it for a mistake.
    Unsupported,
    Denied,
    NoBucket,
    /// The bucket is elsewhere; where, if the server says so.
    WrongRegion(Option<String>),
    /// The credentials are not valid.
    Credentials,
    NoCredentials,
    /// The clocks differ too much.
    Skew,
    /// Overloaded or broken, also after all tries.
    Busy,
    /// No answer, or half of one.
    Unreachable,
    /// No trust in who answers.
    Certificate,
    Other,
}

/// A request as its failure tells it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    /// The permission that it needs, `s3:PutObject`.
    pub(super) action: &'static str,
    pub(super) key: &'a str,
}

impl Asked<'_> {
    /// What an error of the SDK means.
    pub(super) fn failed<E>(self, error: &SdkError<E, HttpResponse>) -> Failed
    where
        E: Error + ProvideErrorMetadata + 'static,
    {
        let kind = match error {
            SdkError::ServiceError(answer) => {
                let region = answer.raw().headers().get("x-amz-bucket-region").map(printable);
                kind_of(answer.err().code(), answer.raw().status().as_u16(), region)
            }
            _ => kind_without_answer(error),
        };
        let said = match error {
            SdkError::ServiceError(answer) => {
                let status = answer.raw().status().as_u16();
                match (answer.err().code(), answer.err().message()) {
                    (Some(code), Some(message)) => printable(&format!("{code}: {message}")),
                    (Some(code), None) => printable(code),
                    // An answer without a body, or of something that is no S3 server.
                    (None, _) => format!("HTTP status {status}: {}", chain(error)),
                }
            }
            _ => chain(error),
        };
        self.failed_as(kind, said)
    }

    pub(super) fn failed_as(self, kind: Kind, said: String) -> Failed {
        Failed { kind, action: self.action, key: self.key.to_owned(), said }
    }
}

fn kind_of(code: Option<&str>, status: u16, region: Option<String>) -> Kind {
    match (code.unwrap_or_default(), status) {
        ("NoSuchBucket", _) => Kind::NoBucket,
        (
            "PermanentRedirect"
            | "TemporaryRedirect"
            | "AuthorizationHeaderMalformed"
            | "IllegalLocationConstraintException",
            _,
        )
        | (_, 301 | 307) => Kind::WrongRegion(region),
        ("RequestTimeTooSkewed", _) => Kind::Skew,
        (
            "InvalidAccessKeyId"
            | "SignatureDoesNotMatch"
            | "ExpiredToken"
            | "InvalidToken"
            | "TokenRefreshRequired",
            _,
        ) => Kind::Credentials,
        ("RequestTimeout", _) | (_, 408) => Kind::Busy, // of AWS it is a 400
        ("NotImplemented" | "InvalidArgument" | "InvalidRequest", _) | (_, 405 | 501) => Kind::Unsupported,
        (_, 401 | 403) => Kind::Denied,
        (_, 404) => Kind::Absent,
        (_, 412) => Kind::Precondition,
        (_, 409) => Kind::Conflict,
        // 200 begins the answer to what takes long, and then comes an error, or nothing that can be read.
        (_, ..=299 | 429 | 500..) => Kind::Busy,
        _ => Kind::Other,
    }
}

fn kind_without_answer<E: Error + 'static>(error: &SdkError<E, HttpResponse>) -> Kind {
    if causes(error).any(|cause| cause.is::<CredentialsError>()) {
        return Kind::NoCredentials;
    }
    match error {
        SdkError::ConstructionFailure(_) => Kind::Other,
        // rustls's error is not of a type that is at hand here.
        SdkError::DispatchFailure(_) if chain(error).contains("certificate") => Kind::Certificate,
        _ => Kind::Unreachable,
    }
}

impl Failed {
    /// Whether it may have taken effect all the same.
    pub(super) fn is_ambiguous(&self) -> bool {
        matches!(self.kind, Kind::Busy | Kind::Unreachable)
    }

    /// As a person is told.
    pub(super) fn into_failure(self, address: &S3Address) -> Failure {
        let Failed { kind, action, key, said } = self;
        let bucket = address.bucket();
        let what = match &kind {
            Kind::NoCredentials => format!("there are no credentials for {address}: {said}"),
            _ => format!("{action} of {key} in {address} failed: {said}"),
        };
        Failure::Storage { what, advice: advice(&kind, action, bucket, &key, address) }
    }
}

fn advice(kind: &Kind, action: &str, bucket: &str, key: &str, address: &S3Address) -> String {
    match kind {
        Kind::NoCredentials => {
            "Give this process AWS credentials: a role by OIDC in CI, AWS_PROFILE (after `aws sso login`), or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.".into()
        }
        Kind::Credentials => {
            "The credentials are mistyped, expired, or of another server: compare them and --endpoint. `aws sts get-caller-identity` says who AWS thinks you are.".into()
        }
        Kind::Denied => {
            let why = if action == "s3:GetObject" {
                " And s3:ListBucket on the bucket: without it S3 says the same of what is absent."
            } else if key.contains(".probe-") {
                " Before it writes, signer finds out on keys `.probe-*` what the server does with conditional writes."
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
        Kind::NoBucket => {
            format!("Make the bucket `{bucket}` first, or correct its name, --region and --endpoint. signer makes no buckets.")
        }
        Kind::WrongRegion(Some(region)) => format!("The bucket is in {region}: give --region {region}, or set AWS_REGION."),
        Kind::WrongRegion(None) => "The bucket is in another region: give --region NAME, or set AWS_REGION.".into(),
        Kind::Skew => "Set this machine's clock: signatures of requests hold for 15 minutes.".into(),
        Kind::Certificate => {
            "Something in between answers, or a CA of your own has signed: name its certificates with SSL_CERT_FILE.".into()
        }
        Kind::Unreachable => {
            "Look at the network, the proxy and --endpoint, and try again: what is published is whole, and a rerun finishes.".into()
        }
        Kind::Busy => "The server is overloaded or broken. Try again: what is published is whole, and a rerun finishes.".into(),
        Kind::Precondition | Kind::Conflict | Kind::Absent => {
            "Somebody else writes or removes the same object at this moment. Try again: what is published is whole, and a rerun finishes.".into()
        }
        Kind::Unsupported | Kind::Other => {
            "What the server says is all that is known. Buckets with Object Lock want AWS_REQUEST_CHECKSUM_CALCULATION=when_supported.".into()
        }
    }
}
