//! Secrets: keys and tokens, a certificate's private key, and passwords of stores and brokers.

use std::fs;
use std::path::Path;

use serde_json::json;
use test_servers::Authority;

use super::{Said, leaks, recorded, talkative, told_to_operators, tracing_to};
use crate::access::issuer::{Behaviour, KeyServer, Signer};
use crate::access::{AccessFile, ORDER, get_with, post_with, wait_for_log};
use crate::server::{Program, wait_until};
use crate::traces::collector::{Collecting, Collector};

/// What every password begins with.
const CANARY: &str = "canary-";

/// What of a key nobody may read, also in part.
fn secret_of(key: &str) -> String {
    key.rsplit_once('_').unwrap().1[..16].to_owned()
}

/// The same of a token: what it claims, and its signature.
fn secrets_of(token: &str) -> Vec<String> {
    token.split('.').skip(1).map(|part| part[..part.len().min(32)].to_owned()).collect()
}

/// Pieces of a private key in PEM.
fn pieces(key: &Path) -> Vec<String> {
    let text = fs::read_to_string(key).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('-') && line.len() > 40);
    let pieces: Vec<_> = lines.map(|line| line[16..40].to_owned()).collect();
    assert!(!pieces.is_empty());
    pieces
}

/// Brokers that nobody answers for, each with its password, its token or its file.
fn brokers(directory: &Path) -> String {
    let file = |name: &str| {
        let path = directory.join(name);
        fs::write(&path, format!("canary-{name}\n")).unwrap();
        path.display().to_string()
    };
    [
        "nats://user:canary-nats@127.0.0.1:1".to_owned(),
        "nats://canary-token@127.0.0.1:1?name=token".to_owned(),
        format!("nats://127.0.0.1:1?name=creds&creds={}", file("creds")),
        format!("nats://127.0.0.1:1?name=nkey&nkey={}", file("nkey")),
        "kafka://user:canary-kafka@127.0.0.1:1?mechanism=SCRAM-SHA-256".to_owned(),
        "kafka://user:canary-plain@127.0.0.1:1?name=plain&topic=plain".to_owned(),
    ]
    .join(" ")
}

/// All that a service with keys, an issuer and brokers says, and the canaries that were in it.
fn keys_tokens_and_brokers(change: impl FnOnce(Program) -> Program) -> (Vec<Said>, Vec<String>) {
    let signer = Signer::curve();
    let issuer = KeyServer::start(Behaviour::publishes(&[signer.jwk("c")]));
    let file = AccessFile::new();
    let key = file.add("good", "read,place,operate", "");
    let weak = file.add("weak", "read", "");
    file.replace(&format!("{}{}", file.read(), issuer.entry()));
    let token = signer.token(&json!({"kid": "c"}), &issuer.claims("read"));
    let forged = Signer::curve().token(&json!({"kid": "c"}), &issuer.claims("read operate"));
    let directory = tempfile::tempdir().unwrap();
    let program = file.program().variable("ORDER_SERVICE_BUS", brokers(directory.path()));
    let collector = Collector::start(Collecting::Well);
    let server = change(tracing_to(&collector, talkative(program))).start();
    let answers = [
        post_with(&server, "/orders", &key, ORDER),
        post_with(&server, "/orders", &weak, ORDER),
        get_with(&server, "/orders", &key[..key.len() - 1]),
        get_with(&server, "/orders", &token),
        get_with(&server, "/orders", &forged),
        get_with(&server, "/ready", &token),
    ];
    assert_eq!(answers.each_ref().map(|answer| answer.status), [201, 403, 401, 200, 401, 200]);
    let relays_told = || {
        let ready = get_with(&server, "/ready", &key).json();
        let relays = ready["checks"]["relays"].as_object()?;
        let have_tried = relays.values().all(|relay| relay["state"] != "connecting");
        (relays.len() == 6 && have_tried).then_some(())
    };
    wait_until("all relays have tried", relays_told);
    // A file that is bad, for the key itself stands in it.
    file.replace(&format!("{}\n[[keys]]\nid = '1'\nname = 'x'\nhash = '{key}'\n", file.read()));
    wait_for_log(&server, "the access file is bad");
    let mut said: Vec<_> = answers.iter().map(|answer| Said::answer("an answer", answer)).collect();
    said.extend(told_to_operators(&server, Some(&key)));
    said.push(Said::new("the output", server.log()));
    let checked = Program::new(["keys", "check"]).argument("--", file.path()).run();
    said.push(Said::new("keys check", format!("{checked:?}")));
    for command in ["status", "tail"] {
        let url = "http://127.0.0.1:1";
        let ended = Program::new([command, "--url", url]).variable("ORDER_SERVICE_KEY", &key).run();
        said.push(Said::new(command, format!("{ended:?}")));
    }
    server.stop();
    said.push(recorded(&collector));
    let canaries = [&key, &weak].map(|key| secret_of(key)).into_iter().chain([CANARY.to_owned()]);
    (said, canaries.chain([token, forged].iter().flat_map(|token| secrets_of(token))).collect())
}

#[test]
fn no_key_token_or_password_of_a_broker_stands_in_anything_that_is_said() {
    let (said, canaries) = keys_tokens_and_brokers(|program| program);
    assert_eq!(leaks(&said, &canaries), [""; 0]);
}

#[cfg(feature = "full-tests")]
#[test]
fn control_a_server_that_tells_what_credentials_it_is_shown_is_caught() {
    let told = |program: Program| program.variable("ORDER_SERVICE_PLANTED_FAULT", "requests-are-told");
    let (said, canaries) = keys_tokens_and_brokers(told);
    assert!(leaks(&said, &canaries).iter().any(|line| line.contains("Bearer ok_")), "a key is not noticed");
}

#[test]
fn no_password_of_a_store_and_nothing_of_a_private_key_stands_in_anything_that_is_said() {
    let authority = Authority::new("e2e").unwrap();
    for (store, password) in [
        ("postgres://orders:canary-url@127.0.0.1:1/orders", ""),
        ("postgres://127.0.0.1:1/orders?user=orders&password=canary-parameter", ""),
        ("postgres://orders@127.0.0.1:1/orders", "canary-pgpassword"),
    ] {
        let files = authority.certificate("localhost").unwrap();
        let program = Program::serve()
            .argument("--tls-cert", &files.certificate)
            .argument("--tls-key", &files.key)
            .variable("ORDER_SERVICE_STORE", store)
            .variable("PGPASSWORD", password);
        let server = talkative(program).spawn();
        wait_for_log(&server, "the database is away");
        let mut canaries = pieces(&files.key);
        let key = fs::read_to_string(&files.key).unwrap();
        fs::write(&files.key, &key[..key.len() / 2]).unwrap();
        wait_for_log(&server, "the new certificate cannot be used");
        let mut said = told_to_operators(&server, None);
        said.push(Said::new("the output", server.log()));
        drop(server);
        for command in ["verify", "migrate"] {
            let ended = Program::new([command]).variable("ORDER_SERVICE_STORE", store);
            said.push(Said::new(command, format!("{:?}", ended.variable("PGPASSWORD", password).run())));
        }
        canaries.push(CANARY.to_owned());
        assert_eq!(leaks(&said, &canaries), [""; 0], "{store}");
    }
}
