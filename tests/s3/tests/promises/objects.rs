//! Objects are written, read, listed and removed as on S3.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumMode, Delete, ObjectIdentifier};
use test_s3::{Options, Server};

use super::{anonymous, client, get, put, refusal, refused};

#[tokio::test]
async fn what_was_put_is_got_with_its_headers() {
    let server = Server::start(Options::new());
    let s3 = client(&server);
    let put = s3.put_object().bucket("test").key("a/b c+ü").body(ByteStream::from_static(b"hello"));
    let put = put.cache_control("no-cache").content_type("text/plain").metadata("origin", "here");
    let put = put.send().await.unwrap();
    assert_eq!(put.e_tag(), Some("\"5d41402abc4b2a76b9719d911017c592\""));
    assert!(put.checksum_crc32().is_some(), "the SDK sends a CRC32 by default");

    assert_eq!(server.get("a/b c+ü").unwrap(), b"hello");
    let metadata = server.metadata("a/b c+ü").unwrap();
    assert_eq!(metadata.cache_control.as_deref(), Some("no-cache"));
    assert_eq!(metadata.user["origin"], "here");

    let get = s3.get_object().bucket("test").key("a/b c+ü").send().await.unwrap();
    assert_eq!(get.cache_control(), Some("no-cache"));
    assert_eq!(get.content_type(), Some("text/plain"));
    assert_eq!(get.metadata().unwrap()["origin"], "here");
    assert_eq!(get.e_tag(), put.e_tag());
    assert_eq!(get.checksum_crc32(), put.checksum_crc32());
    assert_eq!(get.body.collect().await.unwrap().to_vec(), b"hello");

    let head = s3.head_object().bucket("test").key("a/b c+ü").checksum_mode(ChecksumMode::Enabled);
    let head = head.send().await.unwrap();
    assert_eq!((head.content_length(), head.e_tag()), (Some(5), put.e_tag()));
    assert_eq!((head.cache_control(), head.content_type()), (Some("no-cache"), Some("text/plain")));
    assert_eq!(head.checksum_crc32(), put.checksum_crc32());
}

#[tokio::test]
async fn a_wrong_checksum_or_md5_is_refused_and_nothing_is_written() {
    let server = Server::start(Options::new());
    let s3 = client(&server);
    let put = || s3.put_object().bucket("test").key("a").body(ByteStream::from_static(b"hello"));
    assert_eq!(refusal(put().checksum_crc32("AAAAAA==").send().await), refused(400, "BadDigest"));
    assert_eq!(
        refusal(put().content_md5("AAAAAAAAAAAAAAAAAAAAAA==").send().await),
        refused(400, "BadDigest")
    );
    assert_eq!(server.keys(""), [""; 0]);
}

#[tokio::test]
async fn an_absent_key_or_bucket_is_not_found() {
    let server = Server::start(Options::new());
    let s3 = client(&server);
    assert_eq!(refusal(get(&s3, "a").await), refused(404, "NoSuchKey"));
    assert_eq!(refusal(s3.head_object().bucket("test").key("a").send().await), refused(404, "NotFound"));
    let elsewhere = s3.get_object().bucket("other").key("a").send().await;
    assert_eq!(refusal(elsewhere), refused(404, "NoSuchBucket"));
    assert_eq!(s3.head_bucket().bucket("test").send().await.unwrap().bucket_region(), Some("eu-test-1"));
    assert_eq!(refusal(s3.head_bucket().bucket("other").send().await), refused(404, "NotFound"));
}

#[tokio::test]
async fn ranges_are_of_the_bytes_asked_for() {
    let server = Server::start(Options::new());
    server.put("a", "0123456789");
    let s3 = client(&server);
    for (range, bytes, content_range) in [
        ("bytes=2-4", "234", "bytes 2-4/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=-2", "89", "bytes 8-9/10"),
        ("bytes=8-100", "89", "bytes 8-9/10"),
    ] {
        let part = s3.get_object().bucket("test").key("a").range(range).send().await.unwrap();
        assert_eq!(part.content_range(), Some(content_range));
        assert_eq!(part.body.collect().await.unwrap().to_vec(), bytes.as_bytes());
    }
    let behind = s3.get_object().bucket("test").key("a").range("bytes=10-").send().await;
    assert_eq!(refusal(behind), refused(416, "InvalidRange"));
    assert_eq!(server.requests()[0].status, Some(206));
}

