//! The golden files: one for each event type, or more, as it is stored. A release that cannot read one of them has lost data.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;

/// The events are written as the golden file says, and read back from it.
#[track_caller]
pub(super) fn assert_golden(file: &str, event: OrderEvent) {
    let (event_type, golden) = read(&folder().join(file));
    assert_eq!(decode(&event_type, &golden).as_ref(), Ok(&event));
    let (written_type, written) = encode(&event);
    assert_eq!((written_type, &*written), (&*event_type, &*golden));
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("goldens")
}

/// The event type that a file is named after, with whatever follows a hyphen, and its text.
fn read(file: &Path) -> (String, String) {
    let name = file.file_stem().unwrap().to_str().unwrap();
    let event_type = name.split('-').next().unwrap();
    (event_type.to_owned(), fs::read_to_string(file).unwrap().trim_end().to_owned())
}

fn goldens() -> Vec<(String, String)> {
    let files = fs::read_dir(folder()).unwrap().map(|file| file.unwrap().path());
    files
        .filter(|file| file.extension().is_some_and(|extension| extension == "json"))
        .map(|file| read(&file))
        .collect()
}

pub(super) fn golden(event_type: &str) -> String {
    fs::read_to_string(folder().join(format!("{event_type}.json"))).unwrap()
}

#[test]
fn every_golden_file_is_read_and_every_event_type_has_one() {
    let goldens = goldens();
    for (event_type, golden) in &goldens {
        let event = decode(event_type, golden).unwrap();
        assert!(decode(encode(&event).0, &encode(&event).1).is_ok(), "{event_type}");
    }
    for event_type in EVENT_TYPES {
        assert!(goldens.iter().any(|(covered, _)| covered == event_type), "{event_type}");
    }
}

/// The negative control: what a release would meet that calls something otherwise, and did not think of what is stored.
#[test]
fn a_golden_file_in_which_anything_is_called_otherwise_is_not_read() {
    let mut renamed = 0;
    for (event_type, golden) in goldens() {
        // What is in there is the client's to name.
        let clients = golden.find(r#""metadata":{"#).map(|begin| {
            let open = begin + r#""metadata":"#.len();
            open..open + golden[open..].find('}').unwrap()
        });
        for (end, _) in golden.match_indices("\":") {
            if clients.as_ref().is_some_and(|clients| clients.contains(&end)) {
                continue;
            }
            let (before, after) = golden.split_at(end);
            let otherwise = format!("{before}_planted{after}");
            assert!(decode(&event_type, &otherwise).is_err(), "{otherwise}");
            renamed += 1;
        }
    }
    assert!(renamed > 100, "{renamed}");
}

#[test]
fn a_type_or_a_field_that_this_release_does_not_know_is_a_newer_event() {
    let unknown = decode("order.placed.v9", "{}");
    assert!(
        matches!(&unknown, Err(CodecError::NewerEvent(what)) if what.contains("order.placed.v9")),
        "{unknown:?}"
    );
    for (event_type, golden) in goldens() {
        for (place, _) in golden.match_indices('{') {
            // What is in there is the client's to name.
            if golden[..place].ends_with(r#""metadata":"#) {
                continue;
            }
            let (before, after) = golden.split_at(place + 1);
            let more = format!(r#"{before}"planted":1,{after}"#);
            let decoded = decode(&event_type, &more);
            assert!(
                matches!(&decoded, Err(CodecError::NewerEvent(what)) if what.contains("planted")),
                "{more}: {decoded:?}"
            );
        }
    }
}

#[test]
fn a_value_that_this_release_does_not_allow_is_a_newer_event() {
    let placed = golden(order_placed::TYPE);
    for (value, other) in
        [("discount", "gift"), ("EUR", "XXA"), ("cust-123", ""), ("\"line\":2", "\"line\":3")]
    {
        let decoded = decode(order_placed::TYPE, &placed.replace(value, other));
        assert!(matches!(decoded, Err(CodecError::NewerEvent(_))), "{other}: {decoded:?}");
    }
    let time = golden(inventory_reserved::TYPE).replace("2026-01-01T", "");
    let decoded = decode(inventory_reserved::TYPE, &time);
    assert!(matches!(decoded, Err(CodecError::NewerEvent(_))), "{time}: {decoded:?}");
}

#[test]
fn what_is_not_an_event_is_an_error() {
    let syntax = decode(payment_authorized::TYPE, "{");
    assert!(matches!(syntax, Err(CodecError::Invalid(_))), "{syntax:?}");
}
