//! `credential_process`: a program that prints credentials.

use std::process::{Command, Stdio};

use zeroize::Zeroizing;

use super::json;
use super::provider::{ProviderError, ProviderResult};
use crate::escape::Words;
use crate::{child, limits};

/// Runs the program without a shell. Its stderr is discarded, because it may contain secrets.
pub(super) fn credentials(profile: &str, command: &str) -> ProviderResult {
    let failed = |why: String| {
        let profile = Words(profile);
        ProviderError::Failed(format!("the credential_process of profile `{profile}` {why}"))
    };
    let backslash = if cfg!(windows) { Backslash::IsLiteral } else { Backslash::Escapes };
    let words = words(command, backslash);
    let Some((program, arguments)) = words.as_ref().and_then(|words| words.split_first()) else {
        return Err(failed("is not a valid command line".into()));
    };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let limit = limits::CREDENTIAL_PROCESS;
    let ended = command
        .spawn()
        .and_then(|started| child::wait(started, limit, limits::CREDENTIALS.0))
        .map_err(|error| failed(format!("cannot be run: {}", Words(error.to_string()))))?;
    let Some((status, stdout, _)) = ended else {
        return Err(failed(format!("did not exit within {} s", limit.as_secs())));
    };
    let stdout = Zeroizing::new(stdout);
    if !status.success() {
        return Err(failed(format!("failed: {status}")));
    }
    match json::parse(&stdout, "a credential_process") {
        Some((credentials, Some(1))) => Ok(credentials),
        Some(_) => Err(failed("printed credentials of a `Version` other than 1".into())),
        None => Err(failed("did not print credentials as JSON".into())),
    }
}

/// The meaning of a backslash in a command line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Backslash {
    /// It makes the next character literal.
    Escapes,
    /// It is part of a path, on Windows.
    IsLiteral,
}

/// Splits a command line into words, as AWS's SDKs do. `None` if a quote is not closed, or nothing
/// follows an escaping backslash.
pub(super) fn words(line: &str, backslash: Backslash) -> Option<Vec<String>> {
    let escapes = backslash == Backslash::Escapes;
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (None | Some('"'), '\\') if escapes => {
                let next = characters.next()?;
                let word = word.get_or_insert_default();
                if quote.is_some() && !matches!(next, '"' | '\\' | '$' | '`') {
                    word.push('\\');
                }
                word.push(next);
            }
            (Some(_), _) => word.get_or_insert_default().push(c),
            (None, '"') => quote = Some(c),
            (None, '\'') if escapes => quote = Some(c),
            (None, _) if c.is_ascii_whitespace() => words.extend(word.take()),
            (None, _) => word.get_or_insert_default().push(c),
        }
        if quote.is_some() {
            word.get_or_insert_default();
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_split_without_a_shell() {
        for (line, expected) in [
            ("/opt/awscreds-custom --user ada", &["/opt/awscreds-custom", "--user", "ada"][..]),
            (r#""/path with/a b" 'it is' x"y z"w """#, &["/path with/a b", "it is", "xy zw", ""]),
            (r#"a\ b "c\"d\e" 'f\g'"#, &["a b", r#"c"d\e"#, r"f\g"]),
            ("a $(b) ;c >d", &["a", "$(b)", ";c", ">d"]),
            ("  ", &[]),
        ] {
            assert_eq!(words(line, Backslash::Escapes).unwrap(), expected, "{line}");
        }
        assert_eq!(
            words(r#""C:\Program Files\x.exe" it's"#, Backslash::IsLiteral).unwrap(),
            [r"C:\Program Files\x.exe", "it's"]
        );
        for open in ["a \"b", "a 'b", "a\\"] {
            assert_eq!(words(open, Backslash::Escapes), None, "{open}");
        }
    }
}
