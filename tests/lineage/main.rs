//! Promise: which trust domain a check is about is what SPEC section 4.3 says, in every case: two forked chains of
//! four roots, each anchor, each lineage and two of them, with and without the file `root`, whatever is served.

#![allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of tests are tests"
)]

#[path = "../vectors/run/client.rs"]
mod client;
mod disk;
mod oracle;
#[path = "../vectors/tables/release.rs"]
mod release;
#[path = "../support/mod.rs"]
mod support;
mod world;

use std::collections::HashMap;

use relatch::Error;
use relatch::Refusal;
use relatch::check::{Decision, Purpose};
use relatch::install::RecordedFiles;
use relatch::trust::{Identity, Roots, TrustAnchor};
use serde_json::{Value, json};

use client::{Client, recorded_root};
use oracle::{Case, Outcome};
use release::{NOW, PRODUCT, TARGET, blake3};
use support::minisign;
use world::{Chain, Chains, Id, LENGTH, SEEN_SEQ, Served};

/// What is made of names: the bytes, each once.
struct Bytes {
    hashes: HashMap<Id, String>,
    files: HashMap<Id, Vec<u8>>,
    documents: HashMap<Id, String>,
    repositories: HashMap<Served, HashMap<String, Vec<u8>>>,
}

impl Bytes {
    fn new(chains: Chains) -> Self {
        let mut bytes = Bytes {
            hashes: HashMap::new(),
            files: HashMap::new(),
            documents: HashMap::new(),
            repositories: HashMap::new(),
        };
        for number in 1..=LENGTH {
            for id in [Chain::A, Chain::B].map(|chain| chains.id(chain, number)) {
                bytes.hashes.insert(id, chains.hash(id));
                bytes.files.insert(id, chains.file(id));
                bytes.documents.insert(id, chains.root(id).to_string());
            }
        }
        for served in chains.served() {
            bytes.repositories.insert(served, chains.repository(served));
        }
        bytes
    }

    fn hash(&self, id: Id) -> &str {
        &self.hashes[&id]
    }

    fn lineage(&self, lineage: &[Id]) -> Value {
        let hashes: Vec<_> = lineage.iter().map(|id| self.hash(*id)).collect();
        json!({"first": lineage[0].1, "hashes": hashes})
    }

    /// Line 1 of `floors`; none if they were deleted.
    fn floors(&self, case: &Case) -> Option<Value> {
        let domain = |lineage: &Vec<Id>| {
            let epoch = case.chains.epoch(lineage.last().unwrap().1);
            let floor = json!({
                "channel": "stable",
                "seq": SEEN_SEQ,
                "issued": NOW - 100_000,
                "manifest": blake3(b"seen"),
                "expires": NOW + 1,
                "manifest_expires": NOW + 1,
                "critical": false,
                "min_version": "1.2.0",
                "retracted": ["1.2.9"],
            });
            json!({
                "id": self.hash(lineage[0]),
                "lineage": self.lineage(lineage),
                "epoch": epoch,
                "epochs": [{"epoch": epoch, "channels": [floor]}],
            })
        };
        let domains: Vec<_> = case.domains.iter().map(domain).collect();
        (!domains.is_empty())
            .then(|| json!({"type": "relatch-floors/1", "product": PRODUCT, "domains": domains}))
    }
}

fn checked(line: &Value) -> Vec<u8> {
    let line = line.to_string();
    format!("{line}\n{}\n", blake3(line.as_bytes())).into_bytes()
}

fn first_line(content: &[u8]) -> Value {
    serde_json::from_slice(content.split(|byte| *byte == b'\n').next().unwrap()).unwrap()
}

