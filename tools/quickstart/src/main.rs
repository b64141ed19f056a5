//! Tells the whole story on screen: keys, releases, an update by itself, a bad release, the way back, and two attacks.
//!
//! Every command that it prints is one that it runs, as a person would type it in this folder.

mod stage;

use std::process::ExitCode;

use stage::{Result, Stage};

const DIR: &str = "target/quickstart";
const USAGE: &str = "usage: cargo run -p quickstart [-- [--s3] [--dir DIR]]
  --s3       the releases lie in a bucket of an S3 server on this machine, and not in a directory
  --dir DIR  is emptied; default target/quickstart";

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let in_bucket = arguments.first().is_some_and(|first| first == "--s3");
    if in_bucket {
        arguments.remove(0);
    }
    let dir = match &arguments[..] {
        [] => DIR,
        [flag, dir] if flag == "--dir" && !dir.starts_with('-') && !dir.contains(char::is_whitespace) => dir,
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match tell(dir, in_bucket) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("\nquickstart: {why}");
            ExitCode::FAILURE
        }
    }
}

fn tell(dir: &str, in_bucket: bool) -> Result<()> {
    let mut stage = Stage::new(dir)?;
    stage.tell("Build the tools: `signer` for the one who publishes, `relatch` for every machine. The first time takes a minute or two.");
    stage.run("cargo build --quiet -p signer -p relatch-cli -p demo", 0)?;
    if in_bucket {
        stage.tell("Start an S3 server. It is the one of the tests, for this machine alone; its key pair is worthless elsewhere.");
        stage.run("cargo build --quiet -p test-s3", 0)?;
        stage.serve_bucket()?;
    }

    stage.tell("Make keys and the first root document. Only `root.json` is public; the demo will carry it.");
    stage.run("target/debug/signer init --product demo --no-password --keys {dir}/keys --repo {repo} --root {dir}/root.json", 0)?;

    stage.tell("Build the demo as 1.0.0 and publish it.");
    build(&stage, "1.0.0", "error")?;
    release(&stage, "1.0.0")?;

    stage.tell("Somebody installs it. Nothing of the repository is trusted but what root.json vouches for.");
    stage.run("target/debug/relatch install --from {repo} --root {dir}/root.json --product demo --to {dir}/bin/demo{exe}", 0)?;
    stage.run("printf 'web-1 ok\\nweb-2 ok\\nweb-3 ERROR: disk full\\n' > {dir}/deploy.log", 0)?;
    stage.run("{dir}/bin/demo {dir}/deploy.log", 1)?;

    stage.tell("The team publishes 1.1.0. The next start becomes it, by itself, and does what it was asked.");
    build(&stage, "1.1.0", "error")?;
    release(&stage, "1.1.0")?;
    expect(&stage.run("{dir}/bin/demo {dir}/deploy.log", 1)?, "demo 1.1.0: line 3")?;

    stage.tell("1.2.0 is a bad release: well signed, it starts, but somebody misspelt `error`. It finds nothing any more.");
    build(&stage, "1.2.0", "eror")?;
    release(&stage, "1.2.0")?;
    expect(&stage.run("{dir}/bin/demo {dir}/deploy.log", 0)?, "demo 1.2.0: no failure found")?;

    stage.tell("The day of the bad release: one command, no network, and the tool works again.");
    stage.run("{dir}/bin/demo --rollback", 0)?;
    expect(&stage.run("{dir}/bin/demo {dir}/deploy.log", 1)?, "demo 1.1.0: line 3")?;

    stage.tell("1.2.0 is held: neither the next start nor an explicit update takes it again.");
    expect(&stage.run("{dir}/bin/demo {dir}/deploy.log", 1)?, "demo 1.1.0: line 3")?;
    expect(&stage.run("{dir}/bin/demo --update", 0)?, "held")?;

    stage.tell("1.3.0 is good. Before anybody has it, somebody who owns the repository changes eight bytes of every blob.");
    build(&stage, "1.3.0", "error")?;
    release(&stage, "1.3.0")?;
    stage.run("cp -R {files} {dir}/as-signed", 0)?;
    stage.run("for blob in {files}/blobs/*; do printf tampered | dd of=$blob bs=1 seek=19 conv=notrunc 2>/dev/null; done", 0)?;
    expect(&stage.run("{dir}/bin/demo {dir}/deploy.log", 1)?, "not updated: blobs/")?;

    stage.tell("With the blobs as they were, they change the signed manifest to say 1.4.0.");
    stage.run("rm -r {files} && cp -R {dir}/as-signed {files}", 0)?;
    stage.run("for file in {files}/manifests/*.json; do sed s/1.3.0/1.4.0/ $file > $file.new && mv $file.new $file; done", 0)?;
    expect(&stage.run("{dir}/bin/demo {dir}/deploy.log", 1)?, "not updated: the manifest")?;
    stage.run("target/debug/relatch check {dir}/bin/demo{exe}", 3)?;

    stage.tell("Nothing of that was executed. With the repository as it was signed, 1.3.0 comes.");
    stage.run("rm -r {files} && mv {dir}/as-signed {files}", 0)?;
    expect(&stage.run("{dir}/bin/demo {dir}/deploy.log", 1)?, "demo 1.3.0: line 3")?;
    stage.run("target/debug/relatch status {dir}/bin/demo{exe}", 0)?;
    stage.run("target/debug/signer verify --repo {repo} --root {dir}/root.json", 0)?;

    let again = stage.server_again();
    let repo = stage.repo();
    println!(
        "\nEverything lies in {dir}, for playing:{again}\n  \
         {dir}/bin/demo --help                 the tool, with the arguments that relatch adds\n  \
         {dir}/bin/demo --rollback             back to 1.1.0, and once more forward again\n  \
         target/debug/signer show --repo {repo} --root {dir}/root.json\n  \
         target/debug/signer --help            prepare, sign and publish in different places\n\
         Run `cargo run -p quickstart` again to begin anew. README.md says how to add it to a tool of yours."
    );
    Ok(())
}

/// Three builds of one source differ as three releases do.
fn build(stage: &Stage, version: &str, word: &str) -> Result<()> {
    stage.run(
        &format!(
            "DEMO_VERSION={version} DEMO_FAILURE={word} DEMO_ROOT=\"$PWD/{{dir}}/root.json\" DEMO_REPOSITORY={{embedded}} \
             cargo build --quiet -p demo{{features}} && cp target/debug/demo{{exe}} {{dir}}/builds/demo-{version}{{exe}}"
        ),
        0,
    )
    .map(drop)
}

fn release(stage: &Stage, version: &str) -> Result<()> {
    let command = format!(
        "target/debug/signer release --repo {{repo}} --root {{dir}}/root.json --key {{dir}}/keys/release.key \
         --key {{dir}}/keys/timestamp.key --level 3 --version {version} --artifact {}={{dir}}/builds/demo-{version}{{exe}}",
        host()?
    );
    stage.run(&command, 0).map(drop)
}

/// The target that this machine's executables are built for, as rustc calls it.
fn host() -> Result<String> {
    let output = std::process::Command::new("rustc")
        .arg("-vV")
        .output()
        .map_err(|error| format!("cannot run rustc: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
        .ok_or_else(|| "rustc names no host".into())
}

fn expect(output: &str, text: &str) -> Result<()> {
    if output.contains(text) { Ok(()) } else { Err(format!("expected was `{text}`")) }
}
