//! Commands by what they ask for and what became of them. Which outcomes are told apart is decided here.

use order_domain::{Action, OrderCommand, OrderError};

use super::Counter;
use crate::ports::event_log::StoreError;
use crate::service::{CommandError, CommandOutcome};

/// What became of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandEnd {
    /// It was accepted, and events were appended.
    Accepted,
    /// It had been done already, and is answered as the first time.
    Repeated,
    /// There is no such order, or it has no such return.
    UnknownOrder,
    /// The order's state forbids it, or what it asks for does not fit the order.
    Refused,
    /// An id of the client's is taken by other content.
    IdReused,
    /// The order is at another version than the client named.
    VersionMismatch,
    /// Other instances kept changing the order.
    ConcurrentModification,
    /// Its key is another request's, or its twin is under way.
    KeyRefused,
    /// There was more to do than the store could take.
    Overloaded,
    /// There is no space left.
    StorageFull,
    /// The store could not be reached.
    StoreUnavailable,
    /// Nobody knows whether it was carried out.
    OutcomeUnknown,
    /// The order is damaged, or a newer release's.
    Unreadable,
}

impl CommandEnd {
    /// All of them, those first that are hoped for.
    pub const ALL: [Self; 13] = [
        Self::Accepted,
        Self::Repeated,
        Self::UnknownOrder,
        Self::Refused,
        Self::IdReused,
        Self::VersionMismatch,
        Self::ConcurrentModification,
        Self::KeyRefused,
        Self::Overloaded,
        Self::StorageFull,
        Self::StoreUnavailable,
        Self::OutcomeUnknown,
        Self::Unreadable,
    ];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Repeated => "repeated",
            Self::UnknownOrder => "unknown_order",
            Self::Refused => "refused",
            Self::IdReused => "id_reused",
            Self::VersionMismatch => "version_mismatch",
            Self::ConcurrentModification => "concurrent_modification",
            Self::KeyRefused => "key_refused",
            Self::Overloaded => "overloaded",
            Self::StorageFull => "storage_full",
            Self::StoreUnavailable => "store_unavailable",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::Unreadable => "unreadable",
        }
    }

    fn of(outcome: &Result<CommandOutcome, CommandError>) -> Self {
        match outcome {
            Ok(CommandOutcome { appended: true, .. }) => Self::Accepted,
            Ok(CommandOutcome { appended: false, .. }) => Self::Repeated,
            Err(error) => Self::of_error(error),
        }
    }

    fn of_error(error: &CommandError) -> Self {
        match error {
            CommandError::Refused { error, .. } => Self::of_refusal(error),
            CommandError::VersionMismatch(_) => Self::VersionMismatch,
            CommandError::ConcurrentModification(_) => Self::ConcurrentModification,
            CommandError::KeyReused | CommandError::KeyInProgress => Self::KeyRefused,
            CommandError::Store(error) => Self::of_store_error(error),
        }
    }

    fn of_refusal(error: &OrderError) -> Self {
        match error {
            OrderError::NotFound | OrderError::ReturnNotFound => Self::UnknownOrder,
            OrderError::IdReused { .. } => Self::IdReused,
            OrderError::InTheWay(_)
            | OrderError::AmountExceedsDue { .. }
            | OrderError::AmountExceedsAuthorized { .. }
            | OrderError::AmountExceedsCaptured { .. }
            | OrderError::QuantityExceedsAvailable { .. }
            | OrderError::UnknownReference { .. }
            | OrderError::ZeroAmount
            | OrderError::WhichParcel
            | OrderError::InvalidTotal(_) => Self::Refused,
        }
    }

    fn of_store_error(error: &StoreError) -> Self {
        match error {
            StoreError::Overloaded => Self::Overloaded,
            StoreError::StorageFull => Self::StorageFull,
            StoreError::Unavailable(_) | StoreError::DamagedView(_) => Self::StoreUnavailable,
            StoreError::OutcomeUnknown(_) => Self::OutcomeUnknown,
            StoreError::Corrupt(_) | StoreError::NewerRelease(_) => Self::Unreadable,
        }
    }
}

/// The commands that are no actions of clients on orders that exist. The actions come after them.
const OTHER_COMMANDS: [&str; 5] =
    [ANSWERED_BY_KEY, "place", "expire_reservation", "expire_authorization", "cancel_unpaid"];
/// A request whose key says what it is answered with: its body is not read.
const ANSWERED_BY_KEY: &str = "answered_by_key";

/// How often each command came to each end.
#[derive(Debug)]
pub struct CommandFigures {
    /// A row for each command.
    rows: Box<[Row]>,
}

type Row = [Counter; CommandEnd::ALL.len()];

impl Default for CommandFigures {
    fn default() -> Self {
        let rows = OTHER_COMMANDS.len() + Action::ALL.len();
        Self { rows: (0..rows).map(|_| Row::default()).collect() }
    }
}

