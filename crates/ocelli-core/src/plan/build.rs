//! From a graph to the steps of a plan.

use std::sync::Arc;

use ocelli_kernels::Direction;

use super::barriers::set_barriers;
use super::cuts;
use super::fuse::Fusion;
use super::join::Joined;
use super::memory::place;
use super::scope::{MAX_PARTS, frozen, parts, reaching, wanting_gradient};
use super::{Access, BufferKind, Chain, Cut, Mode, NodePlan, Piece, Plan, PlanOptions, Source, Step, Work};
use crate::ops::{MAX_PARAMS, Place, Relation};
use crate::{Error, Graph, Value};

/// Up to this many elements of partial gradients (all parts together) are kept for one layer; a layer with more
/// is cut by its output units instead, so that each part writes its own rows once.
const MAX_PARTIAL_LEN: usize = 1 << 16;
/// The same where each element of them is the sum of at least [`PARTIAL_TERMS`] products, so that adding up the parts
/// costs little against reading every sample in each part.
const MAX_LONG_PARTIAL_LEN: usize = 1 << 21;
const PARTIAL_TERMS: u64 = 64;

/// Packing weights is cut into at most this many parts.
const MAX_PREPARE_PARTS: usize = 64;

/// Elements of the parameter arena that one piece of an update has at most.
const PIECE_LEN: usize = 1 << 13;

/// Makes a plan.
pub(crate) struct Builder {
    pub(super) plan: Plan,
    /// Whether a value reaches the output.
    used: Vec<bool>,
    /// How each forward step is cut, and into how many parts.
    cuts: Vec<(Cut, usize)>,
    /// Whether the gradient of a value is wanted.
    wants_gradient: Vec<bool>,
    /// Whether a value's gradient has been set already.
    has_gradient: Vec<bool>,
    /// Passes whose weights are still to be packed, the last one first.
    unprepared: Vec<(Value, Direction)>,
    pub(super) fusion: Fusion,
    /// Which layers work in one step.
    pub(super) joined: Joined,
}

impl Builder {
    pub(crate) fn new(graph: &Arc<Graph>, options: PlanOptions) -> Result<Builder, Error> {
        let output = graph.output()?;
        if graph.node(output).op().is_none() {
            return Err(Error::Graph(
                "the network's output is its input; give it at least one layer".to_string(),
            ));
        }
        if options.curvature && !options.keep_gradients {
            return Err(Error::Options(
                "second derivatives are kept where gradients are: keep_gradients".into(),
            ));
        }
        if options.accumulate && !options.keep_gradients {
            return Err(Error::Options("gradients are added up where they are kept: keep_gradients".into()));
        }
        if options.batch == 0 {
            return Err(Error::Options("a batch has at least one image; --batch 0 has none".to_string()));
        }
        let used = reaching(graph, output);
        let parts = parts(graph, &used, &options)?;
        let frozen = frozen(graph, &options)?;
        let fusion = Fusion::of(graph, &options, &used, &frozen);
        let wants_gradient = wanting_gradient(graph, &options, &frozen);
        let limits = cuts::Limits { parts, most: options.parts.unwrap_or(MAX_PARTS) };
        let cut = |value| cuts::of_forward(graph, &options, value, limits);
        let cuts: Vec<(Cut, usize)> = graph.values().map(cut).collect();
        let joined = Joined::of(graph, &options, &used, &fusion, &cuts, limits);
        let forward = |value: Value| joined.shared(value).unwrap_or(cuts[value.0].0);
        let nodes = graph.values().map(|v| NodePlan { forward: forward(v), ..NodePlan::default() }).collect();
        let plan = Plan {
            graph: Arc::clone(graph),
            options,
            output,
            frozen,
            parts,
            steps: Vec::new(),
            buffers: Vec::new(),
            nodes,
            pieces: Vec::new(),
            arena_len: 0,
            scratch_len: 0,
        };
        let has_gradient = vec![false; graph.nodes().len()];
        let unprepared = Vec::new();
        Ok(Builder { plan, used, cuts, wants_gradient, has_gradient, unprepared, fusion, joined })
    }

