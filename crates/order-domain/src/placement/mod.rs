//! How an order begins, and its lines.

pub(crate) mod place;

pub use place::{OrderLine, OrderPlaced, PlaceOrder, PlacedLine};

use crate::order::ledger::LineLedger;
use crate::values::money::Cents;
use crate::values::text::Sku;

/// One line: what was ordered, and the ledger of its units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What was ordered.
    pub sku: Sku,
    /// The price of one unit.
    pub unit_price: Cents,
    /// What became of the units.
    pub ledger: LineLedger,
}
