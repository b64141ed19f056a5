//! The way of a file from the job that builds it to a job with secrets: no other job can replace it
//! unnoticed.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::files::{parsed, read, yaml};

/// What is wrong with a workflow of GitHub.
fn faults(workflow: &Value) -> Vec<String> {
    let jobs = workflow["jobs"].as_object().unwrap();
    let mut faults = Vec::new();
    if workflow["env"].to_string().contains("secrets.") {
        faults.push("a secret is in the environment of every job".into());
    }
    let mut privileged = 0;
    for (name, job) in jobs {
        let text = job.to_string();
        if text.contains("secrets.") || text.contains("aws-actions/") {
            privileged += 1;
            let found = job_faults(workflow, job);
            faults.extend(found.into_iter().map(|fault| format!("{name}: {fault}")));
        }
    }
    if privileged != 2 {
        faults.push(format!("{privileged} jobs have secrets, instead of publish and refresh"));
    }
    faults
}

/// What is wrong with a job that has secrets.
fn job_faults(workflow: &Value, job: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let steps = job["steps"].as_array().unwrap();
    if job["env"].to_string().contains("secrets.") {
        faults.push("a secret is in the environment of every step".to_owned());
    }
    let checks: Vec<usize> =
        (0..steps.len()).filter(|&at| run(&steps[at]).contains("docs/ci/check.sh")).collect();
    let [check] = checks[..] else {
        return vec![format!("{} steps check sums, instead of one", checks.len())];
    };

    // Before it only these two actions may run, and after it nothing may be downloaded.
    for (at, step) in steps.iter().enumerate() {
        let action = uses(step);
        let downloads = action == "actions/download-artifact" || action == "actions/checkout";
        if at < check && !downloads {
            faults.push(format!("a step before the check runs {action}{}", run(step)));
        }
        if at <= check && step.to_string().contains("secrets.") {
            faults.push("a secret is in the environment before the sums are checked".into());
        }
        if at > check && downloads {
            faults.push(format!("{action} runs after the check"));
        }
    }

    let mut expected = BTreeMap::new();
    for step in steps.iter().filter(|step| uses(step) == "actions/download-artifact") {
        let inputs = step["with"].as_object().unwrap();
        let given: Vec<&str> = inputs.keys().map(String::as_str).collect();
        let Some(artifact) = step["with"]["name"].as_str() else {
            faults.push(format!("a download does not name its artifact: {given:?}"));
            continue;
        };
        if given.iter().any(|input| !["name", "path"].contains(input)) {
            faults.push(format!("a download has other inputs than a name and a path: {given:?}"));
        }
        let own = format!("dist/{artifact}");
        if artifact.contains(['*', '$', '/']) || step["with"]["path"] != own {
            faults.push(format!("the artifact {artifact} has no directory of its own"));
        }
        match uploads(workflow, artifact).as_slice() {
            [(builder, file)] => {
                faults.extend(builder_faults(workflow, builder, file));
                if !needs(job).contains(&builder.as_str()) {
                    faults.push(format!("it does not need {builder}, so it has no outputs of it"));
                }
                let base = file.rsplit('/').next().unwrap();
                expected.insert(
                    format!("{artifact}/{base}"),
                    format!("${{{{ needs.{builder}.outputs.sha256 }}}}"),
                );
            }
            all => faults.push(format!("{} jobs upload {artifact}, instead of one", all.len())),
        }
    }
    if expected.is_empty() {
        faults.push("nothing is downloaded".into());
    }

    // The command is the check and nothing else, so its result cannot be ignored.
    let step = &steps[check];
    for step in steps {
        // After a failed check this one alone may run: it uploads one file, and runs nothing.
        if uses(step) == "actions/cache/save" && step["if"] == "success() || failure()" {
            continue;
        }
        let ignores = |key: &&str| step.get(key).is_some();
        faults.extend(
            ["if", "continue-on-error", "shell"]
                .iter()
                .filter(|key| ignores(key))
                .map(|key| format!("a step has {key}, so a failed check may not end the job")),
        );
    }
    let command = run(step).replace("\\\n", " ");
    let Some(arguments) = command.strip_prefix("sh docs/ci/check.sh dist ") else {
        faults.push(format!("the step of the check runs something else: {command}"));
        return faults;
    };
    // The files, with the expressions that their sums come from.
    let mut checked = BTreeMap::new();
    for word in arguments.split_whitespace() {
        let quoted = word.strip_prefix('"').and_then(|word| word.strip_suffix('"'));
        let Some((file, variable)) = quoted.and_then(|word| word.split_once("=$")) else {
            faults.push(format!("the check has another argument than \"FILE=$SUM\": {word}"));
            continue;
        };
        let sum = step["env"][variable].as_str().unwrap_or_default();
        checked.insert(file.to_owned(), sum.to_owned());
    }
    if checked != expected {
        faults.push(format!("the sums are {checked:?}, instead of {expected:?}"));
    }
    faults
}

