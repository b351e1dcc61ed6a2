//! How a database finds the orders of a list.

use order_application::{OrderFilter, OrderSummary, SearchTerm};
use order_domain::Status;

/// What leads to the orders of a list: the condition that few orders meet, as far as one can tell without counting. All of
/// these come in placement order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListPath<'f> {
    /// The index of terms.
    Term(&'f SearchTerm),
    /// The index of orders on hold.
    OnHold,
    /// The index of statuses, once for each.
    Statuses,
    /// Nothing: all orders.
    All,
}

impl<'f> ListPath<'f> {
    pub(crate) fn of(filter: &'f OrderFilter) -> Self {
        if let Some(term) = filter.terms.iter().min_by_key(|term| rank(term)) {
            Self::Term(term)
        } else if filter.on_hold == Some(true) {
            Self::OnHold
        } else if filter.statuses.is_empty() || filter.statuses.len() == Status::ALL.len() {
            Self::All
        } else {
            Self::Statuses
        }
    }

    /// Whether an order is on the path.
    pub(crate) fn leads_to(
        self,
        filter: &OrderFilter,
        order: &OrderSummary,
        is_known_by: impl FnOnce(&SearchTerm) -> bool,
    ) -> bool {
        match self {
            Self::Term(term) => is_known_by(term),
            Self::OnHold => order.on_hold,
            Self::Statuses => filter.statuses.contains(&order.status),
            Self::All => true,
        }
    }
}

/// The lower, the fewer orders a term has.
fn rank(term: &SearchTerm) -> u8 {
    match term {
        SearchTerm::Payment(_) => 0,
        SearchTerm::Tracking(_) => 1,
        SearchTerm::Customer(_) => 2,
        SearchTerm::Sku(_) => 3,
    }
}

#[cfg(test)]
mod tests {
    use order_domain::{CustomerId, PaymentId, Sku};

    use super::*;

    #[test]
    fn the_rarest_condition_leads() {
        let payment = SearchTerm::Payment(PaymentId::new("p").unwrap());
        let customer = SearchTerm::Customer(CustomerId::new("c").unwrap());
        let sku = SearchTerm::Sku(Sku::new("s").unwrap());
        let mut filter = OrderFilter {
            statuses: [Status::Placed].into(),
            on_hold: Some(true),
            terms: [customer.clone(), sku.clone(), payment.clone()].into(),
            ..OrderFilter::default()
        };
        assert_eq!(ListPath::of(&filter), ListPath::Term(&payment));
        filter.terms.remove(&payment);
        assert_eq!(ListPath::of(&filter), ListPath::Term(&customer));
        filter.terms.clear();
        assert_eq!(ListPath::of(&filter), ListPath::OnHold);
        filter.on_hold = Some(false);
        assert_eq!(ListPath::of(&filter), ListPath::Statuses);
        filter.statuses = Status::ALL.into();
        assert_eq!(ListPath::of(&filter), ListPath::All);
    }
}
