//! The answer to a probe: what an executable says of itself (SPEC step 11).
//!
//! Nothing is trusted because of it: the bytes are verified already. It shows whether a release
//! could update itself afterwards.

use std::io::Write as _;

use serde::{Deserialize, Serialize};

use crate::trust::{Digest, Name, Version, integer};

/// The first word of the line. Another number is another answer.
const KIND: &str = "relatch-probe/2";

/// What an executable says of itself. Fields of later versions are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProbeAnswer {
    pub(crate) product: Name,
    pub(crate) version: Version,
    pub(crate) channel: Name,
    pub(crate) target: Name,
    /// The hash of the root document that it carries, as in a lineage.
    pub(crate) root: Digest,
    /// The number of that root.
    #[serde(deserialize_with = "integer")]
    pub(crate) root_version: u64,
    /// The address that it updates from, without secrets.
    pub(crate) address: String,
    /// Whether it can make a source of that address: it is valid, and the feature for it is there.
    pub(crate) readable: bool,
}

impl ProbeAnswer {
    /// The whole standard output of a probed process.
    pub(crate) fn to_line(&self, nonce: &str) -> String {
        // A struct of strings, numbers and a bool can be written.
        format!("{KIND} {nonce} {}\n", serde_json::to_string(self).unwrap_or_default())
    }

    /// `None` for anything else than such a line.
    pub(super) fn parse(output: &str, nonce: &str) -> Option<Self> {
        let json = output.strip_prefix(KIND)?.strip_prefix(' ')?.strip_prefix(nonce)?.strip_prefix(' ')?;
        let json = json.strip_suffix('\n').filter(|json| !json.contains('\n'))?;
        serde_json::from_str(json).ok().filter(|answer: &ProbeAnswer| answer.root_version > 0)
    }

    /// Prints it. This library prints nothing else to stdout.
    pub(crate) fn print(&self, nonce: &str) {
        drop(std::io::stdout().write_all(self.to_line(nonce).as_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_line_is_an_answer() {
        let nonce = "0123456789abcdef0123456789abcdef";
        let answer = ProbeAnswer {
            product: "demo".parse().unwrap(),
            version: "1.4.0".parse().unwrap(),
            channel: "stable".parse().unwrap(),
            target: "x86_64-unknown-linux-musl".parse().unwrap(),
            root: Digest::of(b"root"),
            root_version: 1,
            address: "https://releases.example.com/demo \u{1b}\n".into(),
            readable: true,
        };
        let line = answer.to_line(nonce);
        assert_eq!(ProbeAnswer::parse(&line, nonce), Some(answer));
        let with = |from: &str, to: &str| ProbeAnswer::parse(&line.replace(from, to), nonce);
        assert!(with("{", "{\"later\":[{}],").is_some());
        for (from, to) in [
            ("probe/2", "probe/1"),
            ("probe/2", "probe/22"),
            (nonce, &nonce.replace('0', "1")),
            ("\n", ""),
            ("\n", "\n\n"),
            ("\n", "\nmore\n"),
            ("relatch", " relatch"),
            ("\"readable\":true", "\"readable\":\"yes\""),
            (",\"readable\":true", ""),
            ("\"root_version\":1", "\"root_version\":0"),
            ("\"root_version\":1", "\"root_version\":-1"),
            ("\"root\":\"", "\"root\":\"0"),
            ("{", "{\"readable\":true,"),
            ("{", ""),
        ] {
            assert_eq!(with(from, to), None, "{from} {to}");
        }
        for length in 0..line.len() {
            assert_eq!(line.get(..length).and_then(|part| ProbeAnswer::parse(part, nonce)), None);
        }
    }
}
