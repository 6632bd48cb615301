//! The plan: in which order, where in memory and in how many parts a graph is computed.
//!
//! A plan is immutable and knows everything beforehand. It is a list of steps; each step is one pass of one op,
//! cut into parts by sample; or for large parameters by output unit, and in evaluation of few samples by rows or
//! channels. How a step is cut depends on the graph and the batch alone, never on the number of threads: that is why any
//! number of threads computes the same bits.
//!
//! Architecture invariant: two parts that may run at the same time never touch the same element, unless both
//! only read it. [`Plan::new`] checks every plan for it (in `plan/verify.rs`, which says what is checked), and the arena
//! relies on it. That each step finds the values that it is to read, where nodes share memory, is checked in
//! `plan/flow.rs`.

mod barriers;
mod buffers;
mod build;
mod cuts;
mod flow;
mod fuse;
mod join;
mod memory;
mod scope;
mod strips;
mod verify;
mod view;

use std::ops::Range;
use std::sync::Arc;

pub(crate) use build::*;
use ocelli_kernels::{Direction, Precision};
pub(crate) use strips::{Layer, MOST_LAYERS, Strip, Strips, Turn};
pub use view::StepView;

use crate::ops::{ChannelCut, MAX_PARAMS, Packing, Place};
use crate::{Error, Graph, Node, Role, Value};

/// What a plan is for. It belongs to the plan: ops have no mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Forward, backward and update; dropout drops, batch normalisation uses the batch's statistics.
    Train,
    /// Forward alone; dropout passes on, batch normalisation uses the running statistics.
    Evaluate,
    /// Forward as in evaluation, and the gradients of that: for saliency, and for checking ops as they are used.
    EvaluateWithGradients,
}

impl Mode {
    /// Whether gradients are computed.
    pub fn has_backward(self) -> bool {
        self != Mode::Evaluate
    }
}

/// How to plan.
#[derive(Clone, Debug)]
pub struct PlanOptions {
    /// Training or evaluation.
    pub mode: Mode,
    /// Samples of a full batch; a step may have fewer.
    pub batch: usize,
    /// Whether buffers whose values are dead give their memory to others. Without it what steps leave can be read after
    /// the last one: with `fuse` off as well, every value of the network. The results are the same bits.
    pub reuse: bool,
    /// Whether nodes write over what they read and share steps where they can. Values that were written over are not
    /// kept; the results are the same bits. Plans for second derivatives never do.
    pub fuse: bool,
    /// Whether the gradient of the graph's inputs is wanted.
    pub input_gradients: bool,
    /// Whether the gradients of the parameters are there after a pass. Without it a plan can only do whole steps
    /// ([`Executor::step`](crate::Executor::step)): parameters are moved as soon as their gradient is known where that
    /// can be, no gradient is kept, and none needs memory of its own. The results are the same bits.
    pub keep_gradients: bool,
    /// Whether gradients are added to those of earlier batches if asked to ([`Executor::accumulate`](crate::Executor::accumulate)).
    /// It needs `keep_gradients`.
    pub accumulate: bool,
    /// In training, the last layer that stays as it is, with all that it is computed from: these work as in evaluation
    /// (dropout passes on, batch normalisation uses the running statistics), their parameters are not moved and no gradient
    /// is computed for them.
    pub frozen: Option<Value>,
    /// Whether second derivatives will be propagated too ([`Executor::curvature`](crate::Executor::curvature)).
    pub curvature: bool,
    /// Whether values that no later step declared to read, and in passes with gradients the scratch memory before
    /// each step, are overwritten with NaN: to find a step that reads what it did not declare. For tests: it runs
    /// without reuse, and all workers wait for each other around each step.
    pub poison: bool,
    /// What matrix products and convolutions of `f32` may round their operands to. With [`Precision::Bf16`] they round to bf16
    /// where the instruction set has units that multiply such numbers and the product is large enough to be worth it; where
    /// not, they are those of [`Precision::F32`]. Everything else is `f32`: sums, activations and gradients in memory, batch
    /// statistics, the loss, parameters, and the update. The plan is the same for either.
    pub precision: Precision,
    /// Into at most how many parts a batch is cut, each of as many samples as the others but the last; `None`: as many
    /// as the work that it is deserves. For tests and for measuring: sums over a batch are added part by part, so this
    /// changes the last bits of the results.
    pub parts: Option<usize>,
    /// In evaluation, how many rows at a time are computed of layers that work in one step, wherever layers can; with 0
    /// each has a step of its own. `None`: which do and how many rows follows from their sizes. It needs `reuse` and
    /// `fuse`, and the results are the same bits. For tests and for measuring.
    pub strips: Option<usize>,
}

