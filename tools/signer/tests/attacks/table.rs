//! A row, and what must hold after it.

use std::process::Command;

use crate::scene::{Scene, run};
use crate::steps;
use crate::support::{is_in, stderr};

/// A mistake or an attack.
pub struct Row<'a> {
    name: String,
    /// The step of docs/SPEC.md section 5 at which a client would refuse it, where there is one (see [`steps`]); else the section that it
    /// is about.
    spec: &'static str,
    /// Makes it, and says how `signer` is called then.
    mistake: Box<dyn Fn(&Scene) -> Command + 'a>,
    code: i32,
    /// What happened, both values, and what to do.
    says: &'a [&'a str],
    /// What it needs, only Unix has.
    on_unix: bool,
}

impl Row<'_> {
    /// For rows with links, pipes, devices or modes; see `unix`.
    pub fn on_unix(self) -> Self {
        Row { on_unix: true, ..self }
    }

    /// Whether it cannot be played here; says so.
    fn is_skipped(&self, name: &str) -> bool {
        let skipped = self.on_unix && cfg!(not(unix));
        if skipped {
            println!("skipped: {name}: only Unix has this");
        }
        skipped
    }
}

pub fn row<'a>(
    name: impl Into<String>,
    spec: &'static str,
    mistake: impl Fn(&Scene) -> Command + 'a,
    code: i32,
    says: &'a [&'a str],
) -> Row<'a> {
    Row { name: name.into(), spec, mistake: Box::new(mistake), code, says, on_unix: false }
}

/// Each is refused as it says, nothing is changed by it, nothing secret is told, and the next good release reaches a client.
pub fn refused(rows: &[Row<'_>]) {
    if steps::counted(rows.iter().map(|row| (row.spec, row.code))) {
        return;
    }
    for row in rows {
        let name = format!("{} (SPEC {})", row.name, row.spec);
        if row.is_skipped(&name) {
            continue;
        }
        let mut scene = Scene::new();
        println!("{name}");
        let mut command = (row.mistake)(&scene);
        let before = scene.tree();
        let output = run(&mut command);
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(row.code), "{name}: {told}");
        assert!(output.stdout.is_empty(), "{name}: {output:?}");
        for part in row.says {
            assert!(is_in(part, &told), "{name}: `{part}` is not in: {told}");
        }
        steps::agrees(&name, row.spec, row.code, &told);
        // What is wrong, and below it what to do.
        assert!(told.starts_with("signer: ") || told.starts_with("error: "), "{name}: {told}");
        assert!(told.lines().filter(|line| !line.is_empty()).count() >= 2, "{name}: {told}");
        assert!(!told.contains("panicked"), "{name}: {told}");
        let after = scene.tree();
        let changed: Vec<_> = before.iter().filter(|was| after.get(was.0) != Some(was.1)).collect();
        let strays: Vec<_> = after.keys().filter(|path| !before.contains_key(*path)).collect();
        assert!(changed.is_empty() && strays.is_empty(), "{name}: changed {changed:?}, new {strays:?}");
        scene.told_safely(&name, &output);
        scene.heals(&name);
    }
}

/// Each looks wrong and is not: it succeeds, and a client takes what comes of it, then the next release.
pub fn harmless(rows: &[Row<'_>]) {
    if steps::counted(std::iter::empty()) {
        return;
    }
    for row in rows {
        let name = format!("{} (SPEC {})", row.name, row.spec);
        if row.is_skipped(&name) {
            continue;
        }
        let mut scene = Scene::new();
        println!("{name}");
        let output = run(&mut (row.mistake)(&scene));
        let told = String::from_utf8(output.stdout.clone()).unwrap();
        assert!(output.status.success(), "{name}: {}", stderr(&output));
        for part in row.says {
            assert!(is_in(part, &told), "{name}: `{part}` is not in: {told}");
        }
        assert_eq!(row.code, 0, "{name}");
        scene.told_safely(&name, &output);
        let verify = run(&mut scene.at_repo(&["verify"]));
        assert!(verify.status.success(), "{name}: {}", stderr(&verify));
        scene.goes_on(&name);
    }
}
