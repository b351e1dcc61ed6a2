//! What customers fill: every text of every command, and every parameter and field that a request may have.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Said, leaks, recorded, talkative, told_to_operators, tracing_to};
use crate::http::{Answer, post};
use crate::server::{Program, Server};
use crate::traces::collector::{Collecting, Collector};

/// What every text of a customer's begins with. Ids that stand in paths begin with `named-`: the output and the problem that is told
/// to whoever asked may name them.
const CANARY: &str = "canary-";
/// The name that a customer gives to something of his own. A refusal says with it where a fault is, to whoever has sent it.
const NAME: &str = "private-name";

/// An order's life with every command there is.
const LIFE: [(&str, &str); 22] = [
    (
        "/orders",
        r#"{"order_id":"named-a","customer_id":"canary-customer","currency":"EUR",
            "items":[{"SKU":"canary-sku","Quantity":5,"UnitPriceCents":100}],
            "adjustments":[{"kind":"tax","label":"canary-label","amount_cents":0}],
            "metadata":{"private-name":"canary-value"}}"#,
    ),
    ("/orders/named-a/payment/decline", r#"{"payment_id":"canary-declined","reason":"canary-reason"}"#),
    ("/orders/named-a/payment", r#"{"payment_id":"canary-voided"}"#),
    (
        "/orders/named-a/payment/void",
        r#"{"void_id":"canary-void","payment_id":"canary-voided","reason":"canary-reason"}"#,
    ),
    ("/orders/named-a/payment", r#"{"payment_id":"canary-payment"}"#),
    ("/orders/named-a/hold", r#"{"reason":"canary-reason"}"#),
    ("/orders/named-a/unhold", r#"{"reason":"canary-reason"}"#),
    ("/orders/named-a/reserve", r#"{"reservation_id":"canary-released"}"#),
    ("/orders/named-a/reserve/release", r#"{"reservation_id":"canary-released","reason":"canary-reason"}"#),
    ("/orders/named-a/reserve", r#"{"reservation_id":"canary-reservation"}"#),
    (
        "/orders/named-a/ship",
        r#"{"tracking_number":"canary-lost","carrier":"canary-carrier","items":[{"SKU":"canary-sku","Quantity":1}]}"#,
    ),
    ("/orders/named-a/lost", r#"{"tracking_number":"canary-lost","reason":"canary-reason"}"#),
    (
        "/orders/named-a/ship",
        r#"{"tracking_number":"canary-parcel","carrier":"canary-carrier","items":[{"SKU":"canary-sku","Quantity":3}]}"#,
    ),
    ("/orders/named-a/deliver", r#"{"tracking_number":"canary-parcel"}"#),
    (
        "/orders/named-a/capture",
        r#"{"capture_id":"canary-capture","payment_id":"canary-payment","amount_cents":300}"#,
    ),
    (
        "/orders/named-a/refund",
        r#"{"refund_id":"canary-refund","payment_id":"canary-payment","amount_cents":1,"reason":"canary-reason"}"#,
    ),
    (
        "/orders/named-a/returns",
        r#"{"return_id":"named-return","items":[{"SKU":"canary-sku","Quantity":1}],"reason":"canary-reason"}"#,
    ),
    (
        "/orders/named-a/returns/named-return/receive",
        r#"{"items":[{"SKU":"canary-sku","Quantity":1}],"restock":true}"#,
    ),
    (
        "/orders/named-a/returns",
        r#"{"return_id":"named-rejected","items":[{"SKU":"canary-sku","Quantity":1}],"reason":"canary-reason"}"#,
    ),
    ("/orders/named-a/returns/named-rejected/reject", r#"{"reason":"canary-reason"}"#),
    (
        "/orders/named-a/cancel",
        r#"{"cancellation_id":"canary-cancellation","items":[{"SKU":"canary-sku","Quantity":1}],"reason":"canary-reason"}"#,
    ),
    ("/orders/named-a/complete", "{}"),
];

/// The places of texts in a body, such as `.items[].SKU`.
fn filled(body: &Value, place: &str, found: &mut BTreeSet<String>) {
    match body {
        Value::String(text) => {
            if text.starts_with(CANARY) || text.starts_with("named-") {
                found.insert(place.to_owned());
            }
        }
        Value::Array(elements) => {
            elements.iter().for_each(|element| filled(element, &format!("{place}[]"), found));
        }
        Value::Object(members) => {
            for (name, value) in members {
                let name = if name == NAME { "*" } else { name };
                filled(value, &format!("{place}.{name}"), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The places where a schema of the document takes a text of the customer's choice.
fn texts(document: &Value, schema: &Value, place: &str, found: &mut BTreeSet<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let pointer = reference.trim_start_matches('#');
        return texts(document, document.pointer(pointer).expect("it is in the document"), place, found);
    }
    for kind in ["oneOf", "anyOf", "allOf"] {
        for one in schema[kind].as_array().into_iter().flatten() {
            texts(document, one, place, found);
        }
    }
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        texts(document, member, &format!("{place}.{name}"), found);
    }
    if schema["items"].is_object() {
        texts(document, &schema["items"], &format!("{place}[]"), found);
    }
    if schema["additionalProperties"].is_object() {
        texts(document, &schema["additionalProperties"], &format!("{place}.*"), found);
    }
    // One of a few words is nobody's secret: a kind, a currency.
    let is_choice = schema["enum"].is_array() || schema["pattern"] == "^[A-Z]{3}$";
    if schema["type"] == "string" && !is_choice {
        found.insert(place.to_owned());
    }
}

/// The path that the document has for one of these.
fn template(path: &str) -> String {
    let parts = path.split('/').map(|part| match part {
        "named-a" => "{id}",
        "named-return" | "named-rejected" => "{return_id}",
        _ => part,
    });
    parts.collect::<Vec<_>>().join("/")
}

fn document(server: &Server) -> Value {
    server.get("/openapi.json").json()
}

#[test]
fn every_text_of_every_command_has_a_canary_in_it() {
    let server = Program::serve().argument("--store", "memory:").start();
    let document = document(&server);
    let (mut lacking, mut looked_at) = (Vec::new(), 0);
    for (path, item) in document["paths"].as_object().unwrap() {
        let schema = &item["post"]["requestBody"]["content"]["application/json"]["schema"];
        if schema.is_null() {
            continue;
        }
        let (mut asked_for, mut given) = (BTreeSet::new(), BTreeSet::new());
        texts(&document, schema, "", &mut asked_for);
        for (_, body) in LIFE.iter().filter(|(command, _)| template(command) == *path) {
            filled(&serde_json::from_str(body).unwrap(), "", &mut given);
        }
        lacking.extend(asked_for.difference(&given).map(|place| format!("{path}: {place}")));
        looked_at += asked_for.len();
    }
    assert_eq!(lacking, [""; 0]);
    assert!(looked_at > 30, "{looked_at}");
}

/// What becomes of a body, as clients get it wrong.
fn spoilt(body: &str) -> Vec<String> {
    let parsed: Value = serde_json::from_str(body).unwrap();
    let mut with_more = parsed.clone();
    with_more["named-member"] = json!("canary-member");
    let wrong_kind =
        |value: &Value| if value.is_string() { json!(["canary-list"]) } else { json!("canary-word") };
    let members = parsed.as_object().unwrap();
    let mut spoilt: Vec<String> = members
        .iter()
        .map(|(name, value)| {
            let mut one_wrong = parsed.clone();
            one_wrong[name] = wrong_kind(value);
            one_wrong.to_string()
        })
        .collect();
    spoilt.extend([
        with_more.to_string(),
        json!(body).to_string(),
        body[..body.len() - 1].to_owned(),
        // The same ids with other content, and others that come too late.
        body.replace("canary-reason", "canary-other").replace(":1", ":2"),
        body.replace(CANARY, "canary-2-"),
        body.replace(CANARY, "canary-\\u0000").replace(NAME, "private-name\\u0000"),
        body.replace("named-", "named-2-").replace(CANARY, &format!("canary-{}", "x".repeat(2_000))),
    ]);
    spoilt
}

/// Leads an order through its life, asks for everything with every parameter, and gets everything wrong that can be got wrong.
fn live(server: &Server) -> Vec<Said> {
    let mut client = server.connect();
    let mut refused = Vec::new();
    let mut note = |what: &str, answer: &Answer| {
        if answer.status >= 400 {
            refused.push(Said::answer(format!("{what}: {}", answer.status), answer));
        }
    };
    for (path, body) in LIFE {
        let answer = client.post(path, body).unwrap();
        let is_last = path.ends_with("/complete");
        assert!(answer.status < 300 || is_last, "{path}: {answer:?}");
    }
    for (path, body) in LIFE {
        for wrong in spoilt(body) {
            note(path, &client.post(path, &wrong).unwrap());
        }
        for field in
            ["if-match: \"canary-tag\"", "idempotency-key: canary-key", "content-type: canary-type/x"]
        {
            let request = post(path, body).replacen("\r\n", &format!("\r\n{field}\r\n"), 1);
            client.send(request.as_bytes()).unwrap();
            note(field, &client.answer().unwrap());
        }
    }
    let document = document(server);
    for (path, item) in document["paths"].as_object().unwrap() {
        let path = path.replace("{id}", "named-a");
        for parameter in item["get"]["parameters"].as_array().into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap();
            note(name, &client.get(&format!("{path}?{name}=canary-query")).unwrap());
        }
    }
    note("a cookie", &{
        client.send(b"GET /named HTTP/1.1\r\nhost: canary-host\r\ncookie: canary-cookie\r\n\r\n").unwrap();
        client.answer().unwrap()
    });
    refused
}

/// What of it comes out of a server on which all that has happened.
fn leaks_of(program: Program) -> Vec<String> {
    let collector = Collector::start(Collecting::Well);
    let server = tracing_to(&collector, talkative(program)).start();
    let refused = live(&server);
    assert!(refused.len() > 150, "{} refusals", refused.len());
    let events = server.get("/orders/named-a/events");
    assert!(events.text().matches(CANARY).count() > 40, "canaries arrive: {}", events.text());
    let mut told = told_to_operators(&server, None);
    told.push(Said::new("the output", server.log()));
    server.stop();
    told.push(recorded(&collector));
    let mut found = leaks(&refused, &[CANARY]);
    found.extend(leaks(&told, &[CANARY, NAME]));
    found
}

#[test]
fn nothing_that_customers_fill_stands_in_the_output_in_metrics_in_readiness_or_in_refusals() {
    let directory = tempfile::tempdir().unwrap();
    for program in [Program::serving(directory.path()), Program::serve().argument("--store", "memory:")] {
        assert_eq!(leaks_of(program), [""; 0]);
    }
}

#[cfg(feature = "full-tests")]
#[test]
fn nothing_that_customers_fill_stands_there_on_postgresql() {
    let url = test_servers::PostgresServer::shared().unwrap().create_database().unwrap();
    let program = Program::serve().argument("--store", url);
    // What the shared server is set to.
    let program = program.variable("ORDER_SERVICE_ALLOW_UNSAFE_DURABILITY", "true");
    assert_eq!(leaks_of(program), [""; 0]);
}

#[cfg(feature = "full-tests")]
#[test]
fn control_a_server_that_tells_what_it_is_asked_is_caught() {
    let program = Program::serve().argument("--store", "memory:");
    let found = leaks_of(program.variable("ORDER_SERVICE_PLANTED_FAULT", "requests-are-told"));
    for (text, what) in [
        ("canary-customer", "bodies"),
        (NAME, "names"),
        ("canary-cookie", "heads"),
        ("canary-query", "queries"),
    ] {
        assert!(found.iter().any(|line| line.contains(text)), "{what} are not noticed");
    }
}
