//! How each folder of the corpus came to be, and what it means.

use relatch::{Error, Finding, Outcome, Refusal};
use serde_json::{Value, json};

use crate::later;
use crate::place::Place;
use crate::release::{EPOCH, Release, blake3, executable, keys, root, root_of};

/// A folder: its name, the client that leaves it, and what a client that finds it must do.
pub struct Situation {
    pub name: &'static str,
    pub write: fn() -> Place,
    pub means: fn(&Place),
}

const ONE: &[u8] = &[1];

/// 1.4.0 with number 7.
fn good() -> Release {
    Release::good()
}

fn with(mut release: Release, change: impl FnOnce(&mut Release)) -> Release {
    change(&mut release);
    release
}

fn updates(place: &Place, releases: &[Release]) {
    updates_under(place, &[(root(1), ONE)], releases);
}

fn updates_under(place: &Place, roots: &[(Value, &[u8])], releases: &[Release]) {
    place.serve(roots, releases);
    let (from, to) = (place.version(), releases.last().unwrap().version["version"].clone());
    let done =
        place.update(&roots[0].0, releases.last().unwrap().version["channel"].as_str().unwrap(), &from);
    assert!(matches!(done, Ok(Outcome::Updated { .. })), "{done:?}");
    assert_eq!(to, place.version().as_str());
}

fn finds(place: &Place, release: Release) -> Finding {
    place.serve(&[(root(1), ONE)], &[release]);
    match place.update(&root(1), "stable", &place.version()) {
        Ok(Outcome::Nothing(finding)) => finding,
        other => panic!("{other:?}"),
    }
}

/// The refusal of an update that is offered this; nothing is installed.
fn refuses(place: &Place, anchor: &Value, channel: &str, release: Release) -> Refusal {
    let before = place.version();
    place.serve(&[(anchor.clone(), ONE)], &[release]);
    match place.update(anchor, channel, &before) {
        Err(Error::Refused(refusal)) => {
            assert_eq!(place.version(), before);
            refusal
        }
        other => panic!("{other:?}"),
    }
}

fn refuses_rollback(place: &Place) -> Refusal {
    let before = place.version();
    match place.rollback() {
        Err(Error::Refused(refusal)) => {
            assert_eq!(place.version(), before);
            refusal
        }
        other => panic!("{other:?}"),
    }
}

fn goes_back(place: &Place, to: &str) {
    assert_eq!(place.rollback().unwrap().installed().to_string(), to);
    assert_eq!(place.version(), to);
}

fn goes_forward(place: &Place, to: &str) {
    assert_eq!(place.forward(to).unwrap().installed().to_string(), to);
    assert_eq!(place.version(), to);
}

/// An older release than was seen is refused.
fn floor_holds(place: &Place) {
    let refusal = refuses(place, &root(1), "stable", Release::of("1.9.0", 5));
    assert!(matches!(refusal, Refusal::Downgrade { .. }), "{refusal}");
}

fn updated() -> Place {
    let place = Place::new("1.3.0");
    assert_eq!(finds(&place, Release::installed()), Finding::Current);
    updates(&place, &[good()]);
    place
}

fn rolled_back() -> Place {
    let place = updated();
    goes_back(&place, "1.3.0");
    place
}

fn raised() -> Value {
    let mut two = root(2);
    two["epoch"] = (EPOCH + 1).into();
    two
}

/// Root 1 of other keys.
fn other() -> Value {
    root_of(1, [(&[11], 1), (&[12], 1), (&[13], 1)])
}

/// The swap was interrupted: the journal has it pending.
fn interrupted(place: &Place, file: &str, from: usize, rollback: bool) {
    let journal = place.record("journal");
    let installed = journal["installed"].clone();
    let mut kept = journal["kept"][0].clone();
    kept.as_object_mut().unwrap().shift_remove("file");
    let executables = [installed, kept];
    place.edit("journal", |journal| {
        journal["pending"] =
            json!({"file": file, "from": executables[from], "to": executables[1 - from], "rollback": rollback});
    });
}

const STAGED: &str = "new-0123456789abcdef";

/// What a failed start recorded, with text in several scripts.
const FAILURE: &str = "not updated: \u{41d}\u{435}\u{442} \u{43c}\u{435}\u{441}\u{442}\u{430} \u{2014} \u{7a7a}\u{304d}\u{304c}\u{306a}\u{3044} \u{1f4be} \"\\\u{1b}[31m\n  Free some space.";

