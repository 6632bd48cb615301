//! From values to places on paper: linear and logarithmic axes with round ticks, and thinning of long curves.

/// Larger magnitudes are treated like infinities: they come from divergence and would flatten everything else.
const LARGEST: f64 = 1e30;

/// Whether a value can be drawn at all.
pub(crate) fn drawable(value: f64) -> bool {
    value.is_finite() && value.abs() < LARGEST
}

/// An axis: the values at its two ends, and its ticks between them.
#[derive(Debug, Clone)]
pub(crate) struct Scale {
    low: f64,
    high: f64,
    logarithmic: bool,
    /// Whether a logarithmic axis has no place for what lies below it.
    strict: bool,
    /// Values that get a grid line and a number, ascending.
    pub(crate) ticks: Vec<f64>,
}

impl Scale {
    /// A linear axis that spans `values`, its ends on ticks, about `wanted` of them. Undrawable values are ignored;
    /// without any the axis runs from 0 to 1.
    pub(crate) fn linear(values: impl IntoIterator<Item = f64>, wanted: usize) -> Self {
        let (low, high) = widened(span(values).unwrap_or((0.0, 1.0)));
        let step = round_step((high - low) / wanted as f64);
        let (first, last) = ((low / step).floor() as i64, (high / step).ceil() as i64);
        let ticks: Vec<f64> = (first..=last).map(|i| i as f64 * step).collect();
        Self { low: ticks[0], high: ticks[ticks.len() - 1], logarithmic: false, strict: false, ticks }
    }

    /// An axis that ends where the data ends, with ticks on whole numbers where there are enough of them: of epochs, say.
    pub(crate) fn tight(values: impl IntoIterator<Item = f64>, wanted: usize) -> Self {
        let (low, high) = span(values).unwrap_or((0.0, 1.0));
        if widened((low, high)) != (low, high) {
            return Self {
                low: low - 1.0,
                high: low + 1.0,
                logarithmic: false,
                strict: false,
                ticks: vec![low],
            };
        }
        let mut step = round_step((high - low) / wanted as f64);
        if high - low >= 2.0 {
            step = step.max(1.0).ceil();
        }
        // A hair of tolerance keeps an end that is a multiple of the step up to rounding.
        let (first, last) = ((low / step - 1e-9).ceil() as i64, (high / step + 1e-9).floor() as i64);
        let ticks = (first..=last).map(|i| i as f64 * step).collect();
        Self { low, high, logarithmic: false, strict: false, ticks }
    }

    /// A logarithmic axis over the positive `values`, its ends on powers of ten.
    pub(crate) fn logarithmic(values: impl IntoIterator<Item = f64>) -> Self {
        let (low, high) = span(values.into_iter().filter(|&v| v > 0.0)).unwrap_or((0.1, 1.0));
        let (first, last) =
            (low.log10().floor() as i32, (high.log10().ceil() as i32).max(low.log10().floor() as i32 + 1));
        let every = ((last - first) as usize).div_ceil(6);
        let ticks = (first..=last).step_by(every).map(|exponent| 10f64.powi(exponent)).collect();
        Self { low: f64::from(first), high: f64::from(last), logarithmic: true, strict: false, ticks }
    }

    /// The same axis without a place for what lies below it.
    pub(crate) fn strict(self) -> Self {
        Self { strict: true, ..self }
    }

    /// Logarithmic where all values are positive and span more than `ratio`, else linear.
    pub(crate) fn fitting(values: &[f64], ratio: f64, wanted: usize) -> Self {
        match span(values.iter().copied()) {
            Some((low, high)) if low > 0.0 && high / low > ratio => Self::logarithmic(values.iter().copied()),
            _ => Self::linear(values.iter().copied(), wanted),
        }
    }

    /// Takes what lies below `low` or above `high` off a linear axis, for quantities that cannot go there.
    pub(crate) fn cut(&mut self, low: f64, high: f64) {
        if self.low < high && self.high > low {
            (self.low, self.high) = (self.low.max(low), self.high.min(high));
            self.ticks.retain(|tick| (self.low..=self.high).contains(tick));
        }
    }

    /// Whether equal ratios, rather than equal differences, take equal room.
    pub(crate) fn is_logarithmic(&self) -> bool {
        self.logarithmic
    }

    /// Where `value` lies between the ends: 0 to 1 for values within. A logarithmic axis puts what lies below it, and zero, at its
    /// low end, unless it is [strict](Scale::strict).
    pub(crate) fn place(&self, value: f64) -> f64 {
        let value = if !self.logarithmic {
            value
        } else if self.strict {
            value.log10()
        } else if value > 0.0 {
            value.log10().max(self.low)
        } else {
            self.low
        };
        (value - self.low) / (self.high - self.low)
    }
}

