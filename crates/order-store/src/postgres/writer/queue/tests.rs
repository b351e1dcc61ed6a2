use std::time::Duration;

use order_application::traces::CommandTrace;
use order_application::{
    AnswerKind, AppendError, EventContext, Fingerprint, LogHistory, NewEvent, OrderView, Position, Receipt,
    Unreadable, UnreadableOrder, Version,
};
use order_domain::Timestamp;

use super::*;

fn append(order_id: &str, bytes: usize) -> Append {
    let order_id = OrderId::new(order_id).unwrap();
    let event = NewEvent {
        id: uuid::Uuid::nil(),
        event_type: "order.placed.v1".into(),
        time: Timestamp::from_micros(0),
        data: "x".repeat(bytes).into(),
        context: EventContext::stored("{}"),
        source: None,
    };
    let view = UnreadableOrder { order_id: order_id.clone(), version: Version(1), why: Unreadable::Newer };
    Append {
        order_id,
        expected_version: Version::NONE,
        events: vec![event],
        view: OrderView::Unreadable(view),
        terms: Vec::new(),
        receipt: None,
        deadline: None,
        history: LogHistory::default(),
        trace: CommandTrace::None,
    }
}

fn queue() -> (Queue, QueuedAppends) {
    Queue::new(&Arc::default())
}

fn push(queue: &Queue, order_id: &str, bytes: usize) -> Result<QueuedOutcome, StoreError> {
    queue.push(append(order_id, bytes), Instant::now() + Duration::from_secs(5))
}

fn push_keyed(queue: &Queue, order_id: &str, key: &str) -> Result<QueuedOutcome, StoreError> {
    let mut append = append(order_id, 1);
    append.receipt = Some(Receipt {
        key: ReceiptKey::new(None, key),
        fingerprint: Fingerprint::of(&[]),
        order_id: append.order_id.clone(),
        version: Version(1),
        answer: AnswerKind::Placed,
        answered_at: Timestamp::from_micros(0),
    });
    queue.push(append, Instant::now() + Duration::from_secs(5))
}

fn batch(queued: &mut QueuedAppends) -> Vec<String> {
    let mut batch = Batch::default();
    queued.fill(&mut batch);
    batch.appends.iter().map(|queued| queued.append.order_id.to_string()).collect()
}

#[tokio::test]
async fn bytes_are_bounded_until_they_are_answered_and_one_append_may_be_larger() {
    let (queue, mut queued) = queue();
    let mut large = push(&queue, "large", MAX_BYTES + 1).unwrap();
    assert_eq!(push(&queue, "a", 1).err(), Some(StoreError::Overloaded));
    let mut batch = Batch::default();
    queued.fill(&mut batch);
    assert_eq!(push(&queue, "a", 1).err(), Some(StoreError::Overloaded), "it is not answered yet");
    batch.appends.remove(0).answer(Ok(Position(1)));
    assert_eq!((&mut large.outcome).await.unwrap(), Ok::<_, AppendError>(Position(1)));
    assert!(push(&queue, "a", 1).is_ok());
}

#[tokio::test]
async fn an_order_is_in_a_batch_once_and_what_comes_behind_it_waits() {
    let (queue, mut queued) = queue();
    let _outcomes = ["a", "b", "a", "c"].map(|order_id| push(&queue, order_id, 1));
    assert_eq!(batch(&mut queued), ["a", "b"]);
    assert_eq!(batch(&mut queued), ["a", "c"]);
}

#[tokio::test]
async fn a_key_is_in_a_batch_once_and_what_comes_behind_it_waits() {
    let (queue, mut queued) = queue();
    let _outcomes =
        [("a", "k"), ("b", "l"), ("c", "k"), ("d", "m")].map(|(order, key)| push_keyed(&queue, order, key));
    assert_eq!(batch(&mut queued), ["a", "b"]);
    assert_eq!(batch(&mut queued), ["c", "d"]);
}

#[tokio::test]
async fn an_append_that_nobody_waits_for_any_more_is_not_begun_and_one_that_is_begun_stays() {
    let (queue, mut queued) = queue();
    let outcomes = ["a", "b"].map(|order_id| push(&queue, order_id, 1).unwrap());
    assert!(queue.withdraw(&outcomes[0]));
    assert_eq!(batch(&mut queued), ["b"]);
    assert!(!queue.withdraw(&outcomes[1]));
}

#[tokio::test]
async fn an_append_that_is_withdrawn_keeps_no_other_of_its_order_or_key_waiting() {
    let (queue, mut queued) = queue();
    // In front of the others, so that they are still in the queue when they are withdrawn.
    let _first = push(&queue, "first", 1);
    let withdrawn = [push(&queue, "a", 1).unwrap(), push_keyed(&queue, "b", "k").unwrap()];
    let _others = [push(&queue, "a", 1), push_keyed(&queue, "c", "k")];
    assert!(withdrawn.iter().all(|outcome| queue.withdraw(outcome)));
    assert_eq!(batch(&mut queued), ["first", "a", "c"]);
}

#[tokio::test(start_paused = true)]
async fn an_append_that_is_due_too_soon_is_answered_and_not_begun() {
    let trouble = Arc::<Trouble>::default();
    let (queue, mut queued) = Queue::new(&trouble);
    let push_due_in = |order_id, left| queue.push(append(order_id, 1), Instant::now() + left).unwrap();
    let late = push_due_in("late", TOO_LATE);
    let _in_time = push_due_in("in-time", TOO_LATE + Duration::from_millis(1));
    assert_eq!(batch(&mut queued), ["in-time"]);
    assert_eq!(late.outcome.await.unwrap(), Err(StoreError::Overloaded.into()));

    trouble.met("connection refused");
    let late = push_due_in("late", Duration::ZERO);
    assert_eq!(batch(&mut queued), [""; 0]);
    let away = StoreError::Unavailable("connection refused".to_owned());
    assert_eq!(late.outcome.await.unwrap(), Err(away.into()));
}

#[tokio::test]
async fn what_is_withdrawn_takes_no_room_any_more() {
    let (queue, _queued) = queue();
    let fill =
        || -> Vec<_> { (0..MAX_APPENDS).map(|n| push(&queue, &format!("o-{n}"), 1).unwrap()).collect() };
    let outcomes = fill();
    assert_eq!(push(&queue, "a", 1).err(), Some(StoreError::Overloaded));
    // In whichever order they give up.
    for outcome in outcomes.iter().rev() {
        assert!(queue.withdraw(outcome));
    }
    fill();
}

#[tokio::test]
async fn a_closed_queue_takes_no_more_and_ends_when_it_is_empty() {
    let (queue, mut queued) = queue();
    let _outcome = push(&queue, "a", 1);
    queue.close();
    assert!(matches!(push(&queue, "b", 1).err(), Some(StoreError::Unavailable(_))));
    assert!(queued.wait().await);
    assert_eq!(batch(&mut queued), ["a"]);
    assert!(!queued.wait().await);
}
