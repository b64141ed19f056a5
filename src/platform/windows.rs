//! The system calls that std does not have: who owns a file and who may touch it, which file a handle leads to, and what a process does
//! with interrupts and crashes.
//!
//! This is the only unsafe code of this project. It asks, and hands over bytes; what they mean is decided in `access.rs`.
#![allow(unsafe_code, reason = "each call says why it is sound")]

use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Result};
use std::os::windows::ffi::OsStrExt;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::Path;
use std::ptr::null_mut;

use windows_sys::Win32::Foundation::{GENERIC_WRITE, HANDLE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::Security::{
    DACL_SECURITY_INFORMATION, GetKernelObjectSecurity, GetTokenInformation, OWNER_SECURITY_INFORMATION,
    SECURITY_ATTRIBUTES, TOKEN_QUERY, TokenUser,
};
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, CREATE_NEW, CreateDirectoryW, CreateFileW, FILE_ADD_FILE,
    FILE_ATTRIBUTE_NORMAL, FILE_FLAG_BACKUP_SEMANTICS, GetFileInformationByHandle, READ_CONTROL,
};
use windows_sys::Win32::System::Console::{CTRL_BREAK_EVENT, CTRL_C_EVENT, SetConsoleCtrlHandler};
use windows_sys::Win32::System::Diagnostics::Debug::{
    GetErrorMode, SEM_FAILCRITICALERRORS, SEM_NOGPFAULTERRORBOX, SetErrorMode,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};
use windows_sys::core::BOOL;

use super::access::{Security, Sid, private_descriptor};

/// A security descriptor has at most 64 KiB in each of its two lists, and some bytes more; far more than any honest one.
const MOST: usize = 160 * 1024;

fn malformed() -> Error {
    Error::other("the system's answer is not well-formed")
}

/// Owner and DACL of a directory.
///
/// # Errors
/// Where it cannot be asked.
pub fn security_of_dir(dir: &Path) -> Result<Security> {
    let mut options = OpenOptions::new();
    security_of(&options.access_mode(READ_CONTROL).custom_flags(FILE_FLAG_BACKUP_SEMANTICS).open(dir)?)
}

/// Owner and DACL of a file that is open for reading.
///
/// # Errors
/// Where the system does not tell.
pub fn security_of(file: &File) -> Result<Security> {
    let what = OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION;
    let mut words = vec![0_u32; 256]; // the system may refuse a buffer that is not aligned
    loop {
        let (size, mut needed) = (4 * words.len() as u32, 0);
        // SAFETY: the handle is open as long as `file` is borrowed; the buffer has `size` bytes, and the system writes no more of them.
        let done = unsafe {
            GetKernelObjectSecurity(
                file.as_raw_handle() as HANDLE,
                what,
                words.as_mut_ptr().cast(),
                size,
                &mut needed,
            )
        };
        if done != 0 {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
            return Security::from_bytes(&bytes).ok_or_else(malformed);
        }
        let error = Error::last_os_error();
        match needed as usize {
            needed if needed > 4 * words.len() && needed <= MOST => words = vec![0; needed.div_ceil(4)],
            _ => return Err(error),
        }
    }
}

/// The user that this process runs as.
///
/// # Errors
/// Where the system does not tell.
pub fn current_user() -> Result<Sid> {
    let mut token = null_mut();
    // SAFETY: GetCurrentProcess returns a constant; the token is written to where a handle has room.
    if unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &mut token) } == 0 {
        return Err(Error::last_os_error());
    }
    // SAFETY: the call above has just opened it, and nothing else closes it.
    let token = unsafe { OwnedHandle::from_raw_handle(token) };
    // A TOKEN_USER, which is a pointer and a number, and behind it the SID of at most 68 bytes that it points to.
    let mut buffer = [0_u64; 32];
    let (size, mut written) = (size_of_val(&buffer) as u32, 0);
    // SAFETY: the handle is open; the buffer is aligned for a pointer and has `size` bytes, and the system writes no more of them.
    let done = unsafe {
        let buffer = buffer.as_mut_ptr().cast();
        GetTokenInformation(token.as_raw_handle() as HANDLE, TokenUser, buffer, size, &mut written)
    };
    if done == 0 {
        return Err(Error::last_os_error());
    }
    let bytes: Vec<u8> = buffer.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let pointer = bytes.first_chunk().map(|pointer| usize::from_ne_bytes(*pointer));
    let at = pointer.and_then(|pointer| pointer.checked_sub(buffer.as_ptr() as usize));
    at.and_then(|at| bytes.get(at..)).and_then(Sid::from_bytes).ok_or_else(malformed)
}

