//! Steps 4 and 5, and the kind of version.

use serde_json::{Value, json};

use super::super::release::{
    DAY, EPOCH, NOW, Release, keys, manifest_path, root, root_of, under_another_name, version_file,
};
use super::kept::copy;
use super::{Case, WEEK, filled};
use crate::minisign::{Key, sign_all};

const VERSION: &str = "stable/VERSION";

pub fn cases() -> Vec<Value> {
    let mut cases = forms();
    cases.extend(thresholds());
    cases.extend(documents());
    cases.extend(floors());
    cases.extend(times());
    cases.extend(kinds());
    cases.extend(known());
    cases
}

/// The object's own bytes, and its two parts.
fn good() -> (String, String, String) {
    let object = String::from_utf8(Release::good().objects().remove(VERSION).unwrap()).unwrap();
    let at = object.find("untrusted").unwrap();
    (object.clone(), object[..at].into(), object[at..].into())
}

fn forms() -> Vec<Value> {
    let (object, lines, signatures) = good();
    let whole = |name: &str, comment: &str, bytes: String| Case::new(name, comment).object(VERSION, bytes);
    let full = |name: &str, size: usize| {
        Case::new(name, "filled with blocks of a stranger").object(VERSION, filled(&object, size))
    };
    vec![
        whole("control", "the release as it is", object.clone()).installs(),
        Case::new("absent", "never published, or another address").absent(VERSION).unavailable(VERSION),
        whole("empty", "two lines", String::new()).refuse("4a"),
        whole("one line", "two lines", "1.4.0\n".into()).refuse("4a"),
        whole("two lines, the second without its end", "two lines", lines.trim_end().into()).refuse("4a"),
        full("8 KiB", 8192).installs(),
        full("a byte more", 8193).refuse("4a"),
        whole("no signature", "it is empty, which is no signature text", lines.clone()).refuse("4b"),
        whole(
            "an empty line between",
            "all that follows line 2 is the signature text",
            format!("{lines}\n{signatures}"),
        )
        .refuse("4b"),
        whole("a web page", "with status 200", "<html>\n<body>\nlog in first\n</body>\n</html>\n".into())
            .refuse("4b"),
        whole("CRLF", "CR is no byte of a comment", object.replace('\n', "\r\n")).refuse("4b"),
        whole(
            "a second object behind",
            "all that follows line 2 is the signature text",
            object.clone() + &object,
        )
        .refuse("4b"),
        whole("cut in the signatures", "refused whole", object[..object.len() - 10].into()).refuse("4b"),
    ]
}

fn thresholds() -> Vec<Value> {
    let (object, lines, signatures) = good();
    let whole = |name: &str, comment: &str, bytes: String| Case::new(name, comment).object(VERSION, bytes);
    let signed = |name: &str, comment: &str, seeds: &[u8]| {
        Case::new(name, comment).release(|release| release.timestamp_keys = keys(seeds))
    };
    let two_of_three = || root_of(1, [(&[1], 1), (&[2], 1), (&[3, 4, 5], 2)]);
    let mut relabelled = Key::new(9);
    relabelled.id = Key::new(3).id;
    let mut unknown_alg = root_of(1, [(&[1], 1), (&[2], 1), (&[3], 1)]);
    unknown_alg["keys"].as_array_mut().unwrap().insert(0, json!({"alg": "ml-dsa-65", "public": "00ff"}));
    unknown_alg["roles"]["timestamp"] = json!({"keys": ["00ff", Key::new(3).hex()], "threshold": 2});
    vec![
        signed("a stranger", "no key of the role", &[9]).too_few("4c", 1, 0),
        signed("the release key", "another role's", &[2]).too_few("4c", 1, 0),
        signed("the root key", "another role's", &[1]).too_few("4c", 1, 0),
        signed("a stranger first", "it does not spoil what the key does", &[9, 3]).installs(),
        Case::new("a stranger under the key's id", "a key id decides nothing")
            .release(|release| release.timestamp_keys = vec![relabelled])
            .too_few("4c", 1, 0),
        whole("line 1 altered", "both lines are signed", object.replacen("1.4.0", "1.4.1", 1))
            .too_few("4c", 1, 0),
        whole("line 2 altered", "both lines are signed", object.replacen("\"seq\":7", "\"seq\":8", 1))
            .too_few("4c", 1, 0),
        whole(
            "signed without the LF of line 2",
            "each line with its LF",
            lines.clone() + &Key::new(3).sign(lines.trim_end().as_bytes()),
        )
        .too_few("4c", 1, 0),
        whole(
            "signed without line 1",
            "both lines are signed",
            lines.clone() + &Key::new(3).sign(lines.split_inclusive('\n').nth(1).unwrap().as_bytes()),
        )
        .too_few("4c", 1, 0),
        whole(
            "malformed and not signed",
            "nothing is parsed before it is signed",
            format!("1.4.0\n?\n{signatures}"),
        )
        .too_few("4c", 1, 0),
        signed("two of three", "enough", &[3, 5]).anchor(&two_of_three()).installs(),
        signed("one of three", "one short", &[5]).anchor(&two_of_three()).too_few("4c", 2, 1),
        signed("one of three, twice", "one signer", &[5, 5]).anchor(&two_of_three()).too_few("4c", 2, 1),
        Case::new("a key of an unknown algorithm", "it never counts")
            .anchor(&unknown_alg)
            .too_few("4c", 2, 1),
        Case::new("a good key under an unknown algorithm", "it never counts")
            .anchor(&under_another_name(root(1), &Key::new(3)))
            .too_few("4c", 1, 0),
    ]
}

