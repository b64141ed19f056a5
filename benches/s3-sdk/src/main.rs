//! A start-up check from a private bucket, with the whole chain of credentials that AWS's SDK has.

fn main() {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let root = std::fs::read(variable("CHECK_ROOT")).unwrap_or_default();
    let repository = variable("CHECK_REPOSITORY");
    let source = match repository.parse().map(relatch::source::S3::with_sdk_chain) {
        Ok(source) => source,
        Err(error) => return eprintln!("{error}"),
    };
    relatch::Startup::new("check", "1.0.0", &root, &repository)
        .source(source)
        .interval(std::time::Duration::ZERO)
        .run();
    tell_memory();
}

include!("../../memory.rs");
