//! Reading what a scrape is answered with, as strictly as the formats are written down.

use std::collections::BTreeMap;

/// The two formats. They differ in the names of counters, in units, and in how they end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Prometheus,
    OpenMetrics,
}

/// A metric: what is said of it, and its values.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Family {
    pub(super) kind: String,
    pub(super) help: String,
    pub(super) unit: Option<String>,
    pub(super) samples: Vec<Sample>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) value: f64,
}

/// Metrics by the names under which their values are asked for: with `_total`, `_info`.
pub(super) type Families = BTreeMap<String, Family>;

/// Reads a whole page.
///
/// # Errors
/// The first line that is wrong.
pub(super) fn parse(format: Format, text: &str) -> Result<Families, String> {
    let body = match format {
        Format::Prometheus => text.strip_suffix('\n').ok_or("the last line has no end")?,
        Format::OpenMetrics => text.strip_suffix("\n# EOF\n").ok_or("it does not end with EOF")?,
    };
    let mut reader = Reader { format, families: Families::new(), current: None };
    for line in body.split('\n') {
        reader.take(line).map_err(|why| format!("{why}: {line}"))?;
    }
    reader.finish()?;
    Ok(reader.families)
}

struct Reader {
    format: Format,
    families: Families,
    current: Option<(String, Family)>,
}

impl Reader {
    fn take(&mut self, line: &str) -> Result<(), String> {
        let Some(comment) = line.strip_prefix("# ") else { return self.take_sample(line) };
        let (keyword, rest) = comment.split_once(' ').ok_or("a comment of one word")?;
        let (name, said) = rest.split_once(' ').ok_or("nothing is said")?;
        if !is_name(name) {
            return Err("no name".to_owned());
        }
        if keyword == "HELP" {
            self.finish()?;
            let family =
                Family { kind: String::new(), help: said.to_owned(), unit: None, samples: Vec::new() };
            self.current = Some((name.to_owned(), family));
            return Ok(());
        }
        let (current, family) = self.current.as_mut().ok_or("it belongs to nothing")?;
        if current != name || !family.samples.is_empty() {
            return Err("it belongs to another".to_owned());
        }
        match keyword {
            "TYPE" if family.kind.is_empty() => said.clone_into(&mut family.kind),
            "UNIT" if self.format == Format::OpenMetrics && family.unit.is_none() => {
                if !name.ends_with(&format!("_{said}")) {
                    return Err("the name does not end with the unit".to_owned());
                }
                family.unit = Some(said.to_owned());
            }
            _ => return Err("not a line of this format".to_owned()),
        }
        Ok(())
    }

    fn take_sample(&mut self, line: &str) -> Result<(), String> {
        let (series, value) = line.rsplit_once(' ').ok_or("no value")?;
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}').ok_or("labels without an end")?),
            None => (series, ""),
        };
        let sample = Sample {
            name: name.to_owned(),
            labels: read_labels(labels)?,
            value: value.parse().map_err(|_| "not a number")?,
        };
        let (family_name, family) = self.current.as_mut().ok_or("it belongs to nothing")?;
        if !suffixes(self.format, &family.kind)?
            .iter()
            .any(|suffix| *name == format!("{family_name}{suffix}"))
        {
            return Err(format!("not of the {} {family_name}", family.kind));
        }
        if family.samples.iter().any(|other| (&other.name, &other.labels) == (&sample.name, &sample.labels)) {
            return Err("it was said before".to_owned());
        }
        if family.kind == "counter" && sample.value < 0.0 {
            return Err("less than never".to_owned());
        }
        family.samples.push(sample);
        Ok(())
    }

    /// What has been read last is whole.
    fn finish(&mut self) -> Result<(), String> {
        let Some((name, family)) = self.current.take() else { return Ok(()) };
        if family.kind.is_empty() {
            return Err(format!("{name} has no type"));
        }
        if family.kind == "histogram" {
            check_histograms(&name, &family)?;
        }
        let suffix = match (self.format, family.kind.as_str()) {
            (Format::OpenMetrics, "counter") => "_total",
            (Format::OpenMetrics, "info") => "_info",
            _ => "",
        };
        match self.families.insert(format!("{name}{suffix}"), family) {
            Some(_) => Err(format!("{name} comes twice")),
            None => Ok(()),
        }
    }
}

