//! What is unusual about a release, and what expires soon. None of it is an error.

use relatch::Utc;
use relatch::trust::{Manifest, Root, Version};

use super::release::ReleaseFields;
use crate::limits::{MANIFEST_LIFETIME, MANIFEST_WARNING, ROOT_WARNING, VERSION_LIFETIME};
use crate::notice::Notice;
use crate::repository::now;

/// A manifest that expires soon: `signer refresh` does not renew it.
pub fn expiring_manifest(manifest: &Manifest) -> Option<Notice> {
    let text = format!(
        "release {} on {} expires on {}, in {} days: renew it with `signer renew`, or publish a new \
         release",
        manifest.seq,
        manifest.channel,
        Utc(manifest.expires),
        days_until(manifest.expires)
    );
    is_soon(manifest.expires, MANIFEST_WARNING).then(|| Notice::new("manifest-expires-soon", text))
}

/// A root that expires soon.
pub fn expiring_root(root: &Root) -> Option<Notice> {
    let text = format!(
        "root {} expires on {}, in {} days: publish the next one, `signer root renew`",
        root.version,
        Utc(root.expires),
        days_until(root.expires)
    );
    is_soon(root.expires, ROOT_WARNING).then(|| Notice::new("root-expires-soon", text))
}

fn is_soon(expires: u64, limit: u64) -> bool {
    expires <= now().saturating_add(limit)
}

fn days_until(expires: u64) -> u64 {
    expires.saturating_sub(now()) / 86_400
}

/// What is unusual about the fields of a release. `published` is the manifest that it follows.
pub(super) fn unusual(release: &ReleaseFields, published: Option<&Manifest>) -> Vec<Notice> {
    let ReleaseFields { manifest, timestamp, .. } = release;
    let mut notices = Vec::new();
    let mut add = |what, text: String| notices.push(Notice { what, text });
    for (what, document, issued, expires, limit) in [
        ("manifest-lifetime", "the manifest", manifest.issued, manifest.expires, MANIFEST_LIFETIME),
        ("version-lifetime", "VERSION", timestamp.issued, timestamp.expires, VERSION_LIFETIME),
    ] {
        let lifetime = expires.saturating_sub(issued);
        if lifetime > limit {
            let (days, limit) = (lifetime.div_ceil(86_400), limit / 86_400);
            add(what, format!("{document} is valid for {days} days, more than {limit}"));
        }
        if expires <= now() {
            add("expired", format!("{document} expired on {}", Utc(expires)));
        }
    }
    if let Some(min) = &manifest.min_version {
        add("min-version", min_version(min, published));
    }
    if manifest.critical {
        add("critical", "critical: all installations update at once, regardless of the rollout".into());
    }
    if timestamp.rollout == 0 {
        add("rollout-0", "rollout 0: no installation updates to it, unless it is critical".into());
    }
    notices
}

fn min_version(min: &Version, published: Option<&Manifest>) -> String {
    let before = match published.map(|published| &published.min_version) {
        None => String::new(),
        Some(None) => "; the published release has none".into(),
        Some(Some(before)) if before == min => "; the published release has the same".into(),
        Some(Some(before)) => format!("; the published release has {before}"),
    };
    format!("minimum version {min}: lower versions are not installed and do not come back{before}")
}