fn documents() -> Vec<Value> {
    let pointer = Release::good().pointer().to_string();
    let two = |name: &str, comment: &str, line: &str, object: &str| {
        Case::new(name, comment)
            .object(VERSION, crate::file::content(&version_file(&format!("{line}\n{object}\n"), &keys(&[3]))))
    };
    let field = |name: &str, comment: &str, field: &str, value: Value| {
        let (field, comment) = (field.to_owned(), comment.to_owned());
        Case::new(name, comment).release(move |release| release.version[field] = value)
    };
    let everything_wrong = |release: &mut Release| {
        (release.version["product"], release.version["channel"], release.version["epoch"]) =
            ("gadget".into(), "beta".into(), 1.into());
        (release.version["seq"], release.version["issued"]) = (1.into(), (NOW + 9 * DAY).into());
        release.version["expires"] = (NOW + 10 * DAY).into();
    };
    let mut bytes = b"1.4.0\n".to_vec();
    bytes.extend([0xff, b'\n']);
    let signatures = sign_all(&keys(&[3]), &bytes);
    bytes.extend(signatures.into_bytes());
    vec![
        two("line 1 of another version", "both say the same", "1.4.1", &pointer).refuse("4d"),
        two("line 1 empty", "both say the same", "", &pointer).refuse("4d"),
        two("line 1 with a v", "both say the same", "v1.4.0", &pointer).refuse("4d"),
        two("line 1 with a space", "both say the same", "1.4.0 ", &pointer).refuse("4d"),
        two("line 1 with CR", "a line ends with LF", "1.4.0\r", &pointer).refuse("4d"),
        two("line 2 with CR", "the object, and LF", "1.4.0", &format!("{pointer}\r")).refuse("4d"),
        two("line 2 with a space", "not canonical", "1.4.0", &pointer.replacen(',', ", ", 1)).refuse("4d"),
        two("line 2 empty", "no object", "1.4.0", "").refuse("4d"),
        Case::new("line 2 not UTF-8", "no object").object(VERSION, crate::file::content(&bytes)).refuse("4d"),
        field(
            "a type of the future",
            "this program is too old to read it",
            "type",
            "relatch-version/2".into(),
        )
        .refuse("4d"),
        two("a manifest", "signed by the timestamp key", "1.4.0", &Release::good().manifest.to_string())
            .refuse("4d"),
        field("rollout 101", "at most 100", "rollout", 101.into()).refuse("4d"),
        field("another product", "signed by the same key", "product", "gadget".into()).refuse("4e"),
        field("another channel", "signed by the same key", "channel", "beta".into()).refuse("4f"),
        field("a lower epoch", "that of the root", "epoch", 1.into()).refuse("4g"),
        field("a higher epoch", "that of the root", "epoch", 3.into()).refuse("4g"),
        Case::new("4e before 4f", "several steps would refuse it").release(everything_wrong).refuse("4e"),
        Case::new("4f before 4g", "several steps would refuse it")
            .release(|release| {
                everything_wrong(release);
                release.version["product"] = "demo".into();
            })
            .refuse("4f"),
        Case::new("4g before 4h", "several steps would refuse it")
            .release(|release| {
                everything_wrong(release);
                (release.version["product"], release.version["channel"]) = ("demo".into(), "stable".into());
            })
            .refuse("4g"),
        Case::new("4h before 5", "several steps would refuse it")
            .release(|release| {
                everything_wrong(release);
                (release.version["product"], release.version["channel"], release.version["epoch"]) =
                    ("demo".into(), "stable".into(), EPOCH.into());
            })
            .refuse("4h"),
    ]
}

