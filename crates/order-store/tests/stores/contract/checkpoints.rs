use order_application::{Checkpoint, Checkpoints, Claim, Epoch, Position};

use super::{Fixture, bus};
use crate::order::TestOrder;

fn at(position: u64, evidence: Option<&str>) -> Checkpoint {
    Checkpoint { position: Position(position), evidence: evidence.map(Box::from) }
}

/// Takes a lease that is free or this holder's.
async fn claim(checkpoints: &dyn Checkpoints, name: &str, holder: &str) -> Epoch {
    match checkpoints.claim(name, holder, None).await.unwrap() {
        Claim::Granted(epoch) => epoch,
        Claim::Held(beat) => panic!("another has it, at {beat:?}"),
    }
}

/// Takes a lease from whoever has it and does not renew it.
pub(crate) async fn take(checkpoints: &dyn Checkpoints, name: &str, holder: &str) -> Epoch {
    match checkpoints.claim(name, holder, None).await.unwrap() {
        Claim::Granted(epoch) => epoch,
        Claim::Held(beat) => match checkpoints.claim(name, holder, Some(beat)).await.unwrap() {
            Claim::Granted(epoch) => epoch,
            Claim::Held(beat) => panic!("another has it, at {beat:?}"),
        },
    }
}

pub(crate) async fn a_checkpoint_is_loaded_as_it_was_saved<F: Fixture>() {
    let fixture = F::open(bus());
    let checkpoints = fixture.checkpoints();
    assert_eq!(checkpoints.load("a").await, Ok(None));
    let epoch = claim(&*checkpoints, "a", "me").await;
    assert_eq!(checkpoints.load("a").await, Ok(None), "it was claimed, and nothing saved");
    let other = claim(&*checkpoints, "b", "me").await;
    assert_eq!(checkpoints.save("b", other, &at(7, Some("b's"))).await, Ok(true));

    let long = "{\"é\": \"\u{1F4E6}'\\n\"}".repeat(20_000);
    let saved = [
        at(0, None),
        at(1, Some("")),
        at(1 << 40, Some(&long)),
        at(5, Some("back again")),
        at(6, None),
        at(i64::MAX as u64, None),
    ];
    for checkpoint in saved {
        assert_eq!(checkpoints.save("a", epoch, &checkpoint).await, Ok(true));
        assert_eq!(checkpoints.load("a").await, Ok(Some(checkpoint)));
    }
    assert_eq!(checkpoints.load("b").await, Ok(Some(at(7, Some("b's")))));
    assert_eq!(checkpoints.load("A").await, Ok(None));
}

pub(crate) async fn a_holder_keeps_its_epoch_and_every_other_gets_a_higher_one<F: Fixture>() {
    let fixture = F::open(bus());
    let checkpoints = fixture.checkpoints();
    let first = claim(&*checkpoints, "a", "one").await;
    for _ in 0..3 {
        assert_eq!(claim(&*checkpoints, "a", "one").await, first);
    }
    let second = take(&*checkpoints, "a", "two").await;
    assert!(second > first, "{second:?} after {first:?}");
    let third = take(&*checkpoints, "a", "one").await;
    assert!(third > second, "{third:?} after {second:?}");
    assert_eq!(claim(&*checkpoints, "a", "one").await, third);

    checkpoints.release("a", "one", third).await.unwrap();
    let fourth = claim(&*checkpoints, "a", "one").await;
    assert!(fourth > third, "{fourth:?} after {third:?}: it was free in between");
    let other = claim(&*checkpoints, "b", "one").await;
    assert_eq!(other, first, "names have nothing to do with each other");
}

