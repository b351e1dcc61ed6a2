use std::fmt;

use order_application::figures::Distribution;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

/// The answer to a scrape while it is written. A metric's name says its unit at its end, as is the custom: `…_seconds`,
/// `…_bytes`; that of a counter is given without the `_total` that is written after it.
pub struct Page<'p>(DescriptorEncoder<'p>);

/// One value of a metric, with the labels that tell it from the others.
pub type Sample<'l, V, const LABELS: usize> = ([(&'static str, &'l str); LABELS], V);

impl<'p> Page<'p> {
    pub(super) fn new(encoder: DescriptorEncoder<'p>) -> Self {
        Self(encoder)
    }

    /// How much there is of something.
    ///
    /// # Errors
    /// When it cannot be written to.
    pub fn gauge(&mut self, name: &str, help: &str, value: impl EncodeGaugeValue) -> fmt::Result {
        self.gauges(name, help, [([], value)])
    }

    /// How much there is of several things.
    ///
    /// # Errors
    /// When it cannot be written to.
    pub fn gauges<'l, V: EncodeGaugeValue, const LABELS: usize>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = Sample<'l, V, LABELS>>,
    ) -> fmt::Result {
        self.metric(name, help, MetricType::Gauge, |metric| {
            samples
                .into_iter()
                .try_for_each(|(labels, value)| metric.encode_family(&labels)?.encode_gauge(&value))
        })
    }

    /// How often something happened.
    ///
    /// # Errors
    /// When it cannot be written to.
    pub fn counter(&mut self, name: &str, help: &str, value: impl EncodeCounterValue) -> fmt::Result {
        self.counters(name, help, [([], value)])
    }

    /// How often several things happened.
    ///
    /// # Errors
    /// When it cannot be written to.
    pub fn counters<'l, V: EncodeCounterValue, const LABELS: usize>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = Sample<'l, V, LABELS>>,
    ) -> fmt::Result {
        self.metric(name, help, MetricType::Counter, |metric| {
            samples.into_iter().try_for_each(|(labels, value)| {
                metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, f64>(&value, None)
            })
        })
    }

    /// How large several things were. What was observed is `per_unit` times as much as what is shown.
    ///
    /// # Errors
    /// When it cannot be written to.
    pub fn histograms<'l, const LABELS: usize>(
        &mut self,
        name: &str,
        help: &str,
        per_unit: f64,
        samples: impl IntoIterator<Item = Sample<'l, Distribution, LABELS>>,
    ) -> fmt::Result {
        self.metric(name, help, MetricType::Histogram, |metric| {
            samples.into_iter().try_for_each(|(labels, Distribution { bounds, counts, sum })| {
                let bounds = bounds.iter().map(|bound| *bound as f64 / per_unit).chain([f64::INFINITY]);
                let buckets: Vec<_> = bounds.zip(counts.iter().copied()).collect();
                let (sum, count) = (sum as f64 / per_unit, counts.iter().sum());
                metric.encode_family(&labels)?.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
            })
        })
    }

    /// What something is, in words: `…_info`, whose value is always 1.
    ///
    /// # Errors
    /// When it cannot be written to.
    pub fn info<const LABELS: usize>(
        &mut self,
        name: &str,
        help: &str,
        labels: [(&'static str, &str); LABELS],
    ) -> fmt::Result {
        self.metric(name, help, MetricType::Info, |metric| metric.encode_info(&labels))
    }

    fn metric(
        &mut self,
        name: &str,
        help: &str,
        metric_type: MetricType,
        write: impl FnOnce(&mut MetricEncoder<'_>) -> fmt::Result,
    ) -> fmt::Result {
        let (name, unit) = match name.rsplit_once('_') {
            Some((name, "seconds")) => (name, Some(Unit::Seconds)),
            Some((name, "bytes")) => (name, Some(Unit::Bytes)),
            Some(_) | None => (name, None),
        };
        write(&mut self.0.encode_descriptor(name, help, unit.as_ref(), metric_type)?)
    }
}
