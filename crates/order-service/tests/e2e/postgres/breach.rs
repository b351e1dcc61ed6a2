//! What the checkers find.

/// A promise, by what it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Rule {
    /// What was acknowledged is in the log.
    Kept,
    /// What was refused, or promised not to have happened, is not.
    NothingOfIt,
    /// No command takes effect twice.
    Twice,
    /// Positions are 1, 2, … without gaps.
    Positions,
    /// So are each order's versions.
    Versions,
    /// Every event follows from a command that the order allowed then.
    Decision,
    /// What was acknowledged before a command was sent has the lower position.
    RealTime,
    /// Every answer was true at a moment between its request and itself.
    Truth,
    /// A follower sees each event once, in order.
    Followers,
    /// Views are the fold of the events, on every instance.
    Views,
    /// Nothing is in the log that nobody sent.
    Unasked,
    /// No answer is one that clients do not know.
    Answers,
}

/// A promise that was not kept.
#[derive(Debug)]
pub(crate) struct Breach {
    pub(crate) rule: Rule,
    what: String,
}

impl Breach {
    pub(crate) fn new(rule: Rule, what: String) -> Self {
        Self { rule, what }
    }
}

impl std::fmt::Display for Breach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}: {}", self.rule, self.what)
    }
}

/// The first of them are enough to read.
const SHOWN: usize = 12;

#[track_caller]
pub(crate) fn assert_none(breaches: &[Breach]) {
    let shown: Vec<String> = breaches.iter().take(SHOWN).map(Breach::to_string).collect();
    assert!(breaches.is_empty(), "{} breaches:\n{}", breaches.len(), shown.join("\n"));
}

/// For negative controls: that a fault was found, and as what.
#[track_caller]
pub(crate) fn assert_found(breaches: &[Breach], rule: Rule) {
    let found = breaches.iter().find(|breach| breach.rule == rule);
    let Some(found) = found else {
        panic!("the checker did not notice that {rule:?} was broken: {breaches:?}")
    };
    eprintln!("found: {found}");
}
