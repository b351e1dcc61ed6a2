//! Every store through one contract suite, and what is particular to each.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a panic is the report")]
#![expect(clippy::disallowed_methods, reason = "these tests ask for no particular ids")]

#[cfg(feature = "full-tests")]
mod backup;
mod backup_damage;
mod backup_goldens;
mod contract;
#[cfg(feature = "full-tests")]
mod copy;
#[cfg(feature = "full-tests")]
mod copy_refusals;
mod damaged_receipts;
mod log_reader;
mod memory;
mod order;
mod other_process;
#[cfg(feature = "full-tests")]
mod postgres;
mod postgres_copy_targets;
#[cfg(feature = "full-tests")]
mod postgres_damage;
#[cfg(feature = "full-tests")]
mod postgres_damage_at_random;
#[cfg(feature = "full-tests")]
mod postgres_damaged_pages;
#[cfg(feature = "full-tests")]
mod postgres_failover;
#[cfg(feature = "full-tests")]
mod postgres_fixtures;
#[cfg(feature = "full-tests")]
mod postgres_goldens;
#[cfg(feature = "full-tests")]
mod postgres_gone_back;
#[cfg(feature = "full-tests")]
mod postgres_grants;
#[cfg(feature = "full-tests")]
mod postgres_instances;
#[cfg(feature = "full-tests")]
mod postgres_loss;
#[cfg(feature = "full-tests")]
mod postgres_migrations;
#[cfg(feature = "full-tests")]
mod postgres_objects;
#[cfg(feature = "full-tests")]
mod postgres_rebuild;
#[cfg(all(feature = "full-tests", feature = "planted-faults"))]
mod postgres_releases;
#[cfg(feature = "full-tests")]
mod postgres_verify;
#[cfg(feature = "full-tests")]
mod postgres_views;
mod random;
mod scrubbing;
mod sqlite;
mod sqlite_damage;
mod sqlite_files;
mod sqlite_finished_wals;
mod sqlite_foreign_files;
mod sqlite_goldens;
mod sqlite_locks;
mod sqlite_loss;
mod sqlite_loss_at_random;
mod sqlite_lost_receipts;
mod sqlite_rebuild;
mod sqlite_receipts;
#[cfg(feature = "planted-faults")]
mod sqlite_releases;
mod sqlite_replica;
mod sqlite_ruined_wal;
mod sqlite_verify;
