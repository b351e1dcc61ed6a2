//! PgBouncer.

use test_servers::{PgBouncer, PostgresServer};

use crate::postgres::psql;

#[test]
fn every_database_is_reached_through_it() {
    let server = PostgresServer::shared().unwrap();
    let direct = server.create_database().unwrap();
    let Some(_) = PgBouncer::find() else {
        let error = PgBouncer::start(server).unwrap_err();
        assert!(error.to_string().contains("not installed"), "{error}");
        return;
    };
    let pgbouncer = PgBouncer::start(server).unwrap();
    let url = pgbouncer.url_of(&direct);
    assert_ne!(url, direct);
    let database = direct.rsplit('/').next().unwrap();
    assert_eq!(psql(&url, "SELECT current_database()").unwrap(), database);
    assert!(pgbouncer.log_tail().contains(database), "{}", pgbouncer.log_tail());
}