    pub(crate) fn build(mut self) -> Result<Plan, Error> {
        let graph = Arc::clone(&self.plan.graph);
        for (number, input) in graph.inputs().enumerate() {
            self.plan.nodes[input.0].inputs = vec![Place::External(number)];
        }
        let order: Vec<Value> = graph.values().filter(|v| graph.node(*v).op().is_some()).collect();
        let used: Vec<Value> = order.iter().copied().filter(|v| self.used[v.0]).collect();
        self.expect_preparations(Direction::Forward, used.clone());
        // What stays from pass to pass comes first, out of the way.
        while self.plan.options.mode == Mode::Evaluate && !self.unprepared.is_empty() {
            self.prepare_next(None)?;
        }
        for &value in &order {
            let entries = graph.layout().entries();
            let ranges = graph.node(value).params().iter().map(|&p| entries[p].range.clone());
            self.plan.nodes[value.0].params = ranges.collect();
            if self.used[value.0] {
                self.forward(value)?;
            }
        }
        self.loss()?;
        if self.plan.options.mode.has_backward() {
            let wants = |v: Value| graph.node(v).inputs().iter().any(|v| self.wants_gradient[v.0]);
            let passes = used.into_iter().rev().filter(|v| wants(*v)).collect();
            self.expect_preparations(Direction::BackwardInput, passes);
            for &value in order.iter().rev() {
                if self.has_gradient[value.0] && self.fusion.has_turn(value) {
                    match self.fusion.chain(value) {
                        Some(chain) => self.backward_of_chain(chain)?,
                        None => self.backward(value)?,
                    }
                }
            }
        }
        self.finish()
    }

    /// Notes which passes of these nodes, in the order in which they come, read packed weights. Second derivatives do not:
    /// they square them.
    fn expect_preparations(&mut self, direction: Direction, mut passes: Vec<Value>) {
        let plan = &self.plan;
        let prepares = (plan.parts > 1 || plan.options.mode == Mode::Evaluate) && !plan.options.curvature;
        passes.retain(|&value| {
            let (node, packing) = (plan.graph.node(value), plan.packing(value, direction));
            prepares && node.op().is_some_and(|op| op.prepared_pieces(node, &packing) > 0)
        });
        self.unprepared = passes.into_iter().rev().map(|value| (value, direction)).collect();
    }

    /// Has the weights packed for this pass and for the next one that wants it: so early that the passes between
    /// them mostly have a barrier anyway.
    fn prepare(&mut self, value: Value, direction: Direction) -> Result<(), Error> {
        if self.prepared(value, direction).is_none() && !self.unprepared.contains(&(value, direction)) {
            return Ok(());
        }
        self.prepare_next(Some((value, direction)))?;
        self.prepare_next(None)
    }

    /// Has the weights packed for the next pass, if it is `only` where that is given.
    fn prepare_next(&mut self, only: Option<(Value, Direction)>) -> Result<(), Error> {
        let next = self.unprepared.last().copied().filter(|next| only.is_none_or(|only| only == *next));
        let Some((value, direction)) = next else { return Ok(()) };
        self.unprepared.pop();
        let graph = Arc::clone(&self.plan.graph);
        let node = graph.node(value);
        let (op, packing) = (node.op().expect("inputs have no weights"), self.plan.packing(value, direction));
        let pieces = op.prepared_pieces(node, &packing);
        let len = op.prepared_range(node, &packing, 0..pieces).end;
        let buffer = self.repeated(BufferKind::Prepared(value, direction), len, 1)?;
        self.plan.nodes[value.0].prepared[direction as usize] = Some(buffer);
        let accesses = vec![Access { buffer, write: true, own_share: true }];
        self.step(Work::Prepare(value, direction), Cut::Units(pieces), accesses, false);
        self.plan.steps.last_mut().expect("just pushed").parts = pieces.min(MAX_PREPARE_PARTS);
        Ok(())
    }

    fn prepared(&self, value: Value, direction: Direction) -> Option<Access> {
        self.read(self.plan.nodes[value.0].prepared[direction as usize], false)
    }