pub const ALL: &[Situation] = &[
    Situation {
        name: "first-check",
        write: || {
            let place = Place::new("1.3.0");
            assert_eq!(finds(&place, Release::installed()), Finding::Current);
            place
        },
        means: |place| {
            floor_holds(place);
            updates(place, &[good()]);
        },
    },
    Situation {
        name: "update",
        write: updated,
        means: |place| {
            floor_holds(place);
            goes_back(place, "1.3.0");
        },
    },
    Situation {
        name: "rollback",
        write: rolled_back,
        means: |place| {
            assert!(matches!(finds(place, good()), Finding::Held { critical: false, .. }));
            updates(place, &[Release::of("1.5.0", 8)]);
        },
    },
    Situation {
        name: "rollback-of-a-critical-release",
        write: || {
            let place = Place::new("1.3.0");
            updates(&place, &[with(good(), |release| release.manifest["critical"] = true.into())]);
            goes_back(&place, "1.3.0");
            place
        },
        means: |place| {
            assert!(matches!(place.status().finding, Some(Finding::Held { critical: true, .. })));
            goes_forward(place, "1.4.0");
        },
    },
    Situation {
        name: "interrupted-update",
        write: || {
            let place = updated();
            interrupted(&place, STAGED, 1, false);
            place
        },
        means: |place| {
            // The names are exchanged, and the old executable has the staged one's.
            place.write("previous", &executable("1.2.0"));
            place.write(STAGED, &executable("1.3.0"));
            goes_back(place, "1.3.0");
        },
    },
    Situation {
        name: "interrupted-rollback",
        write: || {
            let place = updated();
            interrupted(&place, "previous", 0, true);
            place
        },
        means: |place| {
            // The names are not exchanged: it did not happen.
            assert_eq!(finds(place, good()), Finding::Current);
            assert_eq!(place.status().held, []);
            goes_back(place, "1.3.0");
        },
    },
    Situation {
        name: "raised-epoch",
        write: || {
            let place = updated();
            let next = with(Release::of("1.5.0", 1), |release| release.set("epoch", EPOCH + 1));
            updates_under(&place, &[(root(1), ONE), (raised(), ONE)], &[next]);
            place
        },
        means: |place| {
            let refusal = refuses_rollback(place);
            assert!(matches!(refusal, Refusal::PreviousEpoch { .. }), "{refusal}");
            let refusal = refuses(place, &root(1), "stable", Release::of("1.9.0", 9));
            assert!(matches!(refusal, Refusal::WrongEpoch { .. }), "{refusal}");
        },
    },
    Situation {
        name: "two-domains",
        write: || {
            let place = updated();
            let next = with(Release::of("1.5.0", 1), |release| {
                (release.release_keys, release.timestamp_keys) = (keys(&[12]), keys(&[13]));
            });
            updates_under(&place, &[(other(), &[11])], &[next]);
            place
        },
        means: |place| {
            let refusal = refuses_rollback(place);
            assert!(matches!(refusal, Refusal::PreviousDomain { .. }), "{refusal}");
            // The program of the old keys: its floors are still there.
            floor_holds(place);
        },
    },
    Situation {
        name: "two-channels",
        write: || {
            let place = updated();
            let beta = with(Release::of("1.5.0", 90), |release| {
                release.set("channel", "beta");
                release.manifest["min_version"] = "1.4.1".into();
            });
            updates(&place, &[beta]);
            place
        },
        means: |place| {
            floor_holds(place);
            let refusal = refuses_rollback(place);
            assert!(matches!(refusal, Refusal::BelowFloor { .. }), "{refusal}");
        },
    },
    Situation {
        name: "retraction",
        write: || {
            let place = updated();
            let good_old =
                with(Release::of("1.3.9", 8), |release| release.manifest["retracts"] = json!(["1.4.0"]));
            updates(&place, &[good_old]);
            place
        },
        means: |place| {
            let refusal = refuses_rollback(place);
            assert!(matches!(refusal, Refusal::Retracted { .. }), "{refusal}");
            floor_holds(place);
        },
    },
    Situation {
        name: "not-in-rollout",
        write: || {
            let place = Place::new("1.3.0");
            let finding = finds(&place, with(good(), |release| release.version["rollout"] = 0.into()));
            assert!(matches!(finding, Finding::NotInRollout { .. }));
            place
        },
        means: |place| {
            assert!(matches!(place.status().finding, Some(Finding::NotInRollout { rollout: 0, .. })));
            floor_holds(place);
        },
    },
    Situation {
        name: "no-target",
        write: || {
            let place = Place::new("1.3.0");
            let finding = finds(&place, with(good(), |release| release.manifest["artifacts"] = json!([])));
            assert!(matches!(finding, Finding::NoTarget { .. }));
            place
        },
        means: |place| {
            assert!(matches!(place.status().finding, Some(Finding::NoTarget { .. })));
            floor_holds(place);
        },
    },
    Situation {
        name: "failure",
        write: || {
            let place = updated();
            place.edit("cache", |cache| {
                cache["failure"] = json!({"at": 1_799_999_000, "count": 7, "text": FAILURE, "brief": false, "key": blake3(b"key"), "shown": 1_799_998_000});
                (cache["warned"], cache["failed_probe"]) = (1_799_990_000.into(), blake3(b"manifest").into());
                cache["validator"] = json!({"location": blake3(b"here"), "root": blake3(b"root"), "manifest": blake3(b"manifest"), "etag": "W/\"5f2c9a0e\"", "until": 1_800_000_000});
            });
            place
        },
        means: |place| {
            assert_eq!(place.status().failure.as_deref(), Some(FAILURE));
            assert_eq!(finds(place, good()), Finding::Current);
            assert_eq!(place.status().failure, None);
        },
    },
    Situation {
        name: "build-numbers",
        write: || {
            let place = Place::new("9");
            updates(&place, &[Release::of("10", 7)]);
            goes_back(&place, "9");
            place
        },
        means: |place| {
            floor_holds_of_numbers(place);
            goes_forward(place, "10");
        },
    },
    Situation { name: "most", write: most, means: means_most },
    Situation {
        name: "later",
        write: || {
            let place = rolled_back();
            later::edit(&place);
            place
        },
        means: later::means,
    },
];

