//! Every operation of the document, with credentials of every kind.

use crate::access::{AccessFile, ORDER, bearer, get, get_with, post_with, send, wait_for_log};
use crate::http::post;
use crate::server::{Program, Server};

/// What stands in the header fields, and what it is answered with by an operation that takes a scope.
struct Kind {
    what: &'static str,
    fields: String,
    refusal: Option<(u16, &'static str)>,
    /// The scope that it has, if only one.
    scope: Option<&'static str>,
}

fn kinds(file: &AccessFile) -> Vec<Kind> {
    let all = "read,place,pay,fulfil,returns,cancel,refund,events,operate";
    // As many as come here, and none is told to come again.
    let good = file.add("good", all, "");
    let other = file.add("other", all, "");
    let expired = file.add("expired", all, "expires = 2020-01-01T00:00:00Z");
    let (begin, secret) = good.rsplit_once('_').unwrap();
    let (_, secret_of_other) = other.rsplit_once('_').unwrap();
    let refused = |what, fields| Kind { what, fields, refusal: Some((401, "unauthenticated")), scope: None };
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
    kinds.push(Kind { what: "good", fields: bearer(&good), refusal: None, scope: None });
    kinds
}

/// Sends each operation of the document with each kind of credentials, and tells which were not answered as they should.
fn breaches(server: &Server, kinds: &[Kind]) -> Vec<String> {
    let document = server.get("/openapi.json").json();
    let mut client = server.connect();
    let (mut held, mut breaches) = (0, Vec::new());
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let path = path.replace("{id}", "nowhere").replace("{return_id}", "none");
            let request = if method == "get" { get(&path) } else { post(&path, "{}") };
            let asked_for = &operation["x-scope"];
            for Kind { what, fields, refusal, scope } in kinds {
                let is_refused = !asked_for.is_null() && scope.is_none_or(|scope| asked_for != scope);
                let answer = send(&mut client, &request, fields).unwrap();
                let is_right = match refusal.filter(|_| is_refused) {
                    Some((status, code)) => {
                        let challenge = answer.header("www-authenticate").unwrap_or_default();
                        answer.status == status && answer.code() == code && challenge.starts_with("Bearer")
                    }
                    None => ![401, 403, 429].contains(&answer.status),
                };
                if !is_right {
                    breaches.push(format!("{method} {path}: {what}: {}", answer.status));
                }
                held += 1;
            }
        }
    }
    assert!(held >= 25 * kinds.len());
    breaches
}

/// Credentials of every kind, and a file that counts none of them.
fn file_and_kinds() -> (AccessFile, Vec<Kind>) {
    let file = AccessFile::new();
    let mut kinds = kinds(&file);
    let weak = file.add("weak", "operate", "");
    kinds.push(Kind {
        what: "too weak",
        fields: bearer(&weak),
        refusal: Some((403, "forbidden")),
        scope: Some("operate"),
    });
    file.replace(&format!("{}[strangers]\nrate = {{ per_second = 100000 }}\n", file.read()));
    (file, kinds)
}

#[test]
fn every_operation_is_refused_to_credentials_of_every_kind_but_good_ones() {
    let (file, kinds) = file_and_kinds();
    let server = file.start();
    assert_eq!(breaches(&server, &kinds), [""; 0]);
    server.stop();
}

#[test]
fn control_a_service_that_asks_nobody_and_one_that_takes_no_key_are_caught() {
    let (_, kinds) = file_and_kinds();
    let open = Program::serve().argument("--store", "memory:").start();
    // All operations but the two that are for everybody. One takes the scope of the key that is too weak for the others.
    let (for_all, bad) = (24, kinds.iter().filter(|kind| kind.refusal.is_some()).count());
    assert_eq!(breaches(&open, &kinds).len(), for_all * bad - 1);
    let of_others = AccessFile::new();
    of_others.add("somebody else", "read", "");
    of_others.replace(&format!("{}[strangers]\nrate = {{ per_second = 100000 }}\n", of_others.read()));
    let strict = of_others.start();
    let caught = breaches(&strict, &kinds);
    assert_eq!(caught.iter().filter(|breach| breach.contains(": good: 401")).count(), for_all);
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
