//! HTTP/2 by hand (RFC 9113), for clients that no library would be.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::ops::Range;

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const PRIORITY: u8 = 0x2;
const RST_STREAM: u8 = 0x3;
const SETTINGS: u8 = 0x4;
const PING: u8 = 0x6;
const GOAWAY: u8 = 0x7;
const WINDOW_UPDATE: u8 = 0x8;
const CONTINUATION: u8 = 0x9;

const END_STREAM: u8 = 0x1;
const ACK: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The preface of a client that takes nothing of any answer until it says so, which it never does.
pub(super) fn preface_of_one_that_takes_nothing() -> Vec<u8> {
    preface_of_one_that_takes(0)
}

/// The same of so many bytes of each.
pub(super) fn preface_of_one_that_takes(bytes: u32) -> Vec<u8> {
    const INITIAL_WINDOW_SIZE: [u8; 2] = [0, 4];
    let window = [&INITIAL_WINDOW_SIZE[..], &bytes.to_be_bytes()].concat();
    [PREFACE, &frame(SETTINGS, 0, 0, &window)].concat()
}

/// No settings at all.
pub(super) fn settings() -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[])
}

pub(super) fn ping() -> Vec<u8> {
    frame(PING, 0, 0, &[7; 8])
}

/// A stream that nobody has begun is to depend on none.
pub(super) fn priority() -> Vec<u8> {
    frame(PRIORITY, 0, stream(0), &[0; 5])
}

/// The fields of `GET path`, in HPACK (RFC 7541) without compression.
fn get_fields(path: &str) -> Vec<u8> {
    let length = u8::try_from(path.len()).ok().filter(|length| *length < 127).expect("a short path");
    let host = b"e2e";
    [&[0x82, 0x86, 0x04, length], path.as_bytes(), &[0x01, host.len() as u8], host].concat()
}

/// The number of a client's request, from 0, as a stream's.
fn stream(request: u32) -> u32 {
    2 * request + 1
}

/// A whole request.
pub(super) fn get(request: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream(request), &get_fields(path))
}

/// A whole request for a live feed.
pub(super) fn follow(request: u32, path: &str) -> Vec<u8> {
    /// `accept`, which has number 19 in the static table (RFC 7541, A), as a literal without indexing.
    const ACCEPT: [u8; 2] = [0x0f, 0x04];
    let feed = b"text/event-stream";
    let fields = [&get_fields(path)[..], &ACCEPT, &[feed.len() as u8], feed].concat();
    frame(HEADERS, END_HEADERS | END_STREAM, stream(request), &fields)
}

/// The head of an order with many fields that have nothing to say. Its body is to come.
pub(super) fn begin_order_with_fields(request: u32, count: usize) -> Vec<u8> {
    let path = b"/orders";
    let json = b"application/json";
    let mut payload = [&[0x83, 0x86, 0x04, path.len() as u8], &path[..], b"\x01\x03e2e"].concat();
    payload.extend([&[0x0f, 0x10, json.len() as u8], &json[..]].concat());
    let letter = |number: usize| b'a' + (number % 26) as u8;
    // Literal fields without indexing (RFC 7541, 6.2.2): a new name of two letters, and an empty value.
    payload.extend((0..count).flat_map(|number| [0, 2, letter(number / 26), letter(number), 0]));
    frame(HEADERS, END_HEADERS, stream(request), &payload)
}

/// The same of what the client has said before: a byte for each field.
pub(super) fn begin_orders_with_known_fields(requests: Range<u32>, count: usize) -> Vec<u8> {
    // They are remembered (RFC 7541, 6.2.1), the newest at 62 (2.3.3).
    let first = b"\x83\x86\x44\x07/orders\x41\x03e2e\x40\x01x\x01v";
    let (later, newest) = (b"\x83\x86\xc0\xbf", 0x80 | 62);
    let head = |request: u32| {
        let mut payload = if request == requests.start { first.to_vec() } else { later.to_vec() };
        payload.resize(payload.len() + count, newest);
        frame(HEADERS, END_HEADERS, stream(request), &payload)
    };
    requests.clone().flat_map(head).collect()
}

/// The whole body of a request.
pub(super) fn body(request: u32, bytes: usize) -> Vec<u8> {
    frame(DATA, END_STREAM, stream(request), &vec![b'x'; bytes])
}

/// The head of an order with a query of so many bytes. Its body is to come.
pub(super) fn begin_order_with_query(request: u32, bytes: usize) -> Vec<u8> {
    let path = [&b"/orders?"[..], &vec![b'q'; bytes]].concat();
    // A length of several bytes (RFC 7541, 5.1).
    let rest = path.len() - 127;
    let length = [0x7f, 0x80 | (rest % 128) as u8, (rest / 128) as u8];
    let payload = [&[0x83, 0x86, 0x04], &length[..], &path, b"\x01\x03e2e"].concat();
    frame(HEADERS, END_HEADERS, stream(request), &payload)
}

