//! `tracestate`, as W3C's Trace Context defines it (<https://www.w3.org/TR/trace-context/#tracestate-header>).

use std::sync::Arc;

/// The name of the header, and of the extension of CloudEvents.
pub const TRACE_STATE: &str = "tracestate";

/// Longest list that is handed on: what the recommendation wants everybody to hand on at least. It is kept with every event.
const MAX_BYTES: usize = 512;
/// Most members of a list.
const MAX_MEMBERS: usize = 32;
/// Longest name of a member, and longest value.
const MAX_NAME_BYTES: usize = 256;
const MAX_VALUE_BYTES: usize = 256;

/// What tracing systems have to say to each other, `name=value` each, separated by commas. Nobody else looks into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceState(Arc<str>);

impl TraceState {
    /// Reads the values of all headers of this name, which together are one list. `None` if it is empty, too long, or no such
    /// list: then nothing of it can be trusted.
    pub fn parse<'a>(values: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut list = String::new();
        let mut names: Vec<&str> = Vec::new();
        let members = values.into_iter().flat_map(|value| value.split(','));
        for member in members.map(|member| member.trim_matches([' ', '\t'])) {
            // Empty ones are allowed.
            if member.is_empty() {
                continue;
            }
            let (name, value) =
                member.split_once('=').filter(|(name, value)| is_name(name) && is_value(value))?;
            if names.contains(&name) || names.len() == MAX_MEMBERS {
                return None;
            }
            names.push(name);
            if !list.is_empty() {
                list.push(',');
            }
            list.extend([name, "=", value]);
            if list.len() > MAX_BYTES {
                return None;
            }
        }
        (!list.is_empty()).then(|| Self(list.into()))
    }

    /// The list, as it is written in a header.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_name(name: &str) -> bool {
    let begins_well =
        name.as_bytes().first().is_some_and(|first| first.is_ascii_lowercase() || first.is_ascii_digit());
    let is_allowed = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-' | b'*' | b'/' | b'@')
    };
    begins_well && name.len() <= MAX_NAME_BYTES && name.bytes().all(is_allowed)
}

/// Visible ASCII and spaces. Commas do not come here, and spaces at its end were taken off.
fn is_value(value: &str) -> bool {
    let is_allowed = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'=';
    (1..=MAX_VALUE_BYTES).contains(&value.len()) && value.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Option<String> {
        TraceState::parse(values.iter().copied()).map(|state| state.as_str().to_owned())
    }

    #[test]
    fn a_list_is_read_from_all_its_headers() {
        assert_eq!(read(&["a=1"]).as_deref(), Some("a=1"));
        assert_eq!(
            read(&["rojo=00f067aa0ba902b7 , ,\tt61@x/y*_-=!\"#~ x", "", "9=z "]).as_deref(),
            Some("rojo=00f067aa0ba902b7,t61@x/y*_-=!\"#~ x,9=z")
        );
    }

    #[test]
    fn what_is_no_list_or_too_long_is_none() {
        let member = |name: usize, value: usize| format!("{}={}", "a".repeat(name), "b".repeat(value));
        let many = |members: usize| (0..members).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
        for good in [member(255, 256), member(256, 255), many(32)] {
            assert_eq!(read(&[&good]), Some(good.clone()));
        }
        for bad in [
            "", " ", ",", "a", "a=", "=b", "A=b", "ü=b", "a=ü", "a=b=c", "a=b\u{7}", "a=\u{7f}", "a b=c",
            "a=1,a=2", "a=1,b", "_a=b",
        ] {
            assert_eq!(read(&[bad]), None, "{bad:?}");
        }
        for bad in [member(257, 1), member(1, 257), many(33), format!("{},c=d", member(254, 255))] {
            assert_eq!(read(&[&bad]), None, "{bad:?}");
        }
        assert_eq!(read(&["a=1", "a=2"]), None, "one list, and a name twice");
    }
}
