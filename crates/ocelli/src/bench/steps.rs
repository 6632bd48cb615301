//! Where the time of a network goes: its profile, step by step and by kind of step.

use ocelli_core::plan::Work;
use ocelli_core::{Plan, Profile, StepTime};
use ocelli_kernels::Direction;
use serde::Serialize;

/// Where the time of one pass over a plan goes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Breakdown {
    /// Passes that were measured; the times are their means.
    pub passes: u64,
    /// Seconds of a pass.
    pub seconds: f64,
    /// Of these, seconds in no step: waking the workers, and waiting for the last one.
    pub outside_seconds: f64,
    /// The steps of the plan that ran, in their order.
    pub steps: Vec<StepCost>,
    /// The same by op and pass, most time first.
    pub kinds: Vec<KindCost>,
}

/// What one step costs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepCost {
    /// The layer, or the first and the last of several; empty for the loss and the update.
    pub layer: String,
    /// Its op.
    pub op: String,
    /// What is computed: `forward`, `to parameters`, `to input` and so on.
    pub pass: &'static str,
    /// The shape of one sample's output.
    pub output: Vec<usize>,
    /// Into how many parts it is cut.
    pub parts: usize,
    /// Time and work.
    #[serde(flatten)]
    pub cost: Cost,
}

/// What the steps of one kind cost.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KindCost {
    /// The op.
    pub op: String,
    /// What is computed.
    pub pass: &'static str,
    /// How many steps.
    pub steps: usize,
    /// Time and work.
    #[serde(flatten)]
    pub cost: Cost,
}

/// Time and work of a step or of several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Cost {
    /// Seconds that the first worker worked.
    pub seconds: f64,
    /// Seconds that the worker with the most to do worked, per step.
    pub slowest_seconds: f64,
    /// Seconds that the first worker waited at the barrier before.
    pub barrier_seconds: f64,
    /// Work and waiting as a share of the whole pass.
    pub share: f64,
    /// Multiply-adds.
    pub macs: u64,
    /// Bytes touched, each counted once.
    pub bytes: u64,
    /// Billions of floating-point operations a second over work and waiting, all workers together; a multiply-add is two.
    /// `None` where none are counted.
    pub gflops: Option<f64>,
    /// Billions of bytes touched a second.
    pub gbytes: Option<f64>,
}

impl Cost {
    fn add(&mut self, other: &Cost) {
        self.seconds += other.seconds;
        self.slowest_seconds += other.slowest_seconds;
        self.barrier_seconds += other.barrier_seconds;
        self.macs += other.macs;
        self.bytes += other.bytes;
    }

    fn finish(&mut self, pass_seconds: f64) {
        let elapsed = self.seconds + self.barrier_seconds;
        self.share = elapsed / pass_seconds;
        let per_second = |n: u64| (n > 0 && elapsed > 0.0).then(|| n as f64 / elapsed / 1e9);
        self.gflops = per_second(2 * self.macs);
        self.gbytes = per_second(self.bytes);
    }
}

impl Breakdown {
    /// Of a profile of `plan`. `slots` is how many numbers the optimiser remembers of each parameter.
    pub fn new(plan: &Plan, profile: &Profile, slots: usize) -> Breakdown {
        let passes = profile.passes.max(1);
        let seconds = |nanoseconds: u64| nanoseconds as f64 / 1e9 / passes as f64;
        let total = seconds(profile.total);
        let mut steps = Vec::new();
        for (number, step) in plan.steps().enumerate() {
            let times = profile.workers.iter().map(|worker| worker[number]);
            let first = times.clone().next().unwrap_or_default();
            if times.clone().all(|time| time == StepTime::default()) {
                continue; // an inference does not run the loss
            }
            let mut cost = Cost {
                seconds: seconds(first.work),
                slowest_seconds: seconds(times.map(|time| time.work).max().unwrap_or(0)),
                barrier_seconds: seconds(first.wait),
                macs: step.macs,
                bytes: (step.elements + slots as u64 * step.moves) * 4,
                ..Cost::default()
            };
            cost.finish(total);
            let (mut layer, op, output) = subject(plan, step.work);
            if let Some(first) = step.first {
                layer = format!("{} … {layer}", plan.graph().node(first).name());
            }
            steps.push(StepCost { layer, op, pass: pass(step.work), output, parts: step.parts, cost });
        }
        let inside: f64 = steps.iter().map(|step| step.cost.seconds + step.cost.barrier_seconds).sum();
        let kinds = kinds(&steps, total);
        Breakdown { passes: profile.passes, seconds: total, outside_seconds: total - inside, steps, kinds }
    }
}

/// Layer, op and shape of the output of what a step works on.
fn subject(plan: &Plan, work: Work) -> (String, String, Vec<usize>) {
    let of = |value| {
        let node = plan.graph().node(value);
        let op = node.op().map_or("input", |op| op.name());
        (node.name().to_string(), op.to_string(), Vec::from(node.shape()))
    };
    match work {
        Work::Prepare(value, _)
        | Work::Statistics(value)
        | Work::Forward(value)
        | Work::BackwardParams(value)
        | Work::BackwardInput(value, _) => of(value),
        Work::Loss => (String::new(), "loss".to_string(), Vec::new()),
        Work::Update => (String::new(), "update".to_string(), Vec::new()),
    }
}

/// What a step computes, in a word or two.
fn pass(work: Work) -> &'static str {
    match work {
        Work::Prepare(_, Direction::Forward) => "pack, forward",
        Work::Prepare(_, Direction::BackwardInput) => "pack, to input",
        Work::Statistics(_) => "statistics",
        Work::Forward(_) | Work::Loss => "forward",
        Work::BackwardParams(_) => "to parameters",
        Work::BackwardInput(..) => "to input",
        Work::Update => "update",
    }
}

fn kinds(steps: &[StepCost], total: f64) -> Vec<KindCost> {
    let mut kinds: Vec<KindCost> = Vec::new();
    for step in steps {
        let known = kinds.iter().position(|kind| kind.op == step.op && kind.pass == step.pass);
        let place = known.unwrap_or_else(|| {
            let cost = Cost::default();
            kinds.push(KindCost { op: step.op.clone(), pass: step.pass, steps: 0, cost });
            kinds.len() - 1
        });
        kinds[place].steps += 1;
        kinds[place].cost.add(&step.cost);
    }
    kinds.iter_mut().for_each(|kind| kind.cost.finish(total));
    kinds.sort_by(|a, b| b.cost.share.total_cmp(&a.cost.share));
    kinds
}
