//! Promise: after a power cut at any barrier, the old or the new version is at the path and runs,
//! and the next command leaves a consistent place. What was reported as done is still done.
//!
//! Each file system is an image on a loop device. The operation is killed when it enters a call
//! that makes something durable or changes a name, and at once the file system is shut down without
//! a flush (`xfs_io -c shutdown`); of btrfs, which has no such call, the image is copied as it is.
//! Then it is mounted again. `.ci/matrix power` runs it, and needs root, loop devices and the tools
//! of the file systems.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::operation::{OPERATIONS, Operation};
use super::point::{Point, main_points, strace};
use super::row::{Checked, Outcome, limited};
use super::scene::{Place, Scene};
use super::support::strace::is_available;
use super::support::tool::{run, stderr};
use tempfile::TempDir;

struct FileSystem {
    name: &'static str,
    make: &'static [&'static str],
    mebibytes: u64,
    /// Nothing is flushed that nobody asked for; ext4's defaults would hide a missing fsync.
    options: &'static str,
    /// Else it is copied.
    has_shutdown: bool,
}

const FILE_SYSTEMS: [FileSystem; 3] = [
    FileSystem {
        name: "ext4",
        make: &["mkfs.ext4", "-q", "-F"],
        mebibytes: 96,
        options: "loop,data=writeback,noauto_da_alloc,commit=300",
        has_shutdown: true,
    },
    FileSystem {
        name: "xfs",
        make: &["mkfs.xfs", "-q"],
        mebibytes: 320,
        options: "loop",
        has_shutdown: true,
    },
    FileSystem {
        name: "btrfs",
        make: &["mkfs.btrfs", "-q"],
        mebibytes: 256,
        options: "loop,commit=300",
        has_shutdown: false,
    },
];

/// What makes something durable, or changes a name.
const BARRIERS: [&str; 10] = [
    "fsync",
    "fdatasync",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "unlinkat",
    "mkdir",
    "mkdirat",
];

/// Whether a command succeeds; else why not.
fn attempt(program: &str, arguments: &[&str]) -> Result<(), String> {
    match Command::new(program).args(arguments).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("{program} {arguments:?}: {}", stderr(&output).trim())),
        Err(error) => Err(format!("{program}: {error}")),
    }
}

/// A mounted image; unmounted when it is dropped.
struct Mounted {
    at: PathBuf,
}

impl Mounted {
    fn new(of: &FileSystem, image: &Path, at: &Path) -> Result<Self, String> {
        attempt("mount", &["-o", of.options, &image.to_string_lossy(), &at.to_string_lossy()])?;
        Ok(Mounted { at: at.into() })
    }
}

impl Drop for Mounted {
    /// A probe that outlived its parent may keep it busy for a moment.
    fn drop(&mut self) {
        let at = self.at.to_string_lossy();
        for _ in 0..100 {
            if attempt("umount", &[&at]).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        drop(attempt("umount", &["--lazy", &at]));
    }
}

/// Images and a place to mount them.
struct Bench<'a> {
    of: &'a FileSystem,
    scene: &'a Scene,
    dir: TempDir,
}

