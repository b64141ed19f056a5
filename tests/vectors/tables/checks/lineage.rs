//! SPEC section 4.3. Chain A is that of root 1; chain B has other root keys, from the root of some number on.

use serde_json::{Value, json};

use super::super::release::{DAY, NOW, Release, keys, root, root_of};
use super::kept::{ANCHOR, floor};
use super::{Case, root_file, root_hash};

/// A root of the chain of other keys.
fn other(number: u64) -> Value {
    root_of(number, [(&[11], 1), (&[12], 1), (&[13], 1)])
}

fn by_other(release: &mut Release) {
    (release.release_keys, release.timestamp_keys) = (keys(&[12]), keys(&[13]));
}

fn domain(roots: &[&Value], epochs: Value) -> Value {
    let hashes: Vec<_> = roots.iter().map(|root| root_hash(root)).collect();
    let last = roots.last().unwrap();
    json!({
        "id": hashes[0],
        "lineage": {"first": roots[0]["version"], "hashes": hashes},
        "epoch": last["epoch"],
        "epochs": epochs,
    })
}

fn floors_of(release: &Release) -> Value {
    json!([{"epoch": release.manifest["epoch"], "channels": [floor(release)]}])
}

fn installed() -> Value {
    floors_of(&Release::installed())
}

/// What was accepted was number 1000, and nothing below 1.2.0.
fn high() -> Value {
    let mut high = Release::installed();
    high.set("seq", 1000);
    high.manifest["min_version"] = "1.2.0".into();
    floors_of(&high)
}

/// A client that carries this root, with these domains; `file` is its file `root`.
fn case(name: &str, comment: &str, anchor: &Value, domains: &[Value], file: Option<(&Value, &[u8])>) -> Case {
    let mut case = Case::new(name, comment);
    case.anchor = anchor.clone();
    case.kept.floors["domains"] = domains.into();
    let id = domains.first().map_or(json!(ANCHOR), |domain| domain["id"].clone());
    case.kept.journal["installed"]["domain"] = id;
    let case = case.client("anchor", anchor.to_string());
    match file {
        Some((root, signers)) => case.client("root", root_file(root, &keys(signers))),
        None => case,
    }
}

/// The anchor is new to this client: what it found last does not count.
fn new_anchor(case: Case) -> Case {
    case.cache("anchor", root_hash(&root(77)))
}

/// Afterwards the file `root` is this one of the repository.
fn kept(number: u64, mut case: Case) -> Case {
    case.after.insert("trusted_root".into(), number.into());
    case
}

/// Afterwards these are the domains, the first with what the release leaves.
fn leaves(case: Case, domains: Vec<Value>) -> Case {
    let release = case.release.clone();
    case.then(move |kept| {
        kept.floors["domains"] = domains.into();
        kept.accept(&release, false);
        // What is installed is of the domain that the check was about.
        if kept.journal["installed"]["version"] == "1.4.0" {
            let (id, epoch) = (kept.domain()["id"].clone(), kept.domain()["epoch"].clone());
            (kept.journal["installed"]["domain"], kept.journal["installed"]["epoch"]) = (id, epoch);
        }
    })
}

pub fn cases() -> Vec<Value> {
    [members(), forked(), older(), newer(), lost(), epochs()].concat()
}

fn undetermined(case: Case) -> Value {
    case.refuse_with("3", json!({"reason": "undetermined"}))
}

fn members() -> Vec<Value> {
    let (one, two, three) = (root(1), root(2), root(3));
    let to_three = || domain(&[&one, &two, &three], high());
    let release = |case: Case| case.release(|release| release.set("seq", 1001));
    vec![
        release(case(
            "member: an older build",
            "the check begins with the kept root, and the floors are those of the domain",
            &two,
            &[to_three()],
            Some((&three, &[1])),
        ))
        .installs(),
        case(
            "member: an older build, and an older release",
            "no floor falls",
            &two,
            &[to_three()],
            Some((&three, &[1])),
        )
        .refuse("4h"),
        release(case(
            "member: a newer build",
            "the anchor is newer than the kept root, and of the lineage",
            &three,
            &[to_three()],
            Some((&two, &[1])),
        ))
        .installs(),
        case(
            "member: another root is signed in the place of one that was verified",
            "root keys signed two: the kept root is lost, and it is not replaced",
            &one,
            &[domain(&[&one, &two], high())],
            None,
        )
        .root(2, &root_of(2, [(&[1], 1), (&[2], 1), (&[6], 1)]), &keys(&[1]))
        .refuse_with("3", json!({"reason": "equivocation"})),
        case(
            "member: a kept root of another domain",
            "it says nothing here: the chain is read again, and must reach its end",
            &one,
            &[domain(&[&other(1), &other(2)], installed()), domain(&[&one, &two], high())],
            Some((&other(2), &[11])),
        )
        .refuse_with("3", json!({"reason": "root-lowered"})),
    ]
}

