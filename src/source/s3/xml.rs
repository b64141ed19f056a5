//! S3's and STS's XML.

use roxmltree::{Document, Node};

/// The trimmed text of a child element.
pub(super) fn child<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    node.children().find(|child| child.tag_name().name() == name)?.text().map(str::trim)
}

/// The error code in an XML error response: `<Error><Code>` of S3, one element deeper in STS.
/// `None` if there is none, or if it contains characters that no AWS error code has.
pub(super) fn code_in(xml: &str) -> Option<String> {
    let document = Document::parse(xml).ok()?;
    let error = document.descendants().find(|node| node.tag_name().name() == "Error")?;
    let is_code = |code: &&str| {
        (1..=64).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.')
    };
    child(error, "Code").filter(is_code).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_code_is_printable_or_absent() {
        for (xml, code) in [
            (
                "<?xml version=\"1.0\"?>\n<Error><Code>NoSuchKey</Code><Message>SECRET</Message></Error>",
                Some("NoSuchKey"),
            ),
            (
                "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>AccessDenied</Code></Error></ErrorResponse>",
                Some("AccessDenied"),
            ),
            ("<Error><Code>\u{1b}[2J</Code></Error>", None),
            ("<Error><Code>a b</Code></Error>", None),
            ("<Error><Code/></Error>", None),
            ("<!DOCTYPE html><html><Error><Code>A</Code></Error></html>", None),
            ("<Error><Code>NoSuchKey", None),
            ("", None),
        ] {
            assert_eq!(code_in(xml).as_deref(), code, "{xml}");
        }
    }
}