/// What is wrong with a job whose artifact reaches a job with secrets.
fn builder_faults(workflow: &Value, builder: &str, file: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let job = &workflow["jobs"][builder];
    if job.get("strategy").is_some() {
        faults.push(format!("{builder} is a matrix, whose jobs write each other's outputs"));
    }
    if job["outputs"]["sha256"] != "${{ steps.sum.outputs.sha256 }}" {
        faults.push(format!("{builder} has no output with the sum of {file}"));
    }
    let steps = job["steps"].as_array().unwrap();
    let sums: Vec<&Value> = steps.iter().filter(|step| step["id"] == "sum").collect();
    let command = sums.first().map(|step| run(step)).unwrap_or_default();
    let writes = command.contains(&format!("shasum -a 256 < {file}"))
        && command.contains("echo \"sha256=${sum%% *}\" >> \"$GITHUB_OUTPUT\"");
    if sums.len() != 1 || !writes {
        faults.push(format!("{builder} has no step that computes the sum of {file}"));
    }
    faults
}

fn uses(step: &Value) -> &str {
    step["uses"].as_str().unwrap_or_default().split('@').next().unwrap()
}

fn run(step: &Value) -> &str {
    step["run"].as_str().unwrap_or_default()
}

fn needs(job: &Value) -> Vec<&str> {
    match &job["needs"] {
        Value::Array(all) => all.iter().map(|name| name.as_str().unwrap()).collect(),
        one => one.as_str().into_iter().collect(),
    }
}

/// The jobs that upload an artifact of this name, and the file in it.
fn uploads(workflow: &Value, artifact: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (name, job) in workflow["jobs"].as_object().unwrap() {
        for step in job["steps"].as_array().unwrap() {
            let uploaded = step["with"]["name"].as_str().unwrap_or_default();
            if uses(step) == "actions/upload-artifact"
                && uploaded.replace("${{ github.job }}", name) == artifact
            {
                found.push((name.clone(), step["with"]["path"].as_str().unwrap().to_owned()));
            }
        }
    }
    found
}

#[test]
fn sums_from_the_outputs_of_jobs_are_checked_before_secrets_are_there() {
    assert_eq!(faults(&yaml("github-actions.yml")), Vec::<String>::new());
}

/// Each rule of `faults` finds its fault: what is changed in the workflow, and what is found.
#[test]
fn a_workflow_that_checks_less_is_found() {
    let mutations = [
        // A sum is missing, or is another one.
        ("    outputs: *sum\n    steps: *build\n", "    steps: *build\n", "has no output"),
        ("steps.sum.outputs.sha256", "steps.other.outputs.sha256", "has no output with the sum"),
        ("< bin/signer)", "< bin/other)", "has no step that computes the sum of bin/signer"),
        (" >> \"$GITHUB_OUTPUT\"", "", "has no step that computes the sum"),
        // It does not come from the job that built the file.
        ("${{ needs.signer.outputs.sha256 }}", "${{ env.SIGNER }}", "the sums are"),
        ("SIGNER: ${{ needs.signer", "SIGNER: ${{ needs.aarch64-apple-darwin", "the sums are"),
        ("\"signer/signer=$SIGNER\" \\", "\\", "the sums are"),
        ("=$SIGNER\" \\", "=$AARCH64_LINUX\" \\", "the sums are"),
        ("=$SIGNER\"", "=$(cat dist/signer/sum)\"", "another argument"),
        ("=$SIGNER\"", "=${{ needs.signer.outputs.sha256 }}\"", "another argument"),
        ("needs: [signer, recall]\n", "needs: [recall]\n", "it does not need signer"),
        // The jobs of a matrix write each other's outputs.
        (
            "    runs-on: macos-15\n",
            "    strategy: { matrix: { os: [macos-15] } }\n    runs-on: macos-15\n",
            "is a matrix",
        ),
        // The check is missing, or its result is ignored.
        ("sh docs/ci/check.sh", "true", "0 steps check sums"),
        ("sh docs/ci/check.sh", "echo docs/ci/check.sh", "runs something else"),
        ("\"signer/signer=$SIGNER\" #", "\"signer/signer=$SIGNER\" || true #", "another argument"),
        (
            "      - run: sh docs/ci/",
            "      - continue-on-error: true\n        run: sh docs/ci/",
            "may not end",
        ),
        (
            "      - run: |\n          chmod",
            "      - if: always()\n        run: |\n          chmod",
            "may not end",
        ),
        ("actions/cache/save@", "actions/cache/restore@", "may not end"),
        ("success() || failure()", "always()", "may not end"),
        // A download lets the uploading job choose.
        ("{ name: signer, path: dist/signer }", "{ path: dist }", "does not name its artifact"),
        ("name: signer, path: dist/signer", "pattern: signer*, path: dist/signer", "does not name"),
        ("name: signer, path: dist/signer", "name: signer, path: dist", "no directory of its own"),
        ("path: dist/signer }", "path: dist/signer, merge-multiple: true }", "other inputs"),
        // Artifacts have the same name, or none has the name.
        ("          name: ${{ github.job }}\n", "          name: signer\n", "4 jobs upload signer"),
        ("          name: signer\n", "          name: other\n", "0 jobs upload signer"),
        // A secret is there too early.
        ("\nenv:\n", "\nenv:\n  KEY: ${{ secrets.RELEASE_KEY }}\n", "environment of every job"),
        (
            "    environment: release\n",
            "    environment: release\n    env: { KEY: \"${{ secrets.RELEASE_KEY }}\" }\n",
            "environment of every step",
        ),
        (
            "          SIGNER: ${{ needs",
            "          KEY: ${{ secrets.RELEASE_KEY }}\n          SIGNER: ${{ needs",
            "before the sums are checked",
        ),
    ];
    let workflow = read("github-actions.yml");
    for (old, new, fault) in mutations {
        assert!(workflow.contains(old), "{old}");
        let found = faults(&parsed(&workflow.replace(old, new)));
        assert!(found.iter().any(|found| found.contains(fault)), "{old} -> {new}: {found:?}");
    }
    // The check after the role, after the key, and before the last download.
    for job in ["publish", "refresh"] {
        let original = yaml("github-actions.yml");
        let steps = original["jobs"][job]["steps"].as_array().unwrap();
        let check = steps.iter().position(|step| run(step).contains("check.sh")).unwrap();
        for (other, fault) in [
            (check + 1, "a step before the check runs aws-actions/"),
            (check + 2, "before the check runs"),
            (check - 1, "runs after the check"),
        ] {
            let mut swapped = original.clone();
            swapped["jobs"][job]["steps"].as_array_mut().unwrap().swap(check, other);
            let found = faults(&swapped);
            assert!(found.iter().any(|found| found.contains(fault)), "{job}: {found:?}");
        }
    }
}

