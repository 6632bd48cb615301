//! Second derivatives: why LeNet-5's authors gave each weight a learning rate of its own.

use std::sync::Arc;

use ocelli_core::ops::Linear;
use ocelli_core::optim::average_curvature;
use ocelli_core::{
    Batch, Criterion, Graph, Loss, Optimizer, OptimizerState, Params, PlanOptions, RandomState, Reduction,
    Targets, Update,
};

use super::learner::SGD;
use super::{Context, Expected, Experiment, Finding, Part};
use crate::Error;
use crate::figure::{Mark, Plot, Sheet};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "second-derivatives",
    title: "A learning rate for each weight: diagonal Levenberg–Marquardt",
    part: Part::History,
    checklist: &[18],
    about: "Where the cost bends strongly along a weight, a step must be small; where it hardly bends, it may be large. LeNet-5 was trained \
with rates η/(μ + h), h being an estimate of the second derivative by that weight. It is propagated backward like a gradient, with \
squared weights and squared slopes, and never negative (the Gauss–Newton approximation). For a linear unit and squared error it is \
exact and one sees what it is: twice the square of the weight’s input.\n\n\
Here a linear layer of eight inputs, each of another size, is fitted by plain gradient descent with the best of many learning \
rates, and by the same with second derivatives.",
    equations: &["w ← w − \\frac{η}{μ + h} \\frac{∂C}{∂w}, \\quad h = \\frac{∂^2 C}{∂a^2} u^2"],
    source: file!(),
    run,
};

const INPUTS: usize = 8;
const SAMPLES: usize = 256;
const STEPS: usize = 100;

/// A fit of one linear unit to samples whose inputs differ in size: input j is about 3^−j.
struct Task {
    graph: Arc<Graph>,
    inputs: Vec<f64>,
    targets: Vec<f64>,
}

const CRITERION: Criterion = Criterion { loss: Loss::SquaredError, reduction: Reduction::Mean };

impl Task {
    fn new(context: &Context) -> Result<Task, Error> {
        let mut graph = Graph::new();
        let x = graph.input("u", [INPUTS])?;
        graph.add("linear", Linear::new(1).without_bias(), [x])?;
        let mut stream = context.key(&[18]).stream();
        let size = |k: usize| 3f64.powi(-((k % INPUTS) as i32));
        let inputs: Vec<f64> = (0..SAMPLES * INPUTS).map(|k| size(k) * stream.normal()).collect();
        let truth: Vec<f64> = (0..INPUTS).map(|j| stream.range(-1.0, 1.0) / size(j)).collect();
        let sum = |u: &[f64]| u.iter().zip(&truth).map(|(u, w)| u * w).sum();
        let targets = inputs.chunks_exact(INPUTS).map(sum).collect();
        Ok(Task { graph: Arc::new(graph), inputs, targets })
    }

    fn batch(&self) -> [&[f64]; 1] {
        [&self.inputs]
    }

    /// h of each weight, the mean over the samples one by one.
    fn curvature(&self, context: &Context, params: &Params<f64>) -> Result<Params<f64>, Error> {
        let options = PlanOptions { curvature: true, ..PlanOptions::train(1) };
        let mut executor = context.engine().executor::<f64>(&self.graph, options)?;
        let mut mean = Params::zeroed(self.graph.layout())?;
        for (i, (u, t)) in self.inputs.chunks_exact(INPUTS).zip(self.targets.chunks(1)).enumerate() {
            let batch = Batch { inputs: &[u], targets: Some(Targets::Values(t)), count: 1 };
            executor.curvature(params, &batch, &CRITERION, RandomState::default())?;
            average_curvature(mean.data_mut(), executor.gradients().data(), i as u64 + 1);
        }
        Ok(mean)
    }

