//! Units of an order: how clients name them, and which lines they are of.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use crate::error::OrderError;
use crate::order::Order;
use crate::values::money::Cents;
use crate::values::quantity::{LineNumber, Quantity};
use crate::values::text::Sku;

/// Units of one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineUnits {
    /// The line.
    pub line: LineNumber,
    /// How many units of it, 1 or more.
    pub quantity: u32,
}

/// Units as a client names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitRequest {
    /// Which units.
    pub selector: UnitSelector,
    /// How many.
    pub quantity: Quantity,
}

/// How a client names units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnitSelector {
    /// Units of one line.
    Line(LineNumber),
    /// Units of whichever lines have this SKU, in line order.
    Sku(Sku),
}

impl Order {
    /// The units of every line that has some, as `count` counts them.
    pub(crate) fn units_by_line(&self, count: impl Fn(usize) -> u32) -> Vec<LineUnits> {
        let lines = 0..self.lines().len();
        let units = lines.map(|index| LineUnits { line: LineNumber::at(index), quantity: count(index) });
        units.filter(|units| units.quantity > 0).collect()
    }

    /// Finds the lines that requests name, and refuses what the order does not have.
    pub(crate) fn find_units(&self, requests: &[UnitRequest]) -> Result<FoundUnits, OrderError> {
        let LinesBySku { first, next } = LinesBySku::of(self, requests);
        let unknown =
            |part, name: &dyn fmt::Display| OrderError::UnknownReference { part, name: name.to_string() };
        let find = |request: &UnitRequest| {
            let (line, by_sku) = match &request.selector {
                UnitSelector::Line(line) if line.index() < self.lines().len() => (line.index(), false),
                UnitSelector::Line(line) => return Err(unknown("line", line)),
                UnitSelector::Sku(sku) => match first.get(sku) {
                    Some(&first) => (first, true),
                    None => return Err(unknown("line with a SKU", sku)),
                },
            };
            Ok(Found { line, by_sku, quantity: request.quantity.get() })
        };
        let found = requests.iter().map(find).collect::<Result<_, _>>()?;
        Ok(FoundUnits { found, next_of_sku: next })
    }

    /// Whether a repeated request names the units that were recorded: those named by SKU are compared per SKU over all
    /// lines, those named by line must be of that line. What the order does not have was not recorded.
    pub(crate) fn names_same_units(
        &self,
        requests: &[UnitRequest],
        recorded: impl IntoIterator<Item = LineUnits>,
    ) -> bool {
        let sku_of = |line: LineNumber| &self.lines()[line.index()].sku;
        let mut recorded_by_sku = HashMap::<&Sku, u64>::new();
        let mut left_by_line = BTreeMap::<LineNumber, u64>::new();
        for LineUnits { line, quantity } in recorded {
            *recorded_by_sku.entry(sku_of(line)).or_default() += u64::from(quantity);
            *left_by_line.entry(line).or_default() += u64::from(quantity);
        }
        let mut asked_by_sku = HashMap::<&Sku, u64>::new();
        for request in requests {
            let quantity = u64::from(request.quantity.get());
            let sku = match &request.selector {
                UnitSelector::Sku(sku) => sku,
                UnitSelector::Line(line) => {
                    match left_by_line.get_mut(line) {
                        Some(left) if *left >= quantity => *left -= quantity,
                        Some(_) | None => return false,
                    }
                    sku_of(*line)
                }
            };
            *asked_by_sku.entry(sku).or_default() += quantity;
        }
        asked_by_sku == recorded_by_sku
    }

    /// What the units cost at placement, without discounts and taxes.
    pub(crate) fn price_of(&self, units: &[LineUnits]) -> Cents {
        units.iter().fold(Cents::ZERO, |sum, units| match self.lines().get(units.line.index()) {
            Some(line) => sum.saturating_add(line.unit_price.saturating_times(units.quantity)),
            None => sum,
        })
    }
}

/// Requested units, and the lines that they may be taken from.
pub(crate) struct FoundUnits {
    found: Vec<Found>,
    /// For each line, by index, the next one of the same SKU; empty if no request asks by SKU.
    next_of_sku: Vec<Option<usize>>,
}

struct Found {
    /// The line that is named, or the first one of the SKU, by index.
    line: usize,
    /// Whether other lines of the same SKU will do, too.
    by_sku: bool,
    quantity: u32,
}

impl FoundUnits {
    /// Which lines the units are taken from, of which each line, by its index, has so many available. Requests by line are
    /// served first, since only they cannot go elsewhere; a SKU then takes what is left, in line order.
    pub(crate) fn assign_to_lines(
        &self,
        order: &Order,
        available: impl Fn(usize) -> u32,
    ) -> Result<Vec<LineUnits>, OrderError> {
        let mut taken = vec![0_u32; order.lines().len()];
        let by_line = self.found.iter().filter(|found| !found.by_sku);
        let by_sku = self.found.iter().filter(|found| found.by_sku);
        for found in by_line.chain(by_sku) {
            let mut missing = found.quantity;
            let mut next = Some(found.line);
            while let Some(line) = next.filter(|_| missing > 0) {
                let now = available(line).saturating_sub(taken[line]).min(missing);
                taken[line] += now;
                missing -= now;
                next = if found.by_sku { self.next_of_sku[line] } else { None };
            }
            if missing > 0 {
                let (requested, available) = (found.quantity.into(), (found.quantity - missing).into());
                return Err(OrderError::QuantityExceedsAvailable { requested, available });
            }
        }
        Ok(order.units_by_line(|index| taken[index]))
    }
}

/// The lines of each SKU, by index: its first, and after each line the next; made only if a request asks by SKU.
#[derive(Default)]
struct LinesBySku<'a> {
    first: HashMap<&'a Sku, usize>,
    next: Vec<Option<usize>>,
}

impl<'a> LinesBySku<'a> {
    fn of(order: &'a Order, requests: &[UnitRequest]) -> Self {
        if !requests.iter().any(|request| matches!(request.selector, UnitSelector::Sku(_))) {
            return Self::default();
        }
        let mut first = HashMap::with_capacity(order.lines().len());
        let mut next = vec![None; order.lines().len()];
        // Backwards, so that what was the first line of a SKU so far is the next one after this.
        for (index, line) in order.lines().iter().enumerate().rev() {
            next[index] = first.insert(&line.sku, index);
        }
        Self { first, next }
    }
}