impl PlanOptions {
    /// Options to train with batches of this size.
    pub fn train(batch: usize) -> PlanOptions {
        PlanOptions {
            mode: Mode::Train,
            batch,
            reuse: true,
            fuse: true,
            input_gradients: false,
            keep_gradients: true,
            accumulate: false,
            frozen: None,
            curvature: false,
            poison: false,
            precision: Precision::F32,
            parts: None,
            strips: None,
        }
    }

    /// Options to evaluate with batches of this size.
    pub fn evaluate(batch: usize) -> PlanOptions {
        PlanOptions { mode: Mode::Evaluate, ..PlanOptions::train(batch) }
    }
}

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Packs a node's weights for one of its passes.
    Prepare(Value, Direction),
    /// A part's contribution to the batch statistics of a node.
    Statistics(Value),
    /// A node's output, with those of the layers before it that work in the same step.
    Forward(Value),
    /// The cost of each sample, and in training the gradient of the output.
    Loss,
    /// A node's parameter gradients.
    BackwardParams(Value),
    /// The gradient of one input of a node.
    BackwardInput(Value, usize),
    /// Adds up parameter gradients, and updates the parameters if asked to.
    Update,
}

impl Work {
    /// The node that it is of.
    pub fn value(self) -> Option<Value> {
        match self {
            Work::Prepare(value, _)
            | Work::Statistics(value)
            | Work::Forward(value)
            | Work::BackwardParams(value)
            | Work::BackwardInput(value, _) => Some(value),
            Work::Loss | Work::Update => None,
        }
    }
}

/// How a step is cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Cut {
    /// By samples: part p of every such step has the same samples and the same worker.
    #[default]
    Samples,
    /// By runs of rows of every sample's output, of so many in total.
    Rows(usize),
    /// By runs of channels of every pixel's output.
    Channels(ChannelCut),
    /// By runs of this many units of the parameters (or pieces of packed weights) in total, all samples each.
    Units(usize),
    /// By pieces of the parameter arena.
    Pieces,
}

impl Cut {
    /// Of so many parts those that differ in their rows: all or one.
    pub(crate) fn parts_by_rows(self, parts: usize) -> usize {
        if matches!(self, Cut::Rows(_)) { parts } else { 1 }
    }
}

/// One step.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) work: Work,
    pub(crate) cut: Cut,
    pub(crate) parts: usize,
    /// Whether all workers must have finished the steps before it.
    pub(crate) barrier: bool,
    /// Whether a gradient is added to what is there: the first one sets, the next ones add.
    pub(crate) accumulate: bool,
    /// The layers of a forward step that works strip by strip: of several, or cut by rows or channels.
    pub(crate) strips: Option<Strips>,
    /// Whether a pass to the parameters moves them at once. Nothing may read them after that.
    pub(crate) applies: bool,
    /// The first of its sums of squares, if it moves parameters.
    pub(crate) norms: usize,
    /// What it touches.
    pub(crate) accesses: Vec<Access>,
}

impl Step {
    /// The heads of the chains that a forward step computes, in order.
    pub(crate) fn heads(&self) -> impl Iterator<Item = Value> + '_ {
        let one = match (self.work, &self.strips) {
            (Work::Forward(value), None) => Some(value),
            _ => None,
        };
        let several = self.strips.iter().flat_map(|strips| &strips.layers).map(|layer| layer.head);
        one.into_iter().chain(several)
    }
}

