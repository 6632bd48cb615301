//! One pass over a plan: what each worker does, and the slices that each part is lent.

use std::ops::Range;

use ocelli_kernels::{Direction, Element, Finish, Kernels, Worker, Write};

use super::forward::Extent;
use super::profile::Recorder;
use super::{Batch, Criterion, Update};
use crate::arena::{ALIGNMENT, Shared};
use crate::ops::{
    Activated, BackwardInput, BackwardParams, Columns, Held, Inputs, MAX_PARAMS, Operation, ParamViews,
    Prepare, RandomState, Reads, Statistics, UnitPass, Values,
};
use crate::optim::Optimizer;
use crate::plan::{Cut, NodePlan, Piece, Step, Work};
use crate::{Mode, Plan, Role, Value};

/// Elements from one worker's scratch memory to the next one's: no cache line belongs to two.
pub(super) fn scratch_stride(plan: &Plan) -> usize {
    plan.scratch_len().next_multiple_of(ALIGNMENT / 4)
}

/// What a run computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    Forward,
    Gradients,
    Curvature,
}

/// The update of a run.
pub(super) struct UpdateRun<'a, T> {
    pub(super) optimizer: &'a Optimizer,
    pub(super) slots: [Shared<'a, T>; 2],
    pub(super) rate: f64,
    /// In multiples of that, the rate of offsets.
    pub(super) offset_rate: f64,
    pub(super) step: u64,
}

impl<'a, T: Element> UpdateRun<'a, T> {
    pub(super) fn new(update: &'a mut Update<'_, T>) -> UpdateRun<'a, T> {
        let (optimizer, rate, offset_rate) = (update.optimizer, update.rate, update.offset_rate);
        let (step, slots) = update.state.next_step();
        UpdateRun { optimizer, slots: slots.map(Shared::new), rate, offset_rate, step }
    }
}

/// One pass over a plan, shared by all workers.
pub(super) struct Run<'a, T: Element> {
    pub(super) plan: &'a Plan,
    pub(super) kernels: &'static Kernels<T>,
    pub(super) batch: &'a Batch<'a, T>,
    pub(super) criterion: Option<&'a Criterion>,
    pub(super) scale: T,
    /// What a sample of each class counts for; empty where all count the same.
    pub(super) class_weights: &'a [T],
    /// Whether gradients are added to those that are there.
    pub(super) adds: bool,
    pub(super) random: RandomState,
    pub(super) goal: Goal,
    pub(super) params: Values<'a, T>,
    pub(super) arena: Shared<'a, T>,
    pub(super) scratch: Shared<'a, T>,
    pub(super) costs: Shared<'a, T>,
    /// Empty where gradients are not kept.
    pub(super) gradients: Shared<'a, T>,
    /// Where sums of squares of gradients are noted; empty where they are not.
    pub(super) norms: Shared<'a, f64>,
    pub(super) update: Option<UpdateRun<'a, T>>,
    pub(super) recorder: Option<&'a Recorder>,
    /// Whether what a pass packs is there already.
    pub(super) prepared: bool,
}

impl<'a, T: Element> Run<'a, T> {
    /// What one worker does: every step in order, of each its own parts.
    pub(super) fn work(&self, worker: &Worker<'_>) {
        let (index, count) = (worker.index(), worker.count());
        let mut watch = self.recorder.map(|recorder| recorder.watch(index));
        // All workers begin together: a barrier before the first step that runs would be one too many.
        let mut begun = false;
        for (number, step) in self.plan.steps.iter().enumerate() {
            if self.goal == Goal::Forward && step.work == Work::Loss && self.criterion.is_none() {
                continue;
            }
            if self.goal == Goal::Forward && is_backward(step.work) {
                break;
            }
            if self.prepared && matches!(step.work, Work::Prepare(..)) {
                continue;
            }
            if std::mem::replace(&mut begun, true) && step.barrier {
                worker.barrier();
                if let Some(watch) = &mut watch {
                    watch.waited(number);
                }
            }
            let moves = step.applies || step.work == Work::Update;
            let finite = !moves || self.costs_are_finite();
            let own = Plan::parts_of_worker(index, count, step.parts);
            let together = self.together(step, own.len());
            for first in own.clone().step_by(together) {
                if self.plan.options.poison && self.goal != Goal::Forward {
                    self.scratch(index).fill(T::NAN);
                }
                self.parts(step, first..(first + together).min(own.end), index, finite);
            }
            if let Some(watch) = &mut watch {
                watch.worked(number);
            }
            if self.plan.options.poison {
                // Nobody reads it any more when it goes, nor goes on before it is gone.
                worker.barrier();
                if index == 0 {
                    self.poison(number);
                }
                worker.barrier();
            }
        }
    }

