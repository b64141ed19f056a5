//! What a profile says of credentials, as AWS's SDKs read it: keys, a program, a web identity, or a role taken on with another's.

use crate::escape::Words;
use std::collections::BTreeSet;

use super::chain::{Chain, environment};
use super::files::{Profile, SharedFiles};
use super::sts::Role;
use super::{Credentials, Missing, Sought, process, var};

/// The profile's name: the address's, or `AWS_PROFILE`, or `default`.
pub(in crate::source::s3) fn name(named: Option<&str>) -> String {
    named.map(str::to_owned).or_else(|| var("AWS_PROFILE")).unwrap_or_else(|| "default".into())
}

fn property<'a>(profile: &'a Profile, name: &str) -> Option<&'a str> {
    profile.get(name).map(|value| value.as_str()).filter(|value| !value.is_empty())
}

pub(super) fn credentials(chain: &Chain, files: &SharedFiles) -> Sought {
    let first = name(chain.profile.as_deref());
    let mut name = first.as_str();
    let mut seen = BTreeSet::new();
    let mut roles = Vec::new();
    let base = loop {
        let Some(profile) = files.profile(name) else {
            let why = format!("profile `{}`: not in {}", Words(name), files.looked());
            let is_first = roles.is_empty();
            return Err(if is_first { Missing::Here(why) } else { Missing::Failed(why) });
        };
        if !seen.insert(name) {
            let why = format!("the profile `{}` is in the end its own source_profile", Words(name));
            return Err(Missing::Failed(why));
        }
        if let (false, Ok(keys)) = (roles.is_empty(), keys(name, profile)) {
            break keys; // of a source its keys come first
        }
        let Some(role) = role(name, profile)? else { break base(chain, name, profile, files)? };
        roles.push(role);
        match (property(profile, "source_profile"), property(profile, "credential_source")) {
            (Some(source), None) if source == name => {
                break base(chain, name, profile, files).map_err(Missing::failed)?;
            }
            (Some(source), None) => name = source,
            (None, Some(source)) => break named_source(chain, name, source)?,
            _ => {
                let why = format!(
                    "the profile `{}` has a role_arn, and not one of source_profile and credential_source",
                    Words(name)
                );
                return Err(Missing::Failed(why));
            }
        }
    };
    roles.iter().rev().try_fold(base, |credentials, role| chain.token_service.assume(role, &credentials))
}

/// The role that a profile takes on with credentials from elsewhere.
fn role<'a>(name: &str, profile: &'a Profile) -> Result<Option<Role<'a>>, Missing> {
    let Some(arn) = property(profile, "role_arn") else { return Ok(None) };
    if property(profile, "web_identity_token_file").is_some() {
        return Ok(None);
    }
    if property(profile, "mfa_serial").is_some() {
        let why = format!(
            "the profile `{}` wants a code of its mfa_serial, which nobody is asked for here",
            Words(name)
        );
        return Err(Missing::Failed(why));
    }
    Ok(Some(Role {
        arn,
        session: property(profile, "role_session_name"),
        external_id: property(profile, "external_id"),
        seconds: property(profile, "duration_seconds"),
    }))
}

fn named_source(chain: &Chain, name: &str, source: &str) -> Sought {
    let sought = match source {
        "Environment" => environment(),
        "Ec2InstanceMetadata" => chain.instance(),
        "EcsContainer" => chain.container(),
        _ => Err(Missing::Failed(format!("there is no credential_source `{}`", Words(source)))),
    };
    sought.map_err(|missing| {
        let (Missing::Here(why) | Missing::Failed(why)) = missing;
        Missing::Failed(format!("the credential_source of the profile `{}`: {why}", Words(name)))
    })
}

/// What a profile has itself.
fn base(chain: &Chain, name: &str, profile: &Profile, files: &SharedFiles) -> Sought {
    if let (Some(token_file), Some(arn)) =
        (property(profile, "web_identity_token_file"), property(profile, "role_arn"))
    {
        let session = property(profile, "role_session_name");
        return chain.token_service.assume_with_web_identity(arn, session, token_file);
    }
    if let Some(other) = profile.keys().find(|key| key.starts_with("sso_") || *key == "login_session") {
        let why = format!(
            "the profile `{}` has `{}`, which only builds with relatch's feature `s3-sdk` read (or let credential_process run \
             `aws configure export-credentials`)",
            Words(name),
            Words(other)
        );
        return Err(Missing::Failed(why));
    }
    if let Some(command) = property(profile, "credential_process") {
        return process::credentials(name, command);
    }
    keys(name, profile).map_err(|missing| {
        let (Missing::Here(why) | Missing::Failed(why)) = missing;
        Missing::Here(format!("{why} in {}", files.looked()))
    })
}

fn keys(name: &str, profile: &Profile) -> Sought {
    let (id, secret) = (property(profile, "aws_access_key_id"), property(profile, "aws_secret_access_key"));
    let (Some(id), Some(secret)) = (id, secret) else {
        return Err(Missing::Here(format!("profile `{}`: no keys", Words(name))));
    };
    let token = property(profile, "aws_session_token");
    Ok(Credentials::of(id, secret, token, None, "a profile"))
}