/// Creates a file that did not exist, for the current user alone from its first moment.
///
/// # Errors
/// Where it exists, or cannot be created.
pub fn create_private(path: &Path) -> Result<File> {
    let (path, descriptor) = (wide(path)?, private_descriptor(&current_user()?).ok_or_else(malformed)?);
    let attributes = attributes(&descriptor);
    // SAFETY: the path ends with a zero; `attributes` and the descriptor in it live until the call returns.
    let handle = unsafe {
        CreateFileW(
            path.as_ptr(),
            GENERIC_WRITE,
            0,
            &attributes,
            CREATE_NEW,
            FILE_ATTRIBUTE_NORMAL,
            null_mut(),
        )
    };
    if handle == INVALID_HANDLE_VALUE {
        return Err(Error::last_os_error());
    }
    // SAFETY: the call above has just opened it, and nothing else closes it.
    Ok(File::from(unsafe { OwnedHandle::from_raw_handle(handle) }))
}

/// Creates a directory that did not exist, for the current user alone. What is made in it later inherits that.
///
/// # Errors
/// Where it exists, or cannot be created.
pub fn create_private_dir(path: &Path) -> Result<()> {
    let (path, descriptor) = (wide(path)?, private_descriptor(&current_user()?).ok_or_else(malformed)?);
    // SAFETY: the path ends with a zero; the attributes and the descriptor in them live until the call returns.
    let done = unsafe { CreateDirectoryW(path.as_ptr(), &attributes(&descriptor)) };
    if done == 0 { Err(Error::last_os_error()) } else { Ok(()) }
}

/// Not inherited by processes that this one starts.
fn attributes(descriptor: &[u32]) -> SECURITY_ATTRIBUTES {
    SECURITY_ATTRIBUTES {
        nLength: size_of::<SECURITY_ATTRIBUTES>() as u32,
        lpSecurityDescriptor: descriptor.as_ptr().cast_mut().cast(), // the calls only read it
        bInheritHandle: 0,
    }
}

/// As the system reads it: with a zero at its end, and none before.
fn wide(path: &Path) -> Result<Vec<u16>> {
    let path = super::program(&std::path::absolute(path)?);
    let mut wide: Vec<u16> = path.as_os_str().encode_wide().collect();
    if wide.contains(&0) {
        return Err(ErrorKind::InvalidInput.into());
    }
    wide.push(0);
    Ok(wide)
}

/// Whether the current user may make files in a directory.
pub fn may_add_files(dir: &Path) -> bool {
    let mut options = OpenOptions::new();
    options.access_mode(FILE_ADD_FILE).custom_flags(FILE_FLAG_BACKUP_SEMANTICS).open(dir).is_ok()
}

/// Volume and number of a file: the same for two handles that lead to one file.
///
/// # Errors
/// Where the system does not tell.
pub fn identity(file: &File) -> Result<(u32, u32, u32)> {
    let mut found = BY_HANDLE_FILE_INFORMATION::default();
    // SAFETY: the handle is open, and `found` is a structure of the kind that is written.
    if unsafe { GetFileInformationByHandle(file.as_raw_handle() as HANDLE, &mut found) } == 0 {
        return Err(Error::last_os_error());
    }
    Ok((found.dwVolumeSerialNumber, found.nFileIndexHigh, found.nFileIndexLow))
}

/// While it lives, Ctrl-C and Ctrl-Break do not end this process. Processes that it starts do not inherit that.
#[must_use]
pub struct Uninterrupted(());

