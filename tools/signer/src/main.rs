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
    let exit_code = match answer {
        Ok(answer) => {
            let shown = if format == Format::Json { &answer.json } else { &answer.text };
            print(&mut std::io::stdout(), shown);
            answer.exit_code
        }
        Err(failure) => {
            let problem = Problem::of(&failure);
            match format {
                Format::Json => print(&mut std::io::stdout(), &JsonLine(&problem).to_string()),
                Format::Text => print(&mut std::io::stderr(), &problem.to_string()),
            }
            problem.exit_code
        }
    };
    ExitCode::from(exit_code)
}

/// Ignores a write error: the work is done, and a reader may close its pipe at any time.
fn print(to: &mut dyn std::io::Write, text: &str) {
    drop(writeln!(to, "{}", redacted(text)));
}
