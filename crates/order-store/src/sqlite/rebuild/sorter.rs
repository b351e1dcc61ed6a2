//! Sorts more records than memory holds: an external merge sort.
//!
//! Records are gathered and sorted in memory; whenever it is full, they go to a file as one sorted run. In the end all runs
//! are read side by side. The file has no name, so nothing of it stays behind, however the process ends.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// Each run is read in pieces of at least so many bytes, even if all of them together take more memory than they should:
/// with 16 MiB and records of 24 bytes, that is after 480 million.
const LEAST_PIECE_BYTES: usize = 24 * 1_024;
const WRITE_BUFFER_BYTES: usize = 256 * 1024;

/// What is sorted: numbers, by the first of them first.
pub(super) type Record<const N: usize> = [u64; N];

/// Takes in records.
pub(super) struct Sorter<const N: usize> {
    file: File,
    /// How many records are held in memory.
    most: usize,
    records: Vec<Record<N>>,
    /// How many records each run in the file has.
    runs: Vec<usize>,
}

impl<const N: usize> Sorter<N> {
    /// With a file in a directory, and so many bytes of memory.
    pub(super) fn new(directory: &Path, memory: usize) -> io::Result<Self> {
        let most = (memory / size_of::<Record<N>>()).max(1);
        let file = tempfile::tempfile_in(directory)?;
        Ok(Self { file, most, records: Vec::with_capacity(most), runs: Vec::new() })
    }

    pub(super) fn push(&mut self, record: Record<N>) -> io::Result<()> {
        if self.records.len() == self.most {
            self.write_run()?;
        }
        self.records.push(record);
        Ok(())
    }

    /// Moves what is in memory into a run of its own.
    fn write_run(&mut self) -> io::Result<()> {
        self.records.sort_unstable();
        let mut writer = BufWriter::with_capacity(WRITE_BUFFER_BYTES, &self.file);
        for number in self.records.as_flattened() {
            writer.write_all(&number.to_ne_bytes())?;
        }
        writer.flush()?;
        self.runs.push(self.records.len());
        self.records.clear();
        Ok(())
    }

    /// All records in their order.
    pub(super) fn sorted(mut self) -> io::Result<Sorted<N>> {
        self.write_run()?;
        let Self { file, most, records, runs } = self;
        drop(records);
        let piece = (most * size_of::<Record<N>>() / runs.len()).max(LEAST_PIECE_BYTES);
        let (file, mut offset) = (Arc::new(file), 0);
        let mut sorted = Sorted { runs: Vec::new(), next: BinaryHeap::new() };
        for (index, left) in runs.into_iter().enumerate() {
            let reader = BufReader::with_capacity(piece, ReadAt { file: Arc::clone(&file), offset });
            offset += (left * size_of::<Record<N>>()) as u64;
            sorted.runs.push(Run { left, reader });
            sorted.read_next(index)?;
        }
        Ok(sorted)
    }
}

/// Sorted records: runs that are read side by side.
pub(super) struct Sorted<const N: usize> {
    runs: Vec<Run>,
    /// The next record of each run that has one, and which run that is.
    next: BinaryHeap<Reverse<(Record<N>, usize)>>,
}

struct Run {
    /// How many records are still to be read.
    left: usize,
    reader: BufReader<ReadAt>,
}

/// A place in the file that all runs are in.
struct ReadAt {
    file: Arc<File>,
    offset: u64,
}

impl Read for ReadAt {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.file.read_at(buffer, self.offset)?;
        self.offset += bytes as u64;
        Ok(bytes)
    }
}

impl<const N: usize> Sorted<N> {
    /// Reads the next record of a run, if it has one.
    fn read_next(&mut self, index: usize) -> io::Result<()> {
        let Run { left, reader } = &mut self.runs[index];
        if *left == 0 {
            return Ok(());
        }
        *left -= 1;
        let mut record = [0; N];
        for number in &mut record {
            let mut bytes = [0; size_of::<u64>()];
            reader.read_exact(&mut bytes)?;
            *number = u64::from_ne_bytes(bytes);
        }
        self.next.push(Reverse((record, index)));
        Ok(())
    }
}

impl<const N: usize> Iterator for Sorted<N> {
    type Item = io::Result<Record<N>>;

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse((record, index)) = self.next.pop()?;
        Some(self.read_next(index).map(|()| record))
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
        let mut sorter = Sorter::new(directory.path(), memory).unwrap();
        shuffled(count).for_each(|record| sorter.push(record).unwrap());
        let runs = sorter.runs.len();
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
        let mut sorter = Sorter::new(directory.path(), 20_000 * 16).unwrap();
        shuffled(50_000).for_each(|record| sorter.push(record).unwrap());
        let mut sorted = sorter.sorted().unwrap();
        sorted.runs[0].reader.get_ref().file.set_len(16 * 49_000).unwrap();
        assert!(sorted.any(|record| record.is_err()));
    }
}
