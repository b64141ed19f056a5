//! Facts about the store that were found while writing.

use std::fmt::{self, Display};
use std::io::Write as _;

use relatch::Printable;
use signer::notice::Notice;
use signer::store::Store;
use signer::{Result, redacted};

/// The remarks, one line each.
pub(super) struct Remarks<'a>(pub(super) &'a [String]);

impl Display for Remarks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|remark| write!(f, "\n  {remark}"))
    }
}

/// Prints on stderr what was found while reading: the command may yet fail.
pub(super) fn print_notices(notices: &[Notice]) {
    for notice in notices {
        // A write error must not end the command.
        drop(writeln!(std::io::stderr(), "{}", redacted(&format!("signer: {notice}"))));
    }
}

/// Prints the remarks on stderr if `result` is a failure: leftover objects cost storage, and the
/// failure does not mention them.
pub(super) fn with_remarks<T>(store: &dyn Store, result: Result<T>) -> Result<T> {
    if result.is_err() && !store.remarks().is_empty() {
        let text = redacted(&format!("signer: {}{}", Printable(store.location()), Remarks(&store.remarks())));
        // A write error must not hide the failure itself.
        drop(writeln!(std::io::stderr(), "{text}"));
    }
    result
}
