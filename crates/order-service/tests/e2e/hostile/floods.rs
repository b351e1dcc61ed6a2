//! HTTP/2 frames without end that ask for nothing.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use super::crowd::{ALL_PLACES, crowd, crowd_in_pace, hung_up_on, open};
use super::siege::besiege;
use super::{attack, frames, server};
use crate::server::{Server, wait_until};

/// Probes and orders that are waited for while an attack stands.
const A_WHILE: usize = 40;
/// As many connections as the server takes in these tests.
const PLACES: usize = 100;

/// Sends the same to everybody again and again, until the attack has been held or everybody has been hung up on.
fn flood(mut crowd: Vec<TcpStream>, frames: &[u8], hold: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let holding = scope.spawn(hold);
        while !holding.is_finished() {
            crowd.retain_mut(|stream| stream.write_all(frames).is_ok());
        }
    });
    for stream in crowd {
        // Whoever reads has the same socket.
        let _ = stream.shutdown(Shutdown::Both);
    }
}

#[track_caller]
fn assert_is_no_progress(frames: &[u8]) {
    let program = server().argument("--max-connections", PLACES.to_string());
    besiege(program, |server, siege| {
        let greeting = [frames::PREFACE, &frames::settings(), frames].concat();
        let crowd = crowd(server.port(), PLACES, &greeting);
        for stream in &crowd {
            let reader = stream.try_clone().unwrap();
            // It ends with the connection.
            std::thread::spawn(move || frames::answer_pings(reader));
        }
        flood(crowd, frames, || siege.hold(A_WHILE));
    });
}

#[test]
fn pings_are_no_progress() {
    assert_is_no_progress(&frames::ping());
}

#[test]
fn settings_are_no_progress() {
    assert_is_no_progress(&frames::settings());
}

#[test]
fn frames_that_ask_for_nothing_keep_nobody_waiting() {
    const CROWD: usize = 200;
    for idle in [frames::priority(), frames::unknown(0)] {
        let idle = idle.repeat(4_000);
        besiege(server(), |server, siege| {
            let greeting = [frames::PREFACE, &frames::settings()].concat();
            let mut crowd = crowd(server.port(), CROWD, &greeting);
            std::thread::scope(|scope| {
                let holding = scope.spawn(|| siege.hold(10 * A_WHILE));
                let mut hung_up_on = 0;
                while !holding.is_finished() {
                    for stream in &mut crowd {
                        if stream.write_all(&idle).is_err() {
                            hung_up_on += 1;
                            *stream = open(server.port());
                            let _ = stream.write_all(&greeting);
                        }
                    }
                }
                assert!(hung_up_on > 0);
            });
        });
    }
}

#[test]
fn whoever_only_pings_is_idle() {
    let server = server().argument("--idle-timeout-seconds", "1").start();
    let mut stream = open(server.port());
    stream.write_all(&[frames::PREFACE, &frames::settings()].concat()).unwrap();
    let asked = Instant::now();
    frames::answer_pings(stream);
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    server.stop();
}

#[test]
fn heads_that_go_on_without_end_are_cut_off() {
    besiege(server(), |server, siege| {
        let piece = frames::continue_head(0, 16 * 1024);
        let greeting = [frames::PREFACE, &frames::settings(), &frames::begin_head(0)].concat();
        let mut crowd = crowd(server.port(), 1000, &greeting);
        wait_until("they are hung up on", || {
            crowd.retain_mut(|stream| stream.write_all(&piece).is_ok());
            crowd.is_empty().then_some(())
        });
        siege.hold(A_WHILE);
    });
}

/// What has the library keep most, of heads and of frames that are never finished.
fn unfinished() -> [Vec<u8>; 3] {
    let greeting = [frames::PREFACE, &frames::settings()].concat();
    let one_long_field = (0..4).map(|_| frames::continue_head(0, 16 * 1024));
    let one_long_field = [greeting.clone(), frames::begin_head(0)].into_iter().chain(one_long_field);
    let many_fields = [&greeting[..], &frames::begin_head_of_short_fields(0, 430)];
    let mut half_a_frame = [&greeting[..], &frames::unknown(16 * 1024)].concat();
    half_a_frame.pop();
    [one_long_field.flatten().collect(), many_fields.concat(), half_a_frame]
}

#[test]
fn heads_and_frames_that_are_never_finished_take_no_more_memory_than_there_is_room_for() {
    for said in unfinished() {
        besiege(server(), |server, siege| {
            let crowd = crowd_in_pace(siege, server.port(), ALL_PLACES, &said);
            siege.hold(A_WHILE);
            drop(crowd);
        });
    }
}

#[test]
fn heads_that_are_not_finished_in_time_end_the_connection_whatever_else_goes_on_there() {
    attack(server().argument("--idle-timeout-seconds", "1"), |server| {
        let feed = [frames::PREFACE, &frames::settings(), &frames::follow(0, "/events")].concat();
        let mut crowd = crowd(server.port(), 4, &[&feed[..], &frames::begin_head(1)].concat());
        let asked = Instant::now();
        wait_until("they are hung up on", || {
            // Something goes on all the while.
            place_one_more(server);
            (hung_up_on(&mut crowd) == 4).then_some(())
        });
        assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    });
}

fn place_one_more(server: &Server) {
    let order = r#"{"customer_id":"c","items":[{"SKU":"s","Quantity":1,"UnitPriceCents":1}]}"#;
    assert_eq!(server.post("/orders", order).status, 201);
}

#[test]
fn a_head_that_comes_in_many_frames_is_answered() {
    let server = server().start();
    let mut stream = open(server.port());
    let greeting = [frames::PREFACE, &frames::settings(), &frames::begin_head(0)].concat();
    for piece in [greeting, frames::end_head(0)] {
        stream.write_all(&piece).unwrap();
        std::thread::park_timeout(Duration::from_millis(100));
    }
    assert_eq!(frames::take_heads(&mut stream, 1), 1);
    server.stop();
}

#[test]
fn whoever_takes_back_request_after_request_is_hung_up_on() {
    besiege(server(), |server, siege| {
        let mut crowd = crowd(server.port(), 10, &[frames::PREFACE, &frames::settings()].concat());
        let mut number = 0;
        wait_until("they are hung up on", || {
            let requests = number..number + 500;
            number += 500;
            let frames: Vec<u8> = requests
                .flat_map(|number| [frames::get(number, "/orders"), frames::take_back(number)].concat())
                .collect();
            crowd.retain_mut(|stream| stream.write_all(&frames).is_ok());
            crowd.is_empty().then_some(())
        });
        siege.hold(A_WHILE);
    });
}
