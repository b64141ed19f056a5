//! Every bit of every document, signature and global signature, turned over by itself.
//!
//! Some ten thousand attacks: each is refused, from the directory, with the disk as it was; at the end the tool runs and a good release
//! installs. A key id is a label: its bits, turned over, change nothing.

use relatch::source::Object;
use relatch::trust::DocumentKind;
use relatch::{Checked, Refusal};

use crate::attack::Answer;
use crate::signatures::{Carrier, block, with_signature};
use crate::stage::Stage;
use crate::support::minisign::sign_all;

/// All bits of a text, one at a time.
fn flips(text: &[u8]) -> impl Iterator<Item = (String, Vec<u8>)> {
    (0..text.len() * 8).map(|bit| {
        let mut flipped = text.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        (format!("bit {} of byte {}", bit % 8, bit / 8), flipped)
    })
}

/// Plays all of them, and then what is looked at after every attack.
fn play(
    mut stage: Stage,
    answer: &Answer,
    attacks: impl Iterator<Item = (String, Vec<u8>)>,
    place: impl Fn(&mut Stage, &[u8]),
) {
    let before = stage.tool.glance();
    let knobs = stage.repository.knobs();
    let mut count = 0;
    for (name, bytes) in attacks {
        place(&mut stage, &bytes);
        stage.refuses(&name, answer, &before);
        count += 1;
    }
    assert!(count > 500, "{count}");
    println!("{count} times: {}", answer.pattern);
    assert!(!stage.mark().exists(), "the attacker's executable was run");
    stage.runs("after all of them", &stage.installed());
    stage.repository.restore(knobs);
    stage.heals("after all of them");
}

#[test]
fn every_bit_of_version() {
    let mut stage = Stage::new();
    let draft = stage.draft();
    stage.repository.publish(&draft);
    let lines = stage.repository.version_lines();
    let signatures = sign_all(&draft.timestamp_keys, &lines);
    // Where a newline is turned over, a line of the signature is taken for one of the document.
    let answer = refusal!(
        Threshold { document: DocumentKind::Timestamp, needed: 1, valid: 0 }
            | Refusal::SignatureForm { document: DocumentKind::Timestamp, line: 1, .. }
    );
    play(stage, &answer, flips(&lines), |stage, lines| {
        std::fs::write(stage.repository.version_path(), [lines, signatures.as_bytes()].concat()).unwrap();
    });
}

/// Under the hash that `VERSION` names, and, by somebody with the timestamp key, under its own.
#[test]
fn every_bit_of_the_manifest() {
    let mut stage = Stage::new();
    let draft = stage.draft();
    let manifest = draft.manifest.to_string().into_bytes();
    let signatures = sign_all(&draft.release_keys, &manifest);
    let answer = refusal!(Threshold { document: DocumentKind::Manifest, needed: 1, valid: 0 });
    play(stage, &answer, flips(&manifest), |stage, manifest| {
        stage.repository.publish_documents(manifest, &draft);
        let object = Object::ManifestSignatures(stage.repository.current_manifest());
        stage.repository.write(&object, &signatures);
    });

    let mut stage = Stage::new();
    let draft = stage.draft();
    stage.repository.publish(&draft);
    let manifest = draft.manifest.to_string().into_bytes();
    let answer = refusal!(WrongDigest { document: DocumentKind::Manifest, .. });
    play(stage, &answer, flips(&manifest), |stage, manifest| {
        let named = Object::Manifest(stage.repository.current_manifest());
        stage.repository.write(&named, manifest);
    });
}

#[test]
fn every_bit_of_a_root() {
    let mut stage = Stage::new();
    stage.publish(|_, _| {});
    stage.repository.root_version = 2;
    let root = stage.repository.root().to_string().into_bytes();
    stage.repository.root_version = 1;
    let signatures = sign_all(&stage.repository.root_keys, &root);
    let answer = refusal!(Threshold { document: DocumentKind::Root(2), needed: 1, valid: 0 });
    play(stage, &answer, flips(&root), |stage, root| {
        stage.repository.write(&Object::Root(2), root);
        stage.repository.write(&Object::RootSignatures(2), &signatures);
    });
}

/// Signature, with a global signature that is right for what it became, and global signature.
fn every_bit_of_a_signature(carrier: Carrier, answer: &Answer) {
    let both = flips(&[0; 128]); // as what is to be turned over
    play(Stage::new(), answer, both, |stage, mask| {
        let (first, second) = (mask[..64].to_vec(), mask[64..].to_vec());
        carrier.signed(stage, |key, message| {
            let turn =
                |bytes: &mut [u8; 64], mask: &[u8]| bytes.iter_mut().zip(mask).for_each(|(b, m)| *b ^= m);
            let text = if first.iter().any(|byte| *byte != 0) {
                with_signature(key, message, |signature| turn(signature, &first))
            } else {
                block(key, message, |block| turn(&mut block.global, &second))
            };
            text.into_bytes()
        });
        if let Carrier::Root = carrier {
            stage.repository.root_version -= 1; // the same number each time
        }
    });
}

#[test]
fn every_bit_of_the_signatures_of_version() {
    let answer = refusal!(Threshold { document: DocumentKind::Timestamp, needed: 1, valid: 0 });
    every_bit_of_a_signature(Carrier::Version, &answer);
}

#[test]
fn every_bit_of_the_signatures_of_the_manifest() {
    let answer = refusal!(Threshold { document: DocumentKind::Manifest, needed: 1, valid: 0 });
    every_bit_of_a_signature(Carrier::Manifest, &answer);
}

#[test]
fn every_bit_of_the_signatures_of_a_root() {
    let answer = refusal!(Threshold { document: DocumentKind::Root(2), needed: 1, valid: 0 });
    every_bit_of_a_signature(Carrier::Root, &answer);
}

/// Sixty-four roots one after another, and as many `VERSION`s and manifests, under ids that are not those of their keys.
#[test]
fn every_bit_of_a_key_id_changes_nothing() {
    for carrier in [Carrier::Version, Carrier::Manifest, Carrier::Root] {
        let mut stage = Stage::new();
        for bit in 0..64 {
            carrier.signed(&mut stage, |key, message| {
                block(key, message, |block| block.id[bit / 8] ^= 1 << (bit % 8)).into_bytes()
            });
            let next = stage.next();
            let answer = stage.tool.updater().check(false);
            assert!(
                matches!(&answer, Ok(Checked::Update { to, .. }) if to.to_string() == next),
                "bit {bit} of the key id of {}: {answer:?}",
                carrier.name()
            );
            assert_eq!(stage.root_on_disk(), stage.repository.root_version, "bit {bit}");
        }
        stage.heals("after all of them");
    }
}
