//! Step 6.

use serde_json::{Value, json};

use super::super::release::{
    DAY, NOW, Release, blake3, keys, manifest_path, root, root_of, under_another_name,
};
use super::{Case, filled};
use crate::file::padded;
use crate::minisign::{Key, sign_all};

pub fn cases() -> Vec<Value> {
    let mut cases = objects();
    cases.extend(fields());
    cases
}

fn objects() -> Vec<Value> {
    let good = Release::good();
    let path = manifest_path(&good.pointer());
    let signatures = format!("{path}.minisig");
    let text = good.manifest.to_string();
    let by_two = Key::new(2).sign(text.as_bytes());
    let mut other = Release::good();
    other.manifest["notes"] = "another, signed as well".into();
    let other = other.manifest.to_string();
    let signed = |name: &str, comment: &str, seeds: &[u8]| {
        Case::new(name, comment).release(|release| release.release_keys = keys(seeds))
    };
    let two_of_three = || root_of(1, [(&[1], 1), (&[2, 4, 5], 2), (&[3], 1)]);
    let mut unknown_alg = root_of(1, [(&[1], 1), (&[2], 1), (&[3], 1)]);
    unknown_alg["keys"].as_array_mut().unwrap().insert(0, json!({"alg": "ml-dsa-65", "public": "00ff"}));
    unknown_alg["roles"]["release"] = json!({"keys": ["00ff", Key::new(2).hex()], "threshold": 2});
    // Bytes that VERSION names, canonical or not.
    let named = |name: &str, comment: &str, text: &str, signers: &[u8]| {
        let path = format!("manifests/{}.json", blake3(text.as_bytes()));
        let case = Case::new(name, comment).release(|release| {
            (release.link, release.version["manifest"]) = (false, blake3(text.as_bytes()).into())
        });
        case.object(format!("{path}.minisig"), sign_all(&keys(signers), text.as_bytes())).object(path, text)
    };
    let long = |name: &str, size: usize| {
        let mut release = Release::good();
        let times = size - release.manifest.to_string().len();
        release.manifest["notes"] = "n".repeat(times).into();
        let text = release.manifest.to_string();
        let path = manifest_path(&release.pointer());
        let (before, after) = text.split_once(&"n".repeat(times)).unwrap();
        let content = padded(before, "n", times, after);
        Case::new(name, format!("{size} bytes, long notes"))
            .release(move |changed| *changed = release)
            .object(path, content)
    };
    let many = |name: &str, size: usize| {
        Case::new(name, format!("{size} bytes of signatures")).object(&signatures, filled(&by_two, size))
    };
    let duplicate = text.replacen("\"seq\":7", "\"seq\":6,\"seq\":7", 1);
    let unsigned = long("a byte more, signatures absent", 65_537);
    let its_signatures = format!("{}.minisig", manifest_path(&unsigned.release.pointer()));
    let unsigned = unsigned.absent(its_signatures);
    vec![
        Case::new("control", "the release as it is").installs(),
        Case::new("absent", "named and not there").absent(&path).unavailable(&path),
        Case::new("signatures absent", "the manifest is there").absent(&signatures).unavailable(&signatures),
        unsigned.refuse_with("6", json!({"reason": "limit"})),
        long("64 KiB", 65_536).installs(),
        long("a byte more", 65_537).refuse_with("6", json!({"reason": "limit"})),
        many("signatures of 8 KiB", 8192).installs(),
        many("signatures of a byte more", 8193).refuse_with("6", json!({"reason": "limit"})),
        Case::new("another manifest in its place", "signed by the same key")
            .object(&path, other.clone())
            .object(&signatures, Key::new(2).sign(other.as_bytes()))
            .refuse("6a"),
        Case::new(
            "another manifest in its place, signatures absent",
            "both are fetched before anything is checked",
        )
        .object(&path, other.clone())
        .absent(&signatures)
        .unavailable(&signatures),
        Case::new("a byte altered", "its hash is another one")
            .object(&path, text.replacen("\"critical\":false", "\"critical\":true", 1))
            .refuse("6a"),
        Case::new("a newline behind", "its hash is another one")
            .object(&path, format!("{text}\n"))
            .refuse("6a"),
        Case::new("empty", "its hash is another one").object(&path, "").refuse("6a"),
        Case::new("signatures empty", "there is no block").object(&signatures, "").refuse("6b"),
        Case::new("a signature text of wrong form beside a good block", "refused whole")
            .object(&signatures, by_two.clone() + "x\n")
            .refuse("6b"),
        Case::new("signatures of another manifest", "of the same keys")
            .object(&signatures, Key::new(2).sign(other.as_bytes()))
            .too_few("6c", 1, 0),
        signed("a stranger", "no key of the role", &[9]).too_few("6c", 1, 0),
        signed("the timestamp key", "another role's: it cannot say which bytes a version is", &[3])
            .too_few("6c", 1, 0),
        signed("the root key", "another role's", &[1]).too_few("6c", 1, 0),
        signed("a stranger as well", "a block that does not verify is ignored", &[9, 2, 8]).installs(),
        signed("two of three", "CI and a person", &[2, 5]).anchor(&two_of_three()).installs(),
        signed("all three", "more than enough", &[5, 4, 2]).anchor(&two_of_three()).installs(),
        signed("one of three", "one short", &[2]).anchor(&two_of_three()).too_few("6c", 2, 1),
        signed("one of three, twice", "one signer", &[2, 2]).anchor(&two_of_three()).too_few("6c", 2, 1),
        signed("one of three, and a stranger", "one short", &[2, 9])
            .anchor(&two_of_three())
            .too_few("6c", 2, 1),
        Case::new("a key of an unknown algorithm", "it never counts")
            .anchor(&unknown_alg)
            .too_few("6c", 2, 1),
        Case::new("a good key under an unknown algorithm", "it never counts")
            .anchor(&under_another_name(root(1), &Key::new(2)))
            .too_few("6c", 1, 0),
        named("malformed and not signed", "nothing is parsed before it is signed", "{}", &[9])
            .too_few("6c", 1, 0),
        named("no manifest", "an empty object", "{}", &[2]).refuse("6d"),
        named("a field twice", "not canonical", &duplicate, &[2]).refuse("6d"),
        named("a newline at the end", "not canonical", &format!("{text}\n"), &[2]).refuse("6d"),
        named("an object of VERSION", "signed by the release key", &good.pointer().to_string(), &[2])
            .refuse("6d"),
    ]
}