/// Steps 4h and 4i. The client has seen (2, 6), issued two days ago.
fn floors() -> Vec<Value> {
    let seen = Release::installed();
    let seen_issued = seen.version["issued"].as_u64().unwrap();
    let hash = seen.pointer()["manifest"].clone();
    let again = |name: &str, comment: &str, issued: u64| {
        Case::new(name, comment).release(move |release| {
            *release = Release::installed();
            release.version["issued"] = issued.into();
        })
    };
    let seq = |name: &str, comment: &str, seq: u64| {
        Case::new(name, comment).release(move |release| release.set("seq", seq))
    };
    vec![
        seq("a lower seq", "an older release", 5).refuse("4h"),
        seq("seq 1", "the lowest", 1).refuse("4h"),
        seq("the largest seq", "2^53-1", 9_007_199_254_740_991).installs(),
        seq("the same seq, another manifest", "two releases under one number", 6).refuse("4i"),
        seq("the same seq, another manifest, issued before", "4i is looked at before the `issued` of 4h", 6)
            .release(|release| release.version["issued"] = (NOW - 3 * DAY).into())
            .refuse("4i"),
        again("the same VERSION", "nothing is newer", seen_issued).nothing("8b", "current"),
        again("the same release issued a second before", "a stale cache, or a replay", seen_issued - 1)
            .refuse("4h"),
        again("the same release issued a second later", "refreshed", seen_issued + 1)
            .refreshed()
            .nothing("8b", "current"),
        seq("a higher seq issued before", "`issued` counts among equals only", 7)
            .release(|release| release.version["issued"] = (NOW - 30 * DAY).into())
            .installs(),
        Case::new("a floor of a higher epoch", "though the root has the lower one")
            .floor_of_epoch(3)
            .refuse("4h"),
        Case::new("a floor of a lower epoch with a higher seq", "the epoch counts first")
            .floor_of_epoch(1)
            .floor("seq", 1000)
            .installs(),
        seq("no floors", "nothing was seen", 1).no_floors().installs(),
        seq(
            "the same seq, the same manifest, higher version",
            "it was seen and not installed: a rollout, say",
            7,
        )
        .floor("seq", 7)
        .floor("issued", NOW - DAY)
        .floor("manifest", Release::good().pointer()["manifest"].clone())
        .installs(),
        Case::new(
            "a higher seq for the manifest that is installed",
            "step 6 is not left out, and the manifest has another number",
        )
        .release(|release| {
            *release = Release::installed();
            release.version["seq"] = 8.into();
            release.version["issued"] = NOW.into();
            release.link = false;
            release.version["manifest"] = hash.clone();
        })
        .refuse("6h"),
    ]
}

