//! Installs, updates and rolls back any executable that is published with relatch: the rescue command, and the everyday one for
//! executables that do not link the library.

mod answer;
mod arguments;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use relatch::install::{Installation, Probe};
use relatch::trust::Name;
use relatch::{Checked, Error, Install, Outcome, Printable, Result, Terminal, Updater};

use answer::Answer;
use arguments::{Arguments, Command};

fn main() -> ExitCode {
    let Arguments { json, command } = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(wrong) if wrong.use_stderr() => {
            let wrong = relatch::cli::printable(wrong);
            complain(wrong.render().to_string().trim_end());
            return ExitCode::from(2);
        }
        Err(help) => help.exit(),
    };
    let answer = run(command);
    let text = match (&answer, json) {
        (answer, true) => Some(answer::to_json(answer)),
        (Ok(answer), false) => Some(answer.text.clone()),
        (Err(error), false) => {
            complain(&format!("relatch: {error}\n  {}", error.advice()));
            None
        }
    };
    if let Some(text) = text {
        drop(writeln!(std::io::stdout(), "{text}")); // a closed pipe is the reader's business
    }
    ExitCode::from(match answer {
        Ok(answer) => answer.exit_code,
        Err(error) => error.exit_code(),
    })
}

/// Lines stay lines. That nobody listens is no reason to end otherwise.
fn complain(text: &str) {
    let lines: Vec<String> = text.split('\n').map(|line| Printable(line).to_string()).collect();
    drop(writeln!(std::io::stderr(), "{}", lines.join("\n")));
}

fn run(command: Command) -> Result<Answer> {
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
            Ok(Answer::installed(&version, &path))
        }
        Command::Check { path, now } => match updater(&path)?.check(now)? {
            Checked::Update { from, to, notes, critical } => {
                Ok(Answer::available(&from, &to, &notes, critical))
            }
            Checked::Nothing(reason) => Ok(Answer::nothing(&reason)),
        },
        Command::Update { path, now } => match updater(&path)?.update(now)? {
            Outcome::Updated { from, to } => Ok(Answer::updated(&from, &to)),
            Outcome::Nothing(reason) => Ok(Answer::nothing(&reason)),
        },
        Command::Rollback { path } => {
            Ok(Answer::rolled_back(&Updater::rollback(&Installation::at(&path)?, None)?))
        }
        Command::Status { path } => {
            let site = Installation::at(&path)?;
            Ok(Answer::status(&site, Updater::status(&site, None)?))
        }
    }
}

fn updater(path: &std::path::Path) -> Result<Updater> {
    Ok(Updater::of_installed(path)?.reporter(Terminal::new("relatch")))
}
