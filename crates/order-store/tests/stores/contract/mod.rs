//! What every store must do. A test file of a store says how to open one, and calls [`contract_suite!`].

mod appends;
mod checkpoints;
mod due;
mod figures;
mod following;
mod lists;
mod reading;
mod receipts;
mod replicas;

use std::sync::Arc;

use order_application::figures::MeasuredStore;
use order_application::{
    Checkpoints, EventBus, EventLog, ListQuery, ListedOrder, OrderViews, Position, Receipts, ReplicaStore,
};

pub(crate) use appends::*;
pub(crate) use checkpoints::*;
pub(crate) use due::*;
pub(crate) use figures::*;
pub(crate) use following::*;
pub(crate) use lists::*;
pub(crate) use reading::*;
pub(crate) use receipts::*;
pub(crate) use replicas::*;

/// A store keeps a log with its views, and receipts.
pub(crate) trait Store: EventLog + OrderViews + Receipts + MeasuredStore {}

impl<S: EventLog + OrderViews + Receipts + MeasuredStore> Store for S {}

/// So does a replica's.
pub(crate) trait StoreOfReplica: ReplicaStore + OrderViews {}

impl<S: ReplicaStore + OrderViews> StoreOfReplica for S {}

/// The first page of orders that were placed after a position.
pub(crate) async fn list(
    views: &(impl OrderViews + ?Sized),
    after: Position,
    limit: usize,
) -> Vec<ListedOrder> {
    views.many(&ListQuery::placed_after(after, limit)).await.unwrap().orders
}

/// How the suite opens a store.
pub(crate) trait Fixture: Sized {
    /// An empty store.
    fn open(bus: Arc<dyn EventBus>) -> Self;
    /// An empty store that lets nobody wait, as far as it lets anybody wait at all.
    fn open_without_queue_wait() -> Self {
        Self::open(bus())
    }
    /// The store itself.
    fn store(&self) -> Arc<dyn Store>;
    /// Its checkpoints.
    fn checkpoints(&self) -> Arc<dyn Checkpoints>;
    /// The same store after its process has ended and begun again.
    fn reopen(self, bus: Arc<dyn EventBus>) -> Self;
}

/// How the suite opens a replica's store.
pub(crate) trait ReplicaFixture: Sized {
    /// An empty one.
    fn open(bus: Arc<dyn EventBus>) -> Self;
    /// The store itself.
    fn store(&self) -> Arc<dyn StoreOfReplica>;
    /// The same store after its process has ended and begun again.
    fn reopen(self, bus: Arc<dyn EventBus>) -> Self;
    /// An empty store that is not a replica's.
    fn ordinary() -> (Arc<dyn StoreOfReplica>, Option<tempfile::TempDir>);
}

pub(crate) fn bus() -> Arc<order_bus::InProcessBus> {
    Arc::new(order_bus::InProcessBus::new())
}

/// One `#[test]` for each rule of the contract.
macro_rules! contract_suite {
    ($fixture:ty) => {
        crate::contract::contract_suite!($fixture:
            an_order_is_due_from_its_time_on_until_it_has_nothing_left_to_do,
            what_is_due_is_known_after_a_restart,
            what_is_due_comes_in_pages_by_time_and_place,
            an_append_is_seen_by_every_read_that_follows,
            an_append_at_another_version_is_refused_and_leaves_nothing,
            of_many_appends_at_one_version_one_succeeds,
            a_refused_append_does_not_sink_its_neighbours,
            appends_to_one_order_may_share_a_batch,
            an_append_whose_caller_goes_away_is_whole_or_not_there,
            what_is_refused_because_it_waited_too_long_is_never_written,
            positions_have_no_gap_however_many_write,
            a_reader_that_follows_skips_nothing_and_sees_nothing_twice,
            commits_are_announced_in_order,
            a_slow_subscriber_loses_nothing,
            a_slow_subscriber_that_reads_ahead_loses_nothing,
            pages_end_where_their_limits_say,
            beyond_the_end_there_is_nothing_however_far,
            lists_are_in_placement_order_and_in_pages,
            a_list_is_right_while_orders_are_added_and_changed,
            a_list_has_what_its_filter_accepts_in_the_order_of_its_sort,
            who_follows_a_list_meets_every_order_that_does_not_change_once,
            lists_are_right_while_orders_are_placed_and_changed,
            an_order_is_found_by_what_it_was_named_with_however_it_went,
            a_page_ends_after_many_rows_that_do_not_belong_and_the_next_goes_on,
            ten_thousand_events_in_one_order,
            awkward_ids_and_texts_are_kept_as_they_are,
            everything_is_there_after_a_restart,
            a_checkpoint_is_loaded_as_it_was_saved,
            a_holder_keeps_its_epoch_and_every_other_gets_a_higher_one,
            a_save_is_refused_once_another_has_had_the_lease,
            a_lease_that_is_given_back_is_free_at_once,
            checkpoints_and_epochs_are_there_after_a_restart,
            checkpoints_are_saved_beside_appends,
            a_receipt_is_found_once_its_append_is_acknowledged,
            receipts_are_there_after_a_restart,
            of_many_appends_under_one_key_one_succeeds,
            a_key_that_is_taken_is_told_whatever_the_orders_version,
            an_append_that_is_refused_leaves_no_receipt,
            a_receipt_without_events_is_kept_unless_there_is_an_earlier_one,
            the_oldest_receipts_are_trimmed_a_few_at_a_time,
            receipts_of_the_future_keep_no_others_from_being_trimmed,
            orders_are_counted_by_their_status_up_to_a_limit,
            every_append_is_counted_in_its_batch_and_nothing_waits_in_the_end,
            what_waited_too_long_is_counted_as_shed,
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

/// The same for the stores of replicas.
macro_rules! replica_suite {
    ($fixture:ty) => {
        crate::contract::contract_suite!($fixture:
            a_replica_has_the_other_logs_events_and_their_views,
            what_a_replica_is_brought_is_announced,
            what_does_not_continue_an_order_is_refused_with_all_that_came_along,
            a_checkpoint_that_is_not_where_the_events_end_is_refused,
            a_checkpoint_may_come_without_events,
            a_replica_takes_no_commands_and_others_no_copies,
            a_replica_goes_on_after_a_restart,
            many_events_are_brought_in_one_call,
            orders_that_cannot_be_read_are_refused_and_all_others_are_served,
        );
    };
}
pub(crate) use replica_suite;
