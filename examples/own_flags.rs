//! A tool with commands of its own for updates, in place of the flags that `Startup` answers.

use std::process::ExitCode;

use relatch::install::Installation;
use relatch::trust::Version;
use relatch::{Error, Policy, Startup, Updater};

fn startup() -> Startup {
    let (version, root) = (env!("CARGO_PKG_VERSION"), include_bytes!("../examples/root.json"));
    Startup::new("demo", version, root, "https://releases.example.com/demo").own_flags()
}

/// Answers `demo self update`, `demo self rollback` and `demo self status`: the text and the exit
/// code.
fn answer(command: &str) -> relatch::Result<(String, u8)> {
    let installation = Installation::of_running()?;
    let version: Version = env!("CARGO_PKG_VERSION").parse().map_err(|what| Error::Usage { what })?;
    // A process may run from the directory that keeps the previous executable.
    let at_path = Some(&version).filter(|_| !installation.was_replaced());
    match command {
        "update" => Ok((startup().updater()?.update(true)?.to_string(), 0)),
        "rollback" => Ok((Updater::rollback(&installation, at_path)?.to_string(), 0)),
        _ => {
            let status = Updater::status(&installation, at_path)?;
            Ok((status.to_string(), status.exit_code()))
        }
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let own = match &arguments[..] {
        [first, command] if first == "self" => Some(command),
        _ => None,
    };
    // Always first: a new version proves here that it runs, before it is swapped in.
    let _running = startup().policy(if own.is_some() { Policy::Off } else { Policy::Auto }).run();
    let Some(command) = own else {
        println!("demo {}", env!("CARGO_PKG_VERSION"));
        return ExitCode::SUCCESS;
    };
    if !["update", "rollback", "status"].contains(&command.as_str()) {
        eprintln!("demo: unknown command `self {command}`: use update, rollback or status");
        return ExitCode::from(2);
    }
    match answer(command) {
        Ok((text, code)) => {
            println!("demo: {text}");
            ExitCode::from(code)
        }
        Err(error) => {
            eprintln!("demo: {error}\n  {}", error.advice());
            ExitCode::from(error.exit_code())
        }
    }
}
