//! moving-over.md, played through: at every step a client of the old kind does what it always did, and the commands are the document's own.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use relatch::install::Probe;
use relatch::{Install, Outcome, Quiet, Updater};

use crate::pipeline::{Pipeline, docs, failed, path, text, worked, write_executable};
use crate::support::built::built;

/// The tool as it was: it reads all of VERSION as one integer, and believes whatever lies beside it.
const OLD_TOOL: &str = r#"#!/bin/sh
set -eu
mine=@NUMBER@
newest=$(cat "$OLD_PLACE/mytool/VERSION")
if [ "$newest" -gt "$mine" ]; then
    cp "$OLD_PLACE/mytool/mytool-linux-x86_64" "$0.new"
    chmod 755 "$0.new"
    mv "$0.new" "$0"
    exec "$0" "$@"
fi
echo "mytool $mine $*"
"#;

/// `aws s3 cp` between files, standard input and output, and directories that stand for buckets.
const AWS: &str = r#"#!/bin/sh
set -eu
[ "$1 $2" = "s3 cp" ]
place() { printf '%s\n' "$1" | sed "s|^s3://example-tools|$OLD_PLACE|"; }
case $3,$4 in
    -,*) cat > "$(place "$4")" ;;
    *,-) cat "$(place "$3")" ;;
    *) cp "$(place "$3")" "$(place "$4")" ;;
esac
"#;

/// The old bucket, the new one, and machines.
struct World {
    ci: Pipeline,
}

impl World {
    fn new() -> Self {
        let ci = Pipeline::bare();
        for dir in ["old/mytool", "dist", "shims", "machines"] {
            std::fs::create_dir_all(ci.desk.path(dir)).unwrap();
        }
        write_executable(&ci.desk.path("shims/aws"), AWS.as_bytes());
        World { ci }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.ci.desk.path(name)
    }

    /// Keys, and an empty repository.
    fn initialize(&self) {
        let to = ["--keys", "keys", "--repo", "repo", "--root", "root.json"];
        self.ci.desk.ok(&[&["init", "--product", "mytool", "--no-password"][..], &to].concat());
    }

    /// The old bucket, as the old job writes it.
    fn old_place(&self, build: &str, executable: &[u8]) {
        self.ci.desk.write("old/mytool/mytool-linux-x86_64", executable);
        self.ci.desk.write("old/mytool/VERSION", format!("{build}\n"));
    }

    #[track_caller]
    fn old_place_is(&self, build: &str, executable: &[u8]) {
        assert_eq!(self.ci.desk.read("old/mytool/VERSION"), format!("{build}\n"));
        assert_eq!(std::fs::read(self.path("old/mytool/mytool-linux-x86_64")).unwrap(), executable);
    }

    /// A copy from the new place alone.
    fn trial(&self) -> Updater {
        let install = Install {
            from: self.path("repo").display().to_string(),
            ca_file: None,
            root: self.path("root.json"),
            product: "mytool".parse().unwrap(),
            channel: "stable".parse().unwrap(),
            target: "test".parse().unwrap(),
            path: self.path("trial"),
            probe: Some(Probe::None),
            force: false,
        };
        install.run(Quiet).unwrap();
        Updater::of_installed(&self.path("trial")).unwrap()
    }

    /// What the build jobs left.
    fn built(&self, executable: &[u8]) {
        self.ci.desk.write("dist/mytool-linux-x86_64", executable);
    }

    fn publish_both_ways(&self, version: &str) -> String {
        worked(self.both_ways(version).output().unwrap())
    }

    /// Step 2's commands, as the document has them.
    fn both_ways(&self, version: &str) -> Command {
        let document = std::fs::read_to_string(docs().join("moving-over.md")).unwrap();
        let block = document.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
        assert!(block.contains("s3://example-tools/mytool/VERSION"), "{block}");
        let block = block.replace("docs/ci/", &format!("{}/", docs().display()));
        let block = block.replace(
            "x86_64-unknown-linux-gnu=dist/mytool-linux-x86_64\n",
            "test=dist/mytool-linux-x86_64 -- --level 1\n", // compressing well would be all that this test does
        );
        let mut shell = self.ci.shell();
        shell.args(["-eu", "-c", &block]).env("VERSION", version).env("OLD_PLACE", self.path("old"));
        shell
    }

