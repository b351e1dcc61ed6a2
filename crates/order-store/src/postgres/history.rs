//! Whether the database still has the log that it had. A standby that lagged behind may have taken its place, an older copy of
//! its files, or another database under its name; and none of them says so.
//!
//! The store keeps the newest event that it has seen: where it is, and its id. History never forks where nothing is lost, so a
//! log that has this event has everything that was ever seen of it. Each connection is asked for it before it is used
//! ([`Database`]), each page of events says whether it is there, and so does [`watch`], twice a second, for whoever swaps tables
//! under a connection. Where it is missing, the log has gone back: then a new [`LogHistory`] begins, of which nothing
//! is known, and whatever was decided in the one before is refused.
//!
//! A database with another log, or on a server that loses what it acknowledges, is not used at all. Neither is an old primary
//! ([`Primaries`]) once a later one has been seen: it lacks what was written since, and that says nothing of the log.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use order_application::{Clock, LogHistory, Position, SystemClock, error_chain};
use tokio::time::{Instant, timeout};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Row};
use uuid::Uuid;

use super::clock::{ComparedClocks, Reading};
use super::database::Database;
use super::primaries::Primaries;
use super::row::timestamp;
use super::servers::{Connection, Object};
use super::statement_failure::is_about_rows;
use super::timeline::{Timeline, is_not_told, timeline_columns};
use crate::postgres_error::PostgresFault;

/// How often the database is asked whether it still has the log.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often the other servers of the URL are asked whether one of them has taken over.
const LOOK_AT_OTHERS_EVERY: Duration = Duration::from_secs(5);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(4);

/// What is told of a statement that has found it out.
pub(super) const WENT_BACK: &str = "the log has gone back to an earlier state";

/// Which log it is, whether it has an event, and the settings without which nobody serves from it.
macro_rules! look {
    ($more:expr) => {
        concat!(
            "SELECT l.identity, l.state = 'copying', \
             (SELECT e.id FROM order_service.events e WHERE e.position = $1), \
             current_setting('fsync'), current_setting('synchronous_commit'), \
             current_setting('full_page_writes'), current_setting('default_transaction_isolation'), \
             current_setting('statement_timeout'), coalesce(current_setting('transaction_timeout', true), '0'), \
             clock_timestamp()",
            $more,
            " FROM order_service.log l"
        )
    };
}
const LOOK: &str = look!("");
/// And which timeline it is on.
const LOOK_WITH_TIMELINE: &str = look!(concat!(", ", timeline_columns!()));
/// Where in its rows the database's time is, and the timeline.
const CLOCK: usize = 9;
const TIMELINE: usize = 10;

/// An event that the log had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KnownEvent {
    pub(super) position: Position,
    pub(super) id: Uuid,
}

/// What is known of a history, at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) history: LogHistory,
    /// The newest event; `None` while none has been seen.
    pub(super) event: Option<KnownEvent>,
}

/// What is expected of a database since it was opened.
#[derive(Debug, Clone)]
pub(super) struct Expected {
    pub(super) identity: Uuid,
    pub(super) allow_unsafe: bool,
    /// Who uses it, for people.
    pub(super) user: String,
}

/// What a connection says of the database that it leads to.
pub(super) struct Looked {
    known: Known,
    /// `None` if it was not asked, or does not tell.
    pub(super) timeline: Option<Timeline>,
    /// `None` while nothing is expected of it.
    found: Option<Result<Option<Row>, Error>>,
    clocks: Option<Reading>,
}

/// What the store knows of its log. Until it [expects](Self::expect) something, only old primaries are told from new ones.
pub(super) struct History {
    expected: OnceLock<Expected>,
    /// The number of the history, beside the state for whoever asks often.
    number: AtomicU64,
    state: Mutex<State>,
    primaries: Primaries,
    /// This machine's and the database's.
    pub(super) clocks: ComparedClocks,
}

struct State {
    known: Option<KnownEvent>,
    /// Connections that were made before are not used any more.
    trusted_since: Instant,
    /// Why the database is not used, once that has been told.
    refused: Option<String>,
}

impl Default for History {
    fn default() -> Self {
        let state = State { known: None, trusted_since: Instant::now(), refused: None };
        Self {
            expected: OnceLock::new(),
            number: AtomicU64::new(0),
            state: Mutex::new(state),
            primaries: Primaries::default(),
            clocks: ComparedClocks::default(),
        }
    }
}

impl History {
    /// From now on the database is used only while it is as it was.
    pub(super) fn expect(&self, expected: Expected) {
        // It is opened once.
        let _ = self.expected.set(expected);
    }

    pub(super) fn number(&self) -> LogHistory {
        LogHistory(self.number.load(Ordering::Acquire))
    }

    pub(super) fn known(&self) -> Known {
        let state = self.state();
        Known { history: self.number(), event: state.known }
    }

    /// Notes the newest event of what was read from, or added to, a log that had what was known.
    pub(super) fn saw(&self, history: LogHistory, event: KnownEvent) {
        let mut state = self.state();
        if self.number() == history && state.known.is_none_or(|known| known.position < event.position) {
            state.known = Some(event);
        }
    }

