//! Conditions hold, or not, as the test asked.

use aws_sdk_s3::primitives::ByteStream;
use test_s3::{Conditions, Options, Server};

use super::{client, get, put, refusal, refused};

const RACERS: usize = 16;

/// How many of so many creates of the same key succeed.
async fn winners(conditions: Conditions) -> usize {
    let server = Server::start(Options::new().conditions(conditions));
    let s3 = client(&server);
    let racers: Vec<_> = (0..RACERS)
        .map(|n| {
            let body = ByteStream::from(vec![n as u8; 1000]);
            tokio::spawn(s3.put_object().bucket("test").key("raced").if_none_match("*").body(body).send())
        })
        .collect();
    let mut winners = Vec::new();
    for (n, racer) in racers.into_iter().enumerate() {
        match racer.await.unwrap() {
            Ok(_) => winners.push(vec![n as u8; 1000]),
            lost => assert_eq!(refusal(lost), refused(412, "PreconditionFailed")),
        }
    }
    assert!(winners.contains(&server.get("raced").unwrap()), "the object is a winner's");
    winners.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_racing_creates_exactly_one_wins() {
    for _ in 0..20 {
        assert_eq!(winners(Conditions::Atomic).await, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_conditions_are_ignored_all_win() {
    assert_eq!(winners(Conditions::Ignored).await, RACERS);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_conditions_are_racy_several_win_but_not_one_after_the_other() {
    // Two must come within a moment of each other, which they may miss where the machine is busy.
    let mut counts = Vec::new();
    while counts.len() < 10 && counts.iter().all(|count| *count == 1) {
        counts.push(winners(Conditions::Racy).await);
    }
    assert!(counts.iter().any(|count| *count > 1), "{counts:?}");
    let server = Server::start(Options::new().conditions(Conditions::Racy));
    let s3 = client(&server);
    let create =
        || s3.put_object().bucket("test").key("a").if_none_match("*").body(ByteStream::from_static(b"x"));
    create().send().await.unwrap();
    assert_eq!(refusal(create().send().await), refused(412, "PreconditionFailed"));
}

#[tokio::test]
async fn a_write_over_what_one_knows_fails_when_it_is_something_else() {
    let server = Server::start(Options::new());
    let s3 = client(&server);
    let first = put(&s3, "a", "1").await.unwrap().e_tag.unwrap();
    let over = |etag: &str, body: &'static [u8]| {
        s3.put_object().bucket("test").key("a").if_match(etag).body(ByteStream::from_static(body)).send()
    };
    over(&first, b"2").await.unwrap();
    assert_eq!(refusal(over(&first, b"3").await), refused(412, "PreconditionFailed"));
    assert_eq!(server.get("a").unwrap(), b"2");

    let delete = |etag: &str| s3.delete_object().bucket("test").key("a").if_match(etag).send();
    assert_eq!(refusal(delete(&first).await), refused(412, "PreconditionFailed"));
    delete(&server.metadata("a").unwrap().etag).await.unwrap();
    assert_eq!(refusal(over(&first, b"4").await), refused(404, "NoSuchKey"));
}

#[tokio::test]
async fn what_a_reader_has_already_is_not_sent_again() {
    let server = Server::start(Options::new());
    let s3 = client(&server);
    let put_cached = s3.put_object().bucket("test").key("VERSION").cache_control("no-cache");
    let put_cached = put_cached.body(ByteStream::from_static(b"1")).send().await.unwrap();
    let etag = put_cached.e_tag.unwrap();
    server.clear_requests();
    let conditional = |etag: &str| s3.get_object().bucket("test").key("VERSION").if_none_match(etag).send();
    let error = conditional(&etag).await.unwrap_err();
    let answer = error.raw_response().unwrap();
    assert_eq!(answer.status().as_u16(), 304);
    assert_eq!(answer.headers().get("etag"), Some(etag.as_str()));
    assert_eq!(answer.headers().get("cache-control"), Some("no-cache"));
    assert_eq!(answer.headers().get("content-type"), None);
    let head = s3.head_object().bucket("test").key("VERSION").if_none_match(&etag).send().await.unwrap_err();
    assert_eq!(head.raw_response().unwrap().status().as_u16(), 304);
    let requests = server.requests();
    assert_eq!(requests[0].header("if-none-match"), Some(etag.as_str()));
    assert_eq!((requests[0].status, requests[0].bytes_sent), (Some(304), 0));

    put(&s3, "VERSION", "2").await.unwrap();
    let newer = conditional(&etag).await.unwrap();
    assert_eq!(newer.body.collect().await.unwrap().to_vec(), b"2");
    let other = s3.get_object().bucket("test").key("VERSION").if_match(&etag).send().await;
    assert_eq!(refusal(other), refused(412, "PreconditionFailed"));
    assert_eq!(get(&s3, "VERSION").await.unwrap(), b"2");
}
