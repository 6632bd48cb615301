//! The forward step of a node, and of the nodes behind it that work in the same step: over whole samples, or over sections
//! of each.

use std::ops::Range;

use ocelli_kernels::{Direction, Element, Kernels, Unary};

use super::run::Run;
use crate::Value;
use crate::ops::{ChannelCut, Epilogue, Forward, Held, Inputs, Op, Operation, Section};
use crate::plan::{Chain, Cut, Step};

/// What is done to what an op leaves, in place of the nodes that follow: y = f(scale·x + shift + addend).
struct Tail<'a, T: Element> {
    /// Scale and shift of each channel.
    norm: Option<[&'a [T]; 2]>,
    /// Empty for none.
    addend: &'a [T],
    unary: Option<Unary<T>>,
}

impl<T: Element> Tail<'_, T> {
    /// Without a normalisation, over what the op left.
    fn in_place(&self, kernels: &Kernels<T>, y: &mut [T]) {
        if !self.addend.is_empty() {
            (kernels.accumulate)(self.addend, y);
        }
        if let Some(unary) = self.unary {
            (kernels.unary_in_place)(unary, y);
        }
    }

    /// From what the op left to the output.
    fn apply(&self, kernels: &Kernels<T>, x: &[T], y: &mut [T]) {
        let [scale, shift] = self.norm.expect("invariant: a normalisation moves what it reads");
        (kernels.column_affine)(scale, shift, x, self.addend, self.unary, y);
    }
}

/// What of the samples a call of an op computes, and where it lies among the elements of each sample.
pub(super) struct Extent {
    samples: Range<usize>,
    section: Section,
    /// Parts of the sample from one to another, of so many.
    within: Option<[usize; 3]>,
}

impl Extent {
    /// All of some samples.
    pub(super) fn samples(samples: Range<usize>) -> Extent {
        Extent { samples, section: Section::Whole, within: None }
    }

    /// Some rows of one sample's image, of so many.
    pub(super) fn rows(sample: usize, rows: Range<usize>, of: usize) -> Extent {
        let within = Some([rows.start, rows.end, of]);
        Extent { samples: sample..sample + 1, section: Section::Rows(rows), within }
    }
}

impl<'a, T: Element> Run<'a, T> {
    /// A part of a forward step, or several parts whose samples follow each other.
    pub(super) fn forward(
        &self,
        step: &Step,
        value: Value,
        part: usize,
        samples: Range<usize>,
        worker: usize,
    ) {
        match step.cut {
            Cut::Rows(_) => unreachable!("invariant: rows are computed strip by strip"),
            Cut::Channels(cut) if !samples.is_empty() => {
                self.forward_channels(step, value, part, cut, samples, worker);
            }
            Cut::Channels(_) => {}
            Cut::Samples | Cut::Units(_) | Cut::Pieces => {
                let at_once = match self.tail_chain(value) {
                    Some(_) => self.plan.chunk(value),
                    None => samples.len().max(1),
                };
                for first in samples.clone().step_by(at_once) {
                    let samples = first..samples.end.min(first + at_once);
                    self.forward_extent(step, value, &Extent::samples(samples), worker);
                }
            }
        }
    }

    /// What lies in one piece in the output: samples, or rows of one.
    fn forward_extent(&self, step: &Step, value: Value, extent: &Extent, worker: usize) {
        let (staged, scratch) = self.scratch(worker).split_at_mut(step.staged);
        let output = self.output_of(value, extent);
        self.forward_chain(value, extent, Held::nothing(), output, staged, scratch);
    }

