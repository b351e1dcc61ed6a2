//! What may be done, in words that keys and tokens have.

use std::fmt::{self, Display};

/// A part of the service that a key or a token opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Orders, their histories, what may be done; any dry run, besides the command's own scope.
    Read,
    /// Placing orders.
    Place,
    /// Payments: authorised, declined, voided, captured.
    Pay,
    /// Goods on their way: reserve, release, ship, deliver, lost, receive, reject, complete.
    Fulfil,
    /// Asking units back.
    Returns,
    /// Cancelling, and holding back.
    Cancel,
    /// Giving money back.
    Refund,
    /// The log of all orders, in pages and live.
    Events,
    /// How the service itself is: the details of `/ready`, and `/metrics`.
    Operate,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Read,
        Self::Place,
        Self::Pay,
        Self::Fulfil,
        Self::Returns,
        Self::Cancel,
        Self::Refund,
        Self::Events,
        Self::Operate,
    ];

    /// Its name in access files, tokens and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Place => "place",
            Self::Pay => "pay",
            Self::Fulfil => "fulfil",
            Self::Returns => "returns",
            Self::Cancel => "cancel",
            Self::Refund => "refund",
            Self::Events => "events",
            Self::Operate => "operate",
        }
    }

    /// The scope of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == name)
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

impl Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Any number of scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes(u16);

impl Scopes {
    /// Whether this one is among them.
    pub const fn contain(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// Whether they let somebody know what an order is: those that read it, and those that act on one that is there.
    pub(crate) fn show_orders(self) -> bool {
        Scope::ALL.into_iter().filter(|scope| self.contain(*scope)).any(|scope| match scope {
            Scope::Read | Scope::Pay | Scope::Fulfil | Scope::Returns | Scope::Cancel | Scope::Refund => true,
            Scope::Place | Scope::Events | Scope::Operate => false,
        })
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_has_a_name_of_its_own_and_a_place_of_its_own() {
        for scope in Scope::ALL {
            assert_eq!(Scope::from_name(scope.as_str()), Some(scope));
            let only = Scopes::from_iter([scope]);
            let contained: Vec<_> = Scope::ALL.into_iter().filter(|other| only.contain(*other)).collect();
            assert_eq!(contained, [scope]);
        }
        assert_eq!(Scope::from_name("Read"), None);
    }
}