/// The library's answer, and `floors` from then on.
fn told(bytes: &Bytes, case: &Case) -> (Outcome, Option<Value>) {
    let before = bytes.floors(case);
    let content = before.as_ref().map(checked);
    let mut files = RecordedFiles::parse(&PRODUCT.parse().unwrap(), None, content.as_deref(), None).unwrap();
    let document = bytes.documents[&case.anchor].as_bytes();
    let anchor: Roots = TrustAnchor::new(document).unwrap().into();
    let recorded = case.file.map(|file| recorded_root(document, &bytes.files[&file]).unwrap());
    let identity = Identity { product: PRODUCT.parse().unwrap(), channel: "stable".parse().unwrap() };
    let mut client = Client::new(&bytes.repositories[&case.served], &anchor, identity.clone(), NOW);
    client.is_offline = case.served == Served::Offline;
    let installed = case.is_update.then(|| "1.3.0".parse().unwrap());
    let purpose = |files: &RecordedFiles| {
        Purpose::Client(files.candidate(TARGET.parse().unwrap(), installed.clone(), true))
    };
    let verdict = client.check(&mut files, recorded.as_ref(), &purpose);
    let result = verdict.and_then(|verdict| {
        files.save(&identity, anchor.digest(), &verdict.memory)?;
        verdict.decision.map_err(Error::from)
    });
    let after = first_line(&files.to_bytes().1);
    let after = Some(after).filter(|after| before.is_some() || after["domains"] != json!([]));
    let outcome = match result {
        Ok(Decision::Update(_)) => {
            let known: Vec<_> = domains(&before).iter().map(|domain| domain["id"].clone()).collect();
            let is_new = !known.contains(&after.as_ref().unwrap()["domains"][0]["id"]);
            Outcome::Installs { lineages: lineages_of(bytes, case, after.as_ref().unwrap()), is_new }
        }
        Ok(Decision::Nothing(finding)) => panic!("{case:?}: {finding}"),
        Err(Error::Unavailable(_)) => Outcome::Unavailable,
        Err(Error::Refused(Refusal::RootUndetermined { .. })) => Outcome::Undetermined,
        Err(Error::Refused(Refusal::RootForked { .. })) => panic!("{case:?}: forked is never a result"),
        Err(Error::Refused(_)) => Outcome::Refused,
        Err(other) => panic!("{case:?}: {other}"),
    };
    (outcome, after)
}

fn domains(floors: &Option<Value>) -> Vec<Value> {
    floors.as_ref().map_or(Vec::new(), |floors| floors["domains"].as_array().unwrap().clone())
}

fn lineages_of(bytes: &Bytes, case: &Case, floors: &Value) -> Vec<Vec<Id>> {
    let domains = floors["domains"].as_array().unwrap();
    domains.iter().map(|domain| lineage_of(bytes, case, &domain["lineage"])).collect()
}

fn lineage_of(bytes: &Bytes, case: &Case, lineage: &Value) -> Vec<Id> {
    let first = lineage["first"].as_u64().unwrap();
    let hashes = lineage["hashes"].as_array().unwrap();
    let id = |(at, hash): (usize, &Value)| {
        let number = first + at as u64;
        let ids = [Chain::A, Chain::B].map(|chain| case.chains.id(chain, number));
        *ids.iter().find(|id| bytes.hash(**id) == hash).unwrap()
    };
    hashes.iter().enumerate().map(id).collect()
}

/// Nothing of any domain is lower than before, and no root is of two domains but one that both chains have.
fn ensure_nothing_fell(bytes: &Bytes, case: &Case, before: &Option<Value>, after: &Option<Value>) {
    let after = domains(after);
    for old in domains(before) {
        let new = after.iter().find(|new| new["id"] == old["id"]);
        let new = new.unwrap_or_else(|| panic!("{case:?}: a domain is forgotten"));
        let (old_roots, new_roots) =
            (lineage_of(bytes, case, &old["lineage"]), lineage_of(bytes, case, &new["lineage"]));
        assert!(old_roots.iter().all(|root| new_roots.contains(root)), "{case:?}: a root is forgotten");
        assert!(old["epoch"].as_u64() <= new["epoch"].as_u64(), "{case:?}");
        for floors in old["epochs"].as_array().unwrap() {
            let kept = new["epochs"].as_array().unwrap().iter().find(|kept| kept["epoch"] == floors["epoch"]);
            let (old, new) = (&floors["channels"][0], &kept.unwrap()["channels"][0]);
            assert!(old["seq"].as_u64() <= new["seq"].as_u64(), "{case:?}: {new}");
            assert_eq!(old["min_version"], new["min_version"], "{case:?}");
            assert_eq!(old["retracted"], new["retracted"], "{case:?}");
        }
    }
    let of_one_chain = |root: &Id| root.1 > case.chains.prefix;
    let roots = after.iter().flat_map(|domain| lineage_of(bytes, case, &domain["lineage"]));
    let roots: Vec<_> = roots.filter(of_one_chain).collect();
    let mut single = roots.clone();
    single.sort_unstable();
    single.dedup();
    assert_eq!(roots.len(), single.len(), "{case:?}: a root of two domains");
}

