//! Servers that fail.

use std::collections::BTreeSet;
use std::time::Instant;

use order_application::{BrokerError, Checkpoint, Opened, Position};

use super::{
    Fixture, SOON, assert_complete_and_in_order, checkpoint, events, everything, open, publish, send,
    until_it_fails, within,
};

pub(crate) async fn a_host_that_is_not_known_is_told_soon<F: Fixture>() {
    let start = Instant::now();
    let error = F::unknown_host().open(&Checkpoint::default()).await.err().expect("nobody is there");
    assert!(start.elapsed() < SOON, "it took {:?}", start.elapsed());
    assert!(matches!(error, BrokerError::Unavailable(_) | BrokerError::Misconfigured(_)), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("no-such-host.invalid") && !text.contains('\n'), "{text}");
}

pub(crate) async fn a_server_that_is_killed_with_events_under_way_gets_them_all<F: Fixture>() {
    const LAST: u64 = 4_000;
    let mut fixture = F::own();
    let mut opened = open(&fixture, &Checkpoint::default()).await;
    publish(&mut opened, &events(1, 100)).await.unwrap();
    let mut kept = checkpoint(100, &opened);
    for round in 1..=3 {
        let from = opened.resume_after.max(kept.position).0 + 1;
        let until = LAST * round / 3;
        // The window is full, and nobody has looked at an acknowledgement yet.
        let sending = send(&mut opened, &events(from, until)).await;
        fixture.kill_hard();
        let (reached, error) = until_it_fails(&mut opened).await;
        assert!(matches!(error, BrokerError::Unavailable(_)), "{sending:?}, {error:?}");
        if reached > kept.position {
            kept = checkpoint(reached.0, &opened);
        }
        fixture.start_again();
        opened = open(&fixture, &kept).await;
        assert!(opened.resume_after >= kept.position, "what was acknowledged is there");
    }
    let resume_after = opened.resume_after.0;
    publish(&mut opened, &events(resume_after + 1, LAST)).await.unwrap();
    assert_complete_and_in_order(&everything(&fixture).await, LAST);
}

pub(crate) async fn a_server_that_has_lost_everything_is_given_everything_again<F: Fixture>() {
    let mut fixture = F::own();
    let mut opened = open(&fixture, &Checkpoint::default()).await;
    publish(&mut opened, &events(1, 50)).await.unwrap();
    let kept = checkpoint(50, &opened);
    drop(opened);
    fixture.wipe();
    let mut opened = open(&fixture, &kept).await;
    assert_eq!(opened.resume_after, Position::START, "it is before the checkpoint, so it tells of the loss");
    publish(&mut opened, &events(1, 60)).await.unwrap();
    assert_eq!(everything(&fixture).await, (1..=60).collect::<Vec<_>>());
}

pub(crate) async fn a_server_that_has_lost_its_end_is_given_it_again<F: Fixture>() {
    let mut fixture = F::own();
    let mut opened = open(&fixture, &Checkpoint::default()).await;
    publish(&mut opened, &events(1, 30)).await.unwrap();
    let kept = checkpoint(30, &opened);
    drop(opened);
    fixture.put_copy_aside();
    let mut opened = open(&fixture, &kept).await;
    publish(&mut opened, &events(31, 70)).await.unwrap();
    let kept = checkpoint(70, &opened);
    drop(opened);
    fixture.go_back_to_copy();
    let mut opened = open(&fixture, &kept).await;
    let resume_after = opened.resume_after.0;
    assert!(resume_after <= 30, "{resume_after}");
    publish(&mut opened, &events(resume_after + 1, 80)).await.unwrap();
    assert_complete_and_in_order(&everything(&fixture).await, 80);
}

pub(crate) async fn a_server_that_has_lost_its_end_under_load_has_no_gap<F: Fixture>() {
    loses_its_end_under_load(F::own()).await;
}

