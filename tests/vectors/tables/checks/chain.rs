//! When the chain is walked, what is kept of it, and how far it goes.

use serde_json::{Value, json};

use super::super::release::{DAY, EPOCH, HOUR, NOW, Release, keys, root, root_of};
use super::roots::expired;
use super::{Case, root_file, root_hash};
use crate::minisign::Key;

pub fn cases() -> Vec<Value> {
    [walks(), kept(), epochs(), long_chains()].concat()
}

fn current(case: Case) -> Case {
    case.release(|release| *release = Release::installed())
}
/// When the chain is walked: root 2 is of no form, which shows.
fn walks() -> Vec<Value> {
    let broken = |name: &str, comment: &str| {
        Case::new(name, comment).object("root/2.json", "?").object("root/2.json.minisig", "?\n")
    };
    let walked = |name: &str, at: Value| {
        current(
            broken(name, "nothing newer is released; root 2 is broken, which shows only to who asks for it")
                .cache("root_checked", at),
        )
    };
    let stay = |case: Case| case.nothing("8b", "current");
    vec![
        stay(walked("walked an hour ago", (NOW - HOUR).into())),
        stay(walked("walked a second less than a day ago", (NOW - DAY + 1).into())),
        walked("walked a day ago", (NOW - DAY).into()).refuse("3a"),
        walked("walked never", Value::Null).refuse("3a"),
        stay(walked("walked a second less than a day ahead", (NOW + DAY - 1).into())),
        walked("walked a day ahead", (NOW + DAY).into()).refuse("3a"),
        broken("walked before an install", "an hour ago is not enough; nothing of steps 4 to 8 is kept")
            .refuse("3a"),
        broken("walked after a refusal", "of the two refusals the walk's is told")
            .release(|release| release.timestamp_keys = keys(&[9]))
            .refuse("3a"),
        broken("walked after 8d", "version 1.4.0 is below the floor")
            .floor("min_version", "2.0.0")
            .refuse("3a"),
        broken("not walked for what is held", "nothing is to be done")
            .journal("held", json!([{"version": "1.4.0"}]))
            .nothing("8c", "held"),
        broken("not walked for what is absent", "that is no refusal")
            .absent("stable/VERSION")
            .unavailable("stable/VERSION"),
        Case::new("a refusal, and the walk cannot be done", "the refusal is told")
            .object("root/2.json", root(2).to_string())
            .release(|release| release.timestamp_keys = keys(&[9]))
            .too_few("4c", 1, 0),
        Case::new("a root that has expired, and the walk cannot be done", "the refusal is told")
            .object("root/2.json", root(2).to_string())
            .anchor(&expired(root(1)))
            .refuse_with("5", json!({"document": "root", "reason": "expired"})),
        Case::new("another kind of version, and the walk cannot be done", "the refusal is told")
            .object("root/2.json", root(2).to_string())
            .release(|release| release.set("version", "140"))
            .refuse("kind"),
        Case::new(
            "8d, and the walk cannot be done",
            "steps 4 to 6 refused nothing: that the walk ended is told, and step 7 was not taken",
        )
        .object("root/2.json", root(2).to_string())
        .floor("min_version", "2.0.0")
        .unavailable("root/2.json.minisig"),
        Case::new("a refusal, and no new root", "it stands")
            .release(|release| release.timestamp_keys = keys(&[9]))
            .too_few("4c", 1, 0),
        Case::new("a new timestamp key", "VERSION is refused under root 1 and accepted under root 2")
            .root(2, &root_of(2, [(&[1], 1), (&[2], 1), (&[6], 1)]), &keys(&[1]))
            .release(|release| release.timestamp_keys = keys(&[6]))
            .trusts(2, EPOCH)
            .installs(),
        Case::new("a new release key", "the manifest is refused under root 1 and accepted under root 2")
            .root(2, &root_of(2, [(&[1], 1), (&[5], 1), (&[3], 1)]), &keys(&[1]))
            .release(|release| {
                (release.release_keys, release.manifest["root_version"]) = (keys(&[5]), 2.into())
            })
            .trusts(2, EPOCH)
            .installs(),
        Case::new(
            "a release key taken away",
            "the manifest is accepted under root 1 and refused under root 2",
        )
        .root(2, &root_of(2, [(&[1], 1), (&[5], 1), (&[3], 1)]), &keys(&[1]))
        .trusts(2, EPOCH)
        .too_few("6c", 1, 0),
        Case::new("a timestamp key taken away", "VERSION is accepted under root 1 and refused under root 2")
            .root(2, &root_of(2, [(&[1], 1), (&[2], 1), (&[6], 1)]), &keys(&[1]))
            .trusts(2, EPOCH)
            .too_few("4c", 1, 0),
        Case::new("a chain of three", "each key is replaced on the way")
            .root(2, &root_of(2, [(&[1, 4], 2), (&[2], 1), (&[3], 1)]), &keys(&[1, 4]))
            .root(3, &root_of(3, [(&[4, 5], 2), (&[2, 6], 1), (&[3], 1)]), &keys(&[1, 4, 5]))
            .root(4, &root_of(4, [(&[7], 1), (&[6], 1), (&[8], 1)]), &keys(&[4, 5, 7]))
            .release(|release| (release.release_keys, release.timestamp_keys) = (keys(&[6]), keys(&[8])))
            .trusts(4, EPOCH)
            .installs(),
        Case::new("the second of a chain is refused", "the first is kept")
            .root(2, &root(2), &keys(&[1]))
            .root(3, &root(3), &keys(&[9]))
            .trusts(2, EPOCH)
            .too_few("3b", 1, 0),
    ]
}

