//! How a list is found without looking at all orders: a decision that needs no database, for stores that have the same ways to
//! find orders.

use order_application::{ListQuery, OrderFilter, OrderSummary, SearchTerm, Sort, SortKey, TimeRange};

/// Where a store looks for the orders of a list. It may find some that do not belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source<'q> {
    /// Those with a term, in placement order.
    Term(&'q SearchTerm),
    /// Those on hold, in placement order.
    OnHold,
    /// Those of the statuses of the filter, in placement order.
    Statuses,
    /// Those whose first or last event is in a zone of the log that has to do with the times, in the order of that event.
    Log(SortKey, TimeRange),
}

impl Source<'_> {
    /// What its order is by.
    pub(crate) fn order(self) -> SortKey {
        match self {
            Self::Term(_) | Self::OnHold | Self::Statuses => SortKey::Placed,
            Self::Log(by, _) => by,
        }
    }

    /// Whether an order is found there that the filter accepts.
    pub(crate) fn has(
        self,
        filter: &OrderFilter,
        order: &OrderSummary,
        is_known_by: impl FnOnce(&SearchTerm) -> bool,
    ) -> bool {
        match self {
            Self::Term(term) => is_known_by(term),
            Self::OnHold => order.on_hold,
            Self::Statuses => filter.statuses.contains(&order.status),
            Self::Log(..) => true,
        }
    }
}

/// How the orders of a list are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListPath<'q> {
    /// The source has them in the order of the list.
    InOrder(Source<'q>),
    /// The source has them in another order. If they are few, all of them are sorted for each page; otherwise they are looked
    /// for in the order of the list.
    Sorted(Source<'q>, Source<'q>),
}

impl<'q> ListPath<'q> {
    /// By what fewest orders have in common, as far as that can be guessed; that is not asked of the database, or pages of one
    /// list would be found in different ways.
    pub(crate) fn of(query: &'q ListQuery) -> Self {
        let ListQuery { filter, sort: Sort { by, descending: _ }, .. } = query;
        let in_order = Source::Log(*by, times(filter, *by));
        let (source, its_order) = match rarest(filter) {
            Some(source) => (source, SortKey::Placed),
            None => {
                let other = match by {
                    SortKey::Placed => SortKey::Updated,
                    SortKey::Updated => SortKey::Placed,
                };
                let by_other = times(filter, *by).is_everything() && !times(filter, other).is_everything();
                let by = if by_other { other } else { *by };
                (Source::Log(by, times(filter, by)), by)
            }
        };
        if its_order == *by { Self::InOrder(source) } else { Self::Sorted(source, in_order) }
    }
}

/// The most selective index that the filter can use.
fn rarest(filter: &OrderFilter) -> Option<Source<'_>> {
    if let Some(term) = filter.terms.iter().min_by_key(|term| commonness(term)) {
        return Some(Source::Term(term));
    }
    if filter.on_hold == Some(true) {
        return Some(Source::OnHold);
    }
    (!filter.statuses.is_empty()).then_some(Source::Statuses)
}

/// How many orders have a term, compared with others.
fn commonness(term: &SearchTerm) -> u8 {
    match term {
        SearchTerm::Payment(_) => 0,
        SearchTerm::Tracking(_) => 1,
        SearchTerm::Customer(_) => 2,
        SearchTerm::Sku(_) => 3,
    }
}

/// When the event was that counts.
fn times(filter: &OrderFilter, by: SortKey) -> TimeRange {
    match by {
        SortKey::Placed => filter.placed,
        SortKey::Updated => filter.updated,
    }
}

#[cfg(test)]
mod tests {
    use order_domain::{CustomerId, PaymentId, Sku, Status, Timestamp};

    use super::*;

    fn query(sort: &str, filter: OrderFilter) -> ListQuery {
        ListQuery { filter, sort: Sort::from_name(sort).unwrap(), after: None, limit: 10 }
    }

    fn since() -> TimeRange {
        TimeRange { after: Some(Timestamp::from_micros(1)), before: None }
    }

    #[test]
    fn orders_are_found_by_what_fewest_have_in_common() {
        let sku = SearchTerm::Sku(Sku::new("a").unwrap());
        let customer = SearchTerm::Customer(CustomerId::new("b").unwrap());
        let payment = SearchTerm::Payment(PaymentId::new("c").unwrap());
        let mut filter = OrderFilter { placed: since(), ..OrderFilter::default() };
        let source = |filter: &OrderFilter| match ListPath::of(&query("-placed", filter.clone())) {
            ListPath::InOrder(Source::Term(term)) => term.kind().to_owned(),
            ListPath::InOrder(source) => format!("{source:?}"),
            sorted @ ListPath::Sorted(..) => panic!("{sorted:?}"),
        };
        assert_eq!(source(&filter), format!("{:?}", Source::Log(SortKey::Placed, since())));
        filter.on_hold = Some(false);
        assert_eq!(source(&filter), format!("{:?}", Source::Log(SortKey::Placed, since())));
        filter.statuses = [Status::Placed].into();
        assert_eq!(source(&filter), "Statuses");
        filter.on_hold = Some(true);
        assert_eq!(source(&filter), "OnHold");
        for (term, kind) in [(sku, "sku"), (customer, "customer"), (payment, "payment")] {
            filter.terms.insert(term);
            assert_eq!(source(&filter), kind);
        }
    }

    #[test]
    fn what_is_found_in_another_order_than_that_of_the_list_is_sorted() {
        let statuses =
            OrderFilter { statuses: [Status::Placed].into(), updated: since(), ..OrderFilter::default() };
        let by_update = Source::Log(SortKey::Updated, since());
        assert_eq!(ListPath::of(&query("updated", statuses)), ListPath::Sorted(Source::Statuses, by_update));
        let updated = OrderFilter { updated: since(), ..OrderFilter::default() };
        let all = Source::Log(SortKey::Placed, TimeRange::default());
        assert_eq!(ListPath::of(&query("placed", updated.clone())), ListPath::Sorted(by_update, all));
        assert_eq!(ListPath::of(&query("-updated", updated)), ListPath::InOrder(by_update));
    }

    #[test]
    fn of_two_times_that_of_the_lists_order_counts() {
        let both = OrderFilter { placed: since(), updated: since(), ..OrderFilter::default() };
        for (sort, by) in [("placed", SortKey::Placed), ("updated", SortKey::Updated)] {
            let expected = ListPath::InOrder(Source::Log(by, since()));
            assert_eq!(ListPath::of(&query(sort, both.clone())), expected);
        }
    }
}
