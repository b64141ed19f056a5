//! What may not be printed: the table of docs/SPEC.md section 3.4 as it stands there, and not the copy that the code under test has.

use std::ops::RangeInclusive;
use std::sync::OnceLock;

/// The beginning of a line that only the tool itself may write; no test has such a version.
pub const FORGED: &str = "widget: updated to 9.9.9";

/// Whether the table has this character.
pub fn is_refused(c: char) -> bool {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| Table::of(include_str!("../../docs/SPEC.md"))).holds(c)
}

/// Of what was printed, the first character that may not be there, but newline.
pub fn drives(text: &str) -> Option<char> {
    text.chars().find(|c| *c != '\n' && is_refused(*c))
}

/// Whether somebody else wrote a line.
pub fn is_forged(text: &str) -> bool {
    text.lines().any(|line| line.starts_with(FORGED))
}

#[derive(Default)]
struct Table {
    ranges: Vec<RangeInclusive<u32>>,
    /// The last four digits, of every plane.
    ends: Vec<u32>,
    but: Vec<u32>,
}

impl Table {
    /// Items such as `U+0000–001F (but U+000A)`, `U+00AD` and `U+xxFFFE`, in the first column.
    fn of(spec: &str) -> Self {
        let rows = spec.lines().skip_while(|line| *line != "| Refused | Why |").skip(2);
        let mut table = Table::default();
        for row in rows.take_while(|line| line.starts_with('|')) {
            let cell = row.split('|').nth(1).unwrap();
            let mut before = "";
            for item in cell.split("U+") {
                let hex = |text: &str| {
                    let digits = text.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(text.len());
                    u32::from_str_radix(text.get(..digits).unwrap(), 16)
                };
                if let Some(end) = item.strip_prefix("xx") {
                    table.ends.push(hex(end).unwrap());
                } else if before.ends_with("(but ") {
                    table.but.push(hex(item).unwrap());
                } else if let Ok(first) = hex(item) {
                    let last = item.split_once('–').map_or(first, |(_, last)| hex(last).unwrap());
                    table.ranges.push(first..=last);
                }
                before = item;
            }
        }
        table
    }

    fn holds(&self, c: char) -> bool {
        let c = u32::from(c);
        let listed = self.ranges.iter().any(|range| range.contains(&c)) || self.ends.contains(&(c & 0xffff));
        listed && !self.but.contains(&c)
    }
}
