//! Shapes: what a JSON value has to be. Each is declared once, and gives the reader and the schema.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::ops::RangeInclusive;
use std::str::FromStr;

use order_domain::{MAX_TEXT_CHARS, TextError};
use utoipa::openapi::schema::{ArrayBuilder, KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Schema};

use super::{Faults, Json, Pointer};

/// What a value has to be.
pub(crate) trait Shape {
    type Value;

    /// Takes the value out. `None` means that a fault was noted.
    fn read(&self, json: Value<'_>, faults: &mut Faults) -> Option<Self::Value>;

    /// Its schema. A shape that has a name puts its own under that name, and gives a reference to it.
    fn schema(&self, named: &mut Named) -> RefOr<Schema>;
}

/// Schemas by name.
pub(crate) type Named = BTreeMap<String, RefOr<Schema>>;

/// A value that is not null, and where it stands in the body.
#[derive(Clone, Copy)]
pub(crate) struct Value<'j> {
    pub(crate) json: &'j Json<'j>,
    pub(crate) at: Pointer<'j>,
}

impl<'j> Value<'j> {
    /// A text as it stands.
    pub(crate) fn string(self, faults: &mut Faults) -> Option<&'j str> {
        let Json::Text(text) = self.json else { return self.refused(faults, "must be a string") };
        Some(text)
    }

    /// Notes what is wrong with it.
    pub(crate) fn refused<T>(self, faults: &mut Faults, must: impl Into<Cow<'static, str>>) -> Option<T> {
        faults.at(self.at, must);
        None
    }
}

/// A shape that several members share is declared once and lent to them.
impl<S: Shape> Shape for &S {
    type Value = S::Value;

    fn read(&self, json: Value<'_>, faults: &mut Faults) -> Option<S::Value> {
        (**self).read(json, faults)
    }

    fn schema(&self, named: &mut Named) -> RefOr<Schema> {
        (**self).schema(named)
    }
}

/// A text that the domain checks: a name, unless another pattern is given.
pub(crate) const fn text<T: FromStr<Err = TextError>>() -> Text<T> {
    Text { pattern: NAME, max_chars: MAX_TEXT_CHARS, of: PhantomData }
}

/// No control characters, and no white space at either end. (That something in it can be seen is for the description.)
/// The spaces are Unicode's: `\s` has the byte order mark besides, and other spaces in each language.
pub(crate) const NAME: &str = r"^[^ \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]*[^ \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\x00-\x1f\x7f-\x9f])?$";

/// What travels in paths, besides that it is not `.` or `..`.
pub(crate) const PATH_ID: &str = "^[A-Za-z0-9._~:-]+$";

pub(crate) struct Text<T> {
    pattern: &'static str,
    max_chars: usize,
    of: PhantomData<fn() -> T>,
}

impl<T> Text<T> {
    pub(crate) const fn pattern(self, pattern: &'static str) -> Self {
        Self { pattern, ..self }
    }

    pub(crate) const fn at_most(self, max_chars: usize) -> Self {
        Self { max_chars, ..self }
    }
}

impl<T: FromStr<Err = TextError>> Shape for Text<T> {
    type Value = T;

    fn read(&self, json: Value<'_>, faults: &mut Faults) -> Option<T> {
        match json.string(faults)?.parse() {
            Ok(value) => Some(value),
            Err(error) => json.refused(faults, error.to_string()),
        }
    }

    fn schema(&self, _: &mut Named) -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String);
        text.min_length(Some(1)).max_length(Some(self.max_chars)).pattern(Some(self.pattern)).into()
    }
}

/// A whole number in a range, of which `convert` makes a value of the domain.
pub(crate) const fn integer<T>(range: RangeInclusive<i64>, convert: fn(i64) -> Option<T>) -> Integer<T> {
    Integer { range, convert }
}

pub(crate) struct Integer<T> {
    range: RangeInclusive<i64>,
    convert: fn(i64) -> Option<T>,
}

impl<T> Shape for Integer<T> {
    type Value = T;

    fn read(&self, json: Value<'_>, faults: &mut Faults) -> Option<T> {
        let (least, most) = (self.range.start(), self.range.end());
        if let Json::Integer(number) = json.json
            && self.range.contains(number)
            && let Some(value) = (self.convert)(*number)
        {
            return Some(value);
        }
        json.refused(faults, format!("must be a whole number from {least} to {most}"))
    }

    fn schema(&self, _: &mut Named) -> RefOr<Schema> {
        let fits = i32::try_from(*self.range.end()).is_ok();
        let format = SchemaFormat::KnownFormat(if fits { KnownFormat::Int32 } else { KnownFormat::Int64 });
        let number = ObjectBuilder::new().schema_type(Type::Integer).format(Some(format));
        number.minimum(Some(*self.range.start())).maximum(Some(*self.range.end())).into()
    }
}

/// Yes or no.
pub(crate) const BOOLEAN: Boolean = Boolean;

pub(crate) struct Boolean;

impl Shape for Boolean {
    type Value = bool;

    fn read(&self, json: Value<'_>, faults: &mut Faults) -> Option<bool> {
        let Json::Bool(boolean) = json.json else { return json.refused(faults, "must be true or false") };
        Some(*boolean)
    }

    fn schema(&self, _: &mut Named) -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Boolean).into()
    }
}

/// One of a few words.
pub(crate) const fn words<T: 'static>(words: &'static [(&'static str, T)]) -> Words<T> {
    Words(words)
}

pub(crate) struct Words<T: 'static>(&'static [(&'static str, T)]);

impl<T: Copy> Shape for Words<T> {
    type Value = T;

    fn read(&self, json: Value<'_>, faults: &mut Faults) -> Option<T> {
        let text = json.string(faults)?;
        let found = self.0.iter().find(|(word, _)| *word == text);
        let all = || self.0.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        found.map(|(_, value)| *value).or_else(|| json.refused(faults, format!("must be one of {}", all())))
    }

    fn schema(&self, _: &mut Named) -> RefOr<Schema> {
        let words = self.0.iter().map(|(word, _)| *word);
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).into()
    }
}

/// A list. One of another length than allowed is not read further.
pub(crate) const fn list<S: Shape>(length: RangeInclusive<usize>, element: S) -> List<S> {
    List { length, element }
}

pub(crate) struct List<S> {
    length: RangeInclusive<usize>,
    element: S,
}

impl<S: Shape> Shape for List<S> {
    type Value = Vec<S::Value>;

    fn read(&self, json: Value<'_>, faults: &mut Faults) -> Option<Vec<S::Value>> {
        let Json::List(elements) = json.json else { return json.refused(faults, "must be a list") };
        if !self.length.contains(&elements.len()) {
            let (least, most) = (self.length.start(), self.length.end());
            return json.refused(faults, format!("must have {least} to {most} entries"));
        }
        let mut values = Vec::with_capacity(elements.len());
        for (index, element) in elements.iter().enumerate() {
            let at = Pointer::Index(&json.at, index);
            values.extend(self.element.read(Value { json: element, at }, faults));
        }
        (values.len() == elements.len()).then_some(values)
    }

    fn schema(&self, named: &mut Named) -> RefOr<Schema> {
        let list = ArrayBuilder::new().items(self.element.schema(named));
        list.min_items(Some(*self.length.start())).max_items(Some(*self.length.end())).into()
    }
}
