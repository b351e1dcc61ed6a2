use futures_util::FutureExt;
use tokio::time::advance;

use super::*;
use crate::asked_by::tests::TestConnection;

/// A connection of a network.
fn client(network: u8, number: u64) -> AskedBy {
    TestConnection::new(number, [192, 0, 2, network]).asks()
}

/// Takes one after the other until there is no more, and says why.
fn take_all(shares: &Shares, asked_by: &AskedBy, each: usize) -> (Vec<Share>, NotGiven) {
    let mut taken = Vec::new();
    loop {
        match shares.reserve(Some(asked_by), each) {
            Ok(share) => taken.push(share),
            Err(why) => return (taken, why),
        }
    }
}

fn is_called_in(share: &Share) -> bool {
    share.is_called_in() && share.called_in().now_or_never().is_some()
}

#[tokio::test]
async fn what_is_let_go_can_be_reserved_again() {
    let shares = Shares::in_portions_of(100);
    let mut first = shares.reserve(None, 60).unwrap();
    assert_eq!(shares.reserve(None, 41).err(), Some(NotGiven::Short));
    assert_eq!(first.grow_to(90, 10), Ok(()));
    assert_eq!(first.grow_to(91, 10), Err(NotGiven::Short));
    assert_eq!(first.grow_to(91, 9), Ok(()));
    assert_eq!(first.grow_to(5, 0), Ok(()), "it never shrinks");
    assert!(shares.reserve(None, 10).is_err());
    drop(first);
    assert!(shares.reserve(None, 100).is_ok());
}

#[tokio::test]
async fn the_more_connections_have_much_the_less_each_of_them_has_and_some_is_left() {
    for (hogs, left) in [(1, 300), (3, 129), (10, 43)] {
        let shares = Shares::in_portions_of(900);
        let mut taken = Vec::new();
        // In turns, as they would.
        for _ in 0..900 {
            let ask = |number| shares.reserve(Some(&client(number as u8, number)), 1).ok();
            taken.extend((0..hogs).filter_map(ask));
        }
        assert_eq!(900 - taken.len(), left, "{hogs}");
        let newcomer = client(99, 99);
        assert!(shares.reserve(Some(&newcomer), left).is_ok(), "who has nothing may have what there is");
    }
}

#[tokio::test]
async fn one_network_leaves_some_however_many_connections_it_has() {
    let shares = Shares::in_portions_of(900);
    let taken: Vec<_> =
        (0..900).filter_map(|number| shares.reserve(Some(&client(1, number)), 1).ok()).collect();
    assert_eq!(taken.len(), 800);
    assert_eq!(take_all(&shares, &client(1, 1_000), 1).1, NotGiven::Short);
    assert!(shares.reserve(Some(&client(2, 2_000)), 100).is_ok());
}

#[tokio::test]
async fn a_lone_share_may_grow_to_all_there_is() {
    let shares = Shares::in_portions_of(100);
    let mut share = shares.reserve(Some(&client(1, 1)), 10).unwrap();
    assert_eq!(share.grow_to(100, 0), Ok(()));
}

#[tokio::test]
async fn the_newest_of_whoever_has_most_gives_way_if_it_has_two_more() {
    let shares = Shares::of(6);
    let of_one: Vec<_> = (0..4).map(|_| shares.reserve(Some(&client(1, 1)), 1).unwrap()).collect();
    let of_its_neighbour = shares.reserve(Some(&client(1, 2)), 1).unwrap();
    let of_another = shares.reserve(Some(&client(2, 3)), 1).unwrap();
    // Its network has 1, and the first 5.
    let second = shares.reserve_before_others(Some(&client(2, 3)), 1).unwrap();
    assert!(is_called_in(&of_one[3]) && !of_one[..3].iter().any(is_called_in));
    // The networks have 4 and 2, the connections of the first 3 and 1.
    let neighbours_second = shares.reserve_before_others(Some(&client(1, 2)), 1).unwrap();
    assert!(is_called_in(&of_one[2]));
    for asked_by in [client(1, 1), client(1, 2)] {
        assert!(shares.reserve_before_others(Some(&asked_by), 1).is_none(), "{asked_by:?}");
    }
    assert!(![&of_its_neighbour, &of_another, &second, &neighbours_second].into_iter().any(is_called_in));
}

