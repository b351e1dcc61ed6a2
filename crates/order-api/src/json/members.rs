use std::borrow::Cow;

use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Type};
use utoipa::openapi::{Ref, RefOr, Schema};

use super::{Faults, Json, Named, Pointer, Shape, Value};

/// Spellings that are read besides the one that is documented (and besides other cases, which all names may have).
const OTHER_SPELLINGS: [(&str, &str); 1] = [("UnitPriceCents", "unit_price_cents")];
/// How many letters a misspelt name may differ in for the right one to be suggested.
const NEAR: usize = 2;

/// An object with known members. `members` asks for each of them, whatever became of the others, and then makes the value.
pub(crate) struct Object<T> {
    /// What the OpenAPI document calls it.
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    /// JSON.
    pub(crate) example: &'static str,
    pub(crate) members: fn(&mut Members<'_>) -> Option<T>,
}

/// Asks for an object's members, one after the other. The same calls read a body, or write its schema.
pub(crate) struct Members<'m>(Mode<'m>);

enum Mode<'m> {
    Reading(Reading<'m>),
    Describing { schema: &'m mut ObjectBuilder, named: &'m mut Named },
}

struct Reading<'m> {
    members: &'m [(Cow<'m, str>, Json<'m>)],
    at: &'m Pointer<'m>,
    faults: &'m mut Faults,
    /// How many members have been asked for.
    known: usize,
}

impl Members<'_> {
    /// A member that must be there. `None` means that a fault was noted.
    pub(crate) fn required<S: Shape>(
        &mut self,
        name: &'static str,
        description: &'static str,
        shape: S,
    ) -> Option<S::Value> {
        self.member(name, description, shape, true)
    }

    /// A member that may be left out. `None` means that it was, or that a fault was noted.
    pub(crate) fn optional<S: Shape>(
        &mut self,
        name: &'static str,
        description: &'static str,
        shape: S,
    ) -> Option<S::Value> {
        self.member(name, description, shape, false)
    }

    fn member<S: Shape>(
        &mut self,
        name: &'static str,
        description: &'static str,
        shape: S,
        is_required: bool,
    ) -> Option<S::Value> {
        match &mut self.0 {
            Mode::Reading(reading) => {
                if let Some(value) = reading.find(name) {
                    return shape.read(value, reading.faults);
                }
                if is_required {
                    self.fault(name, "is required");
                }
            }
            Mode::Describing { schema, named } => {
                **schema =
                    std::mem::take(*schema).property(name, described(shape.schema(named), description));
                if is_required {
                    **schema = std::mem::take(*schema).required(name);
                }
            }
        }
        None
    }

    /// A member of a sibling shape that must be left out here, as the schema says by not having it.
    pub(crate) fn excluded(&mut self, name: &'static str, must: &'static str) {
        if let Mode::Reading(reading) = &mut self.0
            && reading.find(name).is_some()
        {
            self.fault(name, must);
        }
    }

    /// Whether a member is there, whatever is wrong with it.
    pub(crate) fn has(&self, name: &str) -> bool {
        match &self.0 {
            Mode::Reading(reading) => has(reading.members, name),
            Mode::Describing { .. } => false,
        }
    }

    /// Notes something about a member that is not about its value alone.
    pub(crate) fn fault(&mut self, name: &'static str, must: impl Into<Cow<'static, str>>) {
        if let Mode::Reading(reading) = &mut self.0 {
            reading.faults.at(Pointer::Key(reading.at, name), must);
        }
    }
}

