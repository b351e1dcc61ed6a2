use axum::response::Response;
use order_application::DryRun;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Type};
use utoipa::openapi::{Ref, Schema};

use crate::answer;
use crate::view::write_full;

/// What a command would lead to: the events as they would be stored, and the full view of the order after them.
pub(super) fn tried(DryRun { order_id, events, order }: &DryRun) -> Response {
    let mut body = br#"{"events":["#.to_vec();
    for (index, event) in events.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        // A type needs no escaping, and an event's data is JSON.
        let (event_type, data) = (&event.event_type, &event.data);
        body.extend_from_slice(format!(r#"{comma}{{"type":"{event_type}","data":{data}}}"#).as_bytes());
    }
    body.extend_from_slice(br#"],"order":"#);
    write_full(&mut body, order_id, order);
    body.push(b'}');
    answer::json(body)
}

pub(super) fn schema() -> Schema {
    let event = ObjectBuilder::new()
        .property("type", ObjectBuilder::new().schema_type(Type::String))
        .property("data", ObjectBuilder::new().schema_type(Type::Object))
        .required("type")
        .required("data");
    ObjectBuilder::new()
        .property("events", ArrayBuilder::new().items(event))
        .property("order", Ref::from_schema_name("FullOrder"))
        .required("events")
        .required("order")
        .into()
}
