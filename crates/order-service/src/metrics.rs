//! What the binary itself has to say in metrics: the process, its access file, its connections, its relays, and how the shop is doing.

mod access;
mod connections;
mod process;
mod relays;
mod shop;
mod upkeep;

use std::fmt;

use order_api::{Page, Source};

use crate::release;

pub(crate) use access::AccessSource;
pub(crate) use connections::{ConnectionFigures, ConnectionSource, GivenUp};
pub(crate) use process::ProcessSource;
pub(crate) use relays::RelaySource;
pub(crate) use shop::ShopSource;
pub(crate) use upkeep::TrimmedSource;

/// Which build it is.
pub(crate) struct BuildSource;

impl Source for BuildSource {
    fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        // A label without a value is none.
        let commit = release::COMMIT.unwrap_or_default();
        let labels = [("version", release::VERSION), ("commit", commit), ("features", release::FEATURES)];
        page.info("order_service_build", "Which build it is", labels)
    }
}
