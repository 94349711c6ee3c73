//! What many measurements come to.

/// The mean.
pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / f64::from(u32::try_from(values.len()).expect("a count"))
}

/// The smallest value that `percent` of all values do not exceed.
pub(crate) fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1]
}

/// p50, p99 and the largest: cells of a table.
pub(crate) fn spread(values: &[f64]) -> String {
    let [p50, p99, max] = [50, 99, 100].map(|percent| percentile(values, percent));
    format!("{p50:.0} | {p99:.0} | {max:.0}")
}
