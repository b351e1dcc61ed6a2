//! Tokens of issuers that the file names.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::access::issuer::{Behaviour, KeyServer, Signer, base64, now};
use crate::access::{AccessFile, ORDER, bearer, get, get_with, post_with, send, wait_for_log};
use crate::server::Server;

/// A service that trusts an issuer with a key of each kind.
struct Trusting {
    rsa: Signer,
    curve: Signer,
    issuer: KeyServer,
    file: AccessFile,
    server: Server,
}

impl Trusting {
    fn start() -> Self {
        let (rsa, curve) = (Signer::rsa(), Signer::curve());
        let mut for_others = Signer::curve().jwk("enc");
        for_others["use"] = "enc".into();
        let keys = [rsa.jwk("r"), curve.jwk("c"), for_others, Signer::Hmac(b"secret".to_vec()).jwk("h")];
        let issuer = KeyServer::start(Behaviour::publishes(&keys));
        let file = AccessFile::new();
        file.replace(&format!("{}[strangers]\nrate = {{ per_second = 100000 }}\n", issuer.entry()));
        let server = file.program().argument("--log", "trace").start();
        Self { rsa, curve, issuer, file, server }
    }

    fn token(&self, claims: &Value) -> String {
        self.curve.token(&json!({"kid": "c", "typ": "JWT"}), claims)
    }

