//! Why KMS did not sign, and what to do next.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::PATIENCE;
use crate::aws::{causes, chain, printable};

/// Completes "the key NAME in AWS KMS ...". What AWS said in it is safe to print.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// Neither the name nor the configuration says where it is.
    #[error("is in no region")]
    NoRegion,
    /// There is nothing to sign requests with.
    #[error("cannot be asked without credentials: {said}")]
    NoCredentials {
        /// Where they were looked for, and why there are none.
        said: String,
    },
    /// AWS does not know them, or not any more.
    #[error("was asked with credentials that AWS refuses: {said}")]
    Credentials {
        /// AWS's words.
        said: String,
    },
    /// These credentials may not do it.
    #[error("may not be asked: {action} was denied: {said}")]
    Denied {
        /// The permission that is missing.
        action: &'static str,
        /// AWS's words.
        said: String,
    },
    /// There is no such key here.
    #[error("was not found: {said}")]
    NotFound {
        /// AWS's words.
        said: String,
    },
    /// It is disabled, or waits for deletion or for its material.
    #[error("cannot sign in its state: {said}")]
    State {
        /// AWS's words.
        said: String,
    },
    /// A key for something else.
    #[error("is not one of ECC_NIST_EDWARDS25519 for SIGN_VERIFY: {said}")]
    Kind {
        /// What it is, or AWS's words.
        said: String,
    },
    /// A public key that no client would trust.
    #[error("has a public key that is {why}")]
    PublicKey {
        /// What is wrong with it.
        why: &'static str,
    },
    /// An answer that is no signature.
    #[error("answered with a signature of {length} bytes, not 64")]
    Signature {
        /// Its length.
        length: usize,
    },
    /// Too many questions, or a fault at AWS, after all tries.
    #[error("is not to be had just now: {said}")]
    Busy {
        /// AWS's words.
        said: String,
    },
    /// No answer of KMS at all.
    #[error("cannot be reached: {said}")]
    Unreachable {
        /// What happened instead.
        said: String,
    },
    /// A refusal that this program knows nothing about.
    #[error("was refused by AWS: {said}")]
    Other {
        /// AWS's words.
        said: String,
    },
}

impl Cause {
    /// What an error of the SDK means.
    pub(super) fn of<E>(action: &'static str, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: Error + ProvideErrorMetadata + 'static,
    {
        let SdkError::ServiceError(answered) = error else {
            return match causes(error).find(|cause| cause.is::<CredentialsError>()) {
                Some(cause) => Cause::NoCredentials { said: chain(cause) },
                None => Cause::Unreachable { said: chain(error) },
            };
        };
        let (code, message) = (answered.err().code(), answered.err().message());
        let said = match (code, message) {
            (Some(code), Some(message)) => printable(&format!("{code}: {message}")),
            (Some(code), None) => printable(code),
            // What a proxy or another server says.
            (None, _) => return Cause::Unreachable { said: format!("no answer of KMS: {}", chain(error)) },
        };
        match code.unwrap_or_default() {
            "AccessDeniedException" => Cause::Denied { action, said },
            "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "InvalidSignatureException"
            | "SignatureDoesNotMatch"
            | "IncompleteSignature"
            | "ExpiredTokenException"
            | "ExpiredToken"
            | "RequestExpired"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException" => Cause::Credentials { said },
            "NotFoundException" | "InvalidArnException" => Cause::NotFound { said },
            "UnsupportedOperationException" | "InvalidKeyUsageException" => Cause::Kind { said },
            "DisabledException" | "KMSInvalidStateException" => Cause::State { said },
            "ThrottlingException"
            | "Throttling"
            | "RequestLimitExceeded"
            | "TooManyRequestsException"
            | "LimitExceededException"
            | "KMSInternalException"
            | "DependencyTimeoutException"
            | "KeyUnavailableException"
            | "InternalFailure"
            | "ServiceUnavailable" => Cause::Busy { said },
            _ if answered.raw().status().as_u16() >= 500 => Cause::Busy { said },
            _ => Cause::Other { said },
        }
    }

    /// A key of another kind.
    pub(super) fn kind(spec: Option<&str>, usage: Option<&str>) -> Self {
        let shown = |text: Option<&str>| printable(text.unwrap_or("nothing"));
        Cause::Kind { said: format!("it is {} for {}", shown(spec), shown(usage)) }
    }

    /// Nobody answered in time.
    pub(super) fn silent() -> Self {
        Cause::Unreachable { said: format!("no answer within {} s", PATIENCE.as_secs()) }
    }

    /// This machine cannot even ask.
    pub(super) fn runtime(error: &std::io::Error) -> Self {
        Cause::Unreachable { said: error.to_string() }
    }

    /// What to do next.
    pub fn advice(&self) -> &'static str {
        match self {
            Cause::NoRegion => "Set AWS_REGION, choose a profile that has one, or name the key by its ARN.",
            Cause::NoCredentials { .. } => {
                "Give this process AWS credentials: a role by OIDC in CI, AWS_PROFILE (after `aws sso login`), or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
            }
            Cause::Credentials { .. } => {
                "Are they expired, of another account, or is this machine's clock wrong? `aws sts get-caller-identity` says who you are."
            }
            Cause::Denied { .. } => {
                "Allow kms:GetPublicKey and kms:Sign on this key to this caller: keys/README.md has the least policy. The key's own policy must allow it too."
            }
            Cause::NotFound { .. } => {
                "Look at the name, the region and the account: `aws kms describe-key --key-id NAME`."
            }
            Cause::State { .. } => {
                "`aws kms enable-key`, or `aws kms cancel-key-deletion`. If nobody here did it, ask CloudTrail who did before you go on."
            }
            Cause::Kind { .. } => {
                "Make one with `aws kms create-key --key-spec ECC_NIST_EDWARDS25519 --key-usage SIGN_VERIFY`; a key's kind cannot be changed."
            }
            Cause::PublicKey { .. } | Cause::Signature { .. } => {
                "KMS makes no such thing: who answers at AWS_ENDPOINT_URL_KMS or behind the proxy? Nothing was signed."
            }
            Cause::Busy { .. } => {
                "Nothing was signed. Try again; https://health.aws.amazon.com knows of faults."
            }
            Cause::Unreachable { .. } => {
                "Nothing was signed. Look at the network, the proxy, AWS_REGION and AWS_ENDPOINT_URL_KMS, and try again."
            }
            Cause::Other { .. } => "Nothing was signed. What AWS says is all that is known.",
        }
    }

    /// The exit code, as relatch's tools have them.
    pub fn exit_code(&self) -> u8 {
        match self {
            Cause::PublicKey { .. } | Cause::Signature { .. } => 3,
            Cause::Busy { .. } | Cause::Unreachable { .. } => 4,
            _ => 2,
        }
    }
}
