//! A list that grows without moving what it holds: doubling a vector of a million events would stop everybody for as
//! long as it takes to copy them.

/// Entries of one segment.
const SEGMENT: usize = 4096;

pub(super) struct Segmented<T> {
    segments: Vec<Vec<T>>,
}

impl<T> Default for Segmented<T> {
    fn default() -> Self {
        Self { segments: Vec::new() }
    }
}

impl<T> Segmented<T> {
    pub(super) fn len(&self) -> usize {
        self.segments.last().map_or(0, |last| (self.segments.len() - 1) * SEGMENT + last.len())
    }

    pub(super) fn push(&mut self, entry: T) {
        match self.segments.last_mut() {
            Some(last) if last.len() < SEGMENT => last.push(entry),
            Some(_) | None => {
                let mut segment = Vec::with_capacity(SEGMENT);
                segment.push(entry);
                self.segments.push(segment);
            }
        }
    }

    /// Everything from an index on, which may be past the end.
    pub(super) fn iter_from(&self, index: usize) -> impl Iterator<Item = &T> {
        let first = self.segments.get(index / SEGMENT..).unwrap_or_default();
        first.iter().flatten().skip(index % SEGMENT)
    }

    /// The first index whose entry does not satisfy `before`, in a list that is sorted by it.
    pub(super) fn partition_point(&self, before: impl Fn(&T) -> bool) -> usize {
        let full = self.segments.partition_point(|segment| segment.last().is_some_and(&before));
        let within = self.segments.get(full).map_or(0, |segment| segment.partition_point(before));
        (full * SEGMENT + within).min(self.len())
    }
}

impl<T> std::ops::Index<usize> for Segmented<T> {
    type Output = T;

    fn index(&self, index: usize) -> &T {
        &self.segments[index / SEGMENT][index % SEGMENT]
    }
}

impl<T> std::ops::IndexMut<usize> for Segmented<T> {
    fn index_mut(&mut self, index: usize) -> &mut T {
        &mut self.segments[index / SEGMENT][index % SEGMENT]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_list() {
        let mut list = Segmented::default();
        assert_eq!((list.len(), list.iter_from(0).count(), list.partition_point(|_| true)), (0, 0, 0));
        let n = 2 * SEGMENT + 1;
        for entry in 0..n {
            list.push(entry);
        }
        assert_eq!(list.len(), n);
        for index in [0, 1, SEGMENT - 1, SEGMENT, SEGMENT + 1, 2 * SEGMENT, n - 1] {
            assert_eq!(list[index], index);
            assert_eq!(list.iter_from(index).count(), n - index);
            assert_eq!(list.iter_from(index).next(), Some(&index));
            assert_eq!(list.partition_point(|entry| *entry < index), index);
        }
        assert_eq!(list.iter_from(n).count(), 0);
        assert_eq!(list.iter_from(usize::MAX).count(), 0);
        assert_eq!(list.partition_point(|_| true), n);
    }
}
