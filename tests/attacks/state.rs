//! What the client remembers is gone, damaged or not its own, and at that moment the repository is somebody else's.
//!
//! The tool knows its own version and root. So damage costs floors, holds and a check, and never an older executable (`tests/damage` has what else
//! is promised of it).

use std::path::Path;

use relatch::trust::Digest;
use serde_json::{Value, json};

use crate::attack::Attack;
use crate::stage::Stage;
use crate::support::damage::{damages, newer, restate};
use crate::support::tool::{run, stderr};
use crate::support::{Draft, Key, Snapshot, now};

/// What is offered meanwhile.
struct Offer {
    name: &'static str,
    change: fn(&mut Draft),
    /// What a start tells of it.
    told: &'static str,
}

#[rustfmt::skip]
const OFFERS: [Offer; 3] = [
    Offer { name: "a release by strangers", change: |draft| {
        draft.timestamp_keys = vec![Key::new(99)];
        draft.release_keys = vec![Key::new(98)];
    }, told: "VERSION is signed by 0 of the 1 timestamp keys" },
    Offer { name: "a release that has expired", change: |draft| draft.version["expires"] = (now() - 1).into(),
        told: "VERSION expired at" },
    Offer { name: "an executable by strangers under a good VERSION", change: |draft| draft.release_keys = vec![Key::new(98)],
        told: "the manifest is signed by 0 of the 1 release keys" },
];

type Change = fn(&Path);

/// With the right hash, as each of these.
fn edit(record: &Path, change: fn(&mut Value)) {
    restate(record, |line| {
        let mut value: Value = serde_json::from_str(&line).unwrap();
        change(&mut value);
        value.to_string()
    });
}

/// Floors that say that nothing was seen yet.
fn without_floors(floors: &Path) {
    edit(floors, |floors| floors["domains"][0]["epochs"] = json!([]));
}

/// What somebody might write who may write there, and would rather have something else run: the file, what it says, and how.
#[rustfmt::skip]
const TAMPERED: [(&str, &str, Change); 14] = [
    ("floors", "tampered: no floors", without_floors),
    ("floors", "tampered: no root was ever trusted", |path| edit(path, |floors| floors["domains"] = json!([]))),
    ("floors", "tampered: of a lower epoch", |path| edit(path, |floors| {
        let domain = &mut floors["domains"][0];
        (domain["epoch"], domain["epochs"][0]["epoch"]) = (1.into(), 1.into());
    })),
    ("floors", "tampered: of another chain", |path| edit(path, |floors| {
        let known = floors["domains"].as_array().unwrap().len();
        let another = Digest::of(&known.to_le_bytes()).to_string();
        let domain = &mut floors["domains"][0];
        (domain["id"], domain["lineage"]["hashes"]) = (another.clone().into(), json!([another]));
    })),
    ("floors", "tampered: nothing expires", |path| edit(path, |floors| {
        let floor = &mut floors["domains"][0]["epochs"][0]["channels"][0];
        (floor["expires"], floor["manifest_expires"]) = (NEVER.into(), NEVER.into());
    })),
    ("floors", "tampered: everything else is withdrawn", |path| edit(path, |floors| {
        let floor = &mut floors["domains"][0]["epochs"][0]["channels"][0];
        (floor["retracted"], floor["min_version"]) = (json!(["999.0.0"]), Value::Null);
    })),
    ("journal", "tampered: nothing was ever installed", |path| edit(path, |journal| {
        (journal["installed"], journal["kept"]) = (Value::Null, json!([]));
    })),
    ("journal", "tampered: the installed one is another", |path| edit(path, |journal| {
        journal["installed"] = previous(journal);
    })),
    ("journal", "tampered: the previous one is another", |path| edit(path, |journal| {
        journal["kept"][0]["blake3"] = Digest::of(b"another").to_string().into();
    })),
    ("journal", "tampered: first in every rollout, and nothing is held", |path| edit(path, |journal| {
        (journal["rollout"], journal["held"]) = (0.into(), json!([]));
    })),
    ("cache", "tampered: outdated", |path| edit(path, |cache| {
        cache["finding"] = json!({"is": "outdated", "version": "999.0.0"});
    })),
    ("cache", "tampered: never checked", |path| edit(path, |cache| {
        (cache["checked"], cache["root_checked"], cache["validator"]) = (Value::Null, Value::Null, Value::Null);
    })),
    ("cache", "tampered: checked at the end of time", |path| edit(path, |cache| {
        (cache["checked"], cache["root_checked"]) = (u64::MAX.into(), u64::MAX.into());
    })),
    ("cache", "tampered: failed for ever", |path| edit(path, |cache| {
        let key = Digest::of(b"another").to_string();
        cache["failure"] =
            json!({"at": now(), "count": u32::MAX, "text": "", "brief": false, "key": key, "shown": now()});
    })),
];

