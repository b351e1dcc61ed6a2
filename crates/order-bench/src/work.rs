//! The kinds of work that a server is given.

use anyhow::Result;

use crate::order_ids::{OrderIds, Random};
use crate::request::{LIST_100, Request};

/// What one group of connections asks for.
pub(crate) trait Work {
    /// The next request on this connection (counted from 0 within its group), or `None` when nothing is left to ask.
    /// The connection's previous request has been answered.
    fn next_request(&mut self, connection: usize) -> Option<&[u8]>;

    /// The connection's last request was answered with 2xx and this body.
    ///
    /// # Errors
    ///
    /// When the body is not what it must be.
    fn answered(&mut self, _connection: usize, _body: &[u8]) -> Result<()> {
        Ok(())
    }
}

/// Places orders, one after the other over all connections.
pub(crate) struct Place {
    ids: OrderIds,
    request: Request,
    next: u64,
    /// Exclusive.
    end: u64,
    /// By connection: the order whose answer it awaits.
    placing: Vec<u64>,
    last_acknowledged: Option<u64>,
}

impl Place {
    /// Without an end.
    pub(crate) fn new(ids: OrderIds) -> Self {
        Self::with_lines(ids, 1)
    }

    /// Orders of this many lines.
    pub(crate) fn with_lines(ids: OrderIds, lines: usize) -> Self {
        Self::asking(ids, Request::place(ids, lines))
    }

    /// Each with an `Idempotency-Key` of its own.
    pub(crate) fn with_keys(ids: OrderIds, keys: OrderIds) -> Self {
        Self::asking(ids, Request::place(ids, 1).with_key(keys))
    }

    /// Each with this request.
    pub(crate) fn asking(ids: OrderIds, request: Request) -> Self {
        Self { ids, request, next: 0, end: u64::MAX, placing: Vec::new(), last_acknowledged: None }
    }

    /// Lets the work end before the order of this index.
    pub(crate) fn set_end(&mut self, end: u64) {
        self.end = end;
    }

    /// How many orders the server was asked for.
    pub(crate) fn asked_for(&self) -> u64 {
        self.next
    }

    /// The id of an order that the server answered for, as recent as any.
    pub(crate) fn last_acknowledged(&self) -> Option<String> {
        self.last_acknowledged.map(|index| self.ids.id(index))
    }
}

impl Work for Place {
    fn next_request(&mut self, connection: usize) -> Option<&[u8]> {
        if self.next == self.end {
            return None;
        }
        let index = self.next;
        self.next += 1;
        if self.placing.len() <= connection {
            self.placing.resize(connection + 1, index);
        }
        self.placing[connection] = index;
        Some(self.request.for_order(self.ids, index))
    }

    fn answered(&mut self, connection: usize, _body: &[u8]) -> Result<()> {
        self.last_acknowledged = Some(self.placing[connection]);
        Ok(())
    }
}

/// Asks the same of each of an amount of orders, one after the other over all connections.
pub(crate) struct OneStep {
    ids: OrderIds,
    request: Request,
    next: u64,
    orders: u64,
}

impl OneStep {
    pub(crate) fn new(ids: OrderIds, request: Request, orders: u64) -> Self {
        Self { ids, request, next: 0, orders }
    }
}

impl Work for OneStep {
    fn next_request(&mut self, _connection: usize) -> Option<&[u8]> {
        let index = self.next;
        if index == self.orders {
            return None;
        }
        self.next += 1;
        Some(self.request.for_order(self.ids, index))
    }
}

/// Each connection leads orders of its own through place, payment, reserve and ship.
pub(crate) struct Workflow {
    ids: OrderIds,
    steps: [Request; 4],
    next: u64,
    /// By connection: its order and the step to take next.
    orders: Vec<(u64, usize)>,
}

