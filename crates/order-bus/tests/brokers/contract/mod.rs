//! What every broker must do. A test file of a broker says how to come by one, and calls [`contract_suite!`].

mod faults;
mod publishing;
mod reading;
mod support;

use std::sync::Arc;

use order_application::{Broker, BrokerLog};

pub(crate) use faults::*;
pub(crate) use publishing::*;
pub(crate) use reading::*;
pub(crate) use support::*;

/// How the suite comes by a broker.
pub(crate) trait Fixture: Sized {
    /// Data of so many bytes is refused.
    const TOO_LARGE_BYTES: usize;
    /// A server that has gone back to an older copy takes what was under way, behind what it lacks.
    const TAKES_WHAT_IS_LATE: bool;

    /// With nothing in it, on the server that all tests share.
    fn shared() -> Self;
    /// With nothing in it, on a server of its own.
    fn own() -> Self;
    /// On a host that does not exist.
    fn unknown_host() -> Arc<dyn Broker>;

    /// For publishing.
    fn broker(&self) -> Arc<dyn Broker>;
    /// For reading.
    fn log(&self) -> Arc<dyn BrokerLog>;

    /// Ends the server's process without a word to it (`SIGKILL`).
    fn kill_hard(&mut self);
    /// Starts it with what it had stored, and waits until it answers.
    fn start_again(&mut self);
    /// Takes away all that it had stored, and starts it with nothing.
    fn wipe(&mut self);
    /// Puts a copy of what it has stored aside.
    fn put_copy_aside(&mut self);
    /// Goes back to that copy, whether it runs or not: what came later is lost.
    fn go_back_to_copy(&mut self);
    /// Stops its process where it is.
    fn freeze(&mut self);
    /// Lets it go on.
    fn thaw(&mut self);
}

/// One `#[test]` for each rule of the contract.
macro_rules! contract_suite {
    ($fixture:ty) => {
        crate::contract::contract_suite!($fixture:
            what_was_published_is_read_back_equal,
            each_orders_events_come_in_their_order,
            a_gap_is_not_published,
            it_goes_on_after_the_checkpoint,
            what_was_acknowledged_after_the_checkpoint_is_not_published_again,
            without_evidence_events_are_published_again,
            without_evidence_a_broker_that_has_less_than_was_published_is_given_the_rest,
            a_checkpoint_that_was_moved_beyond_what_was_acknowledged_is_not_believed,
            what_the_broker_has_is_found_whether_or_not_there_is_a_checkpoint,
            an_event_that_somebody_else_has_sent_is_noticed_while_nothing_is_published,
            a_repetition_that_is_interrupted_is_completed,
            an_event_that_is_too_large_is_refused_and_those_before_it_are_acknowledged,
            the_largest_event_is_taken_by_a_server_as_it_is_installed,
            a_wait_that_is_cancelled_loses_nothing,
            a_reader_goes_on_from_its_bookmark,
            a_bookmark_of_another_broker_means_the_beginning,
            a_reader_that_waits_is_woken,
            a_paused_reader_waits_and_goes_on_where_it_was,
            a_reader_knows_how_far_behind_it_is,
            a_reader_gets_everything_though_its_server_is_killed,
            a_host_that_is_not_known_is_told_soon,
            a_server_that_is_killed_with_events_under_way_gets_them_all,
            a_server_that_has_lost_everything_is_given_everything_again,
            a_server_that_has_lost_its_end_is_given_it_again,
            a_server_that_has_lost_its_end_under_load_has_no_gap,
            a_loss_is_noticed_while_nothing_is_published,
            a_server_that_does_not_answer_is_given_up_soon,
        );
    };
    ($fixture:ty: $($rule:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $rule() {
                crate::contract::$rule::<$fixture>().await;
            }
        )*
    };
}
pub(crate) use contract_suite;
