//! The routes as clients see them: the real router on the memory store, with a clock and ids that repeat.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod bodies;
mod docs;
mod document;
mod get_order;
mod harness;
mod health;
mod hostile_bodies;
mod list_orders;
mod live_feed;
mod log;
mod order_events;
mod payment;
mod place;
mod problems;
mod refusals;
mod replica;
mod reserve;
mod ship;
mod story;
mod text_is_data;
mod workflow;
