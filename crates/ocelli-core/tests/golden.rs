//! Golden tensors: every op against what PyTorch computed, forward and backward, on every instruction set.
//!
//! The cases stand in `golden/`, one file per op, and are described in its README. Each is a chain of layers with
//! PyTorch's parameters in PyTorch's names and order; this file runs it through the public face alone.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use ocelli_core::{
    Batch, Criterion, Executor, Graph, Loss, Mode, Op, Optimizer, OptimizerState, Params, Plan, PlanOptions,
    RandomState, Reduction, Shape, Targets, Update, Value, to_channels_first, to_channels_last,
};
use ocelli_kernels::{Element, Isa, Team};
use serde::Deserialize;

/// A test per file of `golden/`, and their names.
macro_rules! golden {
    ($($file:ident),* $(,)?) => {
        const FILES: &[&str] = &[$(stringify!($file)),*];
        $(#[test]
        fn $file() {
            agrees(concat!(stringify!($file), ".json"));
        })*
    };
}

golden! {
    activations, adaptive_avg_pool2d, avg_pool2d, batch_norm, conv2d, linear, local_response_norm, losses,
    max_pool2d, networks, prelu,
}

#[test]
fn no_file_is_left_out() {
    let files = folder().read_dir().unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<String> = files
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_string())
        .collect();
    found.sort();
    assert_eq!(found, FILES);
}

/// A file of `golden/`.
#[derive(Deserialize)]
struct File {
    cases: Vec<Case>,
}

/// A chain of layers, what goes in and what comes out.
#[derive(Deserialize)]
struct Case {
    case: String,
    mode: Pass,
    layers: Vec<Op>,
    criterion: Option<Cost>,
    input: Array,
    params: BTreeMap<String, Array>,
    output: Array,
    output_gradient: Array,
    input_gradient: Array,
    param_gradients: BTreeMap<String, Array>,
    statistics_after: BTreeMap<String, Array>,
}

#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Pass {
    Train,
    Evaluate,
}

/// Numbers in PyTorch's order, row by row; the first size is the batch where there is one.
#[derive(Deserialize)]
struct Array {
    shape: Vec<usize>,
    data: Vec<f64>,
}

/// A loss, and what it comes to.
#[derive(Deserialize)]
struct Cost {
    loss: Loss,
    reduction: Reduction,
    targets: Wanted,
    cost: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Wanted {
    Classes(Vec<u32>),
    Values(Vec<f64>),
}

/// How far from PyTorch a value may be, relative to the larger of 1 and the value itself.
trait Tolerance: Element {
    const TOLERANCE: f64;
}

impl Tolerance for f32 {
    const TOLERANCE: f64 = 1e-5;
}

impl Tolerance for f64 {
    const TOLERANCE: f64 = 1e-9;
}

fn agrees(file: &str) {
    let text = std::fs::read_to_string(folder().join(file)).unwrap();
    let file: File = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
    for case in &file.cases {
        for isa in Isa::ALL.into_iter().filter(|isa| isa.available()) {
            Run::<f32>::new(case, isa).check();
            Run::<f64>::new(case, isa).check();
        }
    }
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// A case on its way through the engine.
struct Run<'a, T: Element> {
    case: &'a Case,
    isa: Isa,
    input: Value,
    output: Value,
    params: Params<T>,
    executor: Executor<T>,
}

impl<'a, T: Tolerance> Run<'a, T> {
    fn new(case: &'a Case, isa: Isa) -> Run<'a, T> {
        let mut graph = Graph::new();
        let input = graph.input("input", case.input.sample()).unwrap();
        let mut output = input;
        for (number, op) in case.layers.iter().enumerate() {
            output = graph.add(&number.to_string(), op.clone(), [output]).unwrap();
        }
        graph.set_output(output);
        let params = parameters(&graph, case);
        let mode = match case.mode {
            Pass::Train => Mode::Train,
            Pass::Evaluate => Mode::EvaluateWithGradients,
        };
        let options = PlanOptions {
            mode,
            reuse: false,
            fuse: false,
            input_gradients: true,
            ..PlanOptions::train(case.input.samples())
        };
        let plan = Arc::new(Plan::new(&Arc::new(graph), options).unwrap());
        let executor = Executor::new(plan, Arc::new(Team::new(2).unwrap()), isa).unwrap();
        Run { case, isa, input, output, params, executor }
    }

    fn check(mut self) {
        let case = self.case;
        let input = case.input.channels_last::<T>();
        let output = self.executor.forward(&self.params, &[&input], case.input.samples()).to_vec();
        self.compare("output", &case.output, &output);
        match &case.criterion {
            None => {
                // ½‖x − t‖² with t = x − g has the gradient g.
                let upstream = case.output_gradient.channels_last::<T>();
                let targets: Vec<T> = output.iter().zip(upstream).map(|(&x, g)| x - g).collect();
                let criterion = Criterion { loss: Loss::Euclidean, reduction: Reduction::Sum };
                self.differentiate(&input, Targets::Values(&targets), &criterion);
            }
            Some(cost) => {
                let values: Vec<T>;
                let targets = match &cost.targets {
                    Wanted::Classes(classes) => Targets::Classes(classes),
                    Wanted::Values(all) => {
                        values = all.iter().map(|&value| T::of(value)).collect();
                        Targets::Values(&values)
                    }
                };
                let criterion = Criterion { loss: cost.loss.clone(), reduction: cost.reduction };
                let found = self.differentiate(&input, targets, &criterion);
                self.near("cost", 0, found, cost.cost);
            }
        }
        self.compare_gradients();
    }

    /// The cost and the gradients; in training also the running statistics, by a step of rate 0.
    fn differentiate(&mut self, input: &[T], targets: Targets<'_, T>, criterion: &Criterion) -> f64 {
        let batch = Batch { inputs: &[input], targets: Some(targets), count: self.case.input.samples() };
        let (executor, random) = (&mut self.executor, RandomState::default());
        if self.case.mode == Pass::Evaluate {
            return executor.differentiate(&self.params, &batch, criterion, random);
        }
        let still = Optimizer::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 };
        let mut state = OptimizerState::new(&still, self.params.layout()).unwrap();
        let update = Update::new(&still, &mut state, 0.0);
        executor.step(&mut self.params, &batch, criterion, update, random)
    }