/// What the client kept, or lost.
fn kept() -> Vec<Value> {
    let two = || root_of(2, [(&[4], 1), (&[2], 1), (&[3], 1)]);
    let at_two = |name: &str, comment: &str| Case::new(name, comment).verified(&two());
    let has = |case: Case| case.client("root", root_file(&two(), &keys(&[1, 4])));
    let lowered = || json!({"reason": "root-lowered"});
    let lost = |name: &str, comment: &str, file: Value| at_two(name, comment).client("root", file);
    let text = two().to_string().replacen(',', ", ", 1);
    let spaced = Value::from(format!("{text}\n{}", Key::new(4).sign(text.as_bytes())));
    let mut weak = two();
    weak["keys"].as_array_mut().unwrap().insert(0, json!({"alg": "ed25519", "public": "00".repeat(32)}));
    let mut gadget = two();
    gadget["product"] = "gadget".into();
    vec![
        has(at_two("root 2 is kept", "root 2 is not asked for again")).installs(),
        has(at_two("root 3 follows the kept one", "signed by its key"))
            .root(3, &root(3), &keys(&[4, 1]))
            .trusts(3, EPOCH)
            .installs(),
        has(at_two("root 3 signed by the key that root 2 took away", "that key counts no more"))
            .root(3, &root(3), &keys(&[1]))
            .too_few("3b", 1, 0),
        lost("the kept root is lost", "it is walked to again", Value::Null)
            .root(2, &two(), &keys(&[1, 4]))
            .trusts(2, EPOCH)
            .installs(),
        lost("the kept root is lost, and root 2 is absent", "no lower one takes its place", Value::Null)
            .refuse_with("3", lowered()),
        current(lost(
            "the kept root is lost, VERSION is current",
            "no start goes on under a lower one",
            Value::Null,
        ))
        .refuse_with("3", lowered()),
        lost("the kept root is lost, VERSION is held", "no start goes on under a lower one", Value::Null)
            .journal("held", json!([{"version": "1.4.0"}]))
            .refuse_with("3", lowered()),
        current(lost(
            "the kept root is lost, VERSION is current, root 2 is there",
            "it is walked to first",
            Value::Null,
        ))
        .root(2, &two(), &keys(&[1, 4]))
        .trusts(2, EPOCH)
        .nothing("8b", "current"),
        lost("the kept root is damaged", "it is walked to again", "?".into())
            .root(2, &two(), &keys(&[1, 4]))
            .trusts(2, EPOCH)
            .installs(),
        lost("the kept root is damaged, and root 2 is absent", "no lower one takes its place", "?".into())
            .refuse_with("3", lowered()),
        lost("the kept root is not signed by its own keys", "damaged", root_file(&two(), &keys(&[1])))
            .refuse_with("3", lowered()),
        lost("the kept root is another product's", "damaged", root_file(&gadget, &keys(&[4])))
            .refuse_with("3", lowered()),
        lost("the kept root is not canonical", "damaged, though its own key has signed it", spaced)
            .refuse_with("3", lowered()),
        lost(
            "the kept root holds a weak key",
            "damaged, though its own key has signed it",
            root_file(&weak, &keys(&[4])),
        )
        .refuse_with("3", lowered()),
        Case::new(
            "a kept root of the anchor's number",
            "the anchor counts: its timestamp key has signed VERSION",
        )
        .client("root", root_file(&root_of(1, [(&[1], 1), (&[2], 1), (&[6], 1)]), &keys(&[1])))
        .installs(),
        Case::new(
            "white space after the anchor",
            "an editor or a formatter left it; it is not part of the document",
        )
        .client("anchor", format!("{} \t\r\n\n", root(1)))
        .installs(),
        Case::new("white space after the anchor, and root 2", "the chain begins at the document without it")
            .client("anchor", format!("{}\n", root(1)))
            .root(2, &root(2), &keys(&[1]))
            .trusts(2, EPOCH)
            .installs(),
        Case::new("root 4 follows an anchor of number 3", "and not root 2")
            .anchor(&root(3))
            .root(2, &root(2), &keys(&[9]))
            .root(4, &root(4), &keys(&[1]))
            .trusts(4, EPOCH)
            .installs(),
    ]
}

