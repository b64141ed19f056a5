//! What lies in the two directories of an installation, in a form in which what means the same is
//! the same.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};

use rustix::fs::{Mode, OFlags};
use serde_json::{Value, json};

use super::forge::{FORGED, version_of};
use crate::install::Installation;
use crate::limits;
use crate::trust::Digest;

/// The name of the executable. No file beside it has this name.
pub(super) const TOOL: &str = "tool";

/// All files that a later process may read, by name. The executable is one of them.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Disk {
    files: BTreeMap<String, Arc<File>>,
    /// Whether `.tool.relatch` exists.
    has_private: bool,
}

#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct File {
    bytes: Vec<u8>,
    mode: u32,
}

/// A directory in which the code runs. Each thread has its own.
pub(super) struct Stage {
    dir: tempfile::TempDir,
    pub(super) installation: Installation,
    private: PathBuf,
}

impl Stage {
    /// In memory, if there is such a place: nothing here is about power cuts.
    pub(super) fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let dir = tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir()).unwrap();
        fs::write(dir.path().join(TOOL), "").unwrap();
        let installation = Installation::at(&dir.path().join(TOOL)).unwrap();
        let private = installation.dir().to_owned();
        Stage { dir, installation, private }
    }

    fn path(&self, name: &str) -> PathBuf {
        if name == TOOL { self.dir.path().join(TOOL) } else { self.private.join(name) }
    }

    /// Makes the directories what they are on this disk. The files of the locks stay: a process
    /// may hold them.
    pub(super) fn put(&self, disk: &Disk) {
        let stays = |name: &String| disk.has_private && is_lock(name);
        for name in self.names().iter().filter(|name| !stays(name)) {
            fs::remove_file(self.path(name)).unwrap();
        }
        match (disk.has_private, self.private.exists()) {
            (true, false) => fs::DirBuilder::new().mode(0o755).create(&self.private).unwrap(),
            (false, true) => fs::remove_dir(&self.private).unwrap(),
            _ => {}
        }
        for (name, file) in &disk.files {
            self.write(name, &file.bytes, file.mode);
        }
    }

    /// As a package manager does.
    pub(super) fn put_by_hand(&self, content: &[u8]) {
        fs::remove_file(self.path(TOOL)).unwrap();
        self.write(TOOL, content, 0o755);
    }

    fn write(&self, name: &str, bytes: &[u8], mode: u32) {
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(mode).open(self.path(name)).unwrap();
        file.write_all(bytes).unwrap();
        file.set_permissions(fs::Permissions::from_mode(mode)).unwrap(); // whatever the umask is
    }

    /// The names of all files.
    fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        if self.path(TOOL).exists() {
            names.push(TOOL.to_owned());
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        if let Ok(private) = rustix::fs::open(&self.private, flags, Mode::empty()) {
            for entry in rustix::fs::Dir::read_from(private).unwrap() {
                let name = entry.unwrap().file_name().to_str().unwrap().to_owned();
                names.extend(Some(name).filter(|name| !name.starts_with('.')));
            }
        }
        names
    }

    /// What lies in the directories now, as it is.
    pub(super) fn raw(&self) -> Disk {
        let mut disk = Disk { files: BTreeMap::new(), has_private: false };
        self.refresh(&mut disk, &self.names());
        disk
    }

    /// Reads these files again.
    pub(super) fn refresh(&self, disk: &mut Disk, names: &[String]) {
        disk.has_private |= self.private.exists();
        for name in names.iter().filter(|name| !is_lock(name) && !name.starts_with("write-")) {
            match fs::File::open(self.path(name)) {
                Ok(mut file) => {
                    let mode = file.metadata().unwrap().permissions().mode() & 0o7777;
                    let mut bytes = Vec::with_capacity(4096);
                    file.read_to_end(&mut bytes).unwrap();
                    disk.files.insert(name.clone(), Arc::new(File { bytes, mode }));
                }
                Err(error) if error.kind() == ErrorKind::NotFound => drop(disk.files.remove(name)),
                Err(error) => panic!("{name}: {error}"),
            }
        }
    }
}

fn is_lock(name: &str) -> bool {
    matches!(name, "lock" | "staging")
}

