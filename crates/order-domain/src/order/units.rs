//! Units of an order: how clients name them, and which lines they are of.

use std::collections::{BTreeMap, HashMap};

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

    /// Refuses what the order does not have.
    pub(crate) fn check_references(&self, requests: &[UnitRequest]) -> Result<(), OrderError> {
        let by_sku = LinesBySku::of(self, requests);
        for request in requests {
            let (part, name) = match &request.selector {
                UnitSelector::Line(line) if line.index() >= self.lines().len() => ("line", line.to_string()),
                UnitSelector::Sku(sku) if by_sku.lines(sku).is_empty() => ("line with SKU", sku.to_string()),
                UnitSelector::Line(_) | UnitSelector::Sku(_) => continue,
            };
            return Err(OrderError::UnknownReference { part, name });
        }
        Ok(())
    }

    /// Which lines the requested units are taken from, of which each line, by its index, has so many available. Requests by
    /// line are served first, since only they cannot go elsewhere; a SKU then takes what is left, in line order.
    pub(crate) fn assign_to_lines(
        &self,
        requests: &[UnitRequest],
        available: impl Fn(usize) -> u32,
    ) -> Result<Vec<LineUnits>, OrderError> {
        let by_sku = LinesBySku::of(self, requests);
        let mut taken = vec![0_u32; self.lines().len()];
        let mut take = |lines: &[usize], requested: u32| {
            let mut missing = requested;
            for &index in lines {
                let Some(taken) = taken.get_mut(index) else { continue };
                let now = available(index).saturating_sub(*taken).min(missing);
                *taken += now;
                missing -= now;
            }
            if missing > 0 {
                let (requested, available) = (u64::from(requested), u64::from(requested - missing));
                return Err(OrderError::QuantityExceedsAvailable { requested, available });
            }
            Ok(())
        };
        for request in requests {
            if let UnitSelector::Line(line) = &request.selector {
                take(&[line.index()], request.quantity.get())?;
            }
        }
        for request in requests {
            if let UnitSelector::Sku(sku) = &request.selector {
                take(by_sku.lines(sku), request.quantity.get())?;
            }
        }
        Ok(self.units_by_line(|index| taken[index]))
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

/// The lines of each SKU, by index; made only if a request asks by SKU.
struct LinesBySku<'a>(HashMap<&'a Sku, Vec<usize>>);

impl<'a> LinesBySku<'a> {
    fn of(order: &'a Order, requests: &[UnitRequest]) -> Self {
        let mut by_sku = HashMap::<&Sku, Vec<usize>>::new();
        if requests.iter().any(|request| matches!(request.selector, UnitSelector::Sku(_))) {
            for (index, line) in order.lines().iter().enumerate() {
                by_sku.entry(&line.sku).or_default().push(index);
            }
        }
        Self(by_sku)
    }

    fn lines(&self, sku: &Sku) -> &[usize] {
        self.0.get(sku).map_or(&[], Vec::as_slice)
    }
}
