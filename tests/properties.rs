//! What holds for every value and not for the examples of the other tests alone.
//!
//! The cases are the same in every run, so that a failure in CI is one on every machine; there is nothing to record in a file. With
//! `PROPTEST_CASES=20000` (and, where one is wanted, `PROPTEST_RNG_SEED`) others are drawn.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use std::cmp::Ordering;
use std::collections::BTreeSet;

use base64ct::{Base64, Encoding as _};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use proptest::sample::{Index, subsequence};
use proptest::test_runner::RngSeed;
use relatch::Refusal;
use relatch::trust::{
    Artifact, Digest, Document, Fetched, Identity, Manifest, Name, Notes, PublicKey, Role, RoleKeys, Roles,
    RollbackGuard, Root, Roots, SignatureText, Stored, Times, Timestamp, TrustAnchor, Verified, Version,
};
use support::minisign::{Key, sign_all};

fn config(cases: u32) -> ProptestConfig {
    let wish = |name| std::env::var_os(name).is_some();
    let default = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if wish("PROPTEST_CASES") || wish("PROPTEST_RNG_SEED") {
        return default;
    }
    ProptestConfig { cases, rng_seed: RngSeed::Fixed(1), ..default }
}

fn name() -> impl Strategy<Value = Name> {
    "[a-z0-9][a-z0-9._-]{0,63}".prop_map(|text| text.parse().unwrap())
}

fn semver() -> impl Strategy<Value = String> {
    let number = || prop_oneof![0..4u64, any::<u64>()];
    let identifier = prop_oneof!["0|[1-9][0-9]{0,18}", "[0-9]{0,3}[A-Za-z-][0-9A-Za-z-]{0,5}"];
    (number(), number(), number(), vec(identifier, 0..4)).prop_map(|(major, minor, patch, pre)| {
        let pre = if pre.is_empty() { String::new() } else { format!("-{}", pre.join(".")) };
        format!("{major}.{minor}.{patch}{pre}")
    })
}

fn build() -> impl Strategy<Value = String> {
    prop_oneof![1..20u64, 1..=u64::MAX].prop_map(|number| number.to_string())
}

/// Texts of one kind.
fn versions(count: usize) -> impl Strategy<Value = Vec<String>> {
    prop_oneof![vec(semver(), count), vec(build(), count)]
}

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(|bytes| base16ct::lower::encode_string(&bytes).parse().unwrap())
}

fn integer() -> impl Strategy<Value = u64> {
    1..1u64 << 53
}

/// Any text, without the characters that notes may not hold.
fn notes() -> impl Strategy<Value = Notes> {
    any::<String>().prop_map(|text| {
        let may = |c: &char| Notes::try_from(c.to_string()).is_ok();
        text.chars().filter(may).collect::<String>().try_into().unwrap()
    })
}

fn times() -> impl Strategy<Value = (u64, u64)> {
    (0..1u64 << 52, 1..1u64 << 52).prop_map(|(issued, valid)| (issued, issued + valid))
}

fn artifact(target: Name) -> impl Strategy<Value = Artifact> {
    // `identity` repeats the artifact; the others have a hash of their own, and a patch has its `from`.
    let others = btree_map(
        prop_oneof![
            Just(("zstd", false)),
            Just(("zstd-patch", true)),
            Just(("zz-future", true)),
            Just(("brotli", false))
        ],
        (digest(), integer(), digest()),
        0..4,
    );
    (integer(), digest(), others, any::<bool>()).prop_map(move |(size, blake3, others, identity)| {
        let mut stored: Vec<Stored> = others
            .into_iter()
            .map(|((encoding, patch), (from, size, blake3))| Stored {
                encoding: encoding.parse().unwrap(),
                from: patch.then_some(from),
                size,
                blake3,
            })
            .collect();
        if identity || stored.is_empty() {
            stored.push(Stored { encoding: "identity".parse().unwrap(), from: None, size, blake3 });
        }
        stored.sort_by(|a, b| (&a.encoding, a.from).cmp(&(&b.encoding, b.from)));
        Artifact { target: target.clone(), size, blake3, stored }
    })
}

fn manifest() -> impl Strategy<Value = Manifest> {
    let artifacts = btree_set(name(), 0..3)
        .prop_flat_map(|targets| targets.into_iter().map(artifact).collect::<Vec<_>>());
    let names = (name(), name(), any::<bool>(), any::<bool>());
    let numbers = (integer(), integer(), integer(), times());
    (names, numbers, versions(5), notes(), artifacts).prop_map(
        |(
            (product, channel, critical, with_floor),
            (epoch, root_version, seq, (issued, expires)),
            texts,
            notes,
            artifacts,
        )| {
            let mut all: Vec<Version> = texts.iter().map(|text| text.parse().unwrap()).collect();
            all.sort_by(|a, b| a.compare(b).unwrap());
            // The highest is released; the lowest may be the floor.
            let version = all.pop().unwrap();
            let min_version = with_floor.then(|| all[0].clone());
            let retracts: BTreeSet<String> =
                all.iter().filter(|other| **other != version).map(Version::to_string).collect();
            let retracts = retracts.iter().map(|text| text.parse().unwrap()).collect();
            let (epoch, seq) = (epoch.try_into().unwrap(), seq.try_into().unwrap());
            Manifest {
                product,
                channel,
                epoch,
                root_version,
                seq,
                version,
                min_version,
                critical,
                retracts,
                issued,
                expires,
                notes,
                artifacts,
            }
        },
    )
}

