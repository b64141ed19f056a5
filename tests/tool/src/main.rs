//! Any version of any product: what it is stands as one line of JSON appended to the executable, before the last newline.
//!
//! One build gives the tests as many real executables as they like, each with its own hash.

mod ends;
#[cfg(unix)]
mod unix;

use std::io::{Read, Seek, SeekFrom};
use std::process::ExitCode;
use std::time::Duration;

use relatch::source::{Https, Source, from_location_with_ca_file};
use relatch::{Policy, Startup};
use serde::Deserialize;

/// What the tests append.
#[derive(Deserialize)]
struct Config {
    product: String,
    version: String,
    channel: Option<String>,
    target: Option<String>,
    root: String,
    repository: String,
    /// Plain HTTP on loopback instead of `repository` as it is.
    #[serde(default)]
    plain: bool,
    ca_file: Option<String>,
    policy: Option<String>,
    interval: Option<u64>,
    /// In seconds, as `interval`.
    grace: Option<u64>,
    deadline_ms: Option<u64>,
    keep: Option<usize>,
    /// `crash` before the library is called, `silent` never answering, `wrong` version told;
    /// `signal N` from itself, `exit N`; `movable` if it can give itself another name;
    /// `by TEST_BROKEN`.
    broken: Option<String>,
    /// Made as soon as it is started, and nothing else is done.
    mark: Option<std::path::PathBuf>,
}

fn main() -> ExitCode {
    ends::around(tool)
}

