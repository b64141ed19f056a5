//! `values.json` and `order.json`: SPEC section 3.4.

use serde_json::{Value, json};

use crate::file::File;

pub fn file() -> File {
    let mut vectors = names();
    vectors.extend(hashes());
    vectors.extend(versions());
    vectors.extend(notes());
    File {
        name: "values",
        about: "The values that documents are made of: which texts are one.",
        spec: "section 3.4",
        fields: vec![
            ("name", "unique in this file"),
            ("comment", "what the vector is for"),
            (
                "kind",
                "\"name\" (of a product, channel, target, encoding or algorithm), \"hash\", \"version\" or \"notes\"",
            ),
            ("text", "the value"),
            ("result", "\"accept\" or \"refuse\""),
            ("version", "for an accepted version: \"build\" number or \"semver\""),
        ],
        base: None,
        vectors,
    }
}

fn vector(kind: &str, text: &str, comment: &str, result: &str) -> Value {
    let name = match text.chars().count() {
        0..=40 => format!("{kind} '{text}'"),
        count => format!("{kind} of {count}: {comment}"),
    };
    json!({"name": name, "comment": comment, "kind": kind, "text": text, "result": result})
}

fn both(kind: &str, accept: &[(&str, &str)], refuse: &[(&str, &str)]) -> Vec<Value> {
    let accepted = accept.iter().map(|(text, comment)| vector(kind, text, comment, "accept"));
    accepted.chain(refuse.iter().map(|(text, comment)| vector(kind, text, comment, "refuse"))).collect()
}

fn names() -> Vec<Value> {
    let (longest, too_long) = ("a".repeat(64), "a".repeat(65));
    both(
        "name",
        &[
            ("a", "the shortest"),
            ("0", "a digit"),
            ("x86_64-unknown-linux-gnu", "a target"),
            ("a..b", "dots in the middle are no path"),
            ("a-", "any of the alphabet at the end"),
            ("con", "what some systems reserve is not looked at"),
            (&longest, "the longest"),
        ],
        &[
            ("", "at least one"),
            (&too_long, "one too many"),
            (".a", "begins with a letter or digit"),
            ("-a", "begins with a letter or digit"),
            ("_a", "begins with a letter or digit"),
            ("..", "begins with a letter or digit"),
            ("A", "lower case"),
            ("a/b", "no path"),
            ("a\\b", "no path"),
            ("a b", "no space"),
            ("a\n", "no newline"),
            ("a\0", "no control character"),
            ("a%2e", "nothing outside the alphabet"),
            ("a+b", "nothing outside the alphabet"),
            ("\u{e9}", "ASCII only"),
            ("\u{430}", "a letter that looks like an a"),
            ("\u{ff41}", "a wide a"),
        ],
    )
}

fn hashes() -> Vec<Value> {
    let good = "d51652d35573bdf3ec26cca6ce643c07f643264a99ba215d0353f8150d2f0288";
    let (short, long, upper) = (&good[1..], format!("{good}0"), good.to_uppercase());
    let odd = format!("{}g", &good[1..]);
    both(
        "hash",
        &[(good, "64 lower-case digits"), (&"0".repeat(64), "any 32 bytes")],
        &[
            ("", "64 digits"),
            (short, "one too few"),
            (&long, "one too many"),
            (&upper, "upper case"),
            (&odd, "not all are hex digits"),
            (&format!("{}/..", &good[3..]), "no path"),
        ],
    )
}

fn versions() -> Vec<Value> {
    let longest = format!("1.0.0-{}", "a".repeat(122));
    let too_long = format!("1.0.0-{}", "a".repeat(123));
    let mut vectors = both(
        "version",
        &[
            ("1", "the lowest build number"),
            ("41", "a build number"),
            ("18446744073709551615", "2^64-1"),
            ("0.0.0", "the lowest release of SemVer"),
            ("1.2.3", "SemVer"),
            ("18446744073709551615.18446744073709551615.18446744073709551615", "each is 2^64-1"),
            ("1.2.3-rc.1", "a pre-release"),
            ("1.2.3-0", "a number as pre-release"),
            ("1.2.3-18446744073709551615", "2^64-1 as pre-release"),
            ("1.2.3-18446744073709551616a", "no number: a letter is in it"),
            ("1.2.3-0a", "no number, so that it may begin with 0"),
            ("1.2.3--", "a hyphen is one of the alphabet"),
            ("1.2.3-RC.A-b", "upper case is one of the alphabet"),
            (&longest, "128 bytes"),
        ],
        &[
            ("", "nothing"),
            ("0", "a build number begins with 1 to 9"),
            ("01", "leading zero"),
            ("-1", "sign"),
            ("+1", "sign"),
            ("1e3", "digits only"),
            ("18446744073709551616", "2^64"),
            ("\u{661}", "a digit of another script"),
            ("1.2", "three numbers"),
            ("1.2.3.4", "three numbers"),
            ("1.", "three numbers"),
            ("v1.2.3", "no letter before"),
            ("01.2.3", "leading zero"),
            ("1.02.3", "leading zero"),
            ("1.2.03", "leading zero"),
            ("1.2.3-01", "leading zero in a number of the pre-release"),
            ("1.2.3-", "an empty pre-release"),
            ("1.2.3-a..b", "an empty part"),
            ("1.2.3-a_b", "outside the alphabet"),
            ("1.2.3+build", "build metadata has no order"),
            ("1.2.3-rc.1+build", "build metadata has no order"),
            ("18446744073709551616.0.0", "2^64"),
            ("1.0.0-18446744073709551616", "2^64 as pre-release"),
            (" 1.2.3", "space"),
            ("1.2.3 ", "space"),
            ("1.2.3\n", "newline"),
            ("latest", "a word"),
            (&too_long, "129 bytes"),
        ],
    );
    for vector in vectors.iter_mut().filter(|vector| vector["result"] == "accept") {
        let digits = vector["text"].as_str().unwrap().bytes().all(|byte| byte.is_ascii_digit());
        vector["version"] = if digits { "build" } else { "semver" }.into();
    }
    vectors
}

