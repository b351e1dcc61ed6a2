//! Clients that never finish to agree how to encrypt, or what they encrypt.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use super::crowd::{ALL_PLACES, crowd, crowd_in_pace, hung_up_on, open};
use super::shares::connect_from;
use super::siege::{Placed, Siege, hold_out, one_at_a_time};
use crate::http::Client;
use crate::server::wait_until;
use crate::tls::{Encrypted, EncryptingClient, HTTP1};

/// Probes and orders that are waited for while an attack stands.
pub(super) const A_WHILE: usize = 40;
/// Where good clients come from: another machine than the attack.
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// Lets an attack loose on a server that encrypts, beside good clients from another machine. One of them is connected before.
#[track_caller]
pub(super) fn besiege_encrypted(
    encrypted: Encrypted,
    attack: impl FnOnce(&EncryptingClient, &Siege),
) -> Placed {
    let _alone = one_at_a_time();
    let client = encrypted.client(&[HTTP1]);
    let connect = || client.encrypt(connect_from(ELSEWHERE, client.port)).map(Client::over);
    let placed = hold_out(&encrypted.server, connect().unwrap(), connect, |siege| attack(&client, siege));
    encrypted.server.stop();
    placed
}

/// A ClientHello that announces to be as long as one may be (RFC 8446, 4), and of which the last byte never comes.
fn endless_hello() -> Vec<u8> {
    const LENGTH: usize = 0xfff0;
    let mut message = vec![1, 0, (LENGTH >> 8) as u8, LENGTH as u8, 3, 3];
    message.resize(LENGTH + 3, 0);
    message.chunks(16 * 1024).flat_map(|part| record(22, part.len(), part)).collect()
}

/// A record that announces so many bytes (RFC 8446, 5.1).
fn record(kind: u8, length: usize, bytes: &[u8]) -> Vec<u8> {
    [&[kind, 3, 3, (length >> 8) as u8, length as u8], bytes].concat()
}

#[test]
fn hellos_that_never_end_take_no_more_memory_than_there_is_room_for() {
    besiege_encrypted(Encrypted::start(&[]), |client, siege| {
        let crowd = crowd_in_pace(siege, client.port, ALL_PLACES, &endless_hello());
        siege.hold(A_WHILE);
        drop(crowd);
    });
}

#[test]
fn whoever_says_hello_for_longer_than_anybody_does_is_hung_up_on() {
    let encrypted = Encrypted::start(&[]);
    let asked = Instant::now();
    let mut crowd = crowd(encrypted.server.port(), 4, &endless_hello());
    wait_until("they are hung up on", || (hung_up_on(&mut crowd) == 4).then_some(()));
    // Long before they have had their time.
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
}

/// One with this id.
fn order(id: &str) -> String {
    format!(
        r#"{{"order_id":"{id}","customer_id":"c","items":[{{"SKU":"s","Quantity":1,"UnitPriceCents":1}}]}}"#
    )
}

/// Connections that are agreed on, and then say the beginning of a head and half a record.
fn half_records(client: &EncryptingClient, count: usize) -> Vec<TcpStream> {
    let head = format!("GET /health HTTP/1.1\r\nhost: e2e\r\nx: {}", "x".repeat(7 * 1024));
    // It cannot be decrypted, which nobody knows before its last byte is there.
    let half = record(23, 16 * 1024 + 17, &vec![0; 16 * 1024 + 16]);
    let come = |_| {
        let mut stream = client.encrypt(open(client.port)).ok()?;
        stream.write_all(head.as_bytes()).ok()?;
        stream.flush().ok()?;
        stream.sock.write_all(&half).ok()?;
        Some(stream.sock)
    };
    (0..count).filter_map(come).collect()
}

#[test]
fn records_that_never_end_take_no_more_memory_than_there_is_room_for() {
    const THREADS: usize = 4;
    besiege_encrypted(Encrypted::start(&[]), |client, siege| {
        // So many sockets may be opened.
        drop(crowd(client.port, 1, b""));
        let crowd: Vec<_> = std::thread::scope(|scope| {
            let coming: Vec<_> =
                (0..THREADS).map(|_| scope.spawn(|| half_records(client, ALL_PLACES / THREADS))).collect();
            coming.into_iter().flat_map(|coming| coming.join().unwrap()).collect()
        });
        siege.hold(A_WHILE);
        drop(crowd);
    });
}

#[test]
fn a_body_in_records_of_a_byte_each_is_read() {
    const LENGTH: usize = 40_000;
    let encrypted = Encrypted::start(&[]);
    let client = encrypted.client(&[HTTP1]);
    let mut stream = client.encrypt(open(client.port)).unwrap();
    let mut records = Vec::new();
    for byte in crate::http::post("/orders", &format!("{}{}", order("small"), " ".repeat(LENGTH))).bytes() {
        stream.conn.writer().write_all(&[byte]).unwrap();
        stream.conn.write_tls(&mut records).unwrap();
    }
    stream.sock.write_all(&records).unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 201");
}

#[test]
fn large_bodies_come_whole_over_encrypted_connections() {
    let encrypted = Encrypted::start(&[]);
    for number in 0..3 {
        let mut body = order(&format!("large-{number}"));
        body.extend(std::iter::repeat_n(' ', 1_000_000));
        let client = encrypted.client(&[HTTP1]);
        let mut stream = client.encrypt(open(client.port)).unwrap();
        stream.write_all(crate::http::post("/orders", &body).as_bytes()).unwrap();
        stream.flush().unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).unwrap();
        assert_eq!(&status, b"HTTP/1.1 201");
    }
}
