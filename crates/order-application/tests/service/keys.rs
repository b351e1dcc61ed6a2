//! Commands that come with a key of their sender's.

use std::time::Duration;

use tokio::time::Instant;

use super::*;

fn key(text: &str) -> ReceiptKey {
    ReceiptKey::new(None, text)
}

fn request(text: &str) -> Fingerprint {
    Fingerprint::of(&[text.as_bytes()])
}

/// The claim of a key under which nothing was answered yet.
async fn claim<'a>(service: &'a OrderService, text: &str, asked: &str) -> KeyClaim<'a> {
    match service.claim(key(text), request(asked), None).await {
        Ok(ClaimedKey::New(claim)) => claim,
        Ok(ClaimedKey::Answered(outcome)) => panic!("answered already: {outcome:?}"),
        Err(error) => panic!("{error}"),
    }
}

/// Sends a command as the API does: the key is looked up first.
async fn send(
    service: &OrderService,
    text: &str,
    order_id: Option<&str>,
    command: OrderCommand,
) -> Result<CommandOutcome, CommandError> {
    let asked = request(&format!("{order_id:?} {command:?}"));
    match service.claim(key(text), asked, None).await? {
        ClaimedKey::Answered(outcome) => Ok(outcome),
        ClaimedKey::New(claim) => {
            let meta = CommandMeta::default();
            service.execute_claimed(Some(claim), order_id.map(id), command, meta).await
        }
    }
}

async fn order_count(world: &World) -> usize {
    list(&*world.store, Position::START, 100).await.len()
}

#[tokio::test]
async fn a_key_sent_twice_places_one_order_and_both_get_its_id() {
    let world = World::new();
    let first = send(&world.instance(), "k", None, place()).await.unwrap();
    let second = send(&world.instance(), "k", None, place()).await.unwrap();
    assert_eq!((first.appended, second.appended), (true, false));
    assert_eq!(second, CommandOutcome { appended: false, ..first });
    assert_eq!(second.answer, AnswerKind::Placed);
    assert_eq!(order_count(&world).await, 1);
    assert_ne!(send(&world.instance(), "l", None, place()).await.unwrap().order_id, second.order_id);
}

#[tokio::test]
async fn a_key_that_was_used_for_another_request_is_refused() {
    let world = World::new();
    let service = world.instance();
    send(&service, "k", Some("a"), place()).await.unwrap();
    let outcomes = [
        send(&service, "k", Some("a"), place_lines(2)).await,
        send(&service, "k", Some("b"), place()).await,
        send(&service, "k", Some("a"), pay("p", 1)).await,
    ];
    assert_eq!(outcomes, [const { Err(CommandError::KeyReused) }; 3]);
    assert_eq!(order_count(&world).await, 1);
}

#[tokio::test]
async fn a_refused_command_leaves_its_key_as_it_was() {
    let service = World::new().instance();
    refusal(send(&service, "k", Some("a"), pay("p", 1)).await);
    execute(&service, "a", place()).await.unwrap();
    assert!(send(&service, "k", Some("a"), pay("p", 1)).await.unwrap().appended);
}

#[tokio::test]
async fn a_repetition_is_answered_with_the_first_version_however_far_the_order_has_moved_on() {
    let service = World::new().instance();
    execute(&service, "a", place()).await.unwrap();
    send(&service, "k", Some("a"), pay("p", 1)).await.unwrap();
    execute(&service, "a", pay("q", 1)).await.unwrap();
    let again = send(&service, "k", Some("a"), pay("p", 1)).await.unwrap();
    assert_eq!((again.version, again.appended), (Version(2), false));
}

#[tokio::test]
async fn a_command_that_appends_nothing_leaves_a_receipt_too() {
    let service = World::new().instance();
    execute(&service, "a", place()).await.unwrap();
    execute(&service, "a", pay("p", 1)).await.unwrap();
    let first = send(&service, "k", Some("a"), pay("p", 1)).await.unwrap();
    execute(&service, "a", pay("q", 1)).await.unwrap();
    let second = send(&service, "k", Some("a"), pay("p", 1)).await.unwrap();
    assert_eq!((first.version, second.version), (Version(2), Version(2)));
    assert_eq!(send(&service, "k", Some("a"), pay("r", 1)).await, Err(CommandError::KeyReused));
}

