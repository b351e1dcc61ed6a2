//! Sorts more records than memory holds: an external merge sort.
//!
//! Records are gathered and sorted in memory; whenever it is full, they go to a file as one sorted run. In the end all runs
//! are read side by side. The file has no name, so nothing of it stays behind, however the process ends.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Each run is read in pieces of at least this many records, even if all of them together take more memory than they
/// should: with 16 MiB and records of 24 bytes, that is after 480 million.
const LEAST_PIECE: usize = 1_024;
/// And at most this many: larger pieces are no faster.
const LARGEST_PIECE: usize = 16_384;
const WRITE_BUFFER_BYTES: usize = 256 * 1024;

/// What is sorted: numbers, by the first of them first.
pub(super) type Record<const N: usize> = [u64; N];

/// Takes in records.
pub(super) struct Sorter<const N: usize> {
    /// Where the file goes.
    directory: PathBuf,
    /// How many records are held in memory.
    most: usize,
    records: Vec<Record<N>>,
    /// Nothing as long as memory has room for all.
    runs: Option<Runs>,
}

/// The file, and where each run of sorted records is.
struct Runs {
    file: File,
    runs: Vec<SortedRun>,
}

/// Where a run's next record is, and where its last one ends, in bytes.
struct SortedRun {
    next: u64,
    end: u64,
}

impl<const N: usize> Sorter<N> {
    /// With a file in a directory, if one is needed, and so many bytes of memory.
    pub(super) fn new(directory: &Path, memory: usize) -> Self {
        let most = (memory / size_of::<Record<N>>()).max(1);
        Self { directory: directory.to_owned(), most, records: Vec::with_capacity(most), runs: None }
    }

    pub(super) fn push(&mut self, record: Record<N>) -> io::Result<()> {
        if self.records.len() == self.most {
            let runs = match &mut self.runs {
                Some(runs) => runs,
                none => none.insert(Runs { file: tempfile::tempfile_in(&self.directory)?, runs: Vec::new() }),
            };
            runs.write(&mut self.records)?;
        }
        self.records.push(record);
        Ok(())
    }

    /// All records in their order.
    pub(super) fn sorted(mut self) -> io::Result<Sorted<N>> {
        let Some(mut runs) = self.runs else {
            self.records.sort_unstable();
            return Ok(Sorted::InMemory(self.records.into_iter()));
        };
        runs.write(&mut self.records)?;
        drop(self.records);
        let piece = (self.most / runs.runs.len()).clamp(LEAST_PIECE, LARGEST_PIECE);
        Merge::new(runs, piece).map(Sorted::Merged)
    }
}

impl Runs {
    /// Moves records into a run of their own.
    fn write<const N: usize>(&mut self, records: &mut Vec<Record<N>>) -> io::Result<()> {
        records.sort_unstable();
        let mut writer = BufWriter::with_capacity(WRITE_BUFFER_BYTES, &self.file);
        for number in records.as_flattened() {
            writer.write_all(&number.to_ne_bytes())?;
        }
        writer.flush()?;
        let next = self.runs.last().map_or(0, |run| run.end);
        self.runs.push(SortedRun { next, end: next + size_of_val(records.as_slice()) as u64 });
        records.clear();
        Ok(())
    }
}

/// Sorted records.
pub(super) enum Sorted<const N: usize> {
    InMemory(std::vec::IntoIter<Record<N>>),
    Merged(Merge<N>),
}

impl<const N: usize> Iterator for Sorted<N> {
    type Item = io::Result<Record<N>>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::InMemory(records) => records.next().map(Ok),
            Self::Merged(merge) => merge.next().transpose(),
        }
    }
}

/// Runs that are read side by side.
pub(super) struct Merge<const N: usize> {
    file: File,
    runs: Vec<RunReader<N>>,
    /// The next record of each run that has one, and which run that is.
    next_records: BinaryHeap<Reverse<(Record<N>, usize)>>,
}

