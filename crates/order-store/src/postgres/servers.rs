//! The servers of a URL, and connections to the one that is the primary.
//!
//! All of them are asked at once, and the connection is kept that leads to the primary that took over last. So neither a server
//! that does not answer is waited for where another does, nor an old primary taken that has come back.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use deadpool_postgres::{ClientWrapper, ConfigConnectImpl, Connect};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use order_application::error_chain;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::{Config, Error};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::history::{History, Looked};
use super::timeline::Timeline;
use super::url::DatabaseUrl;

/// How long the others are waited for when one has answered: they may know of a later primary.
const OTHERS_ANSWER_WITHIN: Duration = Duration::from_millis(250);
/// The same while no primary is known yet, and since the first was asked: as long as a connection may take to come about.
const FIRST_ANSWERS_WITHIN: Duration = Duration::from_secs(3);

/// A connection of a pool, which goes back to it.
pub(super) type Object = managed::Object<Servers>;

/// The servers of a URL.
pub(super) struct Servers {
    servers: Vec<Server>,
    connector: ConfigConnectImpl<MakeRustlsConnect>,
    /// Says which connections may be used.
    history: Arc<History>,
}

struct Server {
    /// For people, and to tell them apart.
    name: Arc<str>,
    config: Config,
}

/// A connection to a server that was the primary when it was made.
pub(super) struct Connection {
    client: ClientWrapper,
    /// Before it was asked anything.
    made: Instant,
    server: Arc<str>,
    timeline: Option<Timeline>,
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum NotConnected {
    /// What the server says, or the way to it.
    ByServer(Error),
    /// What is behind the connection is not to be used.
    Refused(String),
}

/// A server that answered.
struct Answer {
    connection: Connection,
    looked: Looked,
}

impl Servers {
    pub(super) fn new(url: &DatabaseUrl, tls: MakeRustlsConnect, history: &Arc<History>) -> Self {
        let named = url.address.servers.iter().zip(url.servers());
        let servers =
            named.map(|((host, port), config)| Server { name: format!("{host}:{port}").into(), config });
        Self {
            servers: servers.collect(),
            connector: ConfigConnectImpl { tls },
            history: Arc::clone(history),
        }
    }

    /// Whether there are others than the one that is served from.
    pub(super) fn are_several(&self) -> bool {
        self.servers.len() > 1
    }

    /// Asks the others whether one of them has taken over, or is an old primary: connections that are there stay where they
    /// lead to, and nothing on them tells that somebody was promoted elsewhere.
    pub(super) async fn look_at_others(&self) {
        let Some(newest) = self.history.primaries().newest() else { return };
        let others = self.servers.iter().filter(|server| server.name != newest.server);
        let mut answers: FuturesUnordered<_> = others.map(|other| self.ask(other)).collect();
        while let Some(answer) = answers.next().await {
            let Ok(Answer { connection, looked }) = answer else { continue };
            let primaries = self.history.primaries();
            if primaries.refuse_old(looked.timeline, &connection.server).is_some() {
                continue;
            }
            // Where both are on one timeline nobody can tell which is right. From one that was left new connections are made, and
            // those ask more.
            if primaries.is_later(looked.timeline) && self.history.is_the_log(&looked) {
                primaries.note(looked.timeline, &connection.server);
            }
        }
    }

    /// What those say that answer in time, as the URL has them.
    async fn ask_all(&self) -> Vec<Result<Answer, NotConnected>> {
        let (begun, is_known) = (Instant::now(), self.history.primaries().newest().is_some());
        let patience =
            || if is_known { Instant::now() + OTHERS_ANSWER_WITHIN } else { begun + FIRST_ANSWERS_WITHIN };
        let numbered = self.servers.iter().enumerate();
        let mut asked: FuturesUnordered<_> =
            numbered.map(|(place, server)| async move { (place, self.ask(server).await) }).collect();
        let mut answers = Vec::new();
        let mut until = None;
        loop {
            let next = match until {
                None => asked.next().await,
                Some(until) => timeout_at(until, asked.next()).await.unwrap_or_default(),
            };
            let Some((place, answer)) = next else { break };
            if let Ok(Answer { looked, .. }) = &answer
                && !self.history.primaries().is_left(looked.timeline)
            {
                until.get_or_insert_with(patience);
            }
            answers.push((place, answer));
        }
        answers.sort_unstable_by_key(|&(place, _)| place);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }

    /// Whose timeline is the highest of those with the log; the first of those that are on one, or do not tell.
    fn latest(&self, answers: &[Answer]) -> Option<usize> {
        let known = self.history.primaries().newest().map(|primary| primary.timeline.system);
        let told = || answers.iter().find_map(|answer| Some(answer.looked.timeline?.system));
        let system = known.or_else(told);
        let rank = |answer: &Answer| {
            let own = answer.looked.timeline.filter(|own| Some(own.system) == system)?;
            self.history.is_the_log(&answer.looked).then_some(own.number)
        };
        (0..answers.len()).rev().max_by_key(|&place| rank(&answers[place]))
    }

    async fn ask(&self, server: &Server) -> Result<Answer, NotConnected> {
        let made = Instant::now();
        let connected = self.connector.connect(&server.config).await;
        let (client, task) = connected.map_err(NotConnected::ByServer)?;
        let client = ClientWrapper::new(client, task);
        let looked = self.history.look(&client, true).await.map_err(NotConnected::Refused)?;
        let (server, timeline) = (Arc::clone(&server.name), looked.timeline);
        Ok(Answer { connection: Connection { client, made, server, timeline }, looked })
    }
}

impl managed::Manager for Servers {
    type Type = Connection;
    type Error = NotConnected;

    async fn create(&self) -> Result<Connection, NotConnected> {
        let (mut answers, mut why_not) = (Vec::new(), None);
        for answer in self.ask_all().await {
            match answer {
                Ok(answer) => answers.push(answer),
                Err(why) => why_not = Some(why),
            }
        }
        let Some(latest) = self.latest(&answers) else {
            let nobody = || NotConnected::Refused("no server of the URL answers".to_owned());
            return Err(why_not.unwrap_or_else(nobody));
        };
        let Answer { connection, looked } = answers.swap_remove(latest);
        self.history.judge(looked, &connection.server).map_err(NotConnected::Refused)?;
        // Told, and not used.
        for Answer { connection: other, looked } in answers {
            self.history.primaries().refuse_old(looked.timeline, &other.server);
        }
        Ok(connection)
    }

    async fn recycle(&self, connection: &mut Connection, _: &Metrics) -> RecycleResult<NotConnected> {
        if connection.is_closed() {
            return Err(RecycleError::message("the connection is closed"));
        }
        if self.history.trusts(connection) {
            return Ok(());
        }
        Err(RecycleError::message("what it leads to has to be asked again"))
    }
}

impl Connection {
    /// When it was made, before it was asked anything.
    pub(super) fn made(&self) -> Instant {
        self.made
    }

    /// The server that it leads to, as the URL has it.
    pub(super) fn server(&self) -> &Arc<str> {
        &self.server
    }

    /// The one that the server was on when it was made; `None` if it does not tell.
    pub(super) fn timeline(&self) -> Option<Timeline> {
        self.timeline
    }
}

impl Deref for Connection {
    type Target = ClientWrapper;

    fn deref(&self) -> &ClientWrapper {
        &self.client
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut ClientWrapper {
        &mut self.client
    }
}

impl std::fmt::Display for NotConnected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ByServer(error) => f.write_str(&error_chain(error)),
            Self::Refused(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for NotConnected {}
