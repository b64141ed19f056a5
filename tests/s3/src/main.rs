//! The test S3 server as a program, for stories that run in a shell.

fn main() {}
