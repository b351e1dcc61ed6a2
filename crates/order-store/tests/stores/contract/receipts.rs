//! Receipts of commands that came with a key.

use order_application::{
    AnswerKind, Append, AppendError, Fingerprint, PageLimit, Position, Receipt, ReceiptAge, ReceiptKey,
    Version,
};
use order_domain::{OrderId, Timestamp};

use super::{Fixture, bus};
use crate::order::TestOrder;

const ALL: PageLimit = PageLimit::events(1_000);

fn key(text: &str) -> ReceiptKey {
    ReceiptKey::new(None, text)
}

/// A receipt from so many seconds after 1970.
pub(crate) fn receipt(text: &str, order_id: &OrderId, version: u64, seconds: i64) -> Receipt {
    Receipt {
        key: key(text),
        fingerprint: Fingerprint::of(&[text.as_bytes(), order_id.as_str().as_bytes()]),
        order_id: order_id.clone(),
        version: Version(version),
        answer: if version == 1 { AnswerKind::Placed } else { AnswerKind::Accepted },
        answered_at: Timestamp::from_micros(seconds * 1_000_000 + 7),
    }
}

/// Receipts from before that many seconds after 1970 are old, and none is of the future.
pub(crate) const fn old_before(seconds: i64) -> ReceiptAge {
    // 2020, which no clock is behind: one that were ahead would have nothing be old where there is another to go by.
    let now = Timestamp::from_micros(1_577_836_800_000_000);
    ReceiptAge { before: Timestamp::from_micros(seconds * 1_000_000), now }
}

/// The append with a receipt under a key.
pub(crate) fn under(text: &str, append: Append) -> Append {
    let receipt = receipt(text, &append.order_id, append.view.version().0, 1);
    Append { receipt: Some(receipt), ..append }
}

pub(crate) async fn a_receipt_is_found_once_its_append_is_acknowledged<F: Fixture>() {
    let fixture = F::open(bus());
    let store = fixture.store();
    let mut order = TestOrder::new("a");
    for (text, append) in [("place", order.place()), ("pay", order.pay(2))] {
        let append = under(text, append);
        let receipt = append.receipt.clone();
        assert_eq!(store.find_receipt(&key(text)).await, Ok(None));
        store.append(append).await.unwrap();
        assert_eq!(store.find_receipt(&key(text)).await, Ok(receipt));
    }
    store.append(order.pay(1)).await.unwrap();
    assert_eq!(store.find_receipt(&ReceiptKey::new(Some("somebody"), "pay")).await, Ok(None));
}

pub(crate) async fn receipts_are_there_after_a_restart<F: Fixture>() {
    let fixture = F::open(bus());
    let mut order = TestOrder::new("a");
    fixture.store().append(under("with events", order.place())).await.unwrap();
    let alone = receipt("alone", &order.id, 1, 5);
    fixture.store().keep_receipt(alone.clone()).await.unwrap();
    let fixture = fixture.reopen(bus());
    let store = fixture.store();
    assert_eq!(store.find_receipt(&key("alone")).await, Ok(Some(alone)));
    assert!(store.find_receipt(&key("with events")).await.unwrap().is_some());
    let again = store.append(under("with events", TestOrder::new("b").place())).await;
    assert_eq!(again, Err(AppendError::KeyTaken));
}

pub(crate) async fn of_many_appends_under_one_key_one_succeeds<F: Fixture>() {
    let fixture = F::open(bus());
    let store = fixture.store();
    for round in 0..10 {
        let text = format!("key-{round}");
        let attempts = (0..16).map(|n| {
            let append = under(&text, TestOrder::new(&format!("order-{round}-{n}")).place());
            let store = store.clone();
            tokio::spawn(async move { (append.order_id.clone(), store.append(append).await) })
        });
        let mut winners = Vec::new();
        for attempt in attempts.collect::<Vec<_>>() {
            match attempt.await.unwrap() {
                (order_id, Ok(_)) => winners.push(order_id),
                (order_id, Err(error)) => {
                    assert_eq!(error, AppendError::KeyTaken);
                    assert_eq!(store.one(&order_id).await, Ok(None));
                }
            }
        }
        let found = store.find_receipt(&key(&text)).await.unwrap().unwrap();
        assert_eq!(winners, [found.order_id]);
    }
    assert_eq!(store.read_log(Position::START, ALL).await.unwrap().len(), 10);
}

pub(crate) async fn a_key_that_is_taken_is_told_whatever_the_orders_version<F: Fixture>() {
    let fixture = F::open(bus());
    let store = fixture.store();
    let mut order = TestOrder::new("a");
    store.append(under("k", order.place())).await.unwrap();
    let mut behind = order.clone();
    store.append(order.pay(1)).await.unwrap();
    assert_eq!(store.append(under("k", behind.pay(1))).await, Err(AppendError::KeyTaken));
    assert_eq!(store.append(under("k", order.clone().pay(1))).await, Err(AppendError::KeyTaken));
    assert_eq!(store.version(&order.id).await, Ok(Version(2)));
}

