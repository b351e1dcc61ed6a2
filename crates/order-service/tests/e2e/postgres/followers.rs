//! Readers of live feeds, each on an instance, that come back with the last event they saw.

use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

use super::history::Seen;
use crate::live_feed::Feed;
use crate::server::{Server, wait_until};

pub(crate) struct Follower {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    seen: Mutex<Vec<Seen>>,
    connection: Mutex<Option<TcpStream>>,
    stop: AtomicBool,
}

impl Follower {
    /// Follows the log on an instance, from its beginning.
    pub(crate) fn start(server: &Server) -> Self {
        let shared = Arc::new(Shared::default());
        let (its, port) = (Arc::clone(&shared), server.port());
        Self { shared, thread: std::thread::spawn(move || its.run(port)) }
    }

    /// Waits until it has come to a position.
    #[track_caller]
    pub(crate) fn wait_for(&self, position: u64) {
        wait_until("a follower has come to the head of the log", || {
            (self.shared.last() >= Some(position)).then_some(())
        });
    }

    pub(crate) fn end(self) -> Vec<Seen> {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.shared.hang_up();
        self.thread.join().unwrap();
        std::mem::take(&mut self.shared.seen.lock().unwrap())
    }
}

impl Shared {
    fn run(&self, port: u16) {
        while !self.stop.load(Ordering::SeqCst) {
            let Ok(mut feed) = Feed::open(port, self.last()) else { continue };
            *self.connection.lock().unwrap() = Some(feed.writing_end());
            // Whoever asked it to stop may have found no connection to end.
            if self.stop.load(Ordering::SeqCst) {
                self.hang_up();
            }
            while let Ok((position, event)) = feed.next() {
                let at = Instant::now();
                let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
                let version = text("version").parse().unwrap_or_default();
                let (event_id, order_id) = (text("id"), text("subject"));
                self.seen.lock().unwrap().push(Seen { position, event_id, order_id, version, at });
            }
        }
    }

    fn last(&self) -> Option<u64> {
        self.seen.lock().unwrap().last().map(|seen| seen.position)
    }

    fn hang_up(&self) {
        if let Some(connection) = self.connection.lock().unwrap().as_ref() {
            // Ended by the other side already: as well.
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}
