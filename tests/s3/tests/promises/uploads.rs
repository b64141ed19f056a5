//! Multipart uploads come together as on S3.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use test_s3::{Options, Server};

use super::{client, refusal, refused};

const PART: usize = 5 << 20;

async fn begin(s3: &Client, key: &str) -> String {
    let upload = s3.create_multipart_upload().bucket("test").key(key).cache_control("immutable");
    upload.send().await.unwrap().upload_id.unwrap()
}

async fn part(s3: &Client, key: &str, id: &str, number: i32, bytes: Vec<u8>) -> CompletedPart {
    let part = s3.upload_part().bucket("test").key(key).upload_id(id).part_number(number);
    let part = part.body(ByteStream::from(bytes)).send().await.unwrap();
    CompletedPart::builder()
        .part_number(number)
        .set_e_tag(part.e_tag)
        .set_checksum_crc32(part.checksum_crc32)
        .build()
}

fn complete(
    s3: &Client,
    key: &str,
    id: &str,
    parts: Vec<CompletedPart>,
) -> aws_sdk_s3::operation::complete_multipart_upload::builders::CompleteMultipartUploadFluentBuilder {
    let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
    s3.complete_multipart_upload().bucket("test").key(key).upload_id(id).multipart_upload(parts)
}

#[tokio::test]
async fn the_parts_become_one_object() {
    let server = Server::start(Options::new());
    let s3 = client(&server);
    let id = begin(&s3, "big").await;
    // Out of order, and one twice: the later counts.
    let second = part(&s3, "big", &id, 2, vec![2; 10]).await;
    part(&s3, "big", &id, 1, vec![9; PART]).await;
    let first = part(&s3, "big", &id, 1, vec![1; PART]).await;
    assert!(first.checksum_crc32().is_some(), "the SDK sends a CRC32 by default");
    let parts = s3.list_parts().bucket("test").key("big").upload_id(&id).send().await.unwrap();
    let sizes: Vec<_> = parts.parts().iter().map(|part| (part.part_number(), part.size())).collect();
    assert_eq!(sizes, [(Some(1), Some(PART as i64)), (Some(2), Some(10))]);
    assert_eq!(server.keys(""), [""; 0], "nothing is there before the end");

    let done = complete(&s3, "big", &id, vec![first, second]).send().await.unwrap();
    let expected = [vec![1; PART], vec![2; 10]].concat();
    assert_eq!(server.get("big").unwrap(), expected);
    let metadata = server.metadata("big").unwrap();
    assert_eq!(done.e_tag(), Some(metadata.etag.as_str()));
    assert!(metadata.etag.ends_with("-2\""), "{}", metadata.etag);
    assert_eq!(metadata.cache_control.as_deref(), Some("immutable"));
    let head = s3.head_object().bucket("test").key("big").send().await.unwrap();
    assert_eq!(
        (head.cache_control(), head.content_length()),
        (Some("immutable"), Some(expected.len() as i64))
    );
    assert_eq!(s3.list_multipart_uploads().bucket("test").send().await.unwrap().uploads().len(), 0);
}

#[tokio::test]
async fn wrong_parts_are_refused_and_the_upload_stays() {
    let server = Server::start(Options::new());
    let s3 = client(&server);
    let id = begin(&s3, "big").await;
    let small = part(&s3, "big", &id, 1, vec![1; 10]).await;
    let last = part(&s3, "big", &id, 2, vec![2; 10]).await;
    let other = CompletedPart::builder().part_number(1).e_tag("\"00000000000000000000000000000000\"").build();
    for (parts, code) in [
        (vec![small.clone(), last.clone()], "EntityTooSmall"),
        (vec![last.clone(), small.clone()], "InvalidPartOrder"),
        (vec![other], "InvalidPart"),
        (vec![CompletedPart::builder().part_number(3).e_tag("x").build()], "InvalidPart"),
    ] {
        assert_eq!(refusal(complete(&s3, "big", &id, parts).send().await), refused(400, code));
    }
    assert_eq!(server.keys(""), [""; 0]);
    complete(&s3, "big", &id, vec![last]).send().await.unwrap();
    assert_eq!(server.get("big").unwrap(), [2; 10]);
}

#[tokio::test]
async fn an_aborted_upload_is_gone() {
    let server = Server::start(Options::new());
    let s3 = client(&server);
    let id = begin(&s3, "big").await;
    let only = part(&s3, "big", &id, 1, vec![1; 10]).await;
    assert_eq!(
        s3.list_multipart_uploads().bucket("test").send().await.unwrap().uploads()[0].key(),
        Some("big")
    );
    s3.abort_multipart_upload().bucket("test").key("big").upload_id(&id).send().await.unwrap();
    assert_eq!(refusal(complete(&s3, "big", &id, vec![only]).send().await), refused(404, "NoSuchUpload"));
    assert_eq!(s3.list_multipart_uploads().bucket("test").send().await.unwrap().uploads().len(), 0);
}

#[tokio::test]
async fn of_racing_completions_that_must_create_one_wins() {
    let server = Server::start(Options::new());
    let s3 = client(&server);
    let mut racers = Vec::new();
    for n in 0..16 {
        let id = begin(&s3, "raced").await;
        let only = part(&s3, "raced", &id, 1, vec![n; 10]).await;
        racers.push(complete(&s3, "raced", &id, vec![only]).if_none_match("*"));
    }
    let racers: Vec<_> = racers.into_iter().map(|racer| tokio::spawn(racer.send())).collect();
    let mut winners = 0;
    for racer in racers {
        match racer.await.unwrap() {
            Ok(_) => winners += 1,
            lost => assert_eq!(refusal(lost), refused(412, "PreconditionFailed")),
        }
    }
    assert_eq!(winners, 1);
    // The losers' uploads are theirs to abort.
    assert_eq!(s3.list_multipart_uploads().bucket("test").send().await.unwrap().uploads().len(), 15);
}
