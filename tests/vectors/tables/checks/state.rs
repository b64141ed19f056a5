//! SPEC section 4.2, and what step 12 records of an executable that the state does not know.

use serde_json::{Value, json};

use super::super::release::{EPOCH, Release, blake3, executable, keys, root, root_of};
use super::{Case, copy, root_file};

pub fn cases() -> Vec<Value> {
    let mut cases = absent();
    cases.extend(damaged());
    cases.extend(other_channel());
    cases.extend(unrecorded());
    cases
}

/// The check ends with a state that knows the root of number 1.
fn anew(case: Case) -> Case {
    case.then("root_version", 1).then("root_epoch", EPOCH)
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
    let case = |name: &str, comment: &str| {
        let case = Case::new(format!("absent: {name}"), comment).client("state_file", "absent");
        let case = case.state("floors", json!({"epoch": 0, "seq": 0, "issued": 0, "manifest": null}));
        let case = ["root_version", "root_epoch", "expires", "checked", "root_walked"]
            .into_iter()
            .fold(case, |case, field| case.state(field, 0));
        let case =
            ["installed", "judged"].into_iter().fold(case, |case, field| case.state(field, Value::Null));
        case.state("standing", json!({"is": "unknown"}))
    };
    let two = root_of(2, [(&[1], 1), (&[2], 1), (&[6], 1)]);
    vec![
        anew(case("a first check", "the epoch of what it takes away is the anchor's")).installs(),
        in_epoch_three(case(
            "a first check under a root of a higher epoch",
            "what it takes away is of the anchor's epoch, and does not come back (6.3)",
        ))
        .root(2, &of_epoch_three(2), &keys(&[1]))
        .trusts(2, 3)
        .installs(),
        anew(at_the_release(case("and current", "what was seen is remembered"))).nothing("8b", "current"),
        by_a_stranger(case("refused", "nothing is remembered")).too_few("4c", 1, 0),
        case("a kept root", "it counts all the same: VERSION is signed by a key that it took away")
            .client("root", root_file(&two, &keys(&[1])))
            .too_few("4c", 1, 0),
    ]
}

fn damaged() -> Vec<Value> {
    let case = |name: &str, comment: &str| {
        Case::new(format!("damaged: {name}"), comment).client("state_file", "damaged")
    };
    // What is written in the end knows nothing of `installed`, unless something was installed.
    let healed = |case: Case| case.then("installed", Value::Null);
    let mut new_root = case("refused under a new root", "the root is kept, the state stays as it is").root(
        2,
        &root(2),
        &keys(&[1]),
    );
    new_root.after.insert("trusted_root".into(), 2.into());
    let path = format!("blobs/{}", blake3(&executable("1.4.0")));
    vec![
        case("floors and holds", "what it knew of them is lost")
            .floor("seq", 1000)
            .state("min_version", "9.0.0")
            .state("held", json!(["1.4.0"]))
            .then("min_version", Value::Null)
            .then("held", json!([]))
            .installs(),
        healed(at_the_release(case("current", "it is written anew"))).nothing("8b", "current"),
        case("not above the installed version", "what runs is what is compared with")
            .client("version", "1.5.0")
            .client("executable", "the executable of 1.5.0\n")
            .then("installed", Value::Null)
            .nothing("8b", "current"),
        healed(case("not in the rollout", "it is written anew, with a new place in rollouts"))
            .release(|release| release.version["rollout"] = 0.into())
            .nothing("8e", "rollout"),
        healed(case("the blob is absent", "steps 3 to 6 have passed: it is written anew"))
            .absent(&path)
            .unavailable_late(&path),
        by_a_stranger(case("refused", "it stays as it is")).too_few("4c", 1, 0),
        case("the manifest refused", "it stays as it is")
            .release(|release| release.release_keys = keys(&[9]))
            .too_few("6c", 1, 0),
        by_a_stranger(new_root).too_few("4c", 1, 0),
    ]
}

fn other_channel() -> Vec<Value> {
    let case = |name: &str, comment: &str| {
        Case::new(format!("another channel: {name}"), comment).state("channel", "beta").floor("seq", 1000)
    };
    let moved = |case: Case| case.then("channel", "stable");
    let mut of_epoch_one = copy("1.3.0");
    of_epoch_one["epoch"] = 1.into();
    vec![
        moved(case("floors", "those of the old one say nothing; what is installed stays known"))
            .state("min_version", "9.0.0")
            .state("critical", true)
            .state("installed", of_epoch_one)
            .then("min_version", Value::Null)
            .installs(),
        moved(case("held", "a hold stays")).state("held", json!(["1.4.0"])).nothing("8c", "held"),
        moved(case("not in the rollout", "the place in rollouts stays"))
            .release(|release| release.version["rollout"] = 50.into())
            .nothing("8e", "rollout"),
        case("the root", "what was trusted stays trusted")
            .state("root_version", 2)
            .refuse_with("3", json!({"reason": "root-lowered"})),
        by_a_stranger(case("refused", "nothing changes")).too_few("4c", 1, 0),
    ]
}

/// `from` of step 12.
fn unrecorded() -> Vec<Value> {
    let case = |name: &str, comment: &str| Case::new(format!("from: {name}"), comment);
    let recorded = |version: &str, bytes: &[u8], epoch: u64| json!({"version": version, "blake3": blake3(bytes), "epoch": epoch});
    let other = b"another executable\n";
    vec![
        case("nothing recorded", "the running version, of the anchor's epoch")
            .state("installed", Value::Null)
            .installs(),
        in_epoch_three(case("nothing recorded, a root of a higher epoch", "of the anchor's epoch"))
            .state("installed", Value::Null)
            .root(2, &of_epoch_three(2), &keys(&[1]))
            .trusts(2, 3)
            .installs(),
        in_epoch_three(case("nothing recorded, a kept root of a higher epoch", "of the anchor's epoch"))
            .state("installed", Value::Null)
            .state("root_version", 2)
            .state("root_epoch", 3)
            .client("root", root_file(&of_epoch_three(2), &keys(&[1])))
            .installs(),
        in_epoch_three(case("nothing recorded, an anchor of a higher epoch", "of the anchor's epoch"))
            .state("installed", Value::Null)
            .anchor(&of_epoch_three(2))
            .then("root_version", 2)
            .then("root_epoch", 3)
            .installs(),
        case("recorded of an epoch before", "what is recorded of these bytes counts")
            .state("installed", recorded("1.3.0", &executable("1.3.0"), 1))
            .installs(),
        case("other bytes of that version recorded", "of the anchor's epoch")
            .state("installed", recorded("1.3.0", other, 1))
            .installs(),
        case("other bytes of another version recorded", "the running version, of the anchor's epoch")
            .state("installed", recorded("1.2.0", other, 1))
            .installs(),
    ]
}
