//! What operators are told of access.

use serde_json::json;

use crate::access::issuer::{Behaviour, KeyServer, Signer};
use crate::access::{AccessFile, get_with, wait_for_log};
use crate::server::{Program, wait_until};
use crate::start_up::{USAGE, assert_refused};

#[test]
fn a_metric_tells_while_the_file_is_bad() {
    let file = AccessFile::new();
    let key = file.add("operator", "operate", "");
    let good = file.read();
    let server = file.start();
    let is_told = |bad: u8| {
        let line = format!("order_access_file_bad {bad}");
        wait_until(&line, || {
            let metrics = get_with(&server, "/metrics", &key);
            metrics.text().lines().any(|said| said == line).then_some(())
        });
    };
    is_told(0);
    file.replace("[[keys]]\n");
    is_told(1);
    file.replace(&good);
    is_told(0);
    server.stop();
}

#[test]
fn what_is_secret_in_the_address_of_an_issuers_keys_is_not_told() {
    let issuer = KeyServer::start(Behaviour::Answers { status: "500 Oops", body: String::new() });
    let file = AccessFile::new();
    let entry = issuer.entry().replace("/keys", "/keys?api_key=canary");
    file.replace(&entry);
    let server = file.program().argument("--log", "trace").start();
    let token = Signer::curve().token(&json!({"kid": "c"}), &issuer.claims("read"));
    assert_eq!(get_with(&server, "/orders", &token).status, 401);
    wait_for_log(&server, "the keys of an issuer cannot be fetched");
    assert!(server.log().contains(&issuer.url()) && !server.log().contains("canary"), "{}", server.log());
    server.stop();
    file.replace(&entry.replace("://127", "://canary:canary@127"));
    let check = Program::new(["keys", "check"]).argument("--", file.path()).run();
    assert_refused(&check, USAGE, &["access.toml: line 5: jwks: must have no user name or password in it"]);
    assert!(!format!("{check:?}").contains("canary:canary"), "{check:?}");
}

#[test]
fn an_access_file_without_a_name_is_told_what_is_wrong_with_it() {
    let refused = Program::serve().argument("--store", "memory:").argument("--access", "").run();
    assert_refused(&refused, USAGE, &["--access: must not be empty"]);
}
