//! Step 3, and step 5 for roots.

use serde_json::{Value, json};

use super::super::release::{
    DAY, EPOCH, HOUR, NOW, ONE_EACH, Release, keys, root, root_of, under_another_name,
};
use super::{Case, filled, root_file};
use crate::file::padded;
use crate::minisign::Key;

pub fn cases() -> Vec<Value> {
    let mut cases = vec![
        Case::new("control", "nothing is wrong: the release that all other vectors change installs")
            .installs(),
    ];
    cases.extend(rotations());
    cases.extend(refused());
    cases.extend(first_of_several());
    cases.extend(expiry());
    cases.extend(walks());
    cases.extend(kept());
    cases.extend(epochs());
    cases.extend(long_chains());
    cases
}

/// Root 1 has these root keys and this threshold, root 2 those, and these have signed it.
fn rotations() -> Vec<Value> {
    let case = |name: &str, old: (&[u8], u64), new: (&[u8], u64), signers: &[u8]| {
        let [_, release, timestamp] = ONE_EACH;
        let comment = format!("root keys {old:?} become {new:?} (seeds, threshold); signed by {signers:?}");
        let case = Case::new(name, comment).anchor(&root_of(1, [old, release, timestamp]));
        case.root(2, &root_of(2, [new, release, timestamp]), &keys(signers))
    };
    let good = |case: Case| case.trusts(2, EPOCH).installs();
    vec![
        good(case("nothing changes", (&[1], 1), (&[1], 1), &[1])),
        good(case("a key is added", (&[1], 1), (&[1, 4], 1), &[1])),
        good(case("a key is removed", (&[1, 4], 1), (&[1], 1), &[1])),
        good(case("a key is replaced", (&[1], 1), (&[4], 1), &[1, 4])),
        good(case("all keys are replaced", (&[1, 4, 5], 2), (&[6, 7, 8], 2), &[1, 4, 6, 7])),
        good(case("the threshold is raised", (&[1, 4], 1), (&[1, 4], 2), &[1, 4])),
        good(case("the threshold is lowered", (&[1, 4], 2), (&[1, 4], 1), &[1, 4])),
        good(case("other two of three", (&[1, 4, 5], 2), (&[1, 4, 5], 2), &[4, 5])),
        good(case("strangers sign as well", (&[1, 4], 2), (&[1, 4], 2), &[9, 1, 10, 4, 11])),
        case("a stranger signs", (&[1], 1), (&[1], 1), &[9]).too_few("3b", 1, 0),
        case("a key is added by itself", (&[1], 1), (&[1, 4], 1), &[4]).too_few("3b", 1, 0),
        case("a key is removed, signed by it alone", (&[1, 4], 2), (&[1], 1), &[4]).too_few("3b", 2, 1),
        case("a key is replaced, signed by the new alone", (&[1], 1), (&[4], 1), &[4]).too_few("3b", 1, 0),
        case("all keys are replaced, one old one short", (&[1, 4, 5], 2), (&[6, 7, 8], 3), &[1, 6, 7, 8])
            .too_few("3b", 2, 1),
        case("one key signs twice", (&[1, 4], 2), (&[1, 4], 2), &[1, 1]).too_few("3b", 2, 1),
        case("keys of other roles", (&[1], 1), (&[1], 1), &[2, 3]).too_few("3b", 1, 0),
        case("a key is replaced, signed by the old alone", (&[1], 1), (&[4], 1), &[1]).too_few("3e", 1, 0),
        case("all keys are replaced, one new one short", (&[1, 4, 5], 2), (&[6, 7, 8], 3), &[1, 4, 5, 6, 7])
            .too_few("3e", 3, 2),
        case("the threshold is raised by the old one", (&[1, 4], 1), (&[1, 4], 2), &[1]).too_few("3e", 2, 1),
    ]
}

