//! The steps of docs/SPEC.md section 5 and the rows of this table: what a client refuses there, `signer` refuses, too, and tells it as
//! that; or it cannot see it, and why.

#![allow(
    clippy::missing_const_for_thread_local,
    reason = "it is const; for Windows clippy does not see that"
)]

use std::cell::RefCell;
use std::collections::BTreeSet;

use crate::support::is_in;

/// Of each step, how `signer` tells that this is what is wrong: by the client's own words, or by those that it has for a folder. A
/// row with this label must be told by one of them.
#[rustfmt::skip]
const SEEN: &[(&str, &[&str])] = &[
    ("3a", &["the signatures of root "]),
    ("3b", &[" of the 2 root keys", "is not signed"]),
    ("3c", &["the root is not a canonical document", "root 3 is not a canonical document", "root 3 is a document of another kind", "the root is a document of another kind"]),
    ("3d", &["contains the key"]),
    ("3e", &["root keys of its own list"]),
    ("3f", &["does not follow root", "differs from the one given with --root", "was requested, but the document is root"]),
    ("3g", &["root 3 is for the product"]),
    ("3h", &["lowers the epoch from"]),
    ("3i", &["root 3 was issued at"]),
    ("4a", &["it has fewer than two lines", "VERSION is larger than 8192 bytes"]),
    ("4b", &["the signatures of VERSION are not in the strict", "signed/VERSION: line "]),
    ("4c", &["timestamp keys that", "the release nor the timestamp role"]),
    ("4d", &["VERSION is not a canonical document", "the first line of VERSION is not the version in its second line", "VERSION has "]),
    ("4e", &["VERSION is for the product"]),
    ("4f", &["VERSION is for the channel"]),
    ("4g", &["VERSION has the epoch"]),
    ("4h", &["were seen before", "was seen before"]),
    ("4i", &["two different manifests are signed as release"]),
    ("5", &["VERSION expired at", "VERSION was issued at", "VERSION of this folder expired", "VERSION of this folder was issued", "root 1 expired at", "root 3 expired at"]),
    ("5-6", &["of the other kind"]),
    ("6a", &["the manifest has the blake3 hash"]),
    ("6b", &["the signatures of the manifest are not in the strict", "manifest.json.minisig: line "]),
    ("6c", &["release keys that", "the release nor the timestamp role"]),
    ("6d", &["the manifest is not a canonical document"]),
    ("6e", &["the manifest is for the product", "do not belong together"]),
    ("6f", &["the manifest is for the channel", "do not belong together"]),
    ("6g", &["the manifest has the epoch", "do not belong together"]),
    ("6h", &["the manifest has the sequence number", "do not belong together"]),
    ("6i", &["the manifest is of version", "do not belong together"]),
    ("6j", &["but the newest trusted root is"]),
    ("6k", &["the manifest expired at", "the manifest was issued at", "the manifest of this folder"]),
    ("8b", &["is not higher than"]),
    ("8d", &["is below 1.0.5"]),
    ("9", &["blobs/", "no stored form of this executable can be used"]),
];

/// What `signer` cannot see, and why.
const UNSEEN: &[(&str, &str)] = &[
    (
        "8a",
        "refuses nothing: a client without its target stays as it is. A target that the last release had is a rule of SPEC section 8",
    ),
    ("8c", "refuses nothing, and what a person held stands in that person's state"),
    ("8e", "refuses nothing, and the place in a rollout stands in the client's state"),
];

thread_local! {
    static COUNTED: RefCell<Option<BTreeSet<&'static str>>> = const { RefCell::new(None) };
}

/// Whether the rows are only counted now, and not played: those that are refused, as [`agrees`] looks at them.
pub fn counted(rows: impl Iterator<Item = (&'static str, i32)>) -> bool {
    COUNTED.with_borrow_mut(|counted| {
        let Some(counted) = counted else { return false };
        counted.extend(rows.filter(|(_, code)| *code == 3).map(|(spec, _)| spec));
        true
    })
}

/// What is told is what the step is about; and what is refused is of a step, or of a section that is none of the documents' form.
#[track_caller]
pub fn agrees(name: &str, spec: &str, code: i32, told: &str) {
    if code != 3 {
        return;
    }
    let known = SEEN.iter().find(|(step, _)| *step == spec);
    assert!(known.is_some() || ["2", "3", "6", "7", "8", "8.3"].contains(&spec), "{name}: the label");
    if let Some((_, words)) = known {
        assert!(words.iter().any(|words| is_in(words, told)), "{name}: none of {words:?} in: {told}");
    }
}

/// Every step that refuses has its rows here, or its reason.
#[test]
fn every_step_has_a_row_or_a_reason() {
    let spec = std::fs::read_to_string("../../docs/SPEC.md").unwrap();
    let first = spec.lines().filter_map(|line| line.strip_prefix("| ")?.split(' ').next());
    let is_step = |step: &&str| matches!(step.as_bytes(), [b'3'..=b'8', b'a'..=b'z']);
    let mut steps: BTreeSet<&str> = first.filter(is_step).collect();
    assert_eq!(steps.len(), 9 + 9 + 11 + 5, "{steps:?}");
    steps.extend(["5", "5-6", "9"]);
    COUNTED.set(Some(BTreeSet::new()));
    for table in TABLES {
        table();
    }
    let counted = COUNTED.take().unwrap();
    let unseen: BTreeSet<&str> = UNSEEN.iter().map(|(step, _)| *step).collect();
    let seen: BTreeSet<&str> = SEEN.iter().map(|(step, _)| *step).collect();
    for step in &steps {
        assert_ne!(seen.contains(step), unseen.contains(step), "{step}: either or");
        assert_eq!(
            counted.contains(step),
            seen.contains(step),
            "{step}: a row, or a reason why there is none"
        );
    }
    assert!(seen.union(&unseen).all(|step| steps.contains(step)), "a step that SPEC does not have");
    assert!(UNSEEN.iter().all(|(_, why)| !why.is_empty()));
}

/// Tests with rows about steps. (What is about key files is of SPEC section 7 alone.)
const TABLES: &[fn()] = &[
    crate::artifacts::executables,
    crate::artifacts::notes,
    crate::folders::a_file_with_other_bytes,
    crate::folders::a_version_with_other_bytes,
    crate::folders::a_file_that_is_none,
    crate::folders::a_file_that_is_missing,
    crate::folders::documents_edited_after_signing,
    crate::forms::frames,
    crate::forms::patches,
    crate::forms::no_usable_form,
    crate::places::version,
    crate::places::roots,
    crate::places::the_release_that_is_published,
    crate::places::what_is_to_be_written_is_there_already,
    crate::places::another_products,
    crate::published::version,
    crate::published::manifest,
    crate::published::an_older_refresh,
    crate::releases::versions,
    crate::releases::numbers,
    crate::releases::promises_about_other_versions,
    crate::root_keys::thresholds,
    crate::root_keys::weak_keys,
    crate::roots::who_must_sign,
    crate::roots::what_it_follows,
    crate::roots::what_it_takes_away,
    crate::roots::the_first_one,
    crate::signers::of_a_release,
    crate::signers::of_a_folder,
];
