//! The executor: runs a plan over a batch, on a team of threads, allocating nothing.

use std::ops::Range;
use std::sync::Arc;

use ocelli_kernels::{Element, Isa, Kernels, Team, Worker, Write};

use crate::arena::{ALIGNMENT, AlignedBuffer, Shared};
use crate::loss::{Loss, Reduction, Targets};
use crate::ops::{
    BackwardInput, BackwardParams, Forward, Inputs, MAX_PARAMS, Operation, ParamViews, RandomState, Reads,
    Statistics,
};
use crate::optim::{self, Optimizer};
use crate::optimizer_state::OptimizerState;
use crate::plan::{BufferKind, Cut, NodePlan, Piece, Step, Work};
use crate::{Error, Mode, Params, Plan, Value};

/// A batch of samples. Fewer than the plan's batch size run on the same plan.
#[derive(Clone, Copy)]
pub struct Batch<'a, T> {
    /// For each input of the graph, `count` samples in N·H·W·C order.
    pub inputs: &'a [&'a [T]],
    /// What the output should be; without it no loss is computed.
    pub targets: Option<Targets<'a, T>>,
    /// How many samples there are.
    pub count: usize,
}

/// What is minimised: a loss, and how the costs of a batch become one number E.
#[derive(Clone, Debug, PartialEq)]
pub struct Criterion {
    /// The cost of one sample.
    pub loss: Loss,
    /// Mean or sum over the batch.
    pub reduction: Reduction,
}

/// An update of the parameters after the gradients of a batch.
pub struct Update<'a, T> {
    /// The rule.
    pub optimizer: &'a Optimizer,
    /// Its memory; the number of steps in it is advanced.
    pub state: &'a mut OptimizerState<T>,
    /// The learning rate η.
    pub rate: f64,
}

/// Runs a [`Plan`]. It owns the memory that the plan needs (its workspace) and the gradients; parameters are the
/// caller's, so that many executors can evaluate one network at once.
pub struct Executor<T: Element> {
    plan: Arc<Plan>,
    team: Arc<Team>,
    alone: Team,
    kernels: &'static Kernels<T>,
    arena: AlignedBuffer<T>,
    scratch: AlignedBuffer<T>,
    costs: AlignedBuffer<T>,
    gradients: Option<Params<T>>,
    count: usize,
}

impl<T: Element> Executor<T> {
    /// An executor of `plan` on `team`, with the kernels of `isa`.
    ///
    /// # Errors
    /// [`Error::Memory`].
    pub fn new(plan: Arc<Plan>, team: Arc<Team>, isa: Isa) -> Result<Executor<T>, Error> {
        let workers = if plan.parts() > 1 { team.threads() } else { 1 };
        let gradients = match plan.options().mode.has_backward() {
            true => Some(Params::zeroed(plan.graph().layout())?),
            false => None,
        };
        Ok(Executor {
            alone: Team::new(1)?,
            team,
            kernels: T::kernels(isa),
            arena: AlignedBuffer::zeroed(plan.arena_len(), "activations and gradients")?,
            scratch: AlignedBuffer::zeroed(scratch_stride(&plan) * workers, "working memory")?,
            costs: AlignedBuffer::zeroed(plan.options().batch, "the costs")?,
            gradients,
            count: 0,
            plan,
        })
    }

    /// The plan.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Computes the output of a batch: `count` × output shape.
    ///
    /// # Panics
    /// If the batch does not fit the plan: more samples than planned for, or inputs of another length.
    pub fn forward(&mut self, params: &Params<T>, inputs: &[&[T]], count: usize) -> &[T] {
        let batch = Batch { inputs, targets: None, count };
        self.run(Values::Fixed(params.data()), &batch, None, RandomState::default(), None, Goal::Forward);
        self.output()
    }

    /// Computes the output and the cost E of a batch, without gradients.
    ///
    /// # Panics
    /// As [`Executor::forward`].
    pub fn evaluate(&mut self, params: &Params<T>, batch: &Batch<'_, T>, criterion: &Criterion) -> f64 {
        let values = Values::Fixed(params.data());
        self.run(values, batch, Some(criterion), RandomState::default(), None, Goal::Forward);
        self.cost(criterion)
    }

