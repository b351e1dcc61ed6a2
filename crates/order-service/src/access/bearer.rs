use std::sync::Arc;

use order_api::{Caller, NotAdmitted};

use super::allowance::Allowance;
use super::token::Signature;

/// Whoever shows something good, with what they may still send. Cheap to clone.
#[derive(Clone)]
pub(super) struct Bearer {
    pub(super) caller: Arc<Caller>,
    /// `None`: as much as they like.
    pub(super) allowance: Option<Arc<Allowance>>,
    /// Of a token.
    pub(super) signature: Option<Arc<Signature>>,
}

impl Bearer {
    /// Whether what they show is still worth what it was when it was verified.
    pub(super) async fn holds(&self) -> bool {
        match &self.signature {
            Some(signature) => signature.holds().await,
            None => true,
        }
    }

    /// Takes a request off what they may send.
    ///
    /// # Errors
    /// There is none left.
    pub(super) fn spend(&self) -> Result<(), NotAdmitted> {
        self.allowance.as_ref().map_or(Ok(()), |allowance| allowance.spend()).map_err(NotAdmitted::TooMany)
    }
}
