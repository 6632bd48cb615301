//! Euclidean radial basis units: LeNet-5's output layer.

use ocelli_kernels::{Element, Write};
use serde::{Deserialize, Serialize};

use super::defaults::is_false;
use super::{BackwardInput, BackwardParams, Curvature, Forward, Operation, Reads, Signature, only_input};
use crate::graph::Node;
use crate::init::{BITMAP_LEN, DIGITS, Fan, Init};
use crate::{ParamSpec, Role, Shape};

/// y_i = Σ_j (x_j − w_ij)²: how far x of length n is from the prototype of each class (LeCun, Bottou, Bengio and
/// Haffner 1998, equation 7). The smallest output is the answer.
///
/// Gradients: ∂C/∂x_j = 2·Σ_i g_i·(x_j − w_ij), and for learned prototypes ∂C/∂w_ij = −2·g_i·(x_j − w_ij). The
/// parameter "prototypes", classes×n, holds codes of ±1. With n = 84 and up to ten classes these are stylised
/// bitmaps of the digits, 7 pixels wide and 12 high, +1 being ink; otherwise they are drawn from the seed. They
/// stay as they are unless `learned`. Cost: classes·n multiply-adds per sample and pass. Backward reads x.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rbf {
    /// Output units.
    pub classes: usize,
    /// Whether training moves the prototypes.
    #[serde(default, skip_serializing_if = "is_false")]
    pub learned: bool,
}

impl Rbf {
    /// Units with fixed prototypes.
    pub fn new(classes: usize) -> Rbf {
        Rbf { classes, learned: false }
    }
}

impl Operation for Rbf {
    fn infer(&self, inputs: &[Shape]) -> Result<Signature, String> {
        let shape = only_input(inputs)?;
        let n = shape.vector().ok_or_else(|| {
            format!("radial basis units take a vector, not an image of {shape}; put a flatten layer before them")
        })?;
        let output = Shape::try_new(&[self.classes]).ok_or("it needs at least one class")?;
        let prototypes = Shape::try_new(&[self.classes, n]);
        let spec = ParamSpec {
            name: "prototypes",
            shape: prototypes.ok_or_else(|| format!("{} prototypes of {n} are too large", self.classes))?,
            role: if self.learned { Role::Weight } else { Role::Prototype },
            init: if n == BITMAP_LEN && self.classes <= DIGITS { Init::Digits } else { Init::Signs },
            fan: Fan { inputs: n, outputs: self.classes },
        };
        Ok(Signature {
            params: vec![spec],
            input_reads: Reads::INPUT,
            param_reads: Reads::INPUT,
            macs: (self.classes * n) as u64,
            param_units: self.classes,
            ..Signature::new(output)
        })
    }

    fn forward<T: Element>(&self, pass: Forward<'_, T>) {
        let (prototypes, n) = (pass.params.get(0), pass.node.input_shapes()[0].len());
        let samples = pass.inputs.get(0).chunks_exact(n).zip(pass.output.chunks_exact_mut(self.classes));
        for (x, y) in samples {
            for (y, w) in y.iter_mut().zip(prototypes.chunks_exact(n)) {
                *y = x.iter().zip(w).map(|(&x, &w)| (x - w) * (x - w)).sum();
            }
        }
    }

    fn backward_input<T: Element>(&self, pass: BackwardInput<'_, T>) {
        let (prototypes, n) = (pass.params.get(0), pass.node.input_shapes()[0].len());
        let samples = pass.inputs.get(0).chunks_exact(n).zip(pass.output_gradient.chunks_exact(self.classes));
        for ((x, g), dx) in samples.zip(pass.input_gradient.chunks_exact_mut(n)) {
            if pass.write == Write::Set {
                dx.fill(T::ZERO);
            }
            for (&g, w) in g.iter().zip(prototypes.chunks_exact(n)) {
                let twice = T::of(2.0) * g;
                dx.iter_mut().zip(x.iter().zip(w)).for_each(|(dx, (&x, &w))| *dx += twice * (x - w));
            }
        }
    }

    fn backward_params<T: Element>(&self, pass: BackwardParams<'_, T>) {
        let (prototypes, n) = (pass.params.get(0), pass.node.input_shapes()[0].len());
        let [gradient, ..] = pass.gradients;
        gradient.fill(T::ZERO);
        let prototypes = &prototypes[pass.units.start * n..pass.units.end * n];
        let samples = pass.inputs.get(0).chunks_exact(n).zip(pass.output_gradient.chunks_exact(self.classes));
        for (x, g) in samples {
            let rows = gradient.chunks_exact_mut(n).zip(prototypes.chunks_exact(n));
            for (&g, (dw, w)) in g[pass.units.clone()].iter().zip(rows) {
                let twice = T::of(2.0) * g;
                dw.iter_mut().zip(x.iter().zip(w)).for_each(|(dw, (&x, &w))| *dw += twice * (w - x));
            }
        }
    }
}

/// The units count as part of the loss (see [`Loss::curvature`](crate::Loss::curvature)): h is the weight of each
/// unit's penalty, whose second derivative is 2 along every x_j and every w_ij.
impl Curvature for Rbf {
    fn curvature_scratch(&self, _: &Node) -> usize {
        0
    }

    fn curvature_input<T: Element>(&self, pass: BackwardInput<'_, T>) {
        let n = pass.node.input_shapes()[0].len();
        let samples = pass.output_gradient.chunks_exact(self.classes);
        for (h, to) in samples.zip(pass.input_gradient.chunks_exact_mut(n)) {
            let twice = T::of(2.0) * h.iter().copied().sum::<T>();
            to.iter_mut().for_each(|to| *to = if pass.write == Write::Set { twice } else { *to + twice });
        }
    }

    fn curvature_params<T: Element>(&self, pass: BackwardParams<'_, T>) {
        let n = pass.node.input_shapes()[0].len();
        let [to, ..] = pass.gradients;
        for (unit, row) in pass.units.zip(to.chunks_exact_mut(n)) {
            let total: T = pass.output_gradient.chunks_exact(self.classes).map(|h| h[unit]).sum();
            row.fill(T::of(2.0) * total);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Mode;
    use crate::ops::testing::forward;

    #[test]
    fn outputs_are_squared_distances_to_codes_of_plus_and_minus_one() {
        // From 0 every code of length n is √n away; from anywhere, opposite signs cost (|x| + 1)².
        assert_eq!(forward(Rbf::new(3), &[(&[7], &[0.0; 7])], Mode::Evaluate, 1), [7.0; 3]);
        let y = forward(Rbf::new(40), &[(&[1], &[2.0])], Mode::Evaluate, 1);
        assert!(y.iter().all(|y| *y == 1.0 || *y == 9.0));
        assert!(y.contains(&1.0) && y.contains(&9.0), "random codes differ");
    }

    #[test]
    fn with_84_inputs_the_codes_are_bitmaps_of_the_digits() {
        // A 1 drawn by hand, with one pixel changed: its own unit is nearest.
        let one = "...##....###...####.....##.....##.....##.....##.....##.....##.....##...######.#####.";
        let x: Vec<f64> = one.bytes().map(|pixel| if pixel == b'#' { 1.0 } else { -1.0 }).collect();
        assert_eq!(x.len(), BITMAP_LEN);
        let y = forward(Rbf::new(10), &[(&[BITMAP_LEN], &x)], Mode::Evaluate, 1);
        assert_eq!(y[1], 4.0);
        assert!(y.iter().enumerate().all(|(digit, y)| digit == 1 || *y > 4.0), "{y:?}");
    }
}
