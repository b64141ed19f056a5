//! The target's name, for the release that the driver publishes.

fn main() {
    println!("cargo::rustc-env=CHECK_TARGET={}", std::env::var("TARGET").unwrap_or_default());
}
