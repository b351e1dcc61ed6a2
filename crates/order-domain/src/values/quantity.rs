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
