//! Reads a published release back: with the publisher's credentials, and without credentials.

use relatch::source::{Fetcher, Object};
use relatch::trust::{Name, Roots, Timestamp};
use relatch::{Error, Unavailable, limits};
use serde::Serialize;

use crate::repository::{fetch, read_version, roots_after};
use crate::store::Store;
use crate::{Failure, Result, verify};

/// Who can read the published release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "is", content = "why", rename_all = "kebab-case")]
pub enum Visibility {
    /// All users with access to the directory.
    Local,
    /// Everyone: it was also read back without credentials.
    Public,
    /// Only readers with credentials.
    Private,
    /// It could not be read without credentials, or the result was not what was written; with the
    /// reason.
    Unknown(String),
}

/// The `VERSION` that was read back. Unless it is older, its release was verified.
enum ReadBack {
    Written,
    Newer(String),
    Older(String),
}

/// Verifies the release that is published now. Returns the version that another publisher published
/// since, if there is one, and who can read the release.
pub(crate) fn read_back(
    store: &dyn Store,
    root: &Roots,
    channel: &Name,
    written: &[u8],
) -> Result<(Option<String>, Visibility)> {
    let object = Object::Version(channel.clone());
    let raw = fetch(&store.source(), &object, limits::VERSION_FILE)?;
    let newer = match compare(&store.source(), root, channel, written, raw.bytes())? {
        ReadBack::Written => None,
        ReadBack::Newer(which) => Some(which),
        ReadBack::Older(which) => {
            return Err(Failure::Storage {
                what: format!("{object} was read back as that of {which}"),
                advice: "The server or its disk lost the write, or a cache in front of it returned the old object.".into(),
            });
        }
    };
    let Some(source) = store.public_source() else { return Ok((newer, Visibility::Local)) };
    let access = match fetch(&source, &object, limits::VERSION_FILE) {
        Ok(raw) => match compare(&source, root, channel, written, raw.bytes())? {
            ReadBack::Written | ReadBack::Newer(_) => Visibility::Public,
            ReadBack::Older(which) => {
                Visibility::Unknown(format!("{object} is stale, that of {which}: is there a cache in front?"))
            }
        },
        Err(Failure::Client(Error::Unavailable(
            Unavailable::Forbidden { .. } | Unavailable::Status { status: 401, .. },
        ))) => Visibility::Private,
        Err(failure) => Visibility::Unknown(failure.to_string()),
    };
    Ok((newer, access))
}

fn compare(source: &Fetcher, root: &Roots, channel: &Name, written: &[u8], there: &[u8]) -> Result<ReadBack> {
    if written != there {
        // The other publisher may also have published a newer root.
        let after = roots_after(source, root)?;
        let newest = after.last().unwrap_or(root);
        let ours = read_version(root, channel, written)?;
        let theirs = match read_version(newest, channel, there) {
            Err(_) if newest.version != root.version => read_version(root, channel, there)?,
            theirs => theirs?,
        };
        let order = |version: &Timestamp| (version.epoch, version.seq, version.issued);
        let (ours, theirs) = (ours.timestamp, theirs.timestamp);
        let which =
            format!("{} as release {}, issued {}", theirs.version, theirs.seq, relatch::Utc(theirs.issued));
        if order(&theirs) <= order(&ours) {
            return Ok(ReadBack::Older(which));
        }
        verify::release_of(source, newest, channel, there)?;
        return Ok(ReadBack::Newer(which));
    }
    verify::release_of(source, root, channel, there).map(|_| ReadBack::Written)
}
