//! BFGS: how small networks are fitted to the last digit.

/// What a fit ended with.
pub(super) struct Minimum {
    /// Where.
    pub(super) at: Vec<f64>,
    /// The value there.
    pub(super) value: f64,
}

/// A function with its gradient: fills the gradient at a place and returns the value.
pub(super) trait Smooth {
    fn evaluate(&mut self, at: &[f64], gradient: &mut [f64]) -> f64;
}

impl<F: FnMut(&[f64], &mut [f64]) -> f64> Smooth for F {
    fn evaluate(&mut self, at: &[f64], gradient: &mut [f64]) -> f64 {
        self(at, gradient)
    }
}

/// Constants of the strong Wolfe conditions, as Nocedal and Wright 2006 give them for quasi-Newton methods.
const DECREASE: f64 = 1e-4;
const FLATNESS: f64 = 0.9;

/// Follows the function down from `start` (Broyden, Fletcher, Goldfarb and Shanno 1970; Nocedal and Wright 2006, algorithm 6.1)
/// for at most `iterations` steps, or until no step leads further down.
pub(super) fn minimise(function: &mut impl Smooth, start: Vec<f64>, iterations: usize) -> Minimum {
    let n = start.len();
    let (mut at, mut gradient) = (start, vec![0.0; n]);
    let mut value = function.evaluate(&at, &mut gradient);
    // The inverse of the Hessian, as far as it is known.
    let mut inverse = identity(n, 1.0);
    let mut fresh = true;
    for _ in 0..iterations {
        let mut direction = times(&inverse, &gradient);
        direction.iter_mut().for_each(|d| *d = -*d);
        if dot(&direction, &gradient) >= 0.0 {
            inverse = identity(n, 1.0);
            direction = gradient.iter().map(|g| -g).collect();
            fresh = true;
        }
        let first = if fresh { (1.0 / norm(&gradient).max(f64::MIN_POSITIVE)).min(1.0) } else { 1.0 };
        let Some(step) = line_search(function, &at, value, &gradient, &direction, first) else {
            if fresh {
                break;
            }
            // What is known of the curvature may be wrong here: begin again along the gradient.
            inverse = identity(n, 1.0);
            fresh = true;
            continue;
        };
        let s: Vec<f64> = step.at.iter().zip(&at).map(|(a, b)| a - b).collect();
        let y: Vec<f64> = step.gradient.iter().zip(&gradient).map(|(a, b)| a - b).collect();
        let curvature = dot(&s, &y);
        if curvature > 1e-300 {
            if fresh {
                inverse = identity(n, curvature / dot(&y, &y));
                fresh = false;
            }
            update(&mut inverse, &s, &y, curvature);
        }
        (at, value, gradient) = (step.at, step.value, step.gradient);
        if norm(&gradient) == 0.0 {
            break;
        }
    }
    Minimum { at, value }
}

/// A place on the line.
struct Step {
    at: Vec<f64>,
    value: f64,
    gradient: Vec<f64>,
}

/// A step that fulfils the strong Wolfe conditions, by bisection; the best that goes down, where rounding leaves none.
fn line_search(
    function: &mut impl Smooth,
    from: &[f64],
    value: f64,
    gradient: &[f64],
    direction: &[f64],
    first: f64,
) -> Option<Step> {
    let slope = dot(gradient, direction);
    let (mut low, mut high, mut length) = (0.0, f64::INFINITY, first);
    let mut best: Option<Step> = None;
    for _ in 0..60 {
        let at: Vec<f64> = from.iter().zip(direction).map(|(x, d)| x + length * d).collect();
        let mut step = Step { value: 0.0, gradient: vec![0.0; at.len()], at };
        step.value = function.evaluate(&step.at, &mut step.gradient);
        let along = dot(&step.gradient, direction);
        let descends = step.value <= value + DECREASE * length * slope;
        let flat = along.abs() <= FLATNESS * slope.abs();
        let lower = step.value < best.as_ref().map_or(value, |best| best.value);
        if !descends || !step.value.is_finite() {
            high = length;
        } else if flat {
            return Some(step);
        } else if along < 0.0 {
            low = length;
        } else {
            high = length;
        }
        if lower {
            best = Some(step);
        }
        length = if high.is_finite() { f64::midpoint(low, high) } else { 2.0 * length };
        if high - low <= 1e-14 * high {
            break;
        }
    }
    best
}

/// H ← (1 − ρsyᵀ)·H·(1 − ρysᵀ) + ρssᵀ with ρ = 1/(s·y).
fn update(inverse: &mut [f64], s: &[f64], y: &[f64], curvature: f64) {
    let n = s.len();
    let hy = times(inverse, y);
    let factor = (1.0 + dot(y, &hy) / curvature) / curvature;
    for i in 0..n {
        for j in 0..n {
            inverse[i * n + j] += factor * s[i] * s[j] - (hy[i] * s[j] + s[i] * hy[j]) / curvature;
        }
    }
}

fn identity(n: usize, scale: f64) -> Vec<f64> {
    (0..n * n).map(|i| if i % n == i / n { scale } else { 0.0 }).collect()
}

fn times(matrix: &[f64], x: &[f64]) -> Vec<f64> {
    matrix.chunks_exact(x.len()).map(|row| dot(row, x)).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(x: &[f64]) -> f64 {
    dot(x, x).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rosenbrocks_valley_is_followed_to_its_end() {
        let mut rosenbrock = |x: &[f64], g: &mut [f64]| {
            let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
            g[0] = -2.0 * a - 400.0 * x[0] * b;
            g[1] = 200.0 * b;
            a * a + 100.0 * b * b
        };
        let found = minimise(&mut rosenbrock, vec![-1.2, 1.0], 200);
        assert!(found.value < 1e-20, "{}", found.value);
        assert!(found.at.iter().all(|x| (x - 1.0).abs() < 1e-9), "{:?}", found.at);
    }
}