fn epochs() -> Vec<Value> {
    let mut three = root(2);
    three["epoch"] = 3.into();
    let release = |seq: u64| {
        move |release: &mut Release| {
            release.set("epoch", 3);
            release.set("seq", seq);
        }
    };
    vec![
        Case::new("a higher epoch", "seq starts again")
            .root(2, &three, &keys(&[1]))
            .release(release(1))
            .trusts(2, 3)
            .installs(),
        Case::new(
            "a higher epoch after a stolen key",
            "a huge seq and an absurd min_version of the old epoch bind nobody",
        )
        .floor("seq", 9_007_199_254_740_991u64)
        .floor("min_version", "999.0.0")
        .root(2, &three, &keys(&[1]))
        .release(release(1))
        .trusts(2, 3)
        .installs(),
        Case::new(
            "a higher epoch after a stolen key, and a clock that was ahead",
            "a VERSION from the far future, which was accepted then, ends with its epoch",
        )
        .floor("issued", NOW + 365 * DAY)
        .root(2, &three, &keys(&[1]))
        .release(release(1))
        .trusts(2, 3)
        .installs(),
        Case::new(
            "a VERSION from the far future was accepted",
            "it counts in its epoch: what is newer has expired",
        )
        .floor("issued", NOW + 299 * DAY)
        .refuse_with("5", json!({"document": "version", "reason": "expired"})),
        Case::new("VERSION of the old epoch under a root of a higher one", "replayed")
            .root(2, &three, &keys(&[1]))
            .trusts(2, 3)
            .refuse("4g"),
    ]
}

/// Thirty-two new roots in one check, and no more.
fn long_chains() -> Vec<Value> {
    let root = |number: u64| root_of(number, [(&[1], 1), (&[1], 1), (&[1], 1)]);
    let by_one = |name: &str, comment: &str| {
        Case::new(name, comment)
            .release(|release| (release.release_keys, release.timestamp_keys) = (keys(&[1]), keys(&[1])))
    };
    let chain = |case: Case, last: u64| {
        (2..=last).fold(case, |case, number| case.root(number, &root(number), &keys(&[1])))
    };
    let longest = chain(by_one("32 new roots", "all in one check"), 33).trusts(33, EPOCH).installs();
    let mut longer = by_one("33 new roots", "the check ends; what was walked to is kept")
        .root(34, &root(34), &keys(&[1]))
        .then(move |kept| {
            let hashes = kept.domain()["lineage"]["hashes"].as_array_mut().unwrap();
            hashes.extend((2..=33).map(|number| root_hash(&root(number)).into()));
        });
    longer.after.insert("trusted_root".into(), 33.into());
    let mut longer = longer.refuse_with("3", json!({"reason": "too-many-roots"}));
    longer["like"] = longest["name"].clone();
    let next = (2..=33).fold(
        by_one("33 new roots, the next check", "it goes on where the last one ended"),
        |case, number| case.verified(&root(number)),
    );
    let next = next
        .client("root", root_file(&root(33), &keys(&[1])))
        .root(34, &root(34), &keys(&[1]))
        .trusts(34, EPOCH)
        .installs();
    vec![longest, longer, next]
}
