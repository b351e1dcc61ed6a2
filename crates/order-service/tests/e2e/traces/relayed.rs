//! What becomes of a request's trace after its answer: in brokers' messages, in relays' spans, in timers'.

use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::Span;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Headers;
use rdkafka::{Message as _, Offset, TopicPartitionList};

use super::{
    Collecting, Collector, ORDER, TRACE_ID, attribute, hex, serving, trace_of_last_event, traced, tracing_to,
};
use crate::relays::broker::shared_channel;
use crate::relays::channel::{Channel, Kind};
use crate::relays::verdict::wait_until_published;
use crate::relays::{kafka, nats};

const PATIENCE: Duration = Duration::from_secs(30);

/// The headers of the first message, as a client sees them that knows nothing of CloudEvents.
fn headers(channel: &Channel) -> Vec<(String, String)> {
    match channel.kind {
        Kind::Nats => nats::with_client(&channel.servers, |context| async move {
            let stream = context.get_stream(&channel.name).await.map_err(|error| error.to_string())?;
            let first = stream.get_raw_message(1).await.map_err(|error| error.to_string())?;
            let headers = first.headers.iter();
            Ok(headers.map(|(name, values)| (name.to_string(), values[0].to_string())).collect())
        })
        .unwrap(),
        Kind::Kafka => {
            let consumer: BaseConsumer =
                kafka::client(&channel.servers).set("group.id", "traces").create().unwrap();
            let mut partition = TopicPartitionList::new();
            partition.add_partition_offset(&channel.name, 0, Offset::Beginning).unwrap();
            consumer.assign(&partition).unwrap();
            let first = consumer.poll(PATIENCE).unwrap().unwrap();
            let headers = first.headers().unwrap().iter();
            let text = |value: Option<&[u8]>| String::from_utf8(value.unwrap_or_default().to_vec()).unwrap();
            headers.map(|header| (header.key.to_owned(), text(header.value))).collect()
        }
    }
}

#[track_caller]
fn assert_links_to(span: &Span, trace_parent: &str) {
    let links: Vec<_> = span.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect();
    let parts: Vec<_> = trace_parent.split('-').collect();
    assert_eq!(links, [(parts[1].to_owned(), parts[2].to_owned())]);
    assert_ne!(hex(&span.trace_id), TRACE_ID, "it is a trace of its own");
    assert!(span.parent_span_id.is_empty());
}

fn a_relay_hands_the_trace_on(kind: Kind) {
    let (channel, prefix) = (shared_channel(kind), if kind == Kind::Nats { "ce-" } else { "ce_" });
    let collector = Collector::start(Collecting::Well);
    let server = tracing_to(&collector, serving()).argument("--bus", channel.url()).start();
    assert_eq!(traced(&server, "/orders", ORDER).status, 201);
    let trace_parent = trace_of_last_event(&server);
    wait_until_published(&server, &channel, 1);
    let headers = headers(&channel);
    for (name, value) in [("traceparent", &*trace_parent), ("tracestate", "rojo=1")] {
        for name in [name.to_owned(), format!("{prefix}{name}")] {
            let found = headers.iter().find(|(header, _)| *header == name).map(|(_, value)| value.as_str());
            assert_eq!(found, Some(value), "{name}: {headers:?}");
        }
    }
    let span = collector.span("publish");
    assert_links_to(&span, &trace_parent);
    assert_eq!(attribute(&span, "order.relay"), Some(channel.relay()));
    assert_eq!(attribute(&span, "messaging.batch.message_count").as_deref(), Some("1"));
    // What nobody traces has no span when it is published, and no headers.
    assert_eq!(server.post("/orders", &ORDER.replace("\"o\"", "\"o2\"")).status, 201);
    wait_until_published(&server, &channel, 2);
    server.stop();
    assert_eq!(collector.spans().iter().filter(|span| span.name == "publish").count(), 1);
}

#[test]
fn nats_has_an_events_trace_and_the_relays_span_links_to_it() {
    a_relay_hands_the_trace_on(Kind::Nats);
}

#[test]
fn kafka_has_an_events_trace_and_the_relays_span_links_to_it() {
    a_relay_hands_the_trace_on(Kind::Kafka);
}

#[test]
fn a_timers_span_links_to_the_request_that_set_it() {
    let collector = Collector::start(Collecting::Well);
    let server = tracing_to(&collector, serving()).start();
    let placement = ORDER.replace("{\"order_id\"", "{\"pay_within_seconds\":1,\"order_id\"");
    assert_eq!(traced(&server, "/orders", &placement).status, 201);
    let trace_parent = trace_of_last_event(&server);
    let span = collector.span("cancel_unpaid");
    assert_links_to(&span, &trace_parent);
    assert_eq!(attribute(&span, "order.id").as_deref(), Some("o"));
    let own = format!("00-{}-{}-01", hex(&span.trace_id), hex(&span.span_id));
    assert_eq!(trace_of_last_event(&server), own, "what the timer has done belongs under its span");
    server.stop();
}