fn refused() -> Vec<Value> {
    let signed = |name: &str, comment: &str, change: &dyn Fn(&mut Value)| {
        let mut two = root(2);
        change(&mut two);
        Case::new(name, comment).root(2, &two, &keys(&[1]))
    };
    let bytes = |name: &str, comment: &str, document: &str, signatures: &str| {
        Case::new(name, comment).object("root/2.json", document).object("root/2.json.minisig", signatures)
    };
    let text = root(2).to_string();
    let by_one = Key::new(1).sign(text.as_bytes());
    let mut two_ids = Key::new(1);
    two_ids.id = [4; 8];
    let both = root_of(2, [(&[1, 4], 2), (&[2], 1), (&[3], 1)]);
    let unknown_alg = |root: &mut Value| {
        root["keys"].as_array_mut().unwrap().insert(0, json!({"alg": "ml-dsa-65", "public": "00ff"}));
        root["roles"]["root"]["keys"].as_array_mut().unwrap().insert(0, "00ff".into());
    };
    let weak = json!({"alg": "ed25519", "public": "00".repeat(32)});
    let disguised =
        |number: u64| under_another_name(root_of(number, [(&[4], 1), (&[2], 1), (&[3], 1)]), &Key::new(4));
    let largest = |name: &str, size: usize| {
        let mut two = root(2);
        two["keys"].as_array_mut().unwrap().insert(0, json!({"alg": "ml-dsa-65", "public": "0"}));
        let zeros = size - two.to_string().len();
        two["keys"][0]["public"] = "0".repeat(1 + zeros).into();
        let text = two.to_string();
        let (before, after) = text.split_once(&"0".repeat(1 + zeros)).unwrap();
        let signatures = Key::new(1).sign(text.as_bytes());
        let case = Case::new(name, format!("{size} bytes; a key of an unknown algorithm makes it as long"));
        case.object("root/2.json", padded(before, "0", 1 + zeros, after))
            .object("root/2.json.minisig", signatures)
    };
    let many = |name: &str, size: usize| {
        bytes(name, &format!("{size} bytes of signatures"), &text, "")
            .object("root/2.json.minisig", filled(&by_one, size))
    };
    vec![
        bytes("signatures empty", "there is no block", &text, "").refuse("3a"),
        bytes(
            "a signature text of wrong form beside a good block",
            "refused whole",
            &text,
            &(by_one.clone() + "x\n"),
        )
        .refuse("3a"),
        bytes(
            "a malformed root that nobody signed",
            "nothing is parsed before it is signed",
            "{}",
            &Key::new(9).sign(b"{}"),
        )
        .too_few("3b", 1, 0),
        bytes(
            "a root altered by a byte",
            "its signature is over another one",
            &text.replacen("\"epoch\":2", "\"epoch\":3", 1),
            &by_one,
        )
        .too_few("3b", 1, 0),
        Case::new("one key under two ids", "one signer")
            .anchor(&root_of(1, [(&[1, 4], 2), (&[2], 1), (&[3], 1)]))
            .root(2, &both, &[Key::new(1), two_ids])
            .too_few("3b", 2, 1),
        bytes(
            "a space",
            "not canonical",
            &text.replacen(',', ", ", 1),
            &Key::new(1).sign(text.replacen(',', ", ", 1).as_bytes()),
        )
        .refuse("3c"),
        signed("a type of the future", "this program is too old to read it", &|root| {
            root["type"] = "relatch-root/2".into()
        })
        .refuse("3c"),
        signed("a threshold of 0", "at least 1", &|root| root["roles"]["root"]["threshold"] = 0.into())
            .refuse("3c"),
        bytes(
            "a manifest",
            "signed by a root key",
            &Release::good().manifest.to_string(),
            &Key::new(1).sign(Release::good().manifest.to_string().as_bytes()),
        )
        .refuse("3c"),
        signed("a weak key", "of small order; no role has it", &|root| {
            root["keys"].as_array_mut().unwrap().insert(0, weak.clone())
        })
        .refuse("3d"),
        signed("a number skipped", "root 3 in the place of root 2", &|root| root["version"] = 3.into())
            .refuse("3f"),
        signed("a number repeated", "root 1 in the place of root 2", &|root| root["version"] = 1.into())
            .refuse("3f"),
        signed("another product", "signed by the same key", &|root| root["product"] = "gadget".into())
            .refuse("3g"),
        signed("a lower epoch", "an epoch is never lowered", &|root| root["epoch"] = 1.into()).refuse("3h"),
        signed("issued a day and a second ahead", "of the system clock", &|root| {
            root["issued"] = (NOW + DAY + 1).into()
        })
        .refuse("3i"),
        signed(
            "issued a day and a second ahead of a clock that was set back",
            "of the system clock, though VERSION was seen from later than that",
            &|root| root["issued"] = (NOW - 4 * DAY + 1).into(),
        )
        .clock(NOW - 5 * DAY)
        .refuse("3i"),
        signed("issued a day ahead", "just not too far", &|root| root["issued"] = (NOW + DAY).into())
            .trusts(2, EPOCH)
            .installs(),
        signed("a key of an unknown algorithm", "it is read and never counts", &unknown_alg)
            .trusts(2, EPOCH)
            .installs(),
        signed("a threshold that counts on an unknown algorithm", "it never counts", &|root| {
            unknown_alg(root);
            root["roles"]["root"]["threshold"] = 2.into();
        })
        .too_few("3e", 2, 1),
        Case::new("a good key under an unknown algorithm", "root 1 names it so: it never counts")
            .anchor(&disguised(1))
            .root(2, &root_of(2, [(&[4], 1), (&[2], 1), (&[3], 1)]), &keys(&[4]))
            .too_few("3b", 1, 0),
        Case::new("a good key under an unknown algorithm in the new root", "it never counts")
            .root(2, &disguised(2), &keys(&[1, 4]))
            .too_few("3e", 1, 0),
        signed("a weak key under an unknown algorithm", "nobody loads it", &|root| {
            let weak = json!({"alg": "ed448", "public": "00".repeat(32)});
            root["keys"].as_array_mut().unwrap().insert(0, weak);
        })
        .trusts(2, EPOCH)
        .installs(),
        largest("a root of 64 KiB", 65_536).trusts(2, EPOCH).installs(),
        largest("a root of a byte more", 65_537).refuse_with("3", json!({"reason": "limit"})),
        many("signatures of 8 KiB", 8192).trusts(2, EPOCH).installs(),
        many("signatures of a byte more", 8193).refuse_with("3", json!({"reason": "limit"})),
        Case::new("signatures missing", "the document is there, so they must be, too")
            .object("root/2.json", text)
            .unavailable("root/2.json.minisig"),
        Case::new("signatures without a root", "without a document there is no root 2")
            .object("root/2.json.minisig", by_one)
            .installs(),
    ]
}