fn version_file() -> impl Strategy<Value = Timestamp> {
    let numbers = (integer(), integer(), 0..=100u8, times());
    (name(), name(), numbers, versions(1), digest()).prop_map(
        |(product, channel, (epoch, seq, rollout, (issued, expires)), version, manifest)| Timestamp {
            product,
            channel,
            epoch: epoch.try_into().unwrap(),
            seq: seq.try_into().unwrap(),
            version: version[0].parse().unwrap(),
            manifest,
            rollout,
            issued,
            expires,
        },
    )
}

/// Some of ten keys for a role, and a threshold that they can meet.
fn role() -> impl Strategy<Value = (Vec<u8>, u32)> {
    (1..=10usize).prop_flat_map(|count| {
        (subsequence((1..=10u8).collect::<Vec<_>>(), count), 1..=u32::try_from(count).unwrap())
    })
}

fn role_keys((seeds, threshold): (Vec<u8>, u32)) -> RoleKeys {
    let mut keys: Vec<String> = seeds.iter().map(|seed| Key::new(*seed).hex()).collect();
    keys.sort();
    RoleKeys { keys, threshold }
}

fn root() -> impl Strategy<Value = Root> {
    // A key of an algorithm that is not known yet, which no role names.
    let future = proptest::option::of("[0-9a-f]{1,80}");
    (name(), integer(), integer(), times(), [role(), role(), role()], future).prop_map(
        |(product, version, epoch, (issued, expires), roles, future)| {
            let [root, release, timestamp] = roles.map(role_keys);
            let all: BTreeSet<String> =
                [&root, &release, &timestamp].iter().flat_map(|role| role.keys.clone()).collect();
            let key = |alg: &str, public: String| relatch::trust::Key { alg: alg.parse().unwrap(), public };
            let mut keys: Vec<_> = all.into_iter().map(|public| key("ed25519", public)).collect();
            keys.extend(future.map(|public| key("of-the-future", public)));
            keys.sort_by(|a, b| a.public.cmp(&b.public));
            let epoch = epoch.try_into().unwrap();
            Root { product, version, issued, expires, epoch, keys, roles: Roles { root, release, timestamp } }
        },
    )
}

/// One change to a text.
#[derive(Debug, Clone)]
enum Change {
    Set(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    Cut(Index),
    /// A part of it once more, at its own end.
    Repeat(Index, Index),
}

impl Change {
    fn of(&self, text: &[u8]) -> Vec<u8> {
        let mut text = text.to_vec();
        match self {
            Change::Set(at, byte) => *at.get_mut(&mut text) = *byte,
            Change::Insert(at, byte) => text.insert(at.index(text.len() + 1), *byte),
            Change::Remove(at) => drop(text.remove(at.index(text.len()))),
            Change::Cut(at) => text.truncate(at.index(text.len())),
            Change::Repeat(from, to) => {
                let (a, b) = (from.index(text.len()), to.index(text.len()));
                let part = text[a.min(b)..a.max(b)].to_vec();
                text.splice(a.max(b)..a.max(b), part);
            }
        }
        text
    }
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    // Half of what is put in means something in JSON.
    let byte =
        || prop_oneof![any::<u8>(), proptest::sample::select(b"\"\\{}[],:0123456789 -+.eEntu\n\t".to_vec())];
    let change = prop_oneof![
        (any::<Index>(), byte()).prop_map(|(at, byte)| Change::Set(at, byte)),
        (any::<Index>(), byte()).prop_map(|(at, byte)| Change::Insert(at, byte)),
        any::<Index>().prop_map(Change::Remove),
        any::<Index>().prop_map(Change::Cut),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Change::Repeat(from, to)),
    ];
    vec(change, 64)
}

/// Written and read it is the same; each change of what was written is refused, or is what it reads as. So does another reader.
fn is_canonical<T: Document + PartialEq + std::fmt::Debug>(document: &T, changes: &[Change]) {
    let text = document.to_canonical();
    assert_eq!(T::from_canonical(&text).as_ref(), Ok(document));
    for change in changes {
        let changed = change.of(&text);
        if let Ok(read) = T::from_canonical(&changed) {
            assert_eq!(read.to_canonical(), changed, "{change:?}");
            let value: serde_json::Value = serde_json::from_slice(&changed).unwrap();
            assert_eq!(value.to_string().as_bytes(), changed, "{change:?}");
        }
    }
}

