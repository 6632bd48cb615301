//! Batch normalisation.

use std::ops::Range;

use ocelli_kernels::{Direction, Element};
use serde::{Deserialize, Serialize};

use super::{
    BackwardInput, BackwardParams, BatchStatistics, Forward, InPlace, Operation, Packing, ParamViews, Preparation,
    Prepare, Reads, Relation, Relations, Signature, Statistics, only_input, per_channel,
};
use crate::graph::Node;
use crate::init::Init;
use crate::setting::{SettingError, is_positive, require};
use crate::{Mode, Role, Shape};

/// y = γ·x̂ + β with x̂ = (x − μ)/√(σ² + ε), for each channel of images or each element of vectors (Ioffe and Szegedy 2015).
///
/// In training μ and σ² are the mean and the biased variance over the N pixels and samples of the batch; then,
/// with S = Σ over those N, ∂C/∂β = S g, ∂C/∂γ = S g·x̂ and ∂C/∂x = γ/√(σ² + ε)·(g − ∂C/∂β/N − x̂·∂C/∂γ/N). In
/// evaluation they are the running statistics, y is one multiply-add, and ∂C/∂x = γ/√(σ² + ε)·g.
///
/// Parameters, one of each per channel: "weight" γ (starts at 1 unless told otherwise), "bias" β (at 0), "running_mean"
/// (at 0) and "running_var" (at 1). A step of training moves the running ones by `momentum` of the way to the batch's (of the
/// variance, to the unbiased one), as PyTorch does. A batch with one value per channel (N = 1) has x̂ = 0, so y = β
/// and the gradients of x and γ are 0; as it says nothing of the variance, only the running mean moves.
///
/// Each part of the batch contributes count, means and sums of squared deviations, combined in the order of the
/// parts (Chan, Golub and LeVeque 1979): threads do not change the result, and large means do not spoil it. Cost: one
/// multiply-add per element and pass, after a pass for the statistics. Backward reads x and the statistics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchNorm {
    /// The share of the batch's statistics in the new running ones, from 0 to 1.
    #[serde(default = "tenth")]
    pub momentum: f64,
    /// ε > 0.
    #[serde(default = "small")]
    pub epsilon: f64,
    /// What γ is at the start.
    #[serde(default = "whole", skip_serializing_if = "is_whole")]
    pub start: f64,
}

fn tenth() -> f64 {
    0.1
}

fn small() -> f64 {
    1e-5
}

fn whole() -> f64 {
    1.0
}

fn is_whole(start: &f64) -> bool {
    *start == whole()
}

impl Default for BatchNorm {
    fn default() -> BatchNorm {
        BatchNorm { momentum: tenth(), epsilon: small(), start: whole() }
    }
}

impl BatchNorm {
    /// With another γ at the start. With 0 the layer gives nothing at first: residual branches that end so begin as
    /// the identity (Goyal et al. 2017, section 5.1).
    pub fn start(self, start: f64) -> BatchNorm {
        BatchNorm { start, ..self }
    }

    fn check(&self) -> Result<(), SettingError> {
        let (momentum, epsilon) = (self.momentum, self.epsilon);
        let valid = (0.0..=1.0).contains(&momentum);
        require(valid, "batch_norm", "momentum", momentum, "a number from 0 to 1")?;
        let wanted = "a number above 0 within the range of f32";
        require(is_positive(epsilon), "batch_norm", "epsilon", epsilon, wanted)?;
        require(self.start.is_finite(), "batch_norm", "start", self.start, "a finite number")
    }

    /// Calls `each` with every channel's number, μ and 1/√(σ² + ε): of the batch, or without statistics the running ones.
    fn normalise<T: Element>(
        &self,
        statistics: &[T],
        params: ParamViews<'_, T>,
        mut each: impl FnMut(usize, T, T),
    ) {
        let (running_mean, running_var) = (params.get(2), params.get(3));
        let channels = running_mean.len();
        for channel in 0..channels {
            let (mean, variance) = match statistics {
                [] => (running_mean[channel], running_var[channel]),
                _ => {
                    let moments = Moments::of_batch(statistics, channels, channel);
                    (moments.mean, moments.m2 / T::max(moments.count, T::ONE))
                }
            };
            each(channel, mean, T::ONE / (variance + T::of(self.epsilon)).sqrt());
        }
    }
}

