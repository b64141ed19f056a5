//! Installs, updates and rolls back any executable that is published with relatch: the rescue command, and the everyday one for
//! executables that do not link the library.

mod answer;
mod arguments;

use std::process::ExitCode;

use clap::Parser;
use relatch::install::{Probe, Site};
use relatch::trust::Name;
use relatch::{Checked, Error, Install, Outcome, Result, Terminal, Updater};

use answer::Answer;
use arguments::{Arguments, Command};

fn main() -> ExitCode {
    let Arguments { json, command } = Arguments::parse();
    let answer = run(command);
    let text = match (&answer, json) {
        (answer, true) => Some(answer::to_json(answer)),
        (Ok(answer), false) => Some(answer.text.clone()),
        (Err(error), false) => {
            eprintln!("relatch: {error}\n  {}", error.advice());
            None
        }
    };
    if let Some(text) = text {
        use std::io::Write;
        drop(writeln!(std::io::stdout(), "{text}")); // a closed pipe is the reader's business
    }
    ExitCode::from(match answer {
        Ok(answer) => answer.exit_code,
        Err(error) => error.exit_code(),
    })
}

fn run(command: Command) -> Result<Answer> {
    match command {
        Command::Install(arguments) => {
            let target = match arguments.target {
                Some(target) => target,
                None => relatch::TARGET.parse::<Name>().map_err(|what| Error::Caller { what })?,
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
        Command::Rollback { path } => Ok(Answer::rolled_back(&Updater::rollback(&Site::at(&path)?, None)?)),
        Command::Status { path } => {
            let site = Site::at(&path)?;
            Ok(Answer::status(&site, Updater::status(&site, None)?))
        }
    }
}

fn updater(path: &std::path::Path) -> Result<Updater> {
    Ok(Updater::of_installed(path)?.reporter(Terminal::new("relatch")))
}
