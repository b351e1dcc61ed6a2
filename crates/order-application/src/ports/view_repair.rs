//! Having views repaired.

use async_trait::async_trait;
use order_domain::OrderId;
use serde::Serialize;
use utoipa::ToSchema;

use super::event_log::StoreError;
use crate::event::Position;

/// A store whose views can be repaired from its log while it serves.
#[async_trait]
pub trait ViewRepair: Send + Sync + 'static {
    /// Has the views of these orders repaired, and what lists have at these positions; or all rebuilt, if the store cannot do
    /// less. It does not wait for it. What is asked for again while it is under way is done once.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn repair_views(
        &self,
        order_ids: &[OrderId],
        positions: &[Position],
        why: &str,
    ) -> Result<(), StoreError>;

    /// How the views are now.
    fn views(&self) -> ViewsStatus;

    /// Whether a newer release has made some of the views, or does so now: what it makes of the log may be something else.
    /// A store that only one process writes to need not know: the release that opens it has them rebuilt.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn are_of_newer_release(&self) -> Result<bool, StoreError> {
        Ok(false)
    }
}

/// How a store's views are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct ViewsStatus {
    /// In a word.
    pub state: ViewsState,
    /// While they are being rebuilt: how many events have been gone through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub done: Option<u64>,
    /// Of how many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// Why they are being rebuilt, or why that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// How a store's views are, in a word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ViewsState {
    /// As far as is known they are what the log makes of them.
    #[default]
    Current,
    /// They are being rebuilt. What is there meanwhile is served as far as it adds up.
    Rebuilding,
    /// They could not be rebuilt, and what is there is served on as far as it adds up; it is tried again.
    Failed,
}
