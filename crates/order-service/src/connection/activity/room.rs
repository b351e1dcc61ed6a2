//! Room for the bytes of a connection: a little that is its own, and beyond that out of what all share.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::Activity;
use super::stream::Stream;
use crate::connection::answer_budget::{Purse, Waiting};

/// What each connection has for itself, about, and never waits for. With this much for each of 10,000 connections, small answers
/// take 80 MiB at most.
pub(super) const OWN_BYTES: usize = 8 * 1024;

/// Of whole answers a connection that has some already keeps so many times what it leaves free, at most: then a few connections
/// cannot have all room, however busy they keep the service. It is as with the API's shares.
const PORTION: usize = 2;

/// How long an answer that is there as a whole waits for room.
const MAX_WAIT_WITH_WHOLE_ANSWER: Duration = Duration::from_secs(1);

/// Whoever keeps more than this wants nothing of others, but waits for itself.
const MUCH_BYTES: usize = 8 * 1024 * 1024;

impl Activity {
    /// Keeps room for bytes if there is any.
    pub(in crate::connection) fn try_keep(self: &Arc<Self>, bytes: usize) -> Option<Kept> {
        let purse = if self.has_own_room(bytes) { Purse::Own } else { self.budget.try_take(bytes)? };
        Some(self.kept(bytes, purse))
    }

    /// Keeps room for bytes that others could do without, as long as half of all is free.
    pub(in crate::connection) fn keep_spare(self: &Arc<Self>, bytes: usize) -> Option<Kept> {
        let is_plenty = self.budget.free() >= self.budget.bytes() / 2;
        is_plenty.then(|| self.try_keep(bytes)).flatten()
    }

    /// Keeps room for bytes whether or not there is any: few of them, and not often.
    pub(in crate::connection) fn keep_anyhow(self: &Arc<Self>, bytes: usize) -> Kept {
        self.kept(bytes, Purse::Own)
    }

    /// The same for an answer that is there as a whole. If there is no room, whoever leaves the most lying has to let go of it;
    /// but not for a connection that has its portion.
    pub(in crate::connection) fn try_keep_whole(self: &Arc<Self>, bytes: usize) -> Option<Kept> {
        if self.shares_room() && self.room() + bytes > PORTION * self.budget.free().saturating_sub(bytes) {
            return None;
        }
        self.keep_now(bytes)
    }

    /// Keeps room for an answer that is there as a whole and had none at once: its network has its turn in the line, for a while, unless
    /// it has most already. Else one machine that wants room all the time would keep all such answers from everybody. A connection that
    /// has some gets no more in this way than a network's share.
    pub(in crate::connection) async fn keep_whole(self: &Arc<Self>, bytes: usize) -> Option<Kept> {
        if self.shares_room() && self.room() + bytes > self.budget.share() {
            return None;
        }
        let _place = self.budget.wait_with_whole_answer(self.network(), bytes)?;
        let keeping = Arc::clone(self).keep_after(self.wait(bytes), bytes);
        tokio::time::timeout(MAX_WAIT_WITH_WHOLE_ANSWER, keeping).await.ok()
    }

    /// Keeps room for bytes if there is any; if not, others are to make room, and it does not wait for that.
    pub(in crate::connection) fn keep_now(self: &Arc<Self>, bytes: usize) -> Option<Kept> {
        let kept = self.try_keep(bytes);
        if kept.is_none() {
            self.want(bytes);
        }
        kept
    }

    /// Whether bytes would find room in what the connection has for itself.
    pub(in crate::connection) fn has_own_room(&self, bytes: usize) -> bool {
        self.kept.load(Ordering::Relaxed).saturating_add(bytes) <= OWN_BYTES
    }

    /// Whether so many wait for room that no more from where it comes should.
    pub(in crate::connection) fn is_room_crowded(&self) -> bool {
        self.budget.is_crowded_by(self.network())
    }

    /// Whether somebody waits for room.
    pub(in crate::connection) fn is_room_short(&self) -> bool {
        self.budget.is_short()
    }

    /// Keeps room for bytes once there is any.
    pub(in crate::connection) async fn keep(self: Arc<Self>, bytes: usize) -> Kept {
        match self.try_keep(bytes) {
            Some(kept) => kept,
            None => {
                let waiting = self.wait(bytes);
                self.keep_after(waiting, bytes).await
            }
        }
    }

    /// Begins to wait for room for bytes.
    pub(in crate::connection) fn wait(&self, bytes: usize) -> Waiting {
        self.budget.wait(self.network(), bytes)
    }

    /// Keeps room for bytes once there is any, having begun to wait.
    pub(in crate::connection) async fn keep_after(self: Arc<Self>, waiting: Waiting, bytes: usize) -> Kept {
        self.want(bytes);
        let purse = self.budget.take(bytes, waiting).await;
        self.kept(bytes, purse)
    }

    /// Keeps room for a connection that takes more than others, once there is any. It comes out of what all share, and leaves the connection its own.
    pub(in crate::connection) async fn keep_connection(self: &Arc<Self>, bytes: usize) -> KeptForConnection {
        if self.budget.try_take(bytes).is_none() {
            self.want(bytes);
            self.budget.take(bytes, self.wait(bytes)).await;
        }
        self.connection_bytes.fetch_add(bytes, Ordering::Relaxed);
        KeptForConnection { bytes, activity: Arc::clone(self) }
    }

    /// Others are to make room, unless it is this one that takes it.
    fn want(&self, bytes: usize) {
        if self.kept.load(Ordering::Relaxed) <= MUCH_BYTES {
            self.budget.want(bytes);
        }
    }

