//! What people must see before they sign, and what is published: every signed field, and what is
//! unusual about it.
//!
//! ```text
//! release  the signed fields of a manifest and of its VERSION
//! changes  the difference to the published release
//! notices  what is unusual, and what expires soon
//! history  the versions that were published before
//! folder   a release folder: all of the above, and whose signatures it has
//! root     a root document, and whose signatures it has
//! ```

mod changes;
mod folder;
mod history;
mod notices;
mod release;
mod root;

pub use changes::{Change, Changes, Compared};
pub use folder::{FolderReview, Signatures, SignedFolder};
pub use notices::{expiring_manifest, expiring_root};
pub use release::{ReleaseFields, Validity, executables};
pub use root::RootReview;