const NEVER: u64 = (1 << 53) - 1;

/// What the last swap took away, as what is installed is recorded.
fn previous(journal: &Value) -> Value {
    let mut previous = journal["kept"][0].clone();
    assert_eq!(previous.as_object_mut().unwrap().remove("file"), Some("previous".into()));
    previous
}

/// What is to be heard of a file in this state: nothing of a cache, ever.
fn changes(file: &'static str) -> Vec<(&'static str, Change, Option<&'static str>)> {
    let counts = |said: &'static str| Some(said).filter(|_| file != "cache");
    let mut changes: Vec<(&str, Change, Option<&str>)> = vec![
        ("deleted", |path| std::fs::remove_file(path).unwrap(), None),
        ("of a newer version of relatch", newer, None),
        (
            "of another product",
            |path| restate(path, |line| line.replacen("\"widget\"", "\"gadget\"", 1)),
            counts(OF_ANOTHER),
        ),
    ];
    let tampered = TAMPERED.into_iter().filter(|(of, ..)| *of == file);
    changes.extend(tampered.map(|(_, name, tampered)| (name, tampered, None)));
    changes.extend(damages().into_iter().map(|(name, damage)| (name, damage, counts(DAMAGED))));
    changes
}

const OF_ANOTHER: &str = "the recorded state is for gadget";
const DAMAGED: &str = "the recorded state is damaged";

/// Every file but the cache, in which a start records that it failed.
fn without_cache(stage: &Stage) -> Snapshot {
    let mut snapshot = stage.tool.snapshot();
    snapshot.0.retain(|name, _| !name.ends_with("/cache"));
    snapshot
}

/// In each field, whatever was changed there before.
fn something_to_lose(stage: &Stage) {
    stage.tool.edit("journal", |journal| {
        (journal["rollout"], journal["held"]) = (65.into(), json!([{"version": "0.5.0"}]));
    });
    stage.tool.edit("floors", |floors| {
        let domain = &mut floors["domains"][0];
        domain["epoch"] = 2.into();
        domain["epochs"].as_array_mut().unwrap().retain(|floors| floors["epoch"] == 2);
        domain["epochs"][0]["channels"][0]["retracted"] = json!([]);
    });
}

fn suffers_each(file: &'static str) {
    let mut stage = Stage::new();
    for (damage, change, said) in changes(file) {
        for Offer { name, change: offer, told } in &OFFERS {
            let name = format!("{file} {damage}, and {name}");
            println!("4.2   {name}");
            something_to_lose(&stage);
            let path = stage.tool.site_dir().join(file);
            let good = std::fs::read(&path).unwrap();
            change(&path);
            stage.publish(|draft, _| offer(draft));
            let before = without_cache(&stage);
            for arguments in [&["x"][..], &["--update"]] {
                let output = run(stage.tool.command().args(arguments));
                let heard = stderr(&output);
                match said {
                    Some(said) => assert!(heard.contains(said), "{name}: {heard}"),
                    None => assert!(!heard.contains("the recorded state"), "{name}: {heard}"),
                }
                // Records that are not ours to judge end the check before anything is asked for.
                assert!(said == Some(OF_ANOTHER) || heard.contains(told), "{name}: {heard}");
                assert_eq!(
                    output.status.code(),
                    Some(if arguments == ["x"] { 0 } else { 3 }),
                    "{name}: {heard}"
                );
                assert_eq!(without_cache(&stage), before, "{name}: the disk changed");
            }
            stage.runs(&name, &stage.installed());
            assert!(!stage.mark().exists(), "{name}: the attacker's executable was run");
            if said == Some(OF_ANOTHER) {
                std::fs::write(&path, good).unwrap();
            }
            stage.heals(&name);
        }
    }
}

