//! What else may be in a database, or be missing from it: told at the start and by `verify`, with what to do.

use order_application::{AppendError, EventLog, StoreError};
use order_store::{PostgresError, PostgresFault, PostgresStore};
use test_servers::PostgresServer;

use crate::contract::bus;
use crate::order::TestOrder;
use crate::postgres::QUICK_SERVER;
use crate::postgres_fixtures::{database, faults, open, session, sql};
use crate::postgres_gone_back::until;

async fn refusal(url: &str) -> PostgresError {
    PostgresStore::open(url, bus(), QUICK_SERVER).await.map(drop).unwrap_err()
}

async fn verify(url: &str) -> Result<Vec<String>, String> {
    let report = PostgresStore::verify(url, &mut |_, _| {}).await;
    report.map(|report| report.faults).map_err(|error| error.to_string())
}

/// A database with one order.
async fn shop() -> String {
    let url = database();
    let store = open(&url).await;
    store.append(TestOrder::new("a").place()).await.unwrap();
    store.close().await;
    url
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_of_that_name_that_is_somebody_elses_is_refused_and_left_alone() {
    for (schema, said) in [
        (
            "CREATE TABLE order_service.events (id int); CREATE TABLE order_service.log (a int)",
            "(it has events, log)",
        ),
        (
            "CREATE TABLE order_service.migrations (version text, name text); \
             INSERT INTO order_service.migrations VALUES ('20240101', 'init')",
            "(it has migrations)",
        ),
        ("CREATE TABLE order_service.customers (id int)", "(it has customers)"),
    ] {
        let url = database();
        sql(&url, &format!("CREATE SCHEMA order_service; {schema}")).await;
        let said =
            format!("the schema order_service there is not this service's {said}: name another database");
        let refused = refusal(&url).await;
        assert!(matches!(refused.fault, PostgresFault::ForeignSchema(_)), "{refused:?}");
        assert!(refused.to_string().contains(&said), "{refused}");
        let verified = verify(&url).await.unwrap_err();
        assert!(verified.contains(&said), "{verified}");
        let migrated = PostgresStore::migrate(&url).await.unwrap_err().to_string();
        assert!(migrated.contains(&said), "{migrated}");
    }
    // One that the database's owner has made beforehand is nobody's.
    let url = database();
    sql(&url, "CREATE SCHEMA order_service").await;
    open(&url).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_others_are_made_from_is_refused() {
    let url = database();
    let name = url.rsplit('/').next().unwrap();
    PostgresServer::shared().unwrap().query(&format!("ALTER DATABASE {name} IS_TEMPLATE true")).unwrap();
    for refused in [refusal(&url).await, PostgresStore::migrate(&url).await.unwrap_err()] {
        assert!(refused.to_string().contains(&format!("the database {name} is a template")), "{refused}");
    }
    let made =
        session(&url).await.query_one("SELECT to_regnamespace('order_service') IS NULL", &[]).await.unwrap();
    assert!(made.get::<_, bool>(0));
    PostgresServer::shared().unwrap().query(&format!("ALTER DATABASE {name} IS_TEMPLATE false")).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_of_which_a_part_is_missing_is_not_served_and_says_what_is_missing() {
    for (damage, said) in [
        ("DROP TABLE order_service.receipts", "it lacks order_service.receipts."),
        (
            "DROP TABLE order_service.checkpoints, order_service.order_terms",
            "it lacks order_service.order_terms, order_service.checkpoints.",
        ),
        (
            "ALTER TABLE order_service.events DROP COLUMN source CASCADE",
            "it lacks order_service.events.source.",
        ),
        ("DELETE FROM order_service.log", "order_service.log has no row."),
        ("DELETE FROM order_service.migrations", "order_service.migrations is missing or has no row"),
        (
            "DELETE FROM order_service.migrations WHERE version = 4",
            "order_service.migrations lacks what has been done: ",
        ),
        (
            "ALTER TABLE order_service.events DROP CONSTRAINT events_pkey; DROP INDEX order_service.order_beginnings",
            "it lacks the index order_service.events_pkey, the index order_service.order_beginnings.",
        ),
        (
            "DROP FUNCTION order_service.lock_log_end_v1",
            "it lacks the function order_service.lock_log_end_v1.",
        ),
    ] {
        let url = shop().await;
        sql(&url, damage).await;
        let refused = refusal(&url).await;
        assert!(matches!(refused.fault, PostgresFault::NotWhole(_)), "{damage}: {refused:?}");
        let told = refused.to_string();
        assert!(
            told.contains("the database has no whole order store: ") && told.contains(said),
            "{damage}: {told}"
        );
        assert!(told.contains("restore all of it into an empty database"), "{damage}: {told}");
        let verified = verify(&url).await;
        let is_told = match &verified {
            Ok(faults) => faults.iter().any(|fault| fault.ends_with(" is missing")),
            Err(error) => {
                error.contains("has no whole order store") || error.contains("run `order-service migrate`")
            }
        };
        assert!(is_told, "{damage}: {verified:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_between_the_service_and_its_rows_is_told_with_what_removes_it() {
    let function = "CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$";
    for (made, what, removed) in [
        (
            "CREATE TRIGGER \"Skip\" BEFORE INSERT ON order_service.events FOR EACH ROW EXECUTE FUNCTION skip()",
            "trigger \"Skip\" on order_service.events",
            "DROP TRIGGER \"Skip\" ON order_service.events",
        ),
        (
            "CREATE RULE nothing AS ON INSERT TO order_service.receipts DO INSTEAD NOTHING",
            "rule nothing on order_service.receipts",
            "DROP RULE nothing ON order_service.receipts",
        ),
        (
            "ALTER TABLE order_service.events ENABLE ROW LEVEL SECURITY",
            "row-level security on order_service.events",
            "ALTER TABLE order_service.events DISABLE ROW LEVEL SECURITY",
        ),
    ] {
        let url = shop().await;
        sql(&url, function).await;
        sql(&url, made).await;
        // A superuser sees every row.
        let role = format!("shop_of_{}", url.rsplit('/').next().unwrap());
        sql(&url, &format!("CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA order_service TO {role}")).await;
        sql(&url, &format!("GRANT ALL ON ALL TABLES IN SCHEMA order_service TO {role}")).await;
        let restricted = url.replace("//postgres@", &format!("//{role}@"));
        let refused = refusal(&restricted).await.to_string();
        assert!(refused.contains(&format!("{what} is in the way")), "{refused}");
        assert!(refused.contains(&format!("can remove it: `{removed}`")), "{refused}");
        let faults = verify(&restricted).await.unwrap();
        assert!(faults.contains(&format!("{what} is in the way; `{removed}` removes it")), "{faults:?}");
        sql(&url, removed).await;
        open(&restricted).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rights_that_are_missing_are_told_as_grants_that_give_them() {
    let url = shop().await;
    let role = format!("shop_of_{}", url.rsplit('/').next().unwrap());
    sql(
        &url,
        &format!(
            "CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA order_service TO {role}; \
             GRANT SELECT ON ALL TABLES IN SCHEMA order_service TO {role}; \
             REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA order_service FROM PUBLIC"
        ),
    )
    .await;
    let refused = refusal(&url.replace("//postgres@", &format!("//{role}@"))).await;
    let PostgresFault::MissingRights(grants) = &refused.fault else { panic!("{refused:?}") };
    assert!(
        refused.to_string().contains(&format!("`GRANT INSERT ON order_service.events TO {role}`")),
        "{refused}"
    );
    for grant in grants {
        sql(&url, grant).await;
    }
    let store = open(&url.replace("//postgres@", &format!("//{role}@"))).await;
    store.append(TestOrder::new("b").place()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_that_go_under_a_running_service_are_not_told_as_a_newer_releases_doing() {
    for (damage, back) in [
        ("ALTER SCHEMA order_service RENAME TO gone", "ALTER SCHEMA gone RENAME TO order_service"),
        (
            "ALTER FUNCTION order_service.append_v2 RENAME TO gone",
            "ALTER FUNCTION order_service.gone RENAME TO append_v2",
        ),
        (
            "ALTER TABLE order_service.log_times DROP CONSTRAINT log_times_pkey",
            "ALTER TABLE order_service.log_times ADD PRIMARY KEY (zone)",
        ),
    ] {
        let url = shop().await;
        let store = open(&url).await;
        sql(&url, damage).await;
        let refused = store.append(TestOrder::new("b").place()).await;
        let Err(AppendError::Store(StoreError::Unavailable(why))) = refused else {
            panic!("{damage}: {refused:?}")
        };
        assert!(why.contains("the database has no whole order store: "), "{damage}: {why}");
        let checked = store.check().await;
        assert!(matches!(&checked, Err(StoreError::Unavailable(_))), "{damage}: {checked:?}");
        sql(&url, back).await;
        // A look may have found it out before, and the next one finds that it is over.
        until(damage, async || store.check().await == Ok(())).await;
        store.append(TestOrder::new("b").place()).await.unwrap();
        assert_eq!(faults(&url).await, Vec::<String>::new(), "{damage}");
    }
}

/// Whoever is sent elsewhere for it makes no append: so one is tried.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_refuses_appends_is_not_ready_until_it_takes_one() {
    let function = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no orders today'; END $$";
    for (damage, back, said) in [
        (
            "CREATE TRIGGER refuse BEFORE INSERT ON order_service.events FOR EACH ROW EXECUTE FUNCTION refuse()",
            "DROP TRIGGER refuse ON order_service.events",
            "no orders today",
        ),
        (
            "REVOKE INSERT ON order_service.events FROM {role}",
            "GRANT INSERT ON order_service.events TO {role}",
            "permission denied for table events",
        ),
        (
            "ALTER FUNCTION order_service.append_v2 RENAME TO gone",
            "ALTER FUNCTION order_service.gone RENAME TO append_v2",
            "the database has no whole order store: ",
        ),
    ] {
        let url = shop().await;
        sql(&url, function).await;
        let role = format!("shop_of_{}", url.rsplit('/').next().unwrap());
        sql(&url, &format!("CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA order_service TO {role}")).await;
        sql(&url, &format!("GRANT ALL ON ALL TABLES IN SCHEMA order_service TO {role}")).await;
        let store = open(&url.replace("//postgres@", &format!("//{role}@"))).await;
        let mut order = TestOrder::new("b");
        assert_eq!(store.check().await, Ok(()));
        sql(&url, &damage.replace("{role}", &role)).await;
        let refused = store.append(order.clone().place()).await;
        assert!(
            matches!(refused, Err(AppendError::Store(StoreError::Unavailable(_)))),
            "{damage}: {refused:?}"
        );
        for _ in 0..2 {
            let checked = store.check().await;
            assert!(
                matches!(&checked, Err(StoreError::Unavailable(why)) if why.contains(said)),
                "{damage}: {checked:?}"
            );
        }
        sql(&url, &back.replace("{role}", &role)).await;
        assert_eq!(store.check().await, Ok(()), "{damage}");
        assert_eq!(store.end().await.map(|end| end.0), Ok(1), "what was tried is taken back");
        store.append(order.place()).await.unwrap();
        assert_eq!(faults(&url).await, Vec::<String>::new(), "{damage}");
    }
}