    /// Computes the cost E of a batch and its gradients, which [`Executor::gradients`] then holds.
    ///
    /// # Panics
    /// As [`Executor::forward`], and if the plan is for evaluation.
    pub fn differentiate(
        &mut self,
        params: &Params<T>,
        batch: &Batch<'_, T>,
        criterion: &Criterion,
        random: RandomState,
    ) -> f64 {
        let values = Values::Fixed(params.data());
        self.run(values, batch, Some(criterion), random, None, Goal::Gradients);
        self.cost(criterion)
    }

    /// One step of training: forward, backward, update. Returns the cost E before the update.
    ///
    /// Where a sample's cost is not a finite number, no parameter is changed: what went wrong can still be found.
    ///
    /// # Panics
    /// As [`Executor::differentiate`].
    pub fn step(
        &mut self,
        params: &mut Params<T>,
        batch: &Batch<'_, T>,
        criterion: &Criterion,
        update: Update<'_, T>,
        random: RandomState,
    ) -> f64 {
        let values = Values::Updated(Shared::new(params.data_mut()));
        self.run(values, batch, Some(criterion), random, Some(update), Goal::Gradients);
        self.cost(criterion)
    }

    /// The diagonal of the Gauss–Newton Hessian of the batch's cost E, propagated back as LeCun et al. 1998,
    /// appendix C, do it. [`Executor::gradients`] then holds it instead of the gradients.
    ///
    /// # Errors
    /// A plan made without [`PlanOptions::curvature`](crate::PlanOptions).
    ///
    /// # Panics
    /// As [`Executor::differentiate`].
    pub fn curvature(
        &mut self,
        params: &Params<T>,
        batch: &Batch<'_, T>,
        criterion: &Criterion,
        random: RandomState,
    ) -> Result<(), Error> {
        criterion.loss.check_curvature()?;
        if !self.plan.options().curvature {
            return Err(Error::Options("this plan was made without second derivatives".to_string()));
        }
        let values = Values::Fixed(params.data());
        self.run(values, batch, Some(criterion), random, None, Goal::Curvature);
        Ok(())
    }

    /// The network's output for the last batch: samples × output shape.
    pub fn output(&self) -> &[T] {
        self.value(self.plan.output()).expect("the output is kept")
    }

    /// The cost of each sample of the last batch that had targets.
    pub fn costs(&self) -> &[T] {
        &self.costs[..self.count]
    }

    /// The gradients (or second derivatives) of the last batch, with the parameters' layout.
    ///
    /// # Panics
    /// If the plan is for evaluation.
    pub fn gradients(&self) -> &Params<T> {
        self.gradients.as_ref().expect("a plan with gradients")
    }

    /// A node's output for the last batch, if it is still there: always with `reuse` off.
    pub fn value(&self, value: Value) -> Option<&[T]> {
        self.kept(BufferKind::Output(value), value)
    }

    /// ∂E/∂(a node's output) for the last batch, if it is still there.
    pub fn value_gradient(&self, value: Value) -> Option<&[T]> {
        self.kept(BufferKind::Gradient(value), value)
    }

    fn kept(&self, kind: BufferKind, value: Value) -> Option<&[T]> {
        let buffer = self.plan.node_buffer(kind)?;
        let kept = !self.plan.options().reuse || buffer.last + 1 == self.plan.step_count();
        let len = self.count * self.plan.graph().node(value).shape().len();
        kept.then(|| &self.arena[buffer.offset..buffer.offset + len])
    }

    /// The costs added in the order of the samples, in f64.
    fn cost(&self, criterion: &Criterion) -> f64 {
        criterion.reduction.reduce(self.costs())
    }

