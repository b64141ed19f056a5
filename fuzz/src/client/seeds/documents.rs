//! Scripts about documents: what the attacker serves, signs, withholds and replays.

use relatch::source::Object;

use super::super::script::Step::{self, *};
use super::super::script::{number_of, number_of_release, served_blob};
use super::super::world::{self, World};
use super::damage::*;
use super::{FROM_1_0_0, FROM_1_1_0, FROM_NOTHING, FROM_ROOT_1, Seed, script};

pub(super) fn all() -> Vec<Seed> {
    let release = |version: &str| number_of_release(0, version);
    let object = |object: Object| number_of(|other, _| *other == object);
    let version = object(Object::Version(world::CHANNEL.parse().expect("a name")));
    let manifest = |version: &str| {
        let is_it = |release: &&world::Release| release.chain == 0 && release.version.to_string() == version;
        let release = World::get().releases.iter().find(is_it).expect("there is one");
        object(Object::Manifest(release.manifest))
    };
    let blob = |version: &str| object(served_blob(version));
    let (root_3, root_3_signatures) = (object(Object::Root(3)), object(Object::RootSignatures(3)));
    let root_2 = object(Object::Root(2));
    let own = object(Object::Root(1));
    let rotated: [(Step, &[u8]); 2] =
        [(Put, &[root_3, root_3]), (Put, &[root_3_signatures, root_3_signatures])];
    vec![
        (
            "update",
            script(FROM_1_1_0, &[(Update, &[0]), (Rollback, &[0]), (Rollback, &[0])]),
            &["updated 1.1.0 to 1.2.0", "back to 1.1.0", "forward to 1.2.0"],
        ),
        (
            "install",
            script(FROM_NOTHING, &[(Install, &[0]), (Update, &[2])]),
            &["installed 1.2.0", "nothing newer is released"],
        ),
        (
            "no-change",
            script(FROM_1_1_0, &[(Name, &[release("1.1.0"), 0]), (Check, &[0]), (Check, &[0])]),
            &["nothing newer is released", "nothing newer is released"],
        ),
        (
            "retracted",
            script(FROM_1_1_0, &[(Update, &[0]), (Name, &[release("1.1.5"), 0]), (Update, &[0])]),
            &["updated 1.1.0 to 1.2.0", "replaced 1.2.0 by 1.1.5"],
        ),
        (
            "floor",
            script(FROM_1_0_0, &[(Name, &[release("1.3.0"), 0]), (Update, &[2]), (Rollback, &[2])]),
            &["updated 1.0.0 to 1.3.0", "version 1.0.0 is below"],
        ),
        (
            "does-not-run",
            script(FROM_1_1_0, &[(Name, &[release("1.4.0"), 0])]),
            &["version 1.4.0 does not run"],
        ),
        (
            "not-for-us",
            script(
                FROM_1_1_0,
                &[
                    (Name, &[release("1.5.0"), 0]),
                    (Update, &[0]),
                    (Name, &[release("3.0.0-beta.1"), 0]),
                    (Update, &[0]),
                    (Name, &[release("4.0.0"), 0]),
                ],
            ),
            &[
                "1.5.0 has no executable",
                "the manifest is for the channel beta",
                "the manifest is for the product other",
            ],
        ),
        (
            "expired",
            script(
                FROM_1_1_0,
                &[(Name, &[release("1.6.0"), 0]), (Update, &[0]), (Clock, &[0x80]), (Update, &[0])],
            ),
            &["the manifest expired", "the manifest expired"],
        ),
        (
            "new-epoch",
            script(
                FROM_1_1_0,
                &[
                    (Put, &[root_3, root_3]),
                    (Put, &[root_3_signatures, root_3_signatures]),
                    (Name, &[release("2.0.0"), 0]),
                    (Update, &[1]),
                ],
            ),
            &["updated 1.1.0 to 2.0.0"],
        ),
        (
            "replayed",
            script(FROM_1_1_0, &[(Update, &[0]), (Name, &[release("1.0.0"), 0]), (Update, &[0])]),
            &["updated 1.1.0 to 1.2.0", "VERSION has epoch 1 and sequence number 1"],
        ),
        (
            "relabelled",
            script(FROM_1_1_0, &[(Name, &[release("1.3.0"), 1, 0])]),
            &["the manifest is of version 1.3.0, but VERSION names 9.9.9"],
        ),
        (
            "same-number",
            script(FROM_1_1_0, &[(Name, &[release("1.0.0"), 2, 1])]),
            &["two different manifests"],
        ),
        (
            "one-key-of-two",
            script(FROM_1_1_0, &[(Manifest, &[release("1.2.0"), 1, 0])]),
            &["the manifest is signed by 1 of the 2"],
        ),
        (
            "completed",
            script(
                FROM_1_1_0,
                &[(Manifest, &[release("1.2.0"), 64, 4]), (Sign, &[manifest("1.3.0"), 0x84]), (Update, &[0])],
            ),
            &["updated 1.1.0 to 1.3.0"],
        ),
        (
            "own-root",
            script(FROM_1_1_0, &[(Root, &[2, 0]), (Clock, &[2])]),
            &["root 3 is signed by 0 of the 2"],
        ),
        (
            "other-blob",
            script(FROM_1_1_0, &[(Name, &[release("1.3.0"), 0]), (Put, &[blob("1.3.0"), blob("1.0.0")])]),
            &["blobs/"],
        ),
        (
            "bit-in-a-blob",
            script(FROM_1_1_0, &[(Name, &[release("1.3.0"), 0]), (Flip, &[blob("1.3.0"), 0, 80, 1])]),
            &["blobs/"],
        ),
        (
            "broken-off",
            script(FROM_1_1_0, &[(Name, &[release("1.3.0"), 0]), (Answer, &[blob("1.3.0"), 20])]),
            &["cannot read blobs/"],
        ),
        (
            "edited",
            script(
                FROM_1_1_0,
                &[(Edit, &[version, 6, 12, 1]), (Update, &[0]), (Edit, &[manifest("1.2.0"), 7, 13, 4])],
            ),
            &["VERSION is not a canonical", "the manifest is signed by 1 of"],
        ),
        (
            "spliced",
            script(FROM_1_1_0, &[(Splice, &[version, 0, 0, 0, 2, b'9', b'.']), (Sign, &[version, 1])]),
            &["VERSION has 9.1.2.0"],
        ),
        (
            "unchanged-for-ever",
            script(
                FROM_1_1_0,
                &[
                    (Etag, &[1]),
                    (Update, &[0]),
                    (Name, &[release("1.3.0"), 0]),
                    (Update, &[0]),
                    (Clock, &[127]),
                    (Update, &[0]),
                ],
            ),
            &["updated 1.1.0 to 1.2.0", "nothing newer is released", "nothing newer is released"],
        ),
        (
            "no-answers",
            script(
                FROM_1_1_0,
                &[
                    (Answer, &[version, 0]),
                    (Update, &[0]),
                    (Answer, &[version, 1]),
                    (Update, &[2]),
                    (Damage, &[CACHE, DELETE]),
                    (Answer, &[version, 2]),
                ],
            ),
            &[
                "the attacker's repository has no",
                "the attacker's repository refuses",
                "cannot read stable/VERSION",
            ],
        ),
        (
            "lost-state",
            script(FROM_1_1_0, &[(Damage, &[JOURNAL, DELETE]), (Update, &[2]), (Update, &[0])]),
            &["relatch did not install", "updated 1.1.0 to 1.2.0"],
        ),
        (
            "restored-state",
            script(
                FROM_1_1_0,
                &[
                    (Update, &[0]),
                    (Damage, &[JOURNAL, RESTORE, 2]),
                    (Damage, &[FLOORS, RESTORE, 2]),
                    (Damage, &[CACHE, RESTORE, 2]),
                    (Name, &[release("1.1.0"), 0]),
                    (Update, &[0]),
                    (Damage, &[ROOT, DELETE]),
                ],
            ),
            &["updated 1.1.0 to 1.2.0", "nothing newer is released", "nothing newer is released"],
        ),
        (
            "spoilt-previous",
            script(FROM_1_1_0, &[(Damage, &[PREVIOUS, FLIP, 0, 30, 1]), (Rollback, &[0])]),
            &["the previous executable has"],
        ),
        (
            "edited-state",
            script(FROM_1_1_0, &[(Damage, &[FLOORS, EDIT, 6, 5]), (Update, &[0])]),
            &["it cannot be determined whether root 1"],
        ),
        ("another-role", script(FROM_1_1_0, &[(Put, &[version, own])]), &["VERSION"]),
        ("exists", script(FROM_1_1_0, &[(Install, &[0])]), &["/"]),
        (
            "older-issue",
            script(FROM_1_1_0, &[(Update, &[0]), (Name, &[release("1.2.0"), 0]), (Update, &[0])]),
            &["updated 1.1.0 to 1.2.0", "VERSION of release 3 was issued"],
        ),
        (
            "held",
            script(FROM_1_1_0, &[(Update, &[0]), (Rollback, &[0]), (Update, &[1])]),
            &["updated 1.1.0 to 1.2.0", "back to 1.1.0", "1.2.0 is on hold"],
        ),
        (
            "rollout",
            script(FROM_1_1_0, &[(Name, &[release("1.2.0"), 8 | 32, 0, 50]), (Update, &[0]), (Update, &[1])]),
            &["1.2.0 is rolled out to 50", "updated 1.1.0 to 1.2.0"],
        ),
        (
            "floor-stays",
            script(
                FROM_1_1_0,
                &[
                    (Name, &[release("1.3.0"), 0]),
                    (Update, &[0]),
                    (Name, &[release("1.5.0"), 0]),
                    (Check, &[0]),
                    (Name, &[release("1.0.5"), 0]),
                    (Check, &[0]),
                ],
            ),
            &["updated 1.1.0 to 1.3.0", "1.5.0 has no executable", "nothing newer is released"],
        ),
        (
            "floor-ends",
            script(
                FROM_1_1_0,
                &[
                    (Name, &[release("1.3.0"), 0]),
                    (Update, &[0]),
                    rotated[0],
                    rotated[1],
                    (Name, &[release("2.0.0"), 0]),
                    (Update, &[0]),
                    (Rollback, &[0]),
                ],
            ),
            &["updated 1.1.0 to 1.3.0", "updated 1.3.0 to 2.0.0", "the previous executable is of epoch 1"],
        ),
        (
            "installed-below-the-floor",
            script(
                FROM_1_1_0,
                &[
                    (Name, &[release("1.3.0"), 0]),
                    (Update, &[0]),
                    (Name, &[release("1.0.5"), 0]),
                    (Install, &[1]),
                ],
            ),
            &["updated 1.1.0 to 1.3.0", "version 1.0.5 is below"],
        ),
        (
            "installed-expired",
            script(FROM_NOTHING, &[(Name, &[release("1.6.0"), 0]), (Install, &[0])]),
            &["the manifest expired"],
        ),
        (
            "forced-expired",
            script(FROM_1_1_0, &[(Name, &[release("1.6.0"), 0]), (Install, &[1])]),
            &["the manifest expired"],
        ),
        (
            "expired-version",
            script(FROM_1_1_0, &[(Name, &[release("1.2.0"), 16, 0x80])]),
            &["VERSION expired"],
        ),
        (
            "installed-dead-epoch",
            script(FROM_NOTHING, &[rotated[0], rotated[1], (Name, &[release("1.2.0"), 0]), (Install, &[0])]),
            &["VERSION has the epoch 1, but the trusted root has 2"],
        ),
        (
            "forced-dead-epoch",
            script(FROM_1_1_0, &[rotated[0], rotated[1], (Name, &[release("1.2.0"), 0]), (Install, &[1])]),
            &["VERSION has the epoch 1, but the trusted root has 2"],
        ),
        (
            "revoked-key",
            script(FROM_1_1_0, &[(Name, &[release("1.2.5"), 0]), (Update, &[0])]),
            &["the manifest is signed by 1 of the 2"],
        ),
        (
            "revoked-key-installed",
            script(FROM_NOTHING, &[(Name, &[release("1.2.5"), 0]), (Install, &[0])]),
            &["the manifest is signed by 1 of the 2"],
        ),
        (
            "revoked-key-not-heard-of",
            script(FROM_ROOT_1, &[(Name, &[release("1.2.5"), 0]), (Update, &[0])]),
            &["the manifest is signed by 1 of the 2"],
        ),
        // Who withholds the root that revokes a key is believed until the older root expires (SPEC section 7).
        (
            "root-withheld",
            script(FROM_ROOT_1, &[(Answer, &[root_2, 0]), (Name, &[release("1.2.5"), 0]), (Update, &[0])]),
            &["updated 1.0.0 to 1.2.5"],
        ),
        (
            "two-of-one-number",
            script(FROM_1_1_0, &[(Update, &[0]), (Name, &[release("1.2.1"), 8, 0]), (Update, &[0])]),
            &["updated 1.1.0 to 1.2.0", "two different manifests"],
        ),
        (
            "lost-root",
            script(
                FROM_1_1_0,
                &[
                    rotated[0],
                    rotated[1],
                    (Name, &[release("2.0.0"), 0]),
                    (Update, &[0]),
                    (Damage, &[ROOT, DELETE]),
                    (Answer, &[root_3, 0]),
                    (Update, &[2]),
                ],
            ),
            &["updated 1.1.0 to 2.0.0", "root 2 requires root 3"],
        ),
        (
            "invisible",
            script(FROM_1_1_0, &[(Splice, &[version, 0, 0, 0, 3, 0xe2, 0x80, 0xae]), (Sign, &[version, 1])]),
            &["VERSION has \\u{202e}1.2.0"],
        ),
        // An edited record is not the client's own again because it was restored: a value is out of range, and
        // the floors are lost with it.
        (
            "restored-edit",
            script(
                FROM_1_1_0,
                &[
                    (Damage, &[FLOORS, EDIT, 11, 15]),
                    (Answer, &[version, 0]),
                    (Check, &[0]),
                    (Damage, &[FLOORS, RESTORE, 4]),
                    (Name, &[release("1.0.0"), 0]),
                    (Check, &[0]),
                ],
            ),
            &["the attacker's repository has no", "nothing newer is released"],
        ),
        // Found by the fuzzer: the number was not looked at where the manifest was known, and the earlier date took the later one's place.
        (
            "renumbered",
            script(FROM_1_1_0, &[(Update, &[0]), (Name, &[release("1.2.0"), 2, 67]), (Update, &[0])]),
            &["updated 1.1.0 to 1.2.0", "the manifest has the sequence number 3, but VERSION names 70"],
        ),
        // Found by the fuzzer: 1.1.0 was current under the name of 1.0.0.
        (
            "renamed",
            script(FROM_1_1_0, &[(Rollback, &[0]), (Name, &[release("1.1.0"), 1, 1])]),
            &["back to 1.0.0", "the manifest is of version 1.1.0, but VERSION names 1.0.0"],
        ),
        // As long as scripts get useful: the fuzzer tries lengths up to that of the longest seed at once.
        (
            "siege",
            script(
                FROM_1_1_0,
                &[
                    (Root, &[2, 0]),
                    (Manifest, &[release("1.3.0"), 0]),
                    (Manifest, &[release("1.2.0"), 1 | 8 | 64, 0, 2, 0b1_0100]),
                    (Sign, &[root_3, 0b1000]),
                    (Name, &[release("1.3.0"), 8 | 32, 0xff, 100]),
                    (Flip, &[blob("1.3.0"), 0, 3, 4]),
                    (Update, &[0]),
                    (Put, &[blob("1.3.0"), blob("1.3.0")]),
                    (Answer, &[root_3, 1]),
                    (Etag, &[7]),
                    (Damage, &[ROOT, FLIP, 0, 9, 1]),
                    (Clock, &[1]),
                    (Update, &[1]),
                    (Splice, &[version, 0, 90, 1, 3, b'0', b'x', b'"']),
                    (Cut, &[manifest("1.2.0"), 1, 0]),
                    (Damage, &[JOURNAL, TRUNCATE, 0, 200]),
                    (Rollback, &[0]),
                ],
            ),
            &["root 3 is signed by 0", "updated 1.1.0 to 1.3.0", "the recorded state is damaged"],
        ),
    ]
}