impl Disk {
    /// An executable that somebody installed by hand.
    pub(super) fn by_hand(content: &[u8]) -> Self {
        let file = File { bytes: content.to_vec(), mode: 0o755 };
        Disk { files: [(TOOL.to_owned(), Arc::new(file))].into(), has_private: false }
    }

    /// The same without what differs in each run: random names, the place in rollouts and times. No
    /// process reads a file with a random name that no record has, but to remove it.
    pub(super) fn canonical(mut self) -> Self {
        let mut names = BTreeMap::new();
        if let Some(mut journal) = self.record("journal") {
            journal["rollout"] = json!(0);
            for hold in journal["held"].as_array_mut().into_iter().flatten() {
                if let Some(until) = hold.get_mut("until") {
                    *until = json!(if is_over(until) { FORGED.now } else { end_of_hold() });
                }
            }
            rename(&mut journal, &mut names);
            self.put_record("journal", &journal);
        }
        if let Some(mut cache) = self.record("cache") {
            for field in ["validator", "about", "checked", "root_checked", "failure", "warned"] {
                cache[field] = Value::Null;
            }
            cache["finding"] = json!({"is": "unknown"});
            self.put_record("cache", &cache);
        }
        self.files.remove("events"); // nothing is decided by it
        if let Some(trial) = self.files.get_mut("trial") {
            let bytes = canonical_trial(std::str::from_utf8(&trial.bytes).unwrap());
            *trial = Arc::new(File { bytes, mode: trial.mode });
        }
        let files = self.files.into_iter();
        let renamed = files.filter_map(|(name, file)| match is_random(&name) {
            true => Some((names.get(&name)?.clone(), shared(file))),
            false => Some((name, shared(file))),
        });
        Disk { files: renamed.collect(), has_private: self.has_private }
    }

    /// The first line of a record.
    pub(super) fn record(&self, name: &str) -> Option<Value> {
        let text = std::str::from_utf8(&self.files.get(name)?.bytes).unwrap();
        Some(serde_json::from_str(text.lines().next().unwrap()).unwrap())
    }

    fn put_record(&mut self, name: &str, record: &Value) {
        let json = record.to_string();
        let bytes = format!("{json}\n{}\n", Digest::of(json.as_bytes())).into_bytes();
        let file = self.files.get_mut(name).unwrap();
        *file = Arc::new(File { bytes, mode: file.mode });
    }

    /// The version at the path, if a whole executable is there that can be started.
    pub(super) fn runnable(&self) -> Option<u8> {
        let file = self.files.get(TOOL)?;
        version_of(&file.bytes).filter(|_| file.mode & 0o111 == 0o111)
    }

    /// Whether this version is at the path, or in a file to which a record leads.
    pub(super) fn has(&self, version: u8) -> bool {
        let journal = self.record("journal").unwrap_or_default();
        let mut named = BTreeMap::new();
        rename(&mut journal.clone(), &mut named);
        let fixed = [TOOL, "previous", "leaving"];
        let mut names = named.keys().map(String::as_str).chain(fixed);
        names.any(|name| self.files.get(name).is_some_and(|file| version_of(&file.bytes) == Some(version)))
    }

    /// The versions of this list of the journal.
    pub(super) fn versions(&self, list: &str) -> Vec<u8> {
        let journal = self.record("journal").unwrap_or_default();
        let listed = journal[list].as_array().into_iter().flatten();
        listed.map(|known| known["version"].as_str().unwrap().parse().unwrap()).collect()
    }

    /// The hold of a version that failed lasts a week.
    pub(super) fn has_weak_hold(&self) -> bool {
        let journal = self.record("journal").unwrap_or_default();
        journal["held"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|hold| hold.get("until"))
            .any(|u| !is_over(u))
    }

    /// A week later.
    pub(super) fn after_weak_holds(&self) -> Self {
        let (mut later, mut journal) = (self.clone(), self.record("journal").unwrap_or_default());
        for hold in journal["held"].as_array_mut().into_iter().flatten() {
            if let Some(until) = hold.get_mut("until") {
                *until = json!(FORGED.now);
            }
        }
        later.put_record("journal", &journal);
        later
    }

