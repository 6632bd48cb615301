//! Derivatives from differences, and whether there is one at all.

/// Steps that are tried in turn, relative to the size of the value: a large one loses least to rounding, a small
/// one is least likely to reach a kink.
const STEPS: [f64; 4] =
    [1.0 / (1 << 9) as f64, 1.0 / (1 << 12) as f64, 1.0 / (1 << 15) as f64, 1.0 / (1 << 18) as f64];

/// How far, relative to the derivative, two steps may disagree.
const AGREEMENT: f64 = 1e-7;

/// f′(0) for values of magnitude `size`, by the five-point stencil with an error of order h⁴. `None` where f has a
/// kink there, as a ReLU at 0 and a tie of maxima have: then steps of different size disagree.
///
/// Disagreement is measured relative to the derivative, or to `floor` where that is larger.
pub(super) fn derivative(size: f64, floor: f64, mut f: impl FnMut(f64) -> f64) -> Option<f64> {
    let centre = f(0.0);
    STEPS.iter().find_map(|step| {
        let h = step * size;
        let [half, one, two] = [0.5 * h, h, 2.0 * h].map(|h| (f(-h), f(h)));
        let (wide, narrow) = (five_points(one, two, h), five_points(half, one, 0.5 * h));
        // A kink at 0 itself shifts both alike, but bends f by a step that does not shrink with h.
        let kink = 2.0 * bend(centre, half, 0.5 * h) - bend(centre, one, h);
        let tolerance = AGREEMENT * wide.abs().max(narrow.abs()).max(floor);
        ((wide - narrow).abs() <= tolerance && kink.abs() <= tolerance).then_some(narrow)
    })
}

/// The derivative from f(∓h) and f(∓2h).
fn five_points(one: (f64, f64), two: (f64, f64), h: f64) -> f64 {
    (8.0 * (one.1 - one.0) - (two.1 - two.0)) / (12.0 * h)
}

/// The right-hand minus the left-hand slope: h·f″ where f is smooth, the step of the slope at a kink.
fn bend(centre: f64, one: (f64, f64), h: f64) -> f64 {
    ((one.1 - centre) - (centre - one.0)) / h
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smooth_functions_have_their_derivative() {
        let cases: [(&dyn Fn(f64) -> f64, f64); 5] = [
            (&|x| (1.0 + x).sin(), 1f64.cos()),
            (&|x| (3.0 * x).exp(), 3.0),
            (&|x| (0.3 + x).tanh(), 1.0 - 0.3f64.tanh().powi(2)),
            (&|x| 1000.0 + x * x, 0.0),
            (&|_| 7.0, 0.0),
        ];
        for (f, expected) in cases {
            let found = derivative(1.0, 1e-2, f).expect("smooth");
            assert!((found - expected).abs() < 1e-9, "{found} {expected}");
        }
    }

    #[test]
    fn a_kink_at_the_point_is_recognised_and_one_nearby_is_avoided() {
        assert_eq!(derivative(1.0, 1e-3, |x| x.max(0.0)), None);
        assert_eq!(derivative(1.0, 1e-3, |x| 3.0 * x + 1e-4 * x.abs()), None);
        for near in [1e-3, -1e-4, 3e-5] {
            let found = derivative(1.0, 1e-3, |x| (x - near).max(0.0)).expect("a smaller step fits");
            assert!((found - if near < 0.0 { 1.0 } else { 0.0 }).abs() < 1e-9, "{near}: {found}");
        }
        assert_eq!(derivative(1.0, 1e-3, |x| if x < 0.0 { 0.0 } else { 1.0 }), None);
    }
}
