//! An example of a tool that a team ships: it prints the line of a deploy log that failed. Copy
//! this `main`.

mod log;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use relatch::{Startup, cli::UpdateArgs};

/// In your tool: `env!("CARGO_PKG_VERSION")`, or the build number of your CI.
const VERSION: &str = env!("DEMO_VERSION");
/// In your tool: `include_bytes!("../root.json")`, the file that `signer init` wrote.
const ROOT: &[u8] = include_bytes!(env!("DEMO_ROOT"));
/// In your tool: `"https://releases.example.com/demo"`.
const REPOSITORY: &str = env!("DEMO_REPOSITORY");

/// Finds the first failure in a deploy log
#[derive(Parser)]
#[command(name = "demo", version = VERSION)]
struct Arguments {
    #[command(flatten)]
    update: UpdateArgs,
    /// The log to read
    log: Option<std::path::PathBuf>,
}

fn main() -> ExitCode {
    // By default, a tool checks at most once an hour, for at most 1.5 s. The quickstart needs a
    // check at every start, and one that completes even on a busy machine.
    let startup = Startup::new("demo", VERSION, ROOT, REPOSITORY);
    let _running = startup.interval(Duration::ZERO).deadline(Duration::from_secs(20)).run();
    let arguments = Arguments::parse();
    log::report(VERSION, arguments.log.as_deref())
}
