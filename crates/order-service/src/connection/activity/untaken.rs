//! How long a client has left lying what it was given.

/// What the client has been given and has not taken, in two generations. As long as there is something of the older one, what
/// is given is of the newer; after that the newer is the older. So the age of the oldest is known, about, and a client that
/// takes its answers one after the other is told from one that leaves some of them lying, whatever else it takes.
#[derive(Default)]
pub(super) struct Untaken {
    /// The number of the older generation.
    number: u64,
    older: Generation,
    newer: Generation,
}

#[derive(Default)]
struct Generation {
    bytes: usize,
    /// When the first of them was given; moments are as those of [`Activity`](super::Activity).
    since: u64,
}

impl Untaken {
    /// Notes what the client is given; the answer is the number of its generation.
    pub(super) fn give(&mut self, bytes: usize, now: u64) -> u64 {
        let (generation, number) = if self.older.bytes == 0 {
            (&mut self.older, self.number)
        } else {
            (&mut self.newer, self.number + 1)
        };
        if generation.bytes == 0 {
            generation.since = now;
        }
        generation.bytes += bytes;
        number
    }

    /// Notes what the client has taken, of the generation with this number.
    pub(super) fn take(&mut self, number: u64, bytes: usize) {
        let generation = if number == self.number { &mut self.older } else { &mut self.newer };
        generation.bytes -= bytes;
        if self.older.bytes == 0 {
            self.older = std::mem::take(&mut self.newer);
            self.number += 1;
        }
    }

    /// Notes that the client has taken all.
    pub(super) fn take_all(&mut self) {
        *self = Self { number: self.number + 2, ..Self::default() };
    }

    /// Notes that the client has taken something of the oldest, which nobody knows how to count.
    pub(super) fn take_some(&mut self, now: u64) {
        self.older.since = now;
    }

    /// Since when the oldest has been lying, if there is anything.
    pub(super) fn since(&self) -> Option<u64> {
        (self.older.bytes > 0).then_some(self.older.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_takes_one_answer_after_the_other_leaves_nothing_lying_for_long() {
        let mut untaken = Untaken::default();
        let mut last = untaken.give(100, 0);
        for now in 1..50 {
            // The next one is always there before the last is taken.
            let next = untaken.give(100, now);
            untaken.take(last, 100);
            last = next;
            assert!(untaken.since().is_some_and(|since| since >= now - 1), "{:?} at {now}", untaken.since());
        }
        untaken.take(last, 100);
        assert_eq!(untaken.since(), None);
    }

    #[test]
    fn whoever_takes_small_answers_beside_a_large_one_leaves_that_lying() {
        let mut untaken = Untaken::default();
        let large = untaken.give(16_384, 7);
        for now in 8..50 {
            let small = untaken.give(100, now);
            untaken.take(small, 100);
            assert_eq!(untaken.since(), Some(7));
        }
        untaken.take_some(50);
        assert_eq!(untaken.since(), Some(50));
        untaken.take(large, 16_384);
        assert_eq!(untaken.since(), None);
    }

    #[test]
    fn what_was_taken_as_a_whole_is_of_no_generation_that_comes() {
        let mut untaken = Untaken::default();
        untaken.give(1, 1);
        untaken.give(1, 2);
        untaken.take_all();
        assert_eq!(untaken.since(), None);
        untaken.give(5, 3);
        assert_eq!(untaken.since(), Some(3));
    }
}
