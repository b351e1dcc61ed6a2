use std::fmt::{self, Write};

use tokio::sync::watch;

use crate::event::Position;
use crate::json_text::push_string;
use crate::ready_details::ReadyDetails;

/// How a scrubber goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScrubStatus {
    /// What it is doing.
    pub state: ScrubState,
    /// Everything up to here has been compared in this pass.
    pub position: Position,
    /// Where this pass ends.
    pub of: Position,
    /// What was found to differ in this pass.
    pub faults_in_pass: u64,
    /// What was found to differ since the start of this process.
    pub faults: u64,
    /// Passes that have ended since the start of this process.
    pub passes: u64,
    /// Why it does not go on.
    pub detail: Option<String>,
}

/// What a scrubber is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ScrubState {
    /// It has not done anything yet.
    #[default]
    Starting,
    /// At work.
    Scrubbing,
    /// A pass has ended, and the next begins soon.
    Resting,
    /// The views are being made anew, or are a newer release's.
    Waiting,
    /// Another instance is at work.
    Standby,
    /// The store could not answer; it tries again.
    Unavailable,
}

impl fmt::Display for ScrubState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Starting => "starting",
            Self::Scrubbing => "scrubbing",
            Self::Resting => "resting",
            Self::Waiting => "waiting",
            Self::Standby => "standby",
            Self::Unavailable => "unavailable",
        })
    }
}

impl ScrubStatus {
    fn json(&self) -> String {
        let Self { state, position, of, faults_in_pass, faults, passes, detail } = self;
        // Writing to a String cannot fail.
        let mut out = format!(r#"{{"state":"{state}","position":{position},"of":{of}"#);
        let _ = write!(out, r#","faults_in_pass":{faults_in_pass},"faults":{faults},"passes":{passes}"#);
        if let Some(detail) = detail {
            out.push_str(r#","detail":"#);
            push_string(&mut out, detail);
        }
        out.push('}');
        out
    }
}

/// What `/ready` tells of a scrubber. Whatever it finds, it is no reason to send no traffic here.
pub struct ScrubReadiness(watch::Receiver<ScrubStatus>);

impl ScrubReadiness {
    /// Speaks for the scrubber whose status this is.
    pub fn new(status: watch::Receiver<ScrubStatus>) -> Self {
        Self(status)
    }
}

impl ReadyDetails for ScrubReadiness {
    fn checks(&self) -> Vec<(String, String)> {
        vec![("scrub".to_owned(), self.0.borrow().json())]
    }

    fn is_ready(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_shows_how_far_it_is_and_what_it_found() {
        let (sender, receiver) = watch::channel(ScrubStatus::default());
        let readiness = ScrubReadiness::new(receiver);
        let shown = || (readiness.is_ready(), readiness.checks().remove(0).1);
        let before = r#"{"state":"starting","position":0,"of":0,"faults_in_pass":0,"faults":0,"passes":0}"#;
        assert_eq!(shown(), (true, before.to_owned()));
        sender.send_replace(ScrubStatus {
            state: ScrubState::Unavailable,
            position: Position(120),
            of: Position(300),
            faults_in_pass: 2,
            faults: 5,
            passes: 1,
            detail: Some("\"away\"".to_owned()),
        });
        let after = r#"{"state":"unavailable","position":120,"of":300,"faults_in_pass":2,"faults":5,"passes":1,"detail":"\"away\""}"#;
        assert_eq!(shown(), (true, after.to_owned()));
    }
}
