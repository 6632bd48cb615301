//! One sample, some or all per step: how many updates an epoch makes, and how noisy they are.

use std::sync::Arc;

use ocelli_core::ops::{Linear, Tanh};
use ocelli_core::{
    Batch, Criterion, Executor, Graph, OptimizerState, Params, PlanOptions, RandomState, Reduction, Targets,
    Update,
};
use ocelli_data::Sampler;

use super::learner::{CROSS_ENTROPY, SGD};
use super::pictures::{Pictures, ink};
use super::{Context, Expected, Experiment, Finding, Part, Table};
use crate::Error;
use crate::figure::{Mark, Plot, Sheet};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "batches",
    title: "One sample, some, or all: stochastic gradient descent",
    part: Part::Backpropagation,
    checklist: &[68, 69],
    about: "A step can follow the gradient of one sample, of a batch, or of all samples. With batches of one an epoch makes as many \
updates as there are samples; with one batch of all it makes a single update, along the true gradient. In between, a batch of B \
drawn at random gives the true gradient plus noise whose variance is that of one sample’s gradient divided by B.\n\n\
So small batches learn sooner per sample seen, because they move more often, and large ones go straighter. Here a network of 16 \
tanh units learns the embedded digits, each way with the learning rate that suits it best of those tried.",
    equations: &[
        "θ ← θ − η \\frac{1}{B} Σ_{m=1}^{B} \\frac{∂C^m}{∂θ}",
        "E ‖g_B − \\frac{∂E}{∂θ}‖^2 = \\frac{1}{B} E ‖g_1 − \\frac{∂E}{∂θ}‖^2",
    ],
    source: file!(),
    run,
};

/// Batches whose noise is measured, and how many of each are drawn.
const NOISE: [(usize, usize); 6] = [(1, 1500), (4, 1000), (16, 500), (64, 250), (256, 120), (1024, 60)];

/// Batches that are trained with. The last one is of all samples.
const TRAINED: [usize; 3] = [1, 32, usize::MAX];
const RATES: [f64; 5] = [0.03, 0.1, 0.3, 1.0, 3.0];
const EPOCHS: usize = 10;

/// A network and the samples that it learns.
struct Task {
    graph: Arc<Graph>,
    start: Params<f32>,
    samples: Pictures,
    criterion: Criterion,
}

impl Task {
    fn new(context: &Context) -> Result<Task, Error> {
        let splits = context.digits()?;
        let samples = Pictures::of(&*splits.train, &ink(&*splits.train), usize::MAX)?;
        let mut graph = Graph::new();
        let x = graph.input("image", [samples.width()])?;
        let x = graph.add("W1", Linear::new(16), [x])?;
        let x = graph.add("tanh", Tanh {}, [x])?;
        graph.add("W2", Linear::new(10), [x])?;
        let start = Params::initialised(graph.layout(), context.seed())?;
        let criterion = Criterion { loss: CROSS_ENTROPY, reduction: Reduction::Mean };
        Ok(Task { graph: Arc::new(graph), start, samples, criterion })
    }

    /// The images and labels of these samples.
    fn pick(&self, chosen: &[u32]) -> (Vec<f32>, Vec<u32>) {
        let images = chosen.iter().flat_map(|&i| self.samples.image(i as usize).iter().copied()).collect();
        (images, chosen.iter().map(|&i| self.samples.labels[i as usize]).collect())
    }

    fn gradient(&self, executor: &mut Executor<f32>, chosen: &[u32]) -> Vec<f64> {
        let (images, labels) = self.pick(chosen);
        let batch =
            Batch { inputs: &[&images], targets: Some(Targets::Classes(&labels)), count: chosen.len() };
        executor.differentiate(&self.start, &batch, &self.criterion, RandomState::default());
        executor.gradients().data().iter().map(|&g| f64::from(g)).collect()
    }

    /// Trains with batches of that size. Gives the updates of an epoch, and the mean loss at its start and after each epoch.
    fn train(&self, context: &Context, batch: usize, rate: f64) -> Result<(u64, Vec<f64>), Error> {
        let all: Vec<u32> = (0..self.samples.len() as u32).collect();
        let mut params = self.start.try_clone()?;
        let mut state = OptimizerState::new(&SGD, self.graph.layout())?;
        let mut executor = context.engine().executor(&self.graph, PlanOptions::train(batch))?;
        let mut judge = context.engine().executor(&self.graph, PlanOptions::evaluate(all.len()))?;
        let mut loss = |params: &Params<f32>| {
            let targets = Some(Targets::Classes(&self.samples.labels));
            let whole = Batch { inputs: &[&self.samples.images], targets, count: all.len() };
            judge.evaluate(params, &whole, &self.criterion)
        };
        let mut losses = vec![loss(&params)];
        let sampler = Sampler::new(all.len(), batch)?.shuffled(context.seed());
        for epoch in 0..EPOCHS {
            let order = sampler.epoch(epoch as u64);
            for number in 0..sampler.batches() {
                let (images, labels) = self.pick(order.batch(number));
                let targets = Some(Targets::Classes(&labels));
                let batch = Batch { inputs: &[&images], targets, count: labels.len() };
                let update = Update::new(&SGD, &mut state, rate);
                executor.step(&mut params, &batch, &self.criterion, update, RandomState::default());
            }
            losses.push(loss(&params));
        }
        Ok((state.steps / EPOCHS as u64, losses))
    }
}

