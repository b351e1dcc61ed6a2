//! What orders do by themselves: reservations and authorisations that run out, orders that are not paid in time.
//!
//! The views know when each order is due next. One instance at a time, which holds the lease, looks for orders that are due,
//! and sends them the commands that their own [timers](order_domain::Order::timers) name. Those commands ask
//! once more whether there is something to do, so that nothing happens twice, and nothing that has been overtaken: a timer
//! that is late, that another instance fires too, or that comes just after a payment, does no harm.
//!
//! | file | holds |
//! |---|---|
//! | `pass.rs` | one look at what is due |
//! | `status.rs` | how it goes |

mod pass;
mod status;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::clock_watch::ClockWatch;
use crate::lease::{Candidate, HolderWatch, Lease};
use crate::ports::checkpoints::Checkpoints;
use crate::ports::clock::Clock;
use crate::ports::event_log::StoreError;
use crate::ports::order_views::OrderViews;
use crate::service::OrderService;
use crate::traces::Tracer;

use pass::Passes;
pub use status::{TimersState, TimersStatus};

/// The name of the lease.
const LEASE: &str = "timers";
/// How long the lease lasts that nobody renews.
const LEASE_TERM: Duration = Duration::from_secs(3);
/// How often what is due is looked for, which is how late a timer may be where all is well.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The waits after failures.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(15);

/// Has orders do what they do by themselves.
pub struct Timers {
    lease: Candidate,
    ports: TimerPorts,
    clock_pause: Duration,
    status: watch::Sender<TimersStatus>,
}

/// What timers need of their surroundings.
#[derive(Clone)]
pub struct TimerPorts {
    /// What takes their commands.
    pub service: OrderService,
    /// What knows which orders are due.
    pub views: Arc<dyn OrderViews>,
    /// Where the lease is.
    pub checkpoints: Arc<dyn Checkpoints>,
    /// What says whether it is time.
    pub clock: Arc<dyn Clock>,
    /// What records their commands, if anything does.
    pub tracer: Option<Tracer>,
}

impl Timers {
    /// Timers that pause for so long after the clock has jumped. `holder` is a name that no other instance has.
    pub fn new(holder: &str, ports: TimerPorts, clock_pause: Duration) -> Self {
        let (checkpoints, name, holder) = (ports.checkpoints.clone(), LEASE.into(), holder.into());
        let lease = Candidate { checkpoints, name, holder, term: LEASE_TERM };
        let (status, _) = watch::channel(TimersStatus::default());
        Self { lease, ports, clock_pause, status }
    }

    /// How it goes, now and later.
    pub fn status(&self) -> watch::Receiver<TimersStatus> {
        self.status.subscribe()
    }

    /// Fires timers until `stop`, whenever this instance has the lease.
    pub async fn run(&self, stop: CancellationToken) {
        let mut clock = ClockWatch::new(&*self.ports.clock, self.clock_pause);
        let mut passes = Passes::default();
        let mut watch = HolderWatch::default();
        let mut backoff = Backoff::new(FIRST_BACKOFF, LONGEST_BACKOFF);
        while !stop.is_cancelled() {
            // Also while another fires: a jump of long ago is no reason to pause when this one takes over.
            clock.is_trusted(&*self.ports.clock);
            if let Some(doubt) = self.ports.clock.doubt() {
                // The lease is for an instance whose clock is right.
                self.pause(doubt);
                stop.run_until_cancelled(sleep(LOOK_EVERY)).await;
                continue;
            }
            let wait = match self.lease.claim(&mut watch).await {
                Ok(Some(lease)) => {
                    backoff.reset();
                    let ended = self.fire(&lease, &mut clock, &mut passes, &stop).await;
                    lease.give_back().await;
                    ended.map_or_else(|error| self.failed(&error, &mut backoff), |()| LOOK_EVERY)
                }
                Ok(None) => {
                    self.tell(|status| (status.state, status.detail) = (TimersState::Standby, None));
                    self.lease.period()
                }
                Err(error) => self.failed(&error, &mut backoff),
            };
            stop.run_until_cancelled(sleep(wait)).await;
        }
    }

    /// Looks for what is due, again and again, until the lease is lost or something fails.
    async fn fire(
        &self,
        lease: &Lease,
        clock: &mut ClockWatch,
        passes: &mut Passes,
        stop: &CancellationToken,
    ) -> Result<(), StoreError> {
        while !stop.is_cancelled() && !lease.is_lost() && self.ports.clock.doubt().is_none() {
            if clock.is_trusted(&*self.ports.clock) {
                let going_on = || !stop.is_cancelled() && !lease.is_lost();
                let fired = passes.fire_what_is_due(&self.ports, going_on).await;
                self.tell(|status| {
                    status.state = TimersState::Running;
                    (status.fired, status.set_aside) = (passes.fired(), passes.set_aside());
                    (status.due, status.late) = passes.found_due();
                    status.detail = None;
                });
                fired?;
            } else {
                self.pause("the clock has jumped".to_owned());
            }
            stop.run_until_cancelled(sleep(LOOK_EVERY)).await;
        }
        Ok(())
    }

    /// Tells that nothing is fired, and why.
    fn pause(&self, why: String) {
        self.tell(|status| {
            status.state = TimersState::Paused;
            status.detail = Some(why);
        });
    }

    /// Tells what went wrong, and how long to wait.
    fn failed(&self, error: &StoreError, backoff: &mut Backoff) -> Duration {
        self.tell(|status| {
            status.state = TimersState::Unavailable;
            status.detail = Some(error.to_string());
        });
        backoff.next_wait()
    }

    /// Shows how it goes, and logs it when it goes otherwise than before.
    fn tell(&self, change: impl FnOnce(&mut TimersStatus)) {
        let before = self.status.borrow().clone();
        let mut now = before.clone();
        change(&mut now);
        if before.state != now.state {
            now.log();
        }
        if before != now {
            self.status.send_replace(now);
        }
    }
}
