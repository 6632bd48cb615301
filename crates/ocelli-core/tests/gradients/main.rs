//! Gradients are those of the cost: every op under every loss against differences in f64, merging and shared graphs,
//! and linear ops against their transposes. Values that no step declared to read are poisoned throughout.

mod adjoints;
mod cases;
mod graphs;
mod losses;
mod networks;

use std::sync::Arc;

use ocelli_core::gradient_check::Agreement;
use ocelli_core::{Batch, GradientCheck, Graph, Mode, Op, Reduction, Targets};
use ocelli_kernels::random::{Key, Stream};

/// Relative error that f64 stays below.
pub(crate) const TOLERANCE: f64 = 1e-6;

/// Random networks of every op under every loss.
const ROUNDS: u64 = 50;

/// A batch for a graph, and what to make of its output.
pub(crate) struct Task {
    pub(crate) graph: Arc<Graph>,
    pub(crate) criterion: ocelli_core::Criterion,
    pub(crate) targets: losses::OwnedTargets,
    pub(crate) inputs: Vec<Vec<f64>>,
    pub(crate) count: usize,
}

impl Task {
    /// Random inputs, targets and reduction for a graph with a vector as its output.
    pub(crate) fn new(graph: Graph, loss: ocelli_core::Loss, stream: &mut Stream) -> Task {
        let count = 1 + stream.below(3) as usize;
        let width = graph.node(graph.output().unwrap()).shape().len();
        let targets = losses::targets(&loss, width, count, stream);
        let shapes = graph.inputs().map(|v| graph.node(v).shape().len());
        let inputs = shapes.map(|len| (0..count * len).map(|_| stream.normal()).collect()).collect();
        let reduction = if stream.below(2) == 0 { Reduction::Mean } else { Reduction::Sum };
        let criterion = ocelli_core::Criterion { loss, reduction };
        Task { graph: Arc::new(graph), criterion, targets, inputs, count }
    }

    /// Checks the gradients; returns how many elements were checked and how many lay at kinks.
    ///
    /// # Panics
    /// If they are wrong.
    pub(crate) fn check(&self, mode: Mode, seed: u64) -> (usize, usize) {
        let check = GradientCheck { limit: 4, seed, ..GradientCheck::new(self.criterion.clone(), mode) };
        let params = check.random_params(&self.graph).unwrap();
        let inputs: Vec<&[f64]> = self.inputs.iter().map(Vec::as_slice).collect();
        let batch = Batch { inputs: &inputs, targets: Some(self.targets.lend()), count: self.count };
        let report = check.network(&self.graph, &params, &batch).unwrap();
        assert!(
            report.largest_error() <= TOLERANCE,
            "wrong gradients in {mode:?} under {:?} for {} samples:\n{report}of {:#?}",
            self.criterion,
            self.count,
            self.graph.layers(),
        );
        let all = || report.layers.iter().flat_map(|layer| [&layer.params, &layer.inputs]);
        let sum = |of: fn(&Agreement) -> usize| all().map(of).sum();
        (sum(|a| a.checked), sum(|a| a.skipped))
    }
}

/// The stream of a random case; a failure's message names these numbers.
pub(crate) fn stream(words: &[u64]) -> Stream {
    Key::new(0x6772_6164, words).stream()
}

/// Runs `case` with seeds 0 to `rounds`, and says which one failed.
pub(crate) fn with_seeds(what: &str, rounds: u64, mut case: impl FnMut(u64)) {
    for seed in 0..rounds {
        let run = std::panic::AssertUnwindSafe(|| case(seed));
        if let Err(panic) = std::panic::catch_unwind(run) {
            let message = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            panic!("{what}, seed {seed}: {message}");
        }
    }
}

/// Every op between other layers under this loss, in many shapes.
fn every_op_under(loss: losses::Kind) {
    for (number, name) in Op::NAMES.iter().enumerate() {
        let (mut checked, mut skipped) = (0, 0);
        with_seeds(&format!("{name} under {loss:?}"), ROUNDS, |seed| {
            let mut stream = stream(&[loss as u64, number as u64, seed]);
            let graph = networks::around(name, loss, &mut stream);
            let mode = if seed % 3 == 0 { Mode::EvaluateWithGradients } else { Mode::Train };
            let task = Task::new(graph, loss.loss(&mut stream), &mut stream);
            let (here, kinks) = task.check(mode, seed);
            checked += here;
            skipped += kinks;
        });
        assert!(checked > 10 * skipped, "{name} under {loss:?}: {checked} checked, {skipped} at kinks");
    }
}

macro_rules! every_op {
    ($($test:ident: $kind:ident,)*) => {
        $(#[test]
        fn $test() {
            every_op_under(losses::Kind::$kind);
        })*
    };
}

every_op! {
    every_op_is_right_under_the_euclidean_loss: Euclidean,
    every_op_is_right_under_the_squared_error: SquaredError,
    every_op_is_right_under_cross_entropy: CrossEntropy,
    every_op_is_right_under_the_logistic_loss: BinaryLogistic,
    every_op_is_right_under_the_hinge_loss: Hinge,
    every_op_is_right_under_the_squared_hinge_loss: SquaredHinge,
    every_op_is_right_under_the_exponential_loss: Exponential,
    every_op_is_right_under_the_map_criterion: Map,
    every_op_is_right_under_the_penalty: Penalty,
}

#[test]
fn a_wrong_gradient_is_found() {
    // Targets that differ between the gradients and the differences stand for an op with a wrong derivative: here
    // the report must name the layer and its worst element.
    let mut graph = Graph::new();
    let x = graph.input("x", [3]).unwrap();
    graph.add("layer", ocelli_core::ops::Linear::new(2), [x]).unwrap();
    let criterion = ocelli_core::Criterion { loss: ocelli_core::Loss::Euclidean, reduction: Reduction::Mean };
    let check = GradientCheck::new(criterion, Mode::Train);
    let graph = Arc::new(graph);
    let params = check.random_params(&graph).unwrap();
    let batch =
        Batch { inputs: &[&[f64::NAN, 0.5, 0.2]], targets: Some(Targets::Values(&[1.0, 0.0])), count: 1 };
    let report = check.network(&graph, &params, &batch).unwrap();
    assert!(!report.passed(TOLERANCE), "{report}");
}
