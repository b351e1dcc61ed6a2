use order_application::traces::TraceContext;
use order_application::{EventContext, Version};
use order_domain::{OrderId, Timestamp};
use uuid::Uuid;

use super::*;

fn placed(order_id: &str) -> RecordedEvent {
    RecordedEvent {
        position: Position(7),
        order_id: OrderId::new(order_id).unwrap(),
        version: Version(1),
        id: Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0001),
        event_type: Cow::Borrowed("order.placed.v1"),
        time: Timestamp::from_micros(1_767_225_600_123_456),
        data: r#"{"a":1}"#.into(),
        context: EventContext::new("Euro € 😀", None, Some(r#"clerk "7" at 50%"#)),
        source: None,
    }
}

#[test]
fn the_headers_are_those_of_the_binding() {
    let previous_id = Some(Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0000));
    let headers = headers("/order-service", &placed("ord-1"), previous_id);
    let mut lines: Vec<_> = headers.iter().map(|(name, values)| format!("{name}: {}", values[0])).collect();
    lines.sort();
    assert_eq!(
        lines,
        [
            "ce-actor: clerk%20%227%22%20at%2050%25",
            // The draft's own example.
            "ce-correlationid: Euro%20%E2%82%AC%20%F0%9F%98%80",
            "ce-datacontenttype: application/json",
            "ce-id: 01990000-0000-7000-8000-000000000001",
            "ce-position: 7",
            "ce-previousid: 01990000-0000-7000-8000-000000000000",
            "ce-source: /order-service",
            "ce-specversion: 1.0",
            "ce-subject: ord-1",
            "ce-time: 2026-01-01T00:00:00.123456Z",
            "ce-type: order.placed.v1",
            "ce-version: 1",
        ]
    );
}

#[test]
fn the_place_in_a_trace_is_where_tracing_libraries_look_for_it_too() {
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let trace = TraceContext::read(parent, ["a=\"1\" 2"]).unwrap();
    let mut event = placed("ord-1");
    event.context = EventContext::traced("c", None, None, Some(&trace));
    let written = headers("/order-service", &event, None);
    let line = |name| written.get(name).map(|value| value.as_str());
    assert_eq!((line("traceparent"), line("tracestate")), (Some(parent), Some("a=\"1\" 2")));
    assert_eq!((line("ce-traceparent"), line("ce-tracestate")), (Some(parent), Some("a=%221%22%202")));
    // A context that came from elsewhere may say anything.
    for (name, value) in [("traceparent", "00-1\r\nx: y"), ("tracestate", "\r\nx: y"), ("traceparent", "ü")]
    {
        event.context = EventContext::of([(name, value)]);
        assert!(headers("/", &event, None).get(name).is_none(), "{value:?}");
    }
}

#[test]
fn subjects_have_one_word_for_the_event_and_one_for_the_order() {
    let subject_of = |event_type: &'static str, order_id| {
        subject("orders", &RecordedEvent { event_type: Cow::Borrowed(event_type), ..placed(order_id) })
    };
    assert_eq!(subject_of("order.placed.v1", "ord-1"), "orders.placed.ord-1");
    assert_eq!(
        subject_of("order.placed.v2", "ord-1"),
        "orders.placed.ord-1",
        "a new shape of the same event"
    );
    assert_eq!(subject_of("order.payment_authorized.v12", "a.b"), "orders.payment_authorized.a%2Eb");
    assert_eq!(subject_of("order.line.added.v1", "~:_-"), "orders.line%2Eadded.~:_-");
    assert_eq!(subject_of("invoice.sent", "x"), "orders.invoice%2Esent.x");
    assert_eq!(subject_of("order.vip.vx", "x"), "orders.vip%2Evx.x");
    for known in order_application::codec::EVENT_TYPES {
        assert_eq!(subject_of(known, "x").split('.').count(), 3, "{known}");
    }
}

#[test]
fn headers_are_read_as_the_binding_wants_it() {
    let read = |name: &'static str, value: &str| {
        let mut headers = headers("/", &placed("ord-1"), None);
        headers.insert(name, value);
        event(Some(&headers), b"{}")
    };
    let actor = |value| read("ce-actor", value).map(|message| message.event.context.get("actor").unwrap());
    assert_eq!(actor("a%20%c3%bc"), Ok("a ü".to_owned()), "small digits, too");
    assert_eq!(actor("%61b"), Ok("ab".to_owned()), "without need");
    assert_eq!(actor("50%"), Ok("50%".to_owned()), "what encodes nothing");
    assert_eq!(actor("%C0%A0"), Err("the header ce-actor cannot be decoded".to_owned()));
    assert!(read("ce-position", "x").is_err());
    assert!(read("ce-traceparent", "%C0%A0").is_ok(), "others may add what they like");
    assert_eq!(event(None, b"{}"), Err("it has no headers".to_owned()));
    assert_eq!(event(Some(&HeaderMap::new()), b"\xff"), Err("its data is not UTF-8".to_owned()));
}

#[test]
fn a_message_without_a_position_is_none_of_ours() {
    assert_eq!(position(&headers("/", &placed("x"), None)), Some(Position(7)));
    let mut foreign = HeaderMap::new();
    assert_eq!(position(&foreign), None);
    foreign.insert("ce-position", "0");
    assert_eq!(position(&foreign), None);
}
