//! Root documents, as the anchor, as the next root and as the one read back from the disk: what is accepted is canonical, and its keys are
//! safe.
#![no_main]

use libfuzzer_sys::fuzz_target;
use relatch::trust::{Document as _, Fetched, Role, TrustAnchor};
use relatch_fuzz as common;

fuzz_target!(|data: &[u8]| {
    if let Ok(root) = TrustAnchor::new(data) {
        assert_eq!(root.to_canonical(), TrustAnchor::document_of(data));
        for role in Role::ALL {
            let held = root.roles.get(role);
            assert!(held.threshold >= 1 && held.threshold as usize <= held.keys.len());
            assert!(root.keys_of(role).len() <= held.keys.len());
        }
    }
    let signatures = common::signature(common::ROOT, data);
    if let Ok(next) = common::roots().next(&Fetched::new(data.to_vec()), &signatures, &common::times()) {
        assert_eq!(next.to_canonical(), data);
        assert_eq!(next.version, 2);
        assert!(next.epoch.get() >= 1);
    }
    let recorded = common::anchor().recorded(&Fetched::new(data.to_vec()), &signatures);
    if let Ok(again) = recorded {
        assert_eq!(again.to_canonical(), data);
        assert_eq!(again.product, common::anchor().product);
        // The key that signed holds the role by itself.
        assert_eq!(again.roles.root.threshold, 1);
        assert!(again.roles.root.keys.contains(&common::public(common::ROOT)));
    }
});
