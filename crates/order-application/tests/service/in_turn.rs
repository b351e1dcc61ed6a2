//! Commands to one order, carried out together in one turn at the store.

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::*;

/// A store at which every order is contended, and turns come when the test says so.
struct Contended {
    inner: MemoryStore,
    turns: Semaphore,
}

#[async_trait]
impl EventLog for Contended {
    async fn append(&self, append: Append) -> Result<Position, AppendError> {
        match append.expected_version {
            Version::NONE => self.inner.append(append).await,
            current => Err(AppendError::Conflict { current }),
        }
    }

    async fn append_in_turn(
        &self,
        order_id: &OrderId,
        after: Version,
        decide: &mut DecideInTurn<'_>,
    ) -> Result<Option<Position>, AppendError> {
        self.turns.acquire().await.unwrap().forget();
        self.inner.append_in_turn(order_id, after, decide).await
    }

    async fn read_stream(&self, id: &OrderId, after: Version, limit: PageLimit) -> Events {
        self.inner.read_stream(id, after, limit).await
    }

    async fn read_log(&self, after: Position, limit: PageLimit) -> Events {
        self.inner.read_log(after, limit).await
    }

    async fn end(&self) -> Result<Position, StoreError> {
        self.inner.end().await
    }

    async fn version(&self, order_id: &OrderId) -> Result<Version, StoreError> {
        self.inner.version(order_id).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl OrderViews for Contended {
    async fn one(&self, order_id: &OrderId) -> Result<Option<OrderSummary>, StoreError> {
        self.inner.one(order_id).await
    }

    async fn many(&self, query: &ListQuery) -> Result<OrderPage, StoreError> {
        self.inner.many(query).await
    }
}

type Events = Result<Vec<RecordedEvent>, StoreError>;
type Outcome = Result<CommandOutcome, CommandError>;

struct Line {
    store: Arc<Contended>,
    service: OrderService,
}

impl Line {
    async fn new() -> Self {
        let mut world = World::new();
        let inner = MemoryStore::new(world.bus.clone());
        let store = Arc::new(Contended { inner, turns: Semaphore::new(0) });
        world.store = store.clone();
        let service = world.instance();
        execute(&service, "hot", place()).await.unwrap();
        Self { store, service }
    }

    /// Sends a command, and waits until it waits.
    async fn send(&self, command: OrderCommand) -> JoinHandle<Outcome> {
        let service = self.service.clone();
        let sent = tokio::spawn(async move { execute(&service, "hot", command).await });
        tokio::task::yield_now().await;
        sent
    }

    async fn version(&self) -> u64 {
        self.store.version(&id("hot")).await.unwrap().0
    }
}

/// What a command comes to. If no turn is left for it, it would wait for ever.
async fn answer(sent: JoinHandle<Outcome>) -> Outcome {
    let patience = Duration::from_secs(10);
    tokio::time::timeout(patience, sent).await.unwrap_or_else(|_| panic!("no turn is left")).unwrap()
}

#[tokio::test(start_paused = true)]
async fn who_waits_behind_a_turn_is_taken_along_in_it() {
    let line = Line::new().await;
    let mut sent = vec![line.send(pay("p1", 100)).await];
    for n in 2..=40 {
        sent.push(line.send(pay(&format!("p{n}"), 1)).await);
    }
    line.store.turns.add_permits(1);
    for (n, sent) in (2..).zip(sent) {
        let outcome = answer(sent).await.unwrap();
        assert_eq!((outcome.version, outcome.appended), (Version(n), true), "first come, first served");
    }
    assert_eq!(line.version().await, 41);
}

#[tokio::test(start_paused = true)]
async fn each_command_of_a_turn_is_judged_after_those_before_it() {
    let line = Line::new().await;
    let sent = [
        line.send(pay("p", 3000)).await,
        line.send(pay("p", 3000)).await,
        line.send(pay("p", 2)).await,
        line.send(reserve()).await,
        line.send(pay("q", 1)).await,
        line.send(ship()).await,
    ];
    line.store.turns.add_permits(1);
    let [first, repeated, reused, reserved, too_much, shipped] = sent;
    assert!(answer(first).await.unwrap().appended);
    assert!(!answer(repeated).await.unwrap().appended);
    assert_eq!(refusal(answer(reused).await).0, OrderError::IdReused { kind: IdKind::Payment });
    assert_eq!(answer(reserved).await.unwrap().version, Version(3));
    assert!(matches!(refusal(answer(too_much).await).0, OrderError::AmountExceedsDue { .. }));
    assert_eq!(answer(shipped).await.unwrap().version, Version(4));
    assert_eq!(line.version().await, 4);
}

#[tokio::test(start_paused = true)]
async fn whoever_was_taken_along_by_a_request_that_ended_goes_on_by_itself() {
    let line = Line::new().await;
    let leader = line.send(pay("p", 3000)).await;
    let follower = line.send(pay("q", 3000)).await;
    leader.abort();
    assert!(leader.await.is_err());
    line.store.turns.add_permits(2);
    assert!(answer(follower).await.unwrap().appended);
    assert_eq!(line.version().await, 2);
}

#[tokio::test(start_paused = true)]
async fn events_of_one_turn_keep_their_commands_contexts() {
    let line = Line::new().await;
    let send = |n: usize| {
        let service = line.service.clone();
        let meta = CommandMeta { correlation_id: Some(format!("c{n}").into()), ..CommandMeta::default() };
        tokio::spawn(async move { service.execute(Some(id("hot")), pay(&format!("p{n}"), 1), meta).await })
    };
    let sent = [send(0), send(1), send(2)];
    tokio::task::yield_now().await;
    line.store.turns.add_permits(1);
    for sent in sent {
        answer(sent).await.unwrap();
    }
    let events = line.store.read_stream(&id("hot"), Version(1), PageLimit::events(9)).await.unwrap();
    let contexts: Vec<_> = events.iter().map(|event| event.context.get("correlationid").unwrap()).collect();
    assert_eq!(contexts, ["c0", "c1", "c2"]);
}
