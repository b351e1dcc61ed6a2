//! Reading request bodies: one way for all of them.
//!
//! [`parse`] turns bytes into a small tree that borrows its texts from the body, and refuses what is not JSON as this
//! service understands it (a key twice, too deep, a number that no type holds). [`Object`] then reads typed values
//! out of the tree and notes every fault with the JSON Pointer of its place, so that a client learns of all at once.
//! Deriving `Deserialize` was refused for the second half: it stops at the first fault and names no place.

mod fault;
mod object;
mod tree;

pub(crate) use fault::{Faults, Pointer};
pub(crate) use object::{Field, Object, Value};
pub(crate) use order_application::json_text::push_string;
pub(crate) use tree::{Json, parse};
