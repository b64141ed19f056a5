//! The name of a key in AWS KMS.

/// The prefix of a `--key` that is in AWS KMS.
pub const SCHEME: &str = "awskms:";

/// A key id, a key ARN, `alias/NAME` or an alias ARN. Anything else is invalid, so that a secret
/// pasted by mistake is never printed or sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KmsName(String);

impl std::str::FromStr for KmsName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let resource = match text.strip_prefix("arn:") {
            None if is_key_id(text) => return Ok(KmsName(text.into())),
            None => text,
            Some(rest) => resource_of(rest).ok_or("an ARN, but not of a key or alias in KMS")?,
        };
        let is_name = match resource.split_once('/') {
            Some(("key", id)) => text != resource && is_key_id(id),
            Some(("alias", name)) => is_alias(name),
            _ => false,
        };
        if is_name {
            Ok(KmsName(text.into()))
        } else {
            Err("neither a key id, `alias/NAME`, nor the ARN of either")
        }
    }
}

impl KmsName {
    /// As a KMS request has it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The region, if the name is an ARN.
    pub fn region(&self) -> Option<&str> {
        if self.0.starts_with("arn:") { self.0.split(':').nth(3) } else { None }
    }
}

impl std::fmt::Display for KmsName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The part after `arn:PARTITION:kms:REGION:ACCOUNT:`.
fn resource_of(rest: &str) -> Option<&str> {
    let parts: Vec<&str> = rest.split(':').collect();
    let [partition, "kms", region, account, resource] = parts[..] else { return None };
    let is_word = |text: &str| {
        (1..=32).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    (is_word(partition) && is_word(region) && is_account).then_some(resource)
}

/// A UUID, or `mrk-` and 32 hex digits for a multi-Region key.
fn is_key_id(text: &str) -> bool {
    let is_hex = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    match text.strip_prefix("mrk-") {
        Some(rest) => rest.len() == 32 && is_hex(rest),
        None => {
            let groups: Vec<&str> = text.split('-').collect();
            groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12]) && groups.into_iter().all(is_hex)
        }
    }
}

fn is_alias(name: &str) -> bool {
    (1..=250).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_forms_and_no_other() {
        let id = "1234abcd-12ab-34cd-56ef-1234567890ab";
        let arn = "arn:aws-us-gov:kms:eu-central-1:111122223333:";
        let region = |text: &str| text.parse().map(|name: KmsName| name.region().map(str::to_owned));
        for name in [id, "mrk-1234abcd12ab34cd56ef1234567890ab", "alias/release", "alias/team/a_b-1"] {
            assert_eq!(region(name), Ok(None), "{name}");
        }
        for resource in [format!("key/{id}"), "alias/release".into()] {
            assert_eq!(region(&format!("{arn}{resource}")), Ok(Some("eu-central-1".into())), "{resource}");
        }
        let not = [
            "",
            "release",
            "alias/",
            "alias/a b",
            "alias/a\n",
            "///alias/release",
            "//alias/release",
            &id.to_uppercase(),
            &id[1..],
            &format!("key/{id}"),
            &format!("{arn}{id}"),
            &format!("{arn}key/alias"),
            &format!("{arn}alias/a:b"),
            "arn:aws:s3:eu-central-1:111122223333:alias/release",
            "arn:aws:kms:eu-central-1::alias/release",
            "arn:aws:kms::111122223333:alias/release",
            &format!("alias/{}", "x".repeat(251)),
        ];
        for name in not {
            assert!(name.parse::<KmsName>().is_err(), "{name}");
        }
    }
}
