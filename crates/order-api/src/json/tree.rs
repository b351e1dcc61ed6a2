use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use order_domain::MAX_CENTS;
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A JSON value that borrows what it can from the bytes it was read from.
#[derive(Debug, PartialEq)]
pub(crate) enum Json<'a> {
    Null,
    Bool(bool),
    /// A whole number within ±(2^53 − 1), however it is written: beyond that, other decoders would read another one.
    Integer(i64),
    /// Any other number; no member takes one.
    OtherNumber,
    Text(Cow<'a, str>),
    List(Vec<Json<'a>>),
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

/// Reads a whole body.
///
/// # Errors
/// Says where and why the bytes are not JSON: syntax, bad UTF-8, deeper than 127 levels, a number beyond every type,
/// a key twice in one object.
pub(crate) fn parse(body: &[u8]) -> Result<Json<'_>, serde_json::Error> {
    serde_json::from_slice(body)
}

impl<'de> Deserialize<'de> for Json<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Json<'de>, E> {
        Ok(if (-MAX_CENTS..=MAX_CENTS).contains(&number) { Json::Integer(number) } else { Json::OtherNumber })
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Json<'de>, E> {
        i64::try_from(number).map_or(Ok(Json::OtherNumber), |number| self.visit_i64(number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Json<'de>, E> {
        let is_whole = number.fract() == 0.0 && number.abs() <= MAX_CENTS as f64;
        Ok(if is_whole { Json::Integer(number as i64) } else { Json::OtherNumber })
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json<'de>, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(Json::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Json<'de>, A::Error> {
        let mut pairs: Vec<(Cow<'de, str>, Json<'de>)> = Vec::new();
        while let Some(Key(key)) = object.next_key()? {
            if pairs.len() < FEW_KEYS && pairs.iter().any(|(earlier, _)| *earlier == key) {
                return Err(duplicate_key());
            }
            pairs.push((key, object.next_value()?));
        }
        if pairs.len() > FEW_KEYS && has_duplicate_keys(&pairs) {
            return Err(duplicate_key());
        }
        Ok(Json::Object(pairs))
    }
}

/// Up to so many keys are compared one by one; more would make a large hostile object cost its square.
const FEW_KEYS: usize = 16;

fn has_duplicate_keys(pairs: &[(Cow<'_, str>, Json<'_>)]) -> bool {
    let mut seen = HashSet::with_capacity(pairs.len());
    !pairs.iter().all(|(key, _)| seen.insert(&**key))
}

fn duplicate_key<E: Error>() -> E {
    E::custom("a key stands twice in one object")
}

/// A key that borrows if it can: without the attribute, a `Cow` always copies.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refuses(body: &[u8], reason: &str) {
        let error = parse(body).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }

    #[test]
    fn texts_without_escapes_are_borrowed() {
        let Json::Object(pairs) = parse(br#"{"a":"b","\u0063":"\u0064"}"#).unwrap() else { panic!() };
        assert!(matches!(&pairs[0], (Cow::Borrowed("a"), Json::Text(Cow::Borrowed("b")))), "{pairs:?}");
        assert!(
            matches!(&pairs[1], (Cow::Owned(key), Json::Text(Cow::Owned(text))) if key == "c" && text == "d")
        );
    }

    #[test]
    fn whole_numbers_of_53_bits_are_integers_however_they_are_written() {
        for (text, number) in [
            ("3000.0", 3000),
            ("3e3", 3000),
            ("-30.00e2", -3000),
            ("-0.0", 0),
            ("9007199254740991", MAX_CENTS),
            ("-9007199254740991.0", -MAX_CENTS),
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap(), Json::Integer(number), "{text}");
        }
        for other in
            ["3000.5", "1e-1", "9007199254740992", "-9007199254740992.0", "1e16", "18446744073709551616"]
        {
            assert_eq!(parse(other.as_bytes()).unwrap(), Json::OtherNumber, "{other}");
        }
        refuses(b"1e400", "number out of range");
    }

    #[test]
    fn a_key_stands_once_in_small_and_large_objects_at_any_depth() {
        refuses(br#"[{"x":{"a":1,"b":2,"\u0061":3}}]"#, "twice");
        for keys in [FEW_KEYS - 1, FEW_KEYS, FEW_KEYS + 1, 100] {
            let mut members: Vec<_> = (0..keys).map(|i| format!(r#""k{i}":{i}"#)).collect();
            assert!(parse(format!("{{{}}}", members.join(",")).as_bytes()).is_ok());
            members.push(r#""k0":0"#.to_owned());
            refuses(format!("{{{}}}", members.join(",")).as_bytes(), "twice");
        }
    }

    #[test]
    fn what_is_not_json_is_refused() {
        refuses(b"", "EOF");
        refuses(b"{} x", "trailing");
        refuses(b"\"\xff\"", "unicode");
        refuses(b"\"a\0b\"", "control character");
        refuses("[".repeat(100_000).as_bytes(), "recursion limit");
    }
}
