//! Files of a later version: fields that no build knows yet, at every level.

use serde_json::{Value, json};

use crate::place::Place;
use crate::release::{Release, root};

const NAME: &str = "zz_later";

/// What is added at one place: every kind of JSON, in order of names.
fn added(at: &str) -> Value {
    json!({"at": at, "list": [1, -2, 0.5, "two", [], {}], "nothing": null, "yes": true})
}

/// The places, as JSON pointers.
const JOURNAL: [&str; 4] = ["", "/installed", "/kept/0", "/held/0"];
const FLOORS: [&str; 5] =
    ["", "/domains/0", "/domains/0/lineage", "/domains/0/epochs/0", "/domains/0/epochs/0/channels/0"];

pub fn edit(place: &Place) {
    for (file, places) in [("journal", &JOURNAL[..]), ("floors", &FLOORS), ("cache", &[""])] {
        place.edit(file, |record| add(record, file, places));
    }
}

/// Adds the fields, and a number of a later type.
pub fn add(record: &mut Value, file: &str, places: &[&str]) {
    record["type"] = format!("relatch-{file}/9").into();
    for at in places {
        record.pointer_mut(at).unwrap()[NAME] = added(at);
    }
}

/// The three files of a client that holds nothing, and where to add fields.
pub const FILES: [(&str, &[&str]); 3] =
    [("journal", JOURNAL.split_at(3).0), ("floors", &FLOORS), ("cache", &[""])];

fn is_at(record: &Value, at: &str, what: &str) {
    assert_eq!(record.pointer(at).unwrap()[NAME], added(what), "{at}");
}

/// The floors have them all, whatever happened.
pub fn ensure_floors(floors: &Value) {
    assert_eq!(floors["type"], "relatch-floors/9");
    FLOORS.iter().for_each(|at| is_at(floors, at, at));
}

/// Each executable took its own along in an exchange.
pub fn ensure_exchanged(journal: &Value) {
    assert_eq!(journal["type"], "relatch-journal/9");
    is_at(journal, "", "");
    is_at(journal, "/installed", "/kept/0");
    is_at(journal, "/kept/0", "/installed");
}

/// A client at 1.3.0 that was at 1.4.0, and holds that.
pub fn means(place: &Place) {
    assert_eq!(place.rollback().unwrap().installed().to_string(), "1.3.0");
    assert_eq!(place.forward("1.4.0").unwrap().installed().to_string(), "1.4.0");
    ensure_exchanged(&place.record("journal"));
    ensure_floors(&place.record("floors"));
    assert_eq!(place.rollback().unwrap().installed().to_string(), "1.3.0");
    // The hold was ended by the first of the two: what is new knows nothing of later versions.
    assert_eq!(place.status().held.len(), 1);

    place.serve(&[(root(1), &[1])], &[Release::of("1.5.0", 8)]);
    let done = place.update(&root(1), "stable", "1.3.0");
    assert!(matches!(done, Ok(relatch::Outcome::Updated { .. })), "{done:?}");
    ensure_floors(&place.record("floors"));
    let journal = place.record("journal");
    is_at(&journal, "", "");
    is_at(&journal, "/kept/0", "/installed");
    assert_eq!(place.rollback().unwrap().installed().to_string(), "1.3.0");
}
