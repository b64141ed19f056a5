//! What the client remembers is gone, damaged or not its own, and at that moment the repository is somebody else's.
//!
//! The tool knows its own version and root. So damage costs floors and holds, and never an older executable (`tests/damage.rs` has what else
//! is promised of it).

use std::path::Path;

use relatch::trust::Digest;
use serde_json::{Value, json};

use crate::attack::Attack;
use crate::disk::Disk;
use crate::stage::Stage;
use crate::support::damage::{damages, newer, restate};
use crate::support::tool::{run, stderr};
use crate::support::{Draft, Key, now};

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
fn edit(state: &Path, change: fn(&mut Value)) {
    restate(state, |line| {
        let mut value: Value = serde_json::from_str(&line).unwrap();
        change(&mut value);
        value.to_string()
    });
}

/// A state that says that nothing was seen yet.
fn without_floors(state: &Path) {
    edit(state, |state| state["floors"] = json!({"epoch": 0, "seq": 0, "issued": 0, "manifest": null}));
}

/// What somebody might write who may write there, and would rather have something else run.
const TAMPERED: [(&str, Change); 9] = [
    ("tampered: no floors", without_floors),
    ("tampered: no root was ever trusted", |path| {
        edit(path, |state| {
            (state["root_version"], state["root_epoch"]) = (0.into(), 0.into());
        })
    }),
    ("tampered: of a lower epoch", |path| {
        edit(path, |state| {
            (state["root_epoch"], state["floors"]["epoch"]) = (1.into(), 1.into());
        })
    }),
    ("tampered: nothing expires", |path| edit(path, |state| state["expires"] = ((1_u64 << 53) - 1).into())),
    ("tampered: nothing was ever installed", |path| {
        edit(path, |state| {
            (state["installed"], state["previous"]) = (Value::Null, Value::Null);
        })
    }),
    ("tampered: the installed one is another", |path| {
        edit(path, |state| state["installed"] = state["previous"].clone())
    }),
    ("tampered: the previous one is another", |path| {
        edit(path, |state| {
            state["previous"]["blake3"] = Digest::of(b"another").to_string().into();
        })
    }),
    ("tampered: outdated, and first in every rollout", |path| {
        edit(path, |state| {
            let outdated = json!({"is": "outdated", "version": "999.0.0"});
            (state["standing"], state["min_version"], state["rollout"]) = (outdated, Value::Null, 0.into());
        })
    }),
    ("tampered: never checked", |path| {
        edit(path, |state| {
            (state["checked"], state["root_walked"], state["seen"]) = (0.into(), 0.into(), Value::Null);
        })
    }),
];

#[test]
fn damaged_states() {
    let mut changes: Vec<(&str, Change, Option<&str>)> = vec![
        ("deleted", |path| std::fs::remove_file(path).unwrap(), None),
        ("of a newer version of relatch", newer, Some("relatch-state/2")),
        (
            "of another product",
            |path| restate(path, |line| line.replacen("\"widget\"", "\"gadget\"", 1)),
            Some("the recorded state is for gadget"),
        ),
    ];
    changes.extend(TAMPERED.map(|(name, tampered)| (name, tampered, None)));
    let damaged = Some("the recorded state is damaged");
    changes.extend(damages().into_iter().map(|(name, damage)| (name, damage, damaged)));
    let mut stage = Stage::new();
    for (damage, change, said) in changes {
        for Offer { name, change: offer, told } in &OFFERS {
            let name = format!("state {damage}, and {name}");
            println!("4.2   {name}");
            let state = stage.tool.site_dir().join("state");
            let good = std::fs::read(&state).unwrap();
            change(&state);
            stage.publish(|draft, _| offer(draft));
            let before = stage.tool.snapshot();
            for arguments in [&["x"][..], &["--update"]] {
                let output = run(stage.tool.command().args(arguments));
                let heard = stderr(&output);
                match said {
                    Some(said) => assert!(heard.contains(said), "{name}: {heard}"),
                    None => assert!(!heard.contains("the recorded state"), "{name}: {heard}"),
                }
                // A state that is not ours to judge ends the check before anything is asked for.
                let ends = matches!(damage, "of a newer version of relatch" | "of another product");
                assert!(ends || heard.contains(told), "{name}: {heard}");
                assert_eq!(
                    output.status.code(),
                    Some(if arguments == ["x"] { 0 } else { 3 }),
                    "{name}: {heard}"
                );
                assert_eq!(stage.tool.snapshot(), before, "{name}: the disk changed");
            }
            stage.runs(&name, &stage.installed());
            assert!(!stage.mark().exists(), "{name}: the attacker's executable was run");
            if said.is_some_and(|said| Some(said) != damaged) {
                std::fs::write(&state, good).unwrap();
            }
            stage.heals(&name);
        }
    }
}