#[tokio::test]
async fn of_two_at_once_one_waits_for_the_other_and_gets_its_answer() {
    let world = World::new();
    let service = world.instance();
    let claim = claim(&service, "k", "place").await;
    let waiting = service.claim(key("k"), request("place"), None);
    let working = async {
        tokio::task::yield_now().await;
        service.execute_claimed(Some(claim), None, place(), CommandMeta::default()).await
    };
    let (waited, worked) = tokio::join!(waiting, working);
    let (Ok(ClaimedKey::Answered(waited)), Ok(worked)) = (waited, worked) else { panic!("not answered") };
    assert_eq!(waited.order_id, worked.order_id);
    assert_eq!(order_count(&world).await, 1);
}

#[tokio::test(start_paused = true)]
async fn who_waits_in_vain_for_another_with_the_key_is_told_so_when_a_commands_time_is_over() {
    let world = World::new();
    let service = world.instance();
    let _claim = claim(&service, "k", "place").await;
    let begun = Instant::now();
    let waited = service.claim(key("k"), request("place"), None).await.err();
    assert_eq!(waited, Some(CommandError::KeyInProgress));
    let patience = world.limits.command_patience;
    assert!((patience..patience + Duration::from_millis(10)).contains(&begun.elapsed()));
    assert!(service.claim(key("l"), request("place"), None).await.is_ok(), "another key");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_holds_up_a_key_no_longer_than_a_command() {
    let world = World { store: Arc::new(silent_store::Silent), ..World::new() };
    let answer = world.instance().claim(key("k"), request("place"), None).await.err();
    assert!(matches!(answer, Some(CommandError::Store(StoreError::Unavailable(_)))), "{answer:?}");
}

/// Neither instance knows of the other until the store tells.
#[tokio::test]
async fn twins_on_two_instances_have_one_effect_and_one_answer() {
    let world = World::new();
    let (one, two, three) = (world.instance(), world.instance(), world.instance());
    let claims =
        [claim(&one, "k", "place").await, claim(&two, "k", "place").await, claim(&three, "k", "other").await]
            .map(Some);
    let mut outcomes = Vec::new();
    for (claim, service) in claims.into_iter().zip([&one, &two, &three]) {
        outcomes.push(service.execute_claimed(claim, None, place(), CommandMeta::default()).await);
    }
    let first = outcomes[0].clone().unwrap();
    assert_eq!(outcomes[1], Ok(CommandOutcome { appended: false, ..first }));
    assert_eq!(outcomes[2], Err(CommandError::KeyReused));
    assert_eq!(order_count(&world).await, 1);
}

#[tokio::test]
async fn what_another_instance_has_done_under_the_key_is_no_reason_to_refuse_it() {
    let world = World::new();
    let (one, two) = (world.instance(), world.instance());
    execute(&one, "a", place()).await.unwrap();
    let (first, twin) = (claim(&one, "k", "hold").await, claim(&two, "k", "hold").await);
    let hold = || OrderCommand::HoldOrder(HoldOrder { reason: None });
    let first =
        one.execute_claimed(Some(first), Some(id("a")), hold(), CommandMeta::default()).await.unwrap();
    execute(&one, "a", OrderCommand::ReleaseHold(ReleaseHold { reason: None })).await.unwrap();
    let cancel = CancelUnits { cancellation_id: None, units: None, reason: None };
    execute(&one, "a", OrderCommand::CancelUnits(cancel)).await.unwrap();
    let twin = two.execute_claimed(Some(twin), Some(id("a")), hold(), CommandMeta::default()).await;
    assert_eq!(twin, Ok(CommandOutcome { appended: false, ..first }));
}
