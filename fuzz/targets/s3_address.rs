//! Addresses of buckets, and entity tags: what is accepted is told so that it is read again as the same, and its URLs stay in their place.
#![no_main]

use libfuzzer_sys::fuzz_target;
use relatch::source::{Etag, S3Address};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(etag) = Etag::new(text) {
        assert_eq!(etag.as_str(), text);
        assert!(text.bytes().all(|b| b.is_ascii_graphic()) && text.len() <= 256);
    }
    let Ok(address) = text.parse::<S3Address>() else { return };
    let told = address.to_string();
    assert!(told.bytes().all(|b| b.is_ascii_graphic()));
    assert_eq!(told.parse::<S3Address>().unwrap(), address);
    let url = address.url_of("stable/VERSION");
    assert!(
        url.ends_with("/stable/VERSION") && !url.contains(['?', '#', '@', '\\']) && !url.contains("/../")
    );
    // Without TLS only to this machine.
    if let Some(rest) = url.strip_prefix("http://") {
        let authority = rest.split('/').next().unwrap_or_default();
        let host = match authority.strip_prefix('[') {
            Some(v6) => v6.split(']').next().unwrap_or_default(),
            None => authority.split(':').next().unwrap_or_default(),
        };
        assert!(host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback()), "{url}");
    } else {
        assert!(url.starts_with("https://"));
    }
});
