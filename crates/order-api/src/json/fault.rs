use std::borrow::Cow;
use std::fmt::Write;

use serde::Serialize;
use utoipa::ToSchema;

/// Most faults that are told of one request: an answer is not to be much longer than its request.
const MAX_TOLD: usize = 100;

/// Everything that is wrong with one request.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    told: Vec<Fault>,
    count: usize,
}

/// One fault of a request. One of `pointer`, `parameter` and `header` says where.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub(crate) struct Fault {
    /// A JSON Pointer (RFC 6901) into the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "/items/0/Quantity")]
    pointer: Option<String>,
    /// A query parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<String>,
    /// A header field.
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<&'static str>,
    /// What is wrong.
    #[schema(example = "is required")]
    detail: Cow<'static, str>,
}

impl Faults {
    pub(crate) fn at(&mut self, pointer: Pointer<'_>, detail: impl Into<Cow<'static, str>>) {
        self.note(|| Fault { pointer: Some(pointer.to_text()), detail: detail.into(), ..Fault::default() });
    }

    pub(crate) fn parameter(&mut self, name: &str, detail: impl Into<Cow<'static, str>>) {
        self.note(|| Fault { parameter: Some(name.to_owned()), detail: detail.into(), ..Fault::default() });
    }

    pub(crate) fn header(&mut self, name: &'static str, detail: impl Into<Cow<'static, str>>) {
        self.note(|| Fault { header: Some(name), detail: detail.into(), ..Fault::default() });
    }

    fn note(&mut self, fault: impl FnOnce() -> Fault) {
        self.count += 1;
        if self.told.len() < MAX_TOLD {
            self.told.push(fault());
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many there are, in a sentence.
    pub(crate) fn summary(&self) -> String {
        match self.count {
            1 => "The request has one fault; see errors.".to_owned(),
            count if count > MAX_TOLD => {
                format!("The request has {count} faults; errors has the first {MAX_TOLD}.")
            }
            count => format!("The request has {count} faults; see errors."),
        }
    }

    /// Those that are told.
    pub(crate) fn told(self) -> Vec<Fault> {
        self.told
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
