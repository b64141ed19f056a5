//! A tool with commands of its own for updates, in place of the flags that `Startup` answers.

use std::process::ExitCode;

use relatch::install::Installation;
use relatch::{Policy, Startup, Updater};

fn startup() -> Startup {
    let (version, root) = (env!("CARGO_PKG_VERSION"), include_bytes!("../examples/root.json"));
    Startup::new("demo", version, root, "https://releases.example.com/demo").own_flags()
}

/// Answers `demo self update`, `demo self rollback` and `demo self status`.
fn answer(command: &str) -> relatch::Result<String> {
    let installation = Installation::of_running()?;
    match command {
        "update" => Ok(startup().updater()?.update(true)?.to_string()),
        "rollback" => Ok(Updater::rollback(&installation, None)?.to_string()),
        _ => Ok(Updater::status(&installation, None)?.to_string()),
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let own = match &arguments[..] {
        [first, command] if first == "self" => Some(command),
        _ => None,
    };
    // Always first: a new version proves here that it runs, before it is swapped in.
    startup().policy(if own.is_some() { Policy::Off } else { Policy::Auto }).run();
    let Some(command) = own else {
        println!("demo {}", env!("CARGO_PKG_VERSION"));
        return ExitCode::SUCCESS;
    };
    if !["update", "rollback", "status"].contains(&command.as_str()) {
        eprintln!("demo: unknown command `self {command}`: use update, rollback or status");
        return ExitCode::from(2);
    }
    match answer(command) {
        Ok(text) => {
            println!("demo: {text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("demo: {error}\n  {}", error.advice());
            ExitCode::from(error.exit_code())
        }
    }
}
