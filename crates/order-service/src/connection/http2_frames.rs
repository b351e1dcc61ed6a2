//! How far a client is with what it sends over HTTP/2, and how much of that means nothing, as its frames say (RFC 9113, 4.1). Nothing
//! is looked into but their heads.

/// How long a frame's head is.
const FRAME_HEAD_BYTES: usize = 9;

const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const PUSH_PROMISE: u8 = 0x5;
const CONTINUATION: u8 = 0x9;
const END_HEADERS: u8 = 0x4;

/// See the module.
pub(super) struct Frames {
    /// The head of the frame that comes, as far as it has.
    head: [u8; FRAME_HEAD_BYTES],
    head_length: usize,
    /// What is still to come of the frame after it.
    left: usize,
    /// The longest frame's bytes after its head, of those that came or are to come.
    longest: usize,
    /// How many have come that are neither of a request's head nor of its body.
    idle: usize,
    /// The bytes of the request's head that is not finished, if there is one, as far as frames have announced them.
    request_head: Option<usize>,
}

impl Frames {
    /// Those that come after so many bytes of a preface.
    pub(super) fn after(preface_bytes: usize) -> Self {
        // As if the preface were a frame that means nothing.
        let head_length = FRAME_HEAD_BYTES;
        Self {
            head: [0; FRAME_HEAD_BYTES],
            head_length,
            left: preface_bytes,
            longest: 0,
            idle: 0,
            request_head: None,
        }
    }

    /// Bytes have come. They follow those that came before. How many of them count: those behind so many requests' heads are as if they
    /// had not come. (The last head's continuation may be among them.)
    pub(super) fn come(&mut self, all: &[u8], heads: &mut usize) -> usize {
        let mut bytes = all;
        while !bytes.is_empty() && *heads > 0 {
            if self.head_length < FRAME_HEAD_BYTES {
                let length = bytes.len().min(FRAME_HEAD_BYTES - self.head_length);
                self.head[self.head_length..][..length].copy_from_slice(&bytes[..length]);
                self.head_length += length;
                bytes = &bytes[length..];
                if self.head_length == FRAME_HEAD_BYTES {
                    self.begin();
                }
            }
            let length = bytes.len().min(self.left);
            self.left -= length;
            bytes = &bytes[length..];
            if self.left == 0 && self.head_length == FRAME_HEAD_BYTES {
                *heads -= usize::from(self.head[3] == HEADERS);
                self.end();
            }
        }
        all.len() - bytes.len()
    }

    /// How many bytes of a request's head have been announced that is not finished. `None`: none is begun.
    pub(super) fn unfinished_head(&self) -> Option<usize> {
        self.request_head
    }

    /// How long the longest frame is that has been announced.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    /// How much is still to come of the frame that has been announced last.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// How many frames have come since this was last forgotten that are neither of a request's head nor of its body.
    pub(super) fn idle(&self) -> usize {
        self.idle
    }

    pub(super) fn forget_idle(&mut self) {
        self.idle = 0;
    }

    fn begin(&mut self) {
        let [high, middle, low, kind, ..] = self.head;
        self.left = u32::from_be_bytes([0, high, middle, low]) as usize;
        self.longest = self.longest.max(self.left);
        if !matches!(kind, HEADERS | CONTINUATION) && (kind != DATA || self.left == 0) {
            self.idle += 1;
        }
        if matches!(kind, HEADERS | PUSH_PROMISE) && !self.ends_head() {
            self.request_head = Some(0);
        }
        if let Some(bytes) = &mut self.request_head {
            *bytes += FRAME_HEAD_BYTES + self.left;
        }
    }

    fn end(&mut self) {
        if matches!(self.head[3], HEADERS | PUSH_PROMISE | CONTINUATION) && self.ends_head() {
            self.request_head = None;
        }
        self.head_length = 0;
    }

