//! All that a second signer has.

use relatch::Utc;
use relatch::trust::Digest;
use serde_json::json;

use crate::support::{Desk, stderr};
use crate::{KEYS, REPO, answer, manifest, prepare, timestamp};

#[test]
fn every_signed_field_is_shown() {
    let desk = Desk::new();
    desk.released("1.0.0", &[]);
    desk.released("1.1.0", &[]);
    desk.write("notes", "first line\nsecond line\n");
    let more = ["--critical", "--min-version", "1.0.0", "--retract", "1.1.0", "--retract", "1.0.5"];
    prepare(&desk, "1.2.0", "folder", &[&more[..], &["--rollout", "7", "--notes", "notes"]].concat());
    let (manifest, timestamp) = (manifest(&desk, "folder"), timestamp(&desk, "folder"));
    let shown = answer(&desk, 0, &["show", "folder"]);
    assert_eq!(shown["result"], "folder");
    assert_eq!(shown["release"]["manifest"], manifest);
    assert_eq!(shown["release"]["timestamp"], timestamp);
    let hash = Digest::of(desk.read("folder/manifest.json").as_bytes()).to_string();
    assert_eq!(shown["release"]["manifest_blake3"], hash);
    assert_eq!(shown["published"], json!({"state": "not-compared"}));

    let text = desk.ok(&["show", "folder"]);
    let time = |value: &serde_json::Value| Utc(value.as_u64().unwrap()).to_string();
    let artifact = &manifest["artifacts"][0];
    let mut parts = vec![
        format!("widget 1.2.0 as release {} on stable\n", manifest["seq"]),
        format!("VERSION  valid until {}, ", time(&timestamp["expires"])),
        " days, rollout 7 of 100\n".into(),
        format!("release  valid until {}, ", time(&manifest["expires"])),
        format!("VERSION {}, release {}\n", time(&timestamp["issued"]), time(&manifest["issued"])),
        "requires epoch 1 and root 1 or newer\n  critical\n  minimum version: 1.0.0\n".into(),
        "\n  takes back 1.0.5, 1.1.0\n".into(),
        format!("manifest {hash}\n"),
        "notes\n    first line\n    second line\n".into(),
    ];
    for stored in artifact["stored"].as_array().unwrap().iter().chain([artifact]) {
        let (hash, size) = (stored["blake3"].as_str().unwrap(), &stored["size"]);
        parts.push(format!("{hash}  {size} bytes"));
    }
    for part in parts {
        assert!(text.contains(&part), "`{part}` is not in:\n{text}");
    }
}

#[test]
fn whose_signatures_are_there_and_how_many_are_missing() {
    let desk = Desk::new();
    prepare(&desk, "1.0.0", "folder", &[]);
    let public = desk.read("keys/release.pub");
    let public = relatch::trust::PublicKey::from_minisign(&public).unwrap().to_hex();
    let none = answer(&desk, 0, &["show", "folder"]);
    let status = |document: &str, role: &str, by: &[&str], missing: u32| json!({"document": document, "role": role, "signed_by": by, "threshold": 1, "missing": missing});
    let [manifest, version] =
        [("manifest", "release"), ("VERSION", "timestamp")].map(|(d, r)| status(d, r, &[], 1));
    assert_eq!(none["signatures"], json!([manifest, version]));
    assert!(desk.ok(&["show", "folder"]).ends_with(
        "\n  manifest: signed by 0 of 1 release keys\n    1 missing\n  VERSION: signed by 0 of 1 timestamp \
         keys\n    1 missing\nnext: signer sign folder --key KEY\n"
    ));
    desk.ok(&["sign", "folder", "--key", "keys/release.key"]);
    let one = answer(&desk, 0, &["show", "folder"]);
    assert_eq!(one["signatures"], json!([status("manifest", "release", &[&public], 0), version]));
    desk.ok(&["sign", "folder", "--key", "keys/timestamp.key"]);
    assert!(
        desk.ok(&["show", "folder"]).contains("next: signer publish folder --repo REPO --root root.json")
    );
}

