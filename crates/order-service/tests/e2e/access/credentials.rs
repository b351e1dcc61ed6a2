//! Every operation of the document, with credentials of every kind.

use serde_json::Value;

use crate::access::{AccessFile, ORDER, bearer, get, get_with, post_with, send, wait_for_log};
use crate::http::post;

/// What stands in the header fields, and what it is answered with by an operation that takes a scope.
struct Kind {
    what: &'static str,
    fields: String,
    refusal: Option<(u16, &'static str)>,
}

fn kinds(file: &AccessFile) -> Vec<Kind> {
    let all = "read,place,pay,fulfil,returns,cancel,refund,events,operate";
    // As many as come here, and none is told to come again.
    let good = file.add("good", all, "");
    let other = file.add("other", all, "");
    let expired = file.add("expired", all, "expires = 2020-01-01T00:00:00Z");
    let (begin, secret) = good.rsplit_once('_').unwrap();
    let (_, secret_of_other) = other.rsplit_once('_').unwrap();
    let refused = |what, fields| Kind { what, fields, refusal: Some((401, "unauthenticated")) };
    let mut kinds = vec![
        refused("none", String::new()),
        refused("no bearer", format!("authorization: {good}\r\n")),
        refused("basic", format!("authorization: Basic {good}\r\n")),
        refused("two", [bearer(&good), bearer(&good)].concat()),
        refused("empty", "authorization: Bearer \r\n".to_owned()),
        refused("truncated", bearer(&good[..good.len() - 1])),
        refused("longer", bearer(&format!("{good}0"))),
        refused("capitals", bearer(&good.to_uppercase())),
        refused("the id of another", bearer(&format!("{begin}_{secret_of_other}"))),
        refused("an id that is not there", bearer(&format!("ok_ffff_{secret}"))),
        refused("without its id", bearer(secret)),
        refused("its hash", bearer(file.read().split('"').find(|word| word.starts_with("sha256:")).unwrap())),
        refused("a token", bearer("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.")),
        refused("expired", bearer(&expired)),
    ];
    kinds.push(Kind { what: "good", fields: bearer(&good), refusal: None });
    kinds
}

#[test]
fn every_operation_is_refused_to_credentials_of_every_kind_but_good_ones() {
    let file = AccessFile::new();
    let mut kinds = kinds(&file);
    let weak = file.add("weak", "operate", "");
    kinds.push(Kind { what: "too weak", fields: bearer(&weak), refusal: Some((403, "forbidden")) });
    file.replace(&format!("{}[strangers]\nrate = {{ per_second = 100000 }}\n", file.read()));
    let server = file.start();
    let document = server.get("/openapi.json").json();
    let mut client = server.connect();
    let mut held = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let path = path.replace("{id}", "nowhere").replace("{return_id}", "none");
            let request = if method == "get" { get(&path) } else { post(&path, "{}") };
            let takes_scope = operation["security"][0]["bearer"] != Value::Null;
            for Kind { what, fields, refusal } in &kinds {
                let answer = send(&mut client, &request, fields).unwrap();
                let context = format!("{method} {path}: {what}: {}", answer.text());
                match refusal.filter(|_| takes_scope) {
                    Some((status, code)) => {
                        assert_eq!((answer.status, &*answer.code()), (status, code), "{context}");
                        assert!(
                            answer.header("www-authenticate").unwrap().starts_with("Bearer"),
                            "{context}"
                        );
                    }
                    None => assert!(![401, 403, 429].contains(&answer.status), "{context}"),
                }
                held += 1;
            }
        }
    }
    assert!(held >= 25 * kinds.len());
    server.stop();
}

/// Secrets of every key, shown in every way, at the most talkative log.
#[test]
fn no_key_ever_stands_in_the_output_or_in_an_answer() {
    let file = AccessFile::new();
    let good = file.add("good", "read,place,operate", "");
    let revoked = file.add("revoked", "read", "");
    let kept = file.read();
    let server = file.program().argument("--log", "trace").start();
    let mut answers = vec![
        post_with(&server, "/orders", &good, ORDER),
        post_with(&server, "/orders", &good, &ORDER.replace("\"c\"", "\"d\"")),
        post_with(&server, "/orders/ord-001/refund", &good, "{}"),
        get_with(&server, "/ready", &good),
        get_with(&server, "/orders", &good[..good.len() - 1]),
        send(&mut server.connect(), &get("/orders"), &format!("authorization: Basic {good}\r\n")).unwrap(),
    ];
    let without_last = kept.rfind("\n[[keys]]").unwrap();
    file.replace(&kept[..without_last]);
    wait_for_log(&server, "is in force");
    answers.push(get_with(&server, "/orders", &revoked));
    assert_eq!(answers.last().unwrap().status, 401);
    let said = format!("{answers:?}{}", server.log());
    for key in [&good, &revoked] {
        let secret = key.rsplit_once('_').unwrap().1;
        assert!(!said.contains(&secret[..16]), "{said}");
    }
    server.stop();
}
