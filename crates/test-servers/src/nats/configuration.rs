//! A server's configuration file.

use std::fmt::Write;
use std::path::Path;

use super::options::{NatsOptions, User};
use crate::server::STORE;

/// Where one server listens on 127.0.0.1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    pub(super) clients: u16,
    pub(super) monitor: u16,
    /// For the other servers.
    pub(super) routes: u16,
}

/// Files beside the configuration.
pub(super) const CERTIFICATE: &str = "server.crt";
pub(super) const KEY: &str = "server.key";

/// The configuration of the server `name`, which lies in `directory`, among `all` servers, itself included.
pub(super) fn configuration(
    options: &NatsOptions,
    name: &str,
    directory: &Path,
    own: Ports,
    all: &[Ports],
) -> String {
    let mut text = format!(
        "server_name: {name}\n\
         host: 127.0.0.1\n\
         port: {}\n\
         http: \"127.0.0.1:{}\"\n\
         jetstream {{ store_dir: {}, max_memory_store: 64MB, max_file_store: 2GB{} }}\n",
        own.clients,
        own.monitor,
        quoted(&directory.join(STORE).display().to_string()),
        if options.sync_always { ", sync_interval: always" } else { "" },
    );
    let mut line = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    if let Some(bytes) = options.max_payload_bytes {
        line(&format!("max_payload: {bytes}"));
    }
    if options.certificate.is_some() {
        let [certificate, key] =
            [CERTIFICATE, KEY].map(|name| quoted(&directory.join(name).display().to_string()));
        line(&format!("tls {{ cert_file: {certificate}, key_file: {key} }}"));
    }
    if let Some(authorization) = authorization(options) {
        line(&format!("authorization {{ {authorization} }}"));
    }
    if all.len() > 1 {
        let routes: Vec<_> =
            all.iter().map(|Ports { routes, .. }| format!("nats://127.0.0.1:{routes}")).collect();
        let listen = own.routes;
        line(&format!(
            "cluster {{ name: test, listen: \"127.0.0.1:{listen}\", routes: [{}] }}",
            routes.join(", ")
        ));
    }
    options.lines.iter().for_each(|extra| line(extra));
    text
}

fn authorization(options: &NatsOptions) -> Option<String> {
    let mut text = String::new();
    if let Some(token) = &options.token {
        let _ = write!(text, "token: {} ", quoted(token));
    }
    if !options.users.is_empty() {
        let users: Vec<_> = options.users.iter().map(user).collect();
        let _ = write!(text, "users: [{}]", users.join(", "));
    }
    (!text.is_empty()).then_some(text)
}

fn user(user: &User) -> String {
    match user {
        User::Password { name, password } => {
            format!("{{ user: {}, password: {} }}", quoted(name), quoted(password))
        }
        User::Key { public } => format!("{{ nkey: {public} }}"),
    }
}

/// As its configuration language reads strings.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