#[tokio::test]
async fn a_list_has_every_key_once_however_many_pages_it_takes() {
    let server = Server::start(Options::new());
    let mut keys: Vec<String> = (0..2345).map(|n| format!("blobs/{n:05}")).collect();
    keys.push("VERSION".into());
    keys.sort();
    for key in &keys {
        server.put(key, "x");
    }
    let s3 = client(&server);
    let mut listed = Vec::new();
    let mut pages = s3.list_objects_v2().bucket("test").into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        assert!(page.contents().len() <= 1000);
        assert!(
            page.contents()
                .iter()
                .all(|object| object.e_tag() == Some("\"9dd4e461268c8034f5c8564e155c67a6\""))
        );
        listed.extend(page.contents().iter().map(|object| object.key().unwrap().to_owned()));
    }
    assert_eq!(listed, keys);
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_delimiter_folds_what_is_below_it_across_pages() {
    let server = Server::start(Options::new());
    for key in ["a", "b/1", "b/2", "c", "d/1", "d/e/2", "d0", "f"] {
        server.put(key, "x");
    }
    let s3 = client(&server);
    for size in 1..=9 {
        let (mut keys, mut prefixes) = (Vec::new(), Vec::new());
        let mut pages =
            s3.list_objects_v2().bucket("test").delimiter("/").max_keys(size).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.unwrap();
            assert!(page.key_count().unwrap() <= size);
            keys.extend(page.contents().iter().map(|object| object.key().unwrap().to_owned()));
            prefixes.extend(page.common_prefixes().iter().map(|prefix| prefix.prefix().unwrap().to_owned()));
        }
        assert_eq!(keys, ["a", "c", "d0", "f"], "pages of {size}");
        assert_eq!(prefixes, ["b/", "d/"], "pages of {size}");
    }
    let below = s3.list_objects_v2().bucket("test").prefix("d/").delimiter("/").send().await.unwrap();
    assert_eq!(below.contents()[0].key(), Some("d/1"));
    assert_eq!(below.common_prefixes()[0].prefix(), Some("d/e/"));
    let after = s3.list_objects_v2().bucket("test").start_after("d/1").send().await.unwrap();
    assert_eq!(after.contents()[0].key(), Some("d/e/2"));
}

#[tokio::test]
async fn what_is_deleted_is_gone_and_deleting_it_again_is_no_error() {
    let server = Server::start(Options::new());
    let s3 = client(&server);
    for key in ["a", "b", "c"] {
        put(&s3, key, "x").await.unwrap();
    }
    s3.delete_object().bucket("test").key("a").send().await.unwrap();
    s3.delete_object().bucket("test").key("a").send().await.unwrap();
    let object = |key: &str| ObjectIdentifier::builder().key(key).build().unwrap();
    let both = Delete::builder().objects(object("b")).objects(object("absent")).build().unwrap();
    let deleted = s3.delete_objects().bucket("test").delete(both).send().await.unwrap();
    assert_eq!(deleted.deleted().len(), 2);
    assert_eq!(server.keys(""), ["c"]);
    let statuses: Vec<_> = server.requests().iter().skip(3).map(|request| request.status).collect();
    assert_eq!(statuses, [Some(204), Some(204), Some(200)]);
}

#[tokio::test]
async fn the_log_tells_of_each_request_what_was_sent_and_answered() {
    let server = Server::start(Options::new().anonymous_read(true));
    let s3 = client(&server);
    put(&s3, "dir/key", vec![7; 100_000]).await.unwrap();
    get(&s3, "dir/key").await.unwrap();
    anonymous(&server, "GET", "/test/dir/key?x=1");
    let requests = server.requests();
    let summary: Vec<_> = requests
        .iter()
        .map(|r| (r.method.as_str(), r.bucket.as_str(), r.key.as_str(), r.status, r.signed, r.bytes_sent))
        .collect();
    assert_eq!(
        summary,
        [
            ("PUT", "test", "dir/key", Some(200), true, 0),
            ("GET", "test", "dir/key", Some(200), true, 100_000),
            ("GET", "test", "dir/key", Some(200), false, 100_000),
        ]
    );
    assert!(requests[0].bytes_received >= 100_000);
    assert_eq!(requests[0].access_key.as_deref(), Some("TESTACCESSKEY"));
    assert_eq!(requests[0].connection, requests[1].connection, "the SDK keeps its connection");
    assert_eq!((requests[2].query.as_str(), requests[2].access_key.as_deref()), ("x=1", None));
    assert_eq!(requests[2].header("connection"), Some("close"));
    server.clear_requests();
    assert_eq!(server.requests().len(), 0);
}
