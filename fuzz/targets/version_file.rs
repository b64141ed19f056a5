//! `VERSION`: the object as it comes, and its two lines signed by the trusted key. What is accepted is canonical.
#![no_main]

use libfuzzer_sys::fuzz_target;
use relatch::trust::{Fetched, RollbackGuard, Timestamp, Verified};
use relatch_fuzz as common;

fn check(object: &Fetched) -> Option<Vec<u8>> {
    let (identity, floors, times) = (common::identity(), RollbackGuard::default(), common::times());
    Verified::<Timestamp>::verify(object, &common::last(), &identity, &floors, &times)
        .ok()
        .map(|version| version.to_signed())
}

fuzz_target!(|data: &[u8]| {
    if let Some(signed) = check(&Fetched::new(data.to_vec())) {
        assert!(data.starts_with(&signed));
    }
    let Ok((lines, _)) = Timestamp::split(data) else { return };
    if let Some(signed) = check(&common::signed(common::TIMESTAMP, lines)) {
        assert_eq!(signed, lines);
    }
});
