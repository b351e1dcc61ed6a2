//! `postgres://…`: what libpq understands, as far as it matters here.

use std::path::PathBuf;
use std::time::Duration;

use order_application::error_chain;
use order_application::nearest::did_you_mean;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

use super::address::PostgresAddress;

/// How long a connection may take to come about, unless the URL says otherwise (`connect_timeout`).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// After so long without an answer from the other machine a connection counts as lost.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(10);

/// Where the database is, and how to talk to it.
#[derive(Debug, Clone)]
pub(super) struct DatabaseUrl {
    pub(super) config: Config,
    /// The same for people.
    pub(super) address: PostgresAddress,
    /// By whose certificates the server has to prove that it has the name (`sslmode=verify-full`). `None`: with `prefer`, the
    /// default, and `require` it may be any server; `disable` has no TLS.
    pub(super) verify: Option<Roots>,
}

/// Whose word counts for who a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Roots {
    /// Those whom this system trusts.
    System,
    /// Those in a PEM file (`sslrootcert`).
    File(PathBuf),
}

impl DatabaseUrl {
    /// Reads a URL. What it complains about never holds the password.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        let (address, query) = split_query(url);
        let (mut ssl_mode, mut roots) = (None, None);
        let mut rest = Vec::new();
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let decoded = form_urlencoded::parse(parameter.as_bytes()).next();
            match decoded.as_ref().map(|(name, value)| (&**name, &**value)) {
                Some(("sslmode", value)) => ssl_mode = Some(value.to_owned()),
                Some(("sslrootcert", "system")) => roots = Some(Roots::System),
                Some(("sslrootcert", value)) => roots = Some(Roots::File(PathBuf::from(value))),
                _ => rest.push(parameter),
            }
        }
        let (ssl_mode, verify) = match ssl_mode.as_deref() {
            Some("disable") => (SslMode::Disable, None),
            None | Some("prefer") => (SslMode::Prefer, None),
            Some("require") => (SslMode::Require, None),
            Some("verify-full") => (SslMode::Require, Some(roots.take().unwrap_or(Roots::System))),
            Some(other) => {
                return Err(format!("sslmode={other} is none of disable, prefer, require, verify-full"));
            }
        };
        if let Some(Roots::File(_)) = roots {
            return Err("sslrootcert is looked at with sslmode=verify-full only".to_owned());
        }
        let mut config = host_config(&format!("{address}?{}", rest.join("&")))?;
        config.ssl_mode(ssl_mode);
        Ok(Self { address: PostgresAddress::of(&config), config, verify })
    }

    /// How to connect to each of its servers.
    pub(super) fn servers(&self) -> impl Iterator<Item = Config> {
        (0..self.config.get_hosts().len()).map(|place| only(&self.config, place))
    }
}

/// One of several servers.
fn only(config: &Config, place: usize) -> Config {
    let mut one = Config::new();
    if let Some(host) = config.get_hosts().get(place) {
        match host {
            Host::Tcp(name) => one.host(name),
            Host::Unix(directory) => one.host_path(directory),
        };
    }
    if let Some(address) = config.get_hostaddrs().get(place) {
        one.hostaddr(*address);
    }
    if let Some(port) = config.get_ports().get(place).or(config.get_ports().first()) {
        one.port(*port);
    }
    one.ssl_mode(config.get_ssl_mode())
        .ssl_negotiation(config.get_ssl_negotiation())
        .keepalives(config.get_keepalives())
        .keepalives_idle(config.get_keepalives_idle())
        .target_session_attrs(config.get_target_session_attrs())
        .channel_binding(config.get_channel_binding());
    config.get_user().map(|user| one.user(user));
    config.get_password().map(|password| one.password(password));
    config.get_dbname().map(|database| one.dbname(database));
    config.get_options().map(|options| one.options(options));
    config.get_application_name().map(|name| one.application_name(name));
    config.get_connect_timeout().map(|patience| one.connect_timeout(*patience));
    config.get_tcp_user_timeout().map(|patience| one.tcp_user_timeout(*patience));
    config.get_keepalives_interval().map(|interval| one.keepalives_interval(interval));
    config.get_keepalives_retries().map(|retries| one.keepalives_retries(retries));
    one
}