/// The steps are gone through in their order: the first that fails is told.
fn first_of_several() -> Vec<Value> {
    let wrong = |number: u64, seeds: &[u8]| {
        let mut two = root_of(number, [(seeds, 1), (&[2], 1), (&[3], 1)]);
        (two["product"], two["epoch"], two["issued"], two["expires"]) =
            ("gadget".into(), 1.into(), (NOW + 9 * DAY).into(), (NOW + 99 * DAY).into());
        two
    };
    let case = |name: &str, root: &Value, signers: &[u8]| {
        Case::new(name, "several steps would refuse it").root(2, root, &keys(signers))
    };
    let mut weak = wrong(9, &[4]);
    weak["keys"].as_array_mut().unwrap().insert(0, json!({"alg": "ed25519", "public": "00".repeat(32)}));
    let mut same_product = wrong(2, &[1]);
    same_product["product"] = "demo".into();
    let mut same_epoch = same_product.clone();
    same_epoch["epoch"] = 2.into();
    vec![
        case("3b before 3d", &weak, &[9]).too_few("3b", 1, 0),
        case("3d before 3e", &weak, &[1]).refuse("3d"),
        case("3e before 3f", &wrong(9, &[4]), &[1]).too_few("3e", 1, 0),
        case("3f before 3g", &wrong(9, &[1]), &[1]).refuse("3f"),
        case("3g before 3h", &wrong(2, &[1]), &[1]).refuse("3g"),
        case("3h before 3i", &same_product, &[1]).refuse("3h"),
        case("3i", &same_epoch, &[1]).refuse("3i"),
    ]
}

fn expired(mut root: Value) -> Value {
    root["expires"] = NOW.into();
    root
}

fn expiry() -> Vec<Value> {
    let told = || json!({"document": "root", "reason": "expired"});
    let mut a_second_left = root(1);
    a_second_left["expires"] = (NOW + 1).into();
    let mut ahead = root(1);
    (ahead["issued"], ahead["expires"]) = ((NOW + 2 * DAY).into(), (NOW + 300 * DAY).into());
    vec![
        Case::new("the anchor has a second left", "now is below expires").anchor(&a_second_left).installs(),
        Case::new("the anchor has expired", "and there is no other root").anchor(&expired(root(1))).refuse_with("5", told()),
        Case::new("the anchor has expired, VERSION is absent", "a root that has expired is not asked under").anchor(&expired(root(1))).absent("stable/VERSION").refuse_with("5", told()),
        Case::new("the anchor has expired, root 2 has not", "only the last counts").anchor(&expired(root(1))).root(2, &root(2), &keys(&[1])).trusts(2, EPOCH).installs(),
        Case::new("a root on the way has expired", "only the last counts").root(2, &expired(root(2)), &keys(&[1])).root(3, &root(3), &keys(&[1])).trusts(3, EPOCH).installs(),
        Case::new("the last root has expired", "what was walked to is kept").root(2, &expired(root(2)), &keys(&[1])).trusts(2, EPOCH).refuse_with("5", told()),
        Case::new("the anchor is from the future", "of an anchor only `expires` is looked at; its `issued` counts as now, so that this VERSION has expired")
            .anchor(&ahead)
            .release(|release| release.version["expires"] = (NOW + 2 * DAY).into())
            .refuse_with("5", json!({"document": "version", "reason": "expired"})),
        set_back("a clock set back, and a root that expired when the last VERSION was issued", "what was seen signed counts as now", SEEN)
            .refuse_with("5", told()),
        set_back("a clock set back, and a root that expires a second later", "now is the floors' `issued`", SEEN + 1).installs(),
    ]
}

