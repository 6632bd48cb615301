//! A network with its memory, trained step by step: what most experiments need.

use std::sync::Arc;

use ocelli_core::ops::{Linear, Relu};
use ocelli_core::{
    Batch, Criterion, Executor, Graph, Loss, Optimizer, OptimizerState, Params, PlanOptions, RandomState,
    Reduction, Targets, Update,
};
use ocelli_data::{Dataset, Picture};
use ocelli_kernels::Element;
use ocelli_kernels::random::Key;

use crate::spread::spread;
use crate::{Engine, Error};

/// Plain gradient descent.
pub(super) const SGD: Optimizer = Optimizer::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 };
/// Gradient descent with momentum 0.9.
pub(super) const MOMENTUM: Optimizer = Optimizer::Sgd { momentum: 0.9, nesterov: false, weight_decay: 0.0 };
/// Adam with the paper's settings.
pub(super) const ADAM: Optimizer =
    Optimizer::Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0 };

/// Inputs with what is wanted of them.
#[derive(Clone, Debug)]
pub(super) struct Samples<T> {
    /// N × the input's length.
    pub(super) x: Vec<T>,
    /// Elements of one input.
    pub(super) len: usize,
    /// What is wanted.
    pub(super) wanted: Wanted<T>,
}

/// What is wanted of samples.
#[derive(Clone, Debug)]
pub(super) enum Wanted<T> {
    /// A class each.
    Classes(Vec<u32>),
    /// So many values each.
    Values(Vec<T>, usize),
}

impl<T: Element> Samples<T> {
    /// Inputs of `len` elements with a class each.
    pub(super) fn classes(x: Vec<T>, len: usize, labels: Vec<u32>) -> Samples<T> {
        assert_eq!(x.len(), len * labels.len(), "an input for each label");
        Samples { x, len, wanted: Wanted::Classes(labels) }
    }

    /// Inputs of `len` elements with `width` values each.
    pub(super) fn values(x: Vec<T>, len: usize, values: Vec<T>, width: usize) -> Samples<T> {
        assert_eq!(x.len() * width, values.len() * len, "values for each input");
        Samples { x, len, wanted: Wanted::Values(values, width) }
    }

    /// The grey pictures of a data set as numbers from 0 to 1, with their classes: at most `most` of them.
    ///
    /// # Errors
    /// A picture that cannot be read.
    pub(super) fn pictures(data: &dyn Dataset, most: usize) -> Result<Samples<T>, Error> {
        Samples::read(data, most, 1)
    }

    /// As [`Samples::pictures`], in the channels that the data set has.
    ///
    /// # Errors
    /// A picture that cannot be read.
    pub(super) fn pixels(data: &dyn Dataset, most: usize) -> Result<Samples<T>, Error> {
        Samples::read(data, most, data.image_shape()[0])
    }

    fn read(data: &dyn Dataset, most: usize, channels: usize) -> Result<Samples<T>, Error> {
        let count = data.len().min(most);
        let [_, height, width] = data.image_shape();
        let len = height * width * channels;
        let (mut x, mut labels) = (Vec::with_capacity(count * len), Vec::with_capacity(count));
        let (mut picture, mut converted) = (Picture::default(), Picture::default());
        // Of a set that stands class by class, all of them.
        for i in spread(count, data.len()) {
            data.read(i, &mut picture)?;
            converted.convert_from(&picture, channels);
            x.extend(converted.pixels.iter().map(|&p| T::of(f64::from(p) / 255.0)));
            labels.push(data.label(i));
        }
        Ok(Samples::classes(x, len, labels))
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.x.len() / self.len
    }

    /// Those at these places.
    pub(super) fn chosen(&self, places: &[usize]) -> Samples<T> {
        let x = places.iter().flat_map(|&i| &self.x[i * self.len..][..self.len]).copied().collect();
        let wanted = match &self.wanted {
            Wanted::Classes(labels) => Wanted::Classes(places.iter().map(|&i| labels[i]).collect()),
            Wanted::Values(values, width) => {
                let of = |&i: &usize| &values[i * width..][..*width];
                Wanted::Values(places.iter().flat_map(of).copied().collect(), *width)
            }
        };
        Samples { x, len: self.len, wanted }
    }

    /// The targets, as a loss takes them.
    fn targets(&self) -> Targets<'_, T> {
        match &self.wanted {
            Wanted::Classes(labels) => Targets::Classes(labels),
            Wanted::Values(values, _) => Targets::Values(values),
        }
    }
}

/// A network, what it has learned, and how it goes on.
pub(super) struct Learner<T: Element> {
    pub(super) graph: Arc<Graph>,
    pub(super) params: Params<T>,
    executor: Executor<T>,
    criterion: Criterion,
    optimizer: Optimizer,
    state: OptimizerState<T>,
    seed: u64,
    batch: usize,
}

impl<T: Element> Learner<T> {
    /// A network that starts by its initialisers and `seed`, and learns `batch` samples at a time, by the mean of their costs.
    ///
    /// # Errors
    /// Too little memory.
    pub(super) fn new(
        engine: &Engine,
        graph: Graph,
        loss: Loss,
        optimizer: Optimizer,
        batch: usize,
        seed: u64,
    ) -> Result<Learner<T>, Error> {
        let graph = Arc::new(graph);
        let params = Params::initialised(graph.layout(), seed)?;
        // Everything is kept, so that experiments can look inside.
        let options = PlanOptions { reuse: false, fuse: false, ..PlanOptions::train(batch) };
        let executor = engine.executor(&graph, options)?;
        let state = OptimizerState::new(&optimizer, graph.layout())?;
        let criterion = Criterion { loss, reduction: Reduction::Mean };
        Ok(Learner { graph, params, executor, criterion, optimizer, state, seed, batch })
    }

