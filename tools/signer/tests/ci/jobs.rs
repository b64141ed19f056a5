//! The jobs with secrets, run as their files say: with what the build jobs made, and with what an
//! attacker who controls a build job could put in its place.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::files::{PIPELINES, TARGETS, jobs, names, read, yaml};
use crate::pipeline::{Pipeline, failed, path, text, worked, write_executable};

/// A GitLab, as far as gitlab-fetch.sh asks it.
const CURL: &str = r#"#!/bin/sh
out=
while [ $# -gt 1 ]; do
    case $1 in
        --output) out=$2; shift ;;
        --header) [ "$2" = "JOB-TOKEN: the job's token" ] || exit 22; shift ;;
        --retry) shift ;;
    esac
    shift
done
project=https://gitlab.test/api/v4/projects/7
case $1 in
    "$project/pipelines/9/jobs?per_page=100") cat "$HOME/api/jobs.json" ;;
    "$project"/jobs/*) cp "$HOME/api/${1#"$project"/jobs/}" "$out" ;;
    *) exit 22 ;;
esac
"#;

const JOBS: &str = r#"[
    { "id": 14, "name": "recall" },
    { "id": 13, "name": "publish" },
    { "id": 12, "name": "build: [aarch64-unknown-linux-gnu, saas-linux-small-arm64]" },
    { "id": 11, "name": "build: [x86_64-unknown-linux-gnu, saas-linux-small-amd64]" },
    { "id": 10, "name": "signer" }
]"#;

/// A machine on which the jobs of one CI run.
struct Machine {
    ci: Pipeline,
    name: &'static str,
    /// The outputs of the jobs, on GitHub.
    sums: BTreeMap<String, String>,
    /// The output of the job `recall`, on GitHub.
    state: String,
}

impl Machine {
    /// After all build jobs, of which `signer` built this.
    fn new(name: &'static str, signer: &Path) -> Self {
        let mut machine = Machine { ci: Pipeline::new(), name, sums: BTreeMap::new(), state: String::new() };
        for script in names("", ".sh") {
            // As a browser saves it: not executable.
            machine.write(&format!("docs/ci/{script}"), &read(&script));
        }
        machine.write("api/jobs.json", JOBS);
        std::fs::create_dir(machine.home().join("shims")).unwrap();
        write_executable(&machine.home().join("shims/curl"), CURL.as_bytes());
        machine.put("signer", signer);
        for target in TARGETS {
            machine.write("built", &format!("for {target}"));
            machine.put(target, &machine.home().join("built"));
        }
        machine.recall();
        if name == "github-actions.yml" {
            for (job, content) in jobs(name) {
                if content["outputs"].get("sha256").is_some() {
                    let sum = machine.output(&job, &content);
                    machine.sums.insert(job, sum);
                }
            }
        }
        machine
    }

    fn home(&self) -> &Path {
        self.ci.desk.dir.path()
    }

    fn write(&self, file: &str, content: &str) {
        let file = self.home().join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, content).unwrap();
    }

    /// Where the jobs with secrets get what was built: `signer`, or the executable for a target.
    fn place(&self, built: &str) -> PathBuf {
        let place = match (self.name, built) {
            ("github-actions.yml", "signer") => "dist/signer/signer".into(),
            ("github-actions.yml", target) => format!("dist/{target}/mytool"),
            ("circleci.yml", "signer") => "workspace/bin/signer".into(),
            ("circleci.yml", target) => format!("workspace/dist/{target}/mytool"),
            (_, "signer") => "bin/signer".into(),
            (_, target) => {
                let id = if target.starts_with("x86_64") { 11 } else { 12 };
                format!("api/{id}/artifacts/dist/{target}/mytool")
            }
        };
        self.home().join(place)
    }

    fn put(&self, built: &str, file: &Path) {
        let place = self.place(built);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        // By another process, as `write_executable` does it.
        worked(Command::new("cp").arg(file).arg(&place).output().unwrap());
        // GitHub keeps no modes of files.
        let mode = if self.name == "github-actions.yml" { "644" } else { "755" };
        worked(Command::new("chmod").arg(mode).arg(&place).output().unwrap());
    }

    /// The job `recall`, with what the last job with secrets saved, if there was one.
    fn recall(&mut self) {
        let place = self.home().join("recaller");
        drop(std::fs::remove_dir_all(&place));
        std::fs::create_dir(&place).unwrap();
        let saved = self.home().join("signer-state.json");
        if saved.exists() {
            std::fs::rename(&saved, place.join("signer-state.json")).unwrap();
        }
        let mut shell = Command::new("bash");
        shell.args(["-eo", "pipefail", "-c", &self.commands("recall")]).current_dir(&place);
        worked(shell.env("GITHUB_OUTPUT", "output").output().unwrap());
        let hand_on = |from: &str, to: &str| {
            let to = self.home().join(to);
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(place.join(from), to).unwrap();
        };
        match self.name {
            "github-actions.yml" => {
                let output = std::fs::read_to_string(place.join("output")).unwrap_or_default();
                self.state = output.trim_end().strip_prefix("state=").unwrap_or_default().into();
            }
            "circleci.yml" => hand_on("state/signer-state.json", "workspace/state/signer-state.json"),
            _ => hand_on("memory", "api/14/artifacts/memory"),
        }
    }

    /// The output `sha256` of a job: what its step `sum` says of the file that it uploads.
    fn output(&self, job: &str, content: &Value) -> String {
        let steps = content["steps"].as_array().unwrap();
        let upload = steps.iter().find_map(|step| step["with"]["path"].as_str()).unwrap();
        let step = steps.iter().find(|step| step["id"] == "sum").unwrap();
        let runner = self.home().join("runner").join(job);
        let built = runner.join(upload);
        std::fs::create_dir_all(built.parent().unwrap()).unwrap();
        std::fs::hard_link(self.place(job), &built).unwrap();
        let mut shell = Command::new("bash");
        shell.args(["-eo", "pipefail", "-c", step["run"].as_str().unwrap()]);
        shell.current_dir(&runner).env("GITHUB_OUTPUT", "output");
        worked(shell.output().unwrap());
        let output = std::fs::read_to_string(runner.join("output")).unwrap();
        output.strip_prefix("sha256=").unwrap().strip_suffix('\n').unwrap().into()
    }

    /// What a job's shell runs, with what CI would put in.
    fn commands(&self, job: &str) -> String {
        let pipeline = yaml(self.name);
        let content = &jobs(self.name)[job];
        let text = |value: &Value| value.as_str().map(str::to_owned);
        if let Some(script) = content["script"].as_array() {
            return script.iter().filter_map(text).collect::<Vec<_>>().join("\n");
        }
        let mut all = Vec::new();
        for step in content["steps"].as_array().unwrap() {
            let key = step.as_object().and_then(|step| step.keys().next());
            let command = key.map(String::as_str).or(step.as_str()).unwrap();
            if let Some(called) = pipeline["commands"].get(command) {
                let steps = called["steps"].as_array().unwrap();
                let command = steps.iter().find_map(|step| text(&step["run"]["command"])).unwrap();
                let role = step["assume"]["role"].as_str().unwrap_or_default();
                all.push(command.replace("<< parameters.role >>", role));
                all.push(". \"$BASH_ENV\"".into());
            }
            for (variable, value) in step["env"].as_object().into_iter().flatten() {
                if value == "${{ needs.recall.outputs.state }}" {
                    all.push(format!("export {variable}='{}'", self.state));
                }
                let needed = value.as_str().unwrap().strip_prefix("${{ needs.");
                if let Some(job) = needed.and_then(|rest| rest.strip_suffix(".outputs.sha256 }}")) {
                    all.push(format!("export {variable}='{}'", self.sums[job]));
                }
            }
            all.extend(step.get("run").and_then(text));
        }
        all.join("\n")
    }

    fn run(&self, job: &str) -> Output {
        let home = self.home();
        let mut shell = Command::new("bash");
        shell.args(["-eo", "pipefail", "-c", &self.commands(job)]).current_dir(home).env_clear();
        shell.env("HOME", home).env("PATH", path(&[&home.join("shims")]));
        shell.env("BASH_ENV", home.join("bash-env"));
        shell.env("SIGNER_REPO", "repo").env("SIGNER_ROOT", "root.json").env("OFFSET", "1000");
        let pipeline = yaml(self.name);
        let variables = [&pipeline["env"], &pipeline["variables"], &pipeline["jobs"][job]["environment"]];
        let state = variables.iter().find_map(|variables| variables["SIGNER_STATE"].as_str()).unwrap();
        shell.env("SIGNER_STATE", state);
        for number in ["GITHUB_RUN_NUMBER", "PIPELINE", "CI_PIPELINE_IID"] {
            shell.env(number, "42");
        }
        shell.env("CI_API_V4_URL", "https://gitlab.test/api/v4");
        shell.env("CI_PROJECT_ID", "7").env("CI_PIPELINE_ID", "9");
        shell.env("CI_JOB_ID", "1").env("CI_JOB_TOKEN", "the job's token");
        shell.env("CIRCLE_BUILD_NUM", "1").env("CIRCLE_OIDC_TOKEN_V2", "the token");
        shell.env("WEB_IDENTITY_TOKEN", "the token");
        for (variable, file) in [("RELEASE_KEY", "release"), ("TIMESTAMP_KEY", "timestamp")] {
            let key = self.ci.desk.read(&format!("keys/{file}.key"));
            if self.name == "gitlab-ci.yml" {
                use base64ct::Encoding as _;
                let encoded = base64ct::Base64::encode_string(key.as_bytes());
                shell.env(format!("{variable}_BASE64"), encoded);
            } else if self.name == "circleci.yml" {
                shell.env(variable, key.replace('\n', "\\n"));
            } else {
                shell.env(variable, key);
            }
        }
        // Each job begins on a fresh machine.
        self.ci.desk.write("bash-env", "");
        drop(std::fs::remove_dir_all(home.join("signer")));
        shell.output().unwrap()
    }
}

fn signer() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_signer"))
}

#[test]
fn the_jobs_of_each_ci_publish_and_refresh() {
    for name in PIPELINES {
        let machine = Machine::new(name, signer());
        let said = worked(machine.run("publish"));
        assert!(
            said.contains("published widget 1042 as release ") && said.contains(" on stable to "),
            "{name}: {said}"
        );
        assert!(
            said.contains("x86_64-unknown-linux-gnu") && said.contains("aarch64-unknown-linux-gnu"),
            "{said}"
        );
        if name == "github-actions.yml" {
            // That job downloads `signer` and nothing else.
            for target in TARGETS {
                std::fs::remove_dir_all(machine.place(target).parent().unwrap()).unwrap();
            }
        }
        assert!(worked(machine.run("refresh")).contains("refreshed widget 1042"), "{name}");
        if name != "github-actions.yml" {
            use std::os::unix::fs::PermissionsExt;
            let token = machine.home().join("web-identity-token");
            assert_eq!(std::fs::read_to_string(&token).unwrap(), "the token", "{name}");
            assert_eq!(token.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        }
    }
}

/// What one job with secrets saves, the next one has.
#[test]
fn the_memory_of_the_publisher_goes_from_job_to_job() {
    for name in PIPELINES {
        let script = tempfile::NamedTempFile::new().unwrap();
        let real = signer().display();
        std::fs::write(
            script.path(),
            format!(
                "#!/bin/sh\nif [ \"$1\" != show ]; then\n\
                 [ -e \"$SIGNER_STATE\" ] || echo 'the first run' > \"$SIGNER_STATE\"\n\
                 echo \"$1 \\$(touch ran)'\" >> \"$SIGNER_STATE\"\nfi\n\
                 unset SIGNER_STATE\nexec '{real}' \"$@\"\n"
            ),
        )
        .unwrap();
        let mut machine = Machine::new(name, script.path());
        worked(machine.run("publish"));
        machine.recall();
        if name == "github-actions.yml" {
            for target in TARGETS {
                std::fs::remove_dir_all(machine.place(target).parent().unwrap()).unwrap();
            }
        }
        worked(machine.run("refresh"));
        let memory = machine.ci.desk.read("signer-state.json");
        // It is data, and never a command.
        assert_eq!(memory, "the first run\nrelease $(touch ran)'\nrefresh $(touch ran)'\n", "{name}");
        assert!(!machine.home().join("ran").exists() && !machine.home().join("recaller/ran").exists());
    }
}

/// On GitHub, where any job of the run can replace any artifact.
#[test]
fn a_replaced_artifact_ends_the_job_before_anything_of_it_runs() {
    let name = "github-actions.yml";
    let spy = "#!/bin/sh\necho \"$0 $*\" >> \"$HOME/ran\"\n";
    let scene = || {
        let script = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(script.path(), format!("{spy}# the honest one\n")).unwrap();
        Machine::new(name, script.path())
    };
    let ran = |machine: &Machine| machine.home().join("ran").exists();
    let refused = |machine: &Machine, job: &str| {
        let before = machine.ci.desk.repository();
        let why = failed(3, machine.run(job));
        assert!(why.starts_with("check: "), "{why}");
        assert!(!ran(machine), "{job}: {}", machine.ci.desk.read("ran"));
        assert_eq!(machine.ci.desk.repository(), before);
        why
    };
    // Without an attack the stand-in is run, so a refusal below is the check's.
    let machine = scene();
    machine.run("publish");
    assert!(ran(&machine));

    for built in TARGETS.into_iter().chain(["signer"]) {
        let machine = scene();
        std::fs::write(machine.place(built), spy).unwrap();
        assert!(refused(&machine, "publish").contains("Another job replaced the artifact"));
    }
    // What the signing job runs by name must not come from an artifact, either.
    for extra in ["sed", "sh", "chmod"] {
        let machine = scene();
        write_executable(&machine.place("signer").with_file_name(extra), spy.as_bytes());
        let why = refused(&machine, "publish");
        assert!(why.contains(&format!("unexpected file: ./signer/{extra}\n")), "{why}");
    }
    for job in ["signer", "x86_64-unknown-linux-gnu"] {
        let mut machine = scene();
        machine.sums.insert(job.into(), String::new());
        assert!(refused(&machine, "publish").contains("has an empty SHA-256 sum"));
        let machine = scene();
        std::fs::remove_file(machine.place(job)).unwrap();
        assert!(refused(&machine, "publish").contains("missing file"));
    }
    // An output is data, and never a command.
    let mut machine = scene();
    machine.sums.insert("signer".into(), "$(touch \"$HOME/ran\")".into());
    refused(&machine, "publish");

    let machine = scene();
    for target in TARGETS {
        std::fs::remove_dir_all(machine.place(target).parent().unwrap()).unwrap();
    }
    std::fs::write(machine.place("signer"), spy).unwrap();
    refused(&machine, "refresh");
}

/// On CircleCI, where a build job can add any file to the workspace. CircleCI itself refuses a file
/// that another job persisted too.
#[test]
fn files_that_a_build_job_adds_to_the_workspace_do_not_run() {
    let machine = Machine::new("circleci.yml", signer());
    let spy = "#!/bin/sh\ntouch \"$HOME/ran\"\n";
    for name in ["sed", "awk", "sh", "docs/ci/publish.sh", "docs/ci/refresh.sh"] {
        for dir in ["workspace", "workspace/bin"] {
            let file = machine.home().join(dir).join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            write_executable(&file, spy.as_bytes());
        }
    }
    assert!(worked(machine.run("publish")).contains("published widget 1042"));
    assert!(worked(machine.run("refresh")).contains("refreshed widget 1042"));
    assert!(!machine.home().join("ran").exists());
    // A link into another layer.
    for link in
        ["workspace/bin/signer", "workspace/bin", "workspace/state/signer-state.json", "workspace/state"]
    {
        let machine = Machine::new("circleci.yml", signer());
        let (link, aside) = (machine.home().join(link), machine.home().join("aside"));
        std::fs::rename(&link, &aside).unwrap();
        std::os::unix::fs::symlink(&aside, &link).unwrap();
        let why = failed(1, machine.run("publish"));
        assert!(why.ends_with("is a symbolic link\n"), "{why}");
    }
}

/// On GitLab: a job of another name, a job that is missing or there twice, a file that is missing.
#[test]
fn gitlab_hands_out_the_file_of_the_named_job_or_none() {
    let x86_64 = r#""id": 11, "name": "build: [x86_64-unknown-linux-gnu, saas-linux-small-amd64]""#;
    assert!(JOBS.contains(x86_64));
    let twice = format!("{x86_64} }}, {{ {x86_64}");
    for other in [r#""id": 11, "name": "another""#, &twice] {
        let machine = Machine::new("gitlab-ci.yml", signer());
        machine.write("api/jobs.json", &JOBS.replace(x86_64, other));
        let why = text(&machine.run("publish").stderr);
        assert!(why.contains("jobs of this pipeline are named build: [x86_64"), "{why}");
    }
    let machine = Machine::new("gitlab-ci.yml", signer());
    let before = machine.ci.desk.repository();
    std::fs::remove_file(machine.place("x86_64-unknown-linux-gnu")).unwrap();
    assert!(!machine.run("publish").status.success());
    machine.write("api/jobs.json", "no JSON");
    assert!(!machine.run("publish").status.success());
    assert_eq!(machine.ci.desk.repository(), before);
}
