//! The routes as clients see them: the real router on the memory store, with a clock and ids that repeat.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod access;
mod bad_input;
mod bodies;
mod cancel;
mod docs;
mod document;
mod dry_run;
mod ended;
mod examples;
mod find_orders;
mod get_order;
mod goods;
mod harness;
mod health;
mod hold_and_complete;
mod hostile_bodies;
mod idempotency_key;
mod large_pages;
mod life;
mod list_links;
mod list_orders;
mod live_feed;
mod log;
mod money;
mod order_actions;
mod order_events;
mod payment;
mod place;
mod problem_documents;
mod problems;
mod random_lists;
mod refusals;
mod replica;
mod reserve;
mod returns;
mod shared_feeds;
mod ship;
mod story;
mod stuck_store;
mod text_is_data;
mod time_travel;
mod waiting;
mod workflow;
