//! Escaping of untrusted text, so that it cannot control a terminal or begin a line of its own.
//!
//! The type selects the strictness: [`Words`] for messages from servers, documents and programs,
//! `Message` for those that may be long, [`Printable`] for a name or an address on one line, and
//! [`PrintableLines`] for a whole text. All of them use one escaper.

use std::fmt::{self, Write};

/// Displays text on one line. Escapes, as in `\u{1b}`, control characters (including newlines) and
/// all others in the table of SPEC section 3.4, which lists the characters that notes must not
/// contain.
#[derive(Debug, Clone, Copy)]
pub struct Printable<T>(pub T);

/// As [`Printable`], but keeps newlines.
#[derive(Debug, Clone, Copy)]
pub struct PrintableLines<T>(pub T);

/// The strictest: displays only visible ASCII, spaces, and visible letters and digits, and at most
/// 200 characters. For messages from servers, documents and programs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Words<T>(pub(crate) T);

/// As [`Words`], but at most 4096 characters: a cloud service names caller, action and resource in
/// one sentence, with the reason at its end.
#[cfg(feature = "s3")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message<T>(pub(crate) T);

impl<T: fmt::Display> fmt::Display for Printable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaper { to: f, passes: |c| !is_invisible(c), limit: usize::MAX, count: 0 }, "{}", self.0)
    }
}

impl<T: fmt::Display> fmt::Display for PrintableLines<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            Escaper { to: f, passes: |c| c == '\n' || !is_invisible(c), limit: usize::MAX, count: 0 },
            "{}",
            self.0
        )
    }
}

impl<T: fmt::Display> fmt::Display for Words<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaper { to: f, passes: is_word, limit: 200, count: 0 }, "{}", self.0)
    }
}

/// Displays a value as one line of JSON, for scripts. Characters outside of printable ASCII have
/// JSON escapes, which mean the same: a control character in a path cannot control a terminal.
#[derive(Debug, Clone, Copy)]
pub struct JsonLine<T>(pub T);

impl<T: serde::Serialize> fmt::Display for JsonLine<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Serializing structs, lists and strings cannot fail.
        for c in serde_json::to_string(&self.0).unwrap_or_default().chars() {
            if c.is_ascii() && !c.is_ascii_control() {
                f.write_char(c)?;
            } else {
                c.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(f, "\\u{unit:04x}"))?;
            }
        }
        Ok(())
    }
}

#[cfg(feature = "s3")]
impl<T: fmt::Display> fmt::Display for Message<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaper { to: f, passes: is_word, limit: 4096, count: 0 }, "{}", self.0)
    }
}

fn is_word(c: char) -> bool {
    // The Hangul fillers are letters without a glyph.
    let is_blank = matches!(c, '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}');
    c == ' ' || c.is_ascii_graphic() || (c.is_alphanumeric() && !is_blank && !is_invisible(c))
}

struct Escaper<'a, 'b, F> {
    to: &'a mut fmt::Formatter<'b>,
    passes: F,
    /// The number of characters to display; an ellipsis replaces the rest.
    limit: usize,
    count: usize,
}

impl<F: Fn(char) -> bool> fmt::Write for Escaper<'_, '_, F> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if self.count > self.limit {
                return Ok(());
            }
            self.count = self.count.saturating_add(1);
            if self.count > self.limit {
                return self.to.write_char('…');
            }
            match (self.passes)(c) {
                true => self.to.write_char(c)?,
                false => write!(self.to, "{}", c.escape_default())?,
            }
        }
        Ok(())
    }
}

/// Control (Cc), format (Cf), private use (Co), line and paragraph separators (Zl, Zp),
/// noncharacters, and the code points reserved for further format characters.
///
/// The table is part of the format (SPEC section 3.4) and does not follow later versions of
/// Unicode. Otherwise a new signer could sign a newly assigned letter that every older client
/// refuses.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(u32::from(c),
        0x00..=0x1f | 0x7f..=0x9f
        | 0xad | 0x600..=0x605 | 0x61c | 0x6dd | 0x70f | 0x890..=0x891 | 0x8e2 | 0x180e
        | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfeff | 0xfff0..=0xfffb
        | 0x110bd | 0x110cd | 0x13430..=0x1343f | 0x1bca0..=0x1bca3 | 0x1d173..=0x1d17a
        | 0xe000..=0xf8ff | 0xfdd0..=0xfdef | 0xe0000..=0x10ffff)
        || u32::from(c) & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn json_is_one_line_of_ascii_that_means_the_same() {
        let text = "é\u{1f389}\n\u{1b}\u{7f}\u{202e}";
        let line = JsonLine(text).to_string();
        assert_eq!(line, r#""\u00e9\ud83c\udf89\n\u001b\u007f\u202e""#);
        assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
    }

    fn words(text: &str) -> String {
        Words(text).to_string()
    }

    #[test]
    fn untrusted_text_cannot_control_a_terminal() {
        assert_eq!(words("a\x1b[2J\u{202e}é\n"), "a\\u{1b}[2J\\u{202e}é\\n");
        assert_eq!(Printable(Path::new("/e\u{301}/🎉\u{9b}").display()).to_string(), "/e\u{301}/🎉\\u{9b}");
        // `Words` also escapes combining characters and spaces other than U+0020.
        assert_eq!(words("a\u{3164}b\u{fe0f}c\u{301}d\u{a0}"), "a\\u{3164}b\\u{fe0f}c\\u{301}d\\u{a0}");
        assert!(words(&"x".repeat(5000)).chars().count() == 201);
        #[cfg(feature = "s3")]
        assert!(Message("\x1b".repeat(5000)).to_string().starts_with("\\u{1b}\\u{1b}"));
        #[cfg(feature = "s3")]
        assert!(Message("x".repeat(5000)).to_string().chars().count() == 4097);
    }
}