    /// From step 4 on.
    fn publish_signed(&self, version: &str) {
        let publish =
            &mut self.ci.script("publish.sh", &["test=dist/mytool-linux-x86_64", "--", "--level", "1"]);
        worked(publish.env("VERSION", version).output().unwrap());
    }

    /// A machine that has this.
    fn machine(&self, name: &str, executable: &[u8]) {
        write_executable(&self.path("machines").join(name), executable);
    }

    fn start(&self, machine: &str, arguments: &[&str]) -> Output {
        let mut tool = Command::new(self.path("machines").join(machine));
        tool.args(arguments).stdin(Stdio::null()).env_clear().env("PATH", path(&[]));
        tool.env("OLD_PLACE", self.path("old")).output().unwrap()
    }

    /// It runs as this build, and has nothing to complain of.
    #[track_caller]
    fn runs(&self, machine: &str, build: &str) {
        let output = self.start(machine, &["deploy"]);
        assert_eq!(text(&output.stderr), "", "{machine}");
        assert_eq!(worked(output), format!("mytool {build} deploy\n"), "{machine}");
    }

    /// It becomes this build, and says so.
    #[track_caller]
    fn becomes(&self, machine: &str, build: &str) {
        let output = self.start(machine, &["deploy"]);
        assert_eq!(worked(output), format!("mytool {build} deploy\n"), "{machine}");
        self.runs(machine, build);
    }

    /// A build with relatch: the tool of relatch's own tests.
    fn bridge(&self, build: &str) -> Vec<u8> {
        let config = serde_json::json!({
            "product": "mytool", "version": build, "root": self.ci.desk.read("root.json"),
            "repository": self.path("repo"), "interval": 0, "deadline_ms": 60_000,
        });
        [test_tool(), b"\n", config.to_string().as_bytes()].concat()
    }
}

/// A build of the old kind.
fn old(build: &str) -> Vec<u8> {
    OLD_TOOL.replace("@NUMBER@", build).into_bytes()
}

fn test_tool() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| std::fs::read(built("test-tool")).unwrap())
}

