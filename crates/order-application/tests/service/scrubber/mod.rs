//! The scrubber on a store that lies, by a clock that runs as fast as nothing else happens.

mod beyond_the_end;
mod fakes;

use std::num::NonZeroU32;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::*;
use fakes::{LyingStore, Restless};

/// Orders `o0` … of a [`Stage`], of two events each, so that `o3` was placed at position 7.
const ORDERS: usize = 30;
/// Their events.
const EVENTS: u64 = 60;

/// A store with orders in it, and what may be started on it.
struct Stage {
    world: World,
    store: Arc<LyingStore>,
}

impl Stage {
    async fn new() -> Self {
        let world = World::new();
        let memory = Arc::new(MemoryStore::new(world.bus.clone()));
        let world = World { store: memory.clone(), ..world };
        let service = world.instance();
        for order in 0..ORDERS {
            execute(&service, &format!("o{order}"), place()).await.unwrap();
            execute(&service, &format!("o{order}"), pay("p", 1)).await.unwrap();
        }
        Self { world, store: Arc::new(LyingStore::new(memory)) }
    }

    /// Adds an order whose second event only a newer release knows, or one that begins with a second event.
    async fn add_unreadable(&self, order_id: &str, versions: &[u64], why: Unreadable) {
        let newer = NewEvent {
            id: self.world.ids.next(),
            event_type: "order.teleported.v1".into(),
            time: self.world.clock.now(),
            data: "{}".into(),
            context: EventContext::new("c", None, None),
            source: None,
        };
        for version in versions {
            let (order_id, version) = (id(order_id), Version(*version));
            let unreadable = UnreadableOrder { order_id: order_id.clone(), version, why };
            let (view, events) = (OrderView::Unreadable(unreadable), vec![newer.clone()]);
            let expected_version = Version(version.0 - 1);
            let (history, terms, receipt, deadline) = (LogHistory::default(), Vec::new(), None, None);
            let trace = traces::CommandTrace::None;
            let append =
                Append { order_id, expected_version, history, events, view, terms, receipt, deadline, trace };
            self.store.append(append).await.unwrap();
        }
    }

    /// 100 events a second: ten at a time.
    fn start(&self) -> Running {
        let store = &self.store;
        let ports = ScrubberPorts {
            log: store.clone(),
            views: store.clone(),
            checkpoints: store.clone(),
            repair: store.clone(),
        };
        let rate = NonZeroU32::new(100).unwrap();
        let scrubber = Scrubber::new("me", ports, rate);
        let (status, stop) = (scrubber.status(), CancellationToken::new());
        let token = stop.clone();
        Running { status, stop, task: tokio::spawn(async move { scrubber.run(token).await }) }
    }

    /// The orders that one pass wants repaired, and how many faults it counts.
    async fn found(&self) -> (Vec<String>, u64) {
        let mut running = self.start();
        let faults = running.passes(1).await.faults;
        running.stop().await;
        (self.store.lies().repaired.iter().map(ToString::to_string).collect(), faults)
    }
}

struct Running {
    status: watch::Receiver<ScrubStatus>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    async fn becomes(&mut self, state: ScrubState) -> ScrubStatus {
        self.shows(|status| status.state == state).await
    }

    async fn passes(&mut self, passes: u64) -> ScrubStatus {
        self.shows(|status| status.passes == passes).await
    }