    fn run(
        &mut self,
        params: Values<'_, T>,
        batch: &Batch<'_, T>,
        criterion: Option<&Criterion>,
        random: RandomState,
        update: Option<Update<'_, T>>,
        goal: Goal,
    ) {
        self.check(batch, goal);
        self.count = batch.count;
        let scale = criterion.map_or(T::ONE, |c| c.reduction.scale(batch.count));
        let run = Run {
            plan: &self.plan,
            kernels: self.kernels,
            batch,
            criterion: criterion.filter(|_| batch.targets.is_some()),
            scale,
            random,
            goal,
            params,
            arena: Shared::new(&mut self.arena),
            scratch: Shared::new(&mut self.scratch),
            costs: Shared::new(&mut self.costs),
            gradients: Shared::new(self.gradients.as_mut().map_or(&mut [], |g| g.data_mut())),
            update: update.map(UpdateRun::new),
        };
        let team = if self.plan.parts() > 1 { &*self.team } else { &self.alone };
        team.run(&|worker| run.work(worker));
    }

    fn check(&self, batch: &Batch<'_, T>, goal: Goal) {
        let plan = &self.plan;
        assert!(
            batch.count <= plan.options().batch,
            "{} samples, planned for {}",
            batch.count,
            plan.options().batch
        );
        let mut inputs = plan.graph().inputs();
        for data in batch.inputs {
            let node =
                inputs.next().map(|v| plan.graph().node(v)).expect("no more inputs than the graph has");
            assert_eq!(data.len(), batch.count * node.shape().len(), "elements of input '{}'", node.name());
        }
        assert!(inputs.next().is_none(), "as many inputs as the graph has");
        assert!(goal == Goal::Forward || plan.options().mode.has_backward(), "a plan with gradients");
        assert!(goal == Goal::Forward || batch.targets.is_some(), "gradients need targets");
    }
}

/// Elements from one worker's scratch memory to the next one's: no cache line belongs to two.
fn scratch_stride(plan: &Plan) -> usize {
    plan.scratch_len().next_multiple_of(ALIGNMENT / 4)
}

/// What a run computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goal {
    Forward,
    Gradients,
    Curvature,
}

/// The parameters of a run.
#[derive(Clone, Copy)]
enum Values<'a, T> {
    Fixed(&'a [T]),
    Updated(Shared<'a, T>),
}

impl<'a, T: Element> Values<'a, T> {
    fn get(&self) -> &'a [T] {
        match self {
            Values::Fixed(values) => values,
            Values::Updated(shared) => shared.read(0..shared.len()),
        }
    }
}

/// The update of a run.
struct UpdateRun<'a, T> {
    optimizer: &'a Optimizer,
    slots: [Shared<'a, T>; 2],
    rate: f64,
    step: u64,
}

impl<'a, T: Element> UpdateRun<'a, T> {
    fn new(update: Update<'a, T>) -> UpdateRun<'a, T> {
        let (optimizer, rate) = (update.optimizer, update.rate);
        let (step, slots) = update.state.advance();
        UpdateRun { optimizer, slots: slots.map(Shared::new), rate, step }
    }
}

/// One pass over a plan, shared by all workers.
struct Run<'a, T: Element> {
    plan: &'a Plan,
    kernels: &'static Kernels<T>,
    batch: &'a Batch<'a, T>,
    criterion: Option<&'a Criterion>,
    scale: T,
    random: RandomState,
    goal: Goal,
    params: Values<'a, T>,
    arena: Shared<'a, T>,
    scratch: Shared<'a, T>,
    costs: Shared<'a, T>,
    gradients: Shared<'a, T>,
    update: Option<UpdateRun<'a, T>>,
}

impl<'a, T: Element> Run<'a, T> {
    /// What one worker does: every step in order, of each its own parts.
    fn work(&self, worker: &Worker<'_>) {
        let (index, count) = (worker.index(), worker.count());
        for (number, step) in self.plan.steps.iter().enumerate() {
            if self.goal == Goal::Forward && step.work == Work::Loss && self.criterion.is_none() {
                continue;
            }
            if self.goal == Goal::Forward && is_backward(step.work) {
                break;
            }
            if step.barrier {
                worker.barrier();
            }
            let finite = step.work != Work::Update || self.costs_are_finite();
            for part in step.parts * index / count..step.parts * (index + 1) / count {
                if self.plan.options.poison && self.goal != Goal::Forward {
                    self.scratch(index).fill(T::NAN);
                }
                self.part(step, part, index, finite);
            }
            if self.plan.options.poison {
                self.poison(number);
            }
        }
    }

