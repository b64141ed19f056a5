//! Steps 7 and 8.

use serde_json::{Value, json};

use super::super::release::{EPOCH, NOW, Release};
use super::Case;
use super::kept::{copy, floor};

pub fn cases() -> Vec<Value> {
    let mut cases = decided();
    cases.extend(rollouts());
    cases.extend(remembered());
    cases
}

/// The client at this version, with an executable of its own.
fn at(case: Case, version: &str) -> Case {
    case.client("version", version)
        .client("executable", format!("the executable of {version}\n"))
        .journal("installed", copy(version))
}

fn decided() -> Vec<Value> {
    let case = Case::new;
    let no_target = |release: &mut Release| {
        release.manifest["artifacts"][0]["target"] = "riscv64gc-unknown-linux-gnu".into()
    };
    let retracts = |versions: Value| move |release: &mut Release| release.manifest["retracts"] = versions;
    let held = json!([{"version": "1.4.0"}]);
    let numbers = |name: &str, installed: &str, offered: &'static str| {
        at(Case::new(name, "build numbers: the order is that of numbers"), installed)
            .release(|release| *release = Release::of(offered, 7))
    };
    vec![
        case("higher", "1.4.0 is above 1.3.0").installs(),
        at(case("the same", "with another number"), "1.4.0").nothing("8b", "current"),
        at(case("lower", "1.4.0 is below 1.5.0"), "1.5.0").nothing("8b", "current"),
        at(case("lower by precedence", "1.4.0 is below 1.10.0"), "1.10.0").nothing("8b", "current"),
        at(case("above a pre-release", "1.4.0 is above 1.4.0-rc.1"), "1.4.0-rc.1").installs(),
        numbers("build number 10 above 9", "9", "10").installs(),
        numbers("build number 9 below 10", "10", "9").nothing("8b", "current"),
        at(case("retracted", "clients on 1.5.0 go to 1.4.0, though it is lower"), "1.5.0")
            .release(retracts(json!(["1.5.0"])))
            .installs(),
        at(case("another one retracted", "1.6.0 stays"), "1.6.0")
            .release(retracts(json!(["1.5.0"])))
            .nothing("8b", "current"),
        at(case("retracted and not in the rollout", "a rollout holds for that, too"), "1.5.0")
            .release(retracts(json!(["1.5.0"])))
            .release(|release| release.version["rollout"] = 50.into())
            .nothing("8e", "rollout"),
        case("no executable for the target", "no error").release(no_target).nothing("8a", "target"),
        case("no executable at all", "no error")
            .release(|release| release.manifest["artifacts"] = json!([]))
            .nothing("8a", "target"),
        case("the target is a prefix", "exactly this target")
            .release(|release| release.manifest["artifacts"][0]["target"] = "x86_64-unknown-linux".into())
            .nothing("8a", "target"),
        at(case("8b before 8a", "who is current is current"), "1.4.0")
            .release(no_target)
            .nothing("8b", "current"),
        case("8a before 8c", "held, and not there for this target")
            .release(no_target)
            .journal("held", held.clone())
            .nothing("8a", "target"),
        case("held", "a person left it").journal("held", held.clone()).nothing("8c", "held"),
        case("another one held", "1.4.0 is above it")
            .journal("held", json!([{"version": "1.3.9"}, {"version": "1.4.1"}]))
            .installs(),
        case("held, critical", "critical does not pass a hold")
            .journal("held", held.clone())
            .release(|release| release.manifest["critical"] = true.into())
            .nothing("8c", "held"),
        case("held, and a person asks", "--update=now does not pass a hold")
            .journal("held", held.clone())
            .now()
            .nothing("8c", "held"),
        at(case("held, and the installed one retracted", "a retraction does not pass a hold"), "1.5.0")
            .journal("held", held.clone())
            .release(retracts(json!(["1.5.0"])))
            .nothing("8c", "held"),
        case("8c before 8d", "held, and below the floor")
            .journal("held", held.clone())
            .floor("min_version", "2.0.0")
            .nothing("8c", "held"),
        case("below the floor", "of a release that was seen before")
            .floor("min_version", "1.4.1")
            .refuse_late("8d", json!({})),
        case("at the floor", "not below it").floor("min_version", "1.4.0").installs(),
        case("below the floor, and a person asks", "--update=now does not pass it")
            .floor("min_version", "1.4.1")
            .now()
            .refuse_late("8d", json!({})),
        case("8d before 8e", "below the floor, and not in the rollout")
            .floor("min_version", "1.4.1")
            .release(|release| release.version["rollout"] = 0.into())
            .refuse_late("8d", json!({})),
        case("a floor of another kind", "it does not compare; the release has none of its own")
            .floor("min_version", "7")
            .refuse_late("8d", json!({})),
        at(case("8b before 8d", "who is current is current"), "1.4.0")
            .floor("min_version", "1.4.1")
            .nothing("8b", "current"),
    ]
}

