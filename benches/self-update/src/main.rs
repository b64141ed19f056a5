//! The same question by self_update's S3 backend: is there a newer release? It lists the bucket, and trusts it.

fn main() {
    if let Err(error) = check() {
        eprintln!("{error}");
        std::process::exit(1);
    }
    tell_memory();
}

fn check() -> Result<(), Box<dyn std::error::Error>> {
    let key = (std::env::var("AWS_ACCESS_KEY_ID")?, std::env::var("AWS_SECRET_ACCESS_KEY")?);
    let newer = self_update::backends::s3::Update::configure()
        .endpoint(std::env::var("CHECK_ENDPOINT")?)
        .bucket_name(std::env::var("CHECK_BUCKET")?)
        .region(std::env::var("AWS_REGION")?)
        .access_key(key)
        .bin_name("check")
        .current_version("1.0.0")
        .build()?
        .is_update_available()?;
    if newer.is_some() { Err("there is none".into()) } else { Ok(()) }
}

include!("../../memory.rs");
