//! The rules and the dashboard that come with the binary ask for what there is.

use std::collections::BTreeSet;

use super::table::{self, Table};
use crate::print::printed;

/// What Prometheus adds to every series.
const LABELS_OF_PROMETHEUS: [&str; 2] = ["instance", "job"];

/// An identifier of PromQL, and what comes after it.
fn identifiers(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let is_inner = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let starts = text.char_indices().filter(move |(at, c)| is_inner(*c) && !text[..*at].ends_with(is_inner));
    starts.map(move |(at, _)| {
        let end = text[at..].find(|c| !is_inner(c)).map_or(text.len(), |length| at + length);
        (&text[at..end], &text[end..])
    })
}

/// Whether it can only be a metric of ours.
fn is_ours(name: &str) -> bool {
    ["order_", "http_server_", "process_"].iter().any(|prefix| name.starts_with(prefix)) || name == "orders"
}

/// The metric that a series belongs to: a histogram has three kinds of them.
fn metric_of<'a>(table: &Table, series: &'a str) -> Option<&'a str> {
    let parts = ["_bucket", "_sum", "_count"].iter().filter_map(|part| series.strip_suffix(part));
    let histogram =
        parts.into_iter().find(|name| table.get(*name).is_some_and(|entry| entry.kind == "histogram"));
    histogram.or_else(|| table.contains_key(series).then_some(series))
}

/// What is asked for that there is not.
fn faults(table: &Table, expression: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for (series, rest) in identifiers(expression).filter(|(name, _)| is_ours(name)) {
        // A label's name may begin as a metric's does.
        if rest.trim_start().starts_with(['=', '!']) && !rest.trim_start().starts_with("==") {
            continue;
        }
        let Some(metric) = metric_of(table, series) else {
            faults.push(format!("there is no metric {series}"));
            continue;
        };
        let Some((selectors, _)) = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) else {
            continue;
        };
        let known = &table[metric].labels;
        for (label, _) in identifiers(selectors).filter(|(_, rest)| rest.starts_with(['=', '!'])) {
            if !known.contains(label) && !LABELS_OF_PROMETHEUS.contains(&label) {
                faults.push(format!("{metric} has no label {label}"));
            }
        }
    }
    let all: BTreeSet<_> = table.values().flat_map(|entry| &entry.labels).map(String::as_str).collect();
    for (_, rest) in expression.match_indices("by (").map(|(at, found)| expression.split_at(at + found.len()))
    {
        let grouped = rest.split(')').next().unwrap_or_default().split(", ");
        let unknown = grouped.filter(|label| !all.contains(label) && !["le", "instance"].contains(label));
        faults.extend(unknown.map(|label| format!("nothing has the label {label}")));
    }
    faults
}

fn assert_none(what: &str, expressions: &[String]) {
    let table = table::read();
    assert!(expressions.len() > 15, "{what}: {expressions:?}");
    for expression in expressions {
        assert_eq!(faults(&table, expression), [""; 0], "{what}: {expression}");
    }
}

#[test]
fn every_metric_that_a_rule_names_is_there() {
    let rules = printed(&["alerts"]);
    let expressions = rules.split("expr: ").skip(1).map(|rest| {
        let expression = rest.split("\n        for:").next().unwrap_or(rest);
        expression.split("\n        labels:").next().unwrap_or(expression).to_owned()
    });
    assert_none("alerts", &expressions.collect::<Vec<_>>());
}

#[test]
fn every_metric_that_a_panel_names_is_there() {
    let dashboard: serde_json::Value = serde_json::from_str(&printed(&["grafana"])).unwrap();
    let targets =
        dashboard["panels"].as_array().unwrap().iter().filter_map(|panel| panel["targets"].as_array());
    let expressions = targets.flatten().map(|target| target["expr"].as_str().unwrap().to_owned());
    assert_none("grafana", &expressions.collect::<Vec<_>>());
}

#[test]
fn what_is_not_there_is_found() {
    let table = table::read();
    for (expression, fault) in [
        ("sum(order_storms_total)", "there is no metric order_storms_total"),
        ("order_relay_state_count == 1", "there is no metric order_relay_state_count"),
        (r#"rate(orders{state="placed"}[5m])"#, "orders has no label state"),
        ("max by (relays) (order_relay_lag_seconds)", "nothing has the label relays"),
    ] {
        assert_eq!(faults(&table, expression), [fault], "{expression}");
    }
}