/// Without floors a replayed `VERSION` is believed until it expires. It is of an older release, which never takes the place of a newer one.
#[test]
fn a_replay_to_a_tool_without_a_state() {
    let mut stage = Stage::new();
    let forget: [Change; 2] = [|path| std::fs::remove_file(path).unwrap(), without_floors];
    for forget in forget {
        let replayed = std::fs::read(stage.repository.version_path()).unwrap();
        stage.heals("a release goes by");
        forget(&stage.tool.site_dir().join("state"));
        let executable = stage.tool.digest();
        std::fs::write(stage.repository.version_path(), replayed).unwrap();
        stage.runs("replayed", &stage.installed());
        assert_eq!(stage.tool.digest(), executable);
    }
    // With a state, again, it is what it is.
    stage.heals("a good release");
    let replayed = stage.current.clone();
    stage.heals("another one");
    stage.suffers(&Attack::new(
        "4h",
        "the release before, replayed to a state that was written anew",
        move |stage| stage.repository.publish(&replayed),
        refused!(Downgrade { .. }),
    ));
}

/// A swap that never was, written down as begun: recovery believes the bytes that lie there, and takes nothing away that runs. Who may
/// write there may have something held, as by a rollback.
#[test]
fn a_swap_that_never_was() {
    type Swap = fn(&Value) -> [Value; 3];
    fn elsewhere(state: &Value) -> Value {
        let mut elsewhere = state["installed"].clone();
        elsewhere["blake3"] = Digest::of(b"elsewhere").to_string().into();
        elsewhere
    }
    let swaps: [(&str, Swap, bool); 4] = [
        (
            "to the previous one",
            |state| ["previous".into(), state["installed"].clone(), state["previous"].clone()],
            false,
        ),
        (
            "to the one that runs",
            |state| ["previous".into(), state["previous"].clone(), state["installed"].clone()],
            true,
        ),
        (
            "to what is not there",
            |state| {
                let there =
                    json!({"version": "999.0.0", "blake3": Digest::of(b"elsewhere").to_string(), "epoch": 2});
                ["new-0123456789abcdef".into(), state["installed"].clone(), there]
            },
            false,
        ),
        (
            "between two that are not there",
            |state| ["previous".into(), elsewhere(state), elsewhere(state)],
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
            stage.tool.edit_state(|state| {
                let [file, from, to] = swap(state);
                held = state["held"].clone();
                if is_done && rollback {
                    held.as_array_mut().unwrap().push(from["version"].clone());
                }
                state["pending"] = json!({"file": file, "from": from, "to": to, "rollback": rollback});
            });
            let told = stage.runs(&name, &stage.installed());
            assert!(!told.contains("damaged"), "{name}: {told}");
            let state = Disk::of(&stage.tool).state;
            assert_eq!((&state["pending"], &state["held"]), (&Value::Null, &held), "{name}");
            assert_eq!(stage.tool.digest(), executable, "{name}");
            assert!(std::fs::read(stage.tool.previous()).unwrap() == previous, "{name}");
            assert!(!stage.mark().exists(), "{name}: the attacker's executable was run");
            stage.tool.edit_state(|state| state["held"] = json!(["0.5.0"]));
            stage.heals(&name);
        }
    }
}