fn forked() -> Vec<Value> {
    let (one, two) = (root(1), root(2));
    let old = || domain(&[&one, &two], high());
    let new = || domain(&[&other(1)], json!([]));
    let rekeyed = |name: &str, comment: &str| {
        new_anchor(case(name, comment, &other(1), &[old()], Some((&two, &[1]))))
            .object("root/1.json", Value::Null)
    };
    let sixteen: Vec<Value> = (20..36)
        .map(|seed| domain(&[&root_of(1, [(&[seed], 1), (&[seed], 1), (&[seed], 1)])], json!([])))
        .collect();
    vec![
        leaves(
            rekeyed(
                "forked: the product got new root keys",
                "the lineage has another root 1: a new domain begins, and the records of the old one stay",
            )
            .release(by_other),
            vec![new(), old()],
        )
        .installs(),
        rekeyed(
            "forked: a release that the old keys signed",
            "the keys of one domain sign nothing in another; nothing is remembered",
        )
        .too_few("4c", 1, 0),
        leaves(
            rekeyed("forked: a lower number than in the old domain", "each domain has its own floors")
                .release(|release| release.set("seq", 1))
                .release(by_other),
            vec![new(), old()],
        )
        .installs(),
        kept(
            2,
            new_anchor(case(
                "forked: and back, with an older release",
                "the old domain's floors are still there",
                &one,
                &[domain(&[&other(1)], installed()), old()],
                None,
            )),
        )
        .root(2, &two, &keys(&[1]))
        .then(move |kept| {
            kept.floors["domains"] =
                json!([domain(&[&root(1), &root(2)], high()), domain(&[&other(1)], installed())])
        })
        .refuse("4h"),
        leaves(
            new_anchor(case(
                "forked: and back, with a newer release",
                "the old domain goes on",
                &two,
                &[domain(&[&other(1)], installed()), old()],
                Some((&other(1), &[11])),
            ))
            .release(|release| release.set("seq", 1001)),
            vec![old(), domain(&[&other(1)], installed())],
        )
        .installs(),
        new_anchor(case(
            "forked: the seventeenth domain",
            "a limit; nothing is installed, and nothing is forgotten",
            &other(1),
            &sixteen,
            None,
        ))
        .release(by_other)
        .refuse_with("3", json!({"reason": "too-many-domains"})),
    ]
}

fn older() -> Vec<Value> {
    let (one, two, three) = (root(1), root(2), root(3));
    let from_two = || domain(&[&two, &three], high());
    let connected = || {
        let mut connected = domain(&[&one, &two, &three], high());
        connected["id"] = root_hash(&two).into();
        connected
    };
    let older = |name: &str, comment: &str| {
        new_anchor(case(name, comment, &one, &[from_two()], Some((&three, &[1]))))
    };
    let other_two = root_of(2, [(&[1], 1), (&[2], 1), (&[3, 6], 1)]);
    vec![
        leaves(
            older("older: connected", "an older build by hand: it walks to the first root that is known, and goes on with the kept one")
                .root(2, &two, &keys(&[1]))
                .release(|release| release.set("seq", 1001)),
            vec![connected()],
        )
        .installs(),
        older("older: connected, and an older release", "no floor falls; nothing is remembered of the walk")
            .root(2, &two, &keys(&[1]))
            .refuse("4h"),
        undetermined(older("older: root 2 is absent", "withheld, or never published: nothing is known")),
        older("older: root 2 is not signed by the anchor", "nothing is known")
            .root(2, &two, &keys(&[9]))
            .too_few("3b", 1, 0),
        older("older: the signatures of root 2 are absent", "nothing is known")
            .object("root/2.json", two.to_string())
            .unavailable("root/2.json.minisig"),
        {
            let new = domain(&[&one, &other_two], json!([]));
            let case = older("older: forked", "the anchor's keys signed another root 2: a new domain begins")
                .root(2, &other_two, &keys(&[1]));
            leaves(kept(2, case), vec![new, from_two()]).installs()
        },
    ]
}