    /// Where in the arena the output of an extent lies, in one piece.
    pub(super) fn output_of(&self, value: Value, extent: &Extent) -> &'a mut [T] {
        let (places, len) = (&self.plan.nodes[value.0], self.plan.graph.node(value).shape().len());
        let samples = &extent.samples;
        let range = match extent.within {
            None => samples.start * len..samples.end * len,
            Some([first, end, of]) => {
                samples.start * len + len / of * first..samples.start * len + len / of * end
            }
        };
        let offset = self.plan.buffer(places.output).expect("planned").offset;
        self.arena.write(offset + range.start..offset + range.end)
    }

    /// What an op and the nodes that follow it in the same step leave of an extent, in one piece.
    pub(super) fn forward_chain(
        &self,
        value: Value,
        extent: &Extent,
        held: Held<'_, T>,
        output: &mut [T],
        staged: &mut [T],
        scratch: &mut [T],
    ) {
        let Some(chain) = self.tail_chain(value) else {
            return self.call(value, extent, held, 0, output, scratch);
        };
        let tail = self.tail(chain, extent, 0..self.plan.graph.node(value).shape().channels());
        if tail.norm.is_some() {
            let staged = &mut staged[..output.len()];
            self.call(value, extent, held, 0, staged, scratch);
            tail.apply(self.kernels, staged, output);
        } else {
            self.call(value, extent, held, 0, output, scratch);
            tail.in_place(self.kernels, output);
        }
    }

    /// Some channels of every pixel: computed side by side, and then put where they belong, run by run.
    fn forward_channels(
        &self,
        step: &Step,
        value: Value,
        part: usize,
        cut: ChannelCut,
        samples: Range<usize>,
        worker: usize,
    ) {
        let (places, len) = (&self.plan.nodes[value.0], self.plan.graph.node(value).shape().len());
        let (own, first, runs) = (cut.part(part), samples.start, samples.len() * (len / cut.channels));
        let (staged, scratch) = self.scratch(worker).split_at_mut(step.staged);
        let (computed, rest) = staged.split_at_mut(runs * own.len());
        let extent = Extent { samples, section: Section::Channels(own.clone()), within: None };
        self.call(value, &extent, Held::nothing(), part, computed, scratch);
        let mut finished: &[T] = computed;
        if let Some(chain) = self.tail_chain(value) {
            let mut tail = self.tail(chain, &extent, own.clone());
            let (addend, rest) = rest.split_at_mut(if tail.addend.is_empty() { 0 } else { computed.len() });
            let pixels = tail.addend.chunks_exact(cut.channels);
            for (to, from) in addend.chunks_exact_mut(own.len()).zip(pixels) {
                to.copy_from_slice(&from[own.clone()]);
            }
            tail.addend = addend;
            if tail.norm.is_some() {
                let normalised = &mut rest[..computed.len()];
                tail.apply(self.kernels, computed, normalised);
                finished = normalised;
            } else {
                tail.in_place(self.kernels, computed);
                finished = computed;
            }
        }
        let offset = self.plan.buffer(places.output).expect("planned").offset + first * len;
        for (run, from) in finished.chunks_exact(own.len()).enumerate() {
            let start = offset + run * cut.channels;
            self.arena.write(start + own.start..start + own.end).copy_from_slice(from);
        }
    }

    /// The chain that a node other than batch normalisation, which has an epilogue of its own, is the head of.
    fn tail_chain(&self, value: Value) -> Option<Chain> {
        let chain = self.plan.nodes[value.0].chain?;
        (!matches!(self.plan.graph.node(value).op(), Some(Op::BatchNorm(_)))).then_some(chain)
    }

    fn tail(&self, chain: Chain, extent: &Extent, channels: Range<usize>) -> Tail<'_, T> {
        let norm = chain.norm.map(|norm| {
            let buffer = self.plan.nodes[norm.0].prepared[Direction::Forward as usize];
            let both = self.whole(buffer, true);
            let (scale, shift) = both.split_at(both.len() / 2);
            [&scale[channels.clone()], &shift[channels.clone()]]
        });
        let Epilogue { addend, unary } = self.epilogue(Some(chain), extent);
        Tail { norm, addend, unary }
    }

    /// Calls the op, for `part` where its step is cut by channels.
    fn call(
        &self,
        value: Value,
        extent: &Extent,
        held: Held<'_, T>,
        part: usize,
        output: &mut [T],
        scratch: &mut [T],
    ) {
        let (node, places) = (self.plan.graph.node(value), &self.plan.nodes[value.0]);
        let op = node.op().expect("an op");
        let (over, samples) = (self.plan.over(value), &extent.samples);
        // Where rows follow from the same rows of the inputs, the op need not know.
        let within = extent.within.filter(|_| op.is_local());
        let section = if within.is_some() { Section::Whole } else { extent.section.clone() };
        let mut prepared = self.whole(places.prepared[Direction::Forward as usize], true);
        if let (Cut::Channels(_), false) = (places.forward, prepared.is_empty()) {
            let packing = self.plan.packing(value, Direction::Forward);
            prepared = &prepared[op.prepared_range(node, &packing, part..part + 1)];
        }
        let pass = Forward {
            node,
            kernels: self.kernels,
            mode: self.plan.mode_of(value),
            inputs: Inputs { overwritten: over, within, held, ..self.inputs(value, samples, true) },
            params: self.params(places),
            prepared,
            epilogue: self.epilogue(places.chain, extent),
            statistics: self.whole(places.statistics, true),
            section,
            output,
            saved: self.rows_mut(places.saved, node.signature().saved, samples),
            scratch,
            random: self.random,
            share: self.plan.share_in(places.forward),
            samples: samples.clone(),
        };
        match over {
            Some(_) => op.forward_in_place(pass),
            None => op.forward(pass),
        }
    }

    /// What is added to what the head of a chain computes, and applied to the sum.
    fn epilogue(&self, chain: Option<Chain>, extent: &Extent) -> Epilogue<'_, T> {
        let addend = chain.and_then(|c| c.add).map_or(&[][..], |(add, other)| {
            let inputs = self.inputs(add, &extent.samples, true);
            Inputs { within: extent.within, ..inputs }.get(other)
        });
        Epilogue { addend, unary: self.unary(chain.and_then(|c| c.unary)) }
    }
}
