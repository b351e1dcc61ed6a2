//! Two histories on one broker: nothing is published that does not continue what is there, and no replica says that it is
//! ready on a wrong copy.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::broker::shared_channel;
use super::channel::{Channel, Kind};
use super::event::{Event, Message};
use super::primary;
use super::ready::{patiently, status, wait_for, wait_for_state};
use super::verdict::{assert_replicated, wait_until_published};
use crate::export::fill;
use crate::server::{Program, Server};

/// A stream, a topic, and a topic of three partitions.
fn channels() -> [Channel; 3] {
    [
        shared_channel(Kind::Nats),
        shared_channel(Kind::Kafka),
        shared_channel(Kind::Kafka).with("partitions=3"),
    ]
}

/// Directories of primaries, beside each other.
struct Stage {
    directory: TempDir,
    channels: [Channel; 3],
}

impl Stage {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), channels: channels() }
    }

    fn quiet(&self, name: &str) -> Program {
        Program::serving(&self.directory.path().join(name))
    }

    /// A primary that relays to all channels.
    fn primary(&self, name: &str) -> Server {
        let publishing = |program: Program, channel: &Channel| program.argument("--bus", channel.url());
        self.channels.iter().fold(self.quiet(name), publishing).start()
    }

    /// The same under other names, so that it has no checkpoints.
    fn without_checkpoint(&self, name: &str) -> Server {
        let publishing = |program: Program, channel: &Channel| {
            program.argument("--bus", format!("{}&name={}", channel.url(), fresh_name(channel)))
        };
        self.channels.iter().fold(self.quiet(name), publishing).start()
    }

    /// A copy of a store whose server is stopped.
    fn copy(&self, from: &str, to: &str) {
        let [from, to] = [from, to].map(|name| self.directory.path().join(name));
        copy_files(&from, &to);
    }

    /// All messages by their positions, since partitions come as they come.
    fn messages(&self) -> [Vec<Message>; 3] {
        self.channels.each_ref().map(|channel| {
            let mut messages = channel.messages().unwrap();
            messages.sort_by_key(|message| message.event.position());
            messages
        })
    }

    /// Waits until every channel has the whole log.
    #[track_caller]
    fn relayed(&self, primary: &Server) -> Vec<Event> {
        let log = primary::log(primary);
        let head = log.last().map_or(0, Event::position);
        self.channels.iter().for_each(|channel| wait_until_published(primary, channel, head));
        log
    }

    /// No relay of this server publishes anything, each says why, and shows how long the backlog is.
    #[track_caller]
    fn assert_refused(&self, server: &Server, relay: impl Fn(&Channel) -> String) {
        let there = self.messages();
        for channel in &self.channels {
            let told = wait_for_state(server, &relay(channel), "misconfigured");
            for says in [
                channel.name.as_str(),
                "at position ",
                "where this log has ",
                "may be only there",
                "stream=, topic=",
                "empty that one",
            ] {
                assert!(told.detail.contains(says), "{says:?} in {told:?}");
            }
        }
        fill(server, 1_000..1_010);
        let head = primary::log(server).last().map_or(0, Event::position);
        for channel in &self.channels {
            let told = wait_for(server, &relay(channel), "aware of its backlog", |status| {
                status.state == "misconfigured" && status.position + status.lag == head
            });
            assert!(told.lag >= 10, "{told:?}");
        }
        assert!(self.messages() == there, "something was published");
    }
}

fn fresh_name(channel: &Channel) -> String {
    format!("{}-again", channel.name)
}