impl Operation for BatchNorm {
    fn infer(&self, inputs: &[Shape]) -> Result<Signature, String> {
        let shape = only_input(inputs)?;
        self.check().map_err(|error| error.to_string())?;
        let channels = shape.channels();
        let param = |name, role, value| per_channel(name, shape, role, Init::Constant { value });
        Ok(Signature {
            params: vec![
                param("weight", Role::Scale, self.start),
                param("bias", Role::Shift, 0.0),
                param("running_mean", Role::RunningMean, 0.0),
                param("running_var", Role::RunningVariance, 1.0),
            ],
            input_reads: Reads { input: true, saved: true, param_gradients: true, ..Reads::NOTHING },
            param_reads: Reads { input: true, saved: true, ..Reads::NOTHING },
            scratch: 4 * channels,
            macs: shape.len() as u64,
            statistics: 1 + 2 * channels,
            ..Signature::new(shape)
        })
    }

    fn forward<T: Element>(&self, pass: Forward<'_, T>) {
        let channels = pass.node.shape().channels();
        let both = match pass.prepared {
            [] => {
                let both = &mut pass.scratch[..2 * channels];
                self.scale_and_shift(pass.statistics, pass.params, both);
                both
            }
            prepared => prepared,
        };
        let (scale, shift) = both.split_at(channels);
        let (x, then) = (pass.inputs.get(0), pass.finish);
        (pass.kernels.column_affine)(scale, shift, x, then.addend, then.unary, pass.output);
    }

    fn backward_input<T: Element>(&self, pass: BackwardInput<'_, T>) {
        let constants = self.through(pass.statistics, pass.param_gradients, pass.params, pass.scratch);
        let (x, backward) = (pass.inputs.get(0), pass.kernels.normalised_backward);
        backward(constants, x, pass.output_gradient, pass.input_gradient, pass.write);
    }

    fn backward_params<T: Element>(&self, pass: BackwardParams<'_, T>) {
        let [weight, bias, ..] = pass.gradients;
        let (inverse, rest) = pass.scratch.split_at_mut(bias.len());
        let centre = &mut rest[..bias.len()];
        self.normalise(pass.statistics, pass.params, |c, mean, scale| {
            inverse[c] = scale;
            centre[c] = -mean * scale;
        });
        let (x, kernels) = (pass.inputs.get(0), pass.kernels);
        match pass.activated {
            None => (kernels.normalised_sums)(inverse, centre, x, pass.output_gradient, weight, bias),
            Some(of) => {
                let sums = kernels.activated_sums;
                sums(of.unary, of.output, inverse, centre, x, of.gradient, weight, bias);
            }
        }
    }
}

/// In evaluation scale and shift follow from the parameters alone.
impl Preparation for BatchNorm {
    fn prepared_pieces(&self, _: &Node, packing: &Packing) -> usize {
        usize::from(packing.mode == Mode::Evaluate && packing.direction == Direction::Forward)
    }

    fn prepared_range(&self, node: &Node, _: &Packing, pieces: Range<usize>) -> Range<usize> {
        0..2 * node.shape().channels() * pieces.len()
    }

    fn prepare<T: Element>(&self, pass: Prepare<'_, T>) {
        self.scale_and_shift(&[], pass.params, pass.prepared);
    }
}

impl BatchNorm {
    /// Every channel's scale, then every channel's shift: y = scale·x + shift.
    fn scale_and_shift<T: Element>(&self, statistics: &[T], params: ParamViews<'_, T>, both: &mut [T]) {
        let (weight, bias) = (params.get(0), params.get(1));
        let (scale, shift) = both.split_at_mut(weight.len());
        self.normalise(statistics, params, |c, mean, inverse| {
            scale[c] = weight[c] * inverse;
            shift[c] = bias[c] - mean * scale[c];
        });
    }