    fn forward(&mut self, value: Value) -> Result<(), Error> {
        let graph = Arc::clone(&self.plan.graph);
        let node = graph.node(value);
        let signature = node.signature();
        let training = self.plan.mode_of(value) == Mode::Train;
        self.plan.scratch_len = self.plan.scratch_len.max(signature.scratch);
        if self.plan.options.curvature {
            let op = node.op().expect("forward is planned for ops");
            let scratch = op.curvature_scratch(node).ok_or_else(|| no_curvature(node.name(), op.name()))?;
            self.plan.scratch_len = self.plan.scratch_len.max(scratch);
        }
        if training && signature.statistics > 0 {
            let parts = self.plan.parts;
            let buffer = self.repeated(BufferKind::Statistics(value), signature.statistics, parts)?;
            self.plan.nodes[value.0].statistics = Some(buffer);
            let mut accesses = self.input_accesses(value, true);
            accesses.push(Access { buffer, write: true, own_share: true });
            self.step(Work::Statistics(value), Cut::Samples, accesses, false);
        }
        self.prepare(value, Direction::Forward)?;
        self.plan.nodes[value.0].inputs = node.inputs().iter().map(|v| self.place_of(*v)).collect();
        if !self.joined.holds(value) {
            self.place_output(value)?;
        }
        if self.fusion.has_turn(value) && !self.fusion.is_same(value) {
            let chain = self.fusion.chain(value);
            let head = chain.map_or(value, |chain| chain.head);
            self.plan.nodes[head.0].chain = chain;
            if !self.joined.holds(value) {
                self.forward_step(head);
            }
        }
        Ok(())
    }

    /// Where the output of `value` goes, and what it saves.
    fn place_output(&mut self, value: Value) -> Result<(), Error> {
        let graph = Arc::clone(&self.plan.graph);
        let (node, signature) = (graph.node(value), graph.node(value).signature());
        let output = match self.fusion.over(value) {
            Some(input) => {
                self.plan.nodes[node.inputs()[input].0].output.expect("invariant: over what is computed")
            }
            None => self.per_sample(BufferKind::Output(value), node.shape().len())?,
        };
        self.plan.buffers[output].kind = BufferKind::Output(value);
        self.plan.nodes[value.0].output = Some(output);
        if self.plan.mode_of(value).has_backward() && signature.saved > 0 {
            self.plan.nodes[value.0].saved =
                Some(self.per_sample(BufferKind::Saved(value), signature.saved)?);
        }
        Ok(())
    }

    /// The step of the chain that begins with `value`, and of the layers before it that work in the same step.
    fn forward_step(&mut self, value: Value) {
        let units = self.units(value, Direction::Forward);
        let joined = self.joined.take(value);
        let places = &self.plan.nodes[value.0];
        let output = places.output.expect("invariant: an op has an output");
        let (cut, parts) = match (units, &joined) {
            (_, Some(join)) => (join.cut, join.parts),
            (Some(units), _) => (Cut::Units(units), units.min(self.plan.parts)),
            _ => self.cuts[value.0],
        };
        let heads = joined.iter().flat_map(|join| join.strips.before()).chain([value]);
        let mut accesses: Vec<Access> =
            heads.flat_map(|head| self.chain_reads(head, cut == Cut::Samples)).collect();
        accesses.retain(|access| access.buffer != output);
        let written = [Some(output), places.saved].into_iter().flatten();
        accesses.extend(written.map(|buffer| Access { buffer, write: true, own_share: true }));
        let scratch = joined.as_ref().map_or(0, |join| join.strips.held() + join.scratch);
        self.plan.scratch_len = self.plan.scratch_len.max(scratch);
        self.step(Work::Forward(value), cut, accesses, false);
        let step = self.plan.steps.last_mut().expect("just pushed");
        (step.parts, step.strips) = (parts, joined.map(|join| join.strips));
    }

    /// What the forward pass of a chain reads.
    fn chain_reads(&self, head: Value, own_share: bool) -> Vec<Access> {
        let places = &self.plan.nodes[head.0];
        let mut accesses = self.input_accesses(head, own_share);
        accesses.extend(self.read(places.statistics, false));
        accesses.extend(self.prepared(head, Direction::Forward));
        if let Some(chain) = places.chain {
            accesses.extend(chain.norm.and_then(|norm| self.prepared(norm, Direction::Forward)));
            let addend = chain.add.map(|(add, other)| self.plan.graph.node(add).inputs()[other]);
            accesses.extend(addend.and_then(|v| self.read(self.plan.nodes[v.0].output, own_share)));
        }
        accesses
    }

    /// How many units a pass is cut by, if it is.
    fn units(&mut self, value: Value, direction: Direction) -> Option<usize> {
        let options = &self.plan.options;
        let (node, batch) = (self.plan.graph.node(value), options.batch);
        // In evaluation what is cut within samples has its own way to share weights out.
        let whole = options.mode.has_backward() || self.cuts[value.0].0 == Cut::Samples;
        let cuts = whole && self.plan.parts > 1 && !options.curvature;
        // Packed weights are read in one go, wherever the rows of a batch are cut.
        let packed = direction == Direction::Forward && self.prepared(value, direction).is_some();
        let op = node.op().filter(|_| cuts && !packed)?;
        let units = op.units(node, direction, batch)?;
        self.plan.scratch_len = self.plan.scratch_len.max(op.unit_scratch(node, direction, batch));
        Some(units)
    }

