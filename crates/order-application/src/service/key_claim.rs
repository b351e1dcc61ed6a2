//! Keys that clients give their commands, so that a repetition is answered as the first was.
//!
//! A key is claimed before its command's body is parsed: then nobody else in this process works on it, and what was answered
//! under it is known. What keeps apart two instances that work on one key at once is the store, which keeps one receipt of a key.

use std::net::IpAddr;

use order_domain::{OrderCommand, OrderId};
use tokio::time::{Instant, timeout_at};

use super::command::in_time;
use super::{CommandError, CommandOutcome, OrderService, ServiceParts};
use crate::event::Version;
use crate::figures::CommandFigures;
use crate::keyed_locks::{Crowded, KeyGuard, KeyedLocks};
use crate::ports::event_log::StoreError;
use crate::receipt::{AnswerKind, Fingerprint, Receipt, ReceiptKey};

/// The keys that this process works on.
pub(super) type KeyLocks = KeyedLocks<ReceiptKey, ()>;

/// A key that this process works on, until this is dropped. Whoever else sends it waits.
pub struct KeyClaim<'a> {
    key: ReceiptKey,
    fingerprint: Fingerprint,
    deadline: Instant,
    _lock: KeyGuard<'a, ReceiptKey, ()>,
}

/// What there is under a key.
pub enum ClaimedKey<'a> {
    /// Nothing yet.
    New(KeyClaim<'a>),
    /// The same request was accepted under it, and this is what it was answered with.
    Answered(CommandOutcome),
}

impl OrderService {
    /// Claims a key for a request. If another with the key is under way in this process, it waits for that one's end, for as
    /// long as a command may take; the time that is left is the command's. It is for somebody of this network, if one knows that.
    ///
    /// # Errors
    /// [`CommandError::KeyReused`] if another request was accepted under the key; [`CommandError::KeyInProgress`] if one with
    /// the key is still under way; otherwise a [`StoreError`], [`Overloaded`](StoreError::Overloaded) at once where far too many
    /// with the key wait, and the network has its share of them.
    pub async fn claim(
        &self,
        key: ReceiptKey,
        fingerprint: Fingerprint,
        from: Option<IpAddr>,
    ) -> Result<ClaimedKey<'_>, CommandError> {
        let ended = match self.0.claim(key, fingerprint, from).await {
            Ok(ClaimedKey::New(claim)) => return Ok(ClaimedKey::New(claim)),
            Ok(ClaimedKey::Answered(outcome)) => Ok(outcome),
            Err(error) => Err(error),
        };
        self.0.commands.count(CommandFigures::BY_KEY, &ended);
        ended.map(ClaimedKey::Answered)
    }
}

impl KeyClaim<'_> {
    /// When the time of its command is over.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// What a receipt says, read by whoever sent the key.
    fn outcome_of(&self, receipt: Receipt) -> Result<CommandOutcome, CommandError> {
        if receipt.fingerprint != self.fingerprint {
            return Err(CommandError::KeyReused);
        }
        let Receipt { order_id, version, answer, .. } = receipt;
        Ok(CommandOutcome { order_id, version, answer, appended: false })
    }
}

impl ServiceParts {
    async fn claim(
        &self,
        key: ReceiptKey,
        fingerprint: Fingerprint,
        from: Option<IpAddr>,
    ) -> Result<ClaimedKey<'_>, CommandError> {
        let deadline = Instant::now() + self.limits.command_patience;
        let lock = match self.keys.try_lock(&key) {
            Some(lock) => lock,
            None => {
                let lock = timeout_at(deadline, self.keys.lock(&key, from)).await;
                let lock = lock.map_err(|_| CommandError::KeyInProgress)?;
                lock.map_err(|Crowded| StoreError::Overloaded)?
            }
        };
        let claim = KeyClaim { key, fingerprint, deadline, _lock: lock };
        Ok(match self.answered(&claim).await? {
            Some(outcome) => ClaimedKey::Answered(outcome),
            None => ClaimedKey::New(claim),
        })
    }

    /// What was answered under the claim's key, if anything was.
    pub(super) async fn answered(
        &self,
        claim: &KeyClaim<'_>,
    ) -> Result<Option<CommandOutcome>, CommandError> {
        let receipt = in_time(claim.deadline, self.receipts.find_receipt(&claim.key)).await?;
        receipt.map(|receipt| claim.outcome_of(receipt)).transpose()
    }

    /// What was answered under the claim's key by another instance, whose receipt the store has just met.
    pub(super) async fn answered_elsewhere(
        &self,
        claim: Option<&KeyClaim<'_>>,
    ) -> Result<CommandOutcome, CommandError> {
        let answered = match claim {
            Some(claim) => self.answered(claim).await?,
            None => None,
        };
        let gone = || StoreError::Unavailable("a receipt that was there a moment ago has gone".to_owned());
        answered.ok_or_else(|| gone().into())
    }

    /// The receipt of a command that is accepted under a claim.
    pub(super) fn receipt(
        &self,
        claim: &KeyClaim<'_>,
        order_id: &OrderId,
        version: Version,
        answer: AnswerKind,
    ) -> Receipt {
        let KeyClaim { key, fingerprint, .. } = *claim;
        let (order_id, answered_at) = (order_id.clone(), self.clock.now());
        Receipt { key, fingerprint, order_id, version, answer, answered_at }
    }

    /// Answers a command that appends nothing: it was done already, or is refused. Under a key, what another instance has
    /// answered meanwhile counts instead, since that may be what the order refuses it for.
    pub(super) async fn nothing_appended(
        &self,
        claim: Option<&KeyClaim<'_>>,
        answer: Result<CommandOutcome, CommandError>,
    ) -> Result<CommandOutcome, CommandError> {
        let Some(claim) = claim else { return answer };
        match answer {
            Ok(CommandOutcome { order_id, version, answer, .. }) => {
                let receipt = self.receipt(claim, &order_id, version, answer);
                let kept = in_time(claim.deadline, self.receipts.keep_receipt(receipt)).await?;
                claim.outcome_of(kept)
            }
            Err(refusal) => self.answered(claim).await?.ok_or(refusal),
        }
    }
}

impl AnswerKind {
    pub(super) fn to(command: &OrderCommand) -> Self {
        if matches!(command, OrderCommand::Place(_)) { Self::Placed } else { Self::Accepted }
    }
}
