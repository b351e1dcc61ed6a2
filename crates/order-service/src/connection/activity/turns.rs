//! Whose turn it is: the service's, or the client's.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use order_api::AskedBy;

use super::Activity;
use super::stream::Stream;
use crate::connection::answer::Protocol;

/// A request, or an answer, that waits for the service.
pub(crate) struct InService {
    activity: Arc<Activity>,
    /// Of a request whose body does not come with its head.
    body: Option<Arc<BodyTurn>>,
}

impl InService {
    /// A request's head is there.
    pub(crate) fn begin(activity: &Arc<Activity>, protocol: Protocol) -> (Self, Open) {
        activity.progressed();
        activity.arrived();
        activity.open.fetch_add(1, Ordering::Relaxed);
        activity.set_endless(false);
        let open = match protocol {
            Protocol::Http1 => Open::Connection(Arc::clone(activity)),
            Protocol::Http2 => Open::Stream(Stream::begin(activity)),
        };
        (Self::at_work(activity), open)
    }

    /// The next piece of an answer is being made.
    pub(in crate::connection) fn at_work(activity: &Arc<Activity>) -> Self {
        activity.working.fetch_add(1, Ordering::Relaxed);
        Self { activity: Arc::clone(activity), body: None }
    }

    /// Until the answer is dropped, it is not the service's turn.
    pub(in crate::connection) fn set_aside(&self) -> SetAside<'_> {
        self.activity.set_aside();
        SetAside(&self.activity)
    }

    /// Whose turn it is while the request's body is read.
    pub(in crate::connection) fn body_turn(&mut self) -> Arc<BodyTurn> {
        let turn =
            || Arc::new(BodyTurn { activity: Arc::clone(&self.activity), whose: AtomicU8::new(SERVICE) });
        Arc::clone(self.body.get_or_insert_with(turn))
    }
}

impl Drop for InService {
    fn drop(&mut self) {
        let is_at_work = self.body.as_ref().is_none_or(|body| body.end());
        if is_at_work {
            self.activity.working.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// See [`InService::set_aside`].
pub(in crate::connection) struct SetAside<'a>(&'a Activity);

impl Drop for SetAside<'_> {
    fn drop(&mut self) {
        self.0.take_up();
    }
}

const SERVICE: u8 = 0;
const CLIENT: u8 = 1;
/// The request is answered. What is left of its body is thrown away, and nobody waits for it.
const OVER: u8 = 2;

/// Whose turn it is while a request's body comes.
pub(in crate::connection) struct BodyTurn {
    activity: Arc<Activity>,
    whose: AtomicU8,
}

impl BodyTurn {
    pub(in crate::connection) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    /// More of the body is waited for.
    pub(in crate::connection) fn pass_to_client(&self) {
        if self.passes(SERVICE, CLIENT) {
            self.activity.working.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// More of it has come, or no more is read.
    pub(in crate::connection) fn pass_to_service(&self) {
        if self.passes(CLIENT, SERVICE) {
            self.activity.working.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Nobody's turn comes after this. Whether it was the service's.
    fn end(&self) -> bool {
        self.whose.swap(OVER, Ordering::Relaxed) == SERVICE
    }

    fn passes(&self, from: u8, to: u8) -> bool {
        self.whose.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// A request whose answer is not wholly handed over.
pub(crate) enum Open {
    /// It is the only one that its connection has now.
    Connection(Arc<Activity>),
    Stream(Arc<Stream>),
}

impl Open {
    pub(crate) fn activity(&self) -> &Arc<Activity> {
        match self {
            Self::Connection(activity) => activity,
            Self::Stream(stream) => stream.activity(),
        }
    }

    pub(in crate::connection) fn stream(&self) -> Option<&Arc<Stream>> {
        match self {
            Self::Connection(_) => None,
            Self::Stream(stream) => Some(stream),
        }
    }

    /// Who asks, for the API.
    pub(crate) fn asked_by(&self) -> AskedBy {
        match self {
            Self::Connection(activity) => AskedBy(Arc::clone(activity) as _),
            Self::Stream(stream) => AskedBy(Arc::clone(stream) as _),
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.activity().open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::AnswerBudget;

    fn connection() -> Arc<Activity> {
        Activity::in_test(&Arc::new(AnswerBudget::new(1024)))
    }

    #[test]
    fn a_request_is_in_service_but_while_its_body_is_waited_for() {
        let activity = connection();
        let (mut in_service, _open) = InService::begin(&activity, Protocol::Http1);
        let body = in_service.body_turn();
        assert!(activity.is_in_service());
        body.pass_to_client();
        body.pass_to_client();
        assert!(!activity.is_in_service());
        body.pass_to_service();
        body.pass_to_service();
        assert!(activity.is_in_service());
        drop(in_service);
        assert!(!activity.is_in_service());
    }

    #[test]
    fn what_is_left_of_an_answered_request_hides_no_other_that_is_in_service() {
        let activity = connection();
        let ((mut refused, _refused_open), (_working, _open)) =
            (InService::begin(&activity, Protocol::Http2), InService::begin(&activity, Protocol::Http2));
        let body = refused.body_turn();
        body.pass_to_client();
        drop(refused);
        assert!(activity.is_in_service());
        body.pass_to_service();
        body.pass_to_client();
        assert!(activity.is_in_service());
    }
}