impl<const N: usize> Merge<N> {
    fn new(Runs { file, runs }: Runs, piece: usize) -> io::Result<Self> {
        let mut runs: Vec<_> = runs.into_iter().map(|run| RunReader::new(run, piece)).collect();
        let mut next_records = BinaryHeap::with_capacity(runs.len());
        for (index, run) in runs.iter_mut().enumerate() {
            next_records.extend(run.next(&file)?.map(|record| Reverse((record, index))));
        }
        Ok(Self { file, runs, next_records })
    }

    fn next(&mut self) -> io::Result<Option<Record<N>>> {
        let Some(mut least) = self.next_records.peek_mut() else { return Ok(None) };
        let Reverse((record, index)) = *least;
        match self.runs[index].next(&self.file)? {
            Some(next) => *least = Reverse((next, index)),
            None => {
                PeekMut::pop(least);
            }
        }
        Ok(Some(record))
    }
}

struct RunReader<const N: usize> {
    run: SortedRun,
    piece: Vec<u8>,
    /// How much of the piece has been read, in bytes.
    read: usize,
}

impl<const N: usize> RunReader<N> {
    fn new(run: SortedRun, piece: usize) -> Self {
        let bytes = (run.end - run.next).min((piece * size_of::<Record<N>>()) as u64) as usize;
        Self { run, piece: vec![0; bytes], read: bytes }
    }

    fn next(&mut self, file: &File) -> io::Result<Option<Record<N>>> {
        if self.read == self.piece.len() {
            let left = self.run.end - self.run.next;
            self.piece.truncate(left.min(self.piece.len() as u64) as usize);
            file.read_exact_at(&mut self.piece, self.run.next)?;
            self.run.next += self.piece.len() as u64;
            self.read = 0;
        }
        let (numbers, _) = self.piece[self.read..].as_chunks::<{ size_of::<u64>() }>();
        let Some(numbers) = numbers.first_chunk::<N>() else { return Ok(None) };
        self.read += size_of::<Record<N>>();
        Ok(Some(numbers.map(u64::from_ne_bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers in an order that looks like none.
    fn shuffled(count: u64) -> impl Iterator<Item = Record<2>> {
        (0..count).map(move |n| [n.wrapping_mul(0x9E37_79B9_7F4A_7C15) % count / 3, n])
    }

    fn sort(count: u64, memory: usize) -> (Vec<Record<2>>, usize) {
        let directory = tempfile::tempdir().unwrap();
        let mut sorter = Sorter::new(directory.path(), memory);
        shuffled(count).for_each(|record| sorter.push(record).unwrap());
        let runs = sorter.runs.as_ref().map_or(0, |runs| runs.runs.len());
        let sorted = sorter.sorted().unwrap().map(Result::unwrap).collect();
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "the file has no name");
        (sorted, runs)
    }

    #[test]
    fn records_come_in_their_order_however_many_runs_they_make() {
        for (count, memory, written) in [
            (0, 100 * 16, 0),
            (1, 100 * 16, 0),
            (100, 100 * 16, 0),
            (101, 100 * 16, 1),
            (10_000, 100 * 16, 99),
            (10_000, 3_000 * 16, 3),
            (50_000, 20_000 * 16, 2),
            (5, 0, 4),
        ] {
            let (sorted, runs) = sort(count, memory);
            let mut expected: Vec<_> = shuffled(count).collect();
            expected.sort_unstable();
            assert_eq!(sorted, expected, "{count} records with {memory} bytes");
            assert_eq!(runs, written, "{count} records with {memory} bytes");
        }
    }

    #[test]
    fn a_run_that_was_cut_is_an_error_and_no_shorter_run() {
        let directory = tempfile::tempdir().unwrap();
        let mut sorter = Sorter::new(directory.path(), 20_000 * 16);
        shuffled(50_000).for_each(|record| sorter.push(record).unwrap());
        let mut sorted = sorter.sorted().unwrap();
        let Sorted::Merged(merge) = &mut sorted else { panic!("it did not fit in memory") };
        merge.file.set_len(16 * 49_000).unwrap();
        assert!(sorted.any(|record| record.is_err()));
    }
}
