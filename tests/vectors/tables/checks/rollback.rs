//! Section 6.

use serde_json::{Value, json};

use super::super::release::{EPOCH, Release, blake3, executable, root};
use super::kept::{ANCHOR, copy, floor, previous};
use super::{Case, root_hash};
use crate::file::content;

/// The client is at 1.3.0 and was at 1.2.0 before.
fn case(name: &str, comment: &str) -> Case {
    Case::new(name, comment)
        .client("command", "rollback")
        .client("previous", content(&executable("1.2.0")))
        .journal("kept", json!([previous(&copy("1.2.0"))]))
}

/// Put at the path by a rollback.
fn returned(version: &str) -> Value {
    let mut executable = copy(version);
    executable["returned"] = true.into();
    executable
}

fn holds(versions: &[&str]) -> Value {
    versions.iter().map(|version| json!({"version": version})).collect::<Vec<_>>().into()
}

/// Names are exchanged, and what was left, `from`, is held last.
fn leaves(case: Case, from: &Value, held: &[&str]) -> Value {
    let case = case
        .then_journal("installed", returned("1.2.0"))
        .then_journal("kept", json!([previous(from)]))
        .then_journal("held", holds(held));
    let is_known = !case.is_damaged("cache");
    let mut case = case.then(move |kept| {
        let about = json!({"version": "1.3.0", "blake3": blake3(&executable("1.3.0"))});
        if !is_known || kept.cache.is_null() || kept.cache["about"] != about {
            return;
        }
        let critical = kept.floors.is_object() && kept.floor()["critical"] == true;
        if kept.cache["finding"] == json!({"is": "current"}) {
            kept.cache["finding"] = json!({"is": "held", "version": "1.3.0", "critical": critical});
        } else if kept.cache["finding"]["version"] == "1.2.0" {
            kept.cache["finding"] = json!({"is": "current"});
        }
        kept.cache["about"] = json!({"version": "1.2.0", "blake3": blake3(&executable("1.2.0"))});
    });
    case.after.insert("executable".into(), content(&executable("1.2.0")));
    case.after.insert("previous".into(), content(&executable("1.3.0")));
    let kept = case.kept.clone();
    case.finish(json!({"result": "install", "version": "1.2.0"}), kept)
}

fn goes_back(case: Case, held: &[&str]) -> Value {
    leaves(case, &copy("1.3.0"), held)
}

/// Where an executable from before `previous` is kept.
const FURTHER: &str = "kept-0123456789abcdef";

fn further(version: &str) -> Value {
    let mut kept = previous(&copy(version));
    kept["file"] = FURTHER.into();
    kept
}

/// The client was at 1.1.0 before that, too.
fn two(name: &str, comment: &str) -> Case {
    case(name, comment)
        .client("kept", json!({FURTHER: content(&executable("1.1.0"))}))
        .journal("kept", json!([previous(&copy("1.2.0")), further("1.1.0")]))
}

fn named(case: Case, command: &str, to: &str) -> Case {
    case.client("command", command).client("to", to)
}

/// Back to one of the two: what leaves gets its place, as the first.
fn several(case: Case, to: &'static str, held: &[&str]) -> Value {
    let (kept, further_after) = match to {
        "1.2.0" => (json!([previous(&copy("1.3.0")), further("1.1.0")]), "1.1.0"),
        _ => (json!([further("1.3.0"), previous(&copy("1.2.0"))]), "1.3.0"),
    };
    let mut case = case
        .then_journal("installed", returned(to))
        .then_journal("kept", kept)
        .then_journal("held", holds(held));
    if to == "1.2.0" {
        case.after.insert("previous".into(), content(&executable("1.3.0")));
    }
    went(case, to, json!({FURTHER: content(&executable(further_after))}))
}

/// What the cache found is about the executable that came to the path.
fn went(case: Case, to: &'static str, kept: Value) -> Value {
    let held = to != "1.4.0";
    let mut case = case.then(move |kept| {
        let critical = kept.floor()["critical"].clone();
        kept.cache["finding"] = match held {
            true => json!({"is": "held", "version": "1.3.0", "critical": critical}),
            false => json!({"is": "current"}),
        };
        kept.cache["about"] = json!({"version": to, "blake3": blake3(&executable(to))});
    });
    case.after.insert("executable".into(), content(&executable(to)));
    case.after.insert("kept".into(), kept);
    let kept = case.kept.clone();
    case.finish(json!({"result": "install", "version": to}), kept)
}

/// The lineage of these clients has this root, too.
fn of_root_seven(version: &str) -> Value {
    let mut executable = copy(version);
    executable["domain"] = root_hash(&root(7)).into();
    executable
}