/// A buffer that a step touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    pub(crate) buffer: usize,
    pub(crate) write: bool,
    /// Whether part p touches its own share of the buffer alone (its samples, or its slot).
    pub(crate) own_share: bool,
}

/// What a buffer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BufferKind {
    /// A node's output.
    Output(Value),
    /// What a node's forward saved for backward.
    Saved(Value),
    /// The contributions to a node's batch statistics.
    Statistics(Value),
    /// ∂C/∂output of a node.
    Gradient(Value),
    /// A node's parameter gradients, one copy per part.
    ParamGradient(Value),
    /// A node's weights as one of its passes reads them.
    Prepared(Value, Direction),
}

/// A range of the arena, and from which step to which it is in use.
#[derive(Clone, Debug)]
pub struct Buffer {
    /// What it holds.
    pub kind: BufferKind,
    /// Elements.
    pub len: usize,
    /// The first step that touches it.
    pub first: usize,
    /// The last step that touches it.
    pub last: usize,
    /// Where it starts, in elements.
    pub offset: usize,
}

impl Buffer {
    /// Its elements in the arena.
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.len
    }
}

/// Nodes that work in one step, at the turn of the last one: batch normalisation, or in evaluation any op and then batch
/// normalisation; the sum with one other value; an activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    /// Whose steps they are.
    pub(crate) head: Value,
    /// The normalisation behind a head that is none.
    pub(crate) norm: Option<Value>,
    /// The sum, and which of its inputs the other value is.
    pub(crate) add: Option<(Value, usize)>,
    /// The activation.
    pub(crate) unary: Option<Value>,
    /// Whether what follows the head is done after it, so that the head had better leave little at a time: where the head cannot do
    /// it, and where the activation bends, which takes so long that nothing is won by applying it on the way.
    pub(crate) finishes_after: bool,
}

impl Chain {
    /// The nodes in order.
    pub(crate) fn members(self) -> impl Iterator<Item = Value> {
        [Some(self.head), self.norm, self.add.map(|(add, _)| add), self.unary].into_iter().flatten()
    }

    /// The last one, whose output is written.
    pub(crate) fn tail(self) -> Value {
        self.members().last().expect("invariant: a chain has a head")
    }
}

/// Where what belongs to a node lies.
#[derive(Clone, Debug, Default)]
pub(crate) struct NodePlan {
    pub(crate) inputs: Vec<Place>,
    pub(crate) output: Option<usize>,
    pub(crate) saved: Option<usize>,
    pub(crate) statistics: Option<usize>,
    pub(crate) gradient: Option<usize>,
    /// The buffer of partial parameter gradients; without one they go straight to the gradient arena, or are used at once.
    pub(crate) param_gradient: Option<usize>,
    /// How a forward step of its own is cut, or one that layers share by channels. The choice of method goes by it.
    pub(crate) forward: Cut,
    /// The buffers of packed weights, for [`Direction::Forward`] and [`Direction::BackwardInput`].
    pub(crate) prepared: [Option<usize>; 2],
    /// Ranges in the parameter arena.
    pub(crate) params: Vec<Range<usize>>,
    /// The chain that the node is the head of.
    pub(crate) chain: Option<Chain>,
    /// The activation of that chain, if the pass to the parameters multiplies by its derivative.
    pub(crate) activated: Option<Value>,
}

/// A run of the parameter arena that one worker updates, and the partial gradients to add up for it.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) range: Range<usize>,
    pub(crate) role: Role,
    pub(crate) sources: Vec<Source>,
}

/// Copies of a gradient: `count` of them, `stride` elements apart, the first at `offset` in the arena.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source {
    pub(crate) offset: usize,
    pub(crate) stride: usize,
    pub(crate) count: usize,
}

/// In which order, where in memory and in how many parts a graph is computed.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(crate) graph: Arc<Graph>,
    pub(crate) options: PlanOptions,
    pub(crate) output: Value,
    /// Which nodes stay as they are, by their number.
    pub(crate) frozen: Vec<bool>,
    pub(crate) parts: usize,
    pub(crate) steps: Vec<Step>,
    pub(crate) buffers: Vec<Buffer>,
    pub(crate) nodes: Vec<NodePlan>,
    pub(crate) pieces: Vec<Piece>,
    pub(crate) arena_len: usize,
    pub(crate) scratch_len: usize,
}

