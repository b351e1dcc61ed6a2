//! For whom proxies say that they ask: `X-Forwarded-For`, and `Forwarded` (RFC 7239).
//!
//! What stands on the left is hearsay, and may be made to look like what a proxy has added on the right. So fields are read
//! strictly: a hop in which anything is not as it must be is none, and whoever wrote it stands for it.

use std::borrow::Cow;
use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// Most hops that are looked at, from the right.
pub(super) const MAX_HOPS: usize = 32;

pub(super) static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The hops of `X-Forwarded-For` from the right; `None` for those that cannot be read.
pub(super) fn x_forwarded_for(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let fields = from_right(headers, &X_FORWARDED_FOR);
    let hops = fields.flat_map(|field| field.as_bytes().rsplit(|byte| *byte == b','));
    hops.take(MAX_HOPS).map(|hop| address(str::from_utf8(hop).ok()?.trim())).collect()
}

/// The hops of `Forwarded` from the right; `None` for those that cannot be read.
pub(super) fn forwarded(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let hops = from_right(headers, &header::FORWARDED).flat_map(|field| {
        // Nobody knows where the last hop begins in a field whose quotes do not end.
        let hops = split_outside_quotes(field.as_bytes(), b',').unwrap_or_else(|| vec![b"\""]);
        hops.into_iter().rev()
    });
    hops.take(MAX_HOPS).map(forwarded_for).collect()
}

/// Several fields of a name are one list.
fn from_right<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'h HeaderValue> + use<'h> {
    headers.get_all(name).iter().collect::<Vec<_>>().into_iter().rev()
}

/// `for=192.0.2.60;proto=http`, `for="[2001:db8::1]:4711"`.
fn forwarded_for(hop: &[u8]) -> Option<IpAddr> {
    let mut found = None;
    for pair in split_outside_quotes(hop, b';')?.into_iter().map(<[u8]>::trim_ascii) {
        if pair.is_empty() {
            continue;
        }
        let (name, value) = pair.split_at(pair.iter().position(|byte| *byte == b'=')?);
        let value = unquoted(&value[1..])?;
        if !is_plain(name) {
            return None;
        }
        // Named twice, it is not known whom it is for.
        if name.eq_ignore_ascii_case(b"for") && found.replace(value).is_some() {
            return None;
        }
    }
    address(str::from_utf8(&found?).ok()?)
}

/// Parts of a text between separators, those in quotes left out of account. `None`: a quote has no end.
fn split_outside_quotes(text: &[u8], separator: u8) -> Option<Vec<&[u8]>> {
    let (mut parts, mut begin) = (Vec::new(), 0);
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (place, &byte) in text.iter().enumerate() {
        if is_escaped {
            is_escaped = false;
        } else if is_quoted && byte == b'\\' {
            is_escaped = true;
        } else if byte == b'"' {
            is_quoted = !is_quoted;
        } else if byte == separator && !is_quoted {
            parts.push(&text[begin..place]);
            begin = place + 1;
        }
    }
    parts.push(&text[begin..]);
    (!is_quoted).then_some(parts)
}

/// A value: a word, or one text in quotes and nothing beside it.
fn unquoted(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    let Some(rest) = value.strip_prefix(b"\"") else { return is_plain(value).then_some(value.into()) };
    let (mut text, mut bytes) = (Vec::with_capacity(rest.len()), rest.iter());
    loop {
        match *bytes.next()? {
            b'"' => return bytes.as_slice().is_empty().then_some(text.into()),
            b'\\' => text.push(*bytes.next()?),
            byte => text.push(byte),
        }
    }
}

/// Some proxies leave the quotes out that `:`, `[` and `]` would need; more is not looked past.
fn is_plain(word: &[u8]) -> bool {
    !word.is_empty()
        && word.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:[]/".contains(byte))
}

/// An address, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let host = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        None => match text.split_once(':') {
            Some((host, port)) if !port.contains(':') => host,
            Some(_) | None => text,
        },
    };
    host.parse().ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hops of `Forwarded` from the left, `-` for those that cannot be read.
    fn hops(fields: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(header::FORWARDED, field.parse().unwrap());
        }
        let hops = forwarded(&headers).into_iter().rev();
        hops.map(|hop| hop.map_or_else(|| "-".to_owned(), |hop| hop.to_string()))
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn what_stands_in_quotes_is_no_hop_and_no_pair() {
        for (field, read) in [
            (r#"for=198.51.100.7;host="x,for=77.7.7.1""#, "198.51.100.7"),
            (r#"for=198.51.100.7;host="x;for=77.7.7.1""#, "198.51.100.7"),
            (r#"host="a\",for=77.7.7.1,b";for=198.51.100.7"#, "198.51.100.7"),
            (r#"for="198.51.100.7";by="\"""#, "198.51.100.7"),
            (r#"for="\[2001:db8::1\]:4711""#, "2001:db8::1"),
            (r#"for=1.1.1.1, for="198.51.100.7:80" ,for=[2001:db8::2]"#, "1.1.1.1 198.51.100.7 2001:db8::2"),
            ("for=198.51.100.7; ;proto=http;", "198.51.100.7"),
        ] {
            assert_eq!(hops(&[field]), read, "{field}");
        }
    }

    #[test]
    fn a_hop_with_anything_wrong_in_it_cannot_be_read() {
        for (field, read) in [
            (r#"for=77.7.7.1;host=", for=198.51.100.7"#, "-"),
            (r#"for=77.7.7.1;host=", for=198.51.100.7;host="shop.example""#, "-"),
            (r#"for=198.51.100.7;host=shop"example""#, "-"),
            (r#"for="198.51.100.7"0"#, "-"),
            (r#"for=198.51.100.7"#, "198.51.100.7"),
            ("for=198.51.100.7;for=77.7.7.1", "-"),
            ("for=198.51.100.7;secret", "-"),
            ("for = 198.51.100.7", "-"),
            ("proto=http", "-"),
            ("for=198.51.100.7,", "198.51.100.7 -"),
        ] {
            assert_eq!(hops(&[field]), read, "{field}");
        }
        let two = [r#"for=77.7.7.1;host=""#, "for=198.51.100.7"];
        assert_eq!(hops(&two), "- 198.51.100.7", "what one field leaves open does not reach into the next");
    }
}
