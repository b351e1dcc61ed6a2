//! The OpenAPI document, held against every request and every answer of these tests.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use axum::http::{HeaderMap, Method, StatusCode, header};
use jsonschema::Validator;
use serde_json::{Map, Value};

static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(&order_api::openapi_json()).unwrap());

/// The same for what may be sent: see [`fold_names`].
static FOLDED: LazyLock<Value> = LazyLock::new(|| {
    let mut document = DOCUMENT.clone();
    fold_schemas(&mut document);
    document
});

/// What HTTP says of any answer, and what is meant for caches and proxies.
const OF_ANY_ANSWER: [&str; 5] =
    ["allow", "cache-control", "content-length", "content-type", "x-accel-buffering"];

/// An operation that the document describes.
#[derive(Clone)]
pub(crate) struct Operation {
    /// A JSON Pointer to it.
    pointer: String,
}

impl Operation {
    /// None for what the document leaves out: pages for people, and what there is not.
    pub(crate) fn find(method: &Method, uri: &str) -> Option<Self> {
        let path = uri.split('?').next()?;
        let described = DOCUMENT["paths"].as_object()?.keys().find(|template| matches(template, path))?;
        let pointer = format!("/paths/{}/{}", escape(described), method.as_str().to_lowercase());
        DOCUMENT.pointer(&pointer).map(|_| Self { pointer })
    }

    /// A body that was accepted.
    pub(crate) fn check_request(&self, body: &[u8]) {
        let mut body = serde_json::from_slice(body).expect("what is accepted is JSON");
        fold_names(&mut body);
        let schema = format!("{}/requestBody/content/application~1json/schema", self.pointer);
        validate(&FOLDED, &schema, &body);
    }

    /// The status and the headers of an answer.
    pub(crate) fn check_head(&self, status: StatusCode, headers: &HeaderMap) {
        let response = self.response(status);
        for (name, value) in headers.iter().filter(|(name, _)| !OF_ANY_ANSWER.contains(&name.as_str())) {
            let described = DOCUMENT.pointer(&format!("{response}/headers")).and_then(Value::as_object);
            let mut names = described.into_iter().flat_map(Map::keys);
            let found = names.find(|described| described.eq_ignore_ascii_case(name.as_str()));
            let found = found.unwrap_or_else(|| panic!("{response} has no header {name}"));
            let text = value.to_str().unwrap();
            let value = text.parse().map_or_else(|_| Value::from(text), |number: u64| Value::from(number));
            validate(&DOCUMENT, &format!("{response}/headers/{found}/schema"), &value);
        }
    }

    /// The body of an answer.
    pub(crate) fn check_body(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) {
        let content = format!("{}/content", self.response(status));
        let Some(media_type) = headers.get(header::CONTENT_TYPE) else {
            assert!(
                body.is_empty() && DOCUMENT.pointer(&content).is_none(),
                "{content}: without a media type"
            );
            return;
        };
        // The document names it without its parameters.
        let media_type = media_type.to_str().unwrap().split(';').next().unwrap();
        let schema = format!("{content}/{}/schema", escape(media_type));
        let body = if media_type.ends_with("json") {
            serde_json::from_slice(body).unwrap()
        } else {
            Value::from(str::from_utf8(body).unwrap())
        };
        validate(&DOCUMENT, &schema, &body);
    }

    fn response(&self, status: StatusCode) -> String {
        let response = format!("{}/responses/{}", self.pointer, status.as_u16());
        assert!(DOCUMENT.pointer(&response).is_some(), "{response} is not described");
        response
    }
}

/// Whether a path is one of those that a template such as `/orders/{id}` stands for.
fn matches(template: &str, path: &str) -> bool {
    let fits =
        |(template, part): (&str, &str)| template == part || (template.starts_with('{') && !part.is_empty());
    template.split('/').count() == path.split('/').count()
        && template.split('/').zip(path.split('/')).all(fits)
}

/// A name as a part of a JSON Pointer.
fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[track_caller]
fn validate(document: &'static Value, schema: &str, instance: &Value) {
    let validator = validator(document, schema);
    let faults: Vec<_> = validator
        .iter_errors(instance)
        .map(|fault| format!("{} at {}: {fault}", fault.schema_path(), fault.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{schema}\n{instance}\n{}", faults.join("\n"));
}

/// Made once for each schema.
fn validator(document: &'static Value, schema: &str) -> Arc<Validator> {
    static MADE: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);
    let mut made = MADE.lock().unwrap();
    let make = || {
        assert!(document.pointer(schema).is_some(), "{schema} is not described");
        // A schema for which the rest of the document is there to be referred to.
        let mut root = document.clone();
        let fragment = schema.replace('{', "%7B").replace('}', "%7D");
        root["$ref"] = Value::from(format!("#{fragment}"));
        Arc::new(jsonschema::options().should_validate_formats(true).build(&root).unwrap())
    };
    Arc::clone(made.entry(schema.to_owned()).or_insert_with(make))
}

/// The service takes names in any case and with underscores where they have none, and a null as a member that is left
/// out. No schema can say so: the introduction does.
fn fold_names(value: &mut Value) {
    match value {
        Value::Object(members) => {
            let given = std::mem::take(members).into_iter().filter(|(_, value)| !value.is_null());
            members.extend(given.map(|(name, value)| (folded(&name), value)));
            members.values_mut().for_each(fold_names);
        }
        Value::Array(items) => items.iter_mut().for_each(fold_names),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Folds the names that schemas give to members.
fn fold_schemas(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if let Some(Value::Object(properties)) = members.get_mut("properties") {
                let named = std::mem::take(properties).into_iter();
                properties.extend(named.map(|(name, schema)| (folded(&name), schema)));
            }
            if let Some(Value::Array(required)) = members.get_mut("required") {
                required.iter_mut().for_each(|name| *name = folded(name.as_str().unwrap()).into());
            }
            members.values_mut().for_each(fold_schemas);
        }
        Value::Array(items) => items.iter_mut().for_each(fold_schemas),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn folded(name: &str) -> String {
    name.to_lowercase().replace('_', "")
}
