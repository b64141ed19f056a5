//! The files that people copy: they parse, name what exists, keep secrets in one job, and do what they say.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use saphyr::{LoadableYamlNode, Yaml};
use serde_json::{Map, Value};

use crate::pipeline::{docs, worked};

pub const PIPELINES: [&str; 3] = ["github-actions.yml", "circleci.yml", "gitlab-ci.yml"];
pub const TARGETS: [&str; 3] =
    ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu", "aarch64-apple-darwin"];

pub fn read(name: &str) -> String {
    std::fs::read_to_string(docs().join(name)).unwrap()
}

pub fn names(dir: &str, extension: &str) -> Vec<String> {
    let entries = std::fs::read_dir(docs().join(dir)).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name.ends_with(extension));
    names.sort();
    assert!(!names.is_empty());
    names.into_iter().map(|name| Path::new(dir).join(name).display().to_string()).collect()
}

pub fn yaml(name: &str) -> Value {
    parsed(&read(name))
}

pub fn parsed(text: &str) -> Value {
    let documents = Yaml::load_from_str(text).unwrap();
    assert_eq!(documents.len(), 1, "{text}");
    to_json(&documents[0])
}

fn to_json(yaml: &Yaml) -> Value {
    if let Some(mapping) = yaml.as_mapping() {
        let fields = mapping.iter().map(|(key, value)| (key.as_str().unwrap().to_owned(), to_json(value)));
        return Value::Object(fields.collect::<Map<_, _>>());
    }
    if let Some(sequence) = yaml.as_sequence() {
        return sequence.iter().map(to_json).collect();
    }
    if let Some(text) = yaml.as_str() {
        return text.into();
    }
    if yaml.is_null() {
        return Value::Null;
    }
    match (yaml.as_integer(), yaml.as_bool(), yaml.as_floating_point()) {
        (Some(number), ..) => number.into(),
        (_, Some(bool), _) => bool.into(),
        (_, _, Some(number)) => number.into(),
        _ => panic!("{yaml:?}"),
    }
}

/// The jobs of a pipeline, by name.
pub fn jobs(name: &str) -> Map<String, Value> {
    let pipeline = yaml(name);
    match pipeline.get("jobs") {
        Some(jobs) => jobs.as_object().unwrap().clone(),
        None => {
            let mut jobs = pipeline.as_object().unwrap().clone();
            jobs.retain(|_, job| job.get("script").is_some());
            jobs
        }
    }
}

#[test]
fn links_and_flags_name_what_exists() {
    let signer = |arguments: &[&str]| {
        let output =
            Command::new(env!("CARGO_BIN_EXE_signer")).args(arguments).arg("--help").output().unwrap();
        worked(output)
    };
    let mut flags = 0;
    for name in [names("", ".md"), names("", ".sh"), names("", ".yml")].concat() {
        let text = read(&name);
        for link in text.split("](").skip(1).map(|rest| rest.split([')', '#']).next().unwrap()) {
            assert!(link.starts_with("https:") || docs().join(link).exists(), "{name}: {link}");
        }
        // `signer COMMAND --flag ...`, up to the end of the line or of the quotation.
        for call in text.split("signer ").skip(1) {
            let call = call.split(['\n', '`', ';', ')']).next().unwrap();
            let (command, rest) = call.split_once(' ').unwrap_or((call, ""));
            let mut path = vec![command];
            if command == "root" {
                path.extend(rest.split(' ').next());
            }
            let called: Vec<_> =
                rest.split_whitespace().filter(|word| word.starts_with("--") && word.len() > 2).collect();
            for flag in called {
                assert!(signer(&path).contains(&format!("{flag} ")), "{name}: signer {call}: {flag}");
                flags += 1;
            }
        }
    }
    assert!(flags >= 10, "{flags}: is nothing found any more?");
}

#[test]
fn scripts_are_as_shellcheck_wants_them() {
    for script in names("", ".sh") {
        let script = docs().join(script);
        worked(Command::new("sh").arg("-n").arg(&script).output().unwrap());
        match Command::new("shellcheck").arg(&script).output() {
            Ok(output) => drop(worked(output)),
            Err(_) => println!("skipped: shellcheck is not installed"),
        }
    }
}