impl Plan {
    /// Plans `graph`.
    ///
    /// # Errors
    /// A graph without output, a batch or a number of parts of 0, or sizes beyond what can be addressed.
    ///
    /// # Panics
    /// If the plan would let two workers touch the same element at once: a bug in the planner.
    pub fn new(graph: &Arc<Graph>, options: PlanOptions) -> Result<Plan, Error> {
        let plan = Builder::new(graph, options)?.build()?;
        verify::verify(&plan);
        flow::verify(&plan);
        Ok(plan)
    }

    /// The graph.
    pub fn graph(&self) -> &Arc<Graph> {
        &self.graph
    }

    /// How it was planned.
    pub fn options(&self) -> &PlanOptions {
        &self.options
    }

    /// The network's output.
    pub fn output(&self) -> Value {
        self.output
    }

    /// Whether the parameter of this number in the layout is moved by training: its role is, and no layer that has it is
    /// frozen.
    pub fn trains(&self, entry: usize) -> bool {
        let frozen = |node: &Node| self.frozen[node.index()] && node.params().contains(&entry);
        self.graph.layout().entries()[entry].spec.role.trainable() && !self.graph.nodes().iter().any(frozen)
    }

    /// The mode in which a node works: frozen ones as in evaluation.
    pub(crate) fn mode_of(&self, value: Value) -> Mode {
        if self.frozen[value.0] { Mode::Evaluate } else { self.options.mode }
    }

    /// Into how many parts a batch, or what is computed of it, is cut: the most threads that can work at once.
    pub fn parts(&self) -> usize {
        let within = |step: &&Step| matches!(step.cut, Cut::Rows(_) | Cut::Channels(_));
        self.steps.iter().filter(within).map(|step| step.parts).fold(self.parts, usize::max)
    }

    /// The buffers, with their lifetimes and places.
    pub fn buffers(&self) -> &[Buffer] {
        &self.buffers
    }

    /// Elements of the arena for activations, gradients and what is saved.
    pub fn arena_len(&self) -> usize {
        self.arena_len
    }

    /// Elements of scratch memory for each worker.
    pub fn scratch_len(&self) -> usize {
        self.scratch_len
    }

    /// How many steps there are.
    pub fn step_count(&self) -> usize {
        self.steps.len()
    }

    /// How often all workers wait for each other in a pass over the plan.
    pub fn barriers(&self) -> usize {
        self.steps.iter().filter(|s| s.barrier).count()
    }

    /// The buffer of that kind.
    pub fn node_buffer(&self, kind: BufferKind) -> Option<&Buffer> {
        self.buffers.iter().find(|b| b.kind == kind)
    }

    /// Elements that a step keeps from the forward pass of a node for the backward pass: its output, if it is read
    /// there, and what it saved.
    pub fn saved_len(&self, value: Value) -> usize {
        let loss = self.steps.iter().position(|s| s.work == Work::Loss).unwrap_or(0);
        let read = self.steps[loss..].iter().skip(1).flat_map(|step| &step.accesses);
        let is_read = |index: usize| read.clone().any(|access| access.buffer == index);
        let of_node =
            |b: &Buffer| matches!(b.kind, BufferKind::Output(v) | BufferKind::Saved(v) if v == value);
        let buffers = self.buffers.iter().enumerate().filter(|(index, b)| of_node(b) && is_read(*index));
        buffers.map(|(_, b)| b.len).sum()
    }

    /// The samples of part `part` in a batch of `n`.
    pub(crate) fn samples_of(&self, part: usize, n: usize) -> Range<usize> {
        let chunk = self.share();
        (part * chunk).min(n)..((part + 1) * chunk).min(n)
    }

    /// Samples of a part of a full batch.
    pub(crate) fn share(&self) -> usize {
        self.options.batch.div_ceil(self.parts)
    }

