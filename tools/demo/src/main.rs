//! A tool of the kind a team ships: it says which line of a deploy log went wrong. Copy this `main`.

mod log;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use relatch::{Startup, cli::UpdateArgs};

/// In your tool: `env!("CARGO_PKG_VERSION")`, or the build number that your CI counts.
const VERSION: &str = env!("DEMO_VERSION");
/// In your tool: `include_bytes!("../root.json")`, the file that `signer init` wrote.
const ROOT: &[u8] = include_bytes!(env!("DEMO_ROOT"));
/// In your tool: `"https://releases.example.com/demo"`.
const REPOSITORY: &str = env!("DEMO_REPOSITORY");

/// Finds what went wrong in a deploy log
#[derive(Parser)]
#[command(name = "demo", version = VERSION)]
struct Arguments {
    #[command(flatten)]
    update: UpdateArgs,
    /// The log to read
    log: Option<std::path::PathBuf>,
}

fn main() -> ExitCode {
    // Without these two it checks once an hour and takes 1.5 s for it at most. Here it checks at every start, so that its story is quickly
    // told, and by all means: a busy machine must not change the story.
    let startup = Startup::new("demo", VERSION, ROOT, REPOSITORY);
    startup.interval(Duration::ZERO).deadline(Duration::from_secs(20)).run();
    let arguments = Arguments::parse();
    log::report(VERSION, arguments.log.as_deref())
}