#[test]
fn keys_and_roles_are_in_one_job_each() {
    for name in PIPELINES {
        let jobs = jobs(name);
        // Whether a map keeps the order of the file is decided by whichever crate of the build asks serde_json for it.
        let named: BTreeSet<_> = jobs.keys().map(String::as_str).collect();
        // On GitHub each target has its own job: the jobs of a matrix share their outputs.
        let builds = if name == "github-actions.yml" { &TARGETS[..] } else { &["build"] };
        let expected = builds.iter().copied().chain(["publish", "recall", "refresh", "signer"]);
        assert_eq!(named, expected.collect(), "{name}");
        for (job, content) in &jobs {
            let content = content.to_string();
            let says = |text: &str| content.contains(text);
            let (publishes, refreshes) = (job == "publish", job == "refresh");
            assert_eq!(says("docs/ci/publish.sh"), publishes, "{name}: {job}");
            assert_eq!(says("docs/ci/refresh.sh"), refreshes, "{name}: {job}");
            assert_eq!(says("mytool-publisher"), publishes, "{name}: {job}");
            assert_eq!(says("mytool-refresher"), refreshes, "{name}: {job}");
            assert!(!says("RELEASE_KEY") || publishes, "{name}: {job}");
            assert!(!says("TIMESTAMP_KEY") || publishes || refreshes, "{name}: {job}");
            let has_secrets = publishes || refreshes;
            // A cache can overwrite any file, and a build job can write it.
            let restores = ["cache/restore", "actions/cache@", "restore_cache", "\"pull"];
            assert_eq!(restores.iter().any(|step| says(step)), job == "recall", "{name}: {job}");
            let saves = ["cache/save", "save_cache", "\"policy\":\"push\"", "\"<<\""];
            assert_eq!(saves.iter().any(|step| says(step)), has_secrets, "{name}: {job}");
            assert!(!says("--revive"), "{name}: {job}");
            assert!(!(has_secrets && says("cargo ")), "{name}: {job} builds where there are secrets");
        }
        let text = read(name);
        // Without quotes it is a number, and a short one.
        let quoted = format!("SIGNER_REV: \"{}\"", "0".repeat(40));
        assert!(text.contains(&quoted), "{name}");
        for word in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "aws-access-key-id"] {
            assert!(!text.contains(word), "{name}: {word}");
        }
    }
    let github = yaml("github-actions.yml");
    assert_eq!(github["permissions"], Value::Object(Map::new()));
    // What is started by hand refreshes and publishes nothing: publish needs the build jobs.
    assert_eq!(github["on"].get("workflow_dispatch"), Some(&Value::Null));
    assert_eq!(github["jobs"]["refresh"]["if"], "github.event_name != 'push'");
    for target in TARGETS {
        assert_eq!(github["jobs"][target]["if"], "github.event_name == 'push'", "{target}");
        assert!(github["jobs"]["publish"]["needs"].as_array().unwrap().contains(&target.into()));
    }
    for (name, job) in github["jobs"].as_object().unwrap() {
        let has_role = name == "publish" || name == "refresh";
        assert_eq!(job["permissions"]["id-token"] == "write", has_role, "{name}");
        let environment = if name == "publish" { "release" } else { "refresh" };
        assert_eq!(job["environment"] == environment, has_role, "{name}");
        assert_eq!(job["concurrency"]["queue"] == "max", has_role, "{name}");
        for action in job["steps"].as_array().unwrap().iter().filter_map(|step| step["uses"].as_str()) {
            let commit = action.split_once('@').unwrap().1;
            assert!(commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit()), "{action}");
        }
    }
    let gitlab = yaml("gitlab-ci.yml");
    assert_eq!(gitlab["publish"]["cache"]["policy"], "push");
    for (name, environment) in [("publish", "release"), ("refresh", "refresh")] {
        assert_eq!(gitlab[name]["environment"], environment);
        assert_eq!(gitlab[name]["resource_group"], "relatch-publish");
        assert!(
            gitlab[name]["rules"][0]["if"].as_str().unwrap().contains("$CI_COMMIT_REF_PROTECTED == \"true\"")
        );
    }
    let circle = yaml("circleci.yml");
    for (workflow, job, context) in
        [("release", "publish", "relatch-release"), ("refresh", "refresh", "relatch-refresh")]
    {
        let jobs = circle["workflows"][workflow]["jobs"].as_array().unwrap();
        for entry in jobs {
            let context = (entry.get(job).is_some()).then_some(context);
            let given = entry.as_object().and_then(|entry| entry.values().next()?.get("context"));
            assert_eq!(given.map(|given| given[0].as_str().unwrap()), context, "{entry}");
        }
    }
}