/// What the driver makes of a URL without the parameters that it does not know.
fn host_config(url: &str) -> Result<Config, String> {
    let not_a_url = |why: &str| format!("not a PostgreSQL URL: {why}{}", hint_at_encoding(url));
    let unreadable = |error| not_a_url(&format!("{}{}", error_chain(&error), parameter_meant(url)));
    let mut config: Config = url.parse().map_err(unreadable)?;
    let nameless = |host: &Host| matches!(host, Host::Tcp(name) if name.is_empty());
    if config.get_hosts().is_empty() || config.get_hosts().iter().any(nameless) {
        return Err(not_a_url("it names no host, as in postgres://user@host/database"));
    }
    if config.get_hosts().iter().any(|host| matches!(host, Host::Tcp(name) if name.contains('@'))) {
        return Err(not_a_url("it has more than one @"));
    }
    // libpq would take the user's name for it, and whoever forgot it would find the orders there.
    if config.get_dbname().is_none() {
        return Err(not_a_url("it names no database, as in postgres://user@host/database"));
    }
    let fits = |number: usize, least: usize| number <= least || number == config.get_hosts().len();
    if !fits(config.get_ports().len(), 1) || !fits(config.get_hostaddrs().len(), 0) {
        return Err(not_a_url("it has not as many ports or addresses as hosts"));
    }
    name_user(&mut config).map_err(|why| not_a_url(&why))?;
    // Whatever else the hosts are, a standby takes no orders.
    config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_TIMEOUT);
    }
    if config.get_application_name().is_none() {
        config.application_name("order-service");
    }
    config.keepalives_idle(SILENCE_TIMEOUT).tcp_user_timeout(SILENCE_TIMEOUT);
    Ok(config)
}

/// The URL up to its parameters, and those. A `?` before the `@` belongs to a password.
fn split_query(url: &str) -> (&str, &str) {
    let after_user = url.find('@').unwrap_or(0);
    url[after_user..].find('?').map_or((url, ""), |place| {
        let (address, query) = url.split_at(after_user + place);
        (address, &query[1..])
    })
}

/// Those that can be left out, and so be misspelt.
const PARAMETERS: [&str; 20] = [
    "application_name",
    "channel_binding",
    "connect_timeout",
    "dbname",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "load_balance_hosts",
    "options",
    "password",
    "port",
    "sslmode",
    "sslnegotiation",
    "sslrootcert",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
];

/// What was probably meant by the first parameter that there is none of.
fn parameter_meant(url: &str) -> String {
    let (_, query) = split_query(url);
    let mut names = form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name);
    let unknown = names.find(|name| !PARAMETERS.contains(&&**name));
    unknown.map_or_else(String::new, |name| did_you_mean(&name, PARAMETERS))
}

/// What most likely makes a URL with several of them unreadable.
fn hint_at_encoding(url: &str) -> &'static str {
    if url.matches('@').count() > 1 { "; in a user's name or a password, @ is written %40" } else { "" }
}

/// Whom the URL does not name is who runs this process, as libpq has it.
fn name_user(config: &mut Config) -> Result<(), String> {
    if config.get_user().is_none() {
        config.user(whoami::username().map_err(|error| format!("it names no user, and {error}"))?);
    }
    Ok(())
}

/// The URL with a password, for one that has none.
#[must_use]
pub fn with_password(url: &str, password: &str) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}password={}", percent_encode(password.as_bytes(), NON_ALPHANUMERIC))
}

