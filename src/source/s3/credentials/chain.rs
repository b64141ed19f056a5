//! Where credentials are looked for, in AWS's order.

use zeroize::Zeroizing;

use super::files::SharedFiles;
use super::{
    Credentials, Missing, ProvideCredentials, Sought, TokenService, container, instance, profile, var,
};
use crate::source::http::Session;

/// The environment, the profile, a web identity, the container, the machine; or the profile alone, where the address names one.
pub(in crate::source::s3) struct Chain {
    /// That the address names.
    pub(in crate::source::s3) profile: Option<String>,
    pub(in crate::source::s3) token_service: TokenService,
    /// Plain HTTP without a proxy, for the addresses of container and machine.
    pub(in crate::source::s3) metadata: Session,
}

impl Chain {
    pub(super) fn container(&self) -> Sought {
        container::credentials(&self.metadata, self.token_service.tls())
    }

    pub(super) fn instance(&self) -> Sought {
        instance::credentials(&self.metadata)
    }

    fn web_identity(&self) -> Sought {
        let Some(token_file) = var("AWS_WEB_IDENTITY_TOKEN_FILE") else {
            return Err(Missing::Here("web identity: AWS_WEB_IDENTITY_TOKEN_FILE is not set".into()));
        };
        let Some(role) = var("AWS_ROLE_ARN") else {
            let why = "AWS_WEB_IDENTITY_TOKEN_FILE is set, and AWS_ROLE_ARN is not";
            return Err(Missing::Failed(why.into()));
        };
        let session = var("AWS_ROLE_SESSION_NAME");
        self.token_service.assume_with_web_identity(&role, session.as_deref(), &token_file)
    }
}

pub(super) fn environment() -> Sought {
    match (var("AWS_ACCESS_KEY_ID"), var("AWS_SECRET_ACCESS_KEY")) {
        (Some(id), Some(secret)) => {
            let (secret, token) = (Zeroizing::new(secret), var("AWS_SESSION_TOKEN").map(Zeroizing::new));
            let token = token.as_ref().map(|token| token.as_str());
            Ok(Credentials::of(&id, &secret, token, None, "the environment"))
        }
        (None, _) => Err(Missing::Here("environment: AWS_ACCESS_KEY_ID is not set".into())),
        (_, None) => Err(Missing::Here("environment: AWS_SECRET_ACCESS_KEY is not set".into())),
    }
}

impl ProvideCredentials for Chain {
    fn credentials(&self) -> Result<Credentials, String> {
        let from_profile = |chain: &Chain| profile::credentials(chain, &SharedFiles::read());
        type Source<'a> = &'a dyn Fn(&Chain) -> Sought;
        let all: [Source<'_>; 5] =
            [&|_| environment(), &from_profile, &Chain::web_identity, &Chain::container, &Chain::instance];
        let named: [Source<'_>; 1] = [&from_profile];
        let mut looked = Vec::new();
        for source in if self.profile.is_some() { &named[..] } else { &all[..] } {
            match source(self) {
                Ok(credentials) => return Ok(credentials),
                Err(Missing::Here(why)) => looked.push(why),
                Err(Missing::Failed(why)) => return Err(why),
            }
        }
        Err(format!("none were found. Looked at: {}", looked.join("; ")))
    }
}