/// The difference is told field by field.
#[test]
fn the_difference_to_the_published_release() {
    let desk = Desk::new();
    prepare(&desk, "1.0.0", "first", &["--artifact", "other=build-1.0.0", "--artifact", "same=build-1.0.0"]);
    let compare = |folder| [&["show", folder][..], &REPO].concat();
    assert_eq!(answer(&desk, 0, &compare("first"))["published"], json!({"state": "nothing-published"}));
    desk.ok(&[&["sign", "first"][..], &KEYS].concat());
    desk.ok(&[&["publish", "first"][..], &REPO].concat());
    let none = answer(&desk, 0, &compare("first"));
    assert_eq!(
        none["published"],
        json!({"state": "release", "seq": desk.seq(), "version": "1.0.0", "changes": []})
    );

    desk.write("same", desk.read("build-1.0.0"));
    let more = ["--artifact", "new=build-1.0.0", "--artifact", "same=same", "--drop-targets"];
    prepare(&desk, "1.1.0", "second", &[&more[..], &["--rollout", "5", "--min-version", "1.0.0"]].concat());
    let shown = answer(&desk, 0, &compare("second"));
    let changes = shown["published"]["changes"].as_array().unwrap();
    let of = |document: &str, field: &str| {
        let is = |change: &&serde_json::Value| {
            change["document"] == document && change["field"] == field && change["target"].is_null()
        };
        changes.iter().find(is).map(|change| (change["from"].clone(), change["to"].clone()))
    };
    let (first, second) = (manifest(&desk, "first"), manifest(&desk, "second"));
    for field in ["version", "seq", "issued", "expires", "min_version", "critical", "retracts", "notes"] {
        let differs = first[field] != second[field];
        let expected = differs.then(|| (first[field].clone(), second[field].clone()));
        assert_eq!(of("manifest", field), expected, "{field}");
    }
    assert_eq!(of("timestamp", "rollout"), Some((json!(100), json!(5))));
    let artifacts: Vec<_> = changes
        .iter()
        .filter(|change| change["field"] == "artifacts")
        .map(|c| (c["target"].as_str().unwrap(), !c["from"].is_null(), !c["to"].is_null()))
        .collect();
    assert_eq!(artifacts, [("new", false, true), ("other", true, false), ("test", true, true)]);
    let text = desk.ok(&compare("second"));
    for part in [
        &format!("changes to 1.0.0, which is published as release {}\n", desk.seq()),
        "\n    manifest min_version: none -> 1.0.0\n",
        "\n    VERSION rollout: 100 -> 5\n",
        "\n    executable added: new ",
        "\n    executable removed: other ",
        "\n    executable changed: test ",
    ] {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
}

/// What is published may be damaged, or belong to somebody else: it is told and compared with nothing.
#[test]
fn a_published_release_that_does_not_verify_is_told() {
    let desk = Desk::new();
    desk.released("1.0.0", &[]);
    prepare(&desk, "1.1.0", "folder", &[]);
    desk.write("repo/stable/VERSION", "garbage");
    let shown = answer(&desk, 0, &[&["show", "folder"][..], &REPO].concat());
    assert_eq!(shown["published"]["state"], "does-not-verify");
    assert!(shown["published"]["error"].as_str().unwrap().contains("VERSION"), "{shown}");
    // What cannot be reached is no answer.
    let away = ["show", "folder", "--repo", "https://127.0.0.1:1/demo", "--root", "root.json"];
    assert_eq!(answer(&desk, 4, &away)["cause"], "unavailable");
}

/// `VERSION` or signatures that are junk or of another manifest: refused, by `show` and by `sign`, and nothing is changed.
#[test]
fn documents_that_do_not_belong_together_are_refused() {
    let desk = Desk::new();
    desk.released("1.0.0", &[]);
    prepare(&desk, "1.1.0", "other", &["--level", "1"]);
    let junk = |text: &str| text.to_owned();
    for (name, file, change, says) in [
        (
            "VERSION of another manifest",
            "VERSION",
            Box::new(|_: &str| desk.read("other/VERSION")) as Box<dyn Fn(&str) -> String>,
            "VERSION and manifest.json of this folder do not belong together: VERSION names the hash",
        ),
        ("junk", "VERSION", Box::new(|_| junk("1.2.0\nrubbish\n")), "VERSION is not a canonical document"),
        ("one line", "VERSION", Box::new(|_| junk("1.2.0")), "it has fewer than two lines"),
        (
            "another number",
            "VERSION",
            Box::new(|text| text.replace("\"seq\":", "\"seq\":9")),
            "VERSION names the seq 9",
        ),
        (
            "another first line",
            "VERSION",
            Box::new(|text| text.replacen("1.2.0", "1.3.0", 1)),
            "the first line of VERSION is not the version in its second line",
        ),
        ("signatures that are none", "VERSION", Box::new(|text| format!("{text}junk\n")), "VERSION: line 3"),
        ("the same", "manifest.json.minisig", Box::new(|_| junk("junk\n")), "manifest.json.minisig: line 1"),
        (
            "another root",
            "root.json",
            Box::new(|text| text.replace("\"epoch\":1", "\"epoch\":2")),
            "the epoch 1",
        ),
    ] {
        drop(std::fs::remove_dir_all(desk.path("folder")));
        prepare(&desk, "1.2.0", "folder", &[]);
        let path = desk.path("folder").join(file);
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        std::fs::write(&path, change(&text)).unwrap();
        let before = std::fs::read(&path).unwrap();
        for command in [&["show", "folder"][..], &[&["sign", "folder"][..], &KEYS].concat()] {
            let output = desk.signer(command);
            let told = stderr(&output);
            assert_eq!(output.status.code(), Some(3), "{name}: {told}");
            assert!(told.contains(says), "{name}: `{says}` is not in: {told}");
            assert!(output.stdout.is_empty(), "{name}: {output:?}");
        }
        assert_eq!(std::fs::read(&path).unwrap(), before, "{name}");
        assert_eq!(desk.path("folder/manifest.json.minisig").exists(), file == "manifest.json.minisig");
    }
}

/// `sign` shows what it is about to sign before it loads a key, so that a person sees it before giving a password.
#[test]
fn sign_shows_the_same_before_it_signs() {
    let desk = Desk::new();
    desk.released("1.0.0", &[]);
    prepare(&desk, "1.1.0", "folder", &["--rollout", "0"]);
    let shown = desk.ok(&[&["show", "folder"][..], &REPO].concat());
    assert!(shown.contains("changes to 1.0.0") && shown.contains("rollout 0: no installation"), "{shown}");
    let before = desk.read("folder/VERSION");
    let output = desk.signer(&[&["sign", "folder", "--key", "nowhere"][..], &REPO].concat());
    assert!(stderr(&output).starts_with(&format!("signer: about to sign {shown}")), "{}", stderr(&output));
    assert_eq!((output.status.code(), desk.read("folder/VERSION")), (Some(5), before));
    let output = desk.signer(&[&["sign", "folder"][..], &KEYS, &REPO].concat());
    assert_eq!(stderr(&output), format!("signer: about to sign {shown}"));
    let signed = answer(&desk, 0, &[&["sign", "folder"][..], &KEYS, &REPO].concat());
    assert_eq!(signed["published"]["state"], "release");
    assert_eq!(signed["signatures"][1]["missing"], 0);
}