impl<'m> Reading<'m> {
    /// The value of a member. An explicit null means left out.
    fn find(&mut self, name: &'static str) -> Option<Value<'m>> {
        let mut found: Option<(&str, &Json<'_>)> = None;
        for (key, json) in self.members {
            if !is_called(key, name) {
                continue;
            }
            self.known += 1;
            if let Some((first, _)) = found {
                self.faults.at(Pointer::Key(self.at, key), format!("is the same member as {first}"));
            }
            found = found.filter(|(_, json)| !matches!(json, Json::Null)).or(Some((key, json)));
        }
        let (key, json) = found.filter(|(_, json)| !matches!(json, Json::Null))?;
        Some(Value { json, at: Pointer::Key(self.at, key) })
    }
}

impl<T> Shape for Object<T> {
    type Value = T;

    fn read(&self, json: Value<'_>, faults: &mut Faults) -> Option<T> {
        let Json::Object(members) = json.json else { return json.refused(faults, "must be an object") };
        let mut asked = Members(Mode::Reading(Reading { members, at: &json.at, faults, known: 0 }));
        let value = (self.members)(&mut asked);
        if let Members(Mode::Reading(reading)) = asked
            && reading.known < members.len()
        {
            self.refuse_unknown(reading);
        }
        value
    }

    fn schema(&self, named: &mut Named) -> RefOr<Schema> {
        if !named.contains_key(self.name) {
            let schema = self.own_schema(named);
            named.insert(self.name.to_owned(), schema.into());
        }
        Ref::from_schema_name(self.name).into()
    }
}

impl<T> Object<T> {
    fn own_schema(&self, named: &mut Named) -> ObjectBuilder {
        let mut schema = ObjectBuilder::new()
            .schema_type(Type::Object)
            .description(Some(self.description))
            .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)))
            .examples(serde_json::from_str::<serde_json::Value>(self.example));
        (self.members)(&mut Members(Mode::Describing { schema: &mut schema, named }));
        schema
    }

    /// A misspelt amount must never mean "all of it".
    fn refuse_unknown(&self, reading: Reading<'_>) {
        let schema = self.own_schema(&mut Named::new()).build();
        let names: Vec<&str> = schema.properties.keys().map(String::as_str).collect();
        for (key, _) in reading.members {
            if names.iter().any(|name| is_called(key, name)) {
                continue;
            }
            let detail = match nearest(key, &names) {
                Some(name) => format!("is not known here; did you mean {name}?"),
                None => "is not known here".to_owned(),
            };
            reading.faults.at(Pointer::Key(reading.at, key), detail);
        }
    }
}

impl Value<'_> {
    /// Whether it is an object with such a member that is not null.
    pub(crate) fn has(self, name: &str) -> bool {
        let Json::Object(members) = self.json else { return false };
        has(members, name)
    }
}

/// An explicit null means left out.
fn has(members: &[(Cow<'_, str>, Json<'_>)], name: &str) -> bool {
    members.iter().any(|(key, json)| is_called(key, name) && !matches!(json, Json::Null))
}

/// Names match whatever their letters' case, as in the decoders that many clients were written for.
fn is_called(key: &str, name: &str) -> bool {
    key.eq_ignore_ascii_case(name)
        || OTHER_SPELLINGS.iter().any(|(known, other)| *known == name && key.eq_ignore_ascii_case(other))
}

fn nearest<'n>(key: &str, names: &[&'n str]) -> Option<&'n str> {
    let letters = |name: &str| name.replace(['_', '-'], "").to_ascii_lowercase();
    let key = letters(key);
    let distance = |name: &&&str| strsim::damerau_levenshtein(&key, &letters(name));
    // The distance costs the product of the lengths: what is much longer than any name is not near one.
    let close = names.iter().filter(|name| key.len() <= name.len() + NEAR);
    close.min_by_key(distance).filter(|name| distance(name) <= NEAR.min(key.len() / 2)).copied()
}

/// A member's description stands beside its schema, also beside a reference.
fn described(schema: RefOr<Schema>, description: &str) -> RefOr<Schema> {
    match schema {
        RefOr::T(Schema::Object(mut object)) => {
            object.description = Some(description.to_owned());
            Schema::Object(object).into()
        }
        RefOr::T(Schema::Array(mut list)) => {
            list.description = Some(description.to_owned());
            Schema::Array(list).into()
        }
        RefOr::Ref(mut reference) => {
            reference.description = description.to_owned();
            RefOr::Ref(reference)
        }
        other => other,
    }
}