    /// Samples that a forward step treats at a time where other nodes' work follows, so that they do not leave the cache
    /// in between.
    pub(crate) fn chunk(&self, value: Value) -> usize {
        const CHUNK: usize = 1 << 17;
        (CHUNK / self.graph.node(value).shape().len().max(1)).clamp(1, self.options.batch)
    }

    /// Samples that the choice of method goes by in a step that is cut like this.
    pub(crate) fn share_in(&self, cut: Cut) -> usize {
        match cut {
            Cut::Rows(_) | Cut::Channels(_) | Cut::Units(_) => self.options.batch,
            Cut::Samples | Cut::Pieces => self.share(),
        }
    }

    /// Which pass of a node its weights are packed for.
    pub(crate) fn packing(&self, value: Value, direction: Direction) -> Packing {
        let cut = match direction {
            Direction::Forward => self.nodes[value.0].forward,
            Direction::BackwardInput => Cut::Samples,
        };
        let channels = if let Cut::Channels(channels) = cut { Some(channels) } else { None };
        Packing {
            mode: self.options.mode,
            direction,
            batch: self.options.batch,
            share: self.share_in(cut),
            channels,
        }
    }

    /// The parts of a step that worker `index` of `workers` works on: runs that differ by one at most. The only part of a
    /// step is the first worker's, and steps with as many parts are shared out alike.
    pub(crate) fn parts_of_worker(index: usize, workers: usize, parts: usize) -> Range<usize> {
        (index * parts).div_ceil(workers)..((index + 1) * parts).div_ceil(workers)
    }

    /// The share of one of `parts` in `all` things: runs that differ by one at most.
    pub(crate) fn share_of(part: usize, parts: usize, all: usize) -> Range<usize> {
        part * all / parts..(part + 1) * all / parts
    }

    /// The input of `value` in whose memory its output lies.
    pub(crate) fn over(&self, value: Value) -> Option<usize> {
        let output = self.nodes[value.0].output?;
        self.graph.node(value).inputs().iter().position(|x| self.nodes[x.0].output == Some(output))
    }

    /// Whether the gradient of that input overwrites the gradient of `value`.
    pub(crate) fn gradient_over(&self, value: Value, input: usize) -> bool {
        let input = self.graph.node(value).inputs()[input];
        self.nodes[input.0].gradient.is_some_and(|buffer| self.nodes[value.0].gradient == Some(buffer))
    }

    /// How many sums of squares of gradients a step adds up apart: one for each piece, and one for each parameter in each
    /// part of a pass that moves it.
    pub(crate) fn norms_len(&self) -> usize {
        let applying = self.steps.iter().filter(|step| step.applies);
        self.pieces.len() + applying.map(|step| step.parts * MAX_PARAMS).sum::<usize>()
    }

    /// The number of that sum for trained parameter `i` of a part of `step`.
    pub(crate) fn norm_of(&self, step: &Step, part: usize, i: usize) -> usize {
        step.norms + part * MAX_PARAMS + i
    }

    /// The numbers of the sums that the parameter of this number in the layout has.
    pub(crate) fn norm_parts(&self, entry: usize) -> impl Iterator<Item = usize> + '_ {
        let range = &self.graph.layout().entries()[entry].range;
        let inside = |piece: &Piece| range.start <= piece.range.start && piece.range.end <= range.end;
        let pieces = (0..self.pieces.len()).filter(move |&i| inside(&self.pieces[i]));
        let applying = self.steps.iter().filter(|step| step.applies);
        let of_steps = applying.flat_map(move |step| {
            let params = step.work.value().map_or(&[][..], |value| self.graph.node(value).params());
            let place = params.iter().position(|&param| param == entry);
            place.into_iter().flat_map(move |i| (0..step.parts).map(move |part| self.norm_of(step, part, i)))
        });
        pieces.chain(of_steps)
    }

    pub(crate) fn buffer(&self, index: Option<usize>) -> Option<&Buffer> {
        index.map(|i| &self.buffers[i])
    }
}