/// CircleCI has no outputs of jobs: it refuses a file that two concurrent jobs persisted.
#[test]
fn on_circleci_the_builders_are_concurrent_and_the_workspace_is_beside_the_checkout() {
    let circle = yaml("circleci.yml");
    for workflow in ["release", "refresh"] {
        for entry in circle["workflows"][workflow]["jobs"].as_array().unwrap() {
            let (name, given) = match entry.as_object().and_then(|entry| entry.iter().next()) {
                Some((name, given)) => (name.as_str(), given),
                None => (entry.as_str().unwrap(), &Value::Null),
            };
            let privileged = name == "publish" || name == "refresh";
            assert_eq!(given.get("requires").is_some(), privileged, "{entry}");
        }
    }
    for (name, job) in circle["jobs"].as_object().unwrap() {
        let steps = job["steps"].as_array().unwrap();
        assert!(steps.iter().all(|step| step.get("attach_workspace").is_none()), "{name}");
        let takes = steps.contains(&"take-signer".into());
        assert_eq!(takes, name == "publish" || name == "refresh", "{name}");
    }
    let take = &circle["commands"]["take-signer"]["steps"];
    assert_eq!(take[0]["attach_workspace"]["at"], "~/workspace");
    let text = circle.to_string();
    assert_eq!(text.matches("PATH=").count(), 1);
    assert!(text.contains(r#"export PATH=\"$HOME/signer:$PATH\""#), "{text}");
}

/// GitLab unpacks artifacts over the checkout, and sets the variables of dotenv reports.
#[test]
fn on_gitlab_the_jobs_with_secrets_take_the_artifacts_of_signer_alone() {
    let gitlab = yaml("gitlab-ci.yml");
    for (name, builders) in
        [("publish", &["signer", "recall", "build"][..]), ("refresh", &["signer", "recall"])]
    {
        let needs = gitlab[name]["needs"].as_array().unwrap();
        let named: Vec<&str> = needs.iter().map(|need| need["job"].as_str().unwrap()).collect();
        assert_eq!(named, builders, "{name}");
        for need in needs {
            assert_eq!(need["artifacts"], need["job"] == "signer", "{name}: {need}");
        }
        assert!(gitlab[name].get("dependencies").is_none(), "{name}");
    }
    // It must not take artifacts of the build jobs either.
    assert_eq!(gitlab["signer"]["stage"], gitlab["build"]["stage"]);
    assert!(gitlab["signer"].get("needs").is_none() && gitlab["signer"].get("cache").is_none());
    // The jobs of the matrix, by the names that GitLab gives them.
    let script = gitlab["publish"]["script"].to_string();
    for entry in gitlab["build"]["parallel"]["matrix"].as_array().unwrap() {
        let text = |key: &str| entry[key].as_str().unwrap();
        let (target, runner) = (text("TARGET"), text("RUNNER"));
        let job = format!("build: [{target}, {runner}]");
        let fetch = format!(r#"sh docs/ci/gitlab-fetch.sh \"{job}\" dist/{target}/mytool"#);
        assert!(script.contains(&fetch), "{fetch}");
    }
}
