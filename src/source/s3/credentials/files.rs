//! AWS's shared files: `~/.aws/config` and `~/.aws/credentials`.
//!
//! The parser ignores everything that it does not know, because other tools keep their own settings
//! in these files.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::environment::var;
use crate::escape::Words;
use crate::limits::{self, ByteLimit};
use crate::regular_file::open_regular_file;

/// The properties of a profile, with names in lower case.
pub(super) type Profile = BTreeMap<String, Zeroizing<String>>;

/// All profiles of both files. The credentials file takes precedence over the other one.
#[derive(Default)]
pub(super) struct SharedFiles {
    profiles: BTreeMap<String, Profile>,
    /// The files that were read, and those that could not be, with the reason.
    searched: Vec<String>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// Profiles are sections `[profile name]` and `[default]`; other sections have other purposes.
    Config,
    /// All sections, `[name]`, are profiles.
    Credentials,
}

impl SharedFiles {
    /// Reads both files. One that cannot be read counts as empty.
    pub(super) fn read() -> Self {
        let mut files = SharedFiles::default();
        for (kind, variable, default) in [
            (Kind::Config, "AWS_CONFIG_FILE", "config"),
            (Kind::Credentials, "AWS_SHARED_CREDENTIALS_FILE", "credentials"),
        ] {
            let home = std::env::home_dir();
            let path = match (var(variable), home) {
                (Some(path), Some(home)) if path.starts_with("~/") => {
                    home.join(path.trim_start_matches("~/"))
                }
                (Some(path), _) => PathBuf::from(path),
                (None, Some(home)) => home.join(".aws").join(default),
                (None, None) => continue,
            };
            let shown = Words(path.display().to_string()).to_string();
            match read_text(&path, limits::SHARED_FILE) {
                Ok(text) => {
                    files.searched.push(shown);
                    files.parse(&text, kind);
                }
                Err(why) => files.searched.push(format!("{shown} ({why})")),
            }
        }
        files
    }

    pub(super) fn profile(&self, name: &str) -> Option<&Profile> {
        self.profiles.get(name)
    }

    /// Parses the contents of both files.
    #[cfg(any(test, fuzzing))]
    pub(super) fn parsed(config: &str, credentials: &str) -> Self {
        let mut files = SharedFiles::default();
        files.parse(config, Kind::Config);
        files.parse(credentials, Kind::Credentials);
        files
    }

    #[cfg(fuzzing)]
    pub(super) fn len(&self) -> usize {
        self.profiles.len()
    }

    /// The files that were searched, for messages.
    pub(super) fn searched(&self) -> String {
        self.searched.join(" and ")
    }

    fn parse(&mut self, text: &str, kind: Kind) {
        let mut section: Option<String> = None;
        let mut property_indent = None;
        for line in text.trim_start_matches('\u{feff}').lines() {
            let trimmed = line.trim();
            if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
                continue;
            }
            let indent = line.len() - line.trim_start().len();
            if let Some(header) = trimmed.strip_prefix('[') {
                section = header.split_once(']').and_then(|(name, _)| profile_name(name, kind));
                property_indent = None;
                continue;
            }
            if property_indent.is_some_and(|of_property| indent > of_property) {
                continue; // a continuation of the property before, or a nested one
            }
            let (Some(section), Some((name, value))) = (&section, trimmed.split_once('=')) else { continue };
            property_indent = Some(indent);
            let value = Zeroizing::new(without_comment(value.trim()).to_owned());
            let profile = self.profiles.entry(section.clone()).or_default();
            profile.insert(name.trim().to_ascii_lowercase(), value);
        }
    }
}

fn profile_name(header: &str, kind: Kind) -> Option<String> {
    let header = header.trim();
    let name = match (kind, header) {
        (Kind::Credentials, name) => name,
        (Kind::Config, "default") => header,
        (Kind::Config, _) => header.strip_prefix("profile")?.strip_prefix([' ', '\t'])?.trim(),
    };
    let quoted = |quote| name.strip_prefix(quote).and_then(|name| name.strip_suffix(quote));
    Some(quoted('"').or(quoted('\'')).unwrap_or(name).to_owned())
}

/// Cuts off a comment, which begins with white space and `#` or `;`.
fn without_comment(value: &str) -> &str {
    let starts = [" #", " ;", "\t#", "\t;"].iter().filter_map(|start| value.find(start));
    starts.min().and_then(|end| value.get(..end)).unwrap_or(value).trim_end()
}

/// Reads a regular file of at most `limit` bytes. An error completes "the file ...".
pub(super) fn read_text(path: &Path, limit: ByteLimit) -> Result<Zeroizing<String>, String> {
    let why = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => "does not exist".to_owned(),
        _ => format!("cannot be read: {error}"),
    };
    let mut text = Zeroizing::new(String::new());
    let ByteLimit(most) = limit;
    open_regular_file(path).and_then(|file| file.take(most + 1).read_to_string(&mut text)).map_err(why)?;
    if text.len() as u64 > most {
        return Err(format!("is longer than the limit of {most} bytes"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn property<'a>(files: &'a SharedFiles, profile: &str, name: &str) -> Option<&'a str> {
        files.profile(profile)?.get(name).map(|value| value.as_str())
    }

    #[test]
    fn profiles_are_parsed_as_aws_parses_them() {
        let files = SharedFiles::parsed(
            "\u{feff}# a comment\n[default]\nregion=eu-west-1\n\n[profile  \"a b\" ] ; comment\nRole_Arn = arn:aws:iam::1:role/r # comment\n\
             s3 =\n  endpoint_url = https://other.example.com\n  region = other\noutput = a;b#c\n\n\
             [profile indented]\n  region = eu-west-2\n  output = json\n\
             [sso-session default]\nregion = wrong\n[services x]\nregion = wrong\n[profileregion]\nregion = wrong\n[broken\nregion = wrong\n",
            "[default]\naws_access_key_id = A\naws_secret_access_key = s/e+c=r\n[a b]\nregion = from-credentials\n",
        );
        for (profile, name, value) in [
            ("default", "region", Some("eu-west-1")),
            ("default", "aws_access_key_id", Some("A")),
            ("default", "aws_secret_access_key", Some("s/e+c=r")),
            ("a b", "role_arn", Some("arn:aws:iam::1:role/r")),
            ("a b", "output", Some("a;b#c")),
            ("a b", "endpoint_url", None),
            ("a b", "region", Some("from-credentials")),
            ("indented", "region", Some("eu-west-2")),
            ("indented", "output", Some("json")),
            ("region", "region", None),
            ("x", "region", None),
        ] {
            assert_eq!(property(&files, profile, name), value, "{profile} {name}");
        }
    }
}
