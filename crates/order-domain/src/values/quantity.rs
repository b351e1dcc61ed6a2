//! Counting units and numbering lines.

use std::fmt;

/// Most units of one line.
pub const MAX_QUANTITY: u32 = 1_000_000;
/// Most lines of one order.
pub const MAX_LINES: usize = 1_000;

/// A number of units that somebody asks for: 1 to 1,000,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity(u32);

impl Quantity {
    /// Checks the range; `None` outside it.
    pub const fn new(units: u64) -> Option<Self> {
        if units >= 1 && units <= MAX_QUANTITY as u64 { Some(Self(units as u32)) } else { None }
    }

    /// The number of units.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A line's number within its order: 1, 2, … in the order the lines were given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LineNumber(u16);

impl LineNumber {
    /// Checks that it is between 1 and [`MAX_LINES`].
    pub const fn new(number: u64) -> Option<Self> {
        if number >= 1 && number <= MAX_LINES as u64 { Some(Self(number as u16)) } else { None }
    }

    /// The number of the line at an index that is below [`MAX_LINES`].
    pub(crate) const fn at(index: usize) -> Self {
        debug_assert!(index < MAX_LINES);
        Self(index as u16 + 1)
    }

    /// The number, from 1.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// The index of the line in the order's list, from 0.
    pub const fn index(self) -> usize {
        self.0 as usize - 1
    }
}

impl fmt::Display for LineNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_is_between_one_and_a_million() {
        let quantity = |units| Quantity::new(units).map(Quantity::get);
        assert_eq!((quantity(0), quantity(1)), (None, Some(1)));
        assert_eq!((quantity(1_000_000), quantity(1_000_001)), (Some(1_000_000), None));
        assert_eq!(quantity(u64::MAX), None);
    }

    #[test]
    fn lines_are_numbered_from_one_to_a_thousand() {
        let index = |number| LineNumber::new(number).map(LineNumber::index);
        assert_eq!((index(0), index(1)), (None, Some(0)));
        assert_eq!((index(1_000), index(1_001)), (Some(999), None));
        assert_eq!(index(65_537), None);
    }
}
