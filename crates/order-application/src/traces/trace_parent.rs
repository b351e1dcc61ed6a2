//! `traceparent`, as W3C's Trace Context defines it (<https://www.w3.org/TR/trace-context/#traceparent-header>).

use std::fmt;

/// The name of the header, and of the extension of CloudEvents
/// (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/extensions/distributed-tracing.md>).
pub const TRACE_PARENT: &str = "traceparent";

/// Characters of a `traceparent` of version 00: `00-<trace id>-<span id>-<flags>`.
const LENGTH: usize = 55;
/// The only version whose whole form is known. Later ones begin with the same four fields.
const KNOWN_VERSION: u8 = 0;
const FORBIDDEN_VERSION: u8 = 0xff;

/// Set if whoever sent it records the trace.
const SAMPLED: u8 = 0x01;
/// Set if the trace's id is random enough to be a source of randomness for others (Trace Context, level 2).
const RANDOM: u8 = 0x02;

/// A trace's name: 16 bytes, not all of them zero. Written as 32 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceId([u8; 16]);

/// The name of a span, which is one piece of work within a trace: 8 bytes, not all of them zero. Written as 16 lower-case
/// hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanId([u8; 8]);

impl TraceId {
    /// `None` if all bytes are zero.
    pub fn new(bytes: [u8; 16]) -> Option<Self> {
        (bytes != [0; 16]).then_some(Self(bytes))
    }

    /// Its bytes.
    pub const fn bytes(self) -> [u8; 16] {
        self.0
    }
}

impl SpanId {
    /// `None` if all bytes are zero.
    pub fn new(bytes: [u8; 8]) -> Option<Self> {
        (bytes != [0; 8]).then_some(Self(bytes))
    }

    /// Its bytes.
    pub const fn bytes(self) -> [u8; 8] {
        self.0
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A place in a trace: the trace, the span that what comes next belongs under, and whether it is recorded.
///
/// ```
/// # use order_application::traces::TraceParent;
/// let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let parent = TraceParent::parse(text).unwrap();
/// assert!(parent.is_sampled());
/// assert_eq!(parent.to_string(), text);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace.
    pub trace_id: TraceId,
    /// The span.
    pub span_id: SpanId,
    flags: u8,
}

impl TraceParent {
    /// A place in a trace that is recorded.
    pub fn sampled(trace_id: TraceId, span_id: SpanId) -> Self {
        Self { trace_id, span_id, flags: SAMPLED }
    }

    /// This trace, recorded, with another span.
    pub fn sampled_with(self, span_id: SpanId) -> Self {
        Self { span_id, flags: self.flags & RANDOM | SAMPLED, ..self }
    }

    /// Reads a header's value. Of a version that is newer than this one's only what it has in common counts, so that it is
    /// written as this version has it.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let fields = bytes.get(..LENGTH)?;
        let dashes_stand_between = [2, 35, 52].iter().all(|at| fields[*at] == b'-');
        let [version] = hex(&fields[..2])?;
        let rest_is_allowed = match bytes.get(LENGTH) {
            None => true,
            Some(next) => version != KNOWN_VERSION && *next == b'-',
        };
        if !dashes_stand_between || !rest_is_allowed || version == FORBIDDEN_VERSION {
            return None;
        }
        let [flags] = hex(&fields[53..])?;
        let known_flags = if version == KNOWN_VERSION { flags } else { flags & (SAMPLED | RANDOM) };
        Some(Self {
            trace_id: TraceId::new(hex(&fields[3..35])?)?,
            span_id: SpanId::new(hex(&fields[36..52])?)?,
            flags: known_flags,
        })
    }

    /// Whether whoever sent it records the trace.
    pub const fn is_sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trace_id, span_id, flags } = self;
        write!(f, "{KNOWN_VERSION:02x}-{trace_id}-{span_id}-{flags:02x}")
    }
}

/// Reads lower-case hexadecimal digits, two for each byte.
fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    if digits.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    #[test]
    fn a_traceparent_is_written_as_it_was_read() {
        for (flags, is_sampled) in [("00", false), ("01", true), ("02", false), ("03", true), ("f0", false)] {
            let text = format!("00-{TRACE}-{SPAN}-{flags}");
            let parent = TraceParent::parse(&text).unwrap();
            assert_eq!((parent.to_string(), parent.is_sampled()), (text, is_sampled));
            assert_eq!(
                (parent.trace_id.to_string(), parent.span_id.to_string()),
                (TRACE.into(), SPAN.into())
            );
        }
    }

    #[test]
    fn of_a_newer_version_counts_what_is_known() {
        for (text, read_as) in [
            (format!("01-{TRACE}-{SPAN}-01"), "01"),
            (format!("cc-{TRACE}-{SPAN}-ff-what-the-future-brings"), "03"),
            (format!("fe-{TRACE}-{SPAN}-00-"), "00"),
        ] {
            let parent = TraceParent::parse(&text).unwrap();
            assert_eq!(parent.to_string(), format!("00-{TRACE}-{SPAN}-{read_as}"), "{text}");
        }
    }

    #[test]
    fn what_is_no_traceparent_is_none() {
        let good = format!("00-{TRACE}-{SPAN}-01");
        for text in [
            String::new(),
            "00".to_owned(),
            good[..54].to_owned(),
            format!("{good}-"),
            format!("{good}0"),
            format!("{good}-what-the-future-brings"),
            format!(" {good}"),
            format!("{good} "),
            good.to_uppercase(),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("01-{TRACE}-{SPAN}-01.x"),
            format!("0-{TRACE}-{SPAN}-001"),
            format!("0x-{TRACE}-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}-0x"),
            format!("00-{}-{SPAN}-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{TRACE}_{SPAN}-01"),
            format!("00_{TRACE}-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}_01"),
            format!("00-{}ü-{SPAN}-01", &TRACE[..30]),
            format!("00-{TRACE}-{SPAN}-01, {good}"),
        ] {
            assert_eq!(TraceParent::parse(&text), None, "{text:?}");
        }
    }
}
