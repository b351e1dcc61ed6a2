//! `keys create` and `keys check`.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::access::{AccessFile, ORDER, get_with, post_with};
use crate::server::{Program, wait_until};
use crate::start_up::{FAILURE, USAGE, assert_refused};

#[test]
fn a_key_that_was_made_opens_its_scopes_and_names_its_bearer_in_events() {
    let file = AccessFile::new();
    let checkout = file.add("checkout", "place,read", "");
    let reader = file.add("the \"reader\"", "events", "");
    let server = file.start();
    assert_eq!(post_with(&server, "/orders", &checkout, ORDER).status, 201);
    assert_eq!(get_with(&server, "/orders/ord-001", &checkout).status, 200);
    assert_eq!(post_with(&server, "/orders/ord-001/hold", &checkout, "").code(), "forbidden");
    let events = get_with(&server, "/events", &reader).json();
    assert_eq!(events[0]["actor"], "checkout");
    assert_eq!(get_with(&server, "/orders", &reader).code(), "forbidden");
    server.stop();
}

#[test]
fn a_good_file_is_said_to_be_good_and_a_bad_one_is_told_line_by_line() {
    let file = AccessFile::new();
    file.add("checkout", "place", "");
    let check = || Program::new(["keys", "check"]).argument("--", file.path()).run();
    let good = check();
    assert_eq!((good.status, &good.stderr[..]), (Some(0), &[][..]), "{good:?}");
    assert!(good.stdout[0].ends_with("access.toml: good, 1 key, 0 issuers"), "{good:?}");
    let whole = file.read();
    let old = file.add("old", "place", "expires = 2020-01-01T00:00:00Z");
    let id = old.split('_').nth(1).unwrap();
    let told = format!("access.toml: good, 2 keys, 0 issuers; expired: {id}");
    assert!(check().stdout[0].ends_with(&told), "{:?}", check());
    file.replace(&whole);
    fs::write(file.path(), file.read().replace("name", "nmae").replace("place", "plaec")).unwrap();
    let faults = [
        "access.toml: line 2: name is missing",
        "access.toml: line 4: nmae: there is no such entry; did you mean name?",
        "access.toml: line 6: scopes: there is no scope plaec; did you mean place?",
    ];
    assert_refused(&check(), USAGE, &faults);
    assert_refused(&file.program().run(), USAGE, &faults);
    fs::remove_file(file.path()).unwrap();
    assert_refused(&check(), USAGE, &["access.toml: No such file or directory"]);
}

#[test]
fn a_key_goes_to_a_file_that_is_its_owners_alone_and_never_over_another() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("shop.key");
    let create = || {
        Program::new(["keys", "create", "--name", "shop", "--scope", "read"])
            .argument("--key-file", &file)
            .run()
    };
    let made = create();
    assert_eq!((made.status, &made.stderr[..]), (Some(0), &[][..]), "{made:?}");
    let key = fs::read_to_string(&file).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(key.starts_with("ok_") && key.ends_with('\n'), "{key}");
    let id = key.split('_').nth(1).unwrap();
    assert!(made.stdout.contains(&format!("id = \"{id}\"")), "{made:?}");

    let again = create();
    assert_eq!((again.status, &again.stdout[..]), (Some(FAILURE), &[][..]), "{again:?}");
    assert!(again.stderr[0].contains("shop.key: File exists"), "{again:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), key);
}

#[test]
fn whoever_asks_a_guarded_service_for_its_status_without_the_scope_is_told_what_it_takes() {
    let file = AccessFile::new();
    let (reader, operator) = (file.add("reader", "read", ""), file.add("operator", "operate", ""));
    let server = file.start();
    let url = format!("http://127.0.0.1:{}", server.port());
    let status = |key: &[&str]| Program::new([&["status", "--url", &url], key].concat()).run();
    for (key, told) in [
        (&[][..], "--key takes a key with the scope operate"),
        (&["--key", &reader], "this key is unknown, over, or lacks the scope operate"),
    ] {
        let ended = status(key);
        assert_eq!(ended.status, Some(0), "{ended:?}");
        assert!(ended.stderr.join("").ends_with(told), "{ended:?}");
    }
    let ended = status(&["--key", &operator]);
    assert_eq!((ended.status, &ended.stderr[..]), (Some(0), &[][..]), "{ended:?}");
}

#[test]
fn a_key_needs_a_name_and_scopes_that_there_are() {
    for (arguments, fault) in [
        (&["--scope", "read"][..], "--name <NAME>"),
        (&["--name", "x"], "--scope <SCOPES>"),
        (&["--name", "x", "--scope", "raed"], "did you mean read?"),
        (&["--name", " x", "--scope", "read"], "without control characters or white space at its ends"),
        (&["--name", "x", "--scope", "read", "--expires", "tomorrow"], "must be a time with an offset"),
        (&["--name", "x", "--scope", "read", "--expires", "2001-01-01T00:00:00Z"], "that time is over"),
        (
            &["--name", "x", "--scope", "read", "--expires", "9999-12-31T23:59:59.9Z"],
            "must be before 9999-12-30",
        ),
    ] {
        let ended = Program::new(["keys", "create"].iter().chain(arguments)).run();
        assert_eq!((ended.status, &ended.stdout[..]), (Some(USAGE), &[][..]), "{ended:?}");
        assert!(ended.stderr.join("\n").contains(fault), "{ended:?}");
    }
}

#[test]
fn the_status_and_the_events_of_a_guarded_service_are_for_bearers_of_a_key() {
    let file = AccessFile::new();
    let key = file.add("operator", "operate,events,place", "");
    let server = file.start();
    let url = format!("http://127.0.0.1:{}", server.port());
    let status = |key: &str| {
        let status = Program::new(["status", "--url", &url]).variable("ORDER_SERVICE_KEY", key).run();
        assert_eq!(status.status, Some(0), "{status:?}");
        status.stdout.iter().any(|line| line.trim().starts_with("views"))
    };
    assert_eq!((status(&key), status("")), (true, false));
    let tail = |key: &str| Program::new(["tail", "--url", &url]).variable("ORDER_SERVICE_KEY", key);
    let following = tail(&key).argument("--after", "0").spawn();
    assert_eq!(post_with(&server, "/orders", &key, ORDER).status, 201);
    assert!(wait_until("it follows", || following.said()).contains("order.placed"));
    let refused = tail("").run();
    assert!(refused.stderr[0].contains("401 unauthenticated"), "{refused:?}");
    server.stop();
}