    /// What multiplies g and x − μ in ∂C/∂x, μ, and what is added: four numbers for each channel.
    fn through<'s, T: Element>(
        &self,
        statistics: &[T],
        param_gradients: &[T],
        params: ParamViews<'_, T>,
        scratch: &'s mut [T],
    ) -> [&'s [T]; 4] {
        let weight = params.get(0);
        let channels = weight.len();
        let mut constants = scratch[..4 * channels].chunks_exact_mut(channels);
        let [slope, towards, middle, offset] =
            std::array::from_fn(|_| constants.next().expect("four runs of channels"));
        let count = T::max(batch_count(statistics, channels), T::ONE);
        self.normalise(statistics, params, |c, mean, inverse| {
            // What moving x does to the batch's own mean and variance; running statistics do not move.
            let (of_weight, of_bias) = match statistics {
                [] => (T::ZERO, T::ZERO),
                _ => own_gradients(param_gradients, channels, c),
            };
            slope[c] = weight[c] * inverse;
            towards[c] = -slope[c] * inverse * (of_weight / count);
            middle[c] = mean;
            offset[c] = -slope[c] * (of_bias / count);
        });
        [slope, towards, middle, offset]
    }
}

/// ∂C/∂x can take the place of g. The output cannot take that of x, which backward reads.
impl InPlace for BatchNorm {
    fn relations(&self, _: &Node, _: Mode) -> Relations {
        Relations { forward: Relation::Apart, backward: Relation::Over }
    }

    fn backward_in_place<T: Element>(&self, pass: BackwardInput<'_, T>) {
        let constants = self.through(pass.statistics, pass.param_gradients, pass.params, pass.scratch);
        (pass.kernels.normalised_backward_in_place)(constants, pass.inputs.get(0), pass.input_gradient);
    }
}

impl BatchStatistics for BatchNorm {
    /// Count, then every channel's mean, then every channel's sum of squared deviations.
    fn statistics<T: Element>(&self, pass: Statistics<'_, T>) {
        let x = pass.inputs.get(0);
        let (count, moments) = pass.contribution.split_first_mut().expect("invariant: 1 + 2·channels elements");
        let (mean, m2) = moments.split_at_mut(moments.len() / 2);
        *count = T::of((x.len() / mean.len()) as f64);
        (pass.kernels.column_moments)(x, mean, m2);
    }

    fn fold_statistics<'a, T: Element>(&self, statistics: &[T], param: impl Fn(usize) -> &'a mut [T]) {
        let (running_mean, running_var) = (param(2), param(3));
        let channels = running_mean.len();
        let share = T::of(self.momentum);
        for channel in 0..channels {
            let moments = Moments::of_batch(statistics, channels, channel);
            let towards = |running: &mut T, batch: T| *running += share * (batch - *running);
            if moments.count > T::ZERO {
                towards(&mut running_mean[channel], moments.mean);
            }
            if moments.count > T::ONE {
                towards(&mut running_var[channel], moments.m2 / (moments.count - T::ONE));
            }
        }
    }
}

/// What is known of a set of numbers.
#[derive(Clone, Copy, Debug)]
struct Moments<T> {
    count: T,
    mean: T,
    /// The sum of squared deviations from the mean.
    m2: T,
}

impl<T: Element> Moments<T> {
    /// Of one channel over the whole batch, from what its parts contributed.
    fn of_batch(statistics: &[T], channels: usize, channel: usize) -> Moments<T> {
        let nothing = Moments { count: T::ZERO, mean: T::ZERO, m2: T::ZERO };
        let parts = statistics.chunks_exact(1 + 2 * channels).map(|part| Moments {
            count: part[0],
            mean: part[1 + channel],
            m2: part[1 + channels + channel],
        });
        parts.fold(nothing, Moments::with)
    }

    /// Of both sets together.
    fn with(self, other: Moments<T>) -> Moments<T> {
        if other.count == T::ZERO {
            return self;
        }
        let count = self.count + other.count;
        let (share, apart) = (other.count / count, other.mean - self.mean);
        Moments {
            count,
            mean: self.mean + apart * share,
            m2: self.m2 + other.m2 + apart * apart * self.count * share,
        }
    }
}

/// N: how many values of each channel the batch has.
fn batch_count<T: Element>(statistics: &[T], channels: usize) -> T {
    statistics.chunks_exact(1 + 2 * channels).map(|part| part[0]).sum()
}

