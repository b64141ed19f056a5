//! `signer renew`: the published release, signed again under the next number and valid for longer.

use relatch::Finding;
use relatch::trust::{Digest, Document as _, Manifest, Timestamp};
use relatch::{Error, Outcome, Refusal};
use serde_json::Value;

use crate::support::Desk;
use crate::{KEYS, REPO, answer, prepare, timestamp};

/// The manifest and the `VERSION` that are published.
fn published(desk: &Desk) -> (Value, Value) {
    let shown = answer(desk, 0, &[&["show"][..], &REPO].concat());
    (shown["release"]["manifest"].clone(), shown["release"]["timestamp"].clone())
}

/// Without the fields that a renewal changes.
fn without_times((mut manifest, mut timestamp): (Value, Value)) -> (Value, Value) {
    for (document, fields) in [
        (&mut manifest, &["seq", "issued", "expires"][..]),
        (&mut timestamp, &["seq", "issued", "expires", "manifest"]),
    ] {
        for field in fields {
            document.as_object_mut().unwrap().remove(*field).unwrap();
        }
    }
    (manifest, timestamp)
}

#[test]
fn clients_that_have_the_version_find_that_they_are_current() {
    let desk = Desk::new();
    desk.write("notes", "what is new\n");
    desk.released("1.0.0", &[]);
    let more = ["--critical", "--min-version", "1.0.0", "--retract", "1.0.5", "--notes", "notes"];
    desk.released("1.1.0", &[&more[..], &["--expires-in", "20d", "--rollout", "40"]].concat());
    let mut client = desk.client("widget").unwrap();
    let before = published(&desk);
    let renewed = desk.ok(&[&["renew"][..], &REPO, &KEYS].concat());
    assert!(renewed.starts_with("renewed widget 1.1.0 as release "), "{renewed}");
    let after = published(&desk);
    assert_eq!(without_times(after.clone()), without_times(before.clone()));
    for document in [&after.0, &after.1] {
        assert!(document["seq"].as_u64() > before.0["seq"].as_u64(), "{document}");
    }
    let lifetime =
        |document: &Value| document["expires"].as_u64().unwrap() - document["issued"].as_u64().unwrap();
    assert_eq!((lifetime(&after.0), lifetime(&after.1)), (180 * 86_400, 30 * 86_400));
    assert_ne!(after.1["manifest"], before.1["manifest"]);
    // No new bytes, and none of the old ones are gone.
    let executable = desk.read("widget");
    assert!(matches!(client.update(false), Ok(Outcome::Nothing(Finding::Current))));
    assert_eq!(desk.read("widget"), executable);
    desk.client("another").unwrap();
    assert_eq!(desk.read("another"), executable);
    desk.ok(&[&["verify"][..], &REPO].concat());
    // The former VERSION is a downgrade now, and the next release has the next number.
    desk.released("1.2.0", &[]);
    assert!(matches!(client.update(false), Ok(Outcome::Updated { .. })));
}

#[test]
fn several_signers_sign_it_elsewhere() {
    let desk = Desk::new();
    desk.released("1.0.0", &[]);
    let told = desk.ok(&[&["renew", "--out", "folder", "--expires-in", "90d"][..], &REPO].concat());
    assert!(told.contains("next: signer sign folder --key KEY"), "{told}");
    let shown = answer(&desk, 0, &[&["show", "folder"][..], &REPO].concat());
    let changes = shown["published"]["changes"].as_array().unwrap();
    let fields: Vec<_> = changes.iter().map(|change| change["field"].as_str().unwrap()).collect();
    // `issued` may be the same second.
    let fields: Vec<_> = fields.into_iter().filter(|field| *field != "issued").collect();
    assert_eq!(fields[..2], ["expires", "seq"], "{changes:?}");
    assert!(fields[2..].iter().all(|field| ["seq", "expires", "manifest"].contains(field)), "{changes:?}");
    assert!(shown["unusual"].as_array().unwrap().is_empty(), "{shown}");
    assert_eq!(std::fs::read_dir(desk.path("folder/blobs")).unwrap().count(), 0);
    let before = desk.repository();
    desk.fails(3, "0 of the 1 release keys", &[&["publish", "folder"][..], &REPO].concat());
    desk.ok(&["sign", "folder", "--key", "keys/release.key"]);
    desk.fails(3, "0 of the 1 timestamp keys", &[&["publish", "folder"][..], &REPO].concat());
    assert_eq!(desk.repository(), before);
    desk.ok(&["sign", "folder", "--key", "keys/timestamp.key"]);
    desk.ok(&[&["publish", "folder"][..], &REPO].concat());
    desk.ok(&[&["publish", "folder"][..], &REPO].concat()); // again, as after a crash
    desk.ok(&[&["verify"][..], &REPO].concat());
}