    #[track_caller]
    fn refuses(&self, what: &str, token: &str, why: &str) {
        let answer = get_with(&self.server, "/orders", token);
        assert_eq!((answer.status, &*answer.code()), (401, "unauthenticated"), "{what}");
        assert_eq!(answer.json()["detail"], why, "{what}");
        assert_eq!(answer.header("www-authenticate"), Some(r#"Bearer error="invalid_token""#), "{what}");
    }
}

#[test]
fn a_token_of_a_trusted_issuer_opens_its_scopes_and_its_subject_stands_in_events() {
    let t = Trusting::start();
    let claims = t.issuer.claims("openid place events");
    let token = t.rsa.token(&json!({"kid": "r"}), &claims);
    assert_eq!(post_with(&t.server, "/orders", &token, ORDER).status, 201);
    assert_eq!(get_with(&t.server, "/events", &token).json()[0]["actor"], "alice");
    let forbidden = get_with(&t.server, "/orders", &token);
    assert_eq!(forbidden.code(), "forbidden");
    assert_eq!(forbidden.json()["detail"], "The token of alice has no scope read.");
    let mut listed = claims.clone();
    listed["scope"] = json!(["read", 7, "write"]);
    assert_eq!(get_with(&t.server, "/orders", &t.token(&listed)).status, 200);
    t.server.stop();
}

#[test]
fn a_token_is_refused_whatever_is_wrong_with_it() {
    let t = Trusting::start();
    let good = t.issuer.claims("read");
    let with = |claim: &str, value: Value| {
        let mut claims = good.clone();
        claims[claim] = value;
        claims
    };
    let without = |claim: &str| {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().remove(claim);
        claims
    };
    let kid = |id: &str| json!({"kid": id});
    let algorithm = "The token is signed by an algorithm that is not taken from this issuer.";
    let unknown_key = "The token is signed with a key that its issuer does not have.";
    let signature = "The token's signature is not its issuer's.";
    let no_token = "This is neither a key nor a token.";
    let untrusted = "The token is of an issuer that is not trusted here.";
    let lacking = "The token lacks one of the claims exp, iss, aud and sub.";

    t.refuses(
        "HS256 by a key that is public",
        &Signer::Hmac(b"secret".to_vec()).token(&kid("h"), &good),
        algorithm,
    );
    let modulus = t.rsa.jwk("r")["n"].as_str().unwrap().as_bytes().to_vec();
    t.refuses("HS256 by the RSA key", &Signer::Hmac(modulus).token(&kid("r"), &good), algorithm);
    t.refuses("none", &Signer::None.token(&kid("c"), &good), no_token);
    t.refuses("RS256 by the other key", &t.rsa.token(&kid("c"), &good), unknown_key);
    t.refuses("an unknown key", &t.curve.token(&kid("x"), &good), unknown_key);
    t.refuses("no key", &t.curve.token(&json!({}), &good), unknown_key);
    t.refuses("a key to encrypt", &Signer::curve().token(&kid("enc"), &good), unknown_key);
    t.refuses("another's key", &Signer::curve().token(&kid("c"), &good), signature);
    let stranger = Signer::curve();
    t.refuses(
        "a key that it brings along",
        &stranger.token(&json!({"kid": "c", "jwk": stranger.jwk("c")}), &good),
        signature,
    );
    t.refuses(
        "critical",
        &t.curve.token(&json!({"kid": "c", "crit": ["b64"]}), &good),
        "The token has critical extensions.",
    );

    t.refuses("another issuer", &t.token(&with("iss", json!("https://evil.example.com"))), untrusted);
    t.refuses("no issuer", &t.token(&without("iss")), no_token);
    t.refuses(
        "another audience",
        &t.token(&with("aud", json!(["stock"]))),
        "The token is meant for another service.",
    );
    t.refuses("no audience", &t.token(&without("aud")), lacking);
    t.refuses("expired", &t.token(&with("exp", json!(now() - 61))), "The token has expired.");
    t.refuses("not yet", &t.token(&with("nbf", json!(now() + 75))), "The token does not hold yet.");
    t.refuses("no end", &t.token(&without("exp")), lacking);
    t.refuses("no subject", &t.token(&without("sub")), lacking);
    let wrong = "One of the token's claims is not what it must be.";
    t.refuses("an end that is no number", &t.token(&with("exp", json!("tomorrow"))), wrong);
    t.refuses("a subject that is no text", &t.token(&with("sub", json!(7))), wrong);
    for (subject, why) in [
        ("", "The token's subject is empty."),
        (&"s".repeat(256), "The token's subject has more than 255 characters."),
        ("a\nb", "The token's subject has control characters in it."),
        ("\u{200b}", "The token's subject has nothing visible in it."),
    ] {
        t.refuses(subject, &t.token(&with("sub", json!(subject))), why);
    }

    let token = t.token(&good);
    let (message, own_signature) = token.rsplit_once('.').unwrap();
    let (header, _) = message.split_once('.').unwrap();
    let more = base64(with("scope", json!("read refund operate")).to_string());
    t.refuses("more scopes", &format!("{header}.{more}.{own_signature}"), signature);
    // How its last bits fall decides whether what is left of it is still base64.
    assert_eq!(get_with(&t.server, "/orders", &token[..token.len() - 4]).status, 401);
    t.refuses("without signature", &format!("{message}."), signature);
    t.refuses("two parts", message, no_token);
    assert_eq!(get_with(&t.server, "/orders", &token).status, 200, "nothing was wrong with that one");
    t.server.stop();
}

#[test]
fn clocks_may_be_a_minute_apart() {
    let t = Trusting::start();
    for (claim, time) in [("exp", now() - 30), ("nbf", now() + 30), ("exp", i64::MAX)] {
        let mut claims = t.issuer.claims("read");
        claims[claim] = json!(time);
        assert_eq!(get_with(&t.server, "/orders", &t.token(&claims)).status, 200, "{claim}");
    }
    t.server.stop();
}

#[test]
fn a_token_that_was_verified_is_remembered_and_forgotten_with_its_issuer() {
    let t = Trusting::start();
    let token = t.token(&t.issuer.claims("read events"));
    assert_eq!(get_with(&t.server, "/orders", &token).status, 200);
    t.issuer.now(Behaviour::Answers { status: "500 Internal Server Error", body: String::new() });
    assert_eq!(get_with(&t.server, "/orders", &token).status, 200);
    assert_eq!(t.issuer.asked(), 1);
    let mut feed = t.server.connect();
    let fields = format!("accept: text/event-stream\r\n{}", bearer(&token));
    feed.send(get("/events").replacen("\r\n", &format!("\r\n{fields}"), 1).as_bytes()).unwrap();
    assert_eq!(feed.head().unwrap().0, 200);
    let key = t.file.read();
    // Other rules, the same issuer: its keys are still known, though it is away.
    let other = t.file.add("other", "read", "");
    wait_for_log(&t.server, "is in force");
    assert_eq!(get_with(&t.server, "/orders", &t.token(&t.issuer.claims("read"))).status, 200);
    assert_eq!(get_with(&t.server, "/orders", &other).status, 200);
    t.file.replace(t.file.read().strip_prefix(&key).unwrap());
    assert!((0..4).any(|_| feed.chunk().unwrap().is_none()), "the feed goes on");
    assert_eq!(get_with(&t.server, "/orders", &token).status, 401);
    t.server.stop();
}

#[test]
fn a_flood_of_unknown_keys_asks_the_issuer_once() {
    let t = Trusting::start();
    let claims = t.issuer.claims("read");
    let mut client = t.server.connect();
    for number in 0..200 {
        let token = t.curve.token(&json!({"kid": format!("unknown-{number}")}), &claims);
        assert_eq!(send(&mut client, &get("/orders"), &bearer(&token)).unwrap().status, 401);
    }
    assert!(t.issuer.asked() <= 2, "{}", t.issuer.asked());
    t.server.stop();
}

#[test]
fn an_issuer_that_hangs_lies_or_floods_lets_nobody_in_and_holds_nobody_up() {
    for (behaviour, told) in [
        (Behaviour::Hangs, "no answer within 3 s"),
        (Behaviour::Floods, "length limit exceeded"),
        (Behaviour::publishes(&[]), "there is no key in it that could be used"),
        (Behaviour::Answers { status: "302 Found", body: String::new() }, "the answer is 302"),
        (Behaviour::Answers { status: "200 OK", body: "<html>".to_owned() }, "it is no set of keys"),
    ] {
        let issuer = KeyServer::start(behaviour);
        let file = AccessFile::new();
        let key = file.add("key", "read", "");
        file.replace(&format!("{}{}", file.read(), issuer.entry()));
        let server = file.start();
        let token = Signer::curve().token(&json!({"kid": "c"}), &issuer.claims("read"));
        let mut waiting = server.connect();
        waiting
            .send(get("/orders").replacen("\r\n", &format!("\r\n{}", bearer(&token)), 1).as_bytes())
            .unwrap();
        let begun = Instant::now();
        assert_eq!(get_with(&server, "/orders", &key).status, 200);
        assert!(begun.elapsed() < Duration::from_secs(2), "{told}: {:?}", begun.elapsed());
        assert_eq!(waiting.answer().unwrap().status, 401, "{told}");
        wait_for_log(&server, told);
        server.stop();
    }
}

#[test]
fn keys_of_an_issuer_may_stand_in_a_file() {
    let signer = Signer::curve();
    let issuer = KeyServer::start(Behaviour::Hangs);
    let file = AccessFile::new();
    std::fs::write(file.path().with_file_name("keys.json"), json!({"keys": [signer.jwk("c")]}).to_string())
        .unwrap();
    file.replace(&issuer.entry().replace(&issuer.url(), "keys.json"));
    let server = file.start();
    // The only key needs no name.
    let token = signer.token(&json!({}), &issuer.claims("read"));
    assert_eq!(get_with(&server, "/orders", &token).status, 200);
    assert_eq!(issuer.asked(), 0);
    server.stop();
}

#[test]
fn each_subject_may_ask_as_often_as_its_issuer_says() {
    let signer = Signer::curve();
    let issuer = KeyServer::start(Behaviour::publishes(&[signer.jwk("c")]));
    let file = AccessFile::new();
    file.replace(&format!("{}rate = {{ per_second = 1, burst = 2 }}\n", issuer.entry()));
    let server = file.start();
    let token = |subject: &str, number: i64| {
        let mut claims = issuer.claims("read");
        (claims["sub"], claims["iat"]) = (json!(subject), json!(number));
        signer.token(&json!({"kid": "c"}), &claims)
    };
    // Another token of the same subject has no allowance of its own.
    let asked: Vec<_> =
        (0..12).map(|number| get_with(&server, "/orders", &token("alice", number)).status).collect();
    assert_eq!(asked[..2], [200; 2]);
    assert!(asked.contains(&429), "{asked:?}");
    assert_eq!(get_with(&server, "/orders", &token("bob", 0)).status, 200);
    server.stop();
}

#[test]
fn no_token_ever_stands_in_the_output_or_in_an_answer() {
    let t = Trusting::start();
    let good = t.token(&t.issuer.claims("read place operate"));
    let bad = Signer::curve().token(&json!({"kid": "c"}), &t.issuer.claims("read"));
    let answers = [
        get_with(&t.server, "/orders", &good),
        get_with(&t.server, "/ready", &good),
        post_with(&t.server, "/orders/o/refund", &good, "{}"),
        get_with(&t.server, "/orders", &bad),
        get_with(&t.server, "/orders", &good[..good.len() - 2]),
    ];
    let said = format!("{answers:?}{}", t.server.log());
    for token in [&good, &bad] {
        for part in token.split('.').skip(1) {
            assert!(!said.contains(&part[..part.len().min(32)]), "{said}");
        }
    }
    t.server.stop();
}
