//! A server that ends between a commit and its answer: the client cannot know, and sends the same request with the same key.

use std::os::unix::process::ExitStatusExt;

use super::with_fault;
use crate::http::post_under;
use crate::server::Program;

const ORDER: &str = r#"{"customer_id":"c","items":[{"SKU":"s","Quantity":1,"UnitPriceCents":100}]}"#;

#[test]
fn a_retry_after_a_kill_between_commit_and_answer_gets_the_answer_that_was_lost() {
    let directory = tempfile::tempdir().unwrap();
    // The first that it sends to anybody is the answer.
    let mut server = with_fault("sendto,sendmsg,writev:signal=KILL:when=1", directory.path()).start();
    let mut client = server.connect();
    client.send(post_under("key-1", "/orders", ORDER).as_bytes()).unwrap();
    assert!(client.answer().is_err(), "it was answered");
    assert_eq!(server.wait().signal(), Some(9), "{}", server.log());

    let server = Program::serving(directory.path()).start();
    let mut answers = Vec::new();
    for _ in 0..2 {
        let mut client = server.connect();
        client.send(post_under("key-1", "/orders", ORDER).as_bytes()).unwrap();
        answers.push(client.answer().unwrap());
    }
    for answer in &answers {
        assert_eq!((answer.status, answer.version()), (201, Some(1)), "{}", answer.text());
        assert_eq!(answer.header("idempotent-replayed"), Some("true"));
        assert_eq!(answer.body, answers[0].body);
    }
    let orders = server.get("/orders").json();
    assert_eq!(orders.as_array().unwrap().len(), 1);
    assert_eq!(orders[0]["OrderID"], answers[0].json()["order_id"]);
    server.stop();
}
