//! The operations, and how each is called.

use std::path::Path;
use std::process::Command;

use super::scene::{Place, Scene};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Install,
    Update,
    /// An update of a tool that keeps an executable already, which stays kept.
    UpdateBeside,
    /// An update to bytes that are kept.
    UpdateKept,
    Rollback,
    /// To the version that was left.
    Forward,
    /// A start that is due and finds nothing newer.
    StartCurrent,
    /// A start that is due, updates and restarts.
    StartUpdate,
}

impl Kind {
    pub fn is_start(self) -> bool {
        matches!(self, Kind::StartCurrent | Kind::StartUpdate)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum By {
    Tool,
    Relatch,
}

#[derive(Clone, Copy)]
pub struct Operation {
    pub name: &'static str,
    pub kind: Kind,
    pub by: By,
    /// Injected into each disturbed run: what the file system cannot do.
    pub always: &'static [&'static str],
}

/// Two names cannot be exchanged: the swap copies and renames.
const NO_EXCHANGE: &[&str] = &["renameat2:error=EINVAL"];
/// A file has one name, as on FAT.
const NO_LINKS: &[&str] = &["linkat:error=EPERM"];
/// Neither: the executable is copied before it is replaced.
const NEITHER: &[&str] = &["renameat2:error=EINVAL", "linkat:error=EPERM"];

const fn of(name: &'static str, kind: Kind, by: By, always: &'static [&'static str]) -> Operation {
    Operation { name, kind, by, always }
}

pub const OPERATIONS: [Operation; 21] = [
    of("relatch install", Kind::Install, By::Relatch, &[]),
    of("relatch install, no links", Kind::Install, By::Relatch, NO_LINKS),
    of("tool --update", Kind::Update, By::Tool, &[]),
    of("tool --update, no exchange", Kind::Update, By::Tool, NO_EXCHANGE),
    of("tool --update, neither exchange nor links", Kind::Update, By::Tool, NEITHER),
    of("relatch update", Kind::Update, By::Relatch, &[]),
    of("relatch update, no exchange", Kind::Update, By::Relatch, NO_EXCHANGE),
    of("tool --update, one is kept", Kind::UpdateBeside, By::Tool, &[]),
    of("tool --update, one is kept, no exchange", Kind::UpdateBeside, By::Tool, NO_EXCHANGE),
    of("tool --update, to a kept one", Kind::UpdateKept, By::Tool, &[]),
    of("tool --update, to a kept one, no exchange", Kind::UpdateKept, By::Tool, NO_EXCHANGE),
    of("tool --update=1.1.0", Kind::Forward, By::Tool, &[]),
    of("tool --update=1.1.0, no exchange", Kind::Forward, By::Tool, NO_EXCHANGE),
    of("tool --rollback", Kind::Rollback, By::Tool, &[]),
    of("tool --rollback, no exchange", Kind::Rollback, By::Tool, NO_EXCHANGE),
    of("tool --rollback, neither exchange nor links", Kind::Rollback, By::Tool, NEITHER),
    of("relatch rollback", Kind::Rollback, By::Relatch, &[]),
    of("relatch rollback, no exchange", Kind::Rollback, By::Relatch, NO_EXCHANGE),
    of("start, nothing newer", Kind::StartCurrent, By::Tool, &[]),
    of("start, updates", Kind::StartUpdate, By::Tool, &[]),
    of("start, updates, no exchange", Kind::StartUpdate, By::Tool, NO_EXCHANGE),
];

impl Operation {
    pub fn command(&self, scene: &Scene, place: &Place) -> Command {
        let of_tool = |argument: &str| with(&place.path, [argument.as_ref()]);
        let of_relatch = |command: &str| with(&scene.relatch, [command.as_ref(), place.path.as_os_str()]);
        match (self.kind, self.by) {
            (Kind::Install, _) => scene.install(&place.path),
            (Kind::Update | Kind::UpdateBeside | Kind::UpdateKept, By::Tool) => of_tool("--update"),
            (Kind::Update | Kind::UpdateBeside | Kind::UpdateKept, By::Relatch) => of_relatch("update"),
            (Kind::Forward, _) => of_tool("--update=1.1.0"),
            (Kind::Rollback, By::Tool) => of_tool("--rollback"),
            (Kind::Rollback, By::Relatch) => of_relatch("rollback"),
            (Kind::StartCurrent | Kind::StartUpdate, _) => of_tool("x"),
        }
    }

    /// Updates what the operation left, by the same program.
    pub fn update(&self, scene: &Scene, place: &Place) -> Command {
        match self.by {
            By::Tool => with(&place.path, ["--update".as_ref()]),
            By::Relatch => with(&scene.relatch, ["update".as_ref(), place.path.as_os_str()]),
        }
    }
}

fn with<const N: usize>(program: &Path, arguments: [&std::ffi::OsStr; N]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}
