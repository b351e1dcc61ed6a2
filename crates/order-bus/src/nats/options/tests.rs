use std::time::Duration;

use super::*;

fn parse(url: &str) -> NatsOptions {
    NatsOptions::parse(url).unwrap()
}

#[test]
fn a_host_is_enough() {
    let options = parse("nats://broker.example");
    assert_eq!(options.to_string(), "nats://broker.example:4222?stream=ORDERS&subject=orders");
    assert_eq!(options.name(), "nats/ORDERS");
    assert_eq!((options.replicas, options.max_age, options.max_bytes), (1, None, None));
    assert!(options.access == Access::Anybody && !options.requires_tls);
}

#[test]
fn several_hosts_may_be_given() {
    let options = parse("tls://u:p@a,b:4333,[::1]/");
    assert_eq!(options.servers, "a:4222,b:4333,[::1]:4222");
    assert!(options.requires_tls);
}

#[test]
fn users_passwords_and_tokens_are_percent_decoded() {
    let password =
        |user: &str, password: &str| Access::Password { user: user.into(), password: password.into() };
    assert!(parse("nats://app:s%40c%2Cr%3At@h").access == password("app", "s@c,r:t"));
    assert!(parse("nats://ap%C3%BC:p:q@h").access == password("apü", "p:q"));
    assert!(parse("nats://t%2Fken@h").access == Access::Token("t/ken".into()));
    assert!(
        parse("nats://h?creds=%2Fetc%2Fapp.creds").access == Access::Credentials("/etc/app.creds".into())
    );
    assert!(parse("nats://h?nkey=/etc/app.nk").access == Access::Nkey("/etc/app.nk".into()));
}

#[test]
fn parameters_say_what_the_stream_is_to_be() {
    let options = parse(
        "nats://h?stream=EU&subject=eu.orders&replicas=3&max_age=30d&max_bytes=50GB&tls=first&ca=/ca.pem&cert=/c.pem\
         &key=/c.key&name=eu",
    );
    assert_eq!((&*options.stream, &*options.subject, options.replicas), ("EU", "eu.orders", 3));
    assert_eq!(options.max_age, Some(Duration::from_secs(30 * 24 * 3600)));
    assert_eq!(options.max_bytes, Some(50 << 30));
    assert!(options.requires_tls && options.begins_with_tls);
    assert_eq!(options.tls_files.authorities, Some("/ca.pem".into()));
    assert_eq!(options.tls_files.client, Some(("/c.pem".into(), "/c.key".into())));
    assert_eq!(options.name(), "eu");
}

#[test]
fn the_checkpoints_name_stays_when_hosts_and_users_change() {
    for url in ["nats://a", "nats://u:p@b:1,c", "tls://t@d?replicas=3"] {
        assert_eq!(parse(url).name(), "nats/ORDERS", "{url}");
    }
    assert_eq!(parse("nats://a?stream=EU").name(), "nats/EU");
}

#[test]
fn what_is_wrong_is_said_in_one_line() {
    for (url, says) in [
        ("broker", "nats://"),
        ("http://h", "nats://"),
        ("nats://", "not a host"),
        ("nats://a,,b", "not a host"),
        ("nats://h:0", "not a host"),
        ("nats://h:port", "not a host"),
        ("nats://h/path", "not a host"),
        ("nats://@h", "before the @"),
        ("nats://h?strem=X", "no parameter strem=; did you mean stream?"),
        ("nats://h?max-age=30d", "did you mean max_age?"),
        ("nats://h?stream=a.b", "stream=a.b"),
        ("nats://h?stream=", "stream= is empty"),
        ("nats://h?stream=A&stream=B", "twice"),
        ("nats://h?subject=a..b", "subject=a..b"),
        ("nats://h?subject=$JS", "subject=$JS"),
        ("nats://h?subject=a.*", "subject=a.*"),
        ("nats://h?replicas=6", "1 to 5"),
        ("nats://h?replicas=0", "1 to 5"),
        ("nats://h?max_age=30", "such as 30d"),
        ("nats://h?max_bytes=many", "such as 50GB"),
        ("nats://h?tls=maybe", "one of required, first"),
        ("nats://h?cert=/c.pem", "belong together"),
        ("nats://h?creds=/a&nkey=/b", "is enough"),
        ("nats://u:p@h?creds=/a", "is enough"),
        ("nats://u:p@a,v:q@b", "percent-encoded"),
        ("nats://a,nats://b", "not a host"),
    ] {
        let error = NatsOptions::parse(url).unwrap_err();
        assert!(error.contains(says) && !error.contains('\n'), "{url}: {error}");
    }
}

#[test]
fn no_secret_is_ever_shown() {
    for url in ["nats://app:secret@h", "nats://secret@h", "nats://app:secret@a,b?replicas=3"] {
        let options = parse(url);
        assert!(!format!("{options} {options:?} {}", options.name()).contains("secret"), "{url}");
    }
    for url in [
        "nats://app:secret%ff@h",
        "nats://secret%ff@h",
        "nats://app:secret@h:port",
        "nats://u:secret@a,v:q@b",
    ] {
        let error = NatsOptions::parse(url).unwrap_err();
        assert!(!error.contains("secret"), "{url}: {error}");
    }
}

#[test]
fn durations_and_sizes_are_read_as_nats_tools_have_them() {
    let hours = |hours: u64| Some(Duration::from_secs(hours * 3600));
    assert_eq!(read_duration("30d"), hours(30 * 24));
    assert_eq!(read_duration("1d12h"), hours(36));
    assert_eq!(read_duration("2w"), hours(14 * 24));
    assert_eq!(read_duration("90s"), Some(Duration::from_secs(90)));
    for wrong in ["", "d", "30", "30x", "0s", "1ms", "-1d", "99999999999d", "1mo"] {
        assert_eq!(read_duration(wrong), None, "{wrong}");
    }
    assert_eq!(read_bytes("1000"), Some(1000));
    assert_eq!(read_bytes("1K"), Some(1024));
    assert_eq!(read_bytes("50GB"), Some(50 << 30));
    assert_eq!(read_bytes("2TiB"), Some(2 << 40));
    for wrong in ["", "GB", "0", "1.5G", "1X", "99999999T", "-1"] {
        assert_eq!(read_bytes(wrong), None, "{wrong}");
    }
}
