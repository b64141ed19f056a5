//! SPEC section 4.2, and what step 12 records of an executable that the journal does not know.

use serde_json::{Value, json};

use super::super::release::{
    DAY, EPOCH, NOW, Release, blake3, executable, keys, manifest_path, root, root_of,
};
use super::kept::{ANCHOR, copy, floor};
use super::{Case, FILES, root_file, root_hash};

pub fn cases() -> Vec<Value> {
    [absent(), damaged(), later(), other_channel(), frozen(), unrecorded()].concat()
}

/// The client is at the version of the release.
fn at_the_release(case: Case) -> Case {
    case.client("version", "1.4.0").client("executable", "the executable of 1.4.0\n")
}

/// Another timestamp key has signed.
fn by_a_stranger(case: Case) -> Case {
    case.release(|release| release.timestamp_keys = keys(&[9]))
}

fn of_epoch_three(number: u64) -> Value {
    let mut root = root(number);
    root["epoch"] = 3.into();
    root
}

fn in_epoch_three(case: Case) -> Case {
    case.release(|release: &mut Release| release.set("epoch", 3))
}

fn absent() -> Vec<Value> {
    let without = |files: &[&str], name: &str, comment: &str| {
        Case::new(format!("absent: {name}"), comment).absent_files(files)
    };
    let case = |name: &str, comment: &str| without(&FILES, name, comment);
    let two = root_of(2, [(&[1], 1), (&[2], 1), (&[6], 1)]);
    let broken = |case: Case| case.object("root/2.json", "?").object("root/2.json.minisig", "?\n");
    let current = |case: Case| case.release(|release| *release = Release::installed());
    vec![
        case("a first check", "the epoch of what it takes away is the anchor's").installs(),
        in_epoch_three(case(
            "a first check under a root of a higher epoch",
            "what it takes away is of the anchor's epoch, and does not come back (6.4)",
        ))
        .root(2, &of_epoch_three(2), &keys(&[1]))
        .trusts(2, 3)
        .installs(),
        at_the_release(case("and current", "what was seen is remembered")).nothing("8b", "current"),
        by_a_stranger(case("refused", "nothing is remembered")).too_few("4c", 1, 0),
        case(
            "a kept root, which is not of the anchor's chain",
            "it was signed by its own keys; that says nothing: the anchor is connected to it by no root",
        )
        .client("root", root_file(&two, &keys(&[1])))
        .refuse_with("3", json!({"reason": "undetermined"})),
        without(&["floors"], "the floors alone", "what they knew is lost; the journal stays").installs(),
        current(without(&["journal"], "the journal alone", "what is at the path is compared with"))
            .nothing("8b", "current"),
        current(without(&["cache"], "the cache alone", "nothing is lost, and the chain is asked for"))
            .nothing("8b", "current"),
        broken(current(without(&["cache"], "the cache alone, root 2 is broken", "the chain is asked for")))
            .refuse("3a"),
    ]
}

fn damaged() -> Vec<Value> {
    let file = |file: &str, name: &str, comment: &str| {
        Case::new(format!("damaged: the {file}, {name}"), comment).damaged(file)
    };
    let both = |name: &str, comment: &str| {
        Case::new(format!("damaged: {name}"), comment).damaged("journal").damaged("floors")
    };
    let new_root =
        |case: Case| by_a_stranger(case.root(2, &root(2), &keys(&[1])).trusts(2, EPOCH)).too_few("4c", 1, 0);
    let path = format!("blobs/{}", blake3(&executable("1.4.0")));
    vec![
        both("floors and holds", "what they knew is lost")
            .floor("seq", 1000)
            .floor("min_version", "9.0.0")
            .journal("held", json!([{"version": "1.4.0"}]))
            .installs(),
        at_the_release(both("current", "both are written again")).nothing("8b", "current"),
        both("not above the installed version", "what runs is what is compared with")
            .client("version", "1.5.0")
            .client("executable", "the executable of 1.5.0\n")
            .nothing("8b", "current"),
        both("not in the rollout", "the journal has a new place in rollouts")
            .release(|release| release.version["rollout"] = 0.into())
            .nothing("8e", "rollout"),
        both("the blob is absent", "steps 3 to 6 have passed: both are written again")
            .absent(&path)
            .unavailable_late(&path),
        by_a_stranger(both("refused", "both stay as they are")).too_few("4c", 1, 0),
        both("the manifest refused", "both stay as they are")
            .release(|release| release.release_keys = keys(&[9]))
            .too_few("6c", 1, 0),
        new_root(both("refused under a new root", "the root is kept, the floors stay as they are")),
        new_root(file(
            "journal",
            "refused under a new root",
            "the floors have the root, the journal stays as it is",
        )),
        file("journal", "and not the floors", "nothing of what was accepted is lost")
            .floor("min_version", "1.4.1")
            .refuse_late("8d", json!({})),
        file("floors", "and not the journal", "a hold is not lost")
            .floor("min_version", "1.4.1")
            .journal("held", json!([{"version": "1.4.0"}]))
            .nothing("8c", "held"),
        file("cache", "which is nobody's loss", "it counts as absent").installs(),
    ]
}