/// Positions of at most about `room` points that keep the shape of the curves: of every stretch the first point, each
/// series' lowest and highest, and one that cannot be drawn (so that a gap stays a gap).
pub(crate) fn thin(length: usize, room: usize, series: &[&dyn Fn(usize) -> Option<f64>]) -> Vec<usize> {
    if length <= room {
        return (0..length).collect();
    }
    let stretches = (room / (2 + 2 * series.len())).max(1);
    let mut kept = vec![length - 1];
    for stretch in 0..stretches {
        let range = stretch * length / stretches..(stretch + 1) * length / stretches;
        kept.push(range.start);
        for value in series {
            let drawn = || range.clone().filter_map(|i| Some((i, value(i).filter(|&v| drawable(v))?)));
            kept.extend(drawn().min_by(|a, b| a.1.total_cmp(&b.1)).map(|(i, _)| i));
            kept.extend(drawn().max_by(|a, b| a.1.total_cmp(&b.1)).map(|(i, _)| i));
            kept.extend(range.clone().find(|&i| value(i).is_some_and(|v| !drawable(v))));
        }
    }
    kept.sort_unstable();
    kept.dedup();
    kept
}

/// The smallest of 1, 2, 5 times a power of ten that is at least `step`.
fn round_step(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    let digit = step / power;
    // Rounding must not push an exact 2 to 5.
    power * [1.0, 2.0, 5.0, 10.0].into_iter().find(|d| *d >= digit - 1e-9).unwrap_or(10.0)
}

/// The span, or one around it where it is too narrow for ticks that differ.
fn widened((low, high): (f64, f64)) -> (f64, f64) {
    let magnitude = low.abs().max(high.abs());
    if high - low > (1e-9 * magnitude).max(1e-30) {
        (low, high)
    } else {
        if magnitude > 1e-30 { (low - magnitude / 2.0, high + magnitude / 2.0) } else { (0.0, 1.0) }
    }
}

/// Lowest and highest drawable value.
fn span(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    values.into_iter().filter(|&v| drawable(v)).fold(None, |span, v| match span {
        None => Some((v, v)),
        Some((low, high)) => Some((f64::min(low, v), f64::max(high, v))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linear_ticks_are_round_and_enclose_the_values() {
        let scale = Scale::linear([0.13, 2.31, f64::NAN, f64::INFINITY], 5);
        assert_eq!(scale.ticks, [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]);
        assert_eq!((scale.place(0.0), scale.place(1.25), scale.place(2.5)), (0.0, 0.5, 1.0));
    }

    #[test]
    fn equal_or_missing_values_still_make_an_axis() {
        for values in [vec![], vec![0.0], vec![3.0, 3.0], vec![-1e-12], vec![0.0, 5e-324], vec![f64::NAN]] {
            let scale = Scale::linear(values.clone(), 5);
            assert!(scale.ticks.len() >= 2, "{values:?}");
            let tight = Scale::tight(values.clone(), 6);
            assert!(tight.place(0.0).is_finite(), "{values:?}");
        }
    }

    #[test]
    fn tight_ticks_are_whole_numbers_inside_the_data() {
        assert_eq!(Scale::tight((1..=30).map(f64::from), 6).ticks, [5.0, 10.0, 15.0, 20.0, 25.0, 30.0]);
        assert_eq!(Scale::tight([1.0, 2.0, 3.0], 6).ticks, [1.0, 2.0, 3.0]);
        let single = Scale::tight([7.0], 6);
        assert_eq!((single.place(7.0), single.ticks), (0.5, vec![7.0]));
    }

    #[test]
    fn logarithmic_axes_put_equal_ratios_at_equal_distances() {
        let scale = Scale::fitting(&[0.002, 2.0], 100.0, 5);
        assert_eq!(scale.ticks, [0.001, 0.01, 0.1, 1.0, 10.0]);
        assert!((scale.place(0.1) - 0.5).abs() < 1e-12);
        assert_eq!(scale.place(0.0), 0.0);
        assert!(!Scale::fitting(&[0.0, 2.0], 100.0, 5).is_logarithmic());
        let strict = Scale::logarithmic([0.002, 2.0]).strict();
        assert!(strict.place(1e-5) < 0.0 && strict.place(0.0) < 0.0 && scale.place(1e-5) == 0.0);
    }

    #[test]
    fn thinning_keeps_ends_spikes_and_gaps() {
        let value = |i: usize| {
            Some(if i == 617 {
                1e6
            } else if i == 333 {
                f64::NAN
            } else {
                1.0 / (i + 1) as f64
            })
        };
        let kept = thin(10_000, 200, &[&value]);
        assert!(kept.len() <= 201, "{}", kept.len());
        assert!([0, 333, 617, 9_999].iter().all(|i| kept.contains(i)));
        assert_eq!(thin(5, 200, &[&value]), [0, 1, 2, 3, 4]);
    }
}