    /// Has the last step cut by units instead of samples.
    fn cut_by_units(&mut self, units: Option<usize>) {
        let Some(units) = units else { return };
        let step = self.plan.steps.last_mut().expect("just pushed");
        (step.cut, step.parts) = (Cut::Units(units), units.min(self.plan.parts));
    }

    fn loss(&mut self) -> Result<(), Error> {
        let output = self.plan.output;
        let mut accesses: Vec<Access> =
            self.read(self.plan.nodes[output.0].output, true).into_iter().collect();
        if self.plan.options.mode.has_backward() && self.wants_gradient[output.0] {
            let gradient = self.gradient_of(output)?;
            accesses.push(Access { buffer: gradient, write: true, own_share: true });
            self.has_gradient[output.0] = true;
        }
        self.step(Work::Loss, Cut::Samples, accesses, false);
        Ok(())
    }

    fn backward(&mut self, value: Value) -> Result<(), Error> {
        let graph = Arc::clone(&self.plan.graph);
        let node = graph.node(value);
        // The passes to the inputs read the parameters as they are.
        let late = node.trained_len() > 0 && self.applies(value);
        if node.trained_len() > 0 && !late {
            self.backward_params(value)?;
        }
        for index in 0..node.inputs().len() {
            self.backward_to(value, index)?;
        }
        if late {
            self.backward_params(value)?;
        }
        self.passed(value);
        Ok(())
    }

    /// The steps of a chain: the parameters first, whose pass may apply the derivative of the activation to the gradient.
    fn backward_of_chain(&mut self, chain: Chain) -> Result<(), Error> {
        let graph = Arc::clone(&self.plan.graph);
        if let Some(unary) = chain.unary {
            let (input, buffer) = (graph.node(unary).inputs()[0], self.plan.nodes[unary.0].gradient);
            match buffer.filter(|&buffer| self.fusion.alone(buffer, unary)) {
                Some(buffer) => {
                    self.rename(buffer, input);
                    self.plan.nodes[chain.head.0].activated = Some(unary);
                }
                None => self.backward_to(unary, 0)?,
            }
            self.passed(unary);
        }
        if let Some((add, _)) = chain.add {
            let buffer = self.plan.nodes[add.0].gradient.expect("invariant: what is passed has a gradient");
            self.rename(buffer, chain.head);
        }
        self.backward_params(chain.head)?;
        if let Some((add, other)) = chain.add {
            self.backward_to(add, other)?;
            self.passed(add);
        }
        self.backward_to(chain.head, 0)?;
        self.passed(chain.head);
        Ok(())
    }

    /// The gradient of one input: a step, or where it is what is there already, nothing.
    fn backward_to(&mut self, value: Value, index: usize) -> Result<(), Error> {
        let graph = Arc::clone(&self.plan.graph);
        let (node, input) = (graph.node(value), graph.node(value).inputs()[index]);
        if !self.wants_gradient[input.0] {
            return Ok(());
        }
        let own = self.plan.nodes[value.0].gradient.expect("invariant: what is passed has a gradient");
        self.prepare(value, Direction::BackwardInput)?;
        let units = self.units(value, Direction::BackwardInput);
        let mut accesses = self.backward_accesses(value, node.signature().input_reads, units.is_none());
        accesses.extend(self.prepared(value, Direction::BackwardInput));
        if !self.has_gradient[input.0] {
            match self.fusion.backward(value) {
                Relation::Same if self.fusion.may_pass_on(&graph, own, value, input) => {
                    self.rename(own, input);
                    return Ok(());
                }
                Relation::Over if self.fusion.alone(own, value) => {
                    self.rename(own, input);
                    accesses.retain(|access| access.buffer != own);
                }
                _ => {}
            }
        }
        let accumulate = std::mem::replace(&mut self.has_gradient[input.0], true)
            && self.plan.nodes[input.0].gradient != Some(own);
        let buffer = self.gradient_of(input)?;
        self.plan.buffers[buffer].kind = BufferKind::Gradient(input);
        accesses.push(Access { buffer, write: true, own_share: true });
        self.step(Work::BackwardInput(value, index), Cut::Samples, accesses, accumulate);
        self.cut_by_units(units);
        Ok(())
    }

