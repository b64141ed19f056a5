//! Manifests, signed by the trusted key and named by a `VERSION` that is. What is accepted is canonical.
#![no_main]

use libfuzzer_sys::fuzz_target;
use relatch::trust::{Digest, Document as _, Fetched, Manifest, RollbackGuard, Timestamp, Verified};
use relatch_fuzz as common;

fuzz_target!(|data: &[u8]| {
    let (root, identity, times) = (common::last(), common::identity(), common::times());
    let object = common::signed(common::TIMESTAMP, common::version_lines(&Digest::of(data)).as_bytes());
    let version =
        Verified::<Timestamp>::verify(&object, &root, &identity, &RollbackGuard::default(), &times).unwrap();
    let (document, signatures) = (Fetched::new(data.to_vec()), common::signature(common::RELEASE, data));
    if let Ok(manifest) =
        Verified::<Manifest>::verify(&document, &signatures, &version, &root, &identity, &times)
    {
        assert_eq!(manifest.to_canonical(), data);
        assert!(!manifest.notes.as_str().contains(['\x1b', '\u{202e}', '\r']));
        assert!(manifest.artifacts.iter().all(|artifact| artifact.size > 0 && !artifact.stored.is_empty()));
    }
});