proptest! {
    #![proptest_config(config(64))]

    #[test]
    fn a_manifest_has_one_text(manifest in manifest(), changes in changes()) {
        is_canonical(&manifest, &changes);
    }

    #[test]
    fn a_version_file_has_one_text(version in version_file(), changes in changes()) {
        is_canonical(&version, &changes);
        let signed = version.to_signed();
        let first_line = version.version.to_string();
        prop_assert_eq!(signed.split(|byte| *byte == b'\n').next(), Some(first_line.as_bytes()));
        prop_assert_eq!(Timestamp::split(&signed).unwrap(), (&signed[..], &b""[..]));
    }

    #[test]
    fn a_root_has_one_text(root in root(), changes in changes()) {
        is_canonical(&root, &changes);
        let _ = TrustAnchor::new(&root.to_canonical()).unwrap();
    }

    #[test]
    fn a_value_has_one_spelling(version in versions(1), name in name(), notes in notes(), hash in digest(), changes in changes()) {
        for change in &changes {
            let changed = |text: &str| String::from_utf8(change.of(text.as_bytes())).ok();
            if let Some((text, read)) = changed(&version[0]).and_then(|text| Some((text.clone(), text.parse::<Version>().ok()?))) {
                prop_assert_eq!(read.to_string(), text);
            }
            if let Some((text, read)) = changed(name.as_str()).and_then(|text| Some((text.clone(), text.parse::<Name>().ok()?))) {
                prop_assert_eq!(read.as_str(), text);
            }
            if let Some((text, read)) = changed(&hash.to_string()).and_then(|text| Some((text.clone(), text.parse::<Digest>().ok()?))) {
                prop_assert_eq!(read.to_string(), text);
            }
        }
        let written = serde_json::to_string(&notes).unwrap();
        prop_assert_eq!(serde_json::from_str::<Notes>(&written).unwrap(), notes);
    }

    #[test]
    fn versions_of_one_kind_have_a_total_order(texts in versions(3), number in build(), other in semver()) {
        let all: Vec<Version> = texts.iter().map(|text| text.parse().unwrap()).collect();
        for (a, text_a) in all.iter().zip(&texts) {
            for (b, text_b) in all.iter().zip(&texts) {
                let order = a.compare(b).unwrap();
                prop_assert_eq!(order, precedence(text_a, text_b), "{} and {}", a, b);
                prop_assert_eq!(order, b.compare(a).unwrap().reverse());
                prop_assert_eq!(order == Ordering::Equal, a == b);
                for c in &all {
                    let (next, whole) = (b.compare(c).unwrap(), a.compare(c).unwrap());
                    prop_assert!(order != next || order == whole, "{} {} {}", a, b, c);
                }
            }
        }
        let (number, other): (Version, Version) = (number.parse().unwrap(), other.parse().unwrap());
        prop_assert!(number.compare(&other).is_err() && other.compare(&number).is_err());
    }
}

/// SemVer 2.0.0, section 11, and the order of numbers.
fn precedence(a: &str, b: &str) -> Ordering {
    let number = |text: &str| text.parse::<u64>().unwrap();
    if !a.contains('.') {
        return number(a).cmp(&number(b));
    }
    let parts = |text: &str| {
        let (core, pre) =
            text.split_once('-').map_or((text, None), |(core, pre)| (core, Some(pre.to_owned())));
        (core.split('.').map(number).collect::<Vec<_>>(), pre)
    };
    let ((core_a, pre_a), (core_b, pre_b)) = (parts(a), parts(b));
    let identifier = |a: &str, b: &str| match (a.parse::<u64>(), b.parse::<u64>()) {
        (Ok(a), Ok(b)) => a.cmp(&b),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        (Err(_), Err(_)) => a.cmp(b),
    };
    core_a.cmp(&core_b).then_with(|| match (pre_a, pre_b) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(a), Some(b)) => {
            let (a, b): (Vec<_>, Vec<_>) = (a.split('.').collect(), b.split('.').collect());
            let differs = a.iter().zip(&b).map(|(a, b)| identifier(a, b)).find(|order| order.is_ne());
            differs.unwrap_or(a.len().cmp(&b.len()))
        }
    })
}

fn public(key: &Key) -> PublicKey {
    PublicKey::from_hex(&key.hex()).unwrap()
}

/// What a block signs: both signatures and the trusted comment. The rest of it, the key id too, is a label.
fn signed_part(text: &str) -> (Vec<u8>, String, Vec<u8>) {
    let lines: Vec<&str> = text.lines().collect();
    let decode = |line: &str| Base64::decode_vec(line).unwrap();
    (decode(lines[1])[10..].to_vec(), lines[2].into(), decode(lines[3]))
}