    fn part(&self, step: &Step, part: usize, worker: usize, finite: bool) {
        let samples = match step.cut {
            Cut::Samples => self.plan.samples_of(part, self.batch.count),
            Cut::Units(_) | Cut::Pieces => 0..self.batch.count,
        };
        match step.work {
            Work::Statistics(value) => self.statistics(value, part, samples),
            Work::Forward(value) => self.forward(value, samples, worker),
            Work::Loss => self.loss(samples),
            Work::BackwardParams(value) => self.backward_params(step, value, part, samples, worker),
            Work::BackwardInput(value, index) => self.backward_input(step, value, index, samples, worker),
            Work::Update => self.update(part, finite),
        }
    }

    fn statistics(&self, value: Value, part: usize, samples: Range<usize>) {
        let node = self.plan.graph.node(value);
        let per_part = node.signature().statistics;
        let buffer = self.plan.buffer(self.plan.nodes[value.0].statistics).expect("planned").offset;
        let contribution = self.arena.write(buffer + part * per_part..buffer + (part + 1) * per_part);
        let pass =
            Statistics { kernels: self.kernels, inputs: self.inputs(value, &samples, true), contribution };
        node.op().expect("an op").statistics(pass);
    }

    fn forward(&self, value: Value, samples: Range<usize>, worker: usize) {
        if samples.is_empty() {
            return;
        }
        let (node, places) = (self.plan.graph.node(value), &self.plan.nodes[value.0]);
        let pass = Forward {
            node,
            kernels: self.kernels,
            mode: self.plan.options.mode,
            inputs: self.inputs(value, &samples, true),
            params: self.params(places),
            statistics: self.whole(places.statistics, true),
            output: self.rows_mut(places.output, node.shape().len(), &samples),
            saved: self.rows_mut(places.saved, node.signature().saved, &samples),
            scratch: self.scratch(worker),
            random: self.random,
            samples,
        };
        node.op().expect("an op").forward(pass);
    }

    fn loss(&self, samples: Range<usize>) {
        let (Some(criterion), Some(targets)) = (self.criterion, &self.batch.targets) else { return };
        let output = self.plan.output;
        let (node, places) = (self.plan.graph.node(output), &self.plan.nodes[output.0]);
        let width = node.shape().len();
        let outputs = match places.output {
            Some(_) => self.read_rows(places.output, width, &samples, true),
            None => &self.batch.inputs[0][samples.start * width..samples.end * width],
        };
        let targets = targets.samples(samples.clone(), width);
        let wanted = self.goal != Goal::Forward && places.gradient.is_some();
        let gradient = wanted.then(|| self.rows_mut(places.gradient, width, &samples));
        let costs = self.costs.write(samples);
        match (self.goal, gradient) {
            (Goal::Curvature, Some(h)) => {
                let done = criterion.loss.curvature(outputs, width, targets, self.scale, h);
                done.expect("invariant: the loss was checked for second derivatives");
            }
            (_, gradient) => {
                criterion.loss.evaluate(outputs, width, targets, costs, gradient.map(|g| (g, self.scale)))
            }
        }
    }