#[test]
fn a_journal_that_is_damaged_or_not_ours() {
    suffers_each("journal");
}

#[test]
fn floors_that_are_damaged_or_not_ours() {
    suffers_each("floors");
}

/// Nothing depends on it: it costs a check, and is not worth a word.
#[test]
fn a_cache_that_is_damaged_or_not_ours() {
    suffers_each("cache");
}

/// Without floors a replayed `VERSION` is believed until it expires. It is of an older release, which never takes the place of a newer one.
#[test]
fn a_replay_to_a_tool_without_floors() {
    let mut stage = Stage::new();
    let forget: [Change; 2] = [|path| std::fs::remove_file(path).unwrap(), without_floors];
    for forget in forget {
        let replayed = std::fs::read(stage.repository.version_path()).unwrap();
        stage.heals("a release goes by");
        forget(&stage.tool.site_dir().join("floors"));
        let executable = stage.tool.digest();
        std::fs::write(stage.repository.version_path(), replayed).unwrap();
        stage.runs("replayed", &stage.installed());
        assert_eq!(stage.tool.digest(), executable);
    }
    // With floors, again, it is what it is; the cache has no say in it.
    stage.heals("a good release");
    let replayed = stage.current.clone();
    stage.heals("another one");
    std::fs::remove_file(stage.tool.site_dir().join("cache")).unwrap();
    stage.runs("without a cache", &stage.installed());
    stage.suffers(&Attack::new(
        "4h",
        "the release before, replayed to floors that were written anew",
        move |stage| stage.repository.publish(&replayed),
        refused!(Downgrade { .. }),
    ));
}

/// A swap that never was, written down as begun: recovery believes the bytes that lie there, and takes nothing away that runs. Who may
/// write there may have something held, as by a rollback.
#[test]
fn a_swap_that_never_was() {
    type Swap = fn(&Value) -> [Value; 3];
    fn elsewhere(journal: &Value) -> Value {
        let mut elsewhere = journal["installed"].clone();
        elsewhere["blake3"] = Digest::of(b"elsewhere").to_string().into();
        elsewhere
    }
    let swaps: [(&str, Swap, bool); 4] = [
        (
            "to the previous one",
            |journal| ["previous".into(), journal["installed"].clone(), previous(journal)],
            false,
        ),
        (
            "to the one that runs",
            |journal| ["previous".into(), previous(journal), journal["installed"].clone()],
            true,
        ),
        (
            "to what is not there",
            |journal| {
                let mut there = elsewhere(journal);
                there["version"] = "999.0.0".into();
                ["new-0123456789abcdef".into(), journal["installed"].clone(), there]
            },
            false,
        ),
        (
            "between two that are not there",
            |journal| ["previous".into(), elsewhere(journal), elsewhere(journal)],
            false,
        ),
    ];
    let mut stage = Stage::new();
    for (name, swap, is_done) in swaps {
        for rollback in [true, false] {
            let name = format!("a swap {name}{}", if rollback { ", by a rollback" } else { "" });
            println!("12    {name}");
            let previous = std::fs::read(stage.tool.previous()).unwrap();
            let executable = stage.tool.digest();
            let mut held = Value::Null;
            stage.tool.edit("journal", |journal| {
                let [file, from, to] = swap(journal);
                held = journal["held"].clone();
                if is_done && rollback {
                    held.as_array_mut().unwrap().push(json!({"version": from["version"]}));
                }
                journal["pending"] = json!({"file": file, "from": from, "to": to, "rollback": rollback});
            });
            let told = stage.runs(&name, &stage.installed());
            assert!(!told.contains("damaged"), "{name}: {told}");
            let journal = stage.tool.record("journal");
            assert_eq!((&journal["pending"], &journal["held"]), (&Value::Null, &held), "{name}");
            assert_eq!(stage.tool.digest(), executable, "{name}");
            assert!(std::fs::read(stage.tool.previous()).unwrap() == previous, "{name}");
            assert!(!stage.mark().exists(), "{name}: the attacker's executable was run");
            stage.tool.edit("journal", |journal| journal["held"] = json!([{"version": "0.5.0"}]));
            stage.heals(&name);
        }
    }
}