/// What may change where nothing was accepted: the lineage of a domain may get longer at its end.
fn ensure_only_roots_were_added(
    bytes: &Bytes,
    case: &Case,
    before: &Option<Value>,
    after: &Option<Value>,
    outcome: &Outcome,
) {
    for new in domains(after) {
        let old = domains(before).into_iter().find(|old| old["id"] == new["id"]);
        let Some(old) = old else {
            // The domain of the file `root`, whose floors are lost, may get longer, too.
            let is_of_file = case.file.is_some_and(|file| new["id"] == *bytes.hash(file));
            assert!(*outcome != Outcome::Undetermined || is_of_file, "{case:?}: a new domain");
            assert_eq!(new["epochs"], json!([]), "{case:?}");
            continue;
        };
        assert_eq!(old["epochs"], new["epochs"], "{case:?}");
        if *outcome == Outcome::Undetermined {
            assert_eq!(old["lineage"]["first"], new["lineage"]["first"], "{case:?}");
            let more = lineage_of(bytes, case, &new["lineage"]);
            // Only on the way to a newer anchor.
            assert!(old["lineage"] == new["lineage"] || more.last().unwrap().1 <= case.anchor.1, "{case:?}");
        }
    }
}

fn compare_all(prefix: u64) {
    let (mut cases, mut installs, mut undetermined) = (0, 0, 0);
    for raised in [None, Some(2), Some(3), Some(4)] {
        let chains = Chains { prefix, raised };
        let bytes = Bytes::new(chains);
        for case in Case::all(chains).into_iter().filter(Case::is_of_interest) {
            let expected = case.outcome();
            let (outcome, after) = told(&bytes, &case);
            // A root that is refused on the way ends the walk, too.
            let is_same =
                outcome == expected || (outcome == Outcome::Refused && expected == Outcome::Undetermined);
            assert!(is_same, "{case:?}: {outcome:?} instead of {expected:?}");
            let before = bytes.floors(&case);
            ensure_nothing_fell(&bytes, &case, &before, &after);
            match expected {
                Outcome::Installs { .. } => installs += 1,
                other => {
                    undetermined += u64::from(other == Outcome::Undetermined);
                    ensure_only_roots_were_added(&bytes, &case, &before, &after, &other);
                }
            }
            cases += 1;
        }
    }
    println!("{prefix} common roots: {cases} cases, {installs} install, {undetermined} undetermined");
    assert!(cases > 20_000 && installs > 1000 && undetermined > 1000);
}

#[test]
fn chains_without_a_common_root() {
    compare_all(0);
}

#[test]
fn chains_with_one_common_root() {
    compare_all(1);
}

#[test]
fn chains_with_two_common_roots() {
    compare_all(2);
}

/// One case of sixty-one, by the updater on a disk.
#[test]
fn the_updater_does_the_same() {
    let mut cases = 0;
    for chains in [0, 1, 2].map(|prefix| Chains { prefix, raised: Some(3) }) {
        let bytes = Bytes::new(chains);
        let on_a_disk = |case: &Case| case.is_update && case.served != Served::Offline;
        for case in Case::all(chains).into_iter().filter(on_a_disk).step_by(61) {
            let expected = case.outcome();
            let outcome = disk::told(&bytes, &case, &|floors| lineages_of(&bytes, &case, floors));
            let is_same =
                outcome == expected || (outcome == Outcome::Refused && expected == Outcome::Undetermined);
            assert!(is_same, "{case:?}: {outcome:?} instead of {expected:?}");
            cases += 1;
        }
    }
    println!("{cases} cases on a disk");
    assert!(cases > 300);
}

