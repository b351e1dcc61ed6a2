//! Clients that never finish to agree how to encrypt, or what they encrypt.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::crowd::{ALL_PLACES, crowd, hung_up_on, open};
use super::shares::connect_from;
use super::siege::{MOST_RESIDENT_KIB, PROMPT, one_at_a_time};
use crate::server::wait_until;
use crate::tls::{Encrypted, EncryptingClient, HTTP1, ask};

/// Probes that are waited for while an attack stands.
const A_WHILE: usize = 40;
/// Where the probes come from: another machine than the attack.
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const PROBE: &str = "GET /health HTTP/1.1\r\nhost: e2e\r\nconnection: close\r\n\r\n";

/// Lets an attack loose on a server that encrypts, which must meanwhile answer probes promptly and keep its memory bounded. The
/// attack is given a way to wait for so many probes more.
#[track_caller]
fn besiege_encrypted(attack: impl FnOnce(&EncryptingClient, &dyn Fn(usize))) {
    let _alone = one_at_a_time();
    let encrypted = Encrypted::start(&[]);
    let client = encrypted.client(&[HTTP1]);
    let (over, probes) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let probing = scope.spawn(|| {
            let _over = OverOnDrop(&over);
            while !over.load(Ordering::Relaxed) {
                let asked = Instant::now();
                let mut stream = client.encrypt(connect_from(ELSEWHERE, client.port)).unwrap();
                assert!(ask(&mut stream, PROBE).starts_with("HTTP/1.1 200 "));
                assert!(asked.elapsed() < PROMPT, "a probe waited {:?}", asked.elapsed());
                probes.fetch_add(1, Ordering::Relaxed);
                std::thread::park_timeout(Duration::from_millis(5));
            }
        });
        let over = OverOnDrop(&over);
        attack(&client, &|more| {
            let goal = probes.load(Ordering::Relaxed) + more;
            wait_until("it has been probed often enough", || {
                (probes.load(Ordering::Relaxed) >= goal || over.0.load(Ordering::Relaxed)).then_some(())
            });
        });
        drop(over);
        probing.join().unwrap();
    });
    let peak = encrypted.server.process().peak_resident_kib();
    assert!(peak <= MOST_RESIDENT_KIB, "it took {} MiB", peak / 1024);
    encrypted.server.assert_no_panic();
}

struct OverOnDrop<'a>(&'a AtomicBool);

impl Drop for OverOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
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
    besiege_encrypted(|client, hold| {
        let hello = endless_hello();
        let come = |_| {
            hold(1);
            crowd(client.port, 250, &hello)
        };
        let crowd: Vec<_> = (0..ALL_PLACES / 250).flat_map(come).collect();
        hold(A_WHILE);
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
    besiege_encrypted(|client, hold| {
        // So many sockets may be opened.
        drop(crowd(client.port, 1, b""));
        let crowd: Vec<_> = std::thread::scope(|scope| {
            let coming: Vec<_> =
                (0..THREADS).map(|_| scope.spawn(|| half_records(client, ALL_PLACES / THREADS))).collect();
            coming.into_iter().flat_map(|coming| coming.join().unwrap()).collect()
        });
        hold(A_WHILE);
        drop(crowd);
    });
}

#[test]
fn large_bodies_come_whole_over_encrypted_connections() {
    let encrypted = Encrypted::start(&[]);
    for number in 0..3 {
        let mut body = format!(
            r#"{{"order_id":"large-{number}","customer_id":"c","items":[{{"SKU":"s","Quantity":1,"UnitPriceCents":1}}]}}"#
        );
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