fn times() -> Vec<Value> {
    let told = |reason: &str| json!({"document": "version", "reason": reason});
    let field = |name: &str, comment: &str, field: &str, at: u64| {
        let field = field.to_owned();
        Case::new(name, comment).release(move |release| release.version[field] = at.into())
    };
    let seen = NOW - 2 * DAY; // the floors' `issued`
    let replay = |name: &str, comment: &str, issued: u64, expires: u64| {
        Case::new(name, comment).release(move |release| {
            (release.version["issued"], release.version["expires"]) = (issued.into(), expires.into())
        })
    };
    let root_issued = NOW - 30 * DAY;
    vec![
        field("a second before it expires", "now is below expires", "expires", NOW + 1).installs(),
        field("when it expires", "now is not below expires", "expires", NOW)
            .refuse_with("5", told("expired")),
        field("issued a day ahead", "just not too far", "issued", NOW + DAY).installs(),
        field("issued a day and a second ahead", "of the system clock", "issued", NOW + DAY + 1)
            .refuse_with("5", told("future")),
        replay(
            "a clock set back, and a VERSION that expired when the last was issued",
            "what was seen signed counts as now",
            seen - 9 * DAY,
            seen,
        )
        .clock(seen - 5 * DAY)
        .refuse_with("5", told("expired")),
        replay(
            "a clock set back, and a VERSION that expires a second later",
            "now is the floors' `issued`",
            seen - 9 * DAY,
            seen + 1,
        )
        .clock(seen - 5 * DAY)
        .release(|release| release.manifest["issued"] = (NOW - 20 * DAY).into())
        .cache("root_checked", seen - 5 * DAY)
        .installs(),
        replay(
            "a clock set back, no floors",
            "the root's `issued` counts as now",
            root_issued - WEEK,
            root_issued,
        )
        .no_floors()
        .clock(root_issued - DAY)
        .refuse_with("5", told("expired")),
        replay(
            "a clock set back, no floors, a second later",
            "the root's `issued` counts as now",
            root_issued - WEEK,
            root_issued + 1,
        )
        .no_floors()
        .clock(root_issued - DAY)
        .release(|release| release.manifest["issued"] = (root_issued - WEEK).into())
        .installs(),
        replay(
            "a clock set back, from the future and expired at once",
            "the future is looked at first",
            seen - DAY,
            seen,
        )
        .clock(NOW - 100 * DAY)
        .refuse_with("5", told("future")),
        Case::new("a clock ten years ahead", "everything has expired, the root first")
            .clock(NOW + 3650 * DAY)
            .refuse_with("5", json!({"document": "root", "reason": "expired"})),
        Case::new("a clock eight days ahead", "the root has not")
            .clock(NOW + 8 * DAY)
            .refuse_with("5", told("expired")),
        Case::new("a clock at 0", "all is from the future").clock(0).refuse_with("5", told("future")),
    ]
}

fn kinds() -> Vec<Value> {
    let changed =
        |name: &str, comment: &str| Case::new(name, comment).release(|release| release.set("version", "140"));
    let path = {
        let mut release = Release::good();
        release.set("version", "140");
        manifest_path(&release.pointer())
    };
    vec![
        changed("another kind of version", "before the manifest is fetched, and no floor moves")
            .absent(path.clone())
            .absent(format!("{path}.minisig"))
            .refuse("kind"),
        changed("another kind of version, expired", "5 comes first")
            .release(|release| release.version["expires"] = NOW.into())
            .refuse_with("5", json!({"document": "version", "reason": "expired"})),
    ]
}

/// Where step 6 is left out, and where it is not.
fn known() -> Vec<Value> {
    let installed = || Release::installed();
    let path = manifest_path(&installed().pointer());
    let refreshed = |name: &str, comment: &str| {
        Case::new(name, comment).release(move |release| {
            *release = installed();
            release.version["issued"] = NOW.into();
            release.version["expires"] = (NOW + WEEK).into();
        })
    };
    let missing = |case: Case| case.absent(path.clone()).absent(format!("{path}.minisig"));
    vec![
        missing(refreshed("the installed release, refreshed", "its manifest is not fetched again"))
            .refreshed()
            .nothing("8b", "current"),
        missing(refreshed(
            "the installed release, refreshed for a shorter time",
            "`expires` is what it says now",
        ))
        .release(|release| release.version["expires"] = (NOW + DAY).into())
        .refreshed()
        .nothing("8b", "current"),
        missing(
            refreshed(
                "the installed release, which is not what was judged",
                "fetched: it may be called by another name",
            )
            .cache("finding", json!({"is": "held", "version": "1.4.0", "critical": false})),
        )
        .unavailable(path.clone()),
        missing(
            refreshed(
                "the installed version, of another manifest",
                "fetched: what it says was not taken yet",
            )
            .floor("seq", 5)
            .floor("manifest", "0".repeat(64)),
        )
        .unavailable(path.clone()),
        refreshed("the installed version, of another manifest that is there", "what it says is taken")
            .floor("seq", 5)
            .floor("manifest", "0".repeat(64))
            .release(|release| {
                (release.manifest["critical"], release.manifest["min_version"]) =
                    (true.into(), "1.0.0".into())
            })
            .nothing("8b", "current"),
        missing(
            refreshed(
                "a manifest that was seen, of another version than the installed",
                "fetched: step 8 needs it",
            )
            .client("version", "1.2.0")
            .journal("installed", copy("1.2.0"))
            .client("executable", "the executable of 1.2.0\n"),
        )
        .unavailable(path.clone()),
    ]
}
