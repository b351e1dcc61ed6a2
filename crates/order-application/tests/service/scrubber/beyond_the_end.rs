//! Rows of the list where the log has no order, or not yet.

use std::sync::atomic::AtomicU64;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_row_that_the_list_has_where_no_order_was_placed_is_repaired_also_beyond_the_log_s_end() {
    for (index, position) in [(4, Position(8)), (ORDERS, Position(EVENTS)), (ORDERS, Position(1_000))] {
        let stage = Stage::new().await;
        stage.store.lies().list = Some(Box::new(move |mut rows| {
            let summary = OrderSummary { order_id: id("nobody"), ..rows[3].summary.clone() };
            rows.insert(index, ListedOrder { place: position, summary, left_out_before: 0 });
            rows
        }));
        assert_eq!(stage.found().await, (vec!["nobody".to_owned()], 1));
        assert_eq!(stage.store.lies().repaired_positions, [position]);
    }
}

/// As a store does that shows an order to readers a moment before the end of its log.
#[tokio::test(start_paused = true)]
async fn an_order_that_the_list_has_a_moment_before_the_log_s_end_has_come_so_far_is_no_fault() {
    let stage = Stage::new().await;
    // One look for each page, which passes it over, and one beyond them.
    let looks = AtomicU64::new(EVENTS / 10 + 1);
    stage.store.lies().list = Some(Box::new(move |mut rows| {
        if looks.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |more| more.checked_sub(1)).is_ok() {
            let summary = OrderSummary { order_id: id("new"), ..rows[3].summary.clone() };
            rows.push(ListedOrder { place: Position(EVENTS + 1), summary, left_out_before: 0 });
        }
        rows
    }));
    assert_eq!(stage.found().await, (vec![], 0));
}
