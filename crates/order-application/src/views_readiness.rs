//! How a store's views are, as readiness tells it.

use std::fmt::Write;
use std::sync::Arc;

use tokio::sync::watch;

use crate::json_text::push_string;
use crate::ports::view_repair::{ViewRepair, ViewsState, ViewsStatus};
use crate::ready_details::ReadyDetails;

/// How the views come about while their store opens: the store tells it, and who waits looks at it.
#[derive(Clone, Default)]
pub struct ViewsProgress(Arc<watch::Sender<ViewsStatus>>);

impl ViewsProgress {
    /// Tells how they are now.
    pub fn tell(&self, now: ViewsStatus) {
        self.0.send_replace(now);
    }

    /// What was told last.
    pub fn now(&self) -> ViewsStatus {
        self.0.borrow().clone()
    }
}

/// What `/ready` tells of the views. While they are made anew, what adds up is served; so that is no reason to send no
/// traffic here.
pub struct ViewsReadiness(Arc<dyn ViewRepair>);

impl ViewsReadiness {
    /// Speaks for the views of this store.
    pub fn new(store: Arc<dyn ViewRepair>) -> Self {
        Self(store)
    }
}

impl ReadyDetails for ViewsReadiness {
    fn checks(&self) -> Vec<(String, String)> {
        vec![("views".to_owned(), self.0.views().json())]
    }

    fn is_ready(&self) -> bool {
        true
    }
}

impl ViewsStatus {
    /// As JSON, for readiness.
    pub fn json(&self) -> String {
        let Self { state, detail, done, total } = self;
        // Writing to a String cannot fail.
        let mut out = format!(r#"{{"state":"{}""#, state.as_str());
        match state {
            ViewsState::Rebuilding => _ = write!(out, r#","done":{done},"total":{total}"#),
            ViewsState::Current | ViewsState::Failed => {}
        }
        if let Some(detail) = detail {
            out.push_str(r#","detail":"#);
            push_string(&mut out, detail);
        }
        out.push('}');
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_shows_how_far_the_views_are() {
        let shown = |state, detail: Option<&str>| {
            ViewsStatus { state, detail: detail.map(str::to_owned), done: 3, total: 10 }.json()
        };
        assert_eq!(shown(ViewsState::Current, None), r#"{"state":"current"}"#);
        let rebuilding = r#"{"state":"rebuilding","done":3,"total":10,"detail":"a page of \"orders\""}"#;
        assert_eq!(shown(ViewsState::Rebuilding, Some("a page of \"orders\"")), rebuilding);
        assert_eq!(shown(ViewsState::Failed, Some("no space")), r#"{"state":"failed","detail":"no space"}"#);
    }
}
