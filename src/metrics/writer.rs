//! Writes series that are computed when they are scraped.

use std::fmt;

use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;

use super::names::{Kind, Metric};

/// The values of the labels of one series, in the order of [`Metric::labels`], and its value.
pub type Sample<'a> = (Vec<&'a str>, f64);

/// Writes the series of computed metrics.
#[derive(Debug)]
pub struct SeriesWriter<'a>(DescriptorEncoder<'a>);

impl<'a> SeriesWriter<'a> {
    /// Writes to this encoder.
    pub fn new(encoder: DescriptorEncoder<'a>) -> Self {
        Self(encoder)
    }

    /// Writes all series of a metric. One without series is not mentioned.
    ///
    /// # Errors
    /// If the text cannot be written.
    pub fn write<'s>(
        &mut self,
        metric: &Metric,
        samples: impl IntoIterator<Item = Sample<'s>>,
    ) -> fmt::Result {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return Ok(());
        }
        let (kind, help) = (type_of(metric.kind), format!("{}.", metric.help));
        let mut series = self.0.encode_descriptor(metric.name, &help, None, kind)?;
        for (values, value) in samples {
            debug_assert_eq!(metric.labels.len(), values.len(), "labels of {}", metric.name);
            let labels: Vec<_> = metric.labels.iter().copied().zip(values).collect();
            let mut one = series.encode_family(&labels)?;
            if metric.kind == Kind::Counter {
                one.encode_counter(&value, None::<&Exemplar<Vec<(&str, &str)>, f64>>)?;
            } else {
                one.encode_gauge(&value)?;
            }
        }
        Ok(())
    }
}

fn type_of(kind: Kind) -> MetricType {
    match kind {
        Kind::Counter => MetricType::Counter,
        Kind::Gauge => MetricType::Gauge,
        Kind::Histogram => MetricType::Histogram,
    }
}
