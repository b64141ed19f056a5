//! Promise: what a directory can do, a bucket can.

use test_s3::Options;

use crate::bench::Bench;

#[test]
fn the_whole_story() {
    let bench = Bench::new(Options::new());
    for key in bench.server.keys("") {
        println!("{key}");
    }
    bench.server.clear_requests();
    println!("{}", bench.released("1.0.0"));
    for request in bench.server.requests() {
        println!("{} {} {} {:?}", request.method, request.key, request.query, request.status);
    }
    println!("{}", bench.ok(&["show"]));
    println!("{}", bench.ok(&["verify"]));
    println!("{}", bench.ok(&["refresh", "--key", "keys/timestamp.key"]));
}
