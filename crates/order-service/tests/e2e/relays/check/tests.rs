//! The checker, on histories that are made up.

use super::{Rule, check};
use crate::relays::channel::{Channel, Kind};
use crate::relays::event::{Event, Message};

fn event(position: u64, order: &str, version: u64) -> Event {
    let attributes = [
        ("id", format!("id-{position}")),
        ("subject", order.to_owned()),
        ("type", "order.placed.v1".to_owned()),
        ("position", position.to_string()),
        ("version", version.to_string()),
    ];
    let attributes = attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Event { attributes, data: format!(r#"{{"n":{position}}}"#).into_bytes() }
}

fn log() -> Vec<Event> {
    vec![event(1, "a.b", 1), event(2, "c", 1), event(3, "a.b", 2), event(4, "a.b", 3)]
}

/// What is found when these come, by their places in the log.
fn found(places: &[usize], spoil: impl FnOnce(&mut Vec<Message>)) -> Vec<Rule> {
    let channel = Channel::fresh(Kind::Nats, "127.0.0.1:1");
    let message = |event: &Event| Message {
        address: channel.address(event),
        event: event.clone(),
        previous_id: (event.position() > 1).then(|| format!("id-{}", event.position() - 1)),
    };
    let mut messages: Vec<_> = places.iter().map(|&place| message(&log()[place])).collect();
    spoil(&mut messages);
    let breaches = check(&log(), &channel, &messages);
    breaches.iter().map(|breach| breach.rule).collect()
}

fn as_they_are(_: &mut Vec<Message>) {}

#[test]
fn all_events_in_the_order_of_the_log_are_right() {
    assert_eq!(found(&[0, 1, 2, 3], as_they_are), []);
}

#[test]
fn orders_may_pass_each_other() {
    assert_eq!(found(&[0, 2, 3, 1], as_they_are), []);
}

#[test]
fn events_may_come_again_at_any_time() {
    assert_eq!(found(&[0, 0, 1, 2, 0, 1, 2, 3, 1, 3], as_they_are), []);
}

#[test]
fn an_order_whose_events_pass_each_other_is_found() {
    assert_eq!(found(&[0, 1, 3, 2], as_they_are), [Rule::Order, Rule::Order]);
    assert_eq!(found(&[2, 0, 1, 3], as_they_are), [Rule::Order, Rule::Order, Rule::Order]);
}

#[test]
fn what_does_not_come_is_found() {
    assert_eq!(found(&[0, 2, 3], as_they_are), [Rule::Missing]);
    assert_eq!(found(&[0, 1, 2], as_they_are), [Rule::Missing]);
}

#[test]
fn a_hole_in_an_order_is_found_as_such_too() {
    assert_eq!(found(&[0, 1, 3], as_they_are), [Rule::Order, Rule::Missing]);
}

#[test]
fn a_repetition_that_is_not_what_came_before_is_found() {
    let other_id = |messages: &mut Vec<Message>| {
        messages[3].event.attributes.insert("id".to_owned(), "another".to_owned());
    };
    assert_eq!(found(&[0, 1, 2, 2, 3], other_id), [Rule::Unknown, Rule::Repetition]);
    let one_attribute_more = |messages: &mut Vec<Message>| {
        messages[4].event.attributes.insert("actor".to_owned(), "x".to_owned());
    };
    assert_eq!(found(&[0, 1, 2, 3, 1], one_attribute_more), [Rule::Unknown, Rule::Repetition]);
    let other_data = |messages: &mut Vec<Message>| messages[4].event.data.push(b' ');
    assert_eq!(found(&[0, 1, 2, 3, 1], other_data), [Rule::Unknown, Rule::Repetition]);
}

#[test]
fn what_is_not_as_in_the_log_is_found() {
    let other_data = |messages: &mut Vec<Message>| messages[1].event.data.push(b' ');
    assert_eq!(found(&[0, 1, 2, 3], other_data), [Rule::Unknown]);
    let nobodys = |messages: &mut Vec<Message>| {
        messages[4].event = event(9, "d", 1);
        messages[4].address = messages[4].address.replace(".c", ".d");
    };
    assert_eq!(found(&[0, 1, 2, 3, 1], nobodys), [Rule::Unknown]);
}

#[test]
fn an_event_in_a_wrong_place_is_found() {
    let elsewhere = |messages: &mut Vec<Message>| messages[0].address = "orders.placed.a.b".to_owned();
    assert_eq!(found(&[0, 1, 2, 3], elsewhere), [Rule::Address]);
}

#[test]
fn a_message_that_does_not_name_the_event_before_it_is_found() {
    let none = |messages: &mut Vec<Message>| messages[1].previous_id = None;
    assert_eq!(found(&[0, 1, 2, 3], none), [Rule::Previous]);
    let the_orders_last = |messages: &mut Vec<Message>| messages[2].previous_id = Some("id-1".to_owned());
    assert_eq!(found(&[0, 1, 2, 3], the_orders_last), [Rule::Previous]);
    let one_before_the_first =
        |messages: &mut Vec<Message>| messages[0].previous_id = Some("id-0".to_owned());
    assert_eq!(found(&[0, 1, 2, 3], one_before_the_first), [Rule::Previous]);
}