    /// One step on a batch. Returns the cost before it.
    pub(super) fn step(&mut self, samples: &Samples<T>, rate: f64) -> f64 {
        let x: &[&[T]] = &[&samples.x];
        let batch = Batch { inputs: x, targets: Some(samples.targets()), count: samples.count() };
        let random = RandomState { seed: self.seed, step: self.state.steps };
        let update = Update::new(&self.optimizer, &mut self.state, rate);
        self.executor.step(&mut self.params, &batch, &self.criterion, update, random)
    }

    /// One pass over the samples in an order that follows from the seed and `epoch`; what is left of a whole batch is left out.
    /// Returns the mean cost.
    pub(super) fn epoch(&mut self, samples: &Samples<T>, rate: f64, epoch: u64) -> f64 {
        const PURPOSE: u64 = u64::from_be_bytes(*b"ORDER   ");
        let mut order: Vec<usize> = (0..samples.count()).collect();
        Key::new(self.seed, &[PURPOSE, epoch]).stream().shuffle(&mut order);
        let batches = order.chunks_exact(self.batch.min(order.len()));
        let steps = batches.len().max(1) as f64;
        batches.map(|places| self.step(&samples.chosen(places), rate)).sum::<f64>() / steps
    }

    /// The gradients of a batch's cost, as [`Executor::gradients`] has them, and the cost. At most a batch.
    pub(super) fn gradients(&mut self, samples: &Samples<T>) -> (f64, &Params<T>) {
        let x: &[&[T]] = &[&samples.x];
        let batch = Batch { inputs: x, targets: Some(samples.targets()), count: samples.count() };
        let cost = self.executor.differentiate(&self.params, &batch, &self.criterion, RandomState::default());
        (cost, self.executor.gradients())
    }

    /// What the network gives for inputs, one after the other.
    pub(super) fn outputs(&mut self, x: &[T]) -> Vec<T> {
        let output = self.graph.output().expect("a network has an output");
        self.values(x, output)
    }

    /// What a node of the network gives for inputs, one after the other.
    pub(super) fn values(&mut self, x: &[T], node: ocelli_core::Value) -> Vec<T> {
        let len: usize = self.graph.inputs().map(|v| self.graph.node(v).shape().len()).sum();
        let mut outputs = Vec::new();
        for x in x.chunks(len * self.batch) {
            self.executor.forward(&self.params, &[x], x.len() / len);
            outputs.extend_from_slice(self.executor.value(node).expect("everything is kept"));
        }
        outputs
    }

    /// The share of samples whose class is recognised.
    ///
    /// # Panics
    /// For samples without classes.
    pub(super) fn accuracy(&mut self, samples: &Samples<T>) -> f64 {
        let Wanted::Classes(labels) = &samples.wanted else { panic!("samples with classes") };
        let outputs = self.outputs(&samples.x);
        let width = outputs.len() / labels.len();
        let right = outputs.chunks_exact(width).zip(labels);
        let right = right.filter(|(y, label)| self.criterion.loss.predicted_class(y) == **label as usize);
        right.count() as f64 / labels.len() as f64
    }

    /// Numbers that training sets.
    pub(super) fn parameters(&self) -> usize {
        self.graph.layout().trainable()
    }
}

/// The loss of classifiers.
pub(super) const CROSS_ENTROPY: Loss = Loss::CrossEntropy { label_smoothing: 0.0 };

/// A classifier of ten classes on vectors: `depth` hidden layers of `width` rectifiers, `fc1` and `relu1` and so on, and the output.
/// `layer` is a linear layer of so many outputs: it decides how weights start.
///
/// # Errors
/// A layer without inputs or outputs.
pub(super) fn stack(
    inputs: usize,
    depth: usize,
    width: usize,
    layer: impl Fn(usize) -> Linear,
) -> Result<Graph, Error> {
    let mut graph = Graph::new();
    let mut x = graph.input("x", [inputs])?;
    for number in 1..=depth {
        x = graph.add(&format!("fc{number}"), layer(width), [x])?;
        x = graph.add(&format!("relu{number}"), Relu {}, [x])?;
    }
    graph.add("output", layer(10), [x])?;
    Ok(graph)
}

/// What `of` gives for 0 to n − 1, computed on as many threads as the engine has.
///
/// # Errors
/// The first error.
pub(super) fn each<R: Send>(
    engine: &Engine,
    n: usize,
    of: impl Fn(usize) -> Result<R, Error> + Sync,
) -> Result<Vec<R>, Error> {
    let threads = engine.threads().clamp(1, n.max(1));
    // Neighbours often take equally long: they are dealt out in turn.
    let hand = &|thread: usize| (thread..n).step_by(threads).map(&of).collect::<Vec<_>>();
    let mut hands: Vec<_> = std::thread::scope(|scope| {
        let started: Vec<_> = (0..threads).map(|thread| scope.spawn(move || hand(thread))).collect();
        let joined = started.into_iter().map(|thread| thread.join());
        joined.map(|hand| hand.unwrap_or_else(|panic| std::panic::resume_unwind(panic)).into_iter()).collect()
    });
    (0..n).map(|i| hands[i % threads].next().expect("each place was dealt out")).collect()
}
