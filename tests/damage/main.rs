//! Promise: what the client remembers may be damaged, and is then reported and made whole by a verified check, never believed and never
//! taken as leave. What a later version wrote is read and kept.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "the helpers of tests are tests")]

#[path = "../support/mod.rs"]
mod support;

mod carrying;
mod later;
mod records;
mod roots;

use relatch::Updater;
use support::tool::stderr;
use support::{Repository, Scene, Snapshot, Tool, executable, fake};

/// 1.1.0, updated from 1.0.0, of which 1.2.0 is the newer release.
fn updated() -> Scene {
    let mut scene = Scene::new();
    scene.repository.release("1.1.0", &fake("1.1.0"));
    scene.updates_to("before anything is damaged", "1.1.0", &fake("1.1.0"));
    scene.repository.release("1.2.0", &fake("1.2.0"));
    scene
}

fn rollback(scene: &Scene) -> relatch::Result<relatch::RolledBack> {
    Updater::rollback(scene.tool.updater().installation(), None)
}

/// What is told of a damaged record that counts, once.
fn is_told(warned: &[String]) -> bool {
    warned.len() == 1 && warned[0].contains("the recorded state is damaged")
}

/// A tool that carries its root and knows its version, at 1.0.0 and with records.
fn carrying() -> (Repository, Tool) {
    let mut repository = Repository::new();
    repository.seq = 5;
    let bytes = executable(&repository, "1.0.0");
    repository.release("1.0.0", &bytes);
    let tool = Tool::copied(&bytes);
    let output = tool.run(&["--update"]);
    assert!(output.status.success(), "{}", stderr(&output));
    (repository, tool)
}

/// Every file but the cache, in which a start records that it failed.
fn without_cache(tool: &Tool) -> Snapshot {
    let mut snapshot = tool.snapshot();
    snapshot.0.retain(|name, _| !name.ends_with("/cache"));
    snapshot
}
