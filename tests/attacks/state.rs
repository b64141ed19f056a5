//! What the client remembers is gone, damaged or not its own, and at that moment the repository is somebody else's.
//!
//! The tool knows its own version and root. So damage costs floors and holds, and never an older executable (`tests/damage.rs` has what else
//! is promised of it).

use std::path::Path;

use crate::attack::Attack;
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

/// A state that says that nothing was seen yet, with the right hash.
fn without_floors(state: &Path) {
    restate(state, |line| {
        let (before, after) = line.split_once("\"floors\":{").unwrap();
        let (_, after) = after.split_once('}').unwrap();
        let none = r#""epoch":0,"seq":0,"issued":0,"manifest":null"#;
        format!("{before}\"floors\":{{{none}}}{after}")
    });
}

#[test]
fn damaged_states() {
    let mut changes: Vec<(&str, Change, Option<&str>)> = vec![
        ("deleted", |path| std::fs::remove_file(path).unwrap(), None),
        ("tampered: no floors", without_floors, None),
        ("of a newer version of relatch", newer, Some("relatch-state/2")),
        (
            "of another product",
            |path| restate(path, |line| line.replacen("\"widget\"", "\"gadget\"", 1)),
            Some("the recorded state is for gadget"),
        ),
    ];
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
                assert!(said.is_none_or(|said| heard.contains(said)), "{name}: {heard}");
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