/// `GET /health` with `accept` (without a value) so many times, a byte each. The head is to be continued.
pub(super) fn begin_head_of_short_fields(request: u32, count: usize) -> Vec<u8> {
    /// Number 19 of the static table (RFC 7541, 6.1 and A).
    const ACCEPT: u8 = 0x80 | 19;
    let mut payload = get_fields("/health");
    payload.resize(payload.len() + count, ACCEPT);
    frame(HEADERS, END_STREAM, stream(request), &payload)
}

/// The end of a head that was begun.
pub(super) fn end_head(request: u32) -> Vec<u8> {
    frame(CONTINUATION, END_HEADERS, stream(request), &[])
}

/// A frame of a kind that nobody knows, which is to be ignored.
pub(super) fn unknown(bytes: usize) -> Vec<u8> {
    frame(0xff, 0, 0, &vec![0; bytes])
}

/// Takes frames as they come, until so many answers have begun or the connection is over. How many have.
pub(super) fn take_heads(stream: &mut TcpStream, count: usize) -> usize {
    take_frames(stream, count, |kind, _| kind == HEADERS)
}

/// The same, until so many answers are over.
pub(super) fn take_answers(stream: &mut TcpStream, count: usize) -> usize {
    take_frames(stream, count, |kind, flags| matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0)
}

fn take_frames(stream: &mut TcpStream, count: usize, counts: impl Fn(u8, u8) -> bool) -> usize {
    let mut taken = 0;
    while taken < count
        && let Some((kind, flags)) = take_frame(stream)
    {
        taken += usize::from(counts(kind, flags));
    }
    taken
}

/// Takes frames as they come until a request is reset. `false` if the connection is over before.
pub(super) fn is_reset(stream: &mut TcpStream) -> bool {
    std::iter::from_fn(|| take_frame(stream)).any(|(kind, _)| kind == RST_STREAM)
}

/// The next frame's kind and flags.
fn take_frame(stream: &mut TcpStream) -> Option<(u8, u8)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    stream.read_exact(&mut vec![0; length]).ok()?;
    Some((head[3], head[4]))
}

/// More may be sent of one answer, or of all.
pub(super) fn take(request: Option<u32>, bytes: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, request.map_or(0, stream), &bytes.to_be_bytes())
}

/// There will be no further request.
pub(super) fn go_away() -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[0; 8])
}

/// It is taken back.
pub(super) fn take_back(request: u32) -> Vec<u8> {
    const CANCEL: [u8; 4] = 8u32.to_be_bytes();
    frame(RST_STREAM, 0, stream(request), &CANCEL)
}

/// A request whose head is to be continued.
pub(super) fn begin_head(request: u32) -> Vec<u8> {
    frame(HEADERS, END_STREAM, stream(request), &get_fields("/health"))
}

/// More of a head, which goes on after it. It is one long field that never ends.
pub(super) fn continue_head(request: u32, bytes: usize) -> Vec<u8> {
    // A literal field without indexing, whose name has a length that takes several bytes (RFC 7541, 5.1): 2^21.
    const ENDLESS_FIELD: [u8; 5] = [0x00, 0x7f, 0x81, 0xff, 0x7f];
    let mut payload = ENDLESS_FIELD.to_vec();
    payload.resize(bytes, b'a');
    frame(CONTINUATION, 0, stream(request), &payload)
}

/// Takes frames as they come, and answers pings, until the connection is over.
pub(super) fn answer_pings(stream: TcpStream) {
    answer_pings_and_ask_again(stream, 0, |_| Vec::new());
}

/// The same, and sends so many more requests at most, one for each that is over; `next` makes them of their numbers.
pub(super) fn answer_pings_and_ask_again(
    mut stream: TcpStream,
    mut more: u32,
    mut next: impl FnMut(u32) -> Vec<u8>,
) {
    let mut head = [0; 9];
    while stream.read_exact(&mut head).is_ok() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let (kind, flags) = (head[3], head[4]);
        let mut payload = vec![0; length];
        if stream.read_exact(&mut payload).is_err() {
            return;
        }
        let said = if kind == PING && flags & ACK == 0 {
            frame(PING, ACK, 0, &payload)
        } else if matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 && more > 0 {
            more -= 1;
            next(more)
        } else {
            continue;
        };
        if stream.write_all(&said).is_err() {
            return;
        }
    }
}