    /// The gradient in `buffer` is that of `input` from now on, its first term.
    fn rename(&mut self, buffer: usize, input: Value) {
        self.plan.buffers[buffer].kind = BufferKind::Gradient(input);
        self.plan.nodes[input.0].gradient = Some(buffer);
        self.has_gradient[input.0] = true;
        self.fusion.name(buffer, input);
    }

    /// All steps that read the gradient of `value` are there.
    fn passed(&mut self, value: Value) {
        let buffer = self.plan.nodes[value.0].gradient.expect("invariant: what is passed has a gradient");
        self.fusion.done(buffer, value);
    }

    fn backward_params(&mut self, value: Value) -> Result<(), Error> {
        let graph = Arc::clone(&self.plan.graph);
        let (node, parts) = (graph.node(value), self.plan.parts);
        let signature = node.signature();
        let len = node.trained_len();
        let by_units = self.by_units(value);
        let cut = if by_units { Cut::Units(signature.param_units) } else { Cut::Samples };
        let mut accesses = self.backward_accesses(value, signature.param_reads, !by_units);
        if let Some(unary) = self.plan.nodes[value.0].activated {
            let gradient = self.plan.nodes[value.0].gradient;
            accesses.iter_mut().filter(|a| Some(a.buffer) == gradient).for_each(|a| a.write = true);
            accesses.extend(self.read(self.plan.nodes[unary.0].output, true));
        }
        let copies = if by_units { 1 } else { parts };
        let applies = self.applies(value);
        let options = &self.plan.options;
        let apart = copies > 1 || !options.keep_gradients || options.accumulate || self.is_added_to(value);
        if !applies && apart {
            let buffer = self.repeated(BufferKind::ParamGradient(value), len, copies)?;
            self.plan.nodes[value.0].param_gradient = Some(buffer);
            accesses.push(Access { buffer, write: true, own_share: true });
        }
        self.step(Work::BackwardParams(value), cut, accesses, false);
        let step = self.plan.steps.last_mut().expect("just pushed");
        step.applies = applies;
        if let Cut::Units(units) = cut {
            step.parts = units.min(parts);
        }
        if applies {
            let (op, most) = (node.op().expect("an op"), signature.param_units.div_ceil(step.parts));
            let blocks = [most, most - 1].map(|units| op.block_scratch(node, units).unwrap_or(0));
            let scratch = signature.scratch + blocks[0].max(blocks[1]);
            self.plan.scratch_len = self.plan.scratch_len.max(scratch);
        }
        Ok(())
    }

    /// Whether each part of the pass to the parameters writes rows of its own, summed over all samples.
    fn by_units(&self, value: Value) -> bool {
        let (node, parts) = (self.plan.graph.node(value), self.plan.parts);
        let (signature, len) = (node.signature(), node.trained_len());
        let terms = signature.macs / (len as u64).max(1) * self.plan.share() as u64;
        let most = if terms < PARTIAL_TERMS { MAX_PARTIAL_LEN } else { MAX_LONG_PARTIAL_LEN };
        parts > 1 && signature.param_units > 1 && len.saturating_mul(parts) > most
    }

    /// Whether the parameters of `value` are moved by the step that finds their gradient: where nobody wants it otherwise.
    fn applies(&self, value: Value) -> bool {
        let node = self.plan.graph.node(value);
        let whole = self.plan.parts == 1 || self.by_units(value);
        let can = node.op().is_some_and(|op| op.block_scratch(node, 1).is_some());
        whole && can && !self.plan.options.keep_gradients && !self.is_added_to(value)
    }

    /// Whether what a pass to these parameters finds is read by others: layers that share them add theirs.
    fn is_added_to(&self, value: Value) -> bool {
        let (graph, node) = (&self.plan.graph, self.plan.graph.node(value));
        let shared = graph.values().any(|v| v != value && graph.node(v).params() == node.params());
        shared || node.signature().input_reads.param_gradients
    }

