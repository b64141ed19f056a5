//! The tests write, hash and start the subject by the hundred: it needs no symbols.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
    // On Apple systems stripping would break the ad-hoc signature that the linker makes; MSVC keeps symbols in a file of their own.
    if !is("CARGO_CFG_TARGET_VENDOR", "apple") && !is("CARGO_CFG_TARGET_ENV", "msvc") {
        println!("cargo:rustc-link-arg-bins=-Wl,--strip-all");
    }
}