    fn backward_params(&self, step: &Step, value: Value, part: usize, samples: Range<usize>, worker: usize) {
        let (node, places) = (self.plan.graph.node(value), &self.plan.nodes[value.0]);
        let (signature, reads) = (node.signature(), self.reads(node.signature().param_reads));
        let units = match step.cut {
            Cut::Units(all) => part * all / step.parts..(part + 1) * all / step.parts,
            _ => 0..signature.param_units,
        };
        let mut gradients = self.param_gradients(value, part, &units);
        if samples.is_empty() {
            gradients.iter_mut().for_each(|g| g.fill(T::ZERO));
            return;
        }
        let pass = BackwardParams {
            node,
            kernels: self.kernels,
            units,
            inputs: self.inputs(value, &samples, reads.input),
            params: self.params(places),
            saved: self.read_rows(places.saved, signature.saved, &samples, reads.saved),
            statistics: self.whole(places.statistics, reads.saved),
            output_gradient: self.read_rows(places.gradient, node.shape().len(), &samples, true),
            gradients,
            scratch: self.scratch(worker),
        };
        let op = node.op().expect("an op");
        match self.goal {
            Goal::Curvature => op.curvature_params(pass),
            _ => op.backward_params(pass),
        }
    }

    /// The destination of each trained parameter's gradient: a slot of the partial gradients, or the arena itself.
    fn param_gradients(&self, value: Value, part: usize, units: &Range<usize>) -> [&'a mut [T]; MAX_PARAMS] {
        let (node, places) = (self.plan.graph.node(value), &self.plan.nodes[value.0]);
        let all = node.signature().param_units;
        let partial = self.plan.buffer(places.param_gradient);
        let copies = partial.map_or(1, |buffer| buffer.len / node.trained_len());
        let slot = if copies > 1 { part } else { 0 };
        let mut gradients: [&mut [T]; MAX_PARAMS] = Default::default();
        let mut before = 0;
        for (i, spec) in node.trained().enumerate() {
            let len = spec.shape.len();
            let run = len / all * units.start..len / all * units.end;
            gradients[i] = match partial {
                Some(buffer) => {
                    let start = buffer.offset + slot * node.trained_len() + before;
                    self.arena.write(start + run.start..start + run.end)
                }
                None => {
                    let start = places.params[i].start;
                    self.gradients.write(start + run.start..start + run.end)
                }
            };
            before += len;
        }
        gradients
    }

    fn backward_input(&self, step: &Step, value: Value, index: usize, samples: Range<usize>, worker: usize) {
        if samples.is_empty() {
            return;
        }
        let (node, places) = (self.plan.graph.node(value), &self.plan.nodes[value.0]);
        let (signature, reads) = (node.signature(), self.reads(node.signature().input_reads));
        let input = node.inputs()[index];
        let destination = self.plan.nodes[input.0].gradient;
        let pass = BackwardInput {
            node,
            kernels: self.kernels,
            mode: self.plan.options.mode,
            index,
            inputs: self.inputs(value, &samples, reads.input),
            params: self.params(places),
            output: self.read_rows(places.output, node.shape().len(), &samples, reads.output),
            saved: self.read_rows(places.saved, signature.saved, &samples, reads.saved),
            statistics: self.whole(places.statistics, reads.saved),
            param_gradients: self.whole(places.param_gradient, reads.param_gradients),
            output_gradient: self.read_rows(places.gradient, node.shape().len(), &samples, true),
            input_gradient: self.rows_mut(destination, node.input_shapes()[index].len(), &samples),
            write: if step.accumulate { Write::Add } else { Write::Set },
            scratch: self.scratch(worker),
            random: self.random,
            samples,
        };
        let op = node.op().expect("an op");
        match self.goal {
            Goal::Curvature => op.curvature_input(pass),
            _ => op.backward_input(pass),
        }
    }

    fn costs_are_finite(&self) -> bool {
        self.costs.read(0..self.batch.count).iter().all(|c| c.is_finite())
    }

    /// Adds up part of the gradients and, where the costs are `finite`, moves the parameters.
    fn update(&self, part: usize, finite: bool) {
        let update = self.update.as_ref().filter(|_| finite);
        if let Some(piece) = self.plan.pieces.get(part) {
            let gradients = self.gradients.write(piece.range.clone());
            self.add_up(piece, gradients);
            if let (Some(update), Values::Updated(params)) = (update, &self.params) {
                let params = params.write(piece.range.clone());
                let slots = update.slots.each_ref().map(|slot| match slot.len() {
                    0 => &mut [],
                    _ => slot.write(piece.range.clone()),
                });
                let (rate, kernels) = (T::of(update.rate), self.kernels);
                let how = optim::Update { rate, step: update.step, decay: piece.decays, kernels };
                update.optimizer.update(how, params, gradients, slots);
            }
        }
        if part == 0 && update.is_some() && self.plan.options.mode == Mode::Train {
            self.fold_statistics();
        }
    }

