//! Tells the library for which target it is built; only build scripts know.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-env=RELATCH_TARGET={}", std::env::var("TARGET").unwrap_or_default());
}