impl Uninterrupted {
    /// From here on. A console that goes away still ends the process.
    pub fn new() -> Self {
        // SAFETY: the function lives as long as the program, and may be called by any thread at any time. Where this fails there is no
        // console, and so there are no interrupts.
        unsafe { SetConsoleCtrlHandler(Some(is_ignored), 1) };
        Uninterrupted(())
    }
}

impl Default for Uninterrupted {
    fn default() -> Self {
        Uninterrupted::new()
    }
}

impl Drop for Uninterrupted {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { SetConsoleCtrlHandler(Some(is_ignored), 0) };
    }
}

/// Called by the system on a thread of its own. "Yes" means that nothing more is done about the event.
unsafe extern "system" fn is_ignored(event: u32) -> BOOL {
    BOOL::from(event == CTRL_C_EVENT || event == CTRL_BREAK_EVENT)
}

/// Starts something that may crash or lack a DLL without a dialog that waits for somebody to press a button: a process inherits the mode in
/// which it is started.
pub fn without_dialogs<T>(start: impl FnOnce() -> T) -> T {
    // SAFETY: both only read and set a number of this process. Another thread that starts a program meanwhile starts it in this mode, too.
    let before = unsafe { GetErrorMode() };
    // SAFETY: as above.
    unsafe { SetErrorMode(before | SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX) };
    let started = start();
    // SAFETY: as above.
    unsafe { SetErrorMode(before) };
    started
}

/// Takes a variable out of this process's environment, so that its children do not get it.
pub fn forget_variable(name: &str) {
    // SAFETY: on Windows this is sound in programs with any number of threads, as its documentation says.
    unsafe { std::env::remove_var(name) };
}

#[cfg(test)]
mod tests {
    use std::os::windows::process::CommandExt as _;
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use windows_sys::Win32::System::Console::GenerateConsoleCtrlEvent;

    use super::*;

    #[test]
    fn a_private_file_is_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let user = current_user().unwrap();
        assert!(user.0.starts_with("S-1-5-"), "{user}");
        let path = dir.path().join("key");
        std::io::Write::write_all(&mut create_private(&path).unwrap(), b"secret").unwrap();
        let security = security_of(&File::open(&path).unwrap()).unwrap();
        assert_eq!(security.stranger_to_secret(&user), None, "{security:?}");
        assert_eq!(create_private(&path).unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
        let inner = dir.path().join("keys");
        create_private_dir(&inner).unwrap();
        let security = security_of_dir(&inner).unwrap();
        assert_eq!(security.stranger_to_secret(&user), None, "{security:?}");
        std::fs::write(inner.join("a"), "x").unwrap();
        assert!(create_private_dir(&inner).is_err());
        assert!(may_add_files(dir.path()));
    }

    #[test]
    fn a_file_is_itself_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        std::fs::write(&a, "x").unwrap();
        std::fs::write(&b, "x").unwrap();
        let of = |path: &Path| identity(&File::open(path).unwrap()).unwrap();
        assert_eq!(of(&a), of(&a));
        assert_ne!(of(&a), of(&b));
    }

    /// The other half of the test below, where it runs as a process of its own, alone at a console of its own.
    #[test]
    fn is_interrupted() {
        let Some(how) = std::env::var_os("TEST_INTERRUPTED") else { return };
        let _ignored = (how == "ignored").then(Uninterrupted::new);
        // SAFETY: it takes two numbers.
        let sent = unsafe { GenerateConsoleCtrlEvent(CTRL_C_EVENT, 0) };
        std::thread::sleep(Duration::from_secs(2));
        std::process::exit(if sent == 0 { 41 } else { 42 });
    }

    #[test]
    fn whoever_waits_is_not_ended_by_an_interrupt() {
        const CREATE_NO_WINDOW: u32 = 0x0800_0000;
        let interrupted = |how: &str| {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", "platform::windows::tests::is_interrupted", "--nocapture"]);
            command.env("TEST_INTERRUPTED", how).creation_flags(CREATE_NO_WINDOW);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command.status().unwrap().code()
        };
        match interrupted("not ignored") {
            Some(41) => println!("skipped: a console hands on no interrupt here"),
            code => assert_ne!(code, Some(42), "it was not interrupted"),
        }
        assert!(matches!(interrupted("ignored"), Some(41 | 42)));
    }
}
