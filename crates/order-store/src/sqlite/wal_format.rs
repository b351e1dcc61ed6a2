//! The format of SQLite's write-ahead log, for whoever reads one without SQLite.
//!
//! A header, and frames: each has a page, a number that is not 0 on the last frame of a commit, the header's salts, and a
//! checksum that goes on from the frame before (<https://sqlite.org/fileformat2.html#the_write_ahead_log>). When all of them
//! have been copied into the database, the next *turn* of the file begins with another header, over what is there. Whoever writes counts
//! its turns, and adds one to the first salt with each; the first of all has random salts.

pub(crate) const HEADER_BYTES: usize = 32;
pub(crate) const FRAME_HEADER_BYTES: usize = 24;
/// The first bytes of every write-ahead log; the last bit says how its checksums read words.
const MAGIC: u32 = 0x377F_0682;
const FORMAT: u32 = 3_007_000;

/// Tell a turn from every other. The second is random with each turn.
pub(crate) type Salts = [u32; 2];
pub(crate) type Sums = [u32; 2];
type Word = fn([u8; 4]) -> u32;

pub(crate) struct WalHeader {
    /// It is what was written.
    pub(crate) is_sound: bool,
    pub(crate) page_bytes: u32,
    /// Whoever wrote it has begun so many turns before.
    pub(crate) turn: u32,
    pub(crate) salts: Salts,
    pub(crate) sums: Sums,
    word: Word,
}

impl WalHeader {
    pub(crate) fn parse(bytes: &[u8; HEADER_BYTES]) -> Self {
        let [magic, format, page_bytes, turn, salt_1, salt_2, sum_1, sum_2] = words(bytes);
        let word: Word = if magic & 1 == 0 { u32::from_le_bytes } else { u32::from_be_bytes };
        let sums = [sum_1, sum_2];
        let is_sound = magic & !1 == MAGIC && format == FORMAT && add([0; 2], &bytes[..24], word) == sums;
        // Of one that is damaged nothing is believed: SQLite writes words as the machine has them.
        let word = if is_sound { word } else { u32::from_ne_bytes };
        Self { is_sound, page_bytes, turn, salts: [salt_1, salt_2], sums, word }
    }

    /// The checksum that a frame has which goes on from one.
    pub(crate) fn sums_after(&self, before: Sums, head: &[u8; FRAME_HEADER_BYTES], page: &[u8]) -> Sums {
        add(add(before, &head[..8], self.word), page, self.word)
    }
}

pub(crate) struct FrameHeader {
    pub(crate) page: u32,
    /// Of the last frame of a commit: how many pages the database has then. 0 of any other.
    pub(crate) database_pages: u32,
    pub(crate) salts: Salts,
    pub(crate) sums: Sums,
}

impl FrameHeader {
    pub(crate) fn parse(bytes: &[u8; FRAME_HEADER_BYTES]) -> Self {
        let [page, database_pages, salt_1, salt_2, sum_1, sum_2] = words(bytes);
        Self { page, database_pages, salts: [salt_1, salt_2], sums: [sum_1, sum_2] }
    }
}

/// The words of a header, all of them with the highest byte first.
fn words<const WORDS: usize>(bytes: &[u8]) -> [u32; WORDS] {
    let (chunks, _) = bytes.as_chunks::<4>();
    std::array::from_fn(|word| chunks.get(word).copied().map_or(0, u32::from_be_bytes))
}

/// The checksum of bytes that follow on others.
fn add([mut a, mut b]: Sums, bytes: &[u8], word: Word) -> Sums {
    let (pairs, _) = bytes.as_chunks::<8>();
    for [p, q, r, s, t, u, v, w] in pairs.iter().copied() {
        a = a.wrapping_add(word([p, q, r, s])).wrapping_add(b);
        b = b.wrapping_add(word([t, u, v, w])).wrapping_add(a);
    }
    [a, b]
}
