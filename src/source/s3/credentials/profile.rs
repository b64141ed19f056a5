//! The credentials of a profile, as AWS's SDKs read them: keys, a program, a web identity, or a
//! role that is assumed with other credentials.

use std::collections::BTreeSet;

use super::environment::{self, var};
use super::files::{Profile, SharedFiles};
use super::process;
use super::provider::{ProviderError, ProviderResult};
use super::services::Services;
use super::sts::AssumeRole;
use crate::escape::Words;
use crate::source::s3::access_key::Credentials;

/// The profile's name: the one of the address, otherwise `AWS_PROFILE`, otherwise `default`.
pub(super) fn name(named: Option<&str>) -> String {
    named.map(str::to_owned).or_else(|| var("AWS_PROFILE")).unwrap_or_else(|| "default".into())
}

fn property<'a>(profile: &'a Profile, name: &str) -> Option<&'a str> {
    profile.get(name).map(|value| value.as_str()).filter(|value| !value.is_empty())
}

/// Follows `source_profile` to the first credentials, then assumes the roles on the way back.
/// `named` is the profile of the address.
pub(super) fn credentials(named: Option<&str>, services: &Services, files: &SharedFiles) -> ProviderResult {
    let first = name(named);
    let mut name = first.as_str();
    let mut visited = BTreeSet::new();
    let mut roles = Vec::new();
    let base = loop {
        let Some(profile) = files.profile(name) else {
            let why = format!("profile `{}`: not found in {}", Words(name), files.searched());
            let is_first = roles.is_empty();
            return Err(match is_first {
                true => ProviderError::NotConfigured(why),
                false => ProviderError::Failed(why),
            });
        };
        if !visited.insert(name) {
            let why = format!("the source_profile of profile `{}` leads back to that profile", Words(name));
            return Err(ProviderError::Failed(why));
        }
        if let (false, Ok(keys)) = (roles.is_empty(), keys(name, profile)) {
            break keys; // in a source profile, keys take precedence over a role
        }
        let Some(role) = role(name, profile)? else { break base(services, name, profile, files)? };
        roles.push(role);
        match (property(profile, "source_profile"), property(profile, "credential_source")) {
            (Some(source), None) if source == name => {
                break base(services, name, profile, files).map_err(ProviderError::into_failed)?;
            }
            (Some(source), None) => name = source,
            (None, Some(source)) => break credential_source(services, name, source)?,
            _ => {
                let why = format!(
                    "profile `{}` has a role_arn and requires either source_profile or credential_source",
                    Words(name)
                );
                return Err(ProviderError::Failed(why));
            }
        }
    };
    let token_service = &services.token_service;
    roles.iter().rev().try_fold(base, |credentials, role| token_service.assume(role, &credentials))
}

/// The role that a profile assumes with other credentials.
fn role<'a>(name: &str, profile: &'a Profile) -> Result<Option<AssumeRole<'a>>, ProviderError> {
    let Some(arn) = property(profile, "role_arn") else { return Ok(None) };
    if property(profile, "web_identity_token_file").is_some() {
        return Ok(None);
    }
    if property(profile, "mfa_serial").is_some() {
        let why = format!(
            "profile `{}` requires an MFA code (mfa_serial), which this program cannot ask for",
            Words(name)
        );
        return Err(ProviderError::Failed(why));
    }
    Ok(Some(AssumeRole {
        arn,
        session_name: property(profile, "role_session_name"),
        external_id: property(profile, "external_id"),
        seconds: property(profile, "duration_seconds"),
    }))
}

fn credential_source(services: &Services, name: &str, source: &str) -> ProviderResult {
    let credentials = match source {
        "Environment" => environment::credentials(),
        "Ec2InstanceMetadata" => services.instance(),
        "EcsContainer" => services.container(),
        _ => Err(ProviderError::Failed(format!("unknown credential_source `{}`", Words(source)))),
    };
    credentials.map_err(|error| {
        let why = error.into_message();
        ProviderError::Failed(format!("the credential_source of profile `{}`: {why}", Words(name)))
    })
}

/// The credentials of the profile itself: a web identity, a program or keys.
fn base(services: &Services, name: &str, profile: &Profile, files: &SharedFiles) -> ProviderResult {
    if let (Some(token_file), Some(arn)) =
        (property(profile, "web_identity_token_file"), property(profile, "role_arn"))
    {
        let session_name = property(profile, "role_session_name");
        return services.token_service.assume_with_web_identity(arn, session_name, token_file);
    }
    if let Some(other) = profile.keys().find(|key| key.starts_with("sso_") || *key == "login_session") {
        let why = format!(
            "profile `{}` has `{}`, which requires relatch's feature `s3-sdk`, or a credential_process that \
             runs `aws configure export-credentials`",
            Words(name),
            Words(other)
        );
        return Err(ProviderError::Failed(why));
    }
    if let Some(command) = property(profile, "credential_process") {
        return process::credentials(name, command);
    }
    keys(name, profile).map_err(|error| {
        let why = error.into_message();
        ProviderError::NotConfigured(format!("{why} in {}", files.searched()))
    })
}

fn keys(name: &str, profile: &Profile) -> ProviderResult {
    let (id, secret) = (property(profile, "aws_access_key_id"), property(profile, "aws_secret_access_key"));
    let (Some(id), Some(secret)) = (id, secret) else {
        return Err(ProviderError::NotConfigured(format!("profile `{}`: no access key", Words(name))));
    };
    let token = property(profile, "aws_session_token");
    Ok(Credentials::of(id, secret, token, None, "a profile"))
}