impl Workflow {
    pub(crate) fn new(ids: OrderIds) -> Self {
        let steps =
            [Request::place(ids, 1), Request::payment(ids), Request::reserve(ids), Request::ship(ids)];
        Self { ids, steps, next: 0, orders: Vec::new() }
    }
}

impl Work for Workflow {
    fn next_request(&mut self, connection: usize) -> Option<&[u8]> {
        if self.orders.len() <= connection {
            self.orders.resize(connection + 1, (0, self.steps.len()));
        }
        let (order, step) = &mut self.orders[connection];
        if *step == self.steps.len() {
            (*order, *step) = (self.next, 0);
            self.next += 1;
        }
        let request = &mut self.steps[*step];
        *step += 1;
        Some(request.for_order(self.ids, *order))
    }
}

/// Reads single orders, each as likely as any other.
pub(crate) struct GetRandom {
    ids: OrderIds,
    /// The orders with an index below this are there.
    known: u64,
    request: Request,
    random: Random,
}

impl GetRandom {
    pub(crate) fn new(ids: OrderIds, known: u64) -> Self {
        Self { ids, known, request: Request::get(ids), random: Random::new() }
    }
}

impl Work for GetRandom {
    fn next_request(&mut self, _connection: usize) -> Option<&[u8]> {
        let index = self.random.below(self.known);
        Some(self.request.for_order(self.ids, index))
    }
}

/// Reads the first page of a hundred orders, over and over.
pub(crate) struct List;

impl Work for List {
    fn next_request(&mut self, _connection: usize) -> Option<&[u8]> {
        Some(LIST_100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first_line(work: &mut dyn Work, connection: usize) -> String {
        let request = work.next_request(connection).unwrap();
        String::from_utf8_lossy(request).lines().next().unwrap().to_owned()
    }

    #[test]
    fn a_connection_leads_its_own_order_through_all_four_steps() {
        let ids = OrderIds::Sequence { run: 0 };
        let mut work = Workflow::new(ids);
        let (first, second) = (ids.id(0), ids.id(1));
        assert_eq!(first_line(&mut work, 0), "POST /orders HTTP/1.1");
        assert_eq!(first_line(&mut work, 1), "POST /orders HTTP/1.1");
        assert_eq!(first_line(&mut work, 1), format!("POST /orders/{second}/payment HTTP/1.1"));
        assert_eq!(first_line(&mut work, 0), format!("POST /orders/{first}/payment HTTP/1.1"));
        assert_eq!(first_line(&mut work, 0), format!("POST /orders/{first}/reserve HTTP/1.1"));
        assert_eq!(first_line(&mut work, 0), format!("POST /orders/{first}/ship HTTP/1.1"));
        assert_eq!(first_line(&mut work, 0), "POST /orders HTTP/1.1");
        assert_eq!(first_line(&mut work, 0), format!("POST /orders/{}/payment HTTP/1.1", ids.id(2)));
    }

    #[test]
    fn one_step_is_asked_of_each_order_once() {
        let ids = OrderIds::Sequence { run: 0 };
        let mut work = OneStep::new(ids, Request::ship(ids), 2);
        assert_eq!(first_line(&mut work, 3), format!("POST /orders/{}/ship HTTP/1.1", ids.id(0)));
        assert_eq!(first_line(&mut work, 0), format!("POST /orders/{}/ship HTTP/1.1", ids.id(1)));
        assert!(work.next_request(3).is_none());
    }

    #[test]
    fn placing_ends_where_it_was_told_and_remembers_what_was_acknowledged() {
        let ids = OrderIds::RandomV4 { seed: 1 };
        let mut work = Place::new(ids);
        work.set_end(2);
        assert!(work.next_request(4).is_some());
        assert!(work.next_request(0).is_some());
        assert!(work.next_request(4).is_none());
        assert_eq!(work.last_acknowledged(), None);
        work.answered(0, b"").unwrap();
        assert_eq!(work.last_acknowledged(), Some(ids.id(1)));
    }
}
