//! Scripts about what the client remembers: damaged, edited, restored and deleted records, programs with
//! other roots, other channels, and time.

use super::super::script::Step::*;
use super::super::script::number_of_release;
use super::damage::*;
use super::{FROM_1_0_0, FROM_1_1_0, FROM_NOTHING, Seed, script};

/// `Install` with this root of a chain: the flags.
const fn given(chain: u8, number: u8) -> u8 {
    (chain * 3 + number - 1) << 2
}

/// What `Name` changes.
const ISSUED: u8 = 8;
const EXPIRES: u8 = 16;
const ITS_CHANNEL: u8 = 64;

/// Days of the clock, in quarters as `Name` takes them.
const fn days(days: u8) -> u8 {
    days * 4
}

pub(super) fn all() -> Vec<Seed> {
    let release = |version: &str| number_of_release(0, version);
    let other = |version: &str| number_of_release(1, version);
    let (r_1_0_0, r_1_1_0, r_1_3_0) = (release("1.0.0"), release("1.1.0"), release("1.3.0"));
    vec![
        // Trust domains.
        (
            "older-build",
            script(
                FROM_NOTHING,
                &[
                    (Install, &[given(0, 2)]),
                    (ByHand, &[r_1_0_0]),
                    (Update, &[0]),
                    (Name, &[r_1_1_0, 0]),
                    (Update, &[0]),
                ],
            ),
            &["installed 1.2.0", "updated 1.0.0 to 1.2.0", "VERSION has epoch 1 and sequence number 2"],
        ),
        (
            "older-build-withheld",
            script(
                FROM_NOTHING,
                &[(Install, &[given(0, 2)]), (ByHand, &[r_1_0_0]), (Roots, &[0, 1]), (Update, &[0])],
            ),
            &["installed 1.2.0", "it cannot be determined whether root 1"],
        ),
        (
            "newer-build",
            script(
                FROM_1_1_0,
                &[
                    (Roots, &[0, 3]),
                    (ByHand, &[release("2.0.0")]),
                    (Check, &[0]),
                    (Name, &[release("2.0.0"), 0]),
                    (Check, &[0]),
                ],
            ),
            &["VERSION is signed by 0 of the 1", "nothing newer is released"],
        ),
        (
            "newer-build-withheld",
            script(
                FROM_1_1_0,
                &[
                    (ByHand, &[release("2.0.0")]),
                    (Check, &[0]),
                    (Name, &[release("2.0.0"), 0]),
                    (Update, &[0]),
                ],
            ),
            &["it cannot be determined whether root 3", "it cannot be determined whether root 3"],
        ),
        (
            "new-keys-and-back",
            script(
                FROM_1_1_0,
                &[
                    (Roots, &[1, 2]),
                    (ByHand, &[other("1.1.0")]),
                    (Name, &[other("1.2.0"), 0]),
                    (Update, &[0]),
                    (Roots, &[0, 2]),
                    (ByHand, &[r_1_0_0]),
                    (Name, &[r_1_0_0, 0]),
                    (Update, &[0]),
                    (Name, &[r_1_1_0, 0]),
                    (Update, &[0]),
                ],
            ),
            &[
                "updated 1.1.0 to 1.2.0",
                "VERSION has epoch 1 and sequence number 1, but epoch 1 and number 2",
                "updated 1.0.0 to 1.1.0",
            ],
        ),
        (
            "old-keys-sign-for-new-ones",
            script(
                FROM_1_1_0,
                &[
                    (Roots, &[1, 2]),
                    (ByHand, &[other("1.1.0")]),
                    (Name, &[release("1.2.0"), 0]),
                    (Update, &[0]),
                ],
            ),
            &["the manifest is signed by 0 of the 2"],
        ),
        (
            "new-keys-sign-for-old-ones",
            script(FROM_1_1_0, &[(Name, &[other("1.2.0"), 0]), (Update, &[1]), (Install, &[1])]),
            &["the manifest is signed by 0 of the 2", "the manifest is signed by 0 of the 2"],
        ),
        (
            "new-keys-installed",
            script(
                FROM_1_1_0,
                &[
                    (Roots, &[1, 2]),
                    (Name, &[other("1.2.0"), 0]),
                    (Install, &[1 | given(1, 1)]),
                    (Rollback, &[0]),
                    (Update, &[2]),
                ],
            ),
            &[
                "installed 1.2.0",
                "the previous executable was installed under the root keys of another",
                "nothing newer",
            ],
        ),
        (
            "given-root-withheld",
            script(
                FROM_1_1_0,
                &[
                    (Roots, &[0, 3]),
                    (Name, &[release("2.0.0"), 0]),
                    (Update, &[0]),
                    (Roots, &[0, 2]),
                    (Name, &[release("1.2.0"), 0]),
                    (Install, &[1]),
                    (Update, &[0]),
                ],
            ),
            &[
                "updated 1.1.0 to 2.0.0",
                "root 2 requires root 3",
                "VERSION has the epoch 1, but the trusted root has 2",
            ],
        ),
        // A raised epoch, and time.
        (
            "clock-ahead-in-a-dead-epoch",
            script(
                FROM_1_1_0,
                &[
                    (Clock, &[30]),
                    (Name, &[release("1.2.0"), ISSUED, days(30)]),
                    (Update, &[0]),
                    (Clock, &[0]),
                    (Name, &[r_1_3_0, EXPIRES, days(10)]),
                    (Update, &[0]),
                    (Roots, &[0, 3]),
                    (Name, &[release("2.0.0"), EXPIRES, days(10)]),
                    (Update, &[0]),
                ],
            ),
            &["updated 1.1.0 to 1.2.0", "VERSION expired", "updated 1.2.0 to 2.0.0"],
        ),
        (
            "frozen",
            script(
                FROM_1_1_0,
                &[
                    (Name, &[release("1.2.7"), 0]),
                    (Update, &[0]),
                    (Clock, &[20]),
                    (Check, &[0]),
                    (Name, &[release("1.2.7"), ISSUED, days(1)]),
                    (Check, &[0]),
                ],
            ),
            &["updated 1.1.0 to 1.2.7", "the manifest expired", "the manifest expired"],
        ),
        (
            "frozen-by-304",
            script(
                FROM_1_1_0,
                &[
                    (Etag, &[1]),
                    (Name, &[release("1.2.7"), 0]),
                    (Update, &[0]),
                    (Check, &[0]),
                    (Clock, &[20]),
                    (Check, &[0]),
                ],
            ),
            &["updated 1.1.0 to 1.2.7", "nothing newer is released", "the manifest expired"],
        ),
        // Another channel.
        (
            "another-channel",
            script(
                FROM_1_0_0,
                &[
                    (ByHand, &[release("3.0.0-beta.1")]),
                    (Name, &[release("3.0.0-beta.1"), ITS_CHANNEL]),
                    (Check, &[0]),
                    (ByHand, &[r_1_0_0]),
                    (Update, &[0]),
                    (Rollback, &[0]),
                ],
            ),
            &["nothing newer is released", "updated 1.0.0 to 1.2.0", "version 1.0.0 is below 1.1.0"],
        ),
        (
            "channels-keep-their-floors",
            script(
                FROM_1_1_0,
                &[
                    (ByHand, &[release("3.0.0-beta.1")]),
                    (Update, &[0]),
                    (ByHand, &[r_1_0_0]),
                    (Name, &[r_1_0_0, 0]),
                    (Update, &[0]),
                ],
            ),
            &["updated 3.0.0-beta.1 to 3.0.0-beta.2", "VERSION has epoch 1 and sequence number 1"],
        ),
        // A rollback goes by the recorded version where no program says its own.
        (
            "by-hand-and-back",
            script(FROM_1_1_0, &[(ByHand, &[release("7")]), (Rollback, &[2]), (Rollback, &[2])]),
            &["back to 1.0.0", "forward to 1.1.0"],
        ),
        // A withdrawn version.
        (
            "withdrawn",
            script(
                FROM_1_1_0,
                &[(Update, &[0]), (Name, &[release("1.1.5"), 0]), (Update, &[0]), (Rollback, &[0])],
            ),
            &["updated 1.1.0 to 1.2.0", "replaced 1.2.0 by 1.1.5", "the publisher withdrew version 1.2.0"],
        ),
        // Each record is deleted, damaged or restored.
        (
            "lost-floors",
            script(
                FROM_1_1_0,
                &[(Update, &[0]), (Damage, &[FLOORS, DELETE]), (Check, &[0]), (Rollback, &[0])],
            ),
            &["updated 1.1.0 to 1.2.0", "nothing newer is released", "back to 1.1.0"],
        ),
        (
            "lost-floors-then-updated",
            script(
                FROM_1_1_0,
                &[(Damage, &[FLOORS, DELETE]), (Name, &[r_1_3_0, 0]), (Update, &[0]), (Rollback, &[0])],
            ),
            &["updated 1.1.0 to 1.3.0", "back to 1.1.0"],
        ),
        (
            "lost-floors-and-bounded",
            script(
                FROM_1_1_0,
                &[(Damage, &[FLOORS, DELETE]), (Name, &[r_1_3_0, 0]), (Check, &[0]), (Rollback, &[0])],
            ),
            &["1.3.0 is there", "version 1.0.0 is below 1.1.0"],
        ),
        (
            "damaged-floors-and-304",
            script(
                FROM_1_1_0,
                &[(Etag, &[1]), (Update, &[0]), (Damage, &[FLOORS, ZERO]), (Check, &[0]), (Rollback, &[0])],
            ),
            &["updated 1.1.0 to 1.2.0", "nothing newer is released", "back to 1.1.0"],
        ),
        (
            "damaged-journal-and-304",
            script(
                FROM_1_1_0,
                &[(Etag, &[1]), (Update, &[0]), (Damage, &[JOURNAL, ZERO]), (Check, &[0]), (Rollback, &[0])],
            ),
            &["updated 1.1.0 to 1.2.0", "nothing newer is released", "there is no previous"],
        ),
        (
            "lost-cache",
            script(
                FROM_1_1_0,
                &[(Update, &[0]), (Rollback, &[0]), (Damage, &[CACHE, DELETE]), (Update, &[0])],
            ),
            &["updated 1.1.0 to 1.2.0", "back to 1.1.0", "1.2.0 is on hold"],
        ),
        (
            "lost-everything",
            script(
                FROM_1_1_0,
                &[
                    (Damage, &[JOURNAL, DELETE]),
                    (Damage, &[ROOT, DELETE]),
                    (Damage, &[FLOORS, DELETE]),
                    (Damage, &[CACHE, DELETE]),
                    (Damage, &[PREVIOUS, DELETE]),
                    (Update, &[0]),
                    (Rollback, &[0]),
                ],
            ),
            &["updated 1.1.0 to 1.2.0", "back to 1.1.0"],
        ),
        (
            "restored-cache",
            script(
                FROM_1_1_0,
                &[(Etag, &[1]), (Check, &[0]), (Update, &[0]), (Damage, &[CACHE, RESTORE, 4]), (Check, &[0])],
            ),
            &["1.2.0 is there", "updated 1.1.0 to 1.2.0", "nothing newer is released"],
        ),
        (
            "edited-cache",
            script(
                FROM_1_1_0,
                &[
                    (Damage, &[CACHE, EDIT, 5, 13]),
                    (Check, &[0]),
                    (Damage, &[CACHE, EDIT, 7, 22]),
                    (Update, &[0]),
                ],
            ),
            &["1.2.0 is there", "updated 1.1.0 to 1.2.0"],
        ),
        // A later version of relatch wrote the records: it added a field to each object in turn.
        (
            "later-journal",
            script(
                FROM_1_1_0,
                &[
                    (Damage, &[JOURNAL, LATER, 0, 0]),
                    (Damage, &[JOURNAL, LATER, 1, 1]),
                    (Damage, &[JOURNAL, LATER, 2, 2]),
                    (Update, &[0]),
                    (Rollback, &[0]),
                ],
            ),
            &["updated 1.1.0 to 1.2.0", "back to 1.1.0"],
        ),
        (
            "later-hold",
            script(
                FROM_1_1_0,
                &[
                    (Rollback, &[0]),
                    (Damage, &[JOURNAL, LATER, 3, 1]),
                    (Name, &[r_1_1_0, 0]),
                    (Update, &[0]),
                    (Name, &[r_1_3_0, 0]),
                    (Update, &[0]),
                ],
            ),
            &["back to 1.0.0", "1.1.0 is on hold", "updated 1.0.0 to 1.3.0"],
        ),
        (
            "later-floors",
            script(
                FROM_1_1_0,
                &[
                    (Damage, &[FLOORS, LATER, 0, 0]),
                    (Damage, &[FLOORS, LATER, 1, 1]),
                    (Damage, &[FLOORS, LATER, 2, 2]),
                    (Damage, &[FLOORS, LATER, 3, 3]),
                    (Damage, &[FLOORS, LATER, 4, 4]),
                    (Update, &[0]),
                    (Roots, &[0, 3]),
                    (Name, &[release("2.0.0"), 0]),
                    (Update, &[0]),
                ],
            ),
            &["updated 1.1.0 to 1.2.0", "updated 1.2.0 to 2.0.0"],
        ),
        (
            "later-cache",
            script(FROM_1_1_0, &[(Damage, &[CACHE, LATER, 0, 0]), (Update, &[0])]),
            &["updated 1.1.0 to 1.2.0"],
        ),
    ]
}
