//! The tool as a library that another program loads: 1.0.0 of the tests' product, with the root and
//! the repository that the environment names.
#![allow(unsafe_code, reason = "dlsym(3) finds unmangled names only")]

use relatch::Startup;

/// What the main function of the tool does.
#[unsafe(no_mangle)]
pub extern "C" fn test_tool_main() {
    let text = |name| std::env::var(name).unwrap_or_default();
    let (root, repository) = (text("TEST_ROOT"), text("TEST_REPOSITORY"));
    let _running = Startup::new("widget", "1.0.0", root.as_bytes(), &repository).target("test").run();
    println!("widget 1.0.0 in a host");
}