fn newer() -> Vec<Value> {
    let (one, two, three) = (root(1), root(2), root(3));
    let to_two = || domain(&[&one, &two], high());
    let to_three = || domain(&[&one, &two, &three], high());
    let newer =
        |name: &str, comment: &str| new_anchor(case(name, comment, &three, &[to_two()], Some((&two, &[1]))));
    let signed = |case: Case| case.root(3, &three, &keys(&[1]));
    let high_release = |case: Case| case.release(|release| release.set("seq", 1001));
    let kept_three = |case: Case| kept(3, case);
    let mut four = root(4);
    four["issued"] = (NOW - DAY).into();
    let other_three = root_of(3, [(&[1], 1), (&[2], 1), (&[3, 6], 1)]);
    vec![
        leaves(
            high_release(kept_three(signed(newer("newer: connected", "a newer build by hand")))),
            vec![to_three()],
        )
        .installs(),
        kept_three(signed(newer(
            "newer: connected, and an older release",
            "no floor falls; the root is kept",
        )))
        .then(move |kept| kept.floors["domains"] = json!([domain(&[&root(1), &root(2), &root(3)], high())]))
        .refuse("4h"),
        leaves(
            high_release(kept_three(signed(
                new_anchor(case(
                    "newer: connected, and no kept root",
                    "root 2 of the repository is the one that was verified, by its hash",
                    &three,
                    &[to_two()],
                    None,
                ))
                .object("root/2.json", two.to_string()),
            ))),
            vec![to_three()],
        )
        .installs(),
        undetermined(signed(
            new_anchor(case(
                "newer: no kept root, and another root 2",
                "it is not the one that was verified: nothing is known",
                &three,
                &[to_two()],
                None,
            ))
            .root(2, &root_of(2, [(&[1], 1), (&[2], 1), (&[6], 1)]), &keys(&[1])),
        )),
        undetermined(newer(
            "newer: root 3 is absent",
            "nothing is known, though the anchor is root 3 itself",
        )),
        newer("newer: root 3 is not signed by root 2", "nothing is known")
            .root(3, &three, &keys(&[9]))
            .too_few("3b", 1, 0),
        undetermined(
            kept_three(signed(new_anchor(case(
                "newer: the walk ends before the anchor",
                "the roots of the domain's own chain are kept on the way",
                &four,
                &[to_two()],
                Some((&two, &[1])),
            ))))
            .then(move |kept| {
                kept.floors["domains"] = json!([domain(&[&root(1), &root(2), &root(3)], high())])
            }),
        ),
        leaves(
            kept_three(
                newer(
                    "newer: forked",
                    "the chain leads to another root 3, which is kept: a new domain begins with the anchor",
                )
                .root(3, &other_three, &keys(&[1])),
            ),
            vec![domain(&[&three], json!([])), domain(&[&one, &two, &other_three], high())],
        )
        .installs(),
        leaves(
            high_release(kept_three(signed(
                new_anchor(case(
                    "newer: of the second domain",
                    "the one that was used last leads nowhere: the next one is looked at",
                    &three,
                    &[domain(&[&other(1), &other(2)], installed()), to_two()],
                    Some((&other(2), &[11])),
                ))
                .object("root/2.json", two.to_string()),
            ))),
            vec![to_three(), domain(&[&other(1), &other(2)], installed())],
        )
        .installs(),
    ]
}

fn lost() -> Vec<Value> {
    let (one, two) = (root(1), root(2));
    let lost = |name: &str, comment: &str| {
        case(name, comment, &one, &[], Some((&two, &[1]))).absent_files(&["floors"])
    };
    let nameless = || {
        let mut nameless = domain(&[&one, &two], json!([]));
        nameless["id"] = root_hash(&two).into();
        nameless
    };
    vec![
        leaves(
            lost(
                "floors lost: the kept root is connected",
                "the domain is that of the root; what was accepted is forgotten",
            )
            .root(2, &two, &keys(&[1])),
            vec![nameless()],
        )
        .installs(),
        undetermined(lost(
            "floors lost: root 2 is absent",
            "the kept root takes no part, and the anchor may be older",
        )),
    ]
}

fn epochs() -> Vec<Value> {
    let (one, mut two) = (root(1), root(2));
    two["epoch"] = 3.into();
    let raised = || domain(&[&one, &two], installed());
    let older = |name: &str, comment: &str| case(name, comment, &one, &[raised()], Some((&two, &[1])));
    vec![
        older("epoch raised: an older build", "the kept root counts: its epoch is the higher one")
            .release(|release| release.set("epoch", 3))
            .installs(),
        older(
            "epoch raised: an older build, and a release of the old epoch",
            "its keys were stolen, perhaps",
        )
        .refuse("4g"),
    ]
}