impl CommandFigures {
    pub(crate) fn count(&self, command: usize, outcome: &Result<CommandOutcome, CommandError>) {
        self.rows[command][CommandEnd::of(outcome) as usize].add_one();
    }

    /// The name of a command, as it is counted.
    pub(crate) fn name_of(command: &OrderCommand) -> &'static str {
        let row = Self::row_of(command);
        OTHER_COMMANDS.get(row).copied().unwrap_or_else(|| Action::ALL[row - OTHER_COMMANDS.len()].as_str())
    }

    /// The row of requests that their keys alone decided on.
    pub(crate) const BY_KEY: usize = 0;

    /// Which row is a command's.
    pub(crate) fn row_of(command: &OrderCommand) -> usize {
        match command {
            OrderCommand::Place(_) => 1,
            OrderCommand::ExpireReservation(_) => 2,
            OrderCommand::ExpireAuthorization(_) => 3,
            OrderCommand::CancelUnpaidOrder(_) => 4,
            OrderCommand::AuthorizePayment(_) => Self::of_action(Action::Payment),
            OrderCommand::DeclinePayment(_) => Self::of_action(Action::Decline),
            OrderCommand::VoidPayment(_) => Self::of_action(Action::Void),
            OrderCommand::ReserveInventory(_) => Self::of_action(Action::Reserve),
            OrderCommand::ReleaseReservation(_) => Self::of_action(Action::Release),
            OrderCommand::Ship(_) => Self::of_action(Action::Ship),
            OrderCommand::DeliverShipment(_) => Self::of_action(Action::Deliver),
            OrderCommand::LoseShipment(_) => Self::of_action(Action::Lost),
            OrderCommand::CapturePayment(_) => Self::of_action(Action::Capture),
            OrderCommand::RefundPayment(_) => Self::of_action(Action::Refund),
            OrderCommand::CancelUnits(_) => Self::of_action(Action::Cancel),
            OrderCommand::RequestReturn(_) => Self::of_action(Action::Returns),
            OrderCommand::ReceiveReturn(_) => Self::of_action(Action::Receive),
            OrderCommand::RejectReturn(_) => Self::of_action(Action::Reject),
            OrderCommand::HoldOrder(_) => Self::of_action(Action::Hold),
            OrderCommand::ReleaseHold(_) => Self::of_action(Action::Unhold),
            OrderCommand::CompleteOrder(_) => Self::of_action(Action::Complete),
        }
    }

    fn of_action(action: Action) -> usize {
        OTHER_COMMANDS.len() + action as usize
    }

    /// Each command with each end, and how often it came to it.
    pub fn now(&self) -> impl Iterator<Item = (&'static str, CommandEnd, u64)> {
        let names = OTHER_COMMANDS.into_iter().chain(Action::ALL.iter().map(|action| action.as_str()));
        names.zip(&self.rows).flat_map(|(name, row)| {
            CommandEnd::ALL.into_iter().zip(row).map(move |(end, count)| (name, end, count.now()))
        })
    }
}

#[cfg(test)]
mod tests {
    use order_domain::{CancelUnpaidOrder, CompleteOrder, OrderId};

    use super::*;
    use crate::event::Version;
    use crate::receipt::AnswerKind;

    fn counted(figures: &CommandFigures) -> Vec<(&'static str, &'static str, u64)> {
        let found = figures.now().filter(|(_, _, count)| *count > 0);
        found.map(|(name, end, count)| (name, end.as_str(), count)).collect()
    }

    fn outcome(appended: bool) -> Result<CommandOutcome, CommandError> {
        let order_id = OrderId::new("ord-001").unwrap();
        Ok(CommandOutcome { order_id, version: Version(1), answer: AnswerKind::Accepted, appended })
    }

    #[test]
    fn a_command_is_counted_under_its_name_and_its_end() {
        let figures = CommandFigures::default();
        let complete = CommandFigures::row_of(&CompleteOrder.into());
        figures.count(complete, &outcome(true));
        figures.count(complete, &outcome(true));
        figures.count(complete, &outcome(false));
        figures.count(CommandFigures::row_of(&CancelUnpaidOrder.into()), &Err(StoreError::Overloaded.into()));
        figures.count(CommandFigures::BY_KEY, &outcome(false));
        assert_eq!(
            counted(&figures),
            [
                ("answered_by_key", "repeated", 1),
                ("cancel_unpaid", "overloaded", 1),
                ("complete", "accepted", 2),
                ("complete", "repeated", 1),
            ]
        );
    }

    #[test]
    fn every_end_has_its_place_and_a_name_of_its_own() {
        for (index, end) in CommandEnd::ALL.into_iter().enumerate() {
            assert_eq!(end as usize, index);
            assert_eq!(CommandEnd::ALL.iter().filter(|other| other.as_str() == end.as_str()).count(), 1);
        }
    }

    #[test]
    fn actions_have_their_rows_in_the_order_of_all_actions() {
        let ordered = Action::ALL.iter().enumerate().all(|(index, action)| *action as usize == index);
        assert!(ordered);
    }
}