    /// Adds the partial gradients in the order of nodes and parts, whoever computed them.
    fn add_up(&self, piece: &Piece, gradients: &mut [T]) {
        let mut first = true;
        for source in &piece.sources {
            for copy in 0..source.count {
                let start = source.offset + copy * source.stride;
                let partial = self.arena.read(start..start + piece.range.len());
                match std::mem::take(&mut first) {
                    true => gradients.copy_from_slice(partial),
                    false => (self.kernels.accumulate)(partial, gradients),
                }
            }
        }
    }

    /// Running statistics are parameters: a step of training folds the batch's into them.
    fn fold_statistics(&self) {
        let Values::Updated(params) = &self.params else { return };
        for (node, places) in self.plan.graph.nodes().iter().zip(&self.plan.nodes) {
            if let (Some(op), Some(_)) = (node.op(), places.statistics) {
                let statistics = self.whole(places.statistics, true);
                op.fold_statistics(statistics, |i| params.write(places.params[i].clone()));
            }
        }
    }

    /// What a backward pass is given: second derivatives get every value, whatever the first-order pass reads.
    fn reads(&self, declared: Reads) -> Reads {
        match self.goal {
            Goal::Curvature => Reads { input: true, output: true, ..declared },
            _ => declared,
        }
    }

    fn inputs(&self, value: Value, samples: &Range<usize>, declared: bool) -> Inputs<'_, T> {
        let (node, places) = (self.plan.graph.node(value), &self.plan.nodes[value.0]);
        Inputs {
            arena: self.arena,
            external: self.batch.inputs,
            places: if declared { &places.inputs } else { &[] },
            shapes: node.input_shapes(),
            samples: (samples.start, samples.end),
        }
    }

    fn params(&self, places: &'a NodePlan) -> ParamViews<'a, T> {
        ParamViews { data: self.params.get(), ranges: &places.params }
    }

    fn scratch(&self, worker: usize) -> &'a mut [T] {
        let stride = scratch_stride(self.plan);
        self.scratch.write(worker * stride..worker * stride + self.plan.scratch_len)
    }

    fn rows_range(
        &self,
        buffer: Option<usize>,
        width: usize,
        samples: &Range<usize>,
    ) -> Option<Range<usize>> {
        let offset = self.plan.buffer(buffer)?.offset;
        Some(offset + samples.start * width..offset + samples.end * width)
    }

    fn rows_mut(&self, buffer: Option<usize>, width: usize, samples: &Range<usize>) -> &'a mut [T] {
        self.rows_range(buffer, width, samples).map_or(&mut [], |range| self.arena.write(range))
    }

    fn read_rows(
        &self,
        buffer: Option<usize>,
        width: usize,
        samples: &Range<usize>,
        declared: bool,
    ) -> &'a [T] {
        let range = self.rows_range(buffer, width, samples).filter(|_| declared);
        range.map_or(&[], |range| self.arena.read(range))
    }

    fn whole(&self, buffer: Option<usize>, declared: bool) -> &'a [T] {
        let buffer = self.plan.buffer(buffer).filter(|_| declared);
        buffer.map_or(&[], |b| self.arena.read(b.range()))
    }

    /// Overwrites what no later step declared to read.
    fn poison(&self, step: usize) {
        for buffer in self.plan.buffers.iter().filter(|b| b.last == step && step + 1 < self.plan.steps.len())
        {
            self.arena.write(buffer.range()).fill(T::NAN);
        }
    }
}

fn is_backward(work: Work) -> bool {
    matches!(work, Work::BackwardParams(_) | Work::BackwardInput(..) | Work::Update)
}