/// What is under way when a server goes back may come to it before anybody knows: behind what is missing.
pub(crate) async fn loses_its_end_under_load<F: Fixture>(mut fixture: F) {
    let mut opened = open(&fixture, &Checkpoint::default()).await;
    publish(&mut opened, &events(1, 30)).await.unwrap();
    let kept = checkpoint(30, &opened);
    drop(opened);
    fixture.put_copy_aside();
    // Another producer than the copy knows: the server takes what it has under way.
    let mut opened = open(&fixture, &kept).await;
    publish(&mut opened, &events(31, 70)).await.unwrap();
    for (end, next) in [(70, 400), (400, 800)] {
        let kept = checkpoint(end, &opened);
        fixture.kill_hard();
        let sending = send(&mut opened, &events(end + 1, next - 20)).await;
        fixture.go_back_to_copy();
        let comes = async { while everything(&fixture).await.len() <= 30 {} };
        if F::TAKES_WHAT_IS_LATE {
            within(comes).await;
        }
        let (_, error) = until_it_fails(&mut opened).await;
        assert!(!matches!(error, BrokerError::Refused { .. }), "{sending:?}, {error:?}");
        drop(opened);
        // A server that has gone back may give the producer's number out again, and then refuses what it takes for old.
        opened = within(async {
            loop {
                let mut opened = open(&fixture, &kept).await;
                assert_eq!(opened.resume_after, Position(30), "up to there it has everything");
                if publish(&mut opened, &events(31, next)).await.is_ok() {
                    return opened;
                }
            }
        })
        .await;
        let there: BTreeSet<u64> = everything(&fixture).await.into_iter().collect();
        assert!(there.iter().copied().eq(1..=next), "{there:?}");
    }
}

pub(crate) async fn a_loss_is_noticed_while_nothing_is_published<F: Fixture>() {
    let mut fixture = F::own();
    let mut opened = open(&fixture, &Checkpoint::default()).await;
    publish(&mut opened, &events(1, 20)).await.unwrap();
    let kept = checkpoint(20, &opened);
    opened.publication.check().await.unwrap();
    fixture.wipe();
    // The connection is gone, too: whoever opens it again learns of the loss, whoever still can ask hears of it.
    let error = within(async {
        loop {
            if let Err(error) = opened.publication.check().await {
                return error;
            }
        }
    })
    .await;
    assert!(matches!(error, BrokerError::OutOfStep(_) | BrokerError::Unavailable(_)), "{error:?}");
    assert_eq!(open(&fixture, &kept).await.resume_after, Position::START);
}

pub(crate) async fn a_server_that_does_not_answer_is_given_up_soon<F: Fixture>() {
    let mut fixture = F::own();
    let mut opened = open(&fixture, &Checkpoint::default()).await;
    publish(&mut opened, &events(1, 10)).await.unwrap();
    let kept = checkpoint(10, &opened);
    fixture.freeze();
    for step in [Step::Publish, Step::Check, Step::Open] {
        let start = Instant::now();
        let error = step.fails(&fixture, &mut opened, &kept).await;
        assert!(matches!(error, BrokerError::Unavailable(_)), "{step:?}: {error:?}");
        assert!(start.elapsed() < SOON, "{step:?} took {:?}", start.elapsed());
    }
    fixture.thaw();
    let mut opened = open(&fixture, &kept).await;
    let resume_after = opened.resume_after.0;
    publish(&mut opened, &events(resume_after + 1, 40)).await.unwrap();
    assert_complete_and_in_order(&everything(&fixture).await, 40);
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Publish,
    Check,
    Open,
}

impl Step {
    async fn fails(self, fixture: &impl Fixture, opened: &mut Opened, kept: &Checkpoint) -> BrokerError {
        match self {
            Self::Publish => match send(opened, &events(11, 30)).await {
                Ok(()) => until_it_fails(opened).await.1,
                Err(error) => error,
            },
            Self::Check => opened.publication.check().await.expect_err("nobody answers"),
            Self::Open => fixture.broker().open(kept).await.err().expect("nobody answers"),
        }
    }
}