    fn kept(self: &Arc<Self>, bytes: usize, purse: Purse) -> Kept {
        let before = self.kept.fetch_add(bytes, Ordering::Relaxed);
        if before <= OWN_BYTES && before + bytes > OWN_BYTES {
            self.kept_since.store(self.now(), Ordering::Relaxed);
        }
        Kept { bytes, purse, is_given: false, owner: Owner::Connection(Arc::clone(self)) }
    }

    fn let_go(&self, bytes: usize, purse: Purse) {
        self.kept.fetch_sub(bytes, Ordering::Relaxed);
        if purse == Purse::Shared {
            self.budget.give_back(bytes);
        }
    }

    /// HTTP/1's write buffer is empty, or gone.
    pub(in crate::connection) fn flushed(&self) {
        let mut had_some = false;
        for purse in [Purse::Own, Purse::Shared] {
            // Nobody else stores to it, so that nothing is lost in between.
            let unflushed = &self.unflushed[purse as usize];
            let bytes = unflushed.load(Ordering::Relaxed);
            if bytes > 0 {
                unflushed.store(0, Ordering::Relaxed);
                self.let_go(bytes, purse);
                had_some = true;
            }
        }
        if had_some {
            self.progressed();
            self.untaken.take_all();
        }
    }
}

/// Room for bytes, until this is dropped.
pub(crate) struct Kept {
    bytes: usize,
    purse: Purse,
    /// Whether the client has been given them, over HTTP/2.
    is_given: bool,
    owner: Owner,
}

/// Whose room it is.
#[derive(Clone)]
enum Owner {
    Connection(Arc<Activity>),
    Stream(Arc<Stream>),
}

impl Owner {
    fn activity(&self) -> &Arc<Activity> {
        match self {
            Self::Connection(activity) => activity,
            Self::Stream(stream) => stream.activity(),
        }
    }
}

impl Kept {
    /// The same as room of this stream of its connection.
    pub(in crate::connection) fn of(mut self, stream: Option<&Arc<Stream>>) -> Self {
        if let Some(stream) = stream {
            stream.keep(self.bytes);
            self.owner = Owner::Stream(Arc::clone(stream));
        }
        self
    }

    /// A part of what the client has not been given, if there is as much.
    pub(in crate::connection) fn split(&mut self, bytes: usize) -> Option<Self> {
        let rest = self.bytes.checked_sub(bytes)?;
        self.bytes = rest;
        Some(Self { bytes, purse: self.purse, is_given: false, owner: self.owner.clone() })
    }

    /// The client has been given the bytes, over HTTP/2. It has taken them when this is dropped.
    pub(in crate::connection) fn given(mut self) -> Self {
        if let Owner::Stream(stream) = &self.owner {
            self.is_given = true;
            stream.give(self.bytes);
        }
        self
    }

    /// The same for bytes that HTTP/1 copies into its write buffer: they are taken when that is
    /// [flushed](Activity::flushed).
    pub(in crate::connection) fn given_until_flushed(mut self) {
        let activity = self.owner.activity();
        activity.untaken.give(self.bytes, || activity.now());
        activity.unflushed[self.purse as usize].fetch_add(self.bytes, Ordering::Relaxed);
        self.bytes = 0;
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        if let Owner::Stream(stream) = &self.owner {
            stream.let_go(self.bytes);
            if self.is_given {
                stream.take(self.bytes);
            }
        }
        self.owner.activity().let_go(self.bytes, self.purse);
    }
}

/// A connection's room, until this is dropped.
pub(in crate::connection) struct KeptForConnection {
    bytes: usize,
    activity: Arc<Activity>,
}

impl Drop for KeptForConnection {
    fn drop(&mut self) {
        self.activity.budget.give_back(self.bytes);
    }
}

/// Asks for room as often as it is polled, and waits for it no more than once.
#[derive(Default)]
pub(in crate::connection) struct Asking(Option<Pin<Box<dyn Future<Output = Kept> + Send>>>);

impl Asking {
    /// Whether it waits.
    pub(in crate::connection) fn is_waiting(&self) -> bool {
        self.0.is_some()
    }

    /// Asks for the same number of bytes each time until they are kept.
    pub(in crate::connection) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        activity: &Arc<Activity>,
        bytes: usize,
    ) -> Poll<Kept> {
        if self.0.is_none()
            && let Some(kept) = activity.try_keep(bytes)
        {
            return Poll::Ready(kept);
        }
        let waiting = self.0.get_or_insert_with(|| Box::pin(Arc::clone(activity).keep(bytes)));
        let kept = ready!(waiting.as_mut().poll(cx));
        self.0 = None;
        Poll::Ready(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::AnswerBudget;

    #[test]
    fn what_others_could_do_without_leaves_half_of_the_room() {
        let budget = Arc::new(AnswerBudget::new(160 * 1024));
        let connections = [(); 20].map(|()| Activity::in_test(&budget));
        let kept: Vec<_> =
            connections.iter().map_while(|connection| connection.keep_spare(10 * 1024)).collect();
        assert_eq!((kept.len(), budget.free()), (9, 70 * 1024));
    }

    #[test]
    fn a_few_connections_cannot_have_all_room_with_whole_answers() {
        let budget = Arc::new(AnswerBudget::new(900 * 1024));
        let few = [(); 3].map(|()| Activity::in_test(&budget));
        let mut kept = Vec::new();
        for _ in 0..90 {
            kept.extend(few.iter().filter_map(|connection| connection.try_keep_whole(10 * 1024)));
        }
        assert_eq!(kept.len(), 90 * 6 / 7, "as much as each may have twice what is left");
        assert_eq!(budget.newly_wanted(), 0, "nobody has to let go of anything for them");
        let newcomer = Activity::in_test(&budget);
        assert!(newcomer.try_keep_whole(120 * 1024).is_some(), "who has nothing may have what there is");
    }
}
