//! `docs/operations/postgresql.md`, step by step: a backup of a database by PostgreSQL's own programs, and back to it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use test_servers::{PostgresOptions, PostgresServer};

use super::scenario::serving;
use crate::http::Answer;
use crate::lost_files::place;
use crate::relays::broker::shared_channel;
use crate::relays::channel::{Channel, Kind};
use crate::relays::ready::wait_for_state;
use crate::relays::verdict::wait_until_published;
use crate::server::{Program, Server};

/// What clients see of what is in the backup.
fn reads(server: &Server) -> Vec<Answer> {
    ["/orders?view=full", "/orders/in-backup", "/events"].map(|path| server.get_undated(path)).into()
}

#[track_caller]
fn assert_sound(url: &str) {
    let verified = Program::new(["verify", "--store", url]).run();
    assert_eq!(verified.status, Some(0), "{verified:?}");
    assert_eq!(verified.stdout, ["all is well: 1 event of 1 order checked"]);
}

/// What was in the backup is there, and nothing that came later; orders are taken again.
#[track_caller]
fn assert_as_backed_up(server: &Server, before: &[Answer]) {
    assert_eq!(reads(server), before);
    assert_eq!(server.get("/orders/later").status, 404);
    let follower = server.get("/events?after=2");
    assert_eq!((follower.status, follower.code().as_str()), (409, "position-ahead"));
    assert_eq!(place(server, "after"), 201);
}

fn relaying(url: &str, channels: &[Channel]) -> Server {
    let relaying = |program: Program, channel: &Channel| program.argument("--bus", channel.url());
    channels.iter().fold(serving(url), relaying).start()
}

#[test]
fn a_dump_is_made_beside_servers_and_restored_and_brokers_that_are_ahead_of_it_are_told() {
    let database = PostgresServer::start(PostgresOptions::durable()).unwrap();
    let port = database.port().to_string();
    let createdb = |name: &str| {
        let server = ["-h", "127.0.0.1", "-p", &port, "-U", "postgres"];
        database.run("createdb", &[&server[..], &["-E", "UTF8", "-T", "template0", name]].concat()).unwrap();
    };
    createdb("orders");
    let (url, directory) = (database.url_of("orders"), tempfile::tempdir().unwrap());
    let dump = directory.path().join("orders.dump").display().to_string();

    let channels = [shared_channel(Kind::Nats), shared_channel(Kind::Kafka)];
    let server = relaying(&url, &channels);
    assert_eq!(place(&server, "in-backup"), 201);
    let before = reads(&server);
    database.run("pg_dump", &["-Fc", "-f", &dump, &url]).unwrap();
    assert_eq!(place(&server, "later"), 201);
    channels.iter().for_each(|channel| wait_until_published(&server, channel, 2));
    server.stop();

    database.query("ALTER DATABASE orders RENAME TO orders_damaged").unwrap();
    createdb("orders");
    let restore = ["--exit-on-error", "--no-owner", "--no-privileges", "--dbname", &url, &dump];
    database.run("pg_restore", &restore).unwrap();
    database.run("psql", &["-c", "ANALYZE", &url]).unwrap();
    assert_sound(&url);

    let server = serving(&url).start();
    assert_as_backed_up(&server, &before);
    server.stop();
    let server = relaying(&url, &channels);
    for channel in &channels {
        let told = wait_for_state(&server, &channel.relay(), "misconfigured");
        assert!(told.detail.contains("at position 2"), "{told:?}");
    }
    server.stop();
}

#[test]
fn a_base_backup_and_the_archived_log_lead_back_to_a_moment_also_of_a_server_that_died() {
    for has_died in [false, true] {
        back_to_a_moment(has_died);
    }
}

#[track_caller]
fn back_to_a_moment(has_died: bool) {
    let archiving = PostgresOptions::durable()
        .setting("archive_mode", "on")
        .setting("archive_command", "mkdir -p ../wal && cp %p ../wal/%f");
    let mut database = PostgresServer::start(archiving).unwrap();
    let url = database.create_database().unwrap();
    let server = serving(&url).start();
    let base = database.base_backup().unwrap();
    assert_eq!(place(&server, "in-backup"), 201);
    let before = reads(&server);
    let moment = database.query("SELECT clock_timestamp()").unwrap();
    assert_eq!(place(&server, "later"), 201);
    server.stop();
    let archive = database.directory().join("wal");
    if has_died {
        database.kill_hard().unwrap();
        archive_the_rest(&database.directory().join("data/pg_wal"), &archive);
    } else {
        // An orderly stop archives what is left.
        database.stop().unwrap();
    }

    let restore = format!("cp {}/%f %p", archive.display());
    let settings = [
        ("restore_command", restore.as_str()),
        ("recovery_target_time", &moment),
        ("recovery_target_action", "promote"),
    ];
    let restored = database.restored(&base, &settings).unwrap();
    let url = restored.url_of(url.rsplit('/').next().unwrap());
    assert_sound(&url);
    let server = serving(&url).start();
    assert_as_backed_up(&server, &before);
    server.stop();
}

/// Copies the parts of the log that the archive does not have, for the server's user to read.
fn archive_the_rest(log: &Path, archive: &Path) {
    for part in fs::read_dir(log).unwrap().map(|entry| entry.unwrap().path()) {
        let archived = archive.join(part.file_name().unwrap());
        if part.is_file() && !archived.exists() {
            fs::copy(&part, &archived).unwrap();
            fs::set_permissions(&archived, Permissions::from_mode(0o644)).unwrap();
        }
    }
}