fn run(context: &Context) -> Result<Finding, Error> {
    let task = Task::new(context)?;
    let mut finding =
        Finding { data: format!("{} embedded digits", task.samples.len()), ..Finding::default() };
    let noise = noise(context, &task)?;
    for &(size, found, law) in &noise {
        // The spread of the mean of so many squared distances is far below this.
        finding.check(
            format!("noise of batches of {size} over that of one, times {size}"),
            found / law,
            Expected::Near(1.0, 0.2),
        );
    }
    let mut table = Table::new(
        "Ten epochs by the size of the batch",
        ["batch", "updates per epoch", "best learning rate", "mean loss after 1 epoch", "mean loss after 10"],
    );
    let mut curves = Plot::new("Learning", "epochs", "mean loss over all samples").log_y();
    for size in TRAINED {
        let size = size.min(task.samples.len());
        let (rate, updates, losses) = best(context, &task, size)?;
        finding.check(
            format!("updates per epoch with batches of {size}"),
            updates as f64,
            Expected::Exactly(task.samples.len().div_ceil(size) as f64),
        );
        let name = if size == task.samples.len() { format!("all {size}") } else { size.to_string() };
        table.row([
            name.clone(),
            updates.to_string(),
            rate.to_string(),
            format!("{:.3}", losses[1]),
            format!("{:.3}", losses[EPOCHS]),
        ]);
        let points = losses.iter().enumerate().map(|(epoch, &loss)| [epoch as f64, loss]);
        curves = curves.series(&name, Mark::Line, points.collect::<Vec<_>>());
    }
    finding.table(table);
    let law = Plot::new("Noise of the gradient", "samples in the batch", "E ‖g − ∂E/∂θ‖²")
        .log_x()
        .log_y()
        .series("drawn at random", Mark::Dots, noise.iter().map(|n| [n.0 as f64, n.1]).collect::<Vec<_>>())
        .series("1/B", Mark::Line, noise.iter().map(|n| [n.0 as f64, n.2]).collect::<Vec<_>>());
    finding.figure(
        "noise",
        "Left: the mean squared distance of a batch’s gradient from the true one falls as 1/B. Right: the loss after each pass over \
         the samples, with batches of one, of 32 and of all.",
        Sheet::new("The noise of the gradient, and learning, by the size of the batch").add(law).add(curves),
    );
    Ok(finding)
}

/// For each size of batch: the mean squared distance of its gradient from the true one, and what 1/B says.
fn noise(context: &Context, task: &Task) -> Result<Vec<(usize, f64, f64)>, Error> {
    let n = task.samples.len();
    let mut executor = context.engine().executor(&task.graph, PlanOptions::train(n))?;
    let truth = task.gradient(&mut executor, &(0..n as u32).collect::<Vec<_>>());
    let mut distance = |chosen: &[u32]| -> f64 {
        let gradient = task.gradient(&mut executor, chosen);
        gradient.iter().zip(&truth).map(|(a, b)| (a - b).powi(2)).sum()
    };
    let one = (0..n as u32).map(|i| distance(&[i])).sum::<f64>() / n as f64;
    let of_size = |(size, draws): (usize, usize)| {
        let mut stream = context.key(&[69, size as u64]).stream();
        let mut draw = || -> Vec<u32> { (0..size).map(|_| stream.below(n as u64) as u32).collect() };
        let mean = (0..draws).map(|_| distance(&draw())).sum::<f64>() / draws as f64;
        (size, mean, one / size as f64)
    };
    Ok(NOISE.map(of_size).to_vec())
}

/// The learning rate with the least loss in the end, the updates of an epoch, and the losses.
fn best(context: &Context, task: &Task, batch: usize) -> Result<(f64, u64, Vec<f64>), Error> {
    let mut best: Option<(f64, u64, Vec<f64>)> = None;
    for rate in RATES {
        let (updates, losses) = task.train(context, batch, rate)?;
        let last = losses[EPOCHS];
        if last.is_finite() && best.as_ref().is_none_or(|best| last < best.2[EPOCHS]) {
            best = Some((rate, updates, losses));
        }
    }
    best.ok_or_else(|| Error::Diverged("no learning rate that was tried keeps the loss finite".to_string()))
}
