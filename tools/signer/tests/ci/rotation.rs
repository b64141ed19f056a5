//! keys/README.md's rotation, played with its own commands: as often as one likes, while clients go on.

use relatch::Outcome;

use crate::pipeline::{Pipeline, docs, worked};

/// The commands of "Rotation", one block after another.
fn blocks() -> Vec<String> {
    let document = std::fs::read_to_string(docs().join("../../keys/README.md")).unwrap();
    let rotation = document.split("\n## Rotation\n").nth(1).unwrap();
    let blocks = rotation.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap().into());
    blocks.collect()
}

/// These commands, with names for what they leave open. What was published last is what the next change begins with.
fn run(ci: &Pipeline, commands: &str, names: &[(&str, &str)]) -> String {
    let places = [("ROOT-KEY", "keys/root.key"), ("TIMESTAMP-KEY", "keys/timestamp.key"), ("REPO", "repo")];
    let mut commands = commands.to_owned();
    for (from, to) in places.iter().chain(names) {
        commands = commands.replace(from, to);
    }
    let said = worked(ci.shell().args(["-euc", &commands]).output().unwrap());
    std::fs::rename(ci.desk.path("next.json"), ci.desk.path("newest.json")).unwrap();
    std::fs::remove_file(ci.desk.path("next.json.minisig")).unwrap();
    said
}

#[test]
fn a_key_is_changed_again_and_again_and_a_root_renewed() {
    let blocks = blocks();
    assert_eq!(blocks.len(), 2);
    let ci = Pipeline::new();
    ci.published("41");
    let mut client = ci.desk.client("widget").unwrap();
    ci.desk.write("newest.json", ci.desk.read("root.json"));
    for (old, new, build) in [("keys/release", "second", "42"), ("second", "third", "43")] {
        ci.desk.ok(&["keygen", "--no-password", "--out", &format!("{new}.key")]);
        let artifact = ci.desk.build(build);
        let release = format!("signer release --version {build} --artifact {artifact}");
        let names = [
            ("signer release ...", release.as_str()),
            ("new.", &format!("{new}.")),
            ("old.", &format!("{old}.")),
        ];
        let said = run(&ci, &blocks[0], &names);
        assert!(said.contains(&format!("published widget {build}")), "{said}");
        assert!(matches!(client.update(false), Ok(Outcome::Updated { .. })), "{build}");
        for made in ["both.json", "both.json.minisig"] {
            std::fs::remove_file(ci.desk.path(made)).unwrap();
        }
    }
    assert!(run(&ci, &blocks[1], &[]).contains("published root 6 to repo"));
    // Who begins with the first root again is told that there are others.
    ci.desk.ok(&["root", "renew", "root.json", "--out", "again.json"]);
    ci.desk.ok(&["root", "sign", "again.json", "--key", "keys/root.key"]);
    let again = ["root", "publish", "again.json", "--repo", "repo", "--root", "root.json"];
    ci.desk.fails(3, "this root 2 does not follow root 6, which is published", &again);
    // Who has left one out need not sign anything again.
    ci.desk.ok(&["root", "renew", "newest.json", "--out", "7.json"]);
    ci.desk.ok(&["root", "sign", "7.json", "--key", "keys/root.key"]);
    ci.desk.ok(&["root", "renew", "7.json", "--out", "8.json"]);
    ci.desk.ok(&["root", "sign", "8.json", "--key", "keys/root.key"]);
    let eight = ["root", "publish", "8.json", "--repo", "repo", "--root", "root.json"];
    ci.desk.fails(3, "Publish those in between first", &eight);
    ci.desk.ok(&["root", "publish", "7.json", "--repo", "repo", "--root", "root.json"]);
    ci.desk.ok(&eight);
    // The first key is of no use any more, the third is.
    let artifact = ci.desk.build("44");
    let release =
        ["release", "--repo", "repo", "--root", "root.json", "--version", "44", "--artifact", &artifact];
    let with = |key| [&release[..], &["--key", key, "--key", "keys/timestamp.key"]].concat();
    ci.desk.fails(3, "has neither the release nor the timestamp role in root 8", &with("keys/release.key"));
    ci.desk.ok(&with("third.key"));
    assert!(matches!(client.update(false), Ok(Outcome::Updated { .. })));
}