#[allow(clippy::panic, reason = "a version that fails")]
fn tool() -> ExitCode {
    let Some(config) = own_config() else {
        eprintln!("test-tool: nothing is appended to this executable");
        return ExitCode::from(70);
    };
    if let Some(mark) = &config.mark {
        return if std::fs::write(mark, "").is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let broken = match config.broken.as_deref() {
        Some("by TEST_BROKEN") => std::env::var("TEST_BROKEN").ok(),
        broken => broken.map(str::to_owned),
    };
    match broken.as_deref() {
        Some("crash") => std::process::abort(),
        Some("silent") => std::thread::sleep(Duration::from_secs(3600)),
        Some("movable") => exit_if_movable(),
        Some(broken) => match broken.split_once(' ').map(|(how, number)| (how, number.parse::<i32>())) {
            Some(("exit", Ok(code))) => std::process::exit(code),
            Some(("signal", Ok(signal))) => kill_itself(signal),
            _ => {}
        },
        None => {}
    }
    // A test may want another policy of an executable, and be in a hurry with one that otherwise is not.
    let policy = std::env::var("TEST_POLICY").ok().or(config.policy);
    let told = if broken.as_deref() == Some("wrong") { "999.0.0" } else { &config.version };
    let mut startup = Startup::new(&config.product, told, config.root.as_bytes(), &config.repository)
        .target(config.target.as_deref().unwrap_or("test"))
        .policy(match policy.as_deref() {
            Some("notify") => Policy::Notify,
            Some("require") => Policy::Require,
            Some("off") => Policy::Off,
            _ => Policy::Auto,
        });
    if let Some(channel) = &config.channel {
        startup = startup.channel(channel);
    }
    if let Some(seconds) = config.interval {
        startup = startup.interval(Duration::from_secs(seconds));
    }
    if let Some(seconds) = config.grace {
        startup = startup.grace(Duration::from_secs(seconds));
    }
    if let Some(count) = config.keep {
        startup = startup.keep(count);
    }
    let hurry = std::env::var("TEST_DEADLINE_MS").ok().and_then(|text| text.parse().ok());
    if let Some(milliseconds) = hurry.or(config.deadline_ms) {
        startup = startup.deadline(Duration::from_millis(milliseconds));
    }
    let source: Option<relatch::Result<Box<dyn Source>>> = match (&config.ca_file, config.plain) {
        (Some(file), _) => Some(from_location_with_ca_file(&config.repository, file.as_ref())),
        (None, true) => Some(
            Https::plain_on_loopback(&config.repository).map(|source| Box::new(source) as Box<dyn Source>),
        ),
        (None, false) => None,
    };
    match source {
        Some(Ok(source)) => startup = startup.source(source),
        Some(Err(error)) => {
            eprintln!("test-tool: {error}");
            return ExitCode::from(70);
        }
        None => {}
    }
    let _running = startup.run();

    if std::env::args_os().nth(1).is_some_and(|first| first == "arguments") {
        // As they are, whether they are Unicode or not.
        for argument in std::env::args_os().skip(2) {
            println!("{argument:?}");
        }
        let [mark, restarted] = ["TEST_MARK", "RELATCH_RESTARTED"].map(std::env::var_os);
        println!("{} {} mark={mark:?} restarted={}", config.product, config.version, restarted.is_some());
        return ExitCode::SUCCESS;
    }
    // Its own name may be anything.
    let arguments = std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned());
    let arguments: Vec<String> = arguments.collect();
    match &arguments[..] {
        // How it was started.
        [first, ..] if first == "show" => {
            let name = std::env::args().next().unwrap_or_default();
            let mark = std::env::var("TEST_MARK").unwrap_or_default();
            println!("argv0={name} mark={mark}");
        }
        // What a variable is.
        [first, name] if first == "environment" => println!("{name}={:?}", std::env::var_os(name)),
        // Another program as its child.
        [first, program, rest @ ..] if first == "run" => {
            let status = std::process::Command::new(program).args(rest).status();
            if !status.is_ok_and(|status| status.success()) {
                return ExitCode::from(71);
            }
        }
        // How it ends.
        [first, code] if first == "exit" => {
            std::process::exit(code.parse::<i64>().map_or(70, |code| code as i32));
        }
        [first, how] if first == "end" => return ends::end(how),
        [first] if first == "abort" => std::process::abort(),
        // A fault of the version that runs.
        [first] if first == "panic" => panic!("this version fails"),
        [first, ..] if first == "caught" => drop(std::panic::catch_unwind(|| panic!("it is caught"))),
        [first] if first == "thread" => drop(std::thread::spawn(|| panic!("of a thread")).join()),
        [first] if first == "confirm" => relatch::confirm(),
        // Until nobody reads it.
        [first] if first == "talk" => loop {
            println!("a line");
        },
        #[cfg(unix)]
        [first, program, rest @ ..] if first == "become" => {
            use std::os::unix::process::CommandExt;
            let error = std::process::Command::new(program).args(rest).exec();
            eprintln!("test-tool: {error}");
            return ExitCode::from(71);
        }
        // Until the file that is named is there, for at most two minutes.
        [first, file] if first == "wait" => {
            println!("waiting");
            for _ in 0..12_000 {
                if std::path::Path::new(file).exists() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        _ => {}
    }
    println!("{} {} {}", config.product, config.version, arguments.join(" "));
    ExitCode::SUCCESS
}

/// With 3 if this file can be given another name while it runs, with 4 if it can be written to.
fn exit_if_movable() {
    let Ok(own) = std::env::current_exe() else { std::process::exit(5) };
    if std::fs::rename(&own, own.with_extension("moved")).is_ok() {
        std::process::exit(3);
    }
    if std::fs::OpenOptions::new().write(true).open(&own).is_ok() {
        std::process::exit(4);
    }
}

/// As the system does where no memory is left.
fn kill_itself(signal: i32) {
    // Twice: std's handler of SIGSEGV only removes itself.
    let kill = format!("kill -{signal} {0}; sleep 0.2; kill -{signal} {0}", std::process::id());
    drop(std::process::Command::new("sh").args(["-c", &kill]).status());
    std::thread::sleep(Duration::from_secs(60));
}

/// Between the two renames of a swap on Windows there is nothing at the path.
fn open(path: &std::path::Path) -> Option<std::fs::File> {
    for _ in 0..500 {
        match std::fs::File::open(path) {
            Err(error) if cfg!(windows) && error.kind() == std::io::ErrorKind::NotFound => {
                std::thread::sleep(Duration::from_millis(10));
            }
            opened => return opened.ok(),
        }
    }
    None
}

/// The last line of the file that was started. Of a large file only the end is read: a test measures this process.
fn own_config() -> Option<Config> {
    // On Linux this link leads to the file that was started, even after another process has swapped or removed its name.
    let this: std::path::PathBuf =
        if cfg!(target_os = "linux") { "/proc/self/exe".into() } else { std::env::current_exe().ok()? };
    // Through a loader that is the loader, and the name is that of the tool.
    config_of(&this).or_else(|| config_of(std::env::args_os().next()?.as_ref()))
}

fn config_of(path: &std::path::Path) -> Option<Config> {
    const MOST: u64 = 64 * 1024;
    let mut bytes = Vec::new();
    let mut file = open(path)?;
    let size = file.seek(SeekFrom::End(0)).ok()?;
    file.seek(SeekFrom::Start(size.saturating_sub(MOST))).ok()?;
    file.read_to_end(&mut bytes).ok()?;
    let start = bytes.iter().rposition(|byte| *byte == b'\n')?;
    serde_json::from_slice(bytes.get(start..)?).ok()
}
