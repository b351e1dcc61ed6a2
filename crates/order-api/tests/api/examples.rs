//! Every example of a request that the OpenAPI document has is sent, and does what its operation is for.

use axum::body::Body;
use axum::http::Method;
use serde_json::{Map, Value};

use crate::harness::Harness;

/// The order of all examples.
const ORDER: &str = "ord-001";

/// Each operation, and those whose examples have to come before.
const OPERATIONS: [(&str, &[&str]); 26] = [
    ("health", &[]),
    ("ready", &[]),
    ("metrics", &[]),
    ("placeOrder", &[]),
    ("authorizePayment", &["placeOrder"]),
    ("declinePayment", &["placeOrder"]),
    ("cancelOrder", &["placeOrder"]),
    ("holdOrder", &["placeOrder"]),
    ("releaseHold", &["holdOrder"]),
    ("voidPayment", &["authorizePayment"]),
    ("reserveInventory", &["authorizePayment"]),
    ("capturePayment", &["authorizePayment"]),
    ("refundPayment", &["capturePayment"]),
    ("releaseReservation", &["reserveInventory"]),
    ("shipOrder", &["reserveInventory"]),
    ("deliverShipment", &["shipOrder"]),
    ("loseShipment", &["shipOrder"]),
    ("requestReturn", &["deliverShipment"]),
    ("receiveReturn", &["requestReturn"]),
    ("rejectReturn", &["requestReturn"]),
    ("completeOrder", &["deliverShipment"]),
    ("getOrder", &["shipOrder"]),
    ("orderActions", &["shipOrder"]),
    ("orderEvents", &["shipOrder"]),
    ("listOrders", &["shipOrder"]),
    ("log", &["shipOrder"]),
];

struct Document(Value);

/// An operation of the document.
struct Operation<'d> {
    document: &'d Document,
    id: &'d str,
    method: Method,
    path: &'d str,
    described: &'d Value,
}

/// A request that is made of examples.
struct Example {
    path: String,
    headers: Vec<(String, String)>,
    body: Option<Value>,
}

impl Example {
    /// The same request about an order of another name.
    fn of_order(self, name: &str) -> Self {
        let body = self.body.map(|body| body.to_string().replace(ORDER, name).parse().unwrap());
        Self { path: self.path.replace(ORDER, name), body, ..self }
    }
}

impl Document {
    fn operations(&self) -> Vec<Operation<'_>> {
        let mut operations = Vec::new();
        for (path, item) in self.0["paths"].as_object().unwrap() {
            for (method, described) in item.as_object().unwrap() {
                let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
                let id = described["operationId"].as_str().unwrap();
                operations.push(Operation { document: self, id, method, path, described });
            }
        }
        operations
    }

    fn operation(&self, id: &str) -> Operation<'_> {
        self.operations().into_iter().find(|operation| operation.id == id).expect(id)
    }

    fn resolved<'d>(&'d self, schema: &'d Value) -> &'d Value {
        schema["$ref"].as_str().map_or(schema, |name| self.0.pointer(&name[1..]).expect(name))
    }

    /// The examples of a schema or of its parts; where it has none, all that there is if that is little.
    fn examples(&self, schema: &Value) -> Vec<Value> {
        let schema = self.resolved(schema);
        let own = ["examples", "enum"].iter().find_map(|name| schema[name].as_array());
        let parts = ["oneOf", "anyOf"].iter().find_map(|name| schema[name].as_array());
        match (own, parts) {
            (Some(own), _) => own.clone(),
            (None, Some(parts)) => parts.iter().flat_map(|part| self.examples(part)).collect(),
            (None, None) if schema["type"] == "array" => {
                let elements = self.examples(&schema["items"]);
                elements.into_iter().map(|element| Value::Array(vec![element])).collect()
            }
            (None, None) if schema["type"] == "boolean" => vec![true.into(), false.into()],
            (None, None) => vec![],
        }
    }
}

