use std::borrow::Cow;
use std::fmt::Write;

use super::push_string;

/// Everything that is wrong with one request.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Fault>);

/// One thing that is wrong, and where.
#[derive(Debug)]
pub(crate) struct Fault {
    place: Place,
    detail: Cow<'static, str>,
}

#[derive(Debug)]
enum Place {
    /// A JSON Pointer (RFC 6901) into the body.
    Body(String),
    /// A query parameter.
    Query(String),
    /// A header field.
    Header(&'static str),
}

impl Faults {
    pub(crate) fn at(&mut self, pointer: Pointer<'_>, detail: impl Into<Cow<'static, str>>) {
        self.0.push(Fault { place: Place::Body(pointer.to_text()), detail: detail.into() });
    }

    pub(crate) fn parameter(&mut self, name: &str, detail: impl Into<Cow<'static, str>>) {
        self.0.push(Fault { place: Place::Query(name.to_owned()), detail: detail.into() });
    }

    pub(crate) fn header(&mut self, name: &'static str, detail: impl Into<Cow<'static, str>>) {
        self.0.push(Fault { place: Place::Header(name), detail: detail.into() });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn as_slice(&self) -> &[Fault] {
        &self.0
    }
}

impl Fault {
    /// Writes `{"pointer":…,"detail":…}`, or with `parameter` or `header` in the pointer's place.
    pub(crate) fn write(&self, out: &mut String) {
        let (member, name) = match &self.place {
            Place::Body(pointer) => ("{\"pointer\":", pointer.as_str()),
            Place::Query(name) => ("{\"parameter\":", name.as_str()),
            Place::Header(name) => ("{\"header\":", *name),
        };
        out.push_str(member);
        push_string(out, name);
        out.push_str(",\"detail\":");
        push_string(out, &self.detail);
        out.push('}');
    }
}

/// A place in the body, as steps that are only written out when something is wrong there.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pointer<'p> {
    Root,
    Key(&'p Pointer<'p>, &'p str),
    Index(&'p Pointer<'p>, usize),
}

impl Pointer<'_> {
    pub(crate) fn to_text(self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        text
    }

    fn write(self, out: &mut String) {
        match self {
            Pointer::Root => {}
            Pointer::Key(parent, key) => {
                parent.write(out);
                out.push('/');
                for c in key.chars() {
                    match c {
                        '~' => out.push_str("~0"),
                        '/' => out.push_str("~1"),
                        c => out.push(c),
                    }
                }
            }
            Pointer::Index(parent, index) => {
                parent.write(out);
                // Writing to a String cannot fail.
                let _ = write!(out, "/{index}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_escapes_as_rfc_6901_says() {
        assert_eq!(Pointer::Root.to_text(), "");
        let items = Pointer::Key(&Pointer::Root, "a/b~c");
        assert_eq!(Pointer::Key(&Pointer::Index(&items, 3), "").to_text(), "/a~1b~0c/3/");
    }
}
