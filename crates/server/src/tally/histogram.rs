use std::sync::atomic::AtomicU64;
use std::time::Duration;

use super::{add, read};
use crate::view::HistogramView;

/// Upper bounds in microseconds: from what a processor does at once to what a person gives up on.
const BOUNDS_MICROS: [u64; 15] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 5_000_000,
    15_000_000, 60_000_000,
];

/// How many took how long. Fixed size.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    buckets: [AtomicU64; BOUNDS_MICROS.len() + 1],
    sum_micros: AtomicU64,
}

impl Histogram {
    pub(crate) fn note(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let at = BOUNDS_MICROS.iter().position(|bound| micros <= *bound).unwrap_or(BOUNDS_MICROS.len());
        if let Some(bucket) = self.buckets.get(at) {
            add(bucket, 1);
        }
        add(&self.sum_micros, micros);
    }

    #[expect(clippy::cast_precision_loss, reason = "seconds for people: nobody needs the 53rd bit")]
    pub(crate) fn view(&self) -> HistogramView {
        let bounds = BOUNDS_MICROS.iter().map(|micros| *micros as f64 / 1e6).chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(self.buckets.iter().map(read)).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        HistogramView { buckets, sum: read(&self.sum_micros) as f64 / 1e6, count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_falls_into_the_first_bucket_that_holds_it() {
        let histogram = Histogram::default();
        for micros in [0, 100, 101, 60_000_000, 60_000_001] {
            histogram.note(Duration::from_micros(micros));
        }
        let view = histogram.view();
        let of = |bound: f64| view.buckets.iter().find(|(other, _)| *other >= bound).unwrap().1;
        assert_eq!([of(0.000_09), of(0.000_2), of(59.0), of(f64::INFINITY)], [2, 1, 1, 1]);
        assert_eq!(view.count, 5);
        assert!((view.sum - 120.000_202).abs() < 1e-9, "{}", view.sum);
    }
}
