//! Text made safe to print.

use relatch::PrintableLines;

/// The first characters of the base64 of a minisign secret key, unencrypted and encrypted.
pub(crate) const SECRET_KEY_PREFIXES: [&str; 2] = ["RWQAAEIy", "RWRTY0Iy"];

/// `text` as [`PrintableLines`] displays it, and with secret keys removed: an argument that repeats
/// in an error may be a secret key, given in the wrong place.
pub fn redacted(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = find_secret_key(rest) {
        let (before, key) = rest.split_at(at);
        safe.push_str(before);
        safe.push_str("(a secret key)");
        let is_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
        rest = key.trim_start_matches(is_base64);
    }
    safe.push_str(rest);
    PrintableLines(safe).to_string()
}

/// Both prefixes begin alike, so that one search finds either.
fn find_secret_key(text: &str) -> Option<usize> {
    let is_key = |at: &usize| {
        let rest = text.get(*at..).unwrap_or_default();
        SECRET_KEY_PREFIXES.iter().any(|prefix| rest.starts_with(prefix))
    };
    text.match_indices("RW").map(|(at, _)| at).find(is_key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_keys_and_control_characters_are_not_printed() {
        let key = format!("{}abc+/==", SECRET_KEY_PREFIXES[0]);
        let encrypted = format!("{}xyz", SECRET_KEY_PREFIXES[1]);
        let text = format!("a\x1b\n{key} {encrypted}.{key}");
        assert_eq!(redacted(&text), "a\\u{1b}\n(a secret key) (a secret key).(a secret key)");
        assert_eq!(redacted("nothing"), "nothing");
    }
}