    /// The number of the highest release that was accepted, and the lowest version; 0 for none.
    pub(super) fn floor(&self) -> (u64, u8) {
        let floors = self.record("floors").unwrap_or_default();
        let floor = &floors["domains"][0]["epochs"][0]["channels"][0];
        let min = floor["min_version"].as_str().map_or(0, |min| min.parse().unwrap());
        (floor["seq"].as_u64().unwrap_or(0), min)
    }

    /// Whether the journal does not have the last exchange, so that nothing tells of it after one
    /// that brings this version. To the version before an update, something does.
    pub(super) fn has_unrecorded_exchange(&self, now: u8) -> bool {
        let journal = self.record("journal").unwrap_or_default();
        let version = |of: &Value| of["version"].as_str().map(|version| version.parse::<u8>().unwrap());
        let pending = &journal["pending"];
        match pending["file"].as_str() {
            Some(file) => !file.starts_with("new-") || version(&pending["from"]) != Some(now),
            None => version(&journal["installed"]).is_some_and(|known| Some(known) != self.runnable()),
        }
    }

    pub(super) fn journal(&self) -> Option<&[u8]> {
        self.files.get("journal").map(|file| &file.bytes[..])
    }

    pub(super) fn has_private(&self) -> bool {
        self.has_private
    }
}

/// The same file, once for all disks that have it.
fn shared(file: Arc<File>) -> Arc<File> {
    static FILES: LazyLock<Mutex<HashSet<Arc<File>>>> = LazyLock::new(Mutex::default);
    let mut files = FILES.lock().unwrap();
    match files.get(&file) {
        Some(known) => known.clone(),
        None => {
            files.insert(file.clone());
            file
        }
    }
}

/// When a hold ends that an automatic return has made now.
fn end_of_hold() -> u64 {
    FORGED.now + limits::AUTOMATIC_HOLD.as_secs()
}

fn is_over(until: &Value) -> bool {
    until.as_u64().unwrap() <= FORGED.now + 60
}

fn is_random(name: &str) -> bool {
    name.starts_with("kept-") || name.starts_with("new-")
}

/// Gives each file with a random name one by the order in which the record has them.
fn rename(record: &mut Value, names: &mut BTreeMap<String, String>) {
    match record {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(file) if name == "file" && is_random(file) => {
                        let prefix = file.split('-').next().unwrap();
                        let next = format!("{prefix}-{:016x}", names.len());
                        *file = names.entry(file.clone()).or_insert(next).clone();
                    }
                    value => rename(value, names),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| rename(value, names)),
        _ => {}
    }
}

/// What counts of a trial: whether it has been decided.
fn canonical_trial(text: &str) -> Vec<u8> {
    let head = text.lines().next().unwrap();
    let is_confirmed = text.lines().any(|line| line == "confirmed");
    let has_failed = text.lines().filter(|line| line.starts_with("panic ")).count() >= limits::FAILING_RUNS;
    let confirmed = if is_confirmed { "confirmed\n" } else { "" };
    let failed = if has_failed { "panic 1.1.a\npanic 2.1.a\npanic 3.1.a\n" } else { "" };
    format!("{head}\n{confirmed}{failed}").into_bytes()
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shorten = |mut record: Value| {
            shorten(&mut record);
            record.to_string().replace('"', "")
        };
        for (name, file) in &self.files {
            match (name.as_str(), version_of(&file.bytes)) {
                (_, Some(version)) => write!(f, "{name}={version} ")?,
                ("journal" | "floors", _) => write!(f, "{name}={} ", shorten(self.record(name).unwrap()))?,
                ("cache", _) => write!(f, "cache ")?,
                (_, None) => write!(f, "{name}={:?} ", String::from_utf8_lossy(&file.bytes))?,
            }
        }
        Ok(())
    }
}

/// Without what is the same in all records.
fn shorten(record: &mut Value) {
    match record {
        Value::Object(fields) => {
            let constant = ["type", "product", "rollout", "blake3", "epoch", "domain", "lineage", "id"];
            let times = ["issued", "expires", "manifest_expires", "manifest", "channel"];
            fields.retain(|name, _| !constant.contains(&name.as_str()) && !times.contains(&name.as_str()));
            fields.values_mut().for_each(shorten);
        }
        Value::Array(values) => values.iter_mut().for_each(shorten),
        _ => {}
    }
}