/// The client knows all roots, and asked for more within a day: one request.
#[test]
fn a_check_of_a_member_is_one_request() {
    let chains = Chains { prefix: 0, raised: None };
    let bytes = Bytes::new(chains);
    let lineage: Vec<Id> = (1..=LENGTH).map(|number| (Chain::A, number)).collect();
    let served = Served::Release(Chain::A, LENGTH, true);
    for anchor in lineage.clone() {
        let case = Case {
            chains,
            anchor,
            domains: vec![lineage.clone()],
            file: Some((Chain::A, LENGTH)),
            served,
            is_update: true,
        };
        let document = bytes.documents[&anchor].as_bytes();
        let roots: Roots = TrustAnchor::new(document).unwrap().into();
        let recorded = recorded_root(document, &bytes.files[&(Chain::A, LENGTH)]);
        let identity = Identity { product: PRODUCT.parse().unwrap(), channel: "stable".parse().unwrap() };
        let client = Client::new(&bytes.repositories[&served], &roots, identity.clone(), NOW);
        let floors = checked(&bytes.floors(&case).unwrap());
        let product = PRODUCT.parse().unwrap();
        let mut files = RecordedFiles::parse(&product, None, Some(&floors), None).unwrap();
        let purpose = |files: &RecordedFiles| {
            Purpose::Client(files.candidate(TARGET.parse().unwrap(), Some("1.4.0".parse().unwrap()), false))
        };
        for requests in [4, 1] {
            client.requests.set(0);
            let verdict = client.check(&mut files, recorded.as_ref(), &purpose).unwrap();
            files.save(&identity, roots.digest(), &verdict.memory).unwrap();
            assert!(matches!(verdict.decision, Ok(Decision::Nothing(relatch::Finding::Current))));
            assert_eq!(
                client.requests.get(),
                requests,
                "root 5, VERSION, a manifest and its signatures; VERSION"
            );
        }
    }
}

/// Fault 2: an executable that the old keys signed is not installed under the new root, whatever was recorded.
#[test]
fn an_install_with_new_root_keys_takes_nothing_that_the_old_ones_signed() {
    use relatch::{Install, Quiet};
    use support::{Repository, Tool};
    let mut old = Repository::with_keys(&[1], &[2], &[3], [1, 1, 1]);
    old.release("1.0.0", b"by the old keys");
    let tool = Tool::installed_plain(&old);
    old.rotate(|_| {});
    old.release("1.1.0", b"also by the old keys");
    tool.updater().update(true).unwrap();
    assert!(tool.site_dir().join("root").exists(), "root 2 is kept");
    old.release("1.2.0", b"by the old keys, too");

    let mut new = Repository::with_keys(&[11], &[12], &[13], [1, 1, 1]);
    let before = tool.snapshot();
    let root = new.dir.path().join("root/1.json");
    let install = |from: &Repository| {
        let install = Install {
            from: from.location(),
            ca_file: None,
            root: root.clone(),
            product: support::PRODUCT.parse().unwrap(),
            channel: "stable".parse().unwrap(),
            target: "test".parse().unwrap(),
            path: tool.path.clone(),
            probe: Some(relatch::install::Probe::None),
            force: true,
        };
        install.run(Quiet)
    };
    let refused = install(&old);
    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
    assert_eq!(tool.snapshot(), before, "nothing changed");

    new.release("2.0.0", b"by the new keys");
    assert_eq!(install(&new).unwrap().0.to_string(), "2.0.0");
    assert_eq!(tool.record("floors")["domains"].as_array().unwrap().len(), 2);
    assert_eq!(std::fs::read(&tool.path).unwrap(), b"by the new keys");
}
