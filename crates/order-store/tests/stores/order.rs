//! Appends as the service makes them: real events, encoded by the real codec, with the view that they lead to.

use std::borrow::Cow;

use order_application::traces::CommandTrace;
use order_application::{
    Append, EventContext, LogHistory, NewEvent, OrderSummary, OrderView, SearchTerm, Version, VersionedOrder,
    codec, projection,
};
use order_domain::*;
use uuid::Uuid;

/// One order's history in the making.
#[derive(Clone)]
pub(crate) struct TestOrder {
    pub(crate) id: OrderId,
    pub(crate) state: Option<VersionedOrder>,
}

impl TestOrder {
    pub(crate) fn new(id: &str) -> Self {
        Self { id: OrderId::new(id).unwrap(), state: None }
    }

    pub(crate) fn version(&self) -> Version {
        self.state.as_ref().map_or(Version::NONE, |state| state.version)
    }

    pub(crate) fn summary(&self) -> OrderSummary {
        self.state.as_ref().expect("the order was placed").summary(&self.id)
    }

    /// The append that places it.
    pub(crate) fn place(&mut self) -> Append {
        self.place_for("cust-1")
    }

    pub(crate) fn place_for(&mut self, customer_id: &str) -> Append {
        self.place_as(customer_id, None)
    }

    /// The append that places it, to be paid until then.
    pub(crate) fn place_to_be_paid(&mut self, pay_by: Option<Timestamp>) -> Append {
        self.place_as("cust-1", pay_by.map(|at| Expiry { seconds: 1, at }))
    }

    /// An append of a payment of all that is due.
    pub(crate) fn pay_all(&mut self) -> Append {
        self.append(vec![OrderEvent::PaymentAuthorized(PaymentAuthorized {
            payment_id: PaymentId::new("all").unwrap(),
            amount: Cents::new(3000).unwrap(),
            expires: None,
        })])
    }

    fn place_as(&mut self, customer_id: &str, payment_term: Option<Expiry>) -> Append {
        let line = PlacedLine {
            sku: Sku::new("sku-1").unwrap(),
            quantity: Quantity::new(2).unwrap(),
            unit_price: Cents::new(1500).unwrap(),
        };
        self.append(vec![OrderEvent::OrderPlaced(OrderPlaced {
            customer_id: CustomerId::new(customer_id).unwrap(),
            currency: Currency::USD,
            lines: vec![line],
            adjustments: vec![],
            metadata: Metadata::default(),
            total: Cents::new(3000).unwrap(),
            payment_term,
        })])
    }

    /// An append of so many payments of 1.
    pub(crate) fn pay(&mut self, payments: u64) -> Append {
        let from = self.version().0;
        let payment = |n| {
            OrderEvent::PaymentAuthorized(PaymentAuthorized {
                payment_id: PaymentId::new(format!("pay-{}", from + n)).unwrap(),
                amount: Cents::new(1).unwrap(),
                expires: None,
            })
        };
        self.append((0..payments).map(payment).collect())
    }

    /// Takes in what others have appended.
    #[cfg(feature = "full-tests")]
    pub(crate) fn replay(&mut self, events: &[order_application::RecordedEvent]) {
        for event in events {
            self.state = Some(codec::replay(self.state.take(), event).unwrap());
        }
    }

    fn append(&mut self, events: Vec<OrderEvent>) -> Append {
        let time = Timestamp::from_micros(1_767_225_600_000_000 + self.version().0 as i64);
        self.append_at(time, events)
    }

    /// An append of any events.
    pub(crate) fn append_at(&mut self, time: Timestamp, events: Vec<OrderEvent>) -> Append {
        let expected_version = self.version();
        let before = self.state.as_ref().map(|known| &known.order);
        let terms = events.iter().flat_map(|event| SearchTerm::added_by(event, before)).collect();
        self.state =
            events.iter().fold(self.state.take(), |state, event| projection::apply(state, event, time));
        let encode = |event: &OrderEvent| {
            let (event_type, data) = codec::encode(event);
            let context = EventContext::new("corr-1", None, None);
            NewEvent {
                id: Uuid::now_v7(),
                event_type: Cow::Borrowed(event_type),
                time,
                data,
                context,
                source: None,
            }
        };
        Append {
            receipt: None,
            deadline: None,
            trace: CommandTrace::None,
            history: LogHistory::default(),
            terms,
            order_id: self.id.clone(),
            expected_version,
            events: events.iter().map(encode).collect(),
            view: OrderView::Readable(self.summary()),
        }
    }
}
