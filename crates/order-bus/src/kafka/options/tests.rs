use super::*;

fn parsed(url: &str) -> KafkaOptions {
    KafkaOptions::parse(url).unwrap_or_else(|why| panic!("{url}: {why}"))
}

fn fault(url: &str) -> String {
    match KafkaOptions::parse(url) {
        Err(why) => why,
        Ok(options) => panic!("{url} was taken for {options}"),
    }
}

#[test]
fn the_shortest_url_means_what_a_kafka_user_expects() {
    let options = parsed("kafka://kafka.example");
    assert_eq!(options.servers, "kafka.example:9092");
    assert_eq!((&*options.topic, options.name()), ("orders.events", "kafka/orders.events"));
    assert_eq!((options.partitions, options.replication), (None, None));
    assert_eq!(options.compression, "lz4");
    assert_eq!(options.security_protocol(), "plaintext");
}

#[test]
fn everything_can_be_said() {
    let options = parsed(
        "kafka://a:1,[::1]:2,[fe80::1]/?topic=t-1&partitions=12&replication=3&compression=zstd&name=shop",
    );
    assert_eq!(options.servers, "a:1,[::1]:2,[fe80::1]:9092");
    assert_eq!((&*options.topic, options.name()), ("t-1", "shop"));
    assert_eq!((options.partitions, options.replication), (Some(12), Some(3)));
    assert_eq!(options.compression, "zstd");
}

#[test]
fn a_user_means_sasl() {
    let options = parsed("kafka://us%40er:p%3Ass%2Fw%25rd+%C3%BC@h:1");
    let login = options.login.as_ref().unwrap();
    assert_eq!((&*login.user, &*login.password), ("us@er", "p:ss/w%rd+ü"));
    assert_eq!(login.mechanism, PLAIN);
    assert_eq!(parsed("kafka://u:p@h").security_protocol(), "sasl_plaintext");
}

#[cfg(feature = "kafka-tls")]
#[test]
fn files_mean_tls() {
    let options = parsed("kafka://u:p@h?ca=/ca%201.pem&mechanism=SCRAM-SHA-512");
    assert_eq!(options.security_protocol(), "sasl_ssl");
    assert_eq!(options.tls.unwrap().authorities, Some("/ca 1.pem".into()));
    assert_eq!(options.login.unwrap().mechanism, "SCRAM-SHA-512");
    assert_eq!(parsed("kafka://h?tls=required").tls, Some(TlsFiles::default()));
    let client = parsed("kafka://h?cert=c&key=k").tls.unwrap().client;
    assert_eq!(client, Some(("c".into(), "k".into())));
}

#[cfg(not(feature = "kafka-tls"))]
#[test]
fn what_was_not_built_is_told() {
    for url in ["kafka://h?tls=required", "kafka://h?ca=x", "kafka://u:p@h?mechanism=SCRAM-SHA-256"] {
        assert!(fault(url).contains("kafka-tls"), "{}", fault(url));
    }
}

#[test]
fn each_fault_is_one_clear_line() {
    for (url, part) in [
        ("nats://h", "kafka://"),
        ("kafka://", "not a host"),
        ("kafka://h:0", "not a host"),
        ("kafka://h:port", "not a host"),
        ("kafka://h,,g", "not a host"),
        ("kafka://h/topic", "not a host"),
        ("kafka://h?topic=a/b", "topic=a/b"),
        ("kafka://h?topic=..", "topic=.."),
        ("kafka://h?partitions=0", "partitions=0"),
        ("kafka://h?replication=40000", "replication=40000"),
        ("kafka://h?compression=zip", "lz4, zstd, gzip, snappy, none"),
        ("kafka://h?name=", "name"),
        ("kafka://h?topics=x", "no parameter topics=; did you mean topic?"),
        ("kafka://h?Partitons=3", "did you mean partitions?"),
        ("kafka://h?topic=x&topic=y", "twice"),
        ("kafka://h?tls=maybe", "one of required"),
        ("kafka://h?mechanism=PLAIN", "mechanism= needs a user"),
        ("kafka://u@h", "USER:PASSWORD"),
        ("kafka://u:p@h?mechanism=GSSAPI", "SCRAM-SHA-512"),
        ("kafka://h?cert=/c.pem", "belong together"),
        ("kafka://h?ca=", "ca= is empty"),
    ] {
        let why = fault(url);
        assert!(why.contains(part) && !why.contains('\n'), "{url}: {why}");
    }
}

#[test]
fn a_password_is_never_shown() {
    for url in
        ["kafka://u:secret@h:x", "kafka://:secret@h", "kafka://u%ff:secret@h", "kafka://u:secret@h?x=1"]
    {
        assert!(!fault(url).contains("secret"), "{}", fault(url));
    }
    let options = parsed("kafka://user:secret@h:1,g:2?topic=t");
    assert_eq!(options.to_string(), "kafka://user@h:1,g:2?topic=t");
    assert!(!format!("{options:?}").contains("secret"));
}
