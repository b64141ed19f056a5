//! System calls that std lacks: a file's owner and DACL, its identity, and a process's reaction to
//! interrupts and crashes.
//!
//! This is the only unsafe code of this project. It passes bytes to and from the system;
//! `access.rs` decides what they mean.
#![allow(unsafe_code, reason = "a comment at each call says why it is sound")]

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

/// The maximum size of a security descriptor in bytes: at most 64 KiB for each of its two ACLs, and
/// two SIDs.
const MOST: usize = 160 * 1024;

fn malformed() -> Error {
    Error::other("the system returned a malformed security descriptor or SID")
}

/// Owner and DACL of a directory.
///
/// # Errors
/// If the directory cannot be opened or queried.
pub fn security_of_dir(dir: &Path) -> Result<Security> {
    let mut options = OpenOptions::new();
    security_of(&options.access_mode(READ_CONTROL).custom_flags(FILE_FLAG_BACKUP_SEMANTICS).open(dir)?)
}

/// Owner and DACL of a file that is open for reading.
///
/// # Errors
/// If the file cannot be queried.
pub fn security_of(file: &File) -> Result<Security> {
    let what = OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION;
    let mut words = vec![0_u32; 256]; // of u32: the system may refuse an unaligned buffer
    loop {
        let (size, mut needed) = (4 * words.len() as u32, 0);
        // SAFETY: the handle stays open while `file` is borrowed. The buffer has `size` bytes, and
        // the system writes no more than that.
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
/// If the process's token cannot be opened or queried.
pub fn current_user() -> Result<Sid> {
    let mut token = null_mut();
    // SAFETY: GetCurrentProcess returns a constant. `token` has room for a handle.
    if unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &mut token) } == 0 {
        return Err(Error::last_os_error());
    }
    // SAFETY: the call above opened this handle, and nothing else closes it.
    let token = unsafe { OwnedHandle::from_raw_handle(token) };
    // A TOKEN_USER (a pointer and a number), followed by the SID of at most 68 bytes that it points
    // to.
    let mut buffer = [0_u64; 32];
    let (size, mut written) = (size_of_val(&buffer) as u32, 0);
    // SAFETY: the handle is open. The buffer is aligned for a pointer and has `size` bytes, and the
    // system writes no more than that.
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

/// Creates a new file, to which only the current user has access from the start.
///
/// # Errors
/// If the file exists or cannot be created.
pub fn create_private(path: &Path) -> Result<File> {
    let (path, descriptor) = (wide(path)?, private_descriptor(&current_user()?).ok_or_else(malformed)?);
    let attributes = attributes(&descriptor);
    // SAFETY: the path is NUL-terminated. `attributes` and its descriptor outlive the call.
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
    // SAFETY: the call above opened this handle, and nothing else closes it.
    Ok(File::from(unsafe { OwnedHandle::from_raw_handle(handle) }))
}

/// Creates a new directory, to which only the current user has access. Objects created in it
/// inherit that.
///
/// # Errors
/// If the directory exists or cannot be created.
pub fn create_private_dir(path: &Path) -> Result<()> {
    let (path, descriptor) = (wide(path)?, private_descriptor(&current_user()?).ok_or_else(malformed)?);
    // SAFETY: the path is NUL-terminated. The attributes and their descriptor outlive the call.
    let done = unsafe { CreateDirectoryW(path.as_ptr(), &attributes(&descriptor)) };
    if done == 0 { Err(Error::last_os_error()) } else { Ok(()) }
}

/// The attributes of a new object, whose handle child processes do not inherit.
fn attributes(descriptor: &[u32]) -> SECURITY_ATTRIBUTES {
    SECURITY_ATTRIBUTES {
        nLength: size_of::<SECURITY_ATTRIBUTES>() as u32,
        lpSecurityDescriptor: descriptor.as_ptr().cast_mut().cast(), // the calls only read it
        bInheritHandle: 0,
    }
}

/// A path as the system reads it: UTF-16, NUL-terminated.
///
/// # Errors
/// If the path contains a NUL.
fn wide(path: &Path) -> Result<Vec<u16>> {
    let path = super::program(&std::path::absolute(path)?);
    let mut wide: Vec<u16> = path.as_os_str().encode_wide().collect();
    if wide.contains(&0) {
        return Err(ErrorKind::InvalidInput.into());
    }
    wide.push(0);
    Ok(wide)
}

/// Whether the current user may create files in a directory.
pub fn may_add_files(dir: &Path) -> bool {
    let mut options = OpenOptions::new();
    options.access_mode(FILE_ADD_FILE).custom_flags(FILE_FLAG_BACKUP_SEMANTICS).open(dir).is_ok()
}

/// Volume and index of a file: the same for all handles of one file.
///
/// # Errors
/// If the file cannot be queried.
pub fn identity(file: &File) -> Result<(u32, u32, u32)> {
    let mut found = BY_HANDLE_FILE_INFORMATION::default();
    // SAFETY: the handle is open, and `found` has the type that the system writes.
    if unsafe { GetFileInformationByHandle(file.as_raw_handle() as HANDLE, &mut found) } == 0 {
        return Err(Error::last_os_error());
    }
    Ok((found.dwVolumeSerialNumber, found.nFileIndexHigh, found.nFileIndexLow))
}

/// While this value exists, Ctrl-C and Ctrl-Break do not end this process. Child processes do not
/// inherit that.
#[must_use]
pub struct Uninterrupted(());

impl Uninterrupted {
    /// Ignores interrupts from now on. Closing the console still ends the process.
    pub fn new() -> Self {
        // SAFETY: the handler exists as long as the program, and any thread may call it at any
        // time. The call fails only without a console; then there are no interrupts.
        unsafe { SetConsoleCtrlHandler(Some(ignore_interrupt), 1) };
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
        unsafe { SetConsoleCtrlHandler(Some(ignore_interrupt), 0) };
    }
}

/// The system calls this on a thread of its own. A result of 1 means that the event is handled.
unsafe extern "system" fn ignore_interrupt(event: u32) -> BOOL {
    BOOL::from(event == CTRL_C_EVENT || event == CTRL_BREAK_EVENT)
}

/// Calls `start`, which starts a process that may crash or lack a DLL, so that no dialog appears
/// and blocks it. The new process inherits this process's error mode.
pub fn without_dialogs<T>(start: impl FnOnce() -> T) -> T {
    // SAFETY: GetErrorMode and SetErrorMode only read and set a number of this process. A process
    // that another thread starts meanwhile inherits this mode as well.
    let before = unsafe { GetErrorMode() };
    // SAFETY: as above.
    unsafe { SetErrorMode(before | SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX) };
    let started = start();
    // SAFETY: as above.
    unsafe { SetErrorMode(before) };
    started
}

/// Removes a variable from this process's environment, so that children do not inherit it.
pub fn forget_variable(name: &str) {
    // SAFETY: on Windows this is sound in a program with several threads, as std documents.
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
    fn only_the_owner_has_access_to_a_private_file() {
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
    fn two_handles_of_one_file_have_one_identity() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        std::fs::write(&a, "x").unwrap();
        std::fs::write(&b, "x").unwrap();
        let of = |path: &Path| identity(&File::open(path).unwrap()).unwrap();
        assert_eq!(of(&a), of(&a));
        assert_ne!(of(&a), of(&b));
    }

    /// The child process of the test below, which has a console of its own.
    #[test]
    fn is_interrupted() {
        let Some(how) = std::env::var_os("TEST_INTERRUPTED") else { return };
        let _ignored = (how == "ignored").then(Uninterrupted::new);
        // SAFETY: the call takes two numbers.
        let sent = unsafe { GenerateConsoleCtrlEvent(CTRL_C_EVENT, 0) };
        std::thread::sleep(Duration::from_secs(2));
        std::process::exit(if sent == 0 { 41 } else { 42 });
    }

    #[test]
    fn a_waiting_process_survives_an_interrupt() {
        const CREATE_NO_WINDOW: u32 = 0x0800_0000;
        let interrupted = |how: &str| {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", "platform::windows::tests::is_interrupted", "--nocapture"]);
            command.env("TEST_INTERRUPTED", how).creation_flags(CREATE_NO_WINDOW);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command.status().unwrap().code()
        };
        match interrupted("not ignored") {
            Some(41) => println!("skipped: this console sends no interrupts"),
            code => assert_ne!(code, Some(42), "the process was not interrupted"),
        }
        assert!(matches!(interrupted("ignored"), Some(41 | 42)));
    }
}