/// The floors' `issued`.
const SEEN: u64 = NOW - 2 * DAY;

fn set_back(name: &str, comment: &str, expires: u64) -> Case {
    let clock = SEEN - DAY;
    let mut root = root(1);
    root["expires"] = expires.into();
    let case = Case::new(name, comment).anchor(&root).clock(clock).state("root_walked", clock);
    case.release(|release| {
        (release.version["issued"], release.manifest["issued"]) = (clock.into(), clock.into())
    })
}

fn current(case: Case) -> Case {
    case.release(|release| *release = Release::installed())
}

/// When the chain is walked: root 2 is of no form, which shows.
fn walks() -> Vec<Value> {
    let broken = |name: &str, comment: &str| {
        Case::new(name, comment).object("root/2.json", "?").object("root/2.json.minisig", "?\n")
    };
    let walked = |name: &str, at: u64| {
        current(
            broken(name, "nothing newer is released; root 2 is broken, which shows only to who asks for it")
                .state("root_walked", at),
        )
    };
    let stay = |case: Case| case.nothing("8b", "current");
    vec![
        stay(walked("walked an hour ago", NOW - HOUR)),
        stay(walked("walked a second less than a day ago", NOW - DAY + 1)),
        walked("walked a day ago", NOW - DAY).refuse("3a"),
        walked("walked never", 0).refuse("3a"),
        stay(walked("walked a second less than a day ahead", NOW + DAY - 1)),
        walked("walked a day ahead", NOW + DAY).refuse("3a"),
        broken("walked before an install", "an hour ago is not enough; nothing of steps 4 to 8 is kept")
            .refuse("3a"),
        broken("walked after a refusal", "of the two refusals the walk's is told")
            .release(|release| release.timestamp_keys = keys(&[9]))
            .refuse("3a"),
        broken("walked after 8d", "version 1.4.0 is below the floor")
            .state("min_version", "2.0.0")
            .refuse("3a"),
        broken("not walked for what is held", "nothing is to be done")
            .state("held", json!(["1.4.0"]))
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
        .state("min_version", "2.0.0")
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
    let at_two = |name: &str, comment: &str| Case::new(name, comment).state("root_version", 2);
    let has = |case: Case| case.client("root", root_file(&two(), &keys(&[1, 4])));
    let lowered = || json!({"reason": "root-lowered"});
    let lost = |name: &str, comment: &str, file: Value| at_two(name, comment).client("root", file);
    let text = two().to_string().replacen(',', ", ", 1);
    let spaced = Value::from(format!("{text}\n{}", Key::new(4).sign(text.as_bytes())));
    let mut weak = two();
    weak["keys"].as_array_mut().unwrap().insert(0, json!({"alg": "ed25519", "public": "00".repeat(32)}));
    let mut gadget = two();
    gadget["product"] = "gadget".into();
    let mut three = root(3);
    three["issued"] = (NOW - DAY).into();
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
            .state("held", json!(["1.4.0"]))
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
        Case::new("a kept root below the anchor", "a tool that was built anew carries root 3")
            .anchor(&three)
            .state("root_version", 2)
            .client("root", root_file(&two(), &keys(&[1, 4])))
            .then("root_version", 3)
            .installs(),
        current(Case::new(
            "an anchor above what was known, VERSION is current",
            "it is the trusted root from now on",
        ))
        .anchor(&three)
        .state("root_version", 2)
        .then("root_version", 3)
        .nothing("8b", "current"),
        Case::new("root 4 follows an anchor of number 3", "and not root 2")
            .anchor(&three)
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
        .state("min_version", "999.0.0")
        .root(2, &three, &keys(&[1]))
        .release(release(1))
        .trusts(2, 3)
        .then("min_version", Value::Null)
        .installs(),
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
        .trusts(33, EPOCH)
        .refuse_with("3", json!({"reason": "too-many-roots"}));
    longer["like"] = longest["name"].clone();
    let next = by_one("33 new roots, the next check", "it goes on where the last one ended")
        .client("root", root_file(&root(33), &keys(&[1])))
        .state("root_version", 33)
        .root(34, &root(34), &keys(&[1]))
        .trusts(34, EPOCH)
        .installs();
    vec![longest, longer, next]
}