/// The rows of the table in SPEC section 3.4, in its order; each is tested at its borders and beside them.
const REFUSED: [(u32, u32); 23] = [
    (0x00, 0x1f),
    (0x7f, 0x9f),
    (0xad, 0xad),
    (0x600, 0x605),
    (0x61c, 0x61c),
    (0x6dd, 0x6dd),
    (0x70f, 0x70f),
    (0x890, 0x891),
    (0x8e2, 0x8e2),
    (0x180e, 0x180e),
    (0x200b, 0x200f),
    (0x2028, 0x202e),
    (0x2060, 0x206f),
    (0xfeff, 0xfeff),
    (0xfff0, 0xfffb),
    (0x110bd, 0x110bd),
    (0x110cd, 0x110cd),
    (0x13430, 0x1343f),
    (0x1bca0, 0x1bca3),
    (0x1d173, 0x1d17a),
    (0xe000, 0xf8ff),
    (0xfdd0, 0xfdef),
    (0xe0000, 0x10ffff),
];

fn notes() -> Vec<Value> {
    let mut vectors = Vec::new();
    let refused = |point: u32| {
        let last_two_of_a_plane = point % 0x10000 >= 0xfffe;
        last_two_of_a_plane || REFUSED.iter().any(|(first, last)| (*first..=*last).contains(&point))
    };
    let mut points: Vec<u32> = Vec::new();
    for (first, last) in REFUSED {
        points.extend([first.wrapping_sub(1), first, last, last + 1]);
    }
    for plane in 0..=0x10 {
        points.extend([plane << 16 | 0xfffd, plane << 16 | 0xfffe, plane << 16 | 0xffff]);
    }
    points.extend([
        0x09, 0x0a, 0x0b, 0x0d, 0x1b, 0x9b, 0x20, 0x7e, 0xa0, 0xd7ff, 0x1f389, 0x378, 0xe0001, 0xe0100,
        0xf0000,
    ]);
    points.sort_unstable();
    points.dedup();
    for (point, c) in points.iter().filter_map(|point| char::from_u32(*point).map(|c| (*point, c))) {
        let accepted = point == 0x0a || !refused(point);
        let (result, comment) = match (accepted, point) {
            (true, 0x0a) => ("accept", "newline, the one control character"),
            (true, 0x378) => ("accept", "assigned to nothing today: the table is fixed"),
            (true, _) => ("accept", "not in the table"),
            (false, _) => ("refuse", "in the table"),
        };
        let name = format!("notes with U+{point:04X}");
        let text = format!("a{c}b");
        vectors
            .push(json!({"name": name, "comment": comment, "kind": "notes", "text": text, "result": result}));
    }
    vectors.extend(both(
        "notes",
        &[
            ("", "nothing"),
            ("Fixed: \"quotes\" \\ \u{e9} \u{2014} \u{6f22}\u{5b57} \u{1f389}\n\nfor all", "raw Unicode"),
        ],
        &[],
    ));
    vectors
}

pub fn order() -> File {
    let mut vectors = Vec::new();
    let mut pair = |left: &str, right: &str, result: &str| {
        let name = format!("{left} and {right}");
        vectors.push(json!({"name": name, "left": left, "right": right, "result": result}));
    };
    // Ascending chains: SemVer 2.0.0 section 11 has the second.
    for chain in [
        &["1", "2", "9", "10", "99", "100", "18446744073709551615"][..],
        &[
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
        ],
        &[
            "0.0.0-0", "0.0.0-1", "0.0.0-a", "0.0.0", "0.0.1", "0.0.10", "0.1.0", "0.9.9", "0.10.0", "1.0.0",
            "2.0.0", "2.1.0", "2.1.1",
        ],
        &[
            "1.0.0-2",
            "1.0.0-11",
            "1.0.0--",
            "1.0.0-1a",
            "1.0.0-A",
            "1.0.0-Z",
            "1.0.0-a",
            "1.0.0-a.0",
            "1.0.0-aa",
        ],
        &["1.0.0-9007199254740992", "1.0.0-9007199254740993", "1.0.0-18446744073709551615"],
        &["9007199254740992.0.0", "9007199254740993.0.0"],
    ] {
        for neighbours in chain.windows(2) {
            pair(neighbours[0], neighbours[1], "less");
            pair(neighbours[1], neighbours[0], "greater");
        }
        let (first, last) = (chain[0], chain[chain.len() - 1]);
        if chain.len() > 2 {
            pair(first, last, "less");
        }
        pair(last, last, "equal");
    }
    for (left, right) in
        [("1", "1.0.0"), ("1.0.0", "1"), ("7", "1.2.3-rc.1"), ("18446744073709551615", "0.0.0")]
    {
        pair(left, right, "incomparable");
    }
    File {
        name: "order",
        about: "The order of two versions.",
        spec: "section 3.4",
        fields: vec![
            ("name", "unique in this file"),
            ("left", "a version"),
            ("right", "another"),
            (
                "result",
                "left is \"less\" than, \"equal\" to or \"greater\" than right, or they are \"incomparable\"",
            ),
        ],
        base: None,
        vectors,
    }
}
