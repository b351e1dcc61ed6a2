//! Reading request bodies: one way for all of them.
//!
//! [`parse`] turns bytes into a small tree that borrows its texts from the body, and refuses what is not JSON as this
//! service understands it (a key twice, too deep, a number that no type holds). A [`Shape`] then takes typed values out of
//! the tree and notes every fault with the JSON Pointer of its place, so that a client learns of all at once; the same
//! declaration gives the schema in the OpenAPI document. Deriving `Deserialize` was refused for that half: it stops at the
//! first fault, names no place, and knows one spelling.

mod fault;
mod members;
mod shape;
mod tree;

pub(crate) use fault::{Fault, Faults, Pointer};
pub(crate) use members::{Members, Object};
pub(crate) use order_application::json_text::push_string;
pub(crate) use shape::{BOOLEAN, NAME, Named, PATH_ID, Shape, Value, integer, list, text, words};
pub(crate) use tree::{Json, parse};
