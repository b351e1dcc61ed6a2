//! Receipts in memory.

use std::collections::{HashMap, VecDeque};

use async_trait::async_trait;
use order_application::{Receipt, ReceiptAge, ReceiptKey, Receipts, StoreError, Trimmed};

use super::MemoryStore;

/// Receipts by their keys, and the keys in the order in which they came.
#[derive(Default)]
pub(super) struct ReceiptTable {
    by_key: HashMap<ReceiptKey, Receipt>,
    in_order: VecDeque<ReceiptKey>,
}

impl ReceiptTable {
    pub(super) fn contains(&self, key: &ReceiptKey) -> bool {
        self.by_key.contains_key(key)
    }

    pub(super) fn insert(&mut self, receipt: Receipt) {
        self.in_order.push_back(receipt.key);
        self.by_key.insert(receipt.key, receipt);
    }

    /// Deletes some that are old, those that came first before the others.
    fn trim(&mut self, age: ReceiptAge, limit: usize) -> usize {
        let is_old = |key: &ReceiptKey| self.by_key.get(key).is_some_and(|old| age.is_old(old.answered_at));
        let old: Vec<_> = self.in_order.iter().copied().filter(is_old).take(limit).collect();
        for key in &old {
            self.by_key.remove(key);
        }
        self.in_order.retain(|key| self.by_key.contains_key(key));
        old.len()
    }
}

#[async_trait]
impl Receipts for MemoryStore {
    async fn find_receipt(&self, key: &ReceiptKey) -> Result<Option<Receipt>, StoreError> {
        Ok(self.read().receipts.by_key.get(key).cloned())
    }

    async fn keep_receipt(&self, receipt: Receipt) -> Result<Receipt, StoreError> {
        let receipts = &mut self.write().receipts;
        if let Some(earlier) = receipts.by_key.get(&receipt.key) {
            return Ok(earlier.clone());
        }
        receipts.insert(receipt.clone());
        Ok(receipt)
    }

    async fn trim_receipts(&self, age: ReceiptAge, limit: usize) -> Result<Trimmed, StoreError> {
        let receipts = self.write().receipts.trim(age, limit);
        Ok(Trimmed { receipts, more: receipts == limit })
    }
}
