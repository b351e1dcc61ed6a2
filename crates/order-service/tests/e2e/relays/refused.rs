//! An event that a broker does not take: its relay stops there and says so, and everything else goes on.

use super::broker::shared_channel;
use super::channel::{Channel, Kind};
use super::load::{place_large, under_steady_load, wait_for_more};
use super::ready::{status, wait_for_state, warnings};
use super::verdict::{assert_relayed, wait_until_published};
use super::{kafka, nats};
use crate::load::Progress;
use crate::server::{Program, Server};

/// What the brokers take at first.
const MOST_BYTES: i32 = 8 * 1024;
/// What they take in the end.
const ENOUGH_BYTES: i32 = 256 * 1024;

#[test]
fn an_event_that_is_too_large_holds_up_its_relay_alone_until_the_broker_takes_it() {
    let kinds = [Kind::Nats, Kind::Kafka];
    // Otherwise a long line of the same letter is small again.
    let narrow = [shared_channel(Kind::Nats), shared_channel(Kind::Kafka).with("compression=none")];
    let wide = kinds.map(shared_channel);
    narrow.iter().for_each(make_narrow);
    let directory = tempfile::tempdir().unwrap();
    let all = || narrow.iter().chain(&wide);
    let program = all().fold(Program::serving(directory.path()), |program, channel| {
        program.argument("--bus", channel.url())
    });
    let server = program.start();
    for (channel, says) in narrow.iter().zip(["raise its max_msg_size", "raise its max.message.bytes"]) {
        wait_for_state(&server, &channel.relay(), "following");
        assert_eq!(
            server.log().matches(says).count(),
            1,
            "it is told before an event is refused: {}",
            server.log()
        );
    }
    let mut large = None;
    let mut claims = under_steady_load(server.port(), "refused", |progress| {
        wait_for_more(progress, 50);
        large = Some(place_large(&server, "large"));
        for (channel, setting) in narrow.iter().zip(["max_msg_size", "max.message.bytes"]) {
            let refused = wait_for_state(&server, &channel.relay(), "refused");
            assert!(refused.detail.contains(setting), "{refused:?}");
            assert_told(&server, channel, setting);
        }
        goes_on_without(&server, &wide, progress);
        assert!(narrow.iter().all(|channel| status(&server, &channel.relay()).lag > 0));
        narrow.iter().for_each(make_wide);
        // It tries again by itself.
        narrow.iter().for_each(|channel| drop(wait_for_state(&server, &channel.relay(), "following")));
    });
    claims.extend(large);
    assert_relayed(&server, &claims, &all().cloned().collect::<Vec<_>>());
    server.stop();
}

/// In a line of the log that names what to change; once for each time that it has tried.
#[track_caller]
fn assert_told(server: &Server, channel: &Channel, setting: &str) {
    let told = warnings(server, &channel.relay());
    assert!((1..=2).contains(&told.len()) && told[0].contains(setting), "{told:#?}");
}

fn goes_on_without(server: &Server, channels: &[Channel], progress: &Progress) {
    wait_for_more(progress, 50);
    let accepted = progress.acknowledged();
    channels.iter().for_each(|channel| wait_until_published(server, channel, accepted));
}

fn make_narrow(channel: &Channel) {
    match channel.kind {
        Kind::Nats => nats::make_stream(channel, |config| config.max_message_size = MOST_BYTES),
        Kind::Kafka => kafka::make_topic(channel, &[("max.message.bytes", &MOST_BYTES.to_string())]),
    }
}

fn make_wide(channel: &Channel) {
    match channel.kind {
        Kind::Nats => nats::change_stream(channel, |config| config.max_message_size = ENOUGH_BYTES),
        Kind::Kafka => kafka::change_topic(channel, "max.message.bytes", &ENOUGH_BYTES.to_string()),
    }
}
