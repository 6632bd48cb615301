//! How fast a network trains and infers, on random images and labels.

use std::sync::Arc;
use std::time::Instant;

use ocelli_core::plan::Work;
use ocelli_core::{
    Batch, Clock, Criterion, Executor, Graph, Loss, Optimizer, OptimizerState, Params, Plan, PlanOptions,
    Profile, RandomState, Reduction, Targets, Update,
};
use ocelli_kernels::Precision;
use ocelli_kernels::random::Key;

use super::{Budget, Timing};
use crate::{Engine, Error};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// A step of training: forward, cross-entropy, backward, SGD with momentum 0.9 and weight decay 5·10⁻⁴.
    Train,
    /// Inference on a full batch.
    Infer,
    /// Inference on one image.
    Latency,
}

/// So small that weights keep the values that they start with: what is computed is then that of a fresh network,
/// however many steps are measured.
const RATE: f64 = 1e-7;

/// One phase of one network, ready to run.
pub struct NetBench {
    executor: Executor<f32>,
    params: Params<f32>,
    /// The optimiser and its state; in training alone.
    training: Option<(Optimizer, OptimizerState<f32>)>,
    criterion: Criterion,
    images: Vec<f32>,
    labels: Vec<u32>,
    count: usize,
    step: u64,
}

impl NetBench {
    /// A bench for `phase` with batches of `batch` images, of products that may round to `precision`.
    ///
    /// # Errors
    /// A network with several inputs or that cannot tell classes apart, or too little memory.
    pub fn new(
        engine: &Engine,
        graph: &Arc<Graph>,
        phase: Phase,
        batch: usize,
        precision: Precision,
    ) -> Result<NetBench, Error> {
        let mut inputs = graph.inputs().map(|input| graph.node(input).shape().len());
        let (Some(image), None) = (inputs.next(), inputs.next()) else {
            return Err(Error::Usage("only networks with one input can be measured".to_string()));
        };
        let classes = classes(graph)?;
        let count = if phase == Phase::Latency { 1 } else { batch };
        let options = match phase {
            Phase::Train => crate::train::step_options(count, precision),
            Phase::Infer | Phase::Latency => PlanOptions { precision, ..PlanOptions::evaluate(count) },
        };
        let executor = engine.executor(graph, options)?;
        let optimizer = Optimizer::Sgd { momentum: 0.9, nesterov: false, weight_decay: 5e-4 };
        let training = match phase {
            Phase::Train => {
                let state = OptimizerState::new(&optimizer, graph.layout())?;
                Some((optimizer, state))
            }
            Phase::Infer | Phase::Latency => None,
        };
        let mut random = Key::new(0, &[u64::from_be_bytes(*b"BENCHNET")]).stream();
        Ok(NetBench {
            executor,
            params: Params::initialised(graph.layout(), 0)?,
            training,
            criterion: Criterion { loss: LOSS, reduction: Reduction::Mean },
            images: (0..count * image).map(|_| random.normal() as f32).collect(),
            labels: (0..count).map(|_| random.below(classes as u64) as u32).collect(),
            count,
            step: 0,
        })
    }

    /// Runs the phase once.
    ///
    /// # Errors
    /// [`Error::Diverged`] where a cost is not finite: such a step leaves work out.
    pub fn run(&mut self) -> Result<(), Error> {
        let inputs: [&[f32]; 1] = [&self.images];
        let Some((optimizer, state)) = &mut self.training else {
            self.executor.forward(&self.params, &inputs, self.count);
            return Ok(());
        };
        let targets = Some(Targets::Classes(&self.labels));
        let batch = Batch { inputs: &inputs, targets, count: self.count };
        let update = Update::new(optimizer, state, RATE);
        let random = RandomState { seed: 0, step: self.step };
        self.step += 1;
        let cost = self.executor.step(&mut self.params, &batch, &self.criterion, update, random);
        match cost.is_finite() {
            true => Ok(()),
            false => {
                Err(Error::Diverged(format!("the cost of random images is {cost}; nothing was measured")))
            }
        }
    }

    /// Times [`NetBench::run`].
    ///
    /// # Errors
    /// As [`NetBench::run`].
    pub fn time(&mut self, budget: Budget) -> Result<Timing, Error> {
        Timing::measure(budget, || self.run())
    }

    /// Notes what each step takes while [`NetBench::run`] runs for the budget.
    ///
    /// # Errors
    /// As [`NetBench::run`].
    pub fn profile(&mut self, budget: Budget) -> Result<Profile, Error> {
        self.run()?;
        let start = Instant::now();
        let clock: Clock = Arc::new(move || start.elapsed().as_nanos() as u64);
        self.executor.start_profile(clock);
        let mut repeats = 0;
        while repeats < budget.repeats.max(1) || start.elapsed().as_secs_f64() < budget.seconds {
            self.run()?;
            repeats += 1;
        }
        Ok(self.executor.end_profile().expect("a profile was begun"))
    }

    /// What is run.
    pub fn plan(&self) -> &Plan {
        self.executor.plan()
    }

    /// Multiply-adds of one run.
    pub fn macs(&self) -> u64 {
        let runs = |work| self.training.is_some() || matches!(work, Work::Forward(_));
        self.plan().steps().filter(|step| runs(step.work)).map(|step| step.macs).sum()
    }
}

const LOSS: Loss = Loss::CrossEntropy { label_smoothing: 0.0 };

/// How many classes the outputs of a network tell apart by cross-entropy.
fn classes(graph: &Graph) -> Result<usize, Error> {
    let width = graph.node(graph.output()?).shape().len();
    LOSS.check(width, None).map_err(|e| Error::Usage(e.to_string()))?;
    Ok(LOSS.classes(width))
}
