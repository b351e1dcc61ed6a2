//! The service on PostgreSQL, beside `pgbench` on the same server.

mod copy;
mod instances;
mod latency;
mod peers;
mod place;
mod read;
mod rebuild;
mod snapshot;

pub(super) use self::copy::from_sqlite;
pub(super) use self::instances::two;
pub(super) use self::latency::one_connection;
pub(super) use self::peers::same_work;
pub(super) use self::place::at_full_rate;
pub(super) use self::read::single_orders;
pub(super) use self::rebuild::beside_two_instances;
pub(super) use self::snapshot::beside_an_old_one;