impl Operation<'_> {
    fn parameters(&self, place: &str) -> impl Iterator<Item = &Value> {
        let all = self.described["parameters"].as_array().into_iter().flatten();
        all.filter(move |parameter| parameter["in"] == place)
    }

    /// The request without anything that may be left out.
    fn least(&self) -> Example {
        let mut path = self.path.to_owned();
        for parameter in self.parameters("path") {
            let name = parameter["name"].as_str().unwrap();
            path = path.replace(&format!("{{{name}}}"), parameter["example"].as_str().expect(name));
        }
        let body = self.described.pointer("/requestBody/content/application~1json");
        let body = body.map(|body| body.get("example").expect(self.id).clone());
        Example { path, headers: vec![], body }
    }

    /// The request, and with each example of each parameter and of each member of its body.
    fn requests(&self) -> Vec<Example> {
        let mut requests = vec![self.least()];
        for parameter in self.parameters("query") {
            for pair in self.texts(parameter) {
                let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pair).finish();
                let least = self.least();
                requests.push(Example { path: format!("{}?{query}", least.path), ..least });
            }
        }
        for parameter in self.parameters("header") {
            requests.extend(self.texts(parameter).map(|headers| Example { headers, ..self.least() }));
        }
        if let Some(Value::Object(body)) = self.least().body {
            requests.extend(
                self.bodies(&body).into_iter().map(|body| Example { body: Some(body), ..self.least() }),
            );
        }
        requests
    }

    /// What stands in a request for each example of a parameter.
    fn texts(&self, parameter: &Value) -> impl Iterator<Item = Vec<(String, String)>> {
        let name = parameter["name"].as_str().unwrap().to_owned();
        let examples = self.document.examples(&parameter["schema"]);
        assert!(!examples.is_empty(), "{}: {name} has no example", self.id);
        let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        examples.into_iter().map(move |example| {
            let values = if let Value::Array(values) = example { values } else { vec![example] };
            values.into_iter().map(|value| (name.clone(), text(value))).collect()
        })
    }

    /// The body as its schema shows it, and with each example of each member.
    fn bodies(&self, body: &Map<String, Value>) -> Vec<Value> {
        let schema = &self.described["requestBody"]["content"]["application/json"]["schema"];
        let schema = self.document.resolved(schema);
        let mut bodies = schema["examples"].as_array().expect(self.id).clone();
        for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
            for example in self.document.examples(schema) {
                let mut body = body.clone();
                body.insert(name.clone(), example);
                bodies.push(Value::Object(body));
            }
        }
        bodies
    }

    /// Sends a request, and answers with the status.
    async fn send(&self, h: &Harness, example: &Example) -> u16 {
        let Example { path, headers, body } = example;
        let mut sent: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        // What is said of live feeds is asked of one; only its head, since it never ends.
        if path.contains("event_names=") || headers.iter().any(|(name, _)| name == "Last-Event-ID") {
            sent.push(("accept", "text/event-stream"));
            let answer = h.start(self.method.clone(), path, &sent, Body::empty()).await;
            assert_eq!(answer.headers()["content-type"], "text/event-stream", "{path}");
            return answer.status().as_u16();
        }
        let body = body.as_ref().map(|body| {
            sent.push(("content-type", "application/json"));
            body.to_string()
        });
        let answer = h.send(self.method.clone(), path, &sent, Body::from(body.unwrap_or_default())).await;
        let status = answer.status.as_u16();
        assert!(status < 400 || status == 412, "{} {path} {headers:?}: {}", self.id, answer.text());
        status
    }
}

/// Sends the examples of what has to come before an operation, each once what it needs itself was sent.
async fn prepare(document: &Document, h: &Harness, id: &str, order: &str) {
    let (_, before) = OPERATIONS.iter().find(|(known, _)| *known == id).expect(id);
    for id in *before {
        Box::pin(prepare(document, h, id, order)).await;
        let operation = document.operation(id);
        operation.send(h, &operation.least().of_order(order)).await;
    }
}

/// Tags name one version, so an example of one fits an order only while it has that version.
fn expected(example: &Example, version: Option<&str>) -> std::ops::RangeInclusive<u16> {
    match example.headers.first().map(|(name, tag)| (name.as_str(), Some(tag.as_str()) == version)) {
        Some(("If-Match", false)) => 412..=412,
        Some(("If-None-Match", true)) => 304..=304,
        _ => 200..=202,
    }
}

#[tokio::test]
async fn every_example_of_a_request_does_what_its_operation_is_for() {
    let document = Document(serde_json::from_str(&order_api::openapi_json()).unwrap());
    let mut sent = Vec::new();
    for operation in document.operations() {
        let requests = operation.requests();
        sent.push((operation.id.to_owned(), requests.len()));
        let h = Harness::new();
        for (index, example) in requests.into_iter().enumerate() {
            // Each finds an order as it has to be: the first that of the examples.
            let order = format!("ord-{:03}", index + 1);
            let example = example.of_order(&order);
            prepare(&document, &h, operation.id, &order).await;
            let order = h.get(&format!("/orders/{order}")).await;
            let expected = expected(&example, order.header("etag"));
            let status = operation.send(&h, &example).await;
            let Example { path, headers, body } = &example;
            assert!(expected.contains(&status), "{}: {status} {path} {headers:?} {body:?}", operation.id);
        }
    }
    let (mut known, mut found) = (OPERATIONS.map(|(id, _)| id.to_owned()).to_vec(), Vec::new());
    found.extend(sent.iter().map(|(id, _)| id.clone()));
    known.sort();
    found.sort();
    assert_eq!(known, found, "each operation is in the table");
    let count = |id: &str| sent.iter().find(|(known, _)| known == id).map(|(_, count)| *count);
    // The least request, two words of `view`, four of `sort`, ten of `status`, `on_hold` both ways, and one of each other.
    assert_eq!(count("listOrders"), Some(1 + 2 + 4 + 10 + 2 + 12));
    // The least request, `dry_run` both ways, five headers; of the body the whole, and both ways to name units.
    assert_eq!(count("shipOrder"), Some(1 + 2 + 5 + 1 + 2));
}