    /// How many of its `own` parts of a step a worker takes in one go.
    fn together(&self, step: &Step, own: usize) -> usize {
        let together = match (step.cut, step.work) {
            (Cut::Samples, work) if treats_samples_alone(work) => own,
            // What all units read is packed for more of them at a time.
            (Cut::Units(_), Work::Forward(_) | Work::BackwardInput(..)) => own,
            // Rows that two parts need of a layer before the last are computed once.
            (Cut::Rows(_), _) if step.strips.is_some() => own,
            (Cut::Units(all), Work::BackwardParams(value)) if self.goal == Goal::Gradients => {
                let node = self.plan.graph.node(value);
                node.op().expect("an op").parts_together(node, all.div_ceil(step.parts)).min(own)
            }
            _ => 1,
        };
        together.max(1)
    }

    /// One part of a step, or several in one go.
    fn parts(&self, step: &Step, parts: Range<usize>, worker: usize, finite: bool) {
        let part = parts.start;
        let samples = match step.cut {
            Cut::Samples => {
                let of = |part| self.plan.samples_of(part, self.batch.count);
                of(part).start..of(parts.end - 1).end
            }
            _ => 0..self.batch.count,
        };
        match step.work {
            Work::Prepare(value, direction) => self.prepare(step, value, direction, part),
            Work::Statistics(value) => self.statistics(value, part, samples),
            Work::Forward(_) | Work::BackwardInput(..) if matches!(step.cut, Cut::Units(_)) => {
                self.pass_units(step, parts, samples, worker);
            }
            Work::Forward(value) => match &step.strips {
                Some(strips) => self.forward_strips(step, strips, parts, samples, worker),
                None => self.forward(step, value, samples, worker),
            },
            Work::Loss => self.loss(samples),
            // Gradients that are not kept are of no use where nothing may be moved.
            Work::BackwardParams(_) if step.applies && !finite => {}
            Work::BackwardParams(value) => self.backward_params(step, value, parts, samples, worker),
            Work::BackwardInput(value, index) => self.backward_input(step, value, index, samples, worker),
            Work::Update => self.update(part, finite, worker),
        }
    }