    /// Begins a new history, since the log does not have what was known. (That an old primary does not have it says nothing.)
    /// Whoever asks for the number sees it before anything is read on a connection that is made from now on.
    pub(super) fn went_back(&self, known: Known) {
        let mut state = self.state();
        if self.number() != known.history {
            return;
        }
        self.number.fetch_add(1, Ordering::AcqRel);
        state.trusted_since = Instant::now();
        let Some(KnownEvent { position, id }) = state.known.take() else { return };
        tracing::error!(
            position = position.0,
            %id,
            "the log has gone back: the database no longer has this event, or has another in its place. Events that were \
             acknowledged are lost, as after a fail-over to a standby that was behind, or an older backup. This instance has \
             forgotten what it remembered and goes on with the log as it is; relays compare it with their brokers first. See \
             Replication and failover in docs/operations/postgresql.md"
        );
    }

    /// Begins a new history: what comes to be in the log has nothing to do with what was.
    fn forget(&self) {
        let mut state = self.state();
        self.number.fetch_add(1, Ordering::AcqRel);
        state.known = None;
    }

    /// Whether a page says that its log has what was known when it was asked for; otherwise a new history has begun.
    pub(super) fn has(&self, known: Known, found: Option<Uuid>) -> bool {
        let is_there = known.event.is_none_or(|event| found == Some(event.id));
        if !is_there {
            self.went_back(known);
        }
        is_there
    }

    /// Whether a connection may be used: neither was something wrong since it was made, nor has anybody taken over.
    pub(super) fn trusts(&self, connection: &Connection) -> bool {
        self.state().trusted_since <= connection.made() && !self.primaries.is_left(connection.timeline())
    }

    /// Who has been seen as a primary.
    pub(super) fn primaries(&self) -> &Primaries {
        &self.primaries
    }

    /// Asks a connection whether what is behind it may be used, and says why not.
    async fn check(&self, connection: &Connection) -> Result<(), String> {
        let is_told = self.primaries.newest().is_some();
        let looked = self.look(connection, is_told).await?;
        if self.primaries.is_left(looked.timeline) {
            // Behind a pooler, connections may lead to an old primary that led elsewhere when they were made.
            self.state().trusted_since = Instant::now();
        }
        self.judge(looked, connection.server())
    }

    /// Asks a connection what is behind it, its timeline too if it is likely to tell.
    pub(super) async fn look(&self, client: &Client, with_timeline: bool) -> Result<Looked, String> {
        let silent = |_| "the database does not answer".to_owned();
        let known = self.known();
        if self.expected.get().is_none() {
            let asked = timeout(PATIENCE, Timeline::ask(client)).await.map_err(silent)?;
            let timeline = asked.map_err(|error| error_chain(&error))?;
            return Ok(Looked { known, timeline, found: None, clocks: None });
        }
        let asked = SystemClock.now();
        let mut looked = timeout(PATIENCE, look(client, known, with_timeline)).await.map_err(silent)?;
        let answered = SystemClock.now();
        let row = looked.found.as_ref().and_then(|found| found.as_ref().ok()?.as_ref());
        let database = row.and_then(|row| timestamp(row.try_get(CLOCK).ok()?).ok());
        looked.clocks = database.map(|database| Reading { asked, database, answered });
        if with_timeline && looked.timeline.is_none() && looked.found.as_ref().is_some_and(Result::is_ok) {
            self.primaries.note_untold();
        }
        Ok(looked)
    }

    /// Says whether what was found may be used, and why not. What is on a higher timeline than was seen, and has the log, has taken
    /// over from all others.
    pub(super) fn judge(&self, looked: Looked, server: &Arc<str>) -> Result<(), String> {
        let Looked { known, timeline, found, clocks } = looked;
        if let Some(why) = self.primaries.refuse_old(timeline, server) {
            return Err(why);
        }
        let (Some(expected), Some(found)) = (self.expected.get(), found) else {
            self.primaries.note(timeline, server);
            return Ok(());
        };
        let row = match found {
            Ok(Some(row)) => row,
            Ok(None) => {
                return Err(self.refuse("the database has no whole order store: order_service.log is empty"));
            }
            Err(error) if is_about_tables(&error) => {
                return Err(
                    self.refuse(&format!("the database has no whole order store: {}", error_chain(&error)))
                );
            }
            Err(error) => return Err(error_chain(&error)),
        };
        if let Some(reading) = clocks {
            self.clocks.compare(reading);
        }
        self.judge_row(&row, known, expected, || self.primaries.note(timeline, server))
            .map_err(|error| error_chain(&error))?
    }

    /// Whether what was found is the log that is expected, as far as it tells.
    pub(super) fn is_the_log(&self, looked: &Looked) -> bool {
        let Some((expected, found)) = self.expected.get().zip(looked.found.as_ref()) else { return true };
        let identity = found.as_ref().ok().and_then(|row| row.as_ref()?.try_get::<_, Uuid>(0).ok());
        identity.is_none_or(|identity| identity == expected.identity)
    }