/// Whether the crate minisign-verify takes it, another implementation of the same form and of the curve. It wants the ids to be equal.
fn peer_takes(text: &str, key: &Key, message: &[u8]) -> bool {
    let signature = minisign_verify::Signature::decode(text).unwrap();
    let id = &Base64::decode_vec(text.lines().nth(1).unwrap()).unwrap()[2..10];
    let labelled = Base64::encode_string(&[&b"Ed"[..], id, public(key).as_bytes()].concat());
    minisign_verify::PublicKey::from_base64(&labelled).unwrap().verify(message, &signature, false).is_ok()
}

proptest! {
    #![proptest_config(config(64))]

    #[test]
    fn a_signature_holds_for_its_message_and_key_and_nothing_else(
        seed in 1..=255u8,
        other in 1..=255u8,
        message in vec(any::<u8>(), 1..300),
        (at, bit) in (any::<Index>(), 0..8u8),
    ) {
        let (key, other) = (Key::new(seed), Key::new(other));
        let count = |text: &SignatureText, key, message: &[u8]| text.count_valid(&[public(key)], message);
        let text = key.sign(&message);
        let parsed = SignatureText::parse(text.as_bytes()).unwrap();
        prop_assert_eq!(count(&parsed, &key, &message), 1);
        prop_assert!(peer_takes(&text, &key, &message));
        prop_assert_eq!(count(&parsed, &other, &message), usize::from(key.id == other.id));

        let flip = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            *at.get_mut(&mut bytes) ^= 1 << bit;
            bytes
        };
        prop_assert_eq!(count(&parsed, &key, &flip(&message)), 0);
        let key_bytes: [u8; 32] = flip(public(&key).as_bytes()).try_into().unwrap();
        if let Ok(key) = PublicKey::from_bytes(key_bytes) {
            prop_assert_eq!(parsed.count_valid(&[key], &message), 0);
        }
        // A changed text is refused, is another signature, or differs in a label.
        let flipped = flip(text.as_bytes());
        if let Ok(parsed) = SignatureText::parse(&flipped) {
            let flipped = std::str::from_utf8(&flipped).unwrap();
            let same = signed_part(flipped) == signed_part(&text);
            prop_assert_eq!(count(&parsed, &key, &message), usize::from(same));
            prop_assert_eq!(peer_takes(flipped, &key, &message), same);
        }
    }

    #[test]
    fn a_threshold_is_a_number_of_distinct_keys(
        (held, threshold) in role(),
        signers in vec(1..=14u8, 1..8),
    ) {
        let identity = Identity { product: "widget".parse().unwrap(), channel: "stable".parse().unwrap() };
        let roles = Roles {
            root: role_keys((vec![1], 1)),
            // Whoever signs holds this other role: that is no help.
            release: role_keys(((1..=14).collect(), 1)),
            timestamp: role_keys((held.clone(), threshold)),
        };
        let mut all = roles.release.keys.clone();
        all.sort();
        let keys = all.into_iter().map(|public| relatch::trust::Key { alg: "ed25519".parse().unwrap(), public }).collect();
        let first = 1u64.try_into().unwrap();
        let root = Root { product: identity.product.clone(), version: 1, issued: 1, expires: 9, epoch: first, keys, roles };
        let root = Roots::from(TrustAnchor::new(&root.to_canonical()).unwrap());
        let version = Timestamp {
            product: identity.product.clone(),
            channel: identity.channel.clone(),
            epoch: first,
            seq: 1u64.try_into().unwrap(),
            version: "1.0.0".parse().unwrap(),
            manifest: Digest::of(b""),
            rollout: 100,
            issued: 1,
            expires: 9,
        };
        let lines = version.to_signed();
        let signatures = sign_all(&signers.iter().map(|seed| Key::new(*seed)).collect::<Vec<_>>(), &lines);
        let object = Fetched::new([&lines[..], signatures.as_bytes()].concat());
        let times = Times::new(5, &[]);
        let verdict = Verified::<Timestamp>::verify(&object, &root.last(&times).unwrap(), &identity, &RollbackGuard::default(), &times);

        let distinct: BTreeSet<u8> = signers.into_iter().filter(|signer| held.contains(signer)).collect();
        let valid = u32::try_from(distinct.len()).unwrap();
        match verdict.map(|version| version.seq.get()) {
            Ok(seq) => prop_assert!(seq == 1 && valid >= threshold),
            Err(Refusal::Threshold { needed, valid: counted, .. }) => {
                prop_assert!((needed, counted) == (threshold, valid) && valid < threshold);
            }
            Err(other) => prop_assert!(false, "{}", other),
        }
        prop_assert_eq!(root.keys_of(Role::Timestamp).len(), held.len());
    }
}