    /// Whether the request's head ends with this frame.
    fn ends_head(&self) -> bool {
        self.head[4] & END_HEADERS != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Frames {
        fn come_all(&mut self, bytes: &[u8]) {
            assert_eq!(self.come(bytes, &mut usize::MAX.clone()), bytes.len());
        }
    }

    fn frame(kind: u8, flags: u8, length: usize) -> Vec<u8> {
        let [_, high, middle, low] = (length as u32).to_be_bytes();
        let mut frame = vec![high, middle, low, kind, flags, 0, 0, 0, 1];
        frame.resize(frame.len() + length, 0xff);
        frame
    }

    #[test]
    fn a_head_is_unfinished_until_the_frame_that_ends_it_is_there_however_the_bytes_come() {
        let said = [
            (frame(DATA, 0, 300), None),
            (frame(HEADERS, END_HEADERS, 20), None),
            (frame(HEADERS, 0, 100), Some(109)),
            (frame(CONTINUATION, 0, 0), Some(118)),
            (frame(CONTINUATION, 0, 70_000), Some(70_127)),
            (frame(CONTINUATION, END_HEADERS, 5), None),
            (frame(DATA, END_HEADERS, 0), None),
            (frame(HEADERS, 0, 0), Some(9)),
            (frame(CONTINUATION, END_HEADERS, 0), None),
        ];
        let preface = [b'P'; 24];
        for at_once in [1, 2, 7, 9, 10, 1_000, 100_000] {
            let mut frames = Frames::after(preface.len());
            preface.chunks(at_once).for_each(|bytes| frames.come_all(bytes));
            for (frame, unfinished) in &said {
                frame.chunks(at_once).for_each(|bytes| frames.come_all(bytes));
                assert_eq!(frames.unfinished_head(), *unfinished, "{at_once} bytes at once");
            }
            let mut frames = Frames::after(preface.len());
            let all = said.iter().flat_map(|(frame, _)| frame.clone());
            let all: Vec<u8> = preface.into_iter().chain(all).collect();
            all.chunks(at_once).for_each(|bytes| frames.come_all(bytes));
            assert_eq!(frames.unfinished_head(), None, "{at_once} bytes at once");
        }
    }

    #[test]
    fn what_asks_for_nothing_is_idle() {
        const PRIORITY: u8 = 0x2;
        let mut frames = Frames::after(0);
        for busy in [frame(HEADERS, END_HEADERS, 9), frame(DATA, 0, 1), frame(CONTINUATION, 0, 0)] {
            frames.come_all(&busy);
        }
        assert_eq!(frames.idle(), 0);
        for idle in [frame(PRIORITY, 0, 5), frame(DATA, 0, 0), frame(0xbe, 0, 300)] {
            frames.come_all(&idle);
        }
        assert_eq!(frames.idle(), 3);
        frames.forget_idle();
        assert_eq!(frames.idle(), 0);
    }

    #[test]
    fn what_is_announced_of_a_head_counts_before_it_comes() {
        let mut frames = Frames::after(0);
        frames.come_all(&frame(HEADERS, 0, 16_384)[..9]);
        assert_eq!((frames.unfinished_head(), frames.longest()), (Some(16_393), 16_384));
    }

    #[test]
    fn after_so_many_heads_the_rest_is_left() {
        let said = [
            frame(DATA, 0, 30),
            frame(HEADERS, END_HEADERS, 5),
            frame(0x8, 0, 4),
            frame(HEADERS, 0, 5),
            frame(CONTINUATION, END_HEADERS, 5),
            frame(HEADERS, END_HEADERS, 7),
        ];
        let all = said.concat();
        let mut frames = Frames::after(0);
        let mut heads = 2;
        let counted = frames.come(&all, &mut heads);
        let rest = &all[counted..];
        assert_eq!(
            (rest.len(), frames.unfinished_head(), heads),
            (14 + 16, Some(14), 0),
            "behind the second, which goes on"
        );
        assert_eq!(frames.come(rest, &mut heads), 0);
        heads = 2;
        assert_eq!(frames.come(rest, &mut heads), rest.len());
        assert_eq!((frames.unfinished_head(), heads), (None, 1));
    }
}