/// A manifest that has expired is renewed: clients then install it again.
#[test]
fn an_expired_release_is_renewed() {
    let desk = Desk::new();
    desk.released("1.0.0", &[]);
    desk.expire_manifest();
    let refused = desk.client("widget").map(drop);
    assert!(matches!(refused, Err(Error::Refused(Refusal::Expired { .. }))), "{refused:?}");
    desk.ok(&[&["renew"][..], &REPO, &KEYS].concat());
    desk.client("widget").unwrap();
}

/// Whoever can write to the bucket can put an expired `VERSION` back. It must not be signed again.
#[test]
fn an_expired_version_is_not_renewed() {
    let desk = Desk::new();
    desk.released("1.0.0", &[]);
    let old = desk.read("repo/stable/VERSION");
    desk.released("1.1.0", &[]);
    desk.write("repo/stable/VERSION", old);
    desk.expire_version();
    let before = desk.repository();
    desk.fails(3, "VERSION expired at", &[&["renew"][..], &REPO, &KEYS].concat());
    desk.fails(3, "VERSION expired at", &[&["renew", "--out", "folder"][..], &REPO].concat());
    assert_eq!(desk.repository(), before);
    assert!(!desk.path("folder").exists());
}

#[test]
fn what_cannot_be_renewed() {
    let desk = Desk::new();
    desk.fails(3, "nothing is published on this channel", &[&["renew"][..], &REPO, &KEYS].concat());
    desk.released("1.0.0", &[]);
    let before = desk.repository();
    desk.fails(3, "0 of the 1 release keys", &[&["renew"][..], &REPO, &KEYS[2..]].concat());
    desk.fails(2, "cannot be used with", &[&["renew", "--out", "x"][..], &REPO, &KEYS].concat());
    assert_eq!(desk.repository(), before);
}

/// One version has one executable: a folder with the published version and anything else changed is no renewal, whoever signed it.
#[test]
fn other_bytes_are_no_renewal() {
    type Change = fn(&mut Manifest, &Manifest);
    let changes: [(&str, Change); 6] = [
        ("another executable", |m, other| m.artifacts.clone_from(&other.artifacts)),
        ("a target less", |m, _| m.artifacts.clear()),
        ("critical", |m, _| m.critical = true),
        ("a minimum", |m, _| m.min_version = Some(m.version.clone())),
        ("a retraction", |m, other| m.retracts.push(other.version.clone())),
        ("notes", |m, _| m.notes = "other".to_owned().try_into().unwrap()),
    ];
    let desk = Desk::new();
    desk.released("1.0.0", &[]);
    prepare(&desk, "1.1.0", "other", &[]);
    let read = |path: &str| Manifest::from_canonical(desk.read(path).as_bytes()).unwrap();
    let before = desk.repository();
    for (name, change) in changes {
        drop(std::fs::remove_dir_all(desk.path("folder")));
        desk.ok(&[&["renew", "--out", "folder"][..], &REPO].concat());
        let mut manifest = read("folder/manifest.json");
        change(&mut manifest, &read("other/manifest.json"));
        let mut version = Timestamp::read_unverified(desk.read("folder/VERSION").as_bytes()).unwrap();
        version.manifest = Digest::of(&manifest.to_canonical());
        desk.write("folder/manifest.json", manifest.to_canonical());
        desk.write("folder/VERSION", version.to_signed());
        for stored in manifest.artifacts.iter().flat_map(|artifact| &artifact.stored) {
            let blob = format!("blobs/{}", stored.blake3);
            drop(std::fs::copy(desk.path("other").join(&blob), desk.path("folder").join(&blob)));
        }
        desk.ok(&[&["sign", "folder"][..], &KEYS].concat());
        println!("{name}");
        let says = "version 1.0.0 is not higher than 1.0.0, which is published";
        desk.fails(3, says, &[&["publish", "folder"][..], &REPO].concat());
        assert_eq!(desk.repository(), before, "{name}");
    }
}

/// After a retraction the good version is the lower one; renewing it keeps what it takes back.
#[test]
fn a_release_that_takes_back_another_is_renewed_with_that() {
    let desk = Desk::new();
    desk.released("1.0.0", &[]);
    desk.released("1.1.0", &[]);
    let mut client = desk.client("widget").unwrap();
    desk.released("1.0.0", &["--retract", "1.1.0"]);
    desk.ok(&[&["renew"][..], &REPO, &KEYS].concat());
    assert!(matches!(client.update(false), Ok(Outcome::Updated { .. })));
    assert_eq!(desk.read("widget"), desk.read("build-1.0.0"));
}

