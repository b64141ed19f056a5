//! The command line of `signer`: parses the arguments, runs the command, and turns its result into
//! an exit code.

mod answer;
mod arguments;
mod commands;

use std::process::ExitCode;

use clap::Parser;
use relatch::JsonLine;
use signer::redacted;

use answer::{Format, Problem};

fn main() -> ExitCode {
    let arguments = match arguments::Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() => {
            let error = relatch::cli::printable(error);
            print(&mut std::io::stderr(), error.render().to_string().trim_end());
            return ExitCode::from(2);
        }
        Err(help) => help.exit(),
    };
    let format = if arguments.json { Format::Json } else { Format::Text };
    let answer = commands::run(arguments.command, format);
    let (shown, problem) = match (answer, format) {
        (Ok(answer), Format::Json) => (Some(answer.json), answer.problem),
        (Ok(answer), Format::Text) => (Some(answer.text), answer.problem),
        (Err(failure), Format::Json) => {
            let problem = Problem::of(&failure);
            (Some(JsonLine(&problem).to_string()), Some(problem))
        }
        (Err(failure), Format::Text) => (None, Some(Problem::of(&failure))),
    };
    if let Some(shown) = shown {
        print(&mut std::io::stdout(), &shown);
    }
    let Some(problem) = problem else { return ExitCode::SUCCESS };
    if format == Format::Text {
        print(&mut std::io::stderr(), &problem.to_string());
    }
    ExitCode::from(problem.exit_code)
}

/// Ignores a write error: the work is done, and a reader may close its pipe at any time.
fn print(to: &mut dyn std::io::Write, text: &str) {
    drop(writeln!(to, "{}", redacted(text)));
}
