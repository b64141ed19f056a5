//! Names, versions, hashes and notes: one spelling each.
#![no_main]

use libfuzzer_sys::fuzz_target;
use relatch::trust::{Digest, Name, Notes, Version};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(name) = text.parse::<Name>() {
        assert_eq!(name.as_str(), text);
        assert!(!text.starts_with('.') && !text.contains(['/', '\\']) && text.len() <= 64);
    }
    if let Ok(version) = text.parse::<Version>() {
        assert_eq!(version.to_string(), text);
        assert!(text.len() <= 128);
        assert_eq!(version.compare(&version), Ok(std::cmp::Ordering::Equal));
    }
    if let Ok(digest) = text.parse::<Digest>() {
        assert_eq!(digest.to_string(), text);
    }
    if let Ok(notes) = Notes::try_from(text.to_owned()) {
        assert_eq!(notes.as_str(), text);
        assert!(!text.contains(['\x1b', '\u{9b}', '\u{202e}', '\u{2028}']));
    }
});
