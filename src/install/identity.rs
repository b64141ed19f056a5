//! Whether the file at the path is the tool, before bytes that are not recorded are replaced (SPEC
//! step 1).
//!
//! The path of the running executable is that of a loader (`ld.so ./tool`) or of a host (a tool
//! that is loaded as a library), if one of them started the tool. So the file must answer the probe
//! with the product and the running version. After an update the journal has its hash, so that this
//! costs one start of the tool, once.
//!
//! On Linux the list of mapped files tells most of it before anything is started or made: the code
//! of this function comes from the executable, or from another file.

use std::path::Path;

use super::Installation;
use super::digest::digest_of;
use super::directories::Directories;
use super::journal::Installed;
use super::launch::Program;
use super::probe::{ProbeFailure, ask};
use crate::error::{Local, Result, io};
use crate::trust::{Digest, Name, Version};

fn not_the_tool(path: &Path, why: String) -> crate::Error {
    Local::NotTheTool { path: path.into(), why }.into()
}

/// The tool is at its path, as far as that is known without starting it: the code of this process
/// comes from there, or this process is another program (`relatch`). If that is unknown, the probe
/// decides.
///
/// # Errors
/// [`Local::NotTheTool`].
pub(crate) fn ensure_is_mapped(installation: &Installation) -> Result<()> {
    let Some(running) = Running::of_this_process() else { return Ok(()) };
    // The executable at another path is another program's.
    let of_running = Installation::of_running();
    if !of_running.is_ok_and(|found| found.executable() == installation.executable()) || running.is_itself() {
        return Ok(());
    }
    let (code, executable) = (running.code(), installation.executable().display());
    let why = format!("the running tool is {code}, and {executable} started or loaded it");
    Err(not_the_tool(installation.executable(), why))
}

/// The installation of the file that the code of this process comes from, if that is not the
/// executable.
pub(crate) fn installation_of_code() -> Option<Installation> {
    let running = Running::of_this_process().filter(|running| !running.is_itself())?;
    #[cfg(unix)]
    let path: std::ffi::OsString = std::os::unix::ffi::OsStringExt::from_vec(running.code);
    #[cfg(not(unix))]
    let path = running.code();
    Installation::at(Path::new(&path)).ok()
}

/// The paths that the kernel has for the executable and for the file that this code is mapped from.
/// They are compared as text: on btrfs the device number of a mapping is not that of `stat`.
#[derive(Debug, PartialEq, Eq)]
struct Running {
    executable: Vec<u8>,
    code: Vec<u8>,
}

impl Running {
    /// `None` where that is not known: another system, no `/proc`, or code that is not mapped from
    /// a file, as of a packed executable.
    fn of_this_process() -> Option<Self> {
        if !cfg!(any(target_os = "linux", target_os = "android")) {
            return None;
        }
        let executable =
            || Some(std::fs::read_link("/proc/self/exe").ok()?.into_os_string().into_encoded_bytes());
        // An address in this program's own code.
        let here = ensure_is_mapped as fn(&Installation) -> Result<()> as usize;
        let before = executable()?;
        let code = mapped_at(&std::fs::read("/proc/self/maps").ok()?, here)?;
        // Another process may rename the executable at this moment.
        (executable()? == before).then_some(Running { executable: before, code })
    }

    fn is_itself(&self) -> bool {
        self.executable == self.code
    }

    fn code(&self) -> String {
        String::from_utf8_lossy(&self.code).into_owned()
    }
}

/// The file of the mapping that has an address, by the lines of proc_pid_maps(5): range, rights,
/// offset, device, inode, path. `None` if it is not a file.
fn mapped_at(maps: &[u8], address: usize) -> Option<Vec<u8>> {
    let hex = |text: &[u8]| usize::from_str_radix(std::str::from_utf8(text).ok()?, 16).ok();
    let line = maps.split(|byte| *byte == b'\n').find(|line| {
        let range = line.split(|byte| *byte == b' ').next().unwrap_or_default();
        let mut ends = range.split(|byte| *byte == b'-').map(hex);
        match (ends.next(), ends.next()) {
            (Some(Some(start)), Some(Some(end))) => (start..end).contains(&address),
            _ => false,
        }
    })?;
    let mut fields = line.splitn(6, |byte| *byte == b' ');
    let path = fields.nth(5)?.trim_ascii_start();
    path.starts_with(b"/").then(|| without_escapes(path))
}