    /// The cost before each step of full-batch descent and after the last.
    fn fit(&self, context: &Context, optimizer: &Optimizer, rate: f64) -> Result<Vec<f64>, Error> {
        let mut params = Params::<f64>::zeroed(self.graph.layout())?;
        let mut state = OptimizerState::new(optimizer, self.graph.layout())?;
        if let Optimizer::DiagonalLm { .. } = optimizer {
            let h = self.curvature(context, &params)?;
            state.slots_mut()[0].data_mut().copy_from_slice(h.data());
        }
        let mut executor = context.engine().executor(&self.graph, PlanOptions::train(SAMPLES))?;
        let inputs = self.batch();
        let batch = Batch { inputs: &inputs, targets: Some(Targets::Values(&self.targets)), count: SAMPLES };
        let costs = (0..=STEPS).map(|_| {
            let update = Update::new(optimizer, &mut state, rate);
            executor.step(&mut params, &batch, &CRITERION, update, RandomState::default())
        });
        Ok(costs.collect())
    }
}

fn run(context: &Context) -> Result<Finding, Error> {
    let mut finding = Finding::default();
    let task = Task::new(context)?;
    let start = Params::zeroed(task.graph.layout())?;
    let h = task.curvature(context, &start)?;
    let exact = (0..INPUTS).map(|j| {
        task.inputs.iter().skip(j).step_by(INPUTS).map(|u| 2.0 * u * u).sum::<f64>() / SAMPLES as f64
    });
    let exact: Vec<f64> = exact.collect();
    let error = h.data().iter().zip(&exact).map(|(h, exact)| (h / exact - 1.0).abs()).fold(0.0, f64::max);
    finding.check(
        "h over 2u², mean over the samples: largest deviation from 1",
        error,
        Expected::AtMost(1e-12),
    );
    finding.check("the largest h over the smallest", exact[0] / exact[INPUTS - 1], Expected::AtLeast(1e5));

    let rates = (-8..=4).map(|k| 2f64.powi(k));
    let runs = rates.map(|rate| task.fit(context, &SGD, rate)).collect::<Result<Vec<_>, _>>()?;
    let last = |costs: &Vec<f64>| if costs[STEPS].is_finite() { costs[STEPS] } else { f64::INFINITY };
    let plain =
        runs.into_iter().min_by(|a, b| last(a).total_cmp(&last(b))).expect("invariant: some were tried");
    let lm = task.fit(context, &Optimizer::DiagonalLm { mu: 1e-9, samples: SAMPLES }, 0.5)?;
    finding.check(
        "cost after 100 steps over that at the start, one rate for all",
        plain[STEPS] / plain[0],
        Expected::AtLeast(1e-3),
    );
    finding.check("the same, with a rate for each weight", lm[STEPS] / lm[0], Expected::AtMost(1e-6));
    let curve =
        |costs: &[f64]| costs.iter().enumerate().map(|(i, &c)| [i as f64, c / costs[0]]).collect::<Vec<_>>();
    finding.figure(
        "descent",
        "Left: h as it is propagated backward (dots) and 2u² (line), for weights whose inputs get smaller by a factor of three from one to \
         the next. Right: the cost by steps, with the best learning rate for all weights together, and with one for each.",
        Sheet::new("Second derivatives and what they are good for")
            .add(
                Plot::new("Second derivatives", "weight", "h")
                    .log_y()
                    .colored("2u², mean over samples", Mark::Line, 5, numbered(&exact))
                    .colored("propagated backward", Mark::Dots, 0, numbered(h.data())),
            )
            .add(
                Plot::new("Descent", "steps", "cost, 1 at the start")
                    .log_y()
                    .y_limits(1e-8, 1.0)
                    .series("a rate for each weight", Mark::Line, curve(&lm))
                    .series("the best rate for all", Mark::Line, curve(&plain)),
            ),
    );
    Ok(finding)
}

fn numbered(values: &[f64]) -> Vec<[f64; 2]> {
    values.iter().take(INPUTS).enumerate().map(|(i, &v)| [i as f64 + 1.0, v]).collect()
}