    async fn shows(&mut self, what: impl FnMut(&ScrubStatus) -> bool) -> ScrubStatus {
        let waiting = self.status.wait_for(what);
        // By this clock an hour is over at once if nothing else happens.
        let shown = tokio::time::timeout(Duration::from_secs(3_600), waiting).await;
        shown.unwrap().unwrap().clone()
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

/// Two rows of the list show each other's order.
fn swap_rows(mut rows: Vec<ListedOrder>, one: usize, other: usize) -> Vec<ListedOrder> {
    let summary = rows[one].summary.clone();
    rows[one].summary = std::mem::replace(&mut rows[other].summary, summary);
    rows
}

#[tokio::test(start_paused = true)]
async fn views_that_are_what_the_log_makes_of_them_are_left_alone() {
    let stage = Stage::new().await;
    assert_eq!(stage.found().await, (vec![], 0));
}

#[tokio::test(start_paused = true)]
async fn a_row_that_says_something_else_than_its_events_is_repaired() {
    let stage = Stage::new().await;
    let change = |summary: OrderSummary| match summary.order_id.as_str() {
        "o3" => OrderSummary { total: Cents::new(1).unwrap(), ..summary },
        _ => summary,
    };
    stage.store.lies().one = Some(Box::new(move |summary| Ok(Some(change(summary)))));
    assert_eq!(stage.found().await, (vec!["o3".to_owned()], 1));
}

/// As after writes that were lost: the row and the index of the order's events are of the same past.
#[tokio::test(start_paused = true)]
async fn a_row_that_is_older_than_the_log_is_repaired_also_if_its_events_are_not_found() {
    let stage = Stage::new().await;
    let first = stage.store.read_stream(&id("o3"), Version::NONE, PageLimit::events(1)).await.unwrap();
    let older = codec::replay(None, &first[0]).unwrap().summary(&id("o3"));
    stage.store.lies().forgotten = Some(id("o3"));
    let shown = move |summary: OrderSummary| match summary.order_id.as_str() {
        "o3" => older.clone(),
        _ => summary,
    };
    let listed = shown.clone();
    stage.store.lies().one = Some(Box::new(move |summary| Ok(Some(shown(summary)))));
    stage.store.lies().list = Some(Box::new(move |rows| {
        let older = |row: ListedOrder| ListedOrder { summary: listed(row.summary), ..row };
        rows.into_iter().map(older).collect()
    }));
    assert_eq!(stage.found().await.0, ["o3"]);
}

#[tokio::test(start_paused = true)]
async fn a_row_that_is_missing_or_cannot_be_read_is_repaired() {
    let stage = Stage::new().await;
    stage.store.lies().one = Some(Box::new(|summary| match summary.order_id.as_str() {
        "o3" => Ok(None),
        "o20" => Err(StoreError::Corrupt("its checksum".to_owned())),
        _ => Ok(Some(summary)),
    }));
    assert_eq!(stage.found().await, (vec!["o3".to_owned(), "o20".to_owned()], 2));
}

#[tokio::test(start_paused = true)]
async fn views_that_the_store_itself_finds_damaged_are_counted_and_repaired_and_the_pass_goes_on() {
    let stage = Stage::new().await;
    stage.store.lies().one = Some(Box::new(|summary| match summary.order_id.as_str() {
        "o3" | "o4" => Err(StoreError::DamagedView("its checksum".to_owned())),
        "o20" => Ok(None),
        _ => Ok(Some(summary)),
    }));
    assert_eq!(stage.found().await, (vec!["o3".to_owned(), "o4".to_owned(), "o20".to_owned()], 3));
}

#[tokio::test(start_paused = true)]
async fn damage_that_the_store_repairs_as_soon_as_it_is_met_is_counted() {
    let stage = Stage::new().await;
    let is_repaired = AtomicBool::new(false);
    stage.store.lies().one = Some(Box::new(move |summary| match summary.order_id.as_str() {
        "o3" if !is_repaired.swap(true, Ordering::Relaxed) => {
            Err(StoreError::DamagedView("its checksum".to_owned()))
        }
        _ => Ok(Some(summary)),
    }));
    stage.store.lies().list = Some(Box::new(|rows| swap_rows(rows, 4, 20)));
    assert_eq!(stage.found().await.1, 3);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_the_store_itself_finds_damaged_is_counted_and_the_pass_goes_on() {
    let stage = Stage::new().await;
    stage.store.lies().damaged_list = true;
    assert_eq!(stage.found().await, (vec![], 7), "one for each page, and one beyond them");
}

#[tokio::test(start_paused = true)]
async fn an_order_that_the_list_lacks_is_repaired() {
    for lacking in [0, 3, 4, ORDERS - 1] {
        let stage = Stage::new().await;
        stage.store.lies().list = Some(Box::new(move |mut rows| {
            rows.remove(lacking);
            rows
        }));
        assert_eq!(stage.found().await, (vec![format!("o{lacking}")], 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_has_every_order_twice_is_repaired_within_one_pass() {
    let stage = Stage::new().await;
    stage.store.lies().list = Some(Box::new(|rows| {
        let twice = |row: ListedOrder| {
            let again = ListedOrder { place: row.place.plus(1), ..row.clone() };
            [row, again]
        };
        rows.into_iter().flat_map(twice).collect()
    }));
    assert_eq!(stage.found().await.1, ORDERS as u64);
    assert_eq!(stage.store.lies().repaired_positions.len(), ORDERS);
}

#[tokio::test(start_paused = true)]
async fn an_order_that_the_list_has_at_another_place_is_repaired_at_both() {
    let stage = Stage::new().await;
    stage.store.lies().list = Some(Box::new(|mut rows| {
        rows[3].place = Position(8);
        rows
    }));
    assert_eq!(stage.found().await, (vec!["o3".to_owned(), "o3".to_owned()], 2));
    assert_eq!(stage.store.lies().repaired_positions, [Position(8)]);
}

#[tokio::test(start_paused = true)]
async fn a_row_of_the_list_that_says_something_else_is_repaired() {
    let stage = Stage::new().await;
    stage.store.lies().list = Some(Box::new(|mut rows| {
        rows[3].summary.status = Status::Shipped;
        rows
    }));
    assert_eq!(stage.found().await, (vec!["o3".to_owned()], 1));
}

#[tokio::test(start_paused = true)]
async fn an_order_that_a_list_with_a_filter_does_not_find_is_repaired() {
    let stage = Stage::new().await;
    stage.store.lies().lost = Some(id("o3"));
    assert_eq!(stage.found().await, (vec!["o3".to_owned()], 1));
}

#[tokio::test(start_paused = true)]
async fn orders_that_have_changed_places_in_the_list_are_repaired() {
    let stage = Stage::new().await;
    stage.store.lies().list = Some(Box::new(|rows| swap_rows(rows, 3, 20)));
    assert_eq!(stage.found().await, (vec!["o3".to_owned(), "o20".to_owned()], 2));

    let stage = Stage::new().await;
    stage.store.lies().list = Some(Box::new(|mut rows| {
        rows.swap(3, 4);
        rows
    }));
    assert_eq!(stage.found().await, (vec!["o3".to_owned()], 1));
}

#[tokio::test(start_paused = true)]
async fn an_order_that_changes_while_it_is_looked_at_is_looked_at_again() {
    for in_list in [false, true] {
        for more in [1, 2, 3, 4, 1_000] {
            let stage = Stage::new().await;
            let service = stage.world.instance();
            stage.store.lies().restless = Some(Restless { order_id: id("o3"), service, in_list, more });
            assert_eq!(stage.found().await, (vec![], 0), "in_list: {in_list}, {more} times");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_is_compared_to_its_end_however_long_it_is() {
    let stage = Stage::new().await;
    let service = stage.world.instance();
    for n in 0..700 {
        execute(&service, "o3", hold(n % 2 == 0)).await.unwrap();
    }
    assert_eq!(stage.found().await, (vec![], 0));
}

#[tokio::test(start_paused = true)]
async fn orders_that_cannot_be_read_on_either_side_are_fine() {
    let stage = Stage::new().await;
    stage.add_unreadable("newer", &[1, 2], Unreadable::Newer).await;
    stage.add_unreadable("twice", &[1], Unreadable::Damaged).await;
    execute(&stage.world.instance(), "last", place()).await.unwrap();
    assert_eq!(stage.found().await, (vec![], 0));
}

#[tokio::test(start_paused = true)]
async fn an_order_that_cannot_be_read_and_is_not_counted_in_the_list_is_repaired() {
    let stage = Stage::new().await;
    stage.add_unreadable("newer", &[1], Unreadable::Newer).await;
    // This list has only what can be read.
    stage.store.lies().list = Some(Box::new(|rows| rows));
    assert_eq!(stage.found().await, (vec!["newer".to_owned()], 1));
}

#[tokio::test(start_paused = true)]
async fn an_event_that_cannot_be_read_is_told_and_passed() {
    let stage = Stage::new().await;
    stage.store.lies().unreadable = Some(Position(7));
    stage.store.lies().list = Some(Box::new(|rows| swap_rows(rows, 4, 20)));
    assert_eq!(stage.found().await, (vec!["o4".to_owned(), "o20".to_owned()], 3));
}

#[tokio::test(start_paused = true)]
async fn it_goes_at_its_pace_in_pages_that_are_short() {
    let stage = Stage::new().await;
    let mut running = stage.start();
    let begun = Instant::now();
    running.passes(1).await;
    let took = begun.elapsed();
    running.stop().await;
    let expected = Duration::from_millis(EVENTS * 10);
    assert!(took >= expected && took < expected + Duration::from_millis(20), "{took:?}");
    assert_eq!(stage.store.lies().pages, [10; 6]);
}

#[tokio::test(start_paused = true)]
async fn a_pass_ends_where_the_log_ended_when_it_began_and_the_next_begins_from_the_start() {
    let stage = Stage::new().await;
    let mut running = stage.start();
    let begun = Instant::now();
    running.becomes(ScrubState::Scrubbing).await;
    execute(&stage.world.instance(), "late", place()).await.unwrap();
    running.passes(1).await;
    let second = running.passes(2).await;
    assert_eq!(second.of, Position(EVENTS + 1));
    assert_eq!(stage.store.lies().pages.iter().sum::<usize>() as u64, EVENTS + EVENTS + 1);
    // A small log is not compared all the time.
    assert!(begun.elapsed() >= Duration::from_secs(60));
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn it_goes_on_where_it_was() {
    let stage = Stage::new().await;
    let mut running = stage.start();
    running.shows(|status| status.position == Position(30)).await;
    running.stop().await;
    let pages = std::mem::take(&mut stage.store.lies().pages).len();
    stage.found().await;
    assert_eq!((pages, stage.store.lies().pages.len()), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn what_was_over_or_is_beyond_the_end_is_not_gone_on_with() {
    let stage = Stage::new().await;
    stage.found().await;
    execute(&stage.world.instance(), "later", place()).await.unwrap();
    stage.store.lies().pages.clear();
    stage.found().await;
    assert_eq!(stage.store.lies().pages.iter().sum::<usize>() as u64, EVENTS + 1);

    let Ok(Claim::Granted(epoch)) = stage.store.claim("scrub", "me", None).await else {
        panic!("it is free")
    };
    let beyond = Checkpoint { position: Position(1_000), evidence: None };
    assert_eq!(stage.store.save("scrub", epoch, &beyond).await, Ok(true));
    stage.store.lies().pages.clear();
    stage.found().await;
    assert_eq!(stage.store.lies().pages.iter().sum::<usize>() as u64, EVENTS + 1);
}

#[tokio::test(start_paused = true)]
async fn among_instances_only_the_holder_works() {
    let stage = Stage::new().await;
    stage.store.lies().held_by_another = true;
    let mut running = stage.start();
    let status = running.becomes(ScrubState::Standby).await;
    assert_eq!((status.position, status.of), (Position::START, Position(EVENTS)));
    stage.store.lies().held_by_another = false;
    stage.store.lies().unreadable = Some(Position(7));
    assert_eq!(running.passes(1).await.faults_in_pass, 1);
    // It is noticed between two passes, too.
    stage.store.lies().held_by_another = true;
    assert_eq!(running.becomes(ScrubState::Standby).await.faults_in_pass, 0, "that pass is another's");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_on_standby_nothing_of_it_is_shown_and_the_next_is_waited_out_as_the_first() {
    let stage = Stage::new().await;
    stage.store.lies().held_by_another = true;
    let mut running = stage.start();
    for _ in 0..3 {
        assert_eq!(running.becomes(ScrubState::Standby).await.detail, None);
        let gone = Some(StoreError::Unavailable("gone".to_owned()));
        stage.store.lies().away = gone;
        running.becomes(ScrubState::Unavailable).await;
        let begun = Instant::now();
        stage.store.lies().away = None;
        running.becomes(ScrubState::Standby).await;
        let first = Duration::from_secs(1);
        assert!((first / 2..=first).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    }
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_store_pauses_it_with_growing_waits() {
    let stage = Stage::new().await;
    stage.store.lies().away = Some(StoreError::Unavailable("gone".to_owned()));
    let mut running = stage.start();
    let status = running.becomes(ScrubState::Unavailable).await;
    assert_eq!(status.detail.as_deref(), Some("the store is unavailable: gone"));
    // In three seconds it asks after at most 1 and 3, and the next wait is of 2 to 4.
    tokio::time::sleep(Duration::from_millis(3_050)).await;
    let asked = stage.store.lies().asked_while_away;
    assert!((2..=4).contains(&asked), "{asked} times");
    stage.store.lies().away = None;
    assert_eq!(running.passes(1).await.detail, None);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn beside_a_log_that_is_damaged_as_a_whole_nothing_is_found_of_views() {
    let stage = Stage::new().await;
    stage.store.lies().list = Some(Box::new(|rows| swap_rows(rows, 0, 25)));
    stage.store.lies().damaged_log = Some(0);
    let mut running = stage.start();
    let status = running.becomes(ScrubState::Unavailable).await;
    assert_eq!((status.faults, status.detail.as_deref()), (0, Some("corrupt data: a page")));
    tokio::time::sleep(Duration::from_secs(600)).await;
    running.stop().await;
    let lies = std::mem::take(&mut *stage.store.lies());
    assert_eq!((lies.pages.len(), lies.repaired), (1, vec![]));
}

#[tokio::test(start_paused = true)]
async fn it_waits_while_the_views_are_rebuilt() {
    let stage = Stage::new().await;
    stage.store.lies().views.state = ViewsState::Rebuilding;
    let mut running = stage.start();
    running.becomes(ScrubState::Waiting).await;
    assert_eq!(stage.store.lies().pages, [0; 0]);
    stage.store.lies().views.state = ViewsState::Current;
    running.passes(1).await;
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_newer_release_made_is_not_compared_also_if_it_comes_in_the_middle() {
    for newer_after in [0, 1] {
        let stage = Stage::new().await;
        stage.store.lies().list = Some(Box::new(|rows| swap_rows(rows, 0, 5)));
        stage.store.lies().newer_after = Some(newer_after);
        let mut running = stage.start();
        assert_eq!(running.becomes(ScrubState::Waiting).await.faults, 0);
        assert_eq!(stage.store.lies().repaired, []);
        stage.store.lies().newer_after = None;
        assert_eq!(running.passes(1).await.faults, 2);
        running.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_found_again_is_asked_for_again() {
    let stage = Stage::new().await;
    stage.store.lies().list = Some(Box::new(|mut rows| {
        rows.remove(3);
        rows
    }));
    let mut running = stage.start();
    let status = running.passes(2).await;
    assert_eq!((status.faults, status.faults_in_pass, stage.store.lies().repaired.len()), (2, 1, 2));
    running.stop().await;
}