/// The client's place is 50 unless a vector says otherwise.
fn rollouts() -> Vec<Value> {
    let rollout = |name: &str, comment: &str, rollout: u64| {
        Case::new(name, comment).release(move |release| release.version["rollout"] = rollout.into())
    };
    let out = |case: Case| case.nothing("8e", "rollout");
    vec![
        out(rollout("rollout 0", "nobody", 0)),
        out(rollout("rollout 50, place 50", "places 0 to 49", 50)),
        rollout("rollout 51, place 50", "places 0 to 50", 51).installs(),
        out(rollout("rollout 0, place 0", "nobody", 0).journal("rollout", 0)),
        rollout("rollout 1, place 0", "the first", 1).journal("rollout", 0).installs(),
        out(rollout("rollout 99, place 99", "all but the last", 99).journal("rollout", 99)),
        rollout("rollout 100, place 99", "all", 100).journal("rollout", 99).installs(),
        rollout("rollout 0, and a person asks", "--update=now passes it", 0).now().installs(),
        rollout("rollout 0, critical", "critical passes it", 0)
            .release(|release| release.manifest["critical"] = true.into())
            .installs(),
    ]
}

/// The client followed the channel beta before, whose releases are not allowed below 2.0.0.
fn min_of_beta(case: Case) -> Case {
    let mut beta = floor(&Release::installed());
    (beta["channel"], beta["min_version"]) = ("beta".into(), "2.0.0".into());
    case.domain("epochs", json!([{"epoch": EPOCH, "channels": [floor(&Release::installed()), beta]}]))
}

/// Step 7.
fn remembered() -> Vec<Value> {
    let min =
        |value: &'static str| move |release: &mut Release| release.manifest["min_version"] = value.into();
    vec![
        Case::new("a min_version for the first time", "it is kept").release(min("1.2.0")).installs(),
        Case::new("a higher min_version", "it is raised")
            .floor("min_version", "1.1.0")
            .release(min("1.2.0"))
            .installs(),
        Case::new("a lower min_version", "it is not lowered")
            .floor("min_version", "1.2.0")
            .release(min("1.1.0"))
            .then_floor("min_version", "1.2.0")
            .installs(),
        Case::new("a lower min_version by precedence", "1.9.0 is below 1.10.0, though not as a string")
            .client("version", "1.11.0")
            .client("executable", "the executable of 1.11.0\n")
            .journal("installed", copy("1.11.0"))
            .floor("min_version", "1.10.0")
            .release(|release| {
                *release = Release::of("1.12.0", 7);
                release.manifest["min_version"] = "1.9.0".into();
            })
            .then_floor("min_version", "1.10.0")
            .installs(),
        Case::new("a min_version of another kind", "it does not compare: the new one counts")
            .floor("min_version", "7")
            .release(min("1.2.0"))
            .installs(),
        Case::new("no min_version", "the one before stays").floor("min_version", "1.2.0").installs(),
        Case::new("a min_version of an epoch before", "it is dropped with its epoch")
            .floor_of_epoch(EPOCH - 1)
            .floor("min_version", "2.0.0")
            .installs(),
        Case::new(
            "a min_version of an epoch before, and a new one",
            "the new one counts, though it is lower",
        )
        .floor_of_epoch(EPOCH - 1)
        .floor("min_version", "2.0.0")
        .release(min("1.2.0"))
        .installs(),
        min_of_beta(Case::new(
            "a min_version of another channel",
            "it bounds what may come back, not what is installed",
        ))
        .installs(),
        Case::new("a retracted version", "it is remembered")
            .release(|release| release.manifest["retracts"] = json!(["1.3.9"]))
            .installs(),
        Case::new("another retracted version", "both are remembered, the latest last")
            .floor("retracted", json!(["1.3.9", "1.2.0"]))
            .release(|release| release.manifest["retracts"] = json!(["1.3.8", "1.3.9"]))
            .installs(),
        Case::new("a retracted version that is released again", "it is not retracted any more")
            .floor("retracted", json!(["1.3.9", "1.4.0"]))
            .installs(),
        Case::new("critical", "it is kept")
            .release(|release| release.manifest["critical"] = true.into())
            .installs(),
        Case::new("no more critical", "it is of the last release alone").floor("critical", true).installs(),
        Case::new(
            "everything advances on a check that installs nothing",
            "floors, expires, critical and min_version",
        )
        .release(|release| {
            release.version["rollout"] = 0.into();
            (release.manifest["min_version"], release.manifest["notes"]) =
                ("1.2.0".into(), "not for everybody yet".into());
            release.version["issued"] = NOW.into();
        })
        .nothing("8e", "rollout"),
    ]
}