#[tokio::test]
async fn clients_that_ask_again_and_again_come_to_rest() {
    let shares = Shares::of(60);
    let clients: Vec<_> = (0..12).map(|number| client((number % 5) as u8, number)).collect();
    let (mut held, _) = take_all(&shares, &clients[0], 1);
    let mut rounds = 0;
    loop {
        let before = held.len();
        for asked_by in &clients {
            held.extend(shares.reserve_before_others(Some(asked_by), 1));
        }
        if held.len() == before {
            break;
        }
        rounds += 1;
        assert!(rounds <= 60, "they take each other's for ever");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_does_not_notice_that_it_was_called_in_is_hung_up_on() {
    for notices in [true, false] {
        let shares = Shares::of(4);
        let holder = TestConnection::new(1, [192, 0, 2, 1]);
        let (mut held, _) = take_all(&shares, &holder.asks(), 1);
        let mut others = Vec::new();
        for number in [2, 3] {
            others.push(shares.reserve_before_others(Some(&client(1, number)), 1).unwrap());
            held.retain(|share| !(notices && is_called_in(share)));
            advance(Duration::from_secs(2)).await;
        }
        assert_eq!(holder.is_hung_up_on(), !notices);
        drop(held);
        assert_eq!(shares.books().leaving(), 0, "nothing is kept of who has left");
    }
}

#[tokio::test(start_paused = true)]
async fn the_one_without_progress_for_longest_gives_way_but_not_to_a_network_that_has_more() {
    const LEAST: Duration = Duration::from_millis(200);
    let shares = Shares::in_portions_of(1_000_000);
    let mut first = shares.reserve(Some(&client(1, 1)), 10_000).unwrap();
    advance(Duration::from_millis(100)).await;
    let second = shares.reserve(Some(&client(2, 2)), 5_000).unwrap();
    let third = shares.reserve(Some(&client(1, 3)), 1).unwrap();
    assert!(!third.call_in_stillest(LEAST), "all have come on lately");
    advance(Duration::from_millis(150)).await;
    first.grow_to(10_100, 0).unwrap();
    let settled = shares.reserve(Some(&client(1, 4)), 1).unwrap();
    settled.settle();
    assert!(third.call_in_stillest(LEAST) && is_called_in(&first), "a few bytes are no progress");
    assert_eq!(first.grow_to(20_000, 0), Err(NotGiven::CalledIn));
    advance(Duration::from_secs(1)).await;
    assert!(second.call_in_stillest(LEAST) && is_called_in(&second), "its own at last");
    assert!(third.call_in_stillest(LEAST) && is_called_in(&third));
    assert!(!third.call_in_stillest(LEAST) && !is_called_in(&settled), "a whole one is waited for no more");
}

#[tokio::test(start_paused = true)]
async fn a_page_that_finds_no_room_ends_untaken_answers_of_whoever_has_most_and_no_more_than_it_takes() {
    const LEAST: Duration = Duration::from_secs(8);
    let shares = Shares::of(100);
    let [most, same_network, less] = [(1, 1), (2, 1), (3, 2)]
        .map(|(number, network)| TestConnection::that_takes_nothing(number, [192, 0, 2, network]));
    let reads = TestConnection::new(4, [192, 0, 2, 1]);
    let hold = |holder: &Arc<TestConnection>, amounts: &[usize]| {
        let share = |amount: &usize| shares.reserve(Some(&holder.asks()), *amount).unwrap();
        amounts.iter().map(share).collect::<Vec<_>>()
    };
    let _held = [hold(&reads, &[40]), hold(&most, &[7, 8, 9]), hold(&same_network, &[9]), hold(&less, &[27])];
    let newcomer = client(9, 9);
    advance(Duration::from_secs(7)).await;
    assert!(shares.reserve_before_untaken(Some(&newcomer), 10, LEAST).is_err(), "they may be slow");
    advance(Duration::from_secs(1)).await;
    let _share = shares.reserve_before_untaken(Some(&newcomer), 10, LEAST).unwrap();
    assert_eq!(shares.taken_of().0, 100 - 7 - 8 + 10, "two of them were enough");
    assert!(most.is_ended());
    assert!(![&reads, &same_network, &less].into_iter().any(|holder| holder.is_ended()));

    advance(Duration::from_secs(1)).await;
    let neighbour = client(1, 10);
    let _neighbours = shares.reserve_before_untaken(Some(&neighbour), 10, LEAST).unwrap();
    assert!(same_network.is_ended() && !less.is_ended(), "its own network has most");
    advance(Duration::from_secs(1)).await;
    assert!(shares.reserve_before_untaken(Some(&neighbour), 30, LEAST).is_err());
    assert!(!reads.is_ended() && !less.is_ended(), "whoever has more takes nothing from whoever has less");
}
