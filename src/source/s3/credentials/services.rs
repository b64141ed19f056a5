//! The services that hand out temporary credentials.

use super::environment::var;
use super::provider::{ProviderError, ProviderResult};
use super::sts::TokenService;
use super::{container, instance};
use crate::source::http::ReadClient;

/// The token service, the container's endpoint and the instance metadata, for one read.
pub(in crate::source::s3) struct Services {
    pub(in crate::source::s3) token_service: TokenService,
    /// Plain HTTP without a proxy, for the addresses of container and machine.
    pub(in crate::source::s3) metadata: ReadClient,
}

impl Services {
    pub(super) fn container(&self) -> ProviderResult {
        container::credentials(&self.metadata, self.token_service.tls())
    }

    pub(super) fn instance(&self) -> ProviderResult {
        instance::credentials(&self.metadata)
    }

    /// The role of `AWS_ROLE_ARN`, for the token in `AWS_WEB_IDENTITY_TOKEN_FILE`.
    pub(super) fn web_identity(&self) -> ProviderResult {
        let Some(token_file) = var("AWS_WEB_IDENTITY_TOKEN_FILE") else {
            let why = "web identity: AWS_WEB_IDENTITY_TOKEN_FILE is not set";
            return Err(ProviderError::NotConfigured(why.into()));
        };
        let Some(role) = var("AWS_ROLE_ARN") else {
            let why = "AWS_WEB_IDENTITY_TOKEN_FILE is set, but AWS_ROLE_ARN is not";
            return Err(ProviderError::Failed(why.into()));
        };
        let session_name = var("AWS_ROLE_SESSION_NAME");
        self.token_service.assume_with_web_identity(&role, session_name.as_deref(), &token_file)
    }
}