    fn prepare(&self, step: &Step, value: Value, direction: Direction, part: usize) {
        let Cut::Units(all) = step.cut else { unreachable!("invariant: weights are packed by pieces") };
        let (node, places) = (self.plan.graph.node(value), &self.plan.nodes[value.0]);
        let (op, packing) = (node.op().expect("an op"), self.plan.packing(value, direction));
        let pieces = Plan::share_of(part, step.parts, all);
        let range = op.prepared_range(node, &packing, pieces.clone());
        let offset = self.plan.buffer(places.prepared[direction as usize]).expect("planned").offset;
        let prepared = self.arena.write(offset + range.start..offset + range.end);
        let (kernels, params) = (self.kernels, self.params(places));
        op.prepare(Prepare { node, kernels, packing, params, pieces, prepared });
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

    /// Some units of a pass that is cut by them, for all samples.
    fn pass_units(&self, step: &Step, parts: Range<usize>, samples: Range<usize>, worker: usize) {
        let Cut::Units(all) = step.cut else { unreachable!("invariant: it is cut by units") };
        let units = self.units_of(step, parts);
        let (direction, value) = match step.work {
            Work::BackwardInput(value, _) => (Direction::BackwardInput, value),
            work => (Direction::Forward, work.value().expect("a pass of a node")),
        };
        let (node, places) = (self.plan.graph.node(value), &self.plan.nodes[value.0]);
        let (from, to) = match direction {
            Direction::Forward => (self.inputs(value, &samples, true).get(0), places.output),
            Direction::BackwardInput => (
                self.read_rows(places.gradient, node.shape().len(), &samples, true),
                self.plan.nodes[node.inputs()[0].0].gradient,
            ),
        };
        let offset = self.plan.buffer(to).expect("planned").offset;
        let finish = match direction {
            Direction::Forward => self.finish(places.chain, &Extent::samples(samples), 0..all),
            Direction::BackwardInput => Finish::nothing(),
        };
        let pass = UnitPass {
            node,
            kernels: self.kernels,
            direction,
            units,
            batch: self.plan.options.batch,
            from,
            params: self.params(places),
            to: Columns { arena: self.arena, offset, width: all },
            write: if step.accumulate { Write::Add } else { Write::Set },
            finish,
            scratch: self.scratch(worker),
        };
        node.op().expect("an op").pass_units(pass);
    }

    pub(super) fn unary(&self, value: Option<Value>) -> Option<ocelli_kernels::Unary<T>> {
        self.plan.graph.node(value?).op()?.unary()
    }

    fn loss(&self, samples: Range<usize>) {
        let (Some(criterion), Some(targets)) = (self.criterion, &self.batch.targets) else { return };
        let output = self.plan.output;
        let (node, places) = (self.plan.graph.node(output), &self.plan.nodes[output.0]);
        let width = node.shape().len();
        let outputs = self.read_rows(places.output, width, &samples, true);
        let targets = targets.samples(samples.clone(), width);
        let wanted = self.goal != Goal::Forward && places.gradient.is_some();
        let gradient = wanted.then(|| self.rows_mut(places.gradient, width, &samples));
        match (self.goal, gradient) {
            (Goal::Curvature, None) => {}
            (Goal::Curvature, Some(h)) => {
                let done = criterion.loss.curvature(outputs, width, targets, self.scale, h);
                done.expect("invariant: the loss was checked for second derivatives");
            }
            (_, gradient) => {
                let mut gradient = gradient;
                let scaled = gradient.as_deref_mut().map(|g| (g, self.scale));
                criterion.loss.evaluate(outputs, width, targets, self.costs.write(samples), scaled);
                if let Some(gradient) = gradient.filter(|_| !self.class_weights.is_empty()) {
                    targets.weigh(self.class_weights, width, gradient);
                }
            }
        }
    }

    fn backward_params(
        &self,
        step: &Step,
        value: Value,
        parts: Range<usize>,
        samples: Range<usize>,
        worker: usize,
    ) {
        let (node, places) = (self.plan.graph.node(value), &self.plan.nodes[value.0]);
        let (signature, reads) = (node.signature(), self.reads(node.signature().param_reads));
        let units = match step.cut {
            Cut::Units(_) => self.units_of(step, parts.clone()),
            _ => 0..signature.param_units,
        };
        let mut roles = [Role::Weight; MAX_PARAMS];
        roles.iter_mut().zip(node.trained()).for_each(|(role, spec)| *role = spec.role);
        let apply = |i: usize, first: usize, gradient: &[T]| {
            let per_unit = places.params[i].len() / signature.param_units;
            // Part by part, so that norms are added up in one order, whoever takes several in one go.
            for part in parts.clone() {
                let units = match step.cut {
                    Cut::Units(_) => self.units_of(step, part..part + 1),
                    _ => 0..signature.param_units,
                };
                let own =
                    (units.start * per_unit).max(first)..(units.end * per_unit).min(first + gradient.len());
                if !own.is_empty() {
                    let gradient = &gradient[own.start - first..own.end - first];
                    let start = places.params[i].start;
                    let norm = self.plan.norm_of(step, part, i);
                    self.move_params(
                        start + own.start..start + own.end,
                        roles[i],
                        gradient,
                        [norm, per_unit],
                    );
                }
            }
        };
        let mut gradients = match step.applies {
            true => Default::default(),
            false => self.param_gradients(value, parts.start, &units),
        };
        if samples.is_empty() {
            gradients.iter_mut().for_each(|g| g.fill(T::ZERO));
            return;
        }
        let activated = places.activated.zip(self.unary(places.activated)).map(|(value, unary)| Activated {
            unary,
            output: self.read_rows(self.plan.nodes[value.0].output, node.shape().len(), &samples, true),
            gradient: self.rows_mut(places.gradient, node.shape().len(), &samples),
        });
        let pass = BackwardParams {
            node,
            kernels: self.kernels,
            units,
            share: self.plan.share_in(step.cut),
            inputs: self.inputs(value, &samples, reads.input),
            params: match step.applies {
                true => ParamViews { values: self.params, ranges: &[] },
                false => self.params(places),
            },
            saved: self.read_rows(places.saved, signature.saved, &samples, reads.saved),
            statistics: self.whole(places.statistics, reads.saved),
            output_gradient: self.read_rows(
                places.gradient,
                node.shape().len(),
                &samples,
                activated.is_none(),
            ),
            activated,
            gradients,
            apply: step.applies.then_some(&apply),
            scratch: self.scratch(worker),
        };
        let op = node.op().expect("an op");
        match self.goal {
            Goal::Curvature => op.curvature_params(pass),
            _ => op.backward_params(pass),
        }
    }

    /// The units of parts that follow each other, of a step that is cut by them.
    fn units_of(&self, step: &Step, parts: Range<usize>) -> Range<usize> {
        let Cut::Units(all) = step.cut else { unreachable!("invariant: it is cut by units") };
        let of = |part| Plan::share_of(part, step.parts, all);
        of(parts.start).start..of(parts.end - 1).end
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
        let over = self.plan.gradient_over(value, index);
        let pass = BackwardInput {
            node,
            kernels: self.kernels,
            mode: self.plan.options.mode,
            index,
            inputs: self.inputs(value, &samples, reads.input),
            params: self.params(places),
            prepared: self.whole(places.prepared[Direction::BackwardInput as usize], true),
            output: self.read_rows(places.output, node.shape().len(), &samples, reads.output),
            saved: self.read_rows(places.saved, signature.saved, &samples, reads.saved),
            statistics: self.whole(places.statistics, reads.saved),
            param_gradients: self.whole(places.param_gradient, reads.param_gradients),
            output_gradient: self.read_rows(places.gradient, node.shape().len(), &samples, !over),
            input_gradient: self.rows_mut(destination, node.input_shapes()[index].len(), &samples),
            write: if step.accumulate { Write::Add } else { Write::Set },
            scratch: self.scratch(worker),
            random: self.random,
            share: self.plan.share(),
            samples,
        };
        let op = node.op().expect("an op");
        match self.goal {
            Goal::Curvature => op.curvature_input(pass),
            _ if over => op.backward_in_place(pass),
            _ => op.backward_input(pass),
        }
    }

    fn costs_are_finite(&self) -> bool {
        self.costs.read(0..self.batch.count).iter().all(|c| c.is_finite())
    }

    /// Adds up part of the gradients and, where the costs are `finite`, moves the parameters.
    fn update(&self, part: usize, finite: bool, worker: usize) {
        if let Some(piece) = self.plan.pieces.get(part) {
            let gradient: &[T] = match (self.plan.options.keep_gradients, &piece.sources[..]) {
                (false, [one]) if one.count == 1 => {
                    self.arena.read(one.offset..one.offset + piece.range.len())
                }
                (keep, _) => {
                    let gradient = match keep {
                        true => self.gradients.write(piece.range.clone()),
                        false => &mut self.scratch(worker)[..piece.range.len()],
                    };
                    if piece.sources.is_empty() && !keep {
                        gradient.fill(T::ZERO);
                    }
                    self.add_up(piece, gradient);
                    gradient
                }
            };
            if finite {
                self.move_params(piece.range.clone(), piece.role, gradient, [part, piece.range.len()]);
            }
        }
        if part == 0 && finite && self.plan.options.mode == Mode::Train {
            self.fold_statistics();
        }
    }

    /// Moves the parameters of `range` along their gradient, if this pass moves any. Those who are to know norms find the sum
    /// of squares added to the one numbered `norm`, run by run of so many elements: in one order, however many runs are given.
    fn move_params(&self, range: Range<usize>, role: Role, gradient: &[T], [norm, run]: [usize; 2]) {
        let (Some(update), Values::Updated(params)) = (&self.update, &self.params) else { return };
        let params = params.write(range.clone());
        update.apply(self.kernels, params, gradient, role, &range);
        if self.norms.len() > 0 {
            let noted = &mut self.norms.write(norm..norm + 1)[0];
            for run in gradient.chunks(run.max(1)) {
                *noted += run.iter().map(|g| g.f64() * g.f64()).sum::<f64>();
            }
        }
    }

    /// Adds the partial gradients in the order of nodes and parts, whoever computed them.
    fn add_up(&self, piece: &Piece, gradients: &mut [T]) {
        let mut first = !self.adds;
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

    /// Running statistics are parameters: a step of training folds the batch's into them. Other passes lend them to be read
    /// alone.
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

    pub(super) fn inputs(&self, value: Value, samples: &Range<usize>, declared: bool) -> Inputs<'_, T> {
        let (node, places) = (self.plan.graph.node(value), &self.plan.nodes[value.0]);
        Inputs {
            arena: self.arena,
            external: self.batch.inputs,
            places: if declared { &places.inputs } else { &[] },
            shapes: node.input_shapes(),
            samples: (samples.start, samples.end),
            overwritten: None,
            within: None,
            held: Held::nothing(),
        }
    }

    pub(super) fn params(&self, places: &'a NodePlan) -> ParamViews<'a, T> {
        ParamViews { values: self.params, ranges: &places.params }
    }

    pub(super) fn scratch(&self, worker: usize) -> &'a mut [T] {
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

    pub(super) fn rows_mut(
        &self,
        buffer: Option<usize>,
        width: usize,
        samples: &Range<usize>,
    ) -> &'a mut [T] {
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

    pub(super) fn whole(&self, buffer: Option<usize>, declared: bool) -> &'a [T] {
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

/// Whether a step gives the same bits for every sample however many are treated at a time. A worker then treats all
/// of its own in one go: weights are read once.
fn treats_samples_alone(work: Work) -> bool {
    matches!(work, Work::Forward(_) | Work::BackwardInput(..) | Work::Loss)
}

fn is_backward(work: Work) -> bool {
    match work {
        Work::Prepare(_, direction) => direction == Direction::BackwardInput,
        Work::Statistics(_) | Work::Forward(_) | Work::Loss => false,
        Work::BackwardParams(_) | Work::BackwardInput(..) | Work::Update => true,
    }
}
