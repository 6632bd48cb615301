//! max(0, m − margin reached), or its square.

use ocelli_kernels::Element;

use super::pointwise;
use super::targets::Target;

pub(super) struct Hinge<T> {
    pub(super) margin: T,
    pub(super) squared: bool,
}

impl<T: Element> Hinge<T> {
    pub(super) fn cost(&self, x: &[T], target: Target<'_, T>, gradient: Option<(&mut [T], T)>) -> f64 {
        match target {
            Target::Class(class) if x.len() > 1 => self.multiclass(x, class, gradient),
            _ => pointwise::sum(
                x,
                |i| target.sign(i, x.len()),
                gradient,
                |x, y| {
                    let (term, slope) = self.term(self.margin - y * x);
                    (term, -(y * slope))
                },
            ),
        }
    }

    pub(super) fn curvature(&self, x: &[T], target: Target<'_, T>, scale: T, h: &mut [T]) {
        let Target::Class(class) = target else { return self.curvature_of_signs(x, target, scale, h) };
        if x.len() == 1 {
            return self.curvature_of_signs(x, target, scale, h);
        }
        let mut at_class = T::ZERO;
        for i in 0..x.len() {
            if i != class {
                h[i] = scale * self.bend(self.margin + x[i] - x[class]);
                at_class += h[i];
            }
        }
        h[class] = at_class;
    }

    fn curvature_of_signs(&self, x: &[T], target: Target<'_, T>, scale: T, h: &mut [T]) {
        for i in 0..x.len() {
            let y = target.sign(i, x.len());
            h[i] = scale * (y * y * self.bend(self.margin - y * x[i]));
        }
    }

    /// Weston and Watkins: Σ over i ≠ c of the term of m + x_i − x_c.
    fn multiclass(&self, x: &[T], class: usize, mut gradient: Option<(&mut [T], T)>) -> f64 {
        let (mut cost, mut at_class) = (0.0, T::ZERO);
        for i in (0..x.len()).filter(|&i| i != class) {
            let (term, slope) = self.term(self.margin + x[i] - x[class]);
            cost += term.f64();
            at_class += slope;
            if let Some((gradient, scale)) = &mut gradient {
                gradient[i] = *scale * slope;
            }
        }
        if let Some((gradient, scale)) = gradient {
            gradient[class] = -(scale * at_class);
        }
        cost
    }

    /// The cost of falling short by `short`, and its derivative. Meeting the margin exactly has slope 0.
    fn term(&self, short: T) -> (T, T) {
        if short <= T::ZERO {
            (T::ZERO, T::ZERO)
        } else if self.squared {
            (short * short, T::of(2.0) * short)
        } else {
            (short, T::ONE)
        }
    }

    /// The second derivative of [`Hinge::term`].
    fn bend(&self, short: T) -> T {
        if self.squared && short > T::ZERO { T::of(2.0) } else { T::ZERO }
    }
}