pub(crate) async fn an_append_that_is_refused_leaves_no_receipt<F: Fixture>() {
    let fixture = F::open(bus());
    let store = fixture.store();
    let mut order = TestOrder::new("a");
    let mut unplaced = order.clone();
    store.append(order.place()).await.unwrap();
    let refused = store.append(under("k", unplaced.place())).await;
    assert_eq!(refused, Err(AppendError::Conflict { current: Version(1) }));
    assert_eq!(store.find_receipt(&key("k")).await, Ok(None));
    store.append(under("k", order.pay(1))).await.unwrap();
    assert_eq!(store.find_receipt(&key("k")).await.unwrap().unwrap().version, Version(2));
}

pub(crate) async fn a_receipt_without_events_is_kept_unless_there_is_an_earlier_one<F: Fixture>() {
    let fixture = F::open(bus());
    let store = fixture.store();
    let mut order = TestOrder::new("a");
    store.append(order.place()).await.unwrap();
    let attempts = (0..16).map(|n| {
        let (store, receipt) = (store.clone(), receipt("k", &order.id, 1, n));
        tokio::spawn(async move { store.keep_receipt(receipt).await.unwrap() })
    });
    let mut kept = Vec::new();
    for attempt in attempts.collect::<Vec<_>>() {
        kept.push(attempt.await.unwrap());
    }
    assert!(kept.iter().all(|receipt| *receipt == kept[0]), "{kept:?}");
    assert_eq!(store.find_receipt(&key("k")).await, Ok(Some(kept[0].clone())));
    assert_eq!(store.append(under("k", order.pay(1))).await, Err(AppendError::KeyTaken));
    assert_eq!(store.read_log(Position::START, ALL).await.unwrap().len(), 1);
}

pub(crate) async fn the_oldest_receipts_are_trimmed_a_few_at_a_time<F: Fixture>() {
    let fixture = F::open(bus());
    let store = fixture.store();
    let mut order = TestOrder::new("a");
    store.append(order.place()).await.unwrap();
    for seconds in 0..10 {
        store.keep_receipt(receipt(&seconds.to_string(), &order.id, 1, seconds)).await.unwrap();
    }
    for trimmed in [3, 3, 1, 0] {
        assert_eq!(store.trim_receipts(old_before(7), 3).await.map(|trimmed| trimmed.receipts), Ok(trimmed));
    }
    for seconds in 0..10 {
        let found = store.find_receipt(&key(&seconds.to_string())).await.unwrap();
        assert_eq!(found.is_some(), seconds >= 7, "{seconds}");
    }
    // A key that has gone may be used again.
    store.append(under("0", order.pay(1))).await.unwrap();
}

/// A clock that was ahead for a while.
pub(crate) async fn receipts_of_the_future_keep_no_others_from_being_trimmed<F: Fixture>() {
    const OLD: i64 = 1_000;
    const YOUNG: i64 = 550_000;
    const FUTURE: i64 = 1_000_000;
    let fixture = F::open(bus());
    let store = fixture.store();
    let at = |n: u64| match n {
        3 | 13 | 20..30 | 34 | 50..56 => FUTURE,
        40..45 => YOUNG,
        _ => OLD,
    };
    let mut order = TestOrder::new("o");
    store.append(order.place()).await.unwrap();
    let order_id = &order.id;
    for n in 0..56 {
        let answered_at = Timestamp::from_micros(at(n));
        store.keep_receipt(Receipt { answered_at, ..receipt(&n.to_string(), order_id, 1, 1) }).await.unwrap();
    }
    let is_there = async |n: u64| {
        let key = receipt(&n.to_string(), order_id, 1, 1).key;
        store.find_receipt(&key).await.unwrap().is_some()
    };
    let age = ReceiptAge { before: Timestamp::from_micros(500_000), now: Timestamp::from_micros(600_000) };
    while store.trim_receipts(age, 5).await.unwrap().more {}
    for n in 0..56 {
        match at(n) {
            OLD if n < 40 => assert!(!is_there(n).await, "{n} is old"),
            // It may wait for those that came before it, and go with one that came after it.
            OLD => {}
            FUTURE if n < 40 => {}
            _ => assert!(is_there(n).await, "{n} is not old"),
        }
    }
    let age = ReceiptAge { before: Timestamp::from_micros(560_000), now: Timestamp::from_micros(660_000) };
    while store.trim_receipts(age, 5).await.unwrap().more {}
    for n in 0..56 {
        match at(n) {
            FUTURE if n < 50 => {}
            FUTURE => assert!(is_there(n).await, "{n} is of the future, and none came after it that is old"),
            _ => assert!(!is_there(n).await, "{n} is old by now"),
        }
    }
}