#[test]
fn no_step_breaks_an_old_client() {
    // Step 0. One machine is started every day, others only now and then.
    let world = World::new();
    world.old_place("1207", &old("1207"));
    for machine in ["daily", "weekly", "drawer"] {
        world.machine(machine, &old("1207"));
    }
    world.machine("image", &old("1100"));
    world.runs("daily", "1207");

    // Step 1: keys and a place. Who looks at the old one sees nothing of it.
    world.initialize();
    world.runs("daily", "1207");

    // Step 2: both ways. A trial from the new place alone, and the old clients as ever.
    world.built(&old("1208"));
    assert!(world.publish_both_ways("1208").contains("published mytool 1208 as release 1"));
    let mut trial = world.trial();
    world.runs("daily", "1208");
    world.built(&old("1209"));
    world.publish_both_ways("1209");
    assert!(matches!(trial.update(false), Ok(Outcome::Updated { .. })));
    assert_eq!(std::fs::read(world.path("trial")).unwrap(), old("1209"));
    world.runs("daily", "1209");
    // A late build wins in neither place.
    world.built(&old("1207"));
    assert!(world.publish_both_ways("1207").starts_with("superseded"));
    world.old_place_is("1209", &old("1209"));

    // Step 3: the bridge, which an old client takes as any other, and the next build, which comes signed.
    world.built(&world.bridge("1210"));
    world.publish_both_ways("1210");
    world.runs("daily", "1210");
    world.built(&world.bridge("1211"));
    world.publish_both_ways("1211");
    world.becomes("daily", "1211");
    worked(world.start("daily", &["--rollback"]));
    world.runs("daily", "1210");
    worked(world.start("daily", &["--update=1211"]));
    world.runs("daily", "1211");
    world.runs("weekly", "1211"); // from 1207, the old way
    // A build without relatch is no way back for who has the bridge; who has not takes it.
    world.built(&old("1212"));
    world.publish_both_ways("1212");
    let output = world.start("daily", &["deploy"]);
    assert!(text(&output.stderr).contains("1212"), "{}", text(&output.stderr));
    assert_eq!(worked(output), "mytool 1211 deploy\n");
    world.machine("another", &old("1207"));
    world.runs("another", "1212");
    // A higher build both ways is one for both.
    let last = world.bridge("1213");
    world.built(&last);
    world.publish_both_ways("1213");
    world.becomes("daily", "1213");
    world.runs("another", "1213");

    // Step 4: nobody writes to the old place any more.
    for build in ["1214", "1215"] {
        world.built(&world.bridge(build));
        world.publish_signed(build);
    }
    world.old_place_is("1213", &last);
    world.becomes("daily", "1215");
    world.becomes("drawer", "1215"); // 1207, the bridge 1213, and the newest: at one start

    // Who owns the old place owns who still asks there, and nobody else.
    world.old_place("9999", b"#!/bin/sh\necho evil\n");
    for machine in ["daily", "weekly", "drawer", "another"] {
        world.becomes(machine, "1215");
    }
    world.machine("unmoved", &old("1207"));
    assert_eq!(worked(world.start("unmoved", &[])), "evil\n");
    world.old_place("1213", &last);
    world.becomes("image", "1215");

    // Step 5.
    std::fs::remove_dir_all(world.path("old")).unwrap();
    world.built(&world.bridge("1216"));
    world.publish_signed("1216");
    for machine in ["daily", "weekly", "drawer", "another", "image"] {
        world.becomes(machine, "1216");
    }
}

/// Why relatch has a place of its own: its first line would do for a person, but not for who reads all of it.
#[test]
fn an_old_client_cannot_read_what_relatch_writes() {
    let world = World::new();
    world.initialize();
    world.built(&old("1208"));
    world.publish_signed("1208");
    let version = std::fs::read_to_string(world.path("repo/stable/VERSION")).unwrap();
    assert_eq!(version.lines().next(), Some("1208"));
    world.ci.desk.write("old/mytool/VERSION", version);
    world.machine("daily", &old("1207"));
    let output = world.start("daily", &[]);
    assert!(text(&output.stderr).contains("1208"), "{}", text(&output.stderr));
    assert_ne!(text(&output.stdout), "mytool 1208 \n");
}

/// A job that published the new way alone and is green would leave all old clients behind.
#[test]
fn who_cannot_read_the_old_place_is_told_so() {
    let world = World::new();
    world.initialize();
    world.old_place("1207", &old("1207"));
    world.built(&old("1208"));
    write_executable(
        &world.path("shims/aws"),
        b"#!/bin/sh\necho 'Unable to locate credentials' >&2\nexit 255\n",
    );
    assert_eq!(failed(255, world.both_ways("1208").output().unwrap()), "Unable to locate credentials\n");
    world.old_place_is("1207", &old("1207"));
    write_executable(&world.path("shims/aws"), AWS.as_bytes());
    for nonsense in ["", "12O7"] {
        world.old_place(nonsense, &old("1207"));
        assert_eq!(failed(1, world.both_ways("1208").output().unwrap()), "the old VERSION is no number\n");
        world.old_place_is(nonsense, &old("1207"));
    }
    world.old_place("1207", &old("1207"));
    // When that is mended, the same job goes on where it ended.
    write_executable(&world.path("shims/aws"), AWS.as_bytes());
    assert!(world.publish_both_ways("1208").contains("build 1208 was published before"));
    world.old_place_is("1208", &old("1208"));
}