pub fn cases() -> Vec<Value> {
    let nothing = || json!({"reason": "nothing"});
    let altered = || json!({"reason": "altered"});
    let of = |epoch: u64, domain: &str| {
        json!([previous(
            &json!({"version": "1.2.0", "blake3": blake3(&executable("1.2.0")), "epoch": epoch, "domain": domain})
        )])
    };
    let sixteen: Vec<String> = (0..16).map(|n| format!("0.0.{n}")).collect();
    let sixteen: Vec<&str> = sixteen.iter().map(String::as_str).collect();
    let unrecorded =
        json!({"version": "1.3.0", "blake3": blake3(&executable("1.3.0")), "epoch": 1, "domain": ANCHOR});
    let damaged = || json!({"reason": "damaged"});
    let beta = |min_version: &str| {
        let mut beta = floor(&Release::installed());
        (beta["channel"], beta["min_version"]) = ("beta".into(), min_version.into());
        json!([{"epoch": EPOCH, "channels": [floor(&Release::installed()), beta]}])
    };
    let mut retracted_by_beta = beta("1.0.0");
    retracted_by_beta[0]["channels"][1]["retracted"] = json!(["1.2.0"]);
    let older_epoch = json!([
        {"epoch": EPOCH - 1, "channels": [{"channel": "stable", "seq": 9, "issued": 1, "manifest": "00".repeat(32), "expires": 2, "manifest_expires": 2, "critical": false, "min_version": "9.0.0", "retracted": ["1.2.0"]}]},
        {"epoch": EPOCH, "channels": [floor(&Release::installed())]},
    ]);
    vec![
        leaves(
            case("from nothing recorded", "the running version, of epoch 1: it does not come back here")
                .journal("installed", Value::Null),
            &unrecorded,
            &["1.3.0"],
        ),
        leaves(
            case(
                "from other bytes than are recorded",
                "the running version, of epoch 1: it does not come back here",
            )
            .journal(
                "installed",
                json!({"version": "1.2.9", "blake3": blake3(b"?"), "epoch": EPOCH, "domain": ANCHOR}),
            ),
            &unrecorded,
            &["1.3.0"],
        ),
        case("the journal is damaged", "its hashes are needed")
            .damaged("journal")
            .refuse_with("2", damaged()),
        case("the floors are damaged", "nobody knows what may come back")
            .damaged("floors")
            .refuse_with("2", damaged()),
        goes_back(case("the cache is damaged", "nothing depends on it").damaged("cache"), &["1.3.0"]),
        goes_back(case("the cache is absent", "nothing depends on it").absent_files(&["cache"]), &["1.3.0"]),
        goes_back(
            case("the floors are absent", "nothing is known that could forbid it").absent_files(&["floors"]),
            &["1.3.0"],
        ),
        goes_back(case("back", "what is left is held; floors stay"), &["1.3.0"]),
        goes_back(
            case("back from a critical release", "the record says so").floor("critical", true),
            &["1.3.0"],
        ),
        {
            let case = case("twice", "it changes nothing")
                .journal("installed", returned("1.3.0"))
                .journal("held", holds(&["1.4.0"]));
            let kept = case.kept.clone();
            case.finish(json!({"result": "nothing", "step": "6", "reason": "returned"}), kept)
        },
        goes_back(
            case("held twice", "a version is held once, as the last")
                .journal("held", holds(&["1.3.0", "0.9.0"])),
            &["0.9.0", "1.3.0"],
        ),
        goes_back(
            case("the seventeenth hold", "the oldest goes").journal("held", holds(&sixteen)),
            &[&sixteen[1..], &["1.3.0"]].concat(),
        ),
        goes_back(
            case("without a repository", "it needs none").object("stable/VERSION", Value::Null),
            &["1.3.0"],
        ),
        goes_back(case("at the floor", "not below it").floor("min_version", "1.2.0"), &["1.3.0"]),
        Case::new("no previous recorded", "only an update leaves one")
            .client("command", "rollback")
            .client("previous", content(&executable("1.2.0")))
            .refuse_with("6.1", nothing()),
        case("no previous there", "somebody removed it")
            .client("previous", Value::Null)
            .refuse_with("6.1", nothing()),
        case("previous altered", "a disk fault, or somebody")
            .client("previous", "another file\n")
            .refuse_with("6.1", altered()),
        case("below the floor", "the publisher has signed that it must not run")
            .floor("min_version", "1.2.1")
            .refuse("6.2"),
        case("below the floor of another channel", "the highest of all channels counts")
            .domain("epochs", beta("1.2.1"))
            .refuse("6.2"),
        goes_back(
            case("a floor of another kind", "it does not compare, and bounds nothing")
                .floor("min_version", "7"),
            &["1.3.0"],
        ),
        case("a floor of another kind, and one of another channel", "the one that compares counts")
            .domain("epochs", beta("1.2.1"))
            .floor("min_version", "7")
            .refuse("6.2"),
        case("retracted", "the publisher withdrew it")
            .floor("retracted", json!(["1.1.0", "1.2.0"]))
            .refuse("6.3"),
        case("retracted on another channel", "it is the same version")
            .domain("epochs", retracted_by_beta)
            .refuse("6.3"),
        goes_back(
            case("below the floor of an epoch before, and retracted there", "its keys were stolen, perhaps")
                .domain("epochs", older_epoch),
            &["1.3.0"],
        ),
        case("of a lower epoch", "its keys were stolen, perhaps")
            .journal("kept", of(EPOCH - 1, ANCHOR))
            .refuse("6.4"),
        case("of a higher epoch", "the trusted one, exactly")
            .journal("kept", of(EPOCH + 1, ANCHOR))
            .refuse("6.4"),
        case("the root is of a higher epoch", "that of the newest root is the trusted one")
            .domain("epoch", EPOCH + 1)
            .refuse("6.4"),
        case("of another trust domain", "other root keys released it")
            .journal("kept", of(EPOCH, &root_hash(&root(7))))
            .refuse("6.5"),
        leaves(
            case(
                "of the same trust domain, which had another name",
                "its floors were lost since: the name is a root of it",
            )
            .verified(&root(7))
            .journal("installed", of_root_seven("1.3.0")),
            &of_root_seven("1.3.0"),
            &["1.3.0"],
        ),
        case("of a trust domain that had another name, below the floor", "it is the same domain")
            .verified(&root(7))
            .floor("min_version", "1.2.1")
            .journal("kept", of(EPOCH, &root_hash(&root(7))))
            .refuse("6.2"),
        several(two("two are kept", "the one that left last"), "1.2.0", &["1.3.0"]),
        several(
            two("two are kept, and the first is retracted", "it is passed over")
                .floor("retracted", json!(["1.2.0"])),
            "1.1.0",
            &["1.3.0"],
        ),
        several(
            two("two are kept, and the first is altered", "it is passed over")
                .client("previous", "another file\n"),
            "1.1.0",
            &["1.3.0"],
        ),
        several(
            two(
                "two are kept, and the second of them is held",
                "it is not what left last, and would be passed over",
            )
            .journal("held", holds(&["1.1.0"])),
            "1.2.0",
            &["1.1.0", "1.3.0"],
        ),
        two("two are kept, and both are refused", "the reason of the first")
            .client("previous", "another file\n")
            .floor("retracted", json!(["1.1.0"]))
            .refuse_with("6.1", altered()),
        several(named(two("one of two", "by its name"), "rollback", "1.1.0"), "1.1.0", &["1.3.0"]),
        several(
            named(two("one that is held", "a person names it"), "rollback", "1.1.0")
                .journal("held", holds(&["1.1.0"])),
            "1.1.0",
            &["1.3.0"],
        ),
        named(two("one of two that is retracted", "it is named, and refused"), "rollback", "1.1.0")
            .floor("retracted", json!(["1.1.0"]))
            .refuse_with("6.3", json!({})),
        named(two("one that is not kept", "there is no network here"), "rollback", "1.0.0")
            .refuse_with("6", json!({"reason": "not-kept"})),
        named(two("back to a newer one", "that is forward"), "rollback", "1.4.0")
            .client("kept", json!({FURTHER: content(&executable("1.4.0"))}))
            .journal("kept", json!([previous(&copy("1.2.0")), further("1.4.0")]))
            .refuse_with("6", json!({"reason": "newer"})),
        named(two("forward to an older one", "that is back"), "forward", "1.2.0")
            .refuse_with("6", json!({"reason": "older"})),
        {
            let case = named(two("back to what is installed", "it changes nothing"), "rollback", "1.3.0");
            let kept = case.kept.clone();
            case.finish(json!({"result": "nothing", "step": "6", "reason": "installed"}), kept)
        },
        {
            let case = named(two("forward", "the hold ends, and there is no new one"), "forward", "1.4.0")
                .client("kept", json!({FURTHER: content(&executable("1.4.0"))}))
                .journal("kept", json!([further("1.4.0"), previous(&copy("1.2.0"))]))
                .journal("held", holds(&["1.4.0"]));
            let case = case
                .then_journal("installed", copy("1.4.0"))
                .then_journal("kept", json!([further("1.3.0"), previous(&copy("1.2.0"))]))
                .then_journal("held", json!([]));
            went(case, "1.4.0", json!({FURTHER: content(&executable("1.3.0"))}))
        },
        case("6.1 before 6.2", "altered, and below the floor")
            .client("previous", "another file\n")
            .floor("min_version", "2.0.0")
            .refuse_with("6.1", altered()),
        case("6.2 before 6.3", "below the floor, and retracted")
            .floor("min_version", "2.0.0")
            .floor("retracted", json!(["1.2.0"]))
            .refuse("6.2"),
        case("6.3 before 6.4", "retracted, and of another epoch")
            .floor("retracted", json!(["1.2.0"]))
            .journal("kept", of(1, ANCHOR))
            .refuse("6.3"),
    ]
}
