//! `print`: what comes with the binary is what the binary is.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::server::{Ended, Program};
use crate::start_up::USAGE;

/// What `print` prints.
#[track_caller]
pub(crate) fn printed(words: &[&str]) -> String {
    let Ended { status, stdout, stderr } = Program::new([&["print"], words].concat()).run();
    assert_eq!((status, &stderr[..]), (Some(0), &[][..]), "{words:?}");
    stdout.join("\n") + "\n"
}

/// Names that begin with a prefix, up to whatever is no part of a name.
fn names<'a>(text: &'a str, prefix: &str) -> Vec<&'a str> {
    let name = |(at, _): (usize, &str)| {
        let rest = &text[at..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_');
        rest[..end.unwrap_or(rest.len())].trim_end_matches(['-', '_'])
    };
    text.match_indices(prefix).map(name).collect()
}

#[test]
fn every_option_and_variable_that_units_and_manifests_name_is_one_of_serves() {
    let help = Program::new(["serve", "--help"]).run().stdout.join("\n");
    let all_words = [&["systemd"][..], &["kubernetes"], &["kubernetes", "--store", "postgres"]];
    let compose = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../compose.yaml");
    let texts = all_words.iter().map(|words| printed(words)).chain([fs::read_to_string(compose).unwrap()]);
    for text in texts {
        // What the comments say of kubectl and systemctl is theirs.
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let commands = lines.clone().filter(|line| line.contains("serve\"") || line.contains(" serve "));
        let options = commands.flat_map(|line| names(line, "--")).filter(|name| name.len() > "--".len());
        let named: Vec<_> = lines.flat_map(|line| names(line, "ORDER_SERVICE_")).chain(options).collect();
        assert!(!named.is_empty(), "{text}");
        for name in named {
            assert!(help.contains(name), "{name} is none of serve's: {text}");
        }
    }
}

#[test]
fn manifests_that_other_machines_reach_say_who_may_do_what() {
    for words in [&["kubernetes"][..], &["kubernetes", "--store", "postgres"]] {
        let text = printed(words);
        assert!(text.contains("0.0.0.0") && text.contains("name: ORDER_SERVICE_ACCESS"), "{text}");
    }
}

#[test]
fn manifests_name_the_image_of_this_release() {
    for words in [&["kubernetes"][..], &["kubernetes", "--store", "postgres"]] {
        let image = format!("image: order-service:{}\n", env!("CARGO_PKG_VERSION"));
        assert!(printed(words).contains(&image), "{image}");
    }
}

#[test]
fn the_document_is_the_one_that_is_served() {
    let server = Program::serve().argument("--store", "memory:").start();
    assert_eq!(printed(&["openapi"]), server.get("/openapi.json").text());
}

#[test]
fn completions_and_manual_pages_name_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = printed(&["completions", shell]);
        assert!(script.contains("republish") && script.contains("data-dir"), "{shell}");
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("completions");
    fs::write(&file, printed(&["completions", "bash"])).unwrap();
    assert!(Command::new("bash").arg("-n").arg(&file).status().unwrap().success());
    assert!(printed(&["man"]).contains("republish"));
    assert!(printed(&["man", "republish"]).contains("Publish events to a broker again"));
    assert!(printed(&["man", "serve"]).contains("ORDER_SERVICE_LISTEN"), "it names the variables of options");
    let ended = Program::new(["print", "man", "serf"]).run();
    assert_eq!(ended.status, Some(USAGE));
    assert!(ended.stderr[0].contains("serve, verify"), "{ended:?}");
}

#[test]
fn systemd_hears_when_it_serves_and_when_it_stops() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let systemd = UnixDatagram::bind(&path).unwrap();
    systemd.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let hear = || {
        let mut message = [0; 100];
        let length = systemd.recv(&mut message).unwrap();
        String::from_utf8_lossy(&message[..length]).trim().to_owned()
    };
    let program = Program::serve().argument("--store", "memory:").variable("NOTIFY_SOCKET", &path);
    let server = program.start();
    assert_eq!(hear(), "READY=1");
    server.stop();
    assert_eq!(hear(), "STOPPING=1");
}
