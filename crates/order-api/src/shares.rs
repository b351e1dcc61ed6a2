//! What the requests of one kind hold together: bytes of bodies or of pages, or places of feeds. How much of it one client may
//! have, and who gives way when it is short.

mod books;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use self::books::Books;
use crate::asked_by::AskedBy;

/// A bound on what all requests of a kind hold together.
#[derive(Clone)]
pub(crate) struct Shares(Arc<Mutex<Books>>);

/// Why there is no more for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotGiven {
    /// There is not as much for it.
    Short,
    /// Its connection has so much already that the rest is for others.
    HasMuch,
    /// It has had to give way to another.
    CalledIn,
}

impl Shares {
    /// Whoever asks first may have all: it is [called in](Self::reserve_before_others) when others ask.
    pub(crate) fn of(limit: usize) -> Self {
        Self(Arc::new(Mutex::new(Books::new(limit, false))))
    }

    /// The more a client has already, the more it leaves to others.
    pub(crate) fn in_portions_of(limit: usize) -> Self {
        Self(Arc::new(Mutex::new(Books::new(limit, true))))
    }

    /// A share that is still of nothing.
    pub(crate) fn nothing(&self, asked_by: Option<&AskedBy>) -> Share {
        Share { shares: self.clone(), asked_by: asked_by.cloned(), entry: None }
    }

    /// So much, if it is to be had.
    pub(crate) fn reserve(&self, asked_by: Option<&AskedBy>, amount: usize) -> Result<Share, NotGiven> {
        let mut share = self.nothing(asked_by);
        share.grow_to(amount, 0)?;
        Ok(share)
    }

    /// The same; if there is not as much, what the client has got last that has most is called in for it, provided it has at
    /// least two more than this one.
    pub(crate) fn reserve_before_others(&self, asked_by: Option<&AskedBy>, amount: usize) -> Option<Share> {
        self.reserve(asked_by, amount).ok().or_else(|| {
            let asked_by = asked_by?;
            let mut books = self.books();
            let newest = books.newest_of_most(asked_by.asker())?;
            books.call_in(newest);
            // Before anybody else comes.
            let entry = Entry::open(&mut books, Some(asked_by), amount, 0).ok()?;
            drop(books);
            Some(Share { shares: self.clone(), asked_by: Some(asked_by.clone()), entry: Some(entry) })
        })
    }

    /// The same; if there is not as much, answers are ended that hold some and lie there untaken for at least so long, as many
    /// as it takes: of whoever has most, and of nobody who has less than this client.
    pub(crate) fn reserve_before_untaken(
        &self,
        asked_by: Option<&AskedBy>,
        amount: usize,
        least: Duration,
    ) -> Result<Share, NotGiven> {
        match self.reserve(asked_by, amount) {
            Err(NotGiven::Short) => {
                let mut books = self.books();
                let ended = books.take_from_untaken(asked_by.map(AskedBy::asker), None, amount, least);
                // Before anybody else comes.
                let entry = Entry::open(&mut books, asked_by, amount, 0);
                drop(books);
                ended.into_iter().for_each(|holder| holder.0.end_answer());
                Ok(Share { shares: self.clone(), asked_by: asked_by.cloned(), entry: Some(entry?) })
            }
            outcome => outcome,
        }
    }

    /// Ends so many answers that hold some and lie there untaken for at least so long, if there are as many.
    pub(crate) fn end_untaken(&self, count: usize, least: Duration) {
        let ended = self.books().strike_out_untaken(count, least);
        ended.into_iter().for_each(|holder| holder.0.end_answer());
    }

    /// Whether [`reserve_before_others`](Self::reserve_before_others) would have any for it now.
    pub(crate) fn has_any_for(&self, asked_by: Option<&AskedBy>) -> bool {
        let (books, asker) = (self.books(), asked_by.map(AskedBy::asker));
        books.has_room(asker, None, 1, 0).is_ok()
            || asker.is_some_and(|asker| books.newest_of_most(asker).is_some())
    }