    fn compare_gradients(&self) {
        let case = self.case;
        let gradient = |value| self.executor.value_gradient(value).expect("kept without reuse");
        self.compare("∂E/∂output", &case.output_gradient, gradient(self.output));
        self.compare("∂E/∂input", &case.input_gradient, gradient(self.input));
        for entry in self.params.layout().entries() {
            let name = &entry.name;
            if entry.spec.role.trainable() {
                let gradient = self.executor.gradients().get(entry).into_data();
                self.compare_in_order(&format!("∂E/∂{name}"), &case.param_gradients[name], &gradient);
            } else if let Some(after) = case.statistics_after.get(name) {
                self.compare_in_order(&format!("{name} after"), after, self.params.get(entry).data());
            } else {
                self.compare_in_order(name, &case.params[name], self.params.get(entry).data());
            }
        }
    }

    /// Compares a value of the batch, which the engine keeps channels last.
    fn compare(&self, what: &str, expected: &Array, found: &[T]) {
        let (count, channels, inner) = expected.blocks();
        let mut first = vec![T::ZERO; found.len()];
        assert_eq!(found.len(), expected.data.len(), "{}: elements of {what}", self.case.case);
        to_channels_first(count, channels, inner, found, &mut first);
        self.compare_in_order(what, expected, &first);
    }

    fn compare_in_order(&self, what: &str, expected: &Array, found: &[T]) {
        assert_eq!(found.len(), expected.data.len(), "{}: elements of {what}", self.case.case);
        for (i, (found, &expected)) in found.iter().zip(&expected.data).enumerate() {
            self.near(what, i, found.f64(), expected);
        }
    }

    fn near(&self, what: &str, i: usize, found: f64, expected: f64) {
        let (case, isa, bits) = (&self.case.case, self.isa.name(), 8 * T::BYTES);
        assert!(
            (found - expected).abs() <= T::TOLERANCE * expected.abs().max(1.0),
            "{case}, {isa}, {bits} bits: element {i} of {what} is {found}; PyTorch has {expected}"
        );
    }
}

/// The case's parameters: the same names, shapes and numbers as PyTorch's.
fn parameters<T: Element>(graph: &Graph, case: &Case) -> Params<T> {
    let layout = graph.layout();
    let mut names: Vec<&String> = layout.entries().iter().map(|entry| &entry.name).collect();
    names.sort();
    assert_eq!(names, case.params.keys().collect::<Vec<_>>(), "{}", case.case);
    let mut params = Params::zeroed(layout).unwrap();
    for entry in layout.entries() {
        let given = &case.params[&entry.name];
        assert_eq!(entry.spec.shape.sizes(), given.shape, "{}: {}", case.case, entry.name);
        params.set(entry, &given.numbers());
    }
    params
}

impl Array {
    fn samples(&self) -> usize {
        self.shape[0]
    }

    /// The shape of one sample.
    fn sample(&self) -> Shape {
        Shape::try_new(&self.shape[1..]).expect("a sample's shape")
    }

    /// Samples, channels and pixels.
    fn blocks(&self) -> (usize, usize, usize) {
        let sample = self.sample();
        (self.samples(), sample.channels(), sample.len() / sample.channels())
    }

    fn numbers<T: Element>(&self) -> Vec<T> {
        self.data.iter().map(|&value| T::of(value)).collect()
    }

    /// The numbers as the engine takes them, N·H·W·C.
    fn channels_last<T: Element>(&self) -> Vec<T> {
        let (count, channels, inner) = self.blocks();
        let mut last = vec![T::ZERO; self.data.len()];
        to_channels_last(count, channels, inner, &self.numbers(), &mut last);
        last
    }
}
