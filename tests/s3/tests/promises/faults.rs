//! What goes wrong goes wrong as the test asked, and for no other request.

use std::sync::mpsc;
use std::time::Duration;

use test_s3::{Fault, Options, Server, When};

use super::{LONG, anonymous, client, get, put, refusal, refused};

#[tokio::test]
async fn an_error_comes_as_often_as_asked_and_the_request_has_no_effect() {
    let server = Server::start(Options::new());
    let s3 = client(&server);
    server.fault(When::key("a").method("PUT").skip(1).times(2), Fault::SLOW_DOWN);
    put(&s3, "a", "1").await.unwrap();
    assert_eq!(refusal(put(&s3, "a", vec![2; 1 << 20]).await), refused(503, "SlowDown"));
    assert_eq!(get(&s3, "a").await.unwrap(), b"1");
    assert_eq!(refusal(put(&s3, "a", "3").await), refused(503, "SlowDown"));
    put(&s3, "a", "4").await.unwrap();
    assert_eq!(server.get("a").unwrap(), b"4");

    server.fault(When::prefix("blobs/"), Fault::INTERNAL_ERROR);
    assert_eq!(refusal(get(&s3, "blobs/x").await), refused(500, "InternalError"));
    server.clear_faults();
    assert_eq!(refusal(get(&s3, "blobs/x").await), refused(404, "NoSuchKey"));
}

#[tokio::test]
async fn an_answer_is_lost_before_or_after_the_effect() {
    let server = Server::start(Options::new());
    let s3 = client(&server);
    server.fault(When::key("a").times(1), Fault::Close);
    let error = put(&s3, "a", "1").await.unwrap_err();
    assert!(error.raw_response().is_none(), "{error:?}");
    assert_eq!(server.get("a"), None);
    assert_eq!(server.requests()[0].status, None);

    server.fault(When::key("a").times(1), Fault::CloseAfterEffect);
    let error = put(&s3, "a", "2").await.unwrap_err();
    assert!(error.raw_response().is_none(), "{error:?}");
    assert_eq!(server.get("a").unwrap(), b"2");

    server.fault(When::key("a").times(1), Fault::ErrorAfterEffect(500, "InternalError"));
    assert_eq!(refusal(put(&s3, "a", "3").await), refused(500, "InternalError"));
    assert_eq!(server.get("a").unwrap(), b"3");
}

#[test]
fn a_body_ends_where_the_test_asked() {
    let server = Server::start(Options::new().anonymous_read(true));
    server.put("a", vec![b'x'; 1_000_000]);
    for bytes in [0, 1, 70_000, 999_999] {
        server.fault(When::key("a").times(1), Fault::CloseAfter(bytes));
        let answer = anonymous(&server, "GET", "/test/a");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("content-length: 1000000"), "{head}");
        assert_eq!(body.len() as u64, bytes);
        assert_eq!(server.requests().last().unwrap().bytes_sent, bytes);
    }
    let (_, body) =
        anonymous(&server, "GET", "/test/a").split_once("\r\n\r\n").map(|(h, b)| (h.len(), b.len())).unwrap();
    assert_eq!(body, 1_000_000);
}

#[tokio::test]
async fn a_stall_lasts_until_the_client_gives_up() {
    let server = Server::start(Options::new());
    server.put("a", vec![b'x'; 100_000]);
    let s3 = client(&server);
    server.fault(When::key("a").times(1), Fault::Stall);
    let stalled = tokio::time::timeout(Duration::from_millis(300), get(&s3, "a")).await;
    assert!(stalled.is_err(), "there was an answer");
    server.fault(When::key("a").times(1), Fault::StallAfter(50_000));
    let mut answer = s3.get_object().bucket("test").key("a").send().await.unwrap();
    let mut received = 0;
    while received < 50_000 {
        let piece = tokio::time::timeout(LONG, answer.body.next()).await.unwrap();
        received += piece.unwrap().unwrap().len();
    }
    assert_eq!(received, 50_000);
    let more = tokio::time::timeout(Duration::from_millis(300), answer.body.next()).await;
    assert!(more.is_err(), "it went on, or ended: {more:?}");
    assert_eq!(get(&s3, "a").await.unwrap().len(), 100_000);
}

#[test]
fn any_answer_can_be_given() {
    let server = Server::start(Options::new().anonymous_read(true));
    server.fault(When::any().times(1), Fault::redirect(307, "http://elsewhere.example/x"));
    let answer = anonymous(&server, "GET", "/test/a");
    assert!(answer.starts_with("HTTP/1.1 307 "), "{answer}");
    assert!(answer.contains("location: http://elsewhere.example/x\r\n"), "{answer}");
    server.fault(When::any(), Fault::Answer(200, vec![("etag", "\"x\"".into())], b"other".to_vec()));
    assert!(anonymous(&server, "GET", "/test/a").ends_with("\r\n\r\nother"));
}

#[test]
fn a_request_is_held_between_two_steps_until_the_test_lets_it_go() {
    let server = Server::start(Options::new().anonymous_read(true));
    server.put("a", "before");
    let hold = server.hold(When::key("a").method("GET").skip(1));
    assert!(anonymous(&server, "GET", "/test/a").ends_with("before"));
    let address = server.address();
    std::thread::scope(|scope| {
        let held = scope.spawn(|| anonymous(&server, "GET", "/test/a"));
        assert!(hold.reached(1, LONG), "no request came to {address}");
        assert!(!hold.reached(2, Duration::ZERO));
        server.put("a", "meanwhile");
        hold.release();
        assert!(held.join().unwrap().ends_with("meanwhile"));
    });
    assert!(anonymous(&server, "GET", "/test/a").ends_with("meanwhile"));
}

#[test]
fn a_test_can_act_just_before_a_request_is_served() {
    let server = Server::start(Options::new().anonymous_read(true));
    server.put("a", "before");
    let objects = server.objects();
    let (sender, receiver) = mpsc::channel();
    server.run(When::key("a").times(1), move |request| {
        objects.put("a", "swapped");
        sender.send(request.method.clone()).unwrap();
    });
    assert!(anonymous(&server, "GET", "/test/a").ends_with("swapped"));
    assert_eq!(receiver.try_recv().unwrap(), "GET");
    server.put("a", "after");
    assert!(anonymous(&server, "GET", "/test/a").ends_with("after"), "once is once");
}
