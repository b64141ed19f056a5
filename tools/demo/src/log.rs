//! The actual work of the demo.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::ExitCode;

/// The word that marks a failure. The quickstart misspells it to build a bad release.
const FAILURE: &str = match option_env!("DEMO_FAILURE") {
    Some(word) => word,
    None => "error",
};

/// Prints the first failure of a deploy log and its line number; exit code 1 if there is one.
pub fn report(version: &str, path: Option<&Path>) -> ExitCode {
    match path.map_or(Ok(None), first_failure) {
        Ok(None) => {
            println!("demo {version}: no failure found");
            ExitCode::SUCCESS
        }
        Ok(Some((number, line))) => {
            println!("demo {version}: line {number}: {}", line.escape_debug());
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("demo: cannot read the log: {error}");
            ExitCode::from(2)
        }
    }
}

fn first_failure(path: &Path) -> io::Result<Option<(usize, String)>> {
    for (index, line) in BufReader::new(File::open(path)?).lines().enumerate() {
        let line = line?;
        if line.to_ascii_lowercase().contains(FAILURE) {
            return Ok(Some((index + 1, line)));
        }
    }
    Ok(None)
}
