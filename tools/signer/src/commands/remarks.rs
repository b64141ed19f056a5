//! Facts about the store that were found while writing.

use std::io::Write as _;

use relatch::Printable;
use signer::store::Store;
use signer::{Result, redacted};

/// The remarks, one line each.
pub(super) fn remarks(store: &dyn Store) -> String {
    store.remarks().iter().map(|remark| format!("\n  {remark}")).collect()
}

/// Prints on stderr what was found while reading.
pub(super) fn print_notes(notes: &[String]) {
    for note in notes {
        // A write error must not end the command.
        drop(writeln!(std::io::stderr(), "{}", redacted(&format!("signer: {note}"))));
    }
}

/// Prints the remarks on stderr if `result` is a failure: leftover objects cost storage, and the
/// failure does not mention them.
pub(super) fn with_remarks<T>(store: &dyn Store, result: Result<T>) -> Result<T> {
    if result.is_err() && !store.remarks().is_empty() {
        let text = redacted(&format!("signer: {}{}", Printable(store.location()), remarks(store)));
        // A write error must not hide the failure itself.
        drop(writeln!(std::io::stderr(), "{text}"));
    }
    result
}
