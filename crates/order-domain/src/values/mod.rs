//! Values that are valid by themselves: whoever has one need not check it again.

pub(crate) mod cause;
pub(crate) mod money;
pub(crate) mod quantity;
pub(crate) mod text;
pub(crate) mod time;