fn copy_files(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

fn replica(channel: &Channel, store: &str) -> Server {
    let program = Program::new(["replica", "--listen", "127.0.0.1:0", "--store", store]);
    program.argument("--from", channel.url()).start()
}

#[track_caller]
fn caught_up(replica: &Server, head: u64) {
    patiently("the replica has caught up", || {
        let answer = replica.get("/ready");
        let told = &answer.json()["checks"]["replica"];
        (answer.status == 200 && told["state"] == "following" && told["position"] == head).then_some(())
    });
}

/// It never says that it is ready before it says that this is another log.
#[track_caller]
fn notices_another_log(replica: &Server) {
    patiently("the replica has noticed", || {
        let answer = replica.get("/ready");
        let told = &answer.json()["checks"]["replica"];
        assert_eq!(answer.status, 503, "{told}");
        (told["state"] == "other_log").then(|| assert_eq!(told["behind"], serde_json::Value::Null, "{told}"))
    });
}

#[test]
fn another_store_does_not_publish_where_there_are_events_and_replicas_keep_theirs() {
    let stage = Stage::new();
    let first = stage.primary("first");
    fill(&first, 0..20);
    let log = stage.relayed(&first);
    first.stop();
    let replicas = stage.channels.each_ref().map(|channel| replica(channel, "memory:"));
    let head = log.last().map_or(0, Event::position);
    replicas.iter().for_each(|replica| caught_up(replica, head));

    let empty = stage.primary("empty");
    stage.assert_refused(&empty, Channel::relay);
    empty.stop();

    // It has more events than the first.
    let another = stage.quiet("another").start();
    fill(&another, 0..40);
    another.stop();
    let another = stage.primary("another");
    stage.assert_refused(&another, Channel::relay);
    another.stop();

    for replica in replicas {
        assert_eq!(replica.get("/ready").status, 200);
        assert!(primary::log(&replica) == log, "the replica has another log");
        replica.stop();
    }
    let first = stage.primary("first");
    fill(&first, 20..30);
    stage.relayed(&first);
    stage.channels.iter().for_each(|channel| assert_replicated(&first, channel));
    first.stop();
}

#[test]
fn a_restored_store_publishes_nothing_until_what_it_does_not_know_is_gone() {
    let stage = Stage::new();
    let first = stage.primary("first");
    fill(&first, 0..10);
    let backed_up = stage.relayed(&first).len();
    first.stop();
    stage.copy("first", "backup");
    let first = stage.primary("first");
    fill(&first, 10..20);
    let head = stage.relayed(&first).last().map_or(0, Event::position);
    first.stop();
    let stores: Vec<_> = stage
        .channels
        .iter()
        .map(|channel| {
            let store =
                format!("sqlite:{}", stage.directory.path().join(&channel.name).join("orders.db").display());
            let replica = replica(channel, &store);
            caught_up(&replica, head);
            replica.stop();
            store
        })
        .collect();

    stage.copy("backup", "restored");
    let restored = stage.primary("restored");
    stage.assert_refused(&restored, Channel::relay);
    restored.stop();
    let restored = stage.without_checkpoint("restored");
    stage.assert_refused(&restored, fresh_name);
    restored.stop();

    // Emptied, they are taken; and replicas of what was there before notice it, although they were stopped.
    stage.channels.iter().for_each(Channel::delete);
    let restored = stage.primary("restored");
    stage.relayed(&restored);
    for (channel, store) in stage.channels.iter().zip(&stores) {
        assert_replicated(&restored, channel);
        let replica = replica(channel, store);
        notices_another_log(&replica);
        patiently("it says where the two part", || {
            let detail = replica.get("/ready").json()["checks"]["replica"]["detail"].clone();
            let says = format!("The two part at position {}:", backed_up + 1);
            detail.as_str().is_some_and(|detail| detail.contains(&says)).then_some(())
        });
        replica.stop();
    }
    restored.stop();
}

/// Its checkpoints are cut down to where it ends, and its log is another by its id; what counts is what the broker has.
#[test]
fn a_store_restored_from_a_backup_to_before_what_was_published_publishes_nothing() {
    let stage = Stage::new();
    let first = stage.primary("first");
    fill(&first, 0..20);
    let head = stage.relayed(&first).last().map_or(0, Event::position);
    let directory = |name: &str| stage.directory.path().join(name);
    let ran = |program: Program| {
        let ended = program.run();
        assert_eq!((ended.status, &ended.stderr[..]), (Some(0), &[][..]), "{ended:?}");
        ended.stdout
    };
    // At their end relays save how far they are.
    first.stop();
    ran(Program::new(["backup"]).argument("--data-dir", directory("first")).operand(directory("backup")));
    let restore = |name: &str| {
        Program::new(["restore"]).argument("--data-dir", directory(name)).operand(directory("backup"))
    };
    let told = ran(restore("earlier").argument("--until-position", (head - 5).to_string()));
    let ahead = told.iter().filter(|line| line.contains(" had gone beyond that position")).count();
    assert_eq!(ahead, stage.channels.len(), "{told:?}");
    let earlier = stage.primary("earlier");
    stage.assert_refused(&earlier, Channel::relay);
    earlier.stop();

    // Restored as a whole, it goes on where the first was.
    ran(restore("whole"));
    let whole = stage.primary("whole");
    fill(&whole, 20..30);
    let log = stage.relayed(&whole);
    for messages in stage.messages() {
        let published: Vec<_> = messages.into_iter().map(|message| message.event).collect();
        assert!(published == log, "other events were published, or some twice");
    }
    whole.stop();

    // Where the other history is deleted, the earlier one comes from its first event on.
    stage.channels.iter().for_each(Channel::delete);
    let earlier = stage.primary("earlier");
    fill(&earlier, 40..45);
    let log = stage.relayed(&earlier);
    for mut messages in stage.messages() {
        messages.sort_by_key(|message| message.event.position());
        let published: Vec<_> = messages.into_iter().map(|message| message.event).collect();
        assert!(published == log, "its beginning is missing");
    }
    earlier.stop();
}

#[test]
fn of_two_primaries_on_one_broker_the_second_is_noticed_before_it_publishes() {
    let stage = Stage::new();
    let (first, second) = (stage.primary("first"), stage.primary("second"));
    for server in [&first, &second] {
        stage.channels.iter().for_each(|channel| drop(wait_for_state(server, &channel.relay(), "following")));
    }
    // Both have found nothing there. From now on each is as good as the other, until one publishes.
    fill(&first, 0..10);
    let log = stage.relayed(&first);
    let head = log.last().map_or(0, Event::position);
    let replicas = stage.channels.each_ref().map(|channel| replica(channel, "memory:"));
    replicas.iter().for_each(|replica| caught_up(replica, head));
    fill(&second, 0..5);
    for channel in &stage.channels {
        let told = wait_for_state(&second, &channel.relay(), "misconfigured");
        assert!(told.detail.contains(&channel.name), "{told:?}");
    }
    let third = stage.primary("third");
    stage.assert_refused(&third, Channel::relay);
    third.stop();

    let [stream, topics @ ..] = &stage.channels;
    // NATS takes nothing that does not come after what its sender knows.
    let ids: Vec<_> = stream.messages().unwrap().into_iter().map(|message| message.event).collect();
    assert!(ids == log, "somebody else's event is in the stream");
    assert_eq!(status(&first, &stream.relay()).state, "following");
    // Kafka has taken what came from the second before anybody could know. Both stop, and replicas say so.
    for topic in topics {
        wait_for_state(&first, &topic.relay(), "misconfigured");
        let replica = replica(topic, "memory:");
        notices_another_log(&replica);
        replica.stop();
    }
    for (replica, channel) in replicas.into_iter().zip(&stage.channels) {
        if channel.kind == Kind::Kafka {
            patiently("it is no longer ready", || (replica.get("/ready").status == 503).then_some(()));
            notices_another_log(&replica);
        }
        assert!(primary::log(&replica) == log, "the replica of {} has another log", channel.name);
        replica.stop();
    }
    first.stop();
    second.stop();
}

#[test]
fn where_nothing_is_left_to_compare_a_relay_goes_on_and_says_so() {
    let stage = Stage::new();
    let first = stage.primary("first");
    fill(&first, 0..20);
    stage.relayed(&first);
    first.stop();
    stage.channels.iter().for_each(Channel::empty);
    let first = stage.primary("first");
    fill(&first, 20..30);
    let log = stage.relayed(&first);
    let told = first.log();
    let notices = told.matches("no event any more that could be compared with the log").count();
    assert_eq!(notices, 5, "one for each partition: {told}");
    for messages in stage.messages() {
        assert_eq!(messages.len(), 10 + 5, "what was removed does not come again");
        assert!(messages.iter().all(|message| log.contains(&message.event)));
    }
    first.stop();
}