/// The URL without its password, for logs.
pub fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (address, query) = split_query(rest);
    let address = match address.rsplit_once('@') {
        Some((user, host)) => format!("{}@{host}", user.split_once(':').map_or(user, |(name, _)| name)),
        None => address.to_owned(),
    };
    let shown: Vec<&str> =
        query.split('&').filter(|p| !p.is_empty() && !p.starts_with("password=")).collect();
    let query = if shown.is_empty() { String::new() } else { format!("?{}", shown.join("&")) };
    format!("{scheme}://{address}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tls(query: &str) -> Result<(SslMode, Option<Roots>), String> {
        DatabaseUrl::parse(&format!("postgres://u:secret@db.example/orders{query}"))
            .map(|url| (url.config.get_ssl_mode(), url.verify))
    }

    #[test]
    fn tls_is_as_libpq_has_it() {
        let verified = |roots| Ok((SslMode::Require, Some(roots)));
        assert_eq!(tls(""), Ok((SslMode::Prefer, None)));
        assert_eq!(tls("?sslmode=disable"), Ok((SslMode::Disable, None)));
        assert_eq!(tls("?sslmode=require&application_name=x"), Ok((SslMode::Require, None)));
        assert_eq!(tls("?sslmode=verify-full"), verified(Roots::System));
        assert_eq!(tls("?sslmode=verify-full&sslrootcert=system"), verified(Roots::System));
        let file = Roots::File(PathBuf::from("/etc/ca 1.pem"));
        assert_eq!(tls("?sslrootcert=/etc/ca%201.pem&sslmode=verify-full"), verified(file));
        assert!(tls("?sslmode=verify-ca").unwrap_err().contains("verify-full"));
        assert!(tls("?sslrootcert=/x&sslmode=require").is_err(), "a root that nobody looks at is a trap");
    }

    #[test]
    fn a_database_is_told_as_the_driver_looks_for_it() {
        let told = |url: &str| DatabaseUrl::parse(url).map(|url| url.address.to_string());
        let several = told("postgres://shop@db1:5432,db2:5433/orders?password=secret");
        assert_eq!(several, Ok("db1:5432,db2:5433 (database orders, user shop)".to_owned()));
        assert_eq!(told("postgres://shop@[::1]/o"), Ok("::1:5432 (database o, user shop)".to_owned()));
        let socket = told("postgres://shop@%2Frun%2Fpostgresql/orders");
        assert_eq!(socket, Ok("/run/postgresql:5432 (database orders, user shop)".to_owned()));
        let nobody = told("postgres://db/orders").unwrap();
        assert_eq!(nobody, format!("db:5432 (database orders, user {})", whoami::username().unwrap()));
    }

    #[test]
    fn each_server_of_a_url_is_connected_to_as_the_url_says() {
        let url = "postgres://shop:p%40ss@db1:6000,db2:6001/orders?hostaddr=127.0.0.1,127.0.0.2\
                   &sslmode=require&options=-cgeqo%3Doff&application_name=x&connect_timeout=7&keepalives_idle=5\
                   &keepalives_interval=6&keepalives_retries=4&channel_binding=require&sslnegotiation=direct";
        let servers: Vec<Config> = DatabaseUrl::parse(url).unwrap().servers().collect();
        let alone = |server: &str, address: &str| {
            let url = url.replace("db1:6000,db2:6001", server).replace("127.0.0.1,127.0.0.2", address);
            DatabaseUrl::parse(&url).unwrap().config
        };
        assert_eq!(servers, [alone("db1:6000", "127.0.0.1"), alone("db2:6001", "127.0.0.2")]);
        for odd in ["postgres://u@a,b,c/d?port=1,2", "postgres://u@a,b/d?hostaddr=127.0.0.1"] {
            let fault = DatabaseUrl::parse(odd).map(|url| url.address).unwrap_err();
            assert!(fault.contains("not as many ports or addresses as hosts"), "{fault}");
        }
    }

    #[test]
    fn a_url_names_its_database() {
        for url in ["postgres://shop:secret@db", "postgres://shop@db/", "postgres://shop@db?sslmode=disable"]
        {
            let fault = DatabaseUrl::parse(url).map(|url| url.address).unwrap_err();
            assert!(fault.contains("it names no database, as in postgres://user@host/database"), "{fault}");
        }
        assert!(DatabaseUrl::parse("postgres://shop@db?dbname=orders").is_ok());
    }

    #[test]
    fn a_password_may_be_added_and_have_any_character() {
        let password = "p@s:s?w/o&r=d %41#ö";
        for url in ["postgres://u@h/d", "postgres://u@h/d?application_name=x"] {
            let parsed = DatabaseUrl::parse(&with_password(url, password)).unwrap();
            assert_eq!(parsed.config.get_password(), Some(password.as_bytes()));
        }
        let unescaped = DatabaseUrl::parse("postgres://u:p?s/w&d#@h/d?sslmode=require").unwrap();
        assert_eq!(unescaped.config.get_password(), Some(&b"p?s/w&d#"[..]));
        assert_eq!(unescaped.config.get_ssl_mode(), SslMode::Require);
        let ambiguous = DatabaseUrl::parse("postgres://u:p@w@h/d").unwrap_err();
        assert!(ambiguous.ends_with("@ is written %40"), "{ambiguous}");
    }

    #[test]
    fn what_is_wrong_with_a_url_is_said_without_its_password() {
        for url in
            ["postgres://u:secret@h:port/x", "postgres://u:secret@/x?host=", "postgres://u:secret@h/x?bad=1"]
        {
            match DatabaseUrl::parse(url) {
                Err(error) => assert!(!error.contains("secret"), "{error}"),
                Ok(parsed) => panic!("{url} was taken for {parsed:?}"),
            }
        }
    }

    #[test]
    fn a_misspelt_parameter_is_told_with_what_was_meant() {
        let fault = |query: &str| tls(query).unwrap_err();
        let told = "unknown option `sslmod`; did you mean sslmode?";
        assert!(fault("?sslmod=require").ends_with(told), "{}", fault("?sslmod=require"));
        let other = fault("?sslmode=require&conect_timeout=5");
        assert!(other.ends_with("; did you mean connect_timeout?"), "{other}");
        assert!(fault("?bad=1").ends_with("unknown option `bad`"), "{}", fault("?bad=1"));
    }

    /// What may be meant is what there is.
    #[test]
    fn every_parameter_that_is_suggested_is_known() {
        for name in PARAMETERS {
            let fault = tls(&format!("?{name}=x")).err().unwrap_or_default();
            assert!(!fault.contains("unknown option"), "{name}: {fault}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let shown = without_password("postgres://u:s:e@c@h1:1,h2:2/db?password=secret&sslmode=require");
        assert_eq!(shown, "postgres://u@h1:1,h2:2/db?sslmode=require");
        assert_eq!(without_password("postgres://h/db"), "postgres://h/db");
        assert_eq!(without_password("postgres://u:sec?ret@h/db?x=1"), "postgres://u@h/db?x=1");
        let added = with_password("postgres://u@h/db?x=1", "s&c=r%t");
        assert_eq!(without_password(&added), "postgres://u@h/db?x=1");
    }
}
