//! Installs, updates and rolls back any executable that is published with relatch: for executables
//! that do not link the library, and to rescue those that do.

mod arguments;
mod output;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use relatch::install::{Installation, Probe};
use relatch::trust::Name;
use relatch::{Error, Forward, Install, PrintableLines, Result, Terminal, Updater};

use arguments::{Arguments, Command};
use output::CommandOutput;

fn main() -> ExitCode {
    let Arguments { json, command } = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() => {
            let error = relatch::cli::printable(error);
            print_error(error.render().to_string().trim_end());
            return ExitCode::from(2);
        }
        Err(help) => help.exit(),
    };
    let result = run(command);
    let text = match (&result, json) {
        (result, true) => Some(output::to_json(result)),
        (Ok(output), false) => Some(output.text.clone()),
        (Err(error), false) => {
            let advice = output::as_commands(&error.advice());
            print_error(&format!("relatch: {error}\n  {advice}"));
            None
        }
    };
    if let Some(text) = text {
        // The work is done, and a reader may close its pipe at any time.
        drop(writeln!(std::io::stdout(), "{text}"));
    }
    ExitCode::from(match result {
        Ok(output) => output.exit_code,
        Err(error) => error.exit_code(),
    })
}

/// Ignores a write error: the exit code reports the failure as well.
fn print_error(text: &str) {
    drop(writeln!(std::io::stderr(), "{}", PrintableLines(text)));
}

fn run(command: Command) -> Result<CommandOutput> {
    match command {
        Command::Install(arguments) => {
            let target = match arguments.target {
                Some(target) => target,
                None => relatch::TARGET.parse::<Name>().map_err(|what| Error::Usage { what })?,
            };
            let probe = match (&arguments.probe, arguments.no_probe) {
                (Some(words), _) => {
                    Some(Probe::Command(words.split_whitespace().map(str::to_owned).collect()))
                }
                (None, true) => Some(Probe::None),
                (None, false) => None,
            };
            let install = Install {
                from: arguments.from,
                ca_file: arguments.ca_file,
                root: arguments.root,
                product: arguments.product,
                channel: arguments.channel,
                target,
                path: arguments.to,
                probe,
                force: arguments.force,
            };
            let (version, path) = install.run(Terminal::new("relatch"))?;
            Ok(CommandOutput::installed(&version, &path))
        }
        Command::Check { path, now } => Ok(CommandOutput::checked(&updater(&path)?.check(now)?)),
        Command::Update { path, now, to: None } => Ok(CommandOutput::updated(&updater(&path)?.update(now)?)),
        Command::Update { path, to: Some(to), .. } => Ok(match updater(&path)?.update_to(&to)? {
            Forward::Kept(kept) => CommandOutput::rolled_back(&kept),
            Forward::Released(outcome) => CommandOutput::updated(&outcome),
        }),
        Command::Rollback { path, to } => {
            let installation = Installation::at(&path)?;
            Ok(CommandOutput::rolled_back(&match to {
                Some(to) => Updater::rollback_to(&installation, None, &to)?,
                None => Updater::rollback(&installation, None)?,
            }))
        }
        Command::Unhold { path } => {
            Ok(CommandOutput::holds_ended(&Updater::end_holds(&Installation::at(&path)?)?))
        }
        Command::Doctor { path, repair } => {
            let installation = Installation::at(&path)?;
            let repaired = if repair { Some(Updater::repair(&installation)?) } else { None };
            Ok(CommandOutput::status(&installation, Updater::status(&installation, None)?, repaired))
        }
    }
}

fn updater(path: &std::path::Path) -> Result<Updater> {
    Ok(Updater::of_installed(path)?.reporter(Terminal::new("relatch")))
}
