//! Events as frames of a feed (WHATWG HTML, 9.2), made once for all feeds that want the same.

use std::fmt::Write;

use axum::body::Bytes;
use order_application::{EventFilter, Position, RecordedEvent, cloud_event};

use crate::answer;
use crate::byte_budget::Reservation;

/// What distinguishes the frames of one feed from those of another at the same position.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct FeedOptions {
    /// Which events are wanted.
    pub(crate) filter: EventFilter,
    /// Whether each frame names its event's type.
    pub(crate) event_names: bool,
}

impl FeedOptions {
    /// What they take, about.
    pub(super) fn bytes(&self) -> usize {
        /// Of a text in a set, besides its letters.
        const TEXT_BYTES: usize = 64;
        self.filter.types.iter().map(|name| TEXT_BYTES + name.len()).sum()
    }
}

/// Frames of a stretch of the log.
pub(super) struct Page {
    /// The last event of the stretch, wanted or not.
    pub(super) last: Position,
    frames: Bytes,
    /// Where the frame of each wanted event begins.
    beginnings: Vec<(Position, usize)>,
}

impl Page {
    /// Makes the frames of events; `reserve` counts their bytes for as long as anybody holds them.
    pub(super) fn render(
        events: &[RecordedEvent],
        options: &FeedOptions,
        source: &str,
        reserve: impl FnOnce(usize) -> Reservation,
    ) -> Self {
        let mut text = String::new();
        let mut beginnings = Vec::new();
        for event in events.iter().filter(|event| options.filter.lets_through(event)) {
            beginnings.push((event.position, text.len()));
            write_frame(&mut text, event, options.event_names, source);
        }
        let last = events.last().map(|event| event.position).unwrap_or_default();
        let reservation = reserve(text.len());
        Self { last, frames: answer::counted(text.into_bytes(), reservation), beginnings }
    }

    /// The frames of events after a position; shares the page's memory.
    pub(super) fn frames_after(&self, position: Position) -> Bytes {
        let index = self.beginnings.partition_point(|(event, _)| *event <= position);
        self.beginnings.get(index).map_or_else(Bytes::new, |(_, from)| self.frames.slice(from..))
    }

    /// How much memory it takes, about.
    pub(super) fn bytes(&self) -> usize {
        self.frames.len() + size_of_val(&*self.beginnings)
    }
}

fn write_frame(out: &mut String, event: &RecordedEvent, event_names: bool, source: &str) {
    out.reserve(event.data.len() + cloud_event::ENVELOPE_BYTES);
    // Writing to a String cannot fail.
    let _ = writeln!(out, "id: {}", event.position);
    if event_names {
        let _ = writeln!(out, "event: {}", event.event_type);
    }
    out.push_str("data: ");
    cloud_event::write(out, source, event);
    out.push_str("\n\n");
}