/// In this list a newline in a path is `\012`, and nothing else is escaped.
fn without_escapes(path: &[u8]) -> Vec<u8> {
    let mut result = Vec::new();
    let mut rest = path;
    while let Some((first, after)) = rest.split_first() {
        match rest.strip_prefix(b"\\012") {
            Some(after) => {
                result.push(b'\n');
                rest = after;
            }
            None => {
                result.push(*first);
                rest = after;
            }
        }
    }
    result
}

/// The hash of the file at the path, which is this tool: by the record, or because it answers.
///
/// # Errors
/// [`Local::NotTheTool`]; [`Local::ChangedMeanwhile`] if it is another version of this product.
pub(super) fn ensure_answers(
    directories: &Directories,
    recorded: Option<&Installed>,
    product: &Name,
    running: &Version,
) -> Result<Digest> {
    let (entry, path) = (directories.executable(), directories.installation().executable());
    // It must still be these bytes when it is started.
    #[cfg(windows)]
    let opened = entry.open_guarded();
    #[cfg(not(windows))]
    let opened = entry.open();
    let mut file = opened.map_err(io("open", path))?;
    let (_, blake3) = digest_of(&mut file).map_err(io("read", path))?;
    if recorded.is_some_and(|recorded| recorded.blake3 == blake3) {
        return Ok(blake3);
    }
    let why = match ask(Program { entry, file: &file }) {
        Ok(answer) if answer.product == *product && answer.version == *running => return Ok(blake3),
        // It was replaced since this process started.
        Ok(answer) if answer.product == *product => {
            return Err(Local::ChangedMeanwhile { path: path.into() }.into());
        }
        Ok(answer) => format!("it says that it is {}", answer.product),
        Err(ProbeFailure::WrongAnswer(why) | ProbeFailure::CannotRun(why)) => {
            format!("it does not answer as {product} {running}: {why}")
        }
        Err(failure) => return Err(failure.into_error(running)),
    };
    Err(not_the_tool(path, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_in_its_mapping() {
        let maps = b"55d0c0a00000-55d0c0a20000 r--p 00000000 fd:01 1234    /opt/my tool\n\
            55d0c0a20000-55d0c0b00000 r-xp 00020000 00:2f 99999                      /opt/my tool (deleted)\n\
            7f0000000000-7f0000001000 r-xp 00000000 00:00 0 \n\
            7f0000001000-7f0000002000 r-xp 00000000 00:00 0                          [vdso]\n\
            7f0000002000-7f0000003000 rwxp 00000000 00:05 77  /a\\012b\\134\xff\n\
            7f0000003000-7f0000004000 r-xp 00000000 00:00 0  anon_inode:x\n\
            nonsense\n";
        let at = |address| mapped_at(maps, address);
        assert_eq!(at(0x55d0_c0a0_0000), Some(b"/opt/my tool".to_vec()));
        assert_eq!(at(0x55d0_c0a2_0000), Some(b"/opt/my tool (deleted)".to_vec()));
        assert_eq!(at(0x55d0_c0af_ffff), Some(b"/opt/my tool (deleted)".to_vec()));
        for unknown in [0, 0x55d0_c0b0_0000, 0x7f00_0000_0000, 0x7f00_0000_1000, 0x7f00_0000_3000, usize::MAX]
        {
            assert_eq!(at(unknown), None, "{unknown:x}");
        }
        assert_eq!(at(0x7f00_0000_2fff), Some(b"/a\nb\\134\xff".to_vec()));
    }

    /// A packer maps its own file, unpacks to anonymous memory, and runs the code there.
    #[test]
    fn code_of_a_packed_executable_is_of_no_known_file() {
        let maps = b"00400000-00401000 r--p 00000000 00:00 0 \n\
            00401000-004a0000 r-xp 00000000 00:00 0 \n\
            004a0000-004c0000 rw-p 00000000 00:00 0                          [heap]\n\
            7ffff7f00000-7ffff7f20000 r-xp 00001000 fd:01 1234               /opt/packed\n";
        for unknown in [0x0040_0000, 0x0040_1000, 0x0049_ffff, 0x004a_0000] {
            assert_eq!(mapped_at(maps, unknown), None, "{unknown:x}");
        }
        assert_eq!(mapped_at(maps, 0x7fff_f7f0_0000), Some(b"/opt/packed".to_vec()));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_test_is_its_own_program() {
        let running = Running::of_this_process().unwrap();
        assert!(running.is_itself(), "{running:?}");
        assert!(installation_of_code().is_none());
        ensure_is_mapped(&Installation::of_running().unwrap()).unwrap();
    }
}
