//! Promise: the examples in docs/SPEC.md are exact. They are accepted as they stand there, and stock minisign accepts them too.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::process::Command;

use relatch::install::RecordedFiles;
use relatch::trust::{
    Document as _, Fetched, Identity, Manifest, Role, RollbackGuard, Root, Roots, Times, Timestamp,
    TrustAnchor, Verified,
};

/// The fenced block that begins with this.
fn example(start: &str) -> String {
    let text = std::fs::read_to_string("../docs/SPEC.md").unwrap();
    let blocks: Vec<&str> = text.split("```\n").filter(|block| block.starts_with(start)).collect();
    assert_eq!(blocks.len(), 1, "exactly one example begins with {start}");
    blocks[0].to_owned()
}

fn document(start: &str) -> Fetched {
    Fetched::new(example(start).trim_end_matches('\n').as_bytes().to_vec())
}

fn examples() -> (Roots, Verified<Timestamp>, Verified<Manifest>) {
    let root = Roots::from(TrustAnchor::new(document(r#"{"type":"relatch-root/1""#).bytes()).unwrap());
    let identity = Identity { product: root.product.clone(), channel: "stable".parse().unwrap() };
    let times = Times::new(1_800_000_000, &[]);
    let last = root.last(&times).unwrap();
    let object = Fetched::new(example("1.4.0\n").into_bytes());
    let version =
        Verified::<Timestamp>::verify(&object, &last, &identity, &RollbackGuard::default(), &times).unwrap();
    let manifest = document(r#"{"type":"relatch-manifest/1""#);
    let signatures = Fetched::new(example("untrusted comment: signature from a test key\n").into_bytes());
    let manifest =
        Verified::<Manifest>::verify(&manifest, &signatures, &version, &last, &identity, &times).unwrap();
    (root, version, manifest)
}

#[test]
fn the_documents_verify() {
    let (root, version, manifest) = examples();
    assert_eq!(root.version, 1);
    assert_eq!(version.version, manifest.version);
}

/// Spaces, tabs, CRs and LFs, and only after it (section 3.6). A root from a repository has none.
#[test]
fn white_space_after_a_carried_root_is_not_part_of_it() {
    let root = document(r#"{"type":"relatch-root/1""#).bytes().to_vec();
    for behind in [" ", "\t", "\r", "\n", "\r\n\r\n", " \t\r\n "] {
        let carried = [&root[..], behind.as_bytes()].concat();
        assert_eq!(TrustAnchor::new(&carried).unwrap().to_canonical(), root, "{behind:?}");
        assert_eq!(TrustAnchor::document_of(&carried), root, "{behind:?}");
        assert!(Root::from_canonical(&carried).is_err(), "{behind:?}");
    }
    for behind in ["\u{b}", "\u{c}", "\u{a0}", "\u{feff}", "\0", "\n}", "\n{}"] {
        let carried = [&root[..], behind.as_bytes()].concat();
        assert!(TrustAnchor::new(&carried).is_err(), "{behind:?}");
    }
    let text = String::from_utf8(root).unwrap();
    for (name, carried) in [
        ("before it", format!("\n{text}")),
        ("in it", text.replacen(',', ", ", 1)),
        ("in a string", text.replacen("demo", "demo ", 1)),
        ("nothing else", "\n".into()),
        ("nothing", String::new()),
    ] {
        assert!(TrustAnchor::new(carried.as_bytes()).is_err(), "{name}");
    }
}

#[test]
fn stock_minisign_verifies_them() {
    if Command::new("minisign").arg("-v").output().is_err() {
        eprintln!("minisign is not installed: not compared with it");
        return;
    }
    let (root, version, manifest) = examples();
    let dir = tempfile::tempdir().unwrap();
    let version_signature = example("1.4.0\n").split_off(version.to_signed().len());
    let manifest_signature = example("untrusted comment: signature from a test key\n");
    for (name, bytes, signature, role, label) in [
        ("VERSION", version.to_signed(), version_signature, Role::Timestamp, 3),
        ("manifest", manifest.to_canonical(), manifest_signature, Role::Release, 2),
    ] {
        use base64ct::{Base64, Encoding as _};
        let file = dir.path().join(name);
        std::fs::write(&file, bytes).unwrap();
        std::fs::write(dir.path().join(format!("{name}.minisig")), signature).unwrap();
        let key = [&b"Ed"[..], &[label; 8], root.keys_of(role)[0].as_bytes()].concat();
        let key = Base64::encode_string(&key);
        let done = Command::new("minisign").args(["-V", "-P", &key, "-m"]).arg(&file).output().unwrap();
        assert!(done.status.success(), "{name}: {done:?}");
    }
}

#[test]
fn the_recorded_files_are_read_and_written_so() {
    let [journal, floors, cache] = ["journal", "floors", "cache"].map(|name| {
        let text = example(&format!(r#"{{"type":"relatch-{name}/1""#));
        let (json, hash) = text.trim_end().split_once('\n').unwrap();
        assert_eq!(relatch::trust::Digest::of(json.as_bytes()).to_string(), hash, "{name}");
        text.into_bytes()
    });
    let product = "demo".parse().unwrap();
    let read = RecordedFiles::parse(&product, Some(&journal), Some(&floors), Some(&cache)).unwrap();
    assert_eq!(read.to_bytes(), (journal, floors, Some(cache)));
}