fn fields() -> Vec<Value> {
    let field = |name: &str, comment: &str, field: &str, value: Value| {
        let field = field.to_owned();
        Case::new(name, comment).release(move |release| release.manifest[field] = value)
    };
    let everything_wrong = |release: &mut Release| {
        let manifest = &mut release.manifest;
        for (field, value) in [
            ("product", "gadget".into()),
            ("channel", "beta".into()),
            ("epoch", 3.into()),
            ("seq", 8.into()),
            ("version", "1.4.1".into()),
            ("root_version", 2.into()),
            ("expires", Value::from(NOW)),
        ] {
            manifest[field] = value;
        }
    };
    let right = |count: usize| {
        move |release: &mut Release| {
            everything_wrong(release);
            let good = Release::good().manifest;
            for field in
                ["product", "channel", "epoch", "seq", "version", "root_version"].into_iter().take(count)
            {
                release.manifest[field] = good[field].clone();
            }
        }
    };
    let several = "several steps would refuse it";
    vec![
        field(
            "a type of the future",
            "this program is too old to read it",
            "type",
            "relatch-manifest/2".into(),
        )
        .refuse("6d"),
        field(
            "min_version above the version",
            "its fields do not fit together",
            "min_version",
            "1.4.1".into(),
        )
        .refuse("6d"),
        field("another product", "signed by the same key", "product", "gadget".into()).refuse("6e"),
        field("another channel", "signed by the same key", "channel", "beta".into()).refuse("6f"),
        field("a lower epoch", "VERSION's", "epoch", 1.into()).refuse("6g"),
        field("a higher epoch", "VERSION's", "epoch", 3.into()).refuse("6g"),
        field("a lower seq", "VERSION's", "seq", 6.into()).refuse("6h"),
        field("a higher seq", "VERSION's", "seq", 8.into()).refuse("6h"),
        field(
            "an old release under a new version",
            "a timestamp key does not relabel releases",
            "version",
            "1.2.0".into(),
        )
        .refuse("6i"),
        field("another kind of version", "VERSION's", "version", "140".into()).refuse("6i"),
        field(
            "a root ahead",
            "the publisher has one that this client cannot reach",
            "root_version",
            2.into(),
        )
        .refuse("6j"),
        field("when it expires", "now is not below expires", "expires", NOW.into())
            .refuse_with("6k", json!({"reason": "expired"})),
        field("a second before it expires", "now is below expires", "expires", (NOW + 1).into()).installs(),
        field("issued a day ahead", "just not too far", "issued", (NOW + DAY).into()).installs(),
        field("issued a day and a second ahead", "of the system clock", "issued", (NOW + DAY + 1).into())
            .refuse_with("6k", json!({"reason": "future"})),
        Case::new("6e before 6f", several).release(right(0)).refuse("6e"),
        Case::new("6f before 6g", several).release(right(1)).refuse("6f"),
        Case::new("6g before 6h", several).release(right(2)).refuse("6g"),
        Case::new("6h before 6i", several).release(right(3)).refuse("6h"),
        Case::new("6i before 6j", several).release(right(4)).refuse("6i"),
        Case::new("6j before 6k", several).release(right(5)).refuse("6j"),
        Case::new("6k", "alone").release(right(6)).refuse_with("6k", json!({"reason": "expired"})),
    ]
}
