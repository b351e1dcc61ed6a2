//! A stream or a topic that somebody deletes while events are relayed to it: it is made anew, and given everything.

use super::broker::shared_channel;
use super::channel::{Channel, Kind};
use super::check::{Rule, assert_none, check};
use super::event::{Event, Message};
use super::load::{under_steady_load, wait_for_more};
use super::primary;
use super::ready::{patiently, patiently_or};
use super::verdict::{assert_replicated, wait_until_published};
use crate::checker;
use crate::server::Program;

fn has_begun(channel: &Channel) -> Option<()> {
    let messages = channel.messages().ok()?;
    messages.iter().any(|message| message.event.position() == 1).then_some(())
}

/// All messages, and where the first event is among them: what was under way comes first, without what belongs before it.
/// Then comes everything.
fn healed(log: &[Event], channel: &Channel) -> Result<(Vec<Message>, usize), String> {
    let messages = channel.messages()?;
    let first = messages.iter().position(|message| message.event.position() == 1).ok_or("not from 1 on")?;
    let head = log.last().map_or(0, Event::position);
    let is_whole = messages.iter().skip(first).any(|message| message.event.position() == head);
    if is_whole { Ok((messages, first)) } else { Err(format!("not up to {head}")) }
}

#[test]
fn a_stream_that_is_made_anew_under_load_gets_everything_from_the_first_event_on() {
    let channels = [
        shared_channel(Kind::Nats),
        shared_channel(Kind::Kafka),
        shared_channel(Kind::Kafka).with("partitions=3"),
    ];
    let directory = tempfile::tempdir().unwrap();
    let program = channels.iter().fold(Program::serving(directory.path()), |program, channel| {
        program.argument("--bus", channel.url())
    });
    let server = program.start();
    let claims = under_steady_load(server.port(), "anew", |progress| {
        for _ in 0..2 {
            wait_for_more(progress, 200);
            channels.iter().for_each(|channel| patiently("it has the first events", || has_begun(channel)));
            channels.iter().for_each(Channel::delete);
        }
        wait_for_more(progress, 100);
    });
    let head = checker::check(&server, 0, &claims).unwrap();
    let log = primary::log(&server);
    for channel in &channels {
        wait_until_published(&server, channel, head);
        let (messages, first) = patiently_or("everything is there again", || healed(&log, channel));
        let mut breaches = check(&log, channel, &messages);
        breaches.retain(|breach| breach.rule != Rule::Order);
        assert_none(channel, &breaches);
        assert_replicated(&server, channel);
        // Where there are several partitions, nobody knows which of them comes first.
        if !channel.url().contains("partitions=") {
            assert_none(channel, &check(&log, channel, &messages[first..]));
        }
    }
    server.stop();
}