    /// How much all hold now, and how much they may.
    pub(crate) fn taken_of(&self) -> (usize, usize) {
        self.books().taken_of()
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        // Sums that a panic has left wrong by one change bound nearly as much.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one request holds, until it is dropped or called in.
pub(crate) struct Share {
    shares: Shares,
    asked_by: Option<AskedBy>,
    /// Once it is of something.
    entry: Option<Entry>,
}

/// How a share stands in the books.
struct Entry {
    number: u64,
    call: Arc<Call>,
}

/// How a share's holder learns that it is called in.
#[derive(Default)]
struct Call {
    is_made: AtomicBool,
    notify: Notify,
}

impl Call {
    fn make(&self) {
        self.is_made.store(true, Ordering::Relaxed);
        self.notify.notify_one();
    }
}

impl Share {
    /// Makes it of so much in all, if it is not already. It leaves `spared` to others, or is not changed.
    pub(crate) fn grow_to(&mut self, amount: usize, spared: usize) -> Result<(), NotGiven> {
        match &self.entry {
            None if amount == 0 => {}
            None => {
                let opened = Entry::open(&mut self.shares.books(), self.asked_by.as_ref(), amount, spared)?;
                self.entry = Some(opened);
            }
            Some(entry) => self.shares.books().grow(entry.number, amount, spared)?,
        }
        Ok(())
    }

    /// Whether it could be made of so much in all.
    pub(crate) fn could_grow_to(&self, amount: usize, spared: usize) -> Result<(), NotGiven> {
        let asker = self.asked_by.as_ref().map(AskedBy::asker);
        let number = self.entry.as_ref().map(|entry| entry.number);
        self.shares.books().has_room(asker, number, amount, spared)
    }

    /// Whether it could be made of so much in all, once answers are ended that lie there untaken for at least so long, as
    /// [`reserve_before_untaken`](Shares::reserve_before_untaken) ends them.
    pub(crate) fn could_grow_before_untaken(&self, amount: usize, least: Duration) -> Result<(), NotGiven> {
        match self.could_grow_to(amount, 0) {
            Err(NotGiven::Short) => {
                let asker = self.asked_by.as_ref().map(AskedBy::asker);
                let number = self.entry.as_ref().map(|entry| entry.number);
                let ended = self.shares.books().take_from_untaken(asker, number, amount, least);
                ended.into_iter().for_each(|holder| holder.0.end_answer());
                self.could_grow_to(amount, 0)
            }
            outcome => outcome,
        }
    }

    /// Calls in, for want of room for this one, the share that has made no progress for longest, and for at least so long: of the
    /// same network, or of one that has no less. Whether there is one.
    pub(crate) fn call_in_stillest(&self, least: Duration) -> bool {
        let asker = self.asked_by.as_ref().map(AskedBy::asker);
        let mut books = self.shares.books();
        let stillest = books.stillest(asker, least);
        stillest.is_some_and(|number| books.call_in(number))
    }

    /// From now on its client is not waited for, and it is not [the stillest](Self::call_in_stillest).
    pub(crate) fn settle(&self) {
        if let Some(entry) = &self.entry {
            self.shares.books().settle(entry.number);
        }
    }

    /// Whether it has to be given up.
    pub(crate) fn is_called_in(&self) -> bool {
        self.entry.as_ref().is_some_and(|entry| entry.call.is_made.load(Ordering::Relaxed))
    }

    /// Returns when it has to be given up. Cancelling the wait loses nothing.
    pub(crate) async fn called_in(&self) {
        match &self.entry {
            Some(entry) => entry.call.notify.notified().await,
            None => std::future::pending().await,
        }
    }
}

impl Entry {
    fn open(
        books: &mut Books,
        asked_by: Option<&AskedBy>,
        amount: usize,
        spared: usize,
    ) -> Result<Self, NotGiven> {
        let call = Arc::default();
        let number = books.open(asked_by, &call, amount, spared)?;
        Ok(Self { number, call })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if let Some(entry) = &self.entry {
            self.shares.books().close(entry.number);
        }
    }
}
