use std::borrow::Cow;
use std::ops::RangeInclusive;

use order_domain::TextError;

use super::{Faults, Json, Pointer};

/// A field by its spellings; the first is the one that documents and faults name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field(pub(crate) &'static [&'static str]);

/// The members of an object, and where it stands in the body.
#[derive(Clone, Copy)]
pub(crate) struct Object<'j> {
    members: &'j [(Cow<'j, str>, Json<'j>)],
    at: Pointer<'j>,
}

/// A value that is not null, and where it stands in the body.
#[derive(Clone, Copy)]
pub(crate) struct Value<'j> {
    json: &'j Json<'j>,
    at: Pointer<'j>,
}

impl<'j> Object<'j> {
    /// The whole body, which must be an object.
    pub(crate) fn body(json: &'j Json<'j>, faults: &mut Faults) -> Option<Self> {
        Value { json, at: Pointer::Root }.object(faults)
    }

    /// Reads a field that must be there. `None` means that a fault was noted.
    pub(crate) fn required<T>(
        &self,
        field: Field,
        faults: &mut Faults,
        read: impl FnOnce(Value<'_>, &mut Faults) -> Option<T>,
    ) -> Option<T> {
        match self.find(field, faults) {
            Some((name, json)) => read(Value { json, at: Pointer::Key(&self.at, name) }, faults),
            None => {
                faults.at(Pointer::Key(&self.at, field.0[0]), "is required");
                None
            }
        }
    }

    /// Reads a field that may be left out. `None` means that it was, or that a fault was noted.
    pub(crate) fn optional<T>(
        &self,
        field: Field,
        faults: &mut Faults,
        read: impl FnOnce(Value<'_>, &mut Faults) -> Option<T>,
    ) -> Option<T> {
        let (name, json) = self.find(field, faults)?;
        read(Value { json, at: Pointer::Key(&self.at, name) }, faults)
    }

    /// Whether a field is there and not null.
    pub(crate) fn has(&self, field: Field) -> bool {
        self.members.iter().any(|(key, json)| field.0.contains(&&**key) && !matches!(json, Json::Null))
    }

    /// Notes something about a field that is not about its value alone.
    pub(crate) fn fault(&self, field: Field, faults: &mut Faults, detail: impl Into<Cow<'static, str>>) {
        faults.at(Pointer::Key(&self.at, field.0[0]), detail);
    }

    /// Every member, as a map of its own.
    pub(crate) fn members(&self) -> impl ExactSizeIterator<Item = (&'j str, &'j Json<'j>)> {
        self.members.iter().map(|(key, json)| (&**key, json))
    }

    /// The value of a member of a map.
    pub(crate) fn with_member<T>(
        &self,
        (key, json): (&str, &Json<'_>),
        read: impl FnOnce(Value<'_>) -> T,
    ) -> T {
        read(Value { json, at: Pointer::Key(&self.at, key) })
    }

    /// An explicit null means left out.
    fn find(&self, field: Field, faults: &mut Faults) -> Option<(&'static str, &'j Json<'j>)> {
        let mut found = None;
        for (key, json) in self.members {
            let Some(name) = field.0.iter().find(|name| **name == *key) else { continue };
            if matches!(json, Json::Null) {
                continue;
            }
            if let Some((earlier, _)) = found {
                faults.at(Pointer::Key(&self.at, name), format!("is the same field as {earlier}"));
            } else {
                found = Some((*name, json));
            }
        }
        found
    }
}

impl<'j> Value<'j> {
    /// A text, checked by the domain.
    pub(crate) fn text<T>(
        self,
        faults: &mut Faults,
        new: impl FnOnce(&'j str) -> Result<T, TextError>,
    ) -> Option<T> {
        new(self.string(faults)?).map_err(|error| self.fault(faults, error.to_string())).ok()
    }

    /// A text as it stands.
    pub(crate) fn string(self, faults: &mut Faults) -> Option<&'j str> {
        match self.json {
            Json::Text(text) => Some(text),
            Json::Null
            | Json::Bool
            | Json::Integer(_)
            | Json::OtherNumber
            | Json::List(_)
            | Json::Object(_) => self.refused(faults, "must be a string"),
        }
    }

    /// A whole number in a range.
    pub(crate) fn integer(self, faults: &mut Faults, range: RangeInclusive<i64>) -> Option<i64> {
        match self.json {
            Json::Integer(number) if range.contains(number) => Some(*number),
            Json::Integer(_) | Json::OtherNumber => {
                let (least, most) = range.into_inner();
                self.refused(
                    faults,
                    format!("must be a whole number from {least} to {most}, without fraction or exponent"),
                )
            }
            Json::Null | Json::Bool | Json::Text(_) | Json::List(_) | Json::Object(_) => {
                self.refused(faults, "must be a whole number")
            }
        }
    }

    /// A list of objects, each read by `read`. A list of another length than allowed is not read further.
    pub(crate) fn objects<T>(
        self,
        faults: &mut Faults,
        length: RangeInclusive<usize>,
        mut read: impl FnMut(Object<'_>, &mut Faults) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Json::List(elements) = self.json else { return self.refused(faults, "must be a list") };
        if !length.contains(&elements.len()) {
            let (least, most) = length.into_inner();
            return self.refused(faults, format!("must have {least} to {most} entries"));
        }
        let mut values = Vec::with_capacity(elements.len());
        for (index, json) in elements.iter().enumerate() {
            let element = Value { json, at: Pointer::Index(&self.at, index) };
            values.extend(element.object(faults).and_then(|object| read(object, faults)));
        }
        (values.len() == elements.len()).then_some(values)
    }

    /// An object.
    pub(crate) fn object(self, faults: &mut Faults) -> Option<Object<'j>> {
        match self.json {
            Json::Object(members) => Some(Object { members, at: self.at }),
            Json::Null
            | Json::Bool
            | Json::Integer(_)
            | Json::OtherNumber
            | Json::Text(_)
            | Json::List(_) => self.refused(faults, "must be an object"),
        }
    }

    /// Notes what is wrong with this value.
    pub(crate) fn fault(&self, faults: &mut Faults, detail: impl Into<Cow<'static, str>>) {
        faults.at(self.at, detail);
    }

    fn refused<T>(self, faults: &mut Faults, detail: impl Into<Cow<'static, str>>) -> Option<T> {
        self.fault(faults, detail);
        None
    }
}
