//! Section 6.

use serde_json::{Value, json};

use super::super::release::{EPOCH, blake3, executable};
use super::{Case, copy};
use crate::file::content;

/// The client is at 1.3.0 and was at 1.2.0 before.
fn case(name: &str, comment: &str) -> Case {
    Case::new(name, comment)
        .client("command", "rollback")
        .client("previous", content(&executable("1.2.0")))
        .state("previous", copy("1.2.0"))
}

/// Names are exchanged, and what was left is held last.
fn goes_back(case: Case, held: &[&str]) -> Value {
    let mut case =
        case.then("installed", copy("1.2.0")).then("previous", copy("1.3.0")).then("held", json!(held));
    case.after.insert("executable".into(), content(&executable("1.2.0")));
    case.after.insert("previous".into(), content(&executable("1.3.0")));
    case.finish(json!({"result": "install", "version": "1.2.0"}))
}

pub fn cases() -> Vec<Value> {
    let nothing = || json!({"reason": "nothing"});
    let altered = || json!({"reason": "altered"});
    let epoch =
        |epoch: u64| json!({"version": "1.2.0", "blake3": blake3(&executable("1.2.0")), "epoch": epoch});
    let sixteen: Vec<String> = (0..16).map(|n| format!("0.0.{n}")).collect();
    let mut last_sixteen: Vec<&str> = sixteen[1..].iter().map(String::as_str).collect();
    last_sixteen.push("1.3.0");
    let unrecorded = |case: Case| {
        let case = case.then("installed", copy("1.2.0")).then("held", json!(["1.3.0"]));
        let mut case = case.then(
            "previous",
            json!({"version": "1.3.0", "blake3": blake3(&executable("1.3.0")), "epoch": 1}),
        );
        case.after.insert("executable".into(), content(&executable("1.2.0")));
        case.after.insert("previous".into(), content(&executable("1.3.0")));
        case.finish(json!({"result": "install", "version": "1.2.0"}))
    };
    vec![
        unrecorded(
            case("from nothing recorded", "the running version, of epoch 1: it does not come back here")
                .state("installed", Value::Null),
        ),
        unrecorded(
            case(
                "from other bytes than are recorded",
                "the running version, of epoch 1: it does not come back here",
            )
            .state("installed", json!({"version": "1.2.9", "blake3": blake3(b"?"), "epoch": EPOCH})),
        ),
        goes_back(
            case("with the state of another channel", "it stays one").state("channel", "beta"),
            &["1.3.0"],
        ),
        case("with the state of another channel, below its floor", "the state counts as it is")
            .state("channel", "beta")
            .state("min_version", "1.2.1")
            .refuse("6.2"),
        case("the state is damaged", "its hashes are needed")
            .client("state_file", "damaged")
            .refuse_with("2", json!({"reason": "damaged"})),
        goes_back(case("back", "what is left is held; floors stay"), &["1.3.0"]),
        goes_back(
            case("forward again", "what comes back is not held any more").state("held", json!(["1.2.0"])),
            &["1.3.0"],
        ),
        goes_back(
            case("held twice", "a version is held once, as the last")
                .state("held", json!(["1.3.0", "0.9.0"])),
            &["0.9.0", "1.3.0"],
        ),
        goes_back(
            case("the seventeenth hold", "the oldest goes").state("held", json!(sixteen)),
            &last_sixteen,
        ),
        goes_back(
            case("without a repository", "it needs none").object("stable/VERSION", Value::Null),
            &["1.3.0"],
        ),
        goes_back(case("at the floor", "not below it").state("min_version", "1.2.0"), &["1.3.0"]),
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
            .state("min_version", "1.2.1")
            .refuse("6.2"),
        case("a floor of another kind", "it does not compare").state("min_version", "7").refuse("6.2"),
        case("of a lower epoch", "its keys were stolen, perhaps")
            .state("previous", epoch(EPOCH - 1))
            .refuse("6.3"),
        case("of a higher epoch", "the trusted one, exactly")
            .state("previous", epoch(EPOCH + 1))
            .refuse("6.3"),
        case("the root is of a higher epoch", "the higher of the two is the trusted one")
            .state("root_epoch", EPOCH + 1)
            .refuse("6.3"),
        case("the floors are of a higher epoch", "the higher of the two is the trusted one")
            .floor("epoch", EPOCH + 1)
            .refuse("6.3"),
        case("6.1 before 6.2", "altered, and below the floor")
            .client("previous", "another file\n")
            .state("min_version", "2.0.0")
            .refuse_with("6.1", altered()),
        case("6.2 before 6.3", "below the floor, and of another epoch")
            .state("min_version", "2.0.0")
            .state("previous", epoch(1))
            .refuse("6.2"),
    ]
}