    fn finish(mut self) -> Result<Plan, Error> {
        let mode = self.plan.options.mode;
        if mode.has_backward() {
            self.update_step();
        }
        let last_step = self.plan.steps.len() - 1;
        for (index, step) in self.plan.steps.iter().enumerate() {
            for access in &step.accesses {
                let buffer = &mut self.plan.buffers[access.buffer];
                buffer.first = buffer.first.min(index);
                buffer.last = buffer.last.max(index);
            }
        }
        let evaluates = self.plan.options.mode == Mode::Evaluate;
        let keep = |kind: BufferKind| match kind {
            // Later passes with the same parameters read what this one packs.
            BufferKind::Prepared(..) => evaluates,
            // The caller reads the output after the step.
            BufferKind::Output(v) => v == self.plan.output,
            BufferKind::Gradient(v) => self.plan.graph.node(v).op().is_none(),
            _ => false,
        };
        for buffer in &mut self.plan.buffers {
            if keep(buffer.kind) {
                buffer.last = last_step;
            }
            if evaluates && matches!(buffer.kind, BufferKind::Prepared(..)) {
                buffer.first = 0;
            }
        }
        self.plan.arena_len =
            place(&mut self.plan.buffers, self.plan.options.reuse && !self.plan.options.poison)?;
        self.resolve_places();
        self.collect_pieces();
        set_barriers(&mut self.plan);
        Ok(self.plan)
    }

    fn update_step(&mut self) {
        if !self.plan.options.keep_gradients {
            self.plan.scratch_len = self.plan.scratch_len.max(PIECE_LEN);
        }
        let gradients = self.plan.buffers.iter().enumerate();
        let reads = gradients
            .filter(|(_, b)| matches!(b.kind, BufferKind::ParamGradient(_) | BufferKind::Statistics(_)));
        let accesses = reads.map(|(buffer, _)| Access { buffer, write: false, own_share: false }).collect();
        self.step(Work::Update, Cut::Pieces, accesses, false);
    }

    /// Inputs were noted by buffer number while building; now that buffers have places, notes become places.
    fn resolve_places(&mut self) {
        for node in &mut self.plan.nodes {
            for place in &mut node.inputs {
                if let Place::Arena(buffer) = *place {
                    *place = Place::Arena(self.plan.buffers[buffer].offset);
                }
            }
        }
    }

    fn collect_pieces(&mut self) {
        let graph = Arc::clone(&self.plan.graph);
        let applied = self.plan.steps.iter().filter(|step| step.applies).filter_map(|step| step.work.value());
        let applied: Vec<usize> = applied.flat_map(|value| graph.node(value).params()).copied().collect();
        for (number, entry) in graph.layout().entries().iter().enumerate() {
            if !self.plan.trains(number) || applied.contains(&number) {
                continue;
            }
            let sources: Vec<Source> = graph.values().filter_map(|v| self.source(v, number)).collect();
            for start in entry.range.clone().step_by(PIECE_LEN) {
                let range = start..(start + PIECE_LEN).min(entry.range.end);
                let offset = start - entry.range.start;
                let sources = sources.iter().map(|s| Source { offset: s.offset + offset, ..*s }).collect();
                self.plan.pieces.push(Piece { range, role: entry.spec.role, sources });
            }
        }
        let mut norms = self.plan.pieces.len();
        if let Some(step) = self.plan.steps.last_mut().filter(|s| s.work == Work::Update) {
            step.parts = norms.max(1);
        }
        for step in self.plan.steps.iter_mut().filter(|step| step.applies) {
            step.norms = norms;
            norms += step.parts * MAX_PARAMS;
        }
    }

    /// Where node `value` left its partial gradients of parameter `entry`, if it did.
    fn source(&self, value: Value, entry: usize) -> Option<Source> {
        let buffer = self.plan.buffer(self.plan.nodes[value.0].param_gradient)?;
        let node = self.plan.graph.node(value);
        let place = node.params().iter().position(|&p| p == entry)?;
        let before: usize = node.trained().take(place).map(|spec| spec.shape.len()).sum();
        let stride = node.trained_len();
        Some(Source { offset: buffer.offset + before, stride, count: buffer.len / stride })
    }

    fn step(&mut self, work: Work, cut: Cut, accesses: Vec<Access>, accumulate: bool) {
        let parts = self.plan.parts;
        let step = Step {
            work,
            cut,
            parts,
            barrier: false,
            accumulate,
            strips: None,
            applies: false,
            norms: 0,
            accesses,
        };
        self.plan.steps.push(step);
    }
}

fn no_curvature(layer: &str, op: &str) -> Error {
    Error::Options(format!(
        "diagonal Levenberg–Marquardt cannot propagate second derivatives through layer '{layer}' ({op}); \
         use another optimizer, or a network of LeNet's layers"
    ))
}

/// The error of activations of so many elements, in f32.
pub(super) fn too_large(elements: u128) -> Error {
    Error::Memory { what: "the activations", bytes: elements.saturating_mul(4) }
}
