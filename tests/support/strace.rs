//! Faults at system calls, by strace.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

/// Whether strace is there and may trace; says so where not.
pub fn is_available() -> bool {
    let tried = Command::new("strace")
        .args(["-qq", "-f", "-o", "/dev/null", "-e", "trace=fsync", "true"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match tried {
        Ok(status) if status.success() => true,
        Ok(_) => {
            println!("skipped: strace may not trace here");
            false
        }
        Err(_) => {
            println!("skipped: strace is not installed");
            false
        }
    }
}

/// `program` under strace. `injections` are as strace takes them, such as `fsync:signal=KILL:when=2`; calls are logged to `log`. Signals
/// are for the main thread alone, whose calls come in the same order each time.
pub fn traced(program: &Path, calls: &[&str], injections: &[String], log: &Path) -> Command {
    let mut command = Command::new("strace");
    let calls: Vec<_> = calls.iter().map(|call| format!("?{call}")).collect(); // `?`: not every system has each
    command.arg("-qq").arg("-e").arg(format!("trace={}", calls.join(",")));
    if !injections.iter().any(|injection| injection.contains(":signal=")) {
        // Quicker, and the children too; strace 6.1 then forgets signals.
        command.args(["-f", "--seccomp-bpf"]);
    }
    for injection in injections {
        command.arg("-e").arg(format!("inject={injection}"));
    }
    command.arg("-o").arg(log).arg(program);
    command.env_remove("CI").env_remove("RELATCH_NO_UPDATE");
    command
}

/// The calls of the main thread in a log, by name, in their order.
pub fn calls_of_main(log: &Path) -> BTreeMap<String, Vec<String>> {
    let log = std::fs::read_to_string(log).unwrap();
    let main = log.split_whitespace().next().unwrap_or_default().to_owned();
    let mut calls: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in log.lines() {
        let Some(call) = line.strip_prefix(&main).map(str::trim_start) else { continue };
        let is_name = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if let Some((name, _)) = call.split_once('(').filter(|(name, _)| is_name(name)) {
            calls.entry(name.into()).or_default().push(call.into());
        }
    }
    calls
}
