use super::*;

#[tokio::test]
async fn a_refusal_is_never_based_on_what_another_instance_has_changed() {
    let world = World::new();
    let (first, second) = (world.instance(), world.instance());
    execute(&first, "a", place()).await.unwrap();
    execute(&second, "a", pay("p", 3000)).await.unwrap();
    // The first has the unpaid order in its cache.
    execute(&first, "a", reserve()).await.unwrap();
    // And the second the order without its reservation.
    execute(&second, "a", ship()).await.unwrap();
    let outcome = execute(&first, "a", pay("p", 3000)).await.unwrap();
    assert_eq!((outcome.version, outcome.appended), (Version(4), false));
}

#[tokio::test]
async fn a_placement_that_another_instance_took_is_recognised() {
    let world = World::new();
    let (first, second) = (world.instance(), world.instance());
    execute(&first, "a", place()).await.unwrap();
    let same = execute(&second, "a", place()).await.unwrap();
    assert!(!same.appended);
    let (error, facts) = refusal(execute(&world.instance(), "a", place_lines(2)).await);
    assert_eq!(error, OrderError::IdReused { id: "order_id" });
    assert!(facts.is_some());
}

#[tokio::test]
async fn a_whole_order_is_never_behind_another_instance() {
    let world = World::new();
    let (first, second) = (world.instance(), world.instance());
    execute(&first, "a", place()).await.unwrap();
    assert_eq!(first.order(&id("a")).await.unwrap().version, Version(1));
    execute(&second, "a", pay("p", 1)).await.unwrap();
    assert_eq!(first.order(&id("a")).await.unwrap().version, Version(2));
}

/// Many clients on one order through three instances: every accepted command is there once, and no version is skipped.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hot_order_takes_every_accepted_command_once() {
    const CLIENTS: usize = 12;
    const PAYMENTS: usize = 20;
    let world = World::new();
    let instances = [world.instance(), world.instance(), world.instance()];
    execute(&instances[0], "hot", place()).await.unwrap();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let service = instances[client % instances.len()].clone();
            tokio::spawn(async move {
                let mut versions = Vec::new();
                for n in 0..PAYMENTS {
                    // Retried as a client would, under the same id.
                    loop {
                        match execute(&service, "hot", pay(&format!("pay-{client}-{n}"), 1)).await {
                            Ok(outcome) => break versions.push(outcome.version.0),
                            Err(CommandError::ConcurrentModification(_)) => tokio::task::yield_now().await,
                            Err(error) => panic!("{error}"),
                        }
                    }
                }
                versions
            })
        })
        .collect();
    let mut versions = Vec::new();
    for client in clients {
        versions.extend(client.await.unwrap());
    }
    versions.sort_unstable();
    assert_eq!(versions, (2..=1 + (CLIENTS * PAYMENTS) as u64).collect::<Vec<_>>());
}
