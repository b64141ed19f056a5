//! Why KMS did not sign, and what to do next.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::aws::{causes, chain, excerpt};
use crate::limits;

/// Completes "the key NAME in AWS KMS ...". Texts from AWS are safe to print.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KmsError {
    /// Neither the name nor the configuration has a region.
    #[error("has no region")]
    NoRegion,
    /// There are no credentials to sign requests with.
    #[error("requires credentials: {detail}")]
    NoCredentials {
        /// Where they were looked for, and why there are none.
        detail: String,
    },
    /// AWS rejects the credentials as unknown or expired.
    #[error("was requested with credentials that AWS rejects: {detail}")]
    Credentials {
        /// AWS's message.
        detail: String,
    },
    /// The credentials do not have the permission.
    #[error("cannot be used: {action} was denied: {detail}")]
    Denied {
        /// The permission that is missing.
        action: &'static str,
        /// AWS's message.
        detail: String,
    },
    /// The key does not exist in this region and account.
    #[error("was not found: {detail}")]
    NotFound {
        /// AWS's message.
        detail: String,
    },
    /// The key is disabled, or pending deletion or import.
    #[error("cannot sign in its current state: {detail}")]
    State {
        /// AWS's message.
        detail: String,
    },
    /// The key is of another kind.
    #[error("is not an ECC_NIST_EDWARDS25519 key for SIGN_VERIFY: {detail}")]
    WrongKind {
        /// Its kind, or AWS's message.
        detail: String,
    },
    /// No client would trust the public key.
    #[error("has a public key that is {why}")]
    PublicKey {
        /// The reason; completes the sentence.
        why: &'static str,
    },
    /// The answer does not contain a signature.
    #[error("returned a signature of {length} bytes instead of 64")]
    Signature {
        /// Its length.
        length: usize,
    },
    /// KMS throttles requests or has a fault, after all attempts.
    #[error("is temporarily unavailable: {detail}")]
    Busy {
        /// AWS's message.
        detail: String,
    },
    /// KMS did not answer.
    #[error("cannot be reached: {detail}")]
    Unreachable {
        /// What happened instead.
        detail: String,
    },
    /// An error that this program does not know.
    #[error("was refused by AWS: {detail}")]
    Other {
        /// AWS's message.
        detail: String,
    },
}

impl KmsError {
    /// Classifies an error of the SDK.
    pub(super) fn from_sdk<E>(action: &'static str, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: Error + ProvideErrorMetadata + 'static,
    {
        let SdkError::ServiceError(answer) = error else {
            return match causes(error).find(|cause| cause.is::<CredentialsError>()) {
                Some(cause) => KmsError::NoCredentials { detail: chain(cause) },
                None => KmsError::Unreachable { detail: chain(error) },
            };
        };
        let (code, message) = (answer.err().code(), answer.err().message());
        let detail = match (code, message) {
            (Some(code), Some(message)) => excerpt(&format!("{code}: {message}")),
            (Some(code), None) => excerpt(code),
            // The answer of a proxy or of another server.
            (None, _) => {
                let detail = format!("not an answer of KMS: {}", chain(error));
                return KmsError::Unreachable { detail };
            }
        };
        match code.unwrap_or_default() {
            "AccessDeniedException" => KmsError::Denied { action, detail },
            "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "InvalidSignatureException"
            | "SignatureDoesNotMatch"
            | "IncompleteSignature"
            | "ExpiredTokenException"
            | "ExpiredToken"
            | "RequestExpired"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException" => KmsError::Credentials { detail },
            "NotFoundException" | "InvalidArnException" => KmsError::NotFound { detail },
            "UnsupportedOperationException" | "InvalidKeyUsageException" => KmsError::WrongKind { detail },
            "DisabledException" | "KMSInvalidStateException" => KmsError::State { detail },
            "ThrottlingException"
            | "Throttling"
            | "RequestLimitExceeded"
            | "TooManyRequestsException"
            | "LimitExceededException"
            | "KMSInternalException"
            | "DependencyTimeoutException"
            | "KeyUnavailableException"
            | "InternalFailure"
            | "ServiceUnavailable" => KmsError::Busy { detail },
            _ if answer.raw().status().as_u16() >= 500 => KmsError::Busy { detail },
            _ => KmsError::Other { detail },
        }
    }

    /// The key is of another kind.
    pub(super) fn wrong_kind(spec: Option<&str>, usage: Option<&str>) -> Self {
        let shown = |text: Option<&str>| excerpt(text.unwrap_or("nothing"));
        KmsError::WrongKind { detail: format!("it is {} for {}", shown(spec), shown(usage)) }
    }

    /// KMS did not answer in time.
    pub(super) fn timeout() -> Self {
        let seconds = limits::KMS_OPERATION.as_secs();
        KmsError::Unreachable { detail: format!("no answer within {seconds} s") }
    }

    /// This machine cannot even start the threads for a request.
    pub(super) fn runtime(error: &std::io::Error) -> Self {
        KmsError::Unreachable { detail: error.to_string() }
    }

    /// What to do next.
    pub fn advice(&self) -> &'static str {
        match self {
            KmsError::NoRegion => {
                "Set AWS_REGION, choose a profile that has a region, or name the key by its ARN."
            }
            KmsError::NoCredentials { .. } => {
                "Give this process AWS credentials: a role by OIDC in CI, AWS_PROFILE (after `aws \
                 sso login`), or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
            }
            KmsError::Credentials { .. } => {
                "The credentials are expired or belong to another account, or this machine's clock \
                 is wrong. `aws sts get-caller-identity` shows the current identity."
            }
            KmsError::Denied { .. } => {
                "Allow kms:GetPublicKey and kms:Sign on this key for this caller; keys/README.md \
                 has the minimal policy. The key's own policy must allow it too."
            }
            KmsError::NotFound { .. } => {
                "Check the name, the region and the account: `aws kms describe-key --key-id NAME`."
            }
            KmsError::State { .. } => {
                "Run `aws kms enable-key` or `aws kms cancel-key-deletion`. If the change was not \
                 yours, find out in CloudTrail who made it before you continue."
            }
            KmsError::WrongKind { .. } => {
                "Create a key with `aws kms create-key --key-spec ECC_NIST_EDWARDS25519 \
                 --key-usage SIGN_VERIFY`. The kind of an existing key cannot be changed."
            }
            KmsError::PublicKey { .. } | KmsError::Signature { .. } => {
                "KMS does not return this: check which server answers at AWS_ENDPOINT_URL_KMS or \
                 behind the proxy. Nothing was signed."
            }
            KmsError::Busy { .. } => {
                "Nothing was signed. Try again; https://health.aws.amazon.com reports outages."
            }
            KmsError::Unreachable { .. } => {
                "Nothing was signed. Check the network, the proxy, AWS_REGION and \
                 AWS_ENDPOINT_URL_KMS, and try again."
            }
            KmsError::Other { .. } => {
                "Nothing was signed. This program does not know the error; see AWS's message."
            }
        }
    }

    /// The exit code, as for all relatch tools.
    pub fn exit_code(&self) -> u8 {
        match self {
            KmsError::PublicKey { .. } | KmsError::Signature { .. } => 3,
            KmsError::Busy { .. } | KmsError::Unreachable { .. } => 4,
            _ => 2,
        }
    }
}
