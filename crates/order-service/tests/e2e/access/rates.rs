//! How often somebody may ask.

use crate::access::{AccessFile, bearer, get, send};
use crate::http::Answer;
use crate::server::{Program, Server};

#[track_caller]
fn ask(server: &Server, fields: &str) -> Answer {
    send(&mut server.connect(), &get("/orders"), fields).unwrap()
}

/// How many of so many requests are not told that there were too many.
#[track_caller]
fn let_through(server: &Server, requests: usize, fields: &str) -> usize {
    (0..requests).filter(|_| ask(server, fields).status != 429).count()
}

#[test]
fn a_key_may_ask_as_often_as_its_entry_says_and_others_are_not_kept_from_asking() {
    let file = AccessFile::new();
    // Nothing comes back within the test.
    let slow = file.add("slow", "read", "rate = { per_second = 1, burst = 3 }");
    let free = file.add("free", "read", "");
    let server = file.start();
    let three: Vec<_> = (0..3).map(|_| ask(&server, &bearer(&slow)).status).collect();
    assert_eq!(three, [200; 3]);
    let refused = ask(&server, &bearer(&slow));
    assert_eq!((refused.status, &*refused.code()), (429, "too-many-requests"));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.header("ratelimit"), Some(r#""caller";r=0;t=1"#));
    assert_eq!(refused.header("ratelimit-policy"), Some(r#""caller";q=3;w=3"#));
    assert_eq!(let_through(&server, 20, &bearer(&free)), 20);
    server.stop();
}

fn with_few_strangers() -> (AccessFile, String) {
    let file = AccessFile::new();
    let key = file.add("key", "read", "");
    file.replace(&format!("{}[strangers]\nrate = {{ per_second = 1, burst = 4 }}\n", file.read()));
    (file, key)
}

fn behind_proxy(file: &AccessFile) -> Program {
    file.program().argument("--trusted-proxy", "127.0.0.0/8")
}

#[test]
fn an_address_that_shows_nothing_good_may_ask_a_few_times_and_good_keys_from_it_are_not_kept_out() {
    let (file, key) = with_few_strangers();
    let server = file.start();
    // Whoever is no trusted proxy does not say for whom it asks.
    let asked = (0..4).map(|hop| ask(&server, &format!("x-forwarded-for: 198.51.100.{hop}\r\n")).status);
    assert_eq!(asked.collect::<Vec<_>>(), [401; 4]);
    let refused = ask(&server, &bearer("ok_1_2"));
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("ratelimit-policy"), Some(r#""address";q=4;w=4"#));
    assert_eq!(ask(&server, &bearer(&key)).status, 200);
    assert_eq!(server.get("/health").status, 200);
    assert_eq!(server.get("/ready").status, 200);
    server.stop();
}

#[test]
fn behind_a_trusted_proxy_each_client_has_its_own_and_none_gets_another_by_what_it_says_of_itself() {
    let (file, _) = with_few_strangers();
    let server = behind_proxy(&file).start();
    // One a second comes back, and the machine may be busy.
    let few = 4..12;
    let through = let_through(&server, 30, "x-forwarded-for: 198.51.100.1\r\n");
    assert!(few.contains(&through), "{through}");
    let invented = |number| format!("x-forwarded-for: 10.9.9.{number}, 198.51.100.2\r\n");
    let through = (0..30).filter(|number| ask(&server, &invented(*number)).status != 429).count();
    assert!(few.contains(&through), "{through}");
    assert_eq!(ask(&server, "x-forwarded-for: 198.51.100.3\r\n").status, 401);
    server.stop();
}
