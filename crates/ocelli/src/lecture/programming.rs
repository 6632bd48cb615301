//! Linear programming: is there a plane that separates two classes?

/// What there is of two classes of points.
#[derive(Clone, Debug)]
pub(super) enum Separation {
    /// Weights and a bias with y·(w·x + b) ≥ 1 for every point: w first, b last.
    Plane(Vec<f64>),
    /// Weights λ ≥ 0 of the points, with sum 1, such that Σ λ·y·x = 0 and Σ λ·y = 0: no plane can be on the right side of all.
    Proof(Vec<f64>),
}

/// What is 0 but for rounding. Points have whole coordinates, or are scaled like these.
const ZERO: f64 = 1e-9;

/// Whether a plane separates points with y = 1 from those with y = −1. By Farkas’ lemma there is either a plane or a proof that
/// there is none; the simplex method, its first phase with Bland's rule (1977), finds which.
pub(super) fn separate(points: &[Vec<f64>], signs: &[f64]) -> Separation {
    assert_eq!(points.len(), signs.len(), "a sign for each point");
    let mut tableau = Tableau::new(points, signs);
    tableau.solve();
    let left = tableau.objective();
    if left < ZERO { Separation::Proof(tableau.weights()) } else { Separation::Plane(tableau.plane(left)) }
}

/// Minimises Σa subject to Σ λ_i y_i (x_i, 1) + a = 0, Σ λ_i + a = 1, λ ≥ 0, a ≥ 0. One row per equation and one of reduced
/// costs; columns for λ, for a, and for the right side.
struct Tableau {
    rows: Vec<Vec<f64>>,
    costs: Vec<f64>,
    basis: Vec<usize>,
    points: usize,
}

impl Tableau {
    fn new(points: &[Vec<f64>], signs: &[f64]) -> Tableau {
        let dims = points.first().map_or(0, Vec::len);
        let (n, equations) = (points.len(), dims + 2);
        let coefficient = |row: usize, point: usize| match row {
            row if row < dims => signs[point] * points[point][row],
            row if row == dims => signs[point],
            _ => 1.0,
        };
        let rows: Vec<Vec<f64>> = (0..equations)
            .map(|row| {
                let own = (0..equations).map(|a| f64::from(u8::from(a == row)));
                let right = f64::from(u8::from(row + 1 == equations));
                (0..n).map(|point| coefficient(row, point)).chain(own).chain([right]).collect()
            })
            .collect();
        // The basis begins with all a; their costs of 1 are taken out of the row of costs.
        let mut costs = vec![0.0; n + equations + 1];
        for row in &rows {
            costs.iter_mut().zip(row).for_each(|(cost, v)| *cost -= v);
        }
        costs[n..n + equations].fill(0.0);
        Tableau { rows, costs, basis: (n..n + equations).collect(), points: n }
    }

    fn solve(&mut self) {
        let last = self.costs.len() - 1;
        while let Some(entering) = (0..last).find(|&column| self.costs[column] < -ZERO) {
            let ratios = self.rows.iter().enumerate().filter(|(_, row)| row[entering] > ZERO);
            let best = ratios.min_by(|(i, a), (j, b)| {
                let ratio = |row: &[f64]| row[last] / row[entering];
                let apart = ratio(a) - ratio(b);
                // Among equals the lowest variable leaves: so no basis comes twice.
                if apart.abs() < ZERO { self.basis[*i].cmp(&self.basis[*j]) } else { apart.total_cmp(&0.0) }
            });
            let (leaving, _) = best.expect("invariant: sums of what is not negative are bounded");
            self.pivot(leaving, entering);
        }
    }

    fn pivot(&mut self, leaving: usize, entering: usize) {
        let scale = self.rows[leaving][entering];
        self.rows[leaving].iter_mut().for_each(|v| *v /= scale);
        let pivot = self.rows[leaving].clone();
        let others = self.rows.iter_mut().enumerate().filter(|(row, _)| *row != leaving).map(|(_, row)| row);
        for row in others.chain([&mut self.costs]) {
            let factor = row[entering];
            row.iter_mut().zip(&pivot).for_each(|(v, p)| *v -= factor * p);
        }
        self.basis[leaving] = entering;
    }

    /// Σa.
    fn objective(&self) -> f64 {
        -self.costs.last().expect("a right side")
    }

    fn weights(&self) -> Vec<f64> {
        let mut weights = vec![0.0; self.points];
        for (row, &variable) in self.rows.iter().zip(&self.basis) {
            if variable < self.points {
                weights[variable] = *row.last().expect("a right side");
            }
        }
        weights
    }

    /// The dual solution u has u·(y x, y, 1) ≤ 0 for every point, and its last element is Σa > 0: the others, divided by −Σa,
    /// are the plane.
    fn plane(&self, left: f64) -> Vec<f64> {
        let dual = |equation: usize| 1.0 - self.costs[self.points + equation];
        (0..self.rows.len() - 1).map(|equation| -dual(equation) / left).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ocelli_kernels::random::Key;

    #[test]
    fn what_is_found_is_true() {
        for seed in 0..200 {
            let mut stream = Key::new(seed, &[]).stream();
            let (n, dims) = (3 + stream.below(12) as usize, 1 + stream.below(4) as usize);
            let points: Vec<Vec<f64>> =
                (0..n).map(|_| (0..dims).map(|_| stream.below(7) as f64 - 3.0).collect()).collect();
            let signs: Vec<f64> = (0..n).map(|_| if stream.below(2) == 0 { 1.0 } else { -1.0 }).collect();
            match separate(&points, &signs) {
                Separation::Plane(w) => {
                    for (x, y) in points.iter().zip(&signs) {
                        let side: f64 = x.iter().zip(&w).map(|(x, w)| x * w).sum::<f64>() + w[dims];
                        assert!(y * side > 1.0 - 1e-6, "seed {seed}: {side}");
                    }
                }
                Separation::Proof(weights) => {
                    assert!(weights.iter().all(|w| *w >= -1e-9), "seed {seed}: {weights:?}");
                    assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-9, "seed {seed}");
                    for d in 0..=dims {
                        let coordinate = |x: &Vec<f64>| if d < dims { x[d] } else { 1.0 };
                        let terms = points.iter().zip(&signs).zip(&weights);
                        let sum: f64 = terms.map(|((x, y), w)| w * y * coordinate(x)).sum();
                        assert!(sum.abs() < 1e-9, "seed {seed}: {sum}");
                    }
                }
            }
        }
    }
}