/// The hash of the manifest that `VERSION` names.
fn named(desk: &Desk) -> String {
    published(desk).1["manifest"].as_str().unwrap().to_owned()
}

/// Killed between the manifest and `VERSION`: the same call finishes, and no other renewal begins.
#[test]
fn a_renewal_that_was_killed_is_finished_by_the_same_call() {
    let desk = Desk::new();
    desk.released("1.0.0", &[]);
    let old = desk.read("repo/stable/VERSION");
    let renew = [&["renew", "--state", "state"][..], &REPO, &KEYS].concat();
    let first = answer(&desk, 0, &renew);
    assert_eq!((&first["finished"], &first["abandoned"]), (&false.into(), &Value::Null));
    assert_eq!((&first["state"], &first["warnings"][0]["what"]), (&"state".into(), &"state-new".into()));
    let (killed, manifests) = (named(&desk), desk.path("repo/manifests").read_dir().unwrap().count());
    desk.write("repo/stable/VERSION", &old);
    std::fs::remove_file(desk.path("state")).unwrap(); // the killed run did not get so far
    let says = format!("(version 1.0.0, manifest {killed}");
    desk.fails(3, &says, &[&["refresh"][..], &REPO, &KEYS[2..]].concat());
    let again = answer(&desk, 0, &renew);
    assert_eq!((&again["finished"], &again["abandoned"]), (&true.into(), &Value::Null));
    assert_eq!(named(&desk), killed);
    assert_eq!(desk.path("repo/manifests").read_dir().unwrap().count(), manifests);
    assert!(desk.read("state").contains(&killed));
    desk.ok(&[&["verify", "--state", "state"][..], &REPO].concat());
    // In two steps, too.
    desk.write("repo/stable/VERSION", &old);
    let out = ["renew", "--state", "state", "--out", "folder"];
    desk.ok(&[&out[..], &REPO].concat());
    assert_eq!(timestamp(&desk, "folder")["manifest"], killed);
    desk.ok(&[&["sign", "folder"][..], &KEYS[2..]].concat());
    let publish = [&["publish", "folder", "--state", "state"][..], &REPO].concat();
    assert_eq!(answer(&desk, 0, &publish)["finished"], true);
}

/// What was published meanwhile is not passed over, unless a person says so by name.
#[test]
fn a_renewal_goes_on_without_a_higher_release_by_its_name_alone() {
    let desk = Desk::new();
    desk.released("1.0.0", &["--state", "state"]);
    let old = desk.read("repo/stable/VERSION");
    desk.released("1.1.0", &["--state", "state"]);
    let (lost, seq) = (named(&desk), desk.seq());
    desk.write("repo/stable/VERSION", &old);
    let renew = [&["renew"][..], &REPO, &KEYS].concat();
    let says = format!("(version 1.1.0, manifest {lost}");
    for more in [&[][..], &["--state", "state"], &["--abandon", &"0".repeat(64)]] {
        let before = desk.repository();
        desk.fails(3, &says, &[&renew[..], more].concat());
        desk.fails(3, &says, &[&["renew", "--out", "folder"][..], &REPO, more].concat());
        assert_eq!(desk.repository(), before);
        assert!(!desk.path("folder").exists());
    }
    let abandon = ["--abandon", &lost, "--state", "state"];
    desk.ok(&[&["renew", "--out", "folder"][..], &REPO, &abandon].concat());
    let renewed = answer(&desk, 0, &[&renew[..], &abandon].concat());
    assert_eq!((&renewed["abandoned"], &renewed["finished"]), (&Value::from(&*lost), &false.into()));
    assert_eq!(renewed["release"]["timestamp"]["version"], "1.0.0");
    assert!(desk.seq() > seq);
    desk.ok(&[&["verify", "--state", "state"][..], &REPO].concat());
    desk.released("1.2.0", &["--state", "state"]);
}

/// Where the manifests are gone as well, the state file alone knows.
#[test]
fn a_renewal_is_not_below_what_the_state_file_has_seen() {
    let desk = Desk::new();
    desk.released("1.0.0", &[]);
    let (keep, old) = (desk.repository(), desk.read("repo/stable/VERSION"));
    desk.released("1.1.0", &["--state", "state"]);
    for path in desk.repository().into_keys().filter(|path| !keep.contains_key(path)) {
        std::fs::remove_file(desk.path("repo").join(path)).unwrap();
    }
    desk.write("repo/stable/VERSION", old);
    let says = "state has seen release ";
    desk.fails(3, says, &[&["renew", "--state", "state"][..], &REPO, &KEYS].concat());
    desk.fails(3, says, &[&["renew", "--state", "state", "--out", "folder"][..], &REPO].concat());
    assert!(!desk.path("folder").exists());
}
