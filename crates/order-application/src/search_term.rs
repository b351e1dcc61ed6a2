//! What an order is found by, beside its id: the customer, and every SKU, payment and tracking number that it ever had.

use order_domain::{CustomerId, Order, OrderEvent, PaymentId, Sku, TrackingNumber};

/// An order is found under a term from the event on that first names it, and for ever: a payment that was declined and a
/// parcel that was lost lead to their order, too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SearchTerm {
    /// Who ordered.
    Customer(CustomerId),
    /// A payment that was authorised or declined.
    Payment(PaymentId),
    /// A parcel.
    Tracking(TrackingNumber),
    /// Something that was ordered.
    Sku(Sku),
}

impl SearchTerm {
    /// Every [kind](Self::kind).
    pub const KINDS: [&str; 4] = ["customer", "payment", "tracking", "sku"];

    /// The kind's name, in which stores keep it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Customer(_) => "customer",
            Self::Payment(_) => "payment",
            Self::Tracking(_) => "tracking",
            Self::Sku(_) => "sku",
        }
    }

    /// What is looked for, exactly.
    pub fn value(&self) -> &str {
        match self {
            Self::Customer(id) => id.as_str(),
            Self::Payment(id) => id.as_str(),
            Self::Tracking(number) => number.as_str(),
            Self::Sku(sku) => sku.as_str(),
        }
    }

    /// The terms that an event adds to its order, which has none of them `before`.
    pub fn added_by(event: &OrderEvent, before: Option<&Order>) -> Vec<Self> {
        let mut terms = Self::of_event(event);
        // A payment that was declined may be authorised later. Nothing else is named first by two events.
        terms.retain(|term| match term {
            Self::Payment(id) => !before.is_some_and(|order| order.declined_payments().contains(id)),
            Self::Customer(_) | Self::Tracking(_) | Self::Sku(_) => true,
        });
        terms
    }

    /// The terms that an event names. Its order may have some of them already.
    pub fn of_event(event: &OrderEvent) -> Vec<Self> {
        match event {
            OrderEvent::OrderPlaced(placed) => {
                let skus = placed.lines.iter().map(|line| Self::Sku(line.sku.clone()));
                distinct([Self::Customer(placed.customer_id.clone())].into_iter().chain(skus))
            }
            OrderEvent::PaymentAuthorized(authorized) => vec![Self::Payment(authorized.payment_id.clone())],
            OrderEvent::PaymentDeclined(declined) => vec![Self::Payment(declined.payment_id.clone())],
            OrderEvent::OrderShipped(shipped) => vec![Self::Tracking(shipped.tracking_number.clone())],
            OrderEvent::PaymentVoided(_)
            | OrderEvent::InventoryReserved(_)
            | OrderEvent::ReservationReleased(_)
            | OrderEvent::ShipmentDelivered(_)
            | OrderEvent::ShipmentLost(_)
            | OrderEvent::PaymentCaptured(_)
            | OrderEvent::PaymentRefunded(_)
            | OrderEvent::LinesCancelled(_)
            | OrderEvent::OrderCancelled(_)
            | OrderEvent::ReturnRequested(_)
            | OrderEvent::ReturnReceived(_)
            | OrderEvent::ReturnRejected(_)
            | OrderEvent::OrderHeld(_)
            | OrderEvent::HoldReleased(_)
            | OrderEvent::OrderCompleted(_) => Vec::new(),
        }
    }

    /// All terms of an order, ascending: those that its events have added.
    pub fn of_order(order: &Order) -> Vec<Self> {
        let skus = order.lines().iter().map(|line| Self::Sku(line.sku.clone()));
        let payments = order.payments().iter().map(|payment| &payment.id);
        let declined = order.declined_payments().iter();
        let parcels = order.shipments().iter().map(|shipment| &shipment.tracking_number);
        let terms = [Self::Customer(order.customer_id().clone())].into_iter();
        let terms = terms.chain(skus).chain(payments.chain(declined).cloned().map(Self::Payment));
        distinct(terms.chain(parcels.cloned().map(Self::Tracking)))
    }
}

fn distinct(terms: impl Iterator<Item = SearchTerm>) -> Vec<SearchTerm> {
    let mut terms: Vec<_> = terms.collect();
    terms.sort_unstable();
    terms.dedup();
    terms
}
