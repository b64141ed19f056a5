//! The vectors, written down by hand: what goes in, and what SPEC says of it. Nothing here asks the library.

pub mod checks;
pub mod documents;
pub mod keys;
pub mod records;
pub mod release;
pub mod signatures;
pub mod values;

use crate::file::File;

pub fn all() -> Vec<File> {
    let mut files = vec![
        signatures::file(),
        keys::file(),
        values::file(),
        values::order(),
        documents::file(),
        records::file(),
    ];
    files.extend(checks::files());
    files
}
