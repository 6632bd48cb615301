//! One layer alone, in f64 and in the field's order: images C×H×W, convolution weights O×I×kh×kw.

use std::sync::Arc;

use ocelli_core::ops::Add;
use ocelli_core::{
    Batch, Criterion, Executor, Graph, Loss, Mode, Op, Params, Plan, PlanOptions, RandomState, Reduction,
    Shape, Targets, Value, to_channels_first, to_channels_last,
};
use ocelli_kernels::random::Key;
use ocelli_kernels::{Isa, Team};

/// A graph of one input and one layer, with parameters.
pub(crate) struct Single {
    pub(crate) graph: Arc<Graph>,
    input: Value,
    layer: Value,
    pub(crate) params: Params<f64>,
}

/// Derivatives of the input and of each parameter.
#[derive(Clone, Debug)]
pub(crate) struct Derivatives {
    pub(crate) input: Vec<f64>,
    pub(crate) params: Vec<Vec<f64>>,
}

impl Single {
    /// The layer on an input of this shape, with random parameters and biases.
    #[track_caller]
    pub(crate) fn new(shape: impl Into<Shape>, op: impl Into<Op>) -> Single {
        let mut graph = Graph::new();
        let input = graph.input("x", shape).unwrap();
        let layer = graph.add("layer", op, [input]).unwrap();
        Single::of(graph, input, layer)
    }

    /// The sum of the layer and the same layer again, with the same parameters: the input is read twice.
    #[track_caller]
    pub(crate) fn twice(shape: impl Into<Shape>, op: impl Into<Op>) -> Single {
        let mut graph = Graph::new();
        let input = graph.input("x", shape).unwrap();
        let layer = graph.add("layer", op, [input]).unwrap();
        let again = graph.add_shared("again", layer, [input]).unwrap();
        let sum = graph.add("sum", Add {}, [layer, again]).unwrap();
        Single::of(graph, input, sum)
    }

    fn of(graph: Graph, input: Value, layer: Value) -> Single {
        let mut params = Params::zeroed(graph.layout()).unwrap();
        for (i, entry) in graph.layout().entries().iter().enumerate() {
            params.set(entry, &random(entry.range.len(), 100 + i as u64));
        }
        Single { graph: Arc::new(graph), input, layer, params }
    }

    /// Sets parameter `i`.
    pub(crate) fn set(mut self, i: usize, values: &[f64]) -> Single {
        self.params.set(&self.graph.layout().entries()[i], values);
        self
    }

    /// The shape of the output.
    pub(crate) fn shape(&self) -> Vec<usize> {
        self.graph.node(self.layer).shape().sizes().to_vec()
    }

    /// The output for as many samples as `x` holds.
    pub(crate) fn forward(&self, x: &[f64]) -> Vec<f64> {
        let count = self.count(x);
        let mut executor = self.executor(PlanOptions::evaluate(count));
        let y =
            executor.forward(&self.params, &[&channels_last(self.graph.node(self.input).shape(), x)], count);
        channels_first(self.graph.node(self.layer).shape(), y)
    }

    /// The gradients where ∂E/∂output is `g`: those of E = ½‖y − t‖² with t = y − g.
    pub(crate) fn gradients(&self, x: &[f64], g: &[f64]) -> Derivatives {
        let targets: Vec<f64> = self.forward(x).iter().zip(g).map(|(y, g)| y - g).collect();
        let mut executor = self.executor(self.with_gradients(x));
        self.run(&mut executor, x, &targets, |executor, batch| {
            executor.differentiate(&self.params, batch, &sum(Loss::Euclidean), RandomState::default());
        })
    }

    /// The diagonal of the Gauss–Newton Hessian of E = Σ `loss`(y, `targets`).
    pub(crate) fn curvature(&self, x: &[f64], loss: Loss, targets: &[f64]) -> Derivatives {
        let mut executor = self.executor(PlanOptions { curvature: true, ..self.with_gradients(x) });
        self.run(&mut executor, x, targets, |executor, batch| {
            executor.curvature(&self.params, batch, &sum(loss.clone()), RandomState::default()).unwrap();
        })
    }

    fn run(
        &self,
        executor: &mut Executor<f64>,
        x: &[f64],
        targets: &[f64],
        pass: impl Fn(&mut Executor<f64>, &Batch<'_, f64>),
    ) -> Derivatives {
        let x = channels_last(self.graph.node(self.input).shape(), x);
        let targets = channels_last(self.graph.node(self.layer).shape(), targets);
        let batch = Batch { inputs: &[&x], targets: Some(Targets::Values(&targets)), count: self.count(&x) };
        pass(executor, &batch);
        let input = executor.value_gradient(self.input).unwrap();
        let params =
            self.graph.layout().entries().iter().map(|entry| executor.gradients().get(entry).into_data());
        Derivatives {
            input: channels_first(self.graph.node(self.input).shape(), input),
            params: params.collect(),
        }
    }

    fn with_gradients(&self, x: &[f64]) -> PlanOptions {
        let count = self.count(x);
        // One sample cannot be cut into parts, so nothing is lost by looking for undeclared reads.
        let (mode, poison) = (Mode::EvaluateWithGradients, count == 1);
        PlanOptions { mode, poison, input_gradients: true, ..PlanOptions::train(count) }
    }

    fn executor(&self, options: PlanOptions) -> Executor<f64> {
        let plan = Arc::new(Plan::new(&self.graph, options).unwrap());
        Executor::new(plan, Arc::new(Team::new(1).unwrap()), Isa::Portable).unwrap()
    }

    fn count(&self, x: &[f64]) -> usize {
        let len = self.graph.node(self.input).shape().len();
        assert!(x.len().is_multiple_of(len), "whole samples");
        x.len() / len
    }
}

/// What the graph says to a layer on an input of this shape that does not fit.
pub(crate) fn refusal(shape: impl Into<Shape>, op: impl Into<Op>) -> String {
    let mut graph = Graph::new();
    let input = graph.input("image", shape).unwrap();
    graph.add("layer", op, [input]).expect_err("it does not fit").to_string()
}

/// Numbers from a normal distribution.
pub(crate) fn random(len: usize, seed: u64) -> Vec<f64> {
    let mut stream = Key::new(seed, &[]).stream();
    (0..len).map(|_| stream.normal()).collect()
}

/// 1, 2, 3, …
pub(crate) fn counting(len: usize) -> Vec<f64> {
    (1..=len).map(|i| i as f64).collect()
}

/// Whether the numbers agree to 1e-9 of the largest.
#[track_caller]
pub(crate) fn assert_close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    let scale = expected.iter().fold(1.0f64, |scale, e| scale.max(e.abs()));
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() <= 1e-9 * scale, "{found} is not {expected} at {i}");
    }
}

fn sum(loss: Loss) -> Criterion {
    Criterion { loss, reduction: Reduction::Sum }
}

fn channels_last(shape: Shape, from: &[f64]) -> Vec<f64> {
    let mut to = vec![0.0; from.len()];
    to_channels_last(
        from.len() / shape.len(),
        shape.channels(),
        shape.len() / shape.channels(),
        from,
        &mut to,
    );
    to
}

fn channels_first(shape: Shape, from: &[f64]) -> Vec<f64> {
    let mut to = vec![0.0; from.len()];
    to_channels_first(
        from.len() / shape.len(),
        shape.channels(),
        shape.len() / shape.channels(),
        from,
        &mut to,
    );
    to
}
