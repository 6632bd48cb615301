//! The family F of detectors: functions of a window whose sign tells whether an object is in it, behind one face.
//!
//! A linear function, a sum of stumps and a network differ in what they can be; what is measured of them does not.

use std::sync::Arc;

use ocelli_core::{
    Batch, Criterion, Executor, Graph, Optimizer, OptimizerState, Params, PlanOptions, RandomState, Targets,
    Update,
};
use ocelli_kernels::random::Key;

use super::boost::Boosted;
use crate::{Engine, Error};

/// A member of the family.
pub trait Member {
    /// F(x) for each of the samples, M×width.
    fn scores(&mut self, samples: &[f64]) -> Vec<f64>;
}

impl Member for Boosted {
    fn scores(&mut self, samples: &[f64]) -> Vec<f64> {
        samples.chunks_exact(self.width).map(|x| self.score(x)).collect()
    }
}

/// Windows with labels y = ±1.
#[derive(Clone, Debug, Default)]
pub struct Labelled {
    /// M×width numbers.
    pub samples: Vec<f64>,
    /// Numbers of a window.
    pub width: usize,
    /// M labels.
    pub labels: Vec<f64>,
}

/// The share of wrong answers where F was fitted and where it was not. One does not come without the other: the first
/// alone says nothing of what was learned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Errors {
    /// On the training windows.
    pub train: f64,
    /// On windows of pictures that training did not see.
    pub held_out: f64,
}

/// The share of wrong answers among scores F(x) of windows with labels y = ±1. An answer is the sign of F(x): its threshold is 0,
/// and F(x) = 0 says no.
pub fn error(scores: &[f64], labels: &[f64]) -> f64 {
    let wrong = scores.iter().zip(labels).filter(|(f, y)| (**f > 0.0) != (**y > 0.0)).count();
    wrong as f64 / labels.len().max(1) as f64
}

/// The errors of a member.
pub fn errors(member: &mut dyn Member, train: &Labelled, held_out: &Labelled) -> Errors {
    let mut of = |set: &Labelled| error(&member.scores(&set.samples), &set.labels);
    Errors { train: of(train), held_out: of(held_out) }
}

/// A network of one output: linear where it has one layer.
pub struct Net {
    graph: Arc<Graph>,
    params: Params<f64>,
    executor: Executor<f64>,
    width: usize,
}

/// How a [`Net`] is fitted.
#[derive(Clone, Debug)]
pub struct Descent {
    /// What is minimised.
    pub criterion: Criterion,
    /// How a gradient moves the parameters.
    pub optimizer: Optimizer,
    /// η.
    pub rate: f64,
    /// Passes over the windows.
    pub epochs: usize,
    /// Windows per step.
    pub batch: usize,
    /// Chooses the weights at the start, and the order of the windows.
    pub seed: u64,
}

impl Net {
    /// Fits a graph of one input and one output to windows.
    ///
    /// # Errors
    /// A graph without layers, or too little memory.
    ///
    /// # Panics
    /// If the graph does not take such windows.
    pub fn fit(engine: &Engine, graph: Graph, data: &Labelled, how: &Descent) -> Result<Net, Error> {
        const ORDER: u64 = u64::from_be_bytes(*b"WINDOWS ");
        let (graph, width) = (Arc::new(graph), data.width);
        let mut params = Params::initialised(graph.layout(), how.seed)?;
        let mut trainer = engine.executor::<f64>(&graph, PlanOptions::train(how.batch))?;
        let mut state = OptimizerState::new(&how.optimizer, graph.layout())?;
        let mut order: Vec<usize> = (0..data.labels.len()).collect();
        let (mut samples, mut labels) = (Vec::new(), Vec::new());
        for epoch in 0..how.epochs {
            Key::new(how.seed, &[ORDER, epoch as u64]).stream().shuffle(&mut order);
            for batch in order.chunks(how.batch) {
                samples.clear();
                batch.iter().for_each(|&i| samples.extend_from_slice(&data.samples[i * width..][..width]));
                labels.clear();
                labels.extend(batch.iter().map(|&i| data.labels[i]));
                let run = Batch {
                    inputs: &[&samples],
                    targets: Some(Targets::Values(&labels)),
                    count: batch.len(),
                };
                let update = Update::new(&how.optimizer, &mut state, how.rate);
                trainer.step(&mut params, &run, &how.criterion, update, RandomState::default());
            }
        }
        let executor = engine.executor(&graph, PlanOptions::evaluate(how.batch))?;
        Ok(Net { graph, params, executor, width })
    }

    /// Numbers that fitting sets.
    pub fn parameters(&self) -> usize {
        self.graph.layout().trainable()
    }
}

impl Member for Net {
    fn scores(&mut self, samples: &[f64]) -> Vec<f64> {
        let most = self.executor.plan().options().batch * self.width;
        let mut scores = Vec::new();
        for batch in samples.chunks(most) {
            let count = batch.len() / self.width;
            scores.extend_from_slice(self.executor.forward(&self.params, &[batch], count));
        }
        scores
    }
}