fn floor_holds_of_numbers(place: &Place) {
    let refusal = refuses(place, &root(1), "stable", Release::of("11", 5));
    assert!(matches!(refusal, Refusal::Downgrade { .. }), "{refusal}");
}

/// Every list is as long as it may be.
fn most() -> Place {
    let place = rolled_back();
    let held: Vec<_> = (0..16).map(|n| json!({"version": format!("0.0.{n}")})).collect();
    place.edit("journal", |journal| journal["held"] = held.into());
    place.edit("floors", |floors| {
        let domain = &mut floors["domains"][0];
        // The anchor is the last root of its lineage.
        let anchor = domain["id"].clone();
        let mut hashes: Vec<Value> = (1..1024_u32).map(|n| blake3(&n.to_le_bytes()).into()).collect();
        hashes.push(anchor);
        domain["lineage"] = json!({"first": 1, "hashes": hashes});
        let channels = domain["epochs"][0]["channels"].as_array_mut().unwrap();
        channels[0]["retracted"] = (0..256).map(|n| format!("0.1.{n}")).collect::<Vec<_>>().into();
        let others: Vec<_> = (1..64)
            .map(|n| {
                let mut other = channels[0].clone();
                (other["channel"], other["retracted"]) = (format!("channel-{n}").into(), json!([]));
                other
            })
            .collect();
        channels.extend(others);
        let others: Vec<_> = (1..16_u32)
            .map(|n| {
                let hash = blake3(&n.to_be_bytes());
                json!({"id": hash, "lineage": {"first": 1, "hashes": [hash]}, "epoch": n, "epochs": []})
            })
            .collect();
        floors["domains"].as_array_mut().unwrap().extend(others);
    });
    place
}

fn means_most(place: &Place) {
    // The seventeenth hold displaces the oldest.
    goes_forward(place, "1.4.0");
    goes_back(place, "1.3.0");
    let held = place.status().held;
    assert_eq!(
        (held.len(), held[0].version.to_string(), held[15].version.to_string()),
        (16, "0.0.1".into(), "1.4.0".into())
    );
    // A seventeenth domain is refused, and no record is dropped for it.
    let by_other = with(Release::of("1.9.0", 9), |release| {
        (release.release_keys, release.timestamp_keys) = (keys(&[12]), keys(&[13]));
    });
    let refusal = refuses(place, &other(), "stable", by_other);
    assert!(matches!(refusal, Refusal::TooManyDomains { domains: 16 }), "{refusal}");
    assert_eq!(place.record("floors")["domains"].as_array().unwrap().len(), 16);
}
