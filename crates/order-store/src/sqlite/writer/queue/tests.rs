use order_application::traces::CommandTrace;
use order_application::{
    AnswerKind, Fingerprint, LogHistory, OrderView, ReceiptKey, Unreadable, UnreadableOrder, Version,
};
use order_domain::{OrderId, Timestamp};

use super::*;

const MAX_WAIT: Duration = Duration::from_secs(60);

fn queue() -> Queue {
    Queue::new(&SqliteLimits { queued_appends: 2, queue_wait: MAX_WAIT, ..SqliteLimits::default() })
}

/// When that came which is late now, and what is not late for a while.
fn long_ago_and_now() -> (Instant, Instant) {
    let now = Instant::now();
    (now.checked_sub(MAX_WAIT).unwrap(), now)
}

fn append(order_id: &str) -> Append {
    let order_id = OrderId::new(order_id).unwrap();
    let view = UnreadableOrder { order_id: order_id.clone(), version: Version(1), why: Unreadable::Newer };
    Append {
        order_id,
        expected_version: Version::NONE,
        events: Vec::new(),
        view: OrderView::Unreadable(view),
        terms: Vec::new(),
        receipt: None,
        deadline: None,
        history: LogHistory::default(),
        trace: CommandTrace::None,
    }
}

fn push(
    queue: &Queue,
    order_id: &str,
    since: Instant,
) -> Result<oneshot::Receiver<Result<Position, AppendError>>, StoreError> {
    let (done, outcome) = oneshot::channel();
    queue.push(QueuedAppend { append: append(order_id), since, done })?;
    Ok(outcome)
}

fn push_receipt(
    queue: &Queue,
    since: Instant,
) -> Result<oneshot::Receiver<Result<Receipt, StoreError>>, StoreError> {
    let (done, kept) = oneshot::channel();
    let receipt = Receipt {
        key: ReceiptKey::new(None, "key"),
        fingerprint: Fingerprint::of(&[]),
        order_id: OrderId::new("o").unwrap(),
        version: Version(1),
        answer: AnswerKind::Placed,
        answered_at: Timestamp::from_micros(0),
    };
    queue.push_receipt(QueuedReceipt { receipt, since, done })?;
    Ok(kept)
}

/// The orders of all appends that the writer still gets.
fn left(queue: &Queue) -> Vec<String> {
    queue.close();
    let taken = std::iter::from_fn(|| queue.take());
    let appends = taken.flat_map(|work| match work {
        WriterWork::Appends(appends) => appends,
        WriterWork::Lease(_) | WriterWork::Receipts(_) | WriterWork::Trim(_) | WriterWork::Replication(_) => {
            Vec::new()
        }
    });
    appends.map(|queued| queued.append.order_id.to_string()).collect()
}

#[test]
fn what_has_waited_too_long_is_refused_while_the_writer_is_busy_and_the_rest_waits_on() {
    let (long_ago, now) = long_ago_and_now();
    let queue = queue();
    let mut late = push(&queue, "late", long_ago).unwrap();
    let mut in_time = push(&queue, "in-time", now).unwrap();
    let (mut late_receipt, mut receipt) =
        (push_receipt(&queue, long_ago).unwrap(), push_receipt(&queue, now).unwrap());
    let until_the_next = queue.refuse_late();
    assert!(until_the_next <= MAX_WAIT && until_the_next > MAX_WAIT / 2, "{until_the_next:?}");
    assert_eq!(late.try_recv(), Ok(Err(StoreError::Overloaded.into())));
    assert_eq!(late_receipt.try_recv(), Ok(Err(StoreError::Overloaded)));
    assert!(in_time.try_recv().is_err() && receipt.try_recv().is_err());
    assert_eq!(left(&queue), ["in-time"]);
}

/// Also when the runtime was too busy to look.
#[test]
fn the_writer_never_begins_with_what_has_waited_too_long() {
    let (long_ago, now) = long_ago_and_now();
    let queue = queue();
    let mut late = push(&queue, "late", long_ago).unwrap();
    push(&queue, "in-time", now).unwrap();
    assert_eq!(left(&queue), ["in-time"]);
    assert_eq!(late.try_recv(), Ok(Err(StoreError::Overloaded.into())));
}

#[test]
fn a_full_queue_refuses_at_once_and_what_was_refused_takes_no_room() {
    let (long_ago, now) = long_ago_and_now();
    let queue = queue();
    let _late = [push(&queue, "a", long_ago).unwrap(), push(&queue, "b", long_ago).unwrap()];
    assert_eq!(push(&queue, "c", now).err(), Some(StoreError::Overloaded));
    queue.refuse_late();
    let _in_time = push(&queue, "c", now).unwrap();
    assert_eq!(left(&queue), ["c"]);
}
