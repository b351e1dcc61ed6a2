//! The servers that tests are given: they start, they suffer what they are told to, and they go.

#![cfg(feature = "full-tests")]

mod postgres;
