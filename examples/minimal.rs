//! The smallest tool that updates itself.
fn main() {
    let _running = relatch::Startup::new(
        "demo",
        env!("CARGO_PKG_VERSION"),
        include_bytes!("../examples/root.json"),
        "https://releases.example.com/demo",
    )
    .run(); // first in main, before arguments are parsed and threads are started
    println!("demo {}", env!("CARGO_PKG_VERSION"));
}