fn suffixes(format: Format, kind: &str) -> Result<&'static [&'static str], String> {
    match (format, kind) {
        (Format::OpenMetrics, "counter") => Ok(&["_total"]),
        (Format::OpenMetrics, "info") => Ok(&["_info"]),
        (Format::Prometheus, "counter") | (_, "gauge") => Ok(&[""]),
        (_, "histogram") => Ok(&["_bucket", "_sum", "_count"]),
        _ => Err(format!("there is no type {kind}")),
    }
}

fn is_name(text: &str) -> bool {
    let is_of_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    text.starts_with(|first: char| first.is_ascii_lowercase()) && text.bytes().all(is_of_name)
}

fn read_labels(mut text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut labels = BTreeMap::new();
    while !text.is_empty() {
        let (name, rest) = text.split_once("=\"").ok_or("a label without a value")?;
        let (value, rest) = rest.split_once('"').ok_or("a value without an end")?;
        if !is_name(name)
            || value.contains('\\')
            || labels.insert(name.to_owned(), value.to_owned()).is_some()
        {
            return Err(format!("the label {name}"));
        }
        text = match rest.strip_prefix(',') {
            Some(more) if !more.is_empty() => more,
            None if rest.is_empty() => rest,
            _ => return Err("labels that are not separated".to_owned()),
        };
    }
    Ok(labels)
}

/// Buckets ascend, each has those before it, and the last has all.
fn check_histograms(name: &str, family: &Family) -> Result<(), String> {
    let mut series = BTreeMap::<_, Vec<(f64, f64)>>::new();
    for sample in family.samples.iter().filter(|sample| sample.name.ends_with("_bucket")) {
        let mut labels = sample.labels.clone();
        let bound = labels.remove("le").ok_or("a bucket without a bound")?;
        let bound = bound.parse().map_err(|_| format!("the bound {bound}"))?;
        series.entry(labels).or_default().push((bound, sample.value));
    }
    for (labels, buckets) in series {
        let value = |suffix: &str| {
            let name = format!("{name}_{suffix}");
            family
                .samples
                .iter()
                .find(|sample| sample.name == name && sample.labels == labels)
                .map(|found| found.value)
        };
        let ascends = buckets.is_sorted_by(|one, next| one.0 < next.0 && one.1 <= next.1);
        let last = buckets.last().copied().unwrap_or_default();
        if !ascends || last.0 != f64::INFINITY || Some(last.1) != value("count") || value("sum").is_none() {
            return Err(format!("the histogram {name} {labels:?}: {buckets:?}"));
        }
    }
    Ok(())
}

#[test]
fn pages_that_are_wrong_are_not_read() {
    let good = "# HELP a_total A.\n# TYPE a_total counter\na_total{b=\"c\"} 1\n";
    assert!(parse(Format::Prometheus, good).is_ok());
    for wrong in [
        "# HELP a_total A.\n# TYPE a_total counter\na_total 1",
        "# HELP a_total A.\n# TYPE a_total counter\na_total -1\n",
        "# HELP a_total A.\n# TYPE a_total counter\nb_total 1\n",
        "# HELP a_total A.\n# TYPE a_total counter\na_total 1\na_total 2\n",
        "# HELP a_total A.\na_total 1\n",
        "# HELP a A.\n# TYPE a summary\na 1\n",
        "a 1\n",
        "# HELP a A.\n# TYPE a gauge\na x\n",
        "# HELP a A.\n# TYPE a gauge\na{b=\"c\",} 1\n",
        "# HELP a A.\n# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 1\na_count 1\na_sum 1\n",
        "# HELP a A.\n# TYPE a histogram\na_bucket{le=\"1\"} 1\na_count 1\na_sum 1\n",
        "# HELP a A.\n# TYPE a gauge\na 1\n# HELP a A.\n# TYPE a gauge\n",
    ] {
        assert!(parse(Format::Prometheus, wrong).is_err(), "{wrong}");
    }
    let good = "# HELP a A.\n# TYPE a counter\na_total 1\n# EOF\n";
    assert!(parse(Format::OpenMetrics, good).is_ok());
    for wrong in [
        "# HELP a A.\n# TYPE a counter\na_total 1\n",
        "# HELP a A.\n# TYPE a counter\na 1\n# EOF\n",
        "# HELP a A.\n# TYPE a gauge\n# UNIT a seconds\na 1\n# EOF\n",
        "# HELP a A.\n# TYPE a gauge\na 1\n# EOF\n\n",
    ] {
        assert!(parse(Format::OpenMetrics, wrong).is_err(), "{wrong}");
    }
}
