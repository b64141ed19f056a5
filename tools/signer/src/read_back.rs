//! A release read back from where it was written: as the publisher reads it, and as everybody does.

use relatch::source::{Fetcher, Object};
use relatch::trust::{Name, Roots};
use relatch::{Error, Unavailable, limits};

use crate::repository::{ReadVersion, fetch, read_version, roots_after};
use crate::store::Store;
use crate::{Failure, Result, verify};

/// Who can read what was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Visibility {
    /// Whoever can read the directory.
    Local,
    /// Everybody: it was read back without credentials, too.
    Public,
    /// Only who has credentials.
    Private,
    /// Without credentials it could not be asked for, or is not what was written, and why.
    Unknown(String),
}

/// What is there where a `VERSION` was written; all but the older one is whole.
enum There {
    Written,
    Newer(String),
    Older(String),
}

/// Verifies what is there now. What somebody else published right after, if it is that, and who can read it.
pub(crate) fn read_back(
    store: &dyn Store,
    root: &Roots,
    channel: &Name,
    written: &[u8],
) -> Result<(Option<String>, Visibility)> {
    let object = Object::Version(channel.clone());
    let raw = fetch(&store.source(), &object, limits::VERSION_FILE)?;
    let newer = match compare(&store.source(), root, channel, written, raw.bytes())? {
        There::Written => None,
        There::Newer(which) => Some(which),
        There::Older(which) => {
            return Err(Failure::Storage {
                what: format!("{object} there is that of {which}"),
                advice: "The server, its disk or a cache in front of it has lost the write.".into(),
            });
        }
    };
    let Some(source) = store.public_source() else { return Ok((newer, Visibility::Local)) };
    let access = match fetch(&source, &object, limits::VERSION_FILE) {
        Ok(raw) => match compare(&source, root, channel, written, raw.bytes())? {
            There::Written | There::Newer(_) => Visibility::Public,
            There::Older(which) => {
                Visibility::Unknown(format!("{object} is stale, that of {which}: is a cache in front?"))
            }
        },
        Err(Failure::Client(Error::Unavailable(
            Unavailable::Forbidden { .. } | Unavailable::Status { status: 401, .. },
        ))) => Visibility::Private,
        Err(failure) => Visibility::Unknown(failure.to_string()),
    };
    Ok((newer, access))
}

fn compare(source: &Fetcher, root: &Roots, channel: &Name, written: &[u8], there: &[u8]) -> Result<There> {
    if written != there {
        // With it may have come a newer root.
        let after = roots_after(source, root)?;
        let newest = after.last().unwrap_or(root);
        let ours = read_version(root, channel, written)?;
        let theirs = match read_version(newest, channel, there) {
            Err(_) if newest.version != root.version => read_version(root, channel, there)?,
            theirs => theirs?,
        };
        let order = |read: &ReadVersion| (read.memory.guard().release(), read.issued);
        let seq = theirs.memory.guard().release().map_or_else(String::new, |(_, seq)| seq.to_string());
        let which = format!("{} as release {seq}, issued {}", theirs.version, relatch::Utc(theirs.issued));
        if order(&theirs) <= order(&ours) {
            return Ok(There::Older(which));
        }
        verify::release_of(source, newest, channel, there)?;
        return Ok(There::Newer(which));
    }
    verify::release_of(source, root, channel, there).map(|_| There::Written)
}
