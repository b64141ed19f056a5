//! Step 3, and step 5 for roots.

use serde_json::{Value, json};

use super::super::release::{DAY, EPOCH, NOW, ONE_EACH, Release, keys, root, root_of, under_another_name};
use super::{Case, filled};
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
    cases.extend(super::chain::cases());
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

pub fn expired(mut root: Value) -> Value {
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
    let case = Case::new(name, comment).anchor(&root).clock(clock).cache("root_checked", clock);
    case.release(|release| {
        (release.version["issued"], release.manifest["issued"]) = (clock.into(), clock.into())
    })
}