pub(crate) async fn a_save_is_refused_once_another_has_had_the_lease<F: Fixture>() {
    let fixture = F::open(bus());
    let checkpoints = fixture.checkpoints();
    assert_eq!(checkpoints.save("a", Epoch(1), &at(1, None)).await, Ok(false), "nobody was given this epoch");
    let first = claim(&*checkpoints, "a", "one").await;
    assert_eq!(checkpoints.save("a", first, &at(10, Some("one's"))).await, Ok(true));

    let second = take(&*checkpoints, "a", "two").await;
    assert_eq!(checkpoints.save("a", first, &at(11, Some("late"))).await, Ok(false));
    assert_eq!(checkpoints.load("a").await, Ok(Some(at(10, Some("one's")))));
    // What a late holder gives back is not its own any more.
    checkpoints.release("a", "one", first).await.unwrap();
    checkpoints.release("a", "one", second).await.unwrap();
    checkpoints.release("a", "two", first).await.unwrap();
    assert_eq!(claim(&*checkpoints, "a", "two").await, second);
    assert_eq!(checkpoints.save("a", second, &at(12, None)).await, Ok(true));

    checkpoints.release("a", "two", second).await.unwrap();
    assert_eq!(checkpoints.save("a", first, &at(13, None)).await, Ok(false));
    assert_eq!(checkpoints.save("a", second, &at(14, None)).await, Ok(true), "nobody has had it since");
    assert_eq!(checkpoints.load("a").await, Ok(Some(at(14, None))));
}

pub(crate) async fn a_lease_that_is_given_back_is_free_at_once<F: Fixture>() {
    let fixture = F::open(bus());
    let checkpoints = fixture.checkpoints();
    let first = claim(&*checkpoints, "a", "one").await;
    assert_eq!(checkpoints.save("a", first, &at(10, None)).await, Ok(true));
    checkpoints.release("a", "one", first).await.unwrap();
    let second = claim(&*checkpoints, "a", "two").await;
    assert!(second > first);
    assert_eq!(checkpoints.load("a").await, Ok(Some(at(10, None))));
}

pub(crate) async fn checkpoints_and_epochs_are_there_after_a_restart<F: Fixture>() {
    let bus = bus();
    let mut fixture = F::open(bus.clone());
    let mut last = Epoch(0);
    for restart in 1..4 {
        fixture.store().append(TestOrder::new(&format!("order-{restart}")).place()).await.unwrap();
        let checkpoints = fixture.checkpoints();
        let epoch = take(&*checkpoints, "a", &format!("holder {restart}")).await;
        assert!(epoch > last, "{epoch:?} after {last:?}");
        assert_eq!(checkpoints.save("a", last, &at(99, None)).await, Ok(false));
        let checkpoint = at(restart, Some("evidence"));
        assert_eq!(checkpoints.save("a", epoch, &checkpoint).await, Ok(true));
        last = epoch;
        drop(checkpoints);
        fixture = fixture.reopen(bus.clone());
        assert_eq!(fixture.checkpoints().load("a").await, Ok(Some(checkpoint)));
    }
}

/// Followers save while orders are placed. What was saved is what is loaded.
pub(crate) async fn checkpoints_are_saved_beside_appends<F: Fixture>() {
    const FOLLOWERS: u64 = 4;
    const SAVES: u64 = 50;
    let fixture = F::open(bus());
    let mut tasks = Vec::new();
    for task in 0..8 {
        let store = fixture.store();
        tasks.push(tokio::spawn(async move {
            for n in 0..50 {
                store.append(TestOrder::new(&format!("order-{task}-{n}")).place()).await.unwrap();
            }
        }));
    }
    for follower in 0..FOLLOWERS {
        let (name, checkpoints) = (format!("follower {follower}"), fixture.checkpoints());
        tasks.push(tokio::spawn(async move {
            let epoch = claim(&*checkpoints, &name, "me").await;
            for n in 1..=SAVES {
                let checkpoint = at(n * FOLLOWERS + follower, Some(&name));
                assert_eq!(checkpoints.save(&name, epoch, &checkpoint).await, Ok(true));
                assert_eq!(checkpoints.load(&name).await, Ok(Some(checkpoint)));
                assert_eq!(claim(&*checkpoints, &name, "me").await, epoch);
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(fixture.store().end().await, Ok(Position(400)));
}