impl Bench<'_> {
    fn mount(&self, image: &str) -> Result<(Mounted, Place), String> {
        let at = self.dir.path().join("mounted");
        let mounted = Mounted::new(self.of, &self.dir.path().join(image), &at)?;
        Ok((mounted, Place::new(at.join("place"), self.dir.path().join("log"))))
    }

    fn copy(&self, from: &str, to: &str) {
        let [from, to] = [from, to].map(|name| self.dir.path().join(name).to_string_lossy().into_owned());
        attempt("cp", &["--sparse=always", &from, &to]).unwrap();
    }

    /// The image before an operation.
    fn prepare(&self, operation: &Operation) -> Result<(), String> {
        let image = self.dir.path().join("before");
        drop(std::fs::remove_file(&image));
        std::fs::File::create(&image).unwrap().set_len(self.of.mebibytes << 20).unwrap();
        attempt(self.of.make[0], &[&self.of.make[1..], &[&*image.to_string_lossy()]].concat())?;
        let (_mounted, place) = self.mount("before")?;
        let template = self.scene.before(operation);
        attempt("cp", &["-a", &template.to_string_lossy(), &place.dir.to_string_lossy()])
    }

    fn barriers(&self, operation: &Operation) -> Vec<Point> {
        self.copy("before", "image");
        let (_mounted, place) = self.mount("image").unwrap();
        let mut points = main_points(self.scene, operation, &place);
        points.retain(|point| BARRIERS.contains(&point.name.as_str()));
        points
    }

    /// The power fails when the operation comes to this call, or after its end. The result is what
    /// is wrong afterwards.
    fn cut(&self, operation: &Operation, barrier: Option<&Point>) -> Vec<String> {
        let kill = barrier.map(|Point { name, number, .. }| format!("{name}:signal=KILL:when={number}"));
        self.cut_with(operation, kill.as_deref())
    }

    /// Of an operation whose fsync does nothing, little is left: else this bench proves nothing.
    fn loses_what_is_not_flushed(&self, operation: &Operation) -> bool {
        !self.cut_with(operation, Some("fsync:retval=0")).is_empty()
    }

    fn cut_with(&self, operation: &Operation, injection: Option<&str>) -> Vec<String> {
        self.copy("before", "image");
        let (mounted, place) = self.mount("image").unwrap();
        let injections = operation.always.iter().copied().chain(injection);
        let options: Vec<_> = injections.flat_map(|it| ["-e".to_owned(), format!("inject={it}")]).collect();
        let output =
            limited(self.scene, &mut strace(&place.log, &options, &operation.command(self.scene, &place)));
        let after = match self.of.has_shutdown {
            true => {
                attempt("xfs_io", &["-x", "-c", "shutdown", &mounted.at.to_string_lossy()]).unwrap();
                "image"
            }
            false => {
                self.copy("image", "copy");
                "copy"
            }
        };
        drop(mounted);
        let (_mounted, place) = match self.mount(after) {
            Ok(mounted) => mounted,
            Err(error) => return vec![error],
        };
        let mut of = Checked::new(operation, self.scene, &place);
        let found = of.at_path("after the power cut");
        if injection.is_none() && !output.status.success() {
            of.fault(format!("undisturbed: {}", stderr(&output)));
        }
        if output.status.success() && found != of.before_and_after().1 {
            of.fault("it reported success, and the power cut took it back");
        }
        // The cache is not flushed.
        for name in ["journal", "floors"] {
            of.faults.extend(place.record(name).err());
        }
        let runs = place.path.exists().then(|| run(Command::new(&place.path).arg("--no-update")));
        if let Some(output) = runs.filter(|output| !output.status.success()) {
            of.fault(format!("it does not run: {}", stderr(&output)));
        }
        let outcome = if output.status.success() { Outcome::Done } else { Outcome::KilledBefore };
        of.second(outcome);
        of.faults
    }
}

#[test]
#[ignore = "mounts file systems on loop devices, as root"]
fn a_power_cut_leaves_a_tool_that_runs() {
    if !is_available() {
        return;
    }
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root may mount");
        return;
    }
    let scene = Scene::new();
    let mut broken = Vec::new();
    for of in &FILE_SYSTEMS {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("mounted")).unwrap();
        let bench = Bench { of, scene: &scene, dir };
        if of.has_shutdown && attempt("xfs_io", &["-V"]).is_err() {
            println!("skipped: {}: xfs_io is not installed", of.name);
            continue;
        }
        for operation in OPERATIONS.iter().filter(|operation| !operation.kind.is_start()) {
            if let Err(why) = bench.prepare(operation) {
                println!("skipped: {}: {why}", of.name);
                break;
            }
            let barriers = bench.barriers(operation);
            assert!(barriers.len() > 3, "{}: {barriers:?}", operation.name);
            let cuts: Vec<_> = barriers.iter().map(Some).chain([None]).collect();
            assert!(
                bench.loses_what_is_not_flushed(operation),
                "{}: a power cut loses nothing here",
                of.name
            );
            let mut count = 0;
            for cut in &cuts {
                let at =
                    cut.map_or("its end".into(), |Point { name, number, .. }| format!("{name}#{number}"));
                let faults = bench.cut(operation, *cut);
                count += usize::from(!faults.is_empty());
                for fault in faults {
                    broken.push(format!("{}, {}, power cut at {at}: {fault}", of.name, operation.name));
                }
            }
            println!("{}, {}: {} power cuts, {count} broken", of.name, operation.name, cuts.len());
        }
    }
    assert!(broken.is_empty(), "after a power cut:\n{}", broken.join("\n"));
}