/// ∂C/∂γ and ∂C/∂β of a channel, added up over the parts.
fn own_gradients<T: Element>(param_gradients: &[T], channels: usize, channel: usize) -> (T, T) {
    let parts = param_gradients.chunks_exact(2 * channels);
    parts.fold((T::ZERO, T::ZERO), |(of_weight, of_bias), part| {
        (of_weight + part[channel], of_bias + part[channels + channel])
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ocelli_kernels::random::Key;
    use ocelli_kernels::{Isa, Team};

    use super::*;
    use crate::ops::testing::forward;
    use crate::{
        Batch, Criterion, Executor, Graph, Loss, Mode, Optimizer, OptimizerState, Params, Plan, PlanOptions,
        RandomState, Reduction, Targets, Update,
    };

    #[test]
    fn moments_of_parts_together_are_those_of_the_whole() {
        let mut stream = Key::new(1, &[]).stream();
        // A mean far from 0, where sums of squares would lose the variance; and a part without samples.
        let x: Vec<f64> = (0..20).map(|_| 1e6 + stream.normal()).collect();
        let moments = |x: &[f64]| {
            let mean = x.iter().sum::<f64>() / x.len().max(1) as f64;
            [x.len() as f64, mean, x.iter().map(|x| (x - mean) * (x - mean)).sum()]
        };
        let parts = [&x[..3], &[], &x[3..4], &x[4..]];
        let statistics: Vec<f64> = parts.iter().flat_map(|part| moments(part)).collect();
        let (found, [count, mean, m2]) = (Moments::of_batch(&statistics, 1, 0), moments(&x));
        assert_eq!(found.count, count);
        assert!((found.mean - mean).abs() < 1e-8 && (found.m2 - m2).abs() < 1e-7 * m2, "{found:?}");
    }

    #[test]
    fn training_normalises_each_channel_by_the_batch_and_evaluation_by_the_running_statistics() {
        // Two samples of 2 channels and 1×2 pixels: channel 0 is 1, 3, 5, 7 and channel 1 always 4.
        let x = [1.0, 4.0, 3.0, 4.0, 5.0, 4.0, 7.0, 4.0];
        let y = forward(BatchNorm::default(), &[(&[2, 1, 2], &x)], Mode::Train, 2);
        for (y, x) in y.chunks(2).zip(x.chunks(2)) {
            assert!((y[0] - (x[0] - 4.0) / (5.0f64 + 1e-5).sqrt()).abs() < 1e-12 && y[1] == 0.0, "{y:?}");
        }
        // The running mean starts at 0 and the variance at 1.
        let y = forward(BatchNorm::default(), &[(&[2, 1, 2], &x)], Mode::Evaluate, 2);
        assert!(y.iter().zip(x).all(|(y, x)| (y - x / (1.0f64 + 1e-5).sqrt()).abs() < 1e-12));
    }

    #[test]
    fn a_step_moves_the_running_statistics_towards_the_batch_and_its_unbiased_variance() {
        let (mean, variance) = after_a_step(&[1.0, 3.0, 5.0, 7.0]);
        assert!((mean - 0.1 * 4.0).abs() < 1e-12, "{mean}");
        assert!((variance - (0.9 + 0.1 * 20.0 / 3.0)).abs() < 1e-12, "{variance}");
    }

    #[test]
    fn one_value_per_channel_moves_the_running_mean_alone_and_gives_no_nan() {
        assert_eq!(after_a_step(&[5.0]), (0.5, 1.0));
        assert_eq!(forward(BatchNorm::default(), &[(&[1], &[5.0])], Mode::Train, 1), [0.0]);
    }

    /// Running mean and variance of one channel after a step of training on these values.
    fn after_a_step(values: &[f64]) -> (f64, f64) {
        let mut graph = Graph::new();
        let x = graph.input("x", [1]).unwrap();
        graph.add("norm", BatchNorm::default(), [x]).unwrap();
        let graph = Arc::new(graph);
        let plan = Arc::new(Plan::new(&graph, PlanOptions::train(values.len())).unwrap());
        let mut executor = Executor::new(plan, Arc::new(Team::new(1).unwrap()), Isa::Portable).unwrap();
        let mut params = Params::initialised(graph.layout(), 1).unwrap();
        let sgd = Optimizer::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 };
        let mut state = OptimizerState::new(&sgd, graph.layout()).unwrap();
        let update = Update::new(&sgd, &mut state, 0.1);
        let batch = Batch { inputs: &[values], targets: Some(Targets::Values(values)), count: values.len() };
        let criterion = Criterion { loss: Loss::Euclidean, reduction: Reduction::Mean };
        executor.step(&mut params, &batch, &criterion, update, RandomState::default());
        assert!(params.data().iter().all(|x| x.is_finite()));
        let get = |name| params.get(graph.layout().find(name).unwrap()).data()[0];
        (get("norm.running_mean"), get("norm.running_var"))
    }
}
