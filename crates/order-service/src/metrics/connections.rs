use std::fmt;
use std::sync::Arc;

use order_api::{HeadFault, Page, Source};
use order_application::figures::Counter;

use crate::server::Admission;

/// What becomes of connections, counted.
#[derive(Debug, Default)]
pub(crate) struct ConnectionFigures {
    /// Those that were accepted.
    pub(crate) accepted: Counter,
    /// Those that the system could not give us.
    pub(crate) failed: Counter,
    given_up: [Counter; GivenUp::ALL.len()],
    refused_heads: [Counter; HEAD_FAULTS.len()],
}

/// What may be wrong with a head, each with its name.
const HEAD_FAULTS: [(HeadFault, &str); 7] = [
    (HeadFault::Malformed, "malformed"),
    (HeadFault::NotOneHost, "not_one_host"),
    (HeadFault::NotInChunks, "not_in_chunks"),
    (HeadFault::TooLarge, "too_large"),
    (HeadFault::BodyTooLarge, "body_too_large"),
    (HeadFault::TooSlow, "too_slow"),
    (HeadFault::NotEncrypted, "not_encrypted"),
];

/// Why a connection is ended by the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GivenUp {
    /// Another was given its place.
    Place,
    /// What its client left lying took the room that others wanted.
    Room,
    /// The same, when a page was wanted.
    Page,
    /// Its client took nothing for too long.
    Stuck,
}

impl GivenUp {
    const ALL: [Self; 4] = [Self::Place, Self::Room, Self::Page, Self::Stuck];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Place => "place_wanted",
            Self::Room => "room_wanted",
            Self::Page => "page_wanted",
            Self::Stuck => "stuck",
        }
    }
}

impl ConnectionFigures {
    pub(crate) fn gave_up(&self, why: GivenUp) {
        self.given_up[why as usize].add_one();
    }

    /// A request was refused for its head, before it came to the API.
    pub(crate) fn refused_head(&self, fault: HeadFault) {
        self.refused_heads[fault as usize].add_one();
    }
}

/// The connections of the address for clients, and what their clients have not taken.
pub(crate) struct ConnectionSource(pub(crate) Arc<Admission>);

impl Source for ConnectionSource {
    fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        let (figures, state) = (self.0.figures(), self.0.state());
        page.gauge("http_server_open_connections", "Connections that are open", state.open)?;
        page.gauge("http_server_max_connections", "Most connections that may be open", state.most)?;
        page.counter(
            "http_server_accepted_connections",
            "Connections that were accepted",
            figures.accepted.now(),
        )?;
        let help =
            "Times that the system had no connection to give, most likely for want of file descriptors";
        page.counter("http_server_failed_accepts", help, figures.failed.now())?;
        let given_up = GivenUp::ALL.into_iter().zip(&figures.given_up);
        page.counters(
            "http_server_ended_connections",
            "Connections that were ended for the sake of others, or because their clients took nothing",
            given_up.map(|(why, count)| ([("reason", why.as_str())], count.now())),
        )?;
        let heads = HEAD_FAULTS.iter().zip(&figures.refused_heads);
        page.counters(
            "http_server_refused_heads",
            "Requests that were refused for their heads; the durations of requests leave them out",
            heads.map(|((_, name), count)| ([("reason", *name)], count.now())),
        )?;
        page.gauge(
            "order_answers_untaken_bytes",
            "Bytes of answers that clients have not taken",
            state.untaken,
        )?;
        page.gauge(
            "order_answers_max_untaken_bytes",
            "Most bytes of answers that clients may leave untaken",
            state.most_untaken,
        )?;
        page.gauge("order_answers_waiting", "Answers that wait until others are taken", state.waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_of_a_head_and_each_way_to_be_given_up_has_its_place() {
        assert!(HEAD_FAULTS.iter().enumerate().all(|(index, (fault, _))| *fault as usize == index));
        assert!(GivenUp::ALL.into_iter().enumerate().all(|(index, why)| why as usize == index));
    }
}
