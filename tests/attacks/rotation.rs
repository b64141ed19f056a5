//! Keys and thresholds of the release and the timestamp role across roots. (Of the root role itself: `roots::rotations`.)
//!
//! Each row is one tool that has not heard of root 2 when it sees the release: under which root it judges is part of what is tested.

use relatch::trust::DocumentKind;
use relatch::{Error, Refusal};

use crate::attack::{Answer, Attack, Outcome, is_of, is_refusal};
use crate::disk::Disk;
use crate::stage::Stage;
use crate::support::Repository;
use crate::support::scene::keys;

/// Keys of a role by seed, and the threshold of them.
type Holders = (&'static [u8], u32);

/// Keys that signed, by seed. The root key is 1.
type Signers = &'static [u8];

/// When manifest and `VERSION` were signed: they say under which root.
#[derive(Clone, Copy)]
enum Signed {
    UnderRoot1,
    UnderRoot2,
}
use Signed::{UnderRoot1, UnderRoot2};

/// Where too few signed, how many were needed and how many were valid.
type Verdict = Result<(), (u32, u32)>;

/// The same, and of which document.
type VerdictOn = Result<(), (DocumentKind, u32, u32)>;

/// What happens to one role, whichever it is: before, after, who signed its document, and when.
#[rustfmt::skip]
const ONE_ROLE: &[(&str, Holders, Holders, Signers, Signed, Verdict)] = &[
    ("nothing changes", (&[20], 1), (&[20], 1), &[20], UnderRoot2, Ok(())),
    ("nothing changes, an older document", (&[20], 1), (&[20], 1), &[20], UnderRoot1, Ok(())),
    ("nothing changes, by the root key", (&[20], 1), (&[20], 1), &[1], UnderRoot2, Err((1, 0))),
    ("nothing changes, by the key of the other role", (&[20], 1), (&[20], 1), &[40], UnderRoot2, Err((1, 0))),
    ("a key is added, by the old one", (&[20], 1), (&[20, 21], 1), &[20], UnderRoot2, Ok(())),
    ("a key is added, by itself", (&[20], 1), (&[20, 21], 1), &[21], UnderRoot2, Ok(())),
    ("a key is added, an older document", (&[20], 1), (&[20, 21], 1), &[20], UnderRoot1, Ok(())),
    ("a key is added, an older document by it", (&[20], 1), (&[20, 21], 1), &[21], UnderRoot1, Ok(())),
    ("a key and one to the threshold are added, an older document", (&[20], 1), (&[20, 21], 2), &[20], UnderRoot1, Err((2, 1))),
    ("a key is added to two of two, by old and new", (&[20, 21], 2), (&[20, 21, 22], 2), &[20, 22], UnderRoot2, Ok(())),
    ("a key is added to two of two, by itself", (&[20, 21], 2), (&[20, 21, 22], 2), &[22], UnderRoot2, Err((2, 1))),
    ("a key is removed, by the other", (&[20, 21], 1), (&[20], 1), &[20], UnderRoot2, Ok(())),
    ("a key is removed, by itself", (&[20, 21], 1), (&[20], 1), &[21], UnderRoot2, Err((1, 0))),
    ("a key is removed, an older document by it", (&[20, 21], 1), (&[20], 1), &[21], UnderRoot1, Err((1, 0))),
    ("a key is removed, an older document by both", (&[20, 21], 1), (&[20], 1), &[21, 20], UnderRoot1, Ok(())),
    ("a key is replaced, by the new one", (&[20], 1), (&[21], 1), &[21], UnderRoot2, Ok(())),
    ("a key is replaced, by the old one", (&[20], 1), (&[21], 1), &[20], UnderRoot2, Err((1, 0))),
    ("a key is replaced, an older document", (&[20], 1), (&[21], 1), &[20], UnderRoot1, Err((1, 0))),
    ("a key is replaced, by both", (&[20], 1), (&[21], 1), &[20, 21], UnderRoot2, Ok(())),
    ("one of two is replaced, by the old two", (&[20, 21], 2), (&[20, 22], 2), &[20, 21], UnderRoot2, Err((2, 1))),
    ("one of two is replaced, by the new two", (&[20, 21], 2), (&[20, 22], 2), &[20, 22], UnderRoot2, Ok(())),
    ("all are replaced, by one old and one new", (&[20, 21], 2), (&[22, 23], 2), &[20, 22], UnderRoot2, Err((2, 1))),
    ("all are replaced, by the new ones", (&[20, 21], 2), (&[22, 23], 2), &[23, 22], UnderRoot2, Ok(())),
    ("the threshold is raised, by one", (&[20, 21], 1), (&[20, 21], 2), &[20], UnderRoot2, Err((2, 1))),
    ("the threshold is raised, an older document by one", (&[20, 21], 1), (&[20, 21], 2), &[21], UnderRoot1, Err((2, 1))),
    ("the threshold is raised, by one twice", (&[20, 21], 1), (&[20, 21], 2), &[20, 20], UnderRoot2, Err((2, 1))),
    ("the threshold is raised, by one and other roles", (&[20, 21], 1), (&[20, 21], 2), &[20, 1, 40], UnderRoot2, Err((2, 1))),
    ("the threshold is raised, by two", (&[20, 21], 1), (&[20, 21], 2), &[21, 20], UnderRoot2, Ok(())),
    ("the threshold is lowered, by one", (&[20, 21], 2), (&[20, 21], 1), &[21], UnderRoot2, Ok(())),
    ("the threshold is lowered, an older document by one", (&[20, 21], 2), (&[20, 21], 1), &[21], UnderRoot1, Ok(())),
    ("the threshold is lowered, by a stranger", (&[20, 21], 2), (&[20, 21], 1), &[99], UnderRoot2, Err((1, 0))),
];

const VERSION: DocumentKind = DocumentKind::Timestamp;
const MANIFEST: DocumentKind = DocumentKind::Manifest;

/// Of release and timestamp role: before, after, and who signed manifest and `VERSION`.
type BothRoles = (&'static str, [Holders; 2], [Holders; 2], [Signers; 2], VerdictOn);

/// Keys that move between the two roles, or have both.
#[rustfmt::skip]
const TWO_ROLES: &[BothRoles] = &[
    ("a timestamp key becomes a release key", [(&[20], 1), (&[30], 1)], [(&[30], 1), (&[31], 1)], [&[30], &[31]], Ok(())),
    ("a timestamp key becomes a release key, and signs VERSION", [(&[20], 1), (&[30], 1)], [(&[30], 1), (&[31], 1)], [&[30], &[30]], Err((VERSION, 1, 0))),
    ("a timestamp key becomes a release key, by the old one", [(&[20], 1), (&[30], 1)], [(&[30], 1), (&[31], 1)], [&[20], &[31]], Err((MANIFEST, 1, 0))),
    ("a release key becomes a timestamp key", [(&[20], 1), (&[30], 1)], [(&[21], 1), (&[20], 1)], [&[21], &[20]], Ok(())),
    ("a release key becomes a timestamp key, and signs the manifest", [(&[20], 1), (&[30], 1)], [(&[21], 1), (&[20], 1)], [&[20], &[20]], Err((MANIFEST, 1, 0))),
    ("a release key becomes a timestamp key, by the old one", [(&[20], 1), (&[30], 1)], [(&[21], 1), (&[20], 1)], [&[21], &[30]], Err((VERSION, 1, 0))),
    ("two keys change places", [(&[20], 1), (&[30], 1)], [(&[30], 1), (&[20], 1)], [&[30], &[20]], Ok(())),
    ("two keys change places, and sign as before", [(&[20], 1), (&[30], 1)], [(&[30], 1), (&[20], 1)], [&[20], &[30]], Err((VERSION, 1, 0))),
    ("two keys change places, and one signs as before", [(&[20], 1), (&[30], 1)], [(&[30], 1), (&[20], 1)], [&[20], &[20]], Err((MANIFEST, 1, 0))),
    ("a key gets a second role", [(&[20], 1), (&[30], 1)], [(&[20], 1), (&[20, 30], 1)], [&[20], &[20]], Ok(())),
    ("a key gets a second role, the other has one", [(&[20], 1), (&[30], 1)], [(&[20], 1), (&[20, 30], 1)], [&[30], &[20]], Err((MANIFEST, 1, 0))),
    ("a key of two roles is one in each", [(&[20], 1), (&[30], 1)], [(&[20, 30], 2), (&[20, 30], 1)], [&[20], &[20, 30]], Err((MANIFEST, 2, 1))),
    ("a key of two roles is one in each, VERSION", [(&[20], 1), (&[30], 1)], [(&[20, 30], 1), (&[20, 30], 2)], [&[20, 30], &[30, 30]], Err((VERSION, 2, 1))),
    ("two keys of two roles", [(&[20], 1), (&[30], 1)], [(&[20, 30], 2), (&[20, 30], 2)], [&[20, 30], &[30, 20]], Ok(())),
    ("a key of two roles loses the timestamp role", [(&[20], 1), (&[20], 1)], [(&[20], 1), (&[30], 1)], [&[20], &[20]], Err((VERSION, 1, 0))),
    ("a key of two roles loses the release role", [(&[30], 1), (&[30], 1)], [(&[20], 1), (&[30], 1)], [&[30], &[30]], Err((MANIFEST, 1, 0))),
    ("a key of two roles loses one, as it should be", [(&[20], 1), (&[20], 1)], [(&[20], 1), (&[30], 1)], [&[20], &[30]], Ok(())),
    ("the root key gets all roles", [(&[20], 1), (&[30], 1)], [(&[1], 1), (&[1], 1)], [&[1], &[1]], Ok(())),
    ("the root key loses the other roles", [(&[1], 1), (&[1], 1)], [(&[20], 1), (&[30], 1)], [&[1], &[1]], Err((VERSION, 1, 0))),
    ("the root key loses the release role", [(&[1], 1), (&[1], 1)], [(&[20], 1), (&[1], 1)], [&[1], &[1]], Err((MANIFEST, 1, 0))),
];

#[test]
fn of_the_release_role() {
    for (name, was, is, signers, signed, verdict) in ONE_ROLE {
        let verdict = verdict.map_err(|(needed, valid)| (MANIFEST, needed, valid));
        let name = format!("release role: {name}");
        play(name, [*was, (&[40], 1)], [*is, (&[40], 1)], [signers, &[40]], *signed, verdict);
    }
}

#[test]
fn of_the_timestamp_role() {
    for (name, was, is, signers, signed, verdict) in ONE_ROLE {
        let verdict = verdict.map_err(|(needed, valid)| (VERSION, needed, valid));
        let name = format!("timestamp role: {name}");
        play(name, [(&[40], 1), *was], [(&[40], 1), *is], [&[40], signers], *signed, verdict);
    }
}

#[test]
fn of_keys_between_roles() {
    for (name, was, is, signers, verdict) in TWO_ROLES {
        play((*name).into(), *was, *is, *signers, UnderRoot2, *verdict);
    }
}

fn play(
    name: String,
    was: [Holders; 2],
    is: [Holders; 2],
    signers: [Signers; 2],
    signed: Signed,
    verdict: VerdictOn,
) {
    let act = move |stage: &mut Stage| {
        let older = matches!(signed, UnderRoot1).then(|| stage.draft());
        stage.repository.rotate(|repository| {
            (repository.release_keys, repository.timestamp_keys) = (keys(is[0].0), keys(is[1].0));
            repository.thresholds = [1, is[0].1, is[1].1];
        });
        let mut draft = older.unwrap_or_else(|| stage.draft());
        (draft.release_keys, draft.timestamp_keys) = (keys(signers[0]), keys(signers[1]));
        stage.repository.publish(&draft);
    };
    let mut stage = Stage::of(Repository::with_keys(&[1], was[0].0, was[1].0, [1, was[0].1, was[1].1]));
    match verdict {
        Ok(()) => stage.suffers(&Attack::new("6", name, act, Outcome::Harmless)),
        Err((document, needed, valid)) => {
            let step = if document == MANIFEST { "6c" } else { "4c" };
            let expected = Refusal::Threshold { document, needed, valid };
            let answer = Answer {
                pattern: format!("{expected:?}"),
                is: Box::new(move |error| is_refusal(error, |refusal| *refusal == expected)),
            };
            refuses(&mut stage, &Attack::new(step, name, act, Outcome::Refused(answer)));
        }
    }
    assert_eq!(stage.root_on_disk(), 2);
}

/// As [`Stage::suffers`], but that root 2 is news, and stays.
fn refuses(stage: &mut Stage, attack: &Attack) {
    println!("{}", attack.line());
    let (name, Outcome::Refused(answer)) = (&attack.name, &attack.outcome) else { unreachable!() };
    (attack.act)(stage);
    let mut disk = Disk::of(&stage.tool).by_value();
    for from in attack.from {
        match stage.updater(*from).update(false) {
            Err(error @ Error::Refused(_)) if (answer.is)(&error) => {
                assert!(is_of(attack.step, &error), "{name}")
            }
            other => panic!("{name}: from {from:?}: expected {}, but it is {other:?}", answer.pattern),
        }
        disk.trusts_more(stage, 2, name);
    }
    stage.runs(name, &stage.installed());
    disk.trusts_more(stage, 2, &format!("{name}: a start"));
    stage.heals(name);
}