    fn judge_row(
        &self,
        row: &Row,
        known: Known,
        expected: &Expected,
        has_the_log: impl FnOnce(),
    ) -> Result<Result<(), String>, Error> {
        let identity: Uuid = row.try_get(0)?;
        if identity != expected.identity {
            let why = format!(
                "it has another log ({identity}) than this instance was opened with ({}): put that back, or start the \
                 instance anew if this one is meant",
                expected.identity
            );
            return Ok(Err(self.refuse(&why)));
        }
        has_the_log();
        if row.try_get(1)? {
            let why = PostgresFault::Copying.to_string();
            if self.refused().as_ref() != Some(&why) {
                self.forget();
            }
            return Ok(Err(self.refuse(&why)));
        }
        if let Some(fault) = unfit(row, expected)? {
            return Ok(Err(self.refuse(&fault.to_string())));
        }
        if !self.has(known, row.try_get(2)?) {
            return Ok(Err(WENT_BACK.to_owned()));
        }
        if self.state().refused.take().is_some() {
            tracing::info!("the database is as it has to be again");
        }
        Ok(Ok(()))
    }

    /// Why the database is not used, if somebody has to do something about that.
    pub(super) fn refused(&self) -> Option<String> {
        self.state().refused.clone()
    }

    /// Has no connection used that there is, and tells why, once.
    fn refuse(&self, why: &str) -> String {
        let mut state = self.state();
        state.trusted_since = Instant::now();
        if state.refused.as_deref() != Some(why) {
            tracing::error!(
                why,
                "the database is not used as it is; commands are refused until that is over"
            );
            state.refused = Some(why.to_owned());
        }
        why.to_owned()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is a few assignments.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks at the servers again and again that are not served from, for as long as the store is open.
pub(super) async fn watch_others(database: Arc<Database>) {
    let mut ticks = tokio::time::interval(LOOK_AT_OTHERS_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while database.has_several_servers() {
        ticks.tick().await;
        database.look_at_others().await;
    }
}

/// Looks again and again, for as long as the store is open.
pub(super) async fn watch(history: Arc<History>, database: Arc<Database>) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // Where all connections are in use, each of them looks by itself.
        if !database.has_idle() {
            continue;
        }
        let history = Arc::clone(&history);
        let look = |connection: Arc<Object>| async move { Ok(history.check(&connection).await) };
        let why = match database.attempt(Instant::now() + PATIENCE, look).await {
            Ok(Ok(())) => continue,
            Ok(Err(why)) => why,
            Err(failure) => failure.to_string(),
        };
        tracing::debug!(why, "the log cannot be looked at");
    }
}

/// Without the event, where the server cannot read it: then only reading finds out. And without the timeline, where it does
/// not tell.
async fn look(client: &Client, known: Known, with_timeline: bool) -> Looked {
    let (mut known, mut with_timeline) = (known, with_timeline);
    loop {
        let position = known.event.map_or(0, |event| event.position.0.cast_signed());
        let statement = if with_timeline { LOOK_WITH_TIMELINE } else { LOOK };
        match client.query_typed_opt(statement, &[(&position, Type::INT8)]).await {
            Err(error) if with_timeline && is_not_told(&error) => with_timeline = false,
            Err(error) if known.event.is_some() && error.code().is_some_and(is_about_rows) => {
                known.event = None
            }
            Ok(Some(row)) if with_timeline => {
                return match Timeline::of(&row, TIMELINE) {
                    Ok(timeline) => Looked { known, timeline, found: Some(Ok(Some(row))), clocks: None },
                    Err(error) => Looked { known, timeline: None, found: Some(Err(error)), clocks: None },
                };
            }
            found => return Looked { known, timeline: None, found: Some(found), clocks: None },
        }
    }
}

/// The tables are gone, or the schema is.
fn is_about_tables(error: &Error) -> bool {
    let gone = [SqlState::UNDEFINED_TABLE, SqlState::UNDEFINED_COLUMN, SqlState::INVALID_SCHEMA_NAME];
    error.code().is_some_and(|state| gone.contains(state))
}

/// What keeps the service from serving from this server, as at its start. Another server may have other settings.
fn unfit(row: &Row, expected: &Expected) -> Result<Option<PostgresFault>, Error> {
    for (index, name) in [(3, "fsync"), (4, "synchronous_commit"), (5, "full_page_writes")] {
        if row.try_get::<_, &str>(index)? == "off" && !expected.allow_unsafe {
            return Ok(Some(PostgresFault::Unsafe(format!("{name}=off"))));
        }
    }
    let isolation: &str = row.try_get(6)?;
    if isolation != "read committed" {
        return Ok(Some(PostgresFault::Isolation(isolation.to_owned())));
    }
    for (index, setting) in [(7, "statement_timeout"), (8, "transaction_timeout")] {
        let value: &str = row.try_get(index)?;
        if value != "0" {
            let (setting, value, user) = (setting.to_owned(), value.to_owned(), expected.user.clone());
            return Ok(Some(PostgresFault::Timeout { setting, value, user }));
        }
    }
    Ok(None)
}