/// A later version of relatch wrote them.
fn later() -> Vec<Value> {
    let of = |name: &str, number: u64| format!("relatch-{name}/{number}");
    let with_more = |mut value: Value| {
        value["x"] = json!({"later": [1, "two", null]});
        value
    };
    let case = Case::new("later: unknown fields at every level", "they are kept where they are")
        .journal("type", of("journal", 7))
        .journal("x", json!({"later": [1, "two", null]}))
        .journal("held", json!([{"version": "1.3.9", "x": "why"}]))
        .journal("installed", with_more(copy("1.3.0")));
    let mut lineage = json!({"first": 1, "hashes": [ANCHOR]});
    lineage["x"] = true.into();
    let mut epochs = json!([{"epoch": EPOCH, "channels": [floor(&Release::installed())], "x": [2]}]);
    epochs[0]["channels"][0]["x"] = "of the channel".into();
    let mut case = case.domain("x", 3).domain("lineage", lineage).domain("epochs", epochs);
    case.kept.floors["type"] = of("floors", 7).into();
    case.kept.floors["x"] = "of the file".into();
    let kept_on = |case: Case| {
        case.then(|kept| {
            // What is added to a floor stays with its channel.
            kept.floor()["x"] = "of the channel".into();
        })
    };
    vec![kept_on(case).installs()]
}

fn other_channel() -> Vec<Value> {
    let case = |name: &str, comment: &str| {
        Case::new(format!("another channel: {name}"), comment)
            .cache("channel", "beta")
            .floor("channel", "beta")
            .floor("seq", 1000)
    };
    vec![
        case("floors", "those of the old one say nothing; what is installed stays known")
            .floor("min_version", "9.0.0")
            .floor("critical", true)
            .installs(),
        case("held", "a hold stays").journal("held", json!([{"version": "1.4.0"}])).nothing("8c", "held"),
        case("not in the rollout", "the place in rollouts stays")
            .release(|release| release.version["rollout"] = 50.into())
            .nothing("8e", "rollout"),
        case("the root", "what was trusted stays trusted")
            .verified(&root(2))
            .refuse_with("3", json!({"reason": "root-lowered"})),
        by_a_stranger(case("refused", "nothing changes")).too_few("4c", 1, 0),
        Case::new("another channel: and back", "the floors of the first one are still there")
            .cache("channel", "beta")
            .domain(
                "epochs",
                json!([{"epoch": EPOCH, "channels": [
                    floor(&of_channel("beta", 1000)),
                    floor(&Release::installed()),
                ]}]),
            )
            .release(|release| release.set("seq", 5))
            .refuse("4h"),
    ]
}

fn of_channel(channel: &str, seq: u64) -> Release {
    let mut release = Release::of("1.3.0", seq);
    release.set("channel", channel);
    release
}

/// The manifest's expiry counts for what is installed, held and not rolled out.
fn frozen() -> Vec<Value> {
    let expired = || json!({"reason": "expired"});
    let path = manifest_path(&Release::installed().pointer());
    let current = |name: &str, comment: &str, expires: u64| {
        Case::new(format!("frozen: {name}"), comment).floor("manifest_expires", expires).release(|release| {
            *release = Release::installed();
            release.version["issued"] = NOW.into();
        })
    };
    vec![
        current(
            "the manifest of the installed release has expired",
            "VERSION was signed again and again",
            NOW,
        )
        .refuse_with("6k", expired()),
        current("it expires a second later", "just not yet", NOW + 1).refreshed().nothing("8b", "current"),
        current("it has expired, and is not there any more", "it was verified before", NOW - DAY)
            .absent(&path)
            .refuse_with("6k", expired()),
        Case::new("frozen: the manifest of a held release has expired", "its expiry counts")
            .journal("held", json!([{"version": "1.4.0"}]))
            .release(|release| release.manifest["expires"] = NOW.into())
            .refuse_with("6k", expired()),
    ]
}

/// `from` of step 12.
fn unrecorded() -> Vec<Value> {
    let case = |name: &str, comment: &str| Case::new(format!("from: {name}"), comment);
    let recorded = |version: &str, bytes: &[u8], epoch: u64| json!({"version": version, "blake3": blake3(bytes), "epoch": epoch, "domain": ANCHOR});
    let other = b"another executable\n";
    let mut of_another_domain = copy("1.3.0");
    of_another_domain["domain"] = root_hash(&root(7)).into();
    vec![
        case("nothing recorded", "the running version, of the anchor's epoch")
            .journal("installed", Value::Null)
            .installs(),
        in_epoch_three(case("nothing recorded, a root of a higher epoch", "of the anchor's epoch"))
            .journal("installed", Value::Null)
            .root(2, &of_epoch_three(2), &keys(&[1]))
            .trusts(2, 3)
            .installs(),
        in_epoch_three(case("nothing recorded, a kept root of a higher epoch", "of the anchor's epoch"))
            .journal("installed", Value::Null)
            .verified(&of_epoch_three(2))
            .client("root", root_file(&of_epoch_three(2), &keys(&[1])))
            .installs(),
        in_epoch_three(case("nothing recorded, an anchor of a higher epoch", "of the anchor's epoch"))
            .journal("installed", Value::Null)
            .anchor(&of_epoch_three(1))
            .no_floors()
            .installs(),
        case("recorded of an epoch before", "what is recorded of these bytes counts")
            .journal("installed", recorded("1.3.0", &executable("1.3.0"), 1))
            .installs(),
        case("recorded of another trust domain", "what is recorded of these bytes counts")
            .journal("installed", of_another_domain)
            .installs(),
        case("other bytes of that version recorded", "of the anchor's epoch")
            .journal("installed", recorded("1.3.0", other, 1))
            .installs(),
        case("other bytes of another version recorded", "the running version, of the anchor's epoch")
            .journal("installed", recorded("1.2.0", other, 1))
            .installs(),
    ]
}
