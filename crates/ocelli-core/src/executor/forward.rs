//! The forward step of a node, and of the nodes behind it that work in the same step: over whole samples, or over sections
//! of each.

use std::ops::Range;

use ocelli_kernels::{Direction, Element, Finish};

use super::run::Run;
use crate::Value;
use crate::ops::{ChannelCut, Forward, Held, Inputs, Operation, Section};
use crate::plan::{Chain, Cut, Step};

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
    pub(super) fn forward(&self, step: &Step, value: Value, samples: Range<usize>, worker: usize) {
        match step.cut {
            Cut::Rows(_) | Cut::Channels(_) => unreachable!("invariant: these are computed strip by strip"),
            Cut::Samples | Cut::Units(_) | Cut::Pieces => {
                let at_once = match self.finishes_after(value) {
                    true => self.plan.chunk(value),
                    false => samples.len().max(1),
                };
                for first in samples.clone().step_by(at_once) {
                    let samples = first..samples.end.min(first + at_once);
                    let extent = Extent::samples(samples);
                    let output = self.output_of(value, &extent);
                    self.forward_chain(value, &extent, Held::nothing(), output, self.scratch(worker));
                }
            }
        }
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
        scratch: &mut [T],
    ) {
        let channels = 0..self.plan.graph.node(value).shape().channels();
        let finish = self.finish(self.plan.nodes[value.0].chain, extent, channels);
        self.finished(value, extent, held, 0, finish, output, scratch);
    }

    /// The channels of a part, of every pixel side by side, as an op and the nodes that follow it in the same step leave them: in
    /// the first elements of `memory`.
    pub(super) fn forward_channels<'m>(
        &self,
        value: Value,
        part: usize,
        cut: ChannelCut,
        samples: Range<usize>,
        held: Held<'_, T>,
        memory: &'m mut [T],
        scratch: &mut [T],
    ) -> &'m [T] {
        let (places, len) = (&self.plan.nodes[value.0], self.plan.graph.node(value).shape().len());
        let (own, runs) = (cut.part(part), samples.len() * (len / cut.channels));
        let (computed, rest) = memory.split_at_mut(runs * own.len());
        let extent = Extent { samples, section: Section::Channels(own.clone()), within: None };
        let mut finish = self.finish(places.chain, &extent, own.clone());
        let addend = &mut rest[..if finish.addend.is_empty() { 0 } else { computed.len() }];
        let pixels = finish.addend.chunks_exact(cut.channels);
        for (to, from) in addend.chunks_exact_mut(own.len()).zip(pixels) {
            to.copy_from_slice(&from[own.clone()]);
        }
        finish.addend = addend;
        self.finished(value, &extent, held, part, finish, computed, scratch);
        computed
    }

    /// What the nodes that follow an op in the same step do to some of its channels.
    pub(super) fn finish(
        &self,
        chain: Option<Chain>,
        extent: &Extent,
        channels: Range<usize>,
    ) -> Finish<'_, T> {
        let Some(chain) = chain else { return Finish::nothing() };
        let affine = chain.norm.map(|norm| {
            let buffer = self.plan.nodes[norm.0].prepared[Direction::Forward as usize];
            let both = self.whole(buffer, true);
            let (scale, shift) = both.split_at(both.len() / 2);
            [&scale[channels.clone()], &shift[channels]]
        });
        let addend = chain.add.map_or(&[][..], |(add, other)| {
            let inputs = self.inputs(add, &extent.samples, true);
            Inputs { within: extent.within, ..inputs }.get(other)
        });
        Finish { affine, addend, unary: self.unary(chain.unary) }
    }

    /// See [`Chain::finishes_after`].
    fn finishes_after(&self, value: Value) -> bool {
        self.plan.nodes[value.0].chain.is_some_and(|chain| chain.finishes_after)
    }

    /// Calls the op and finishes what it leaves.
    fn finished(
        &self,
        value: Value,
        extent: &Extent,
        held: Held<'_, T>,
        part: usize,
        finish: Finish<'_, T>,
        output: &mut [T],
        scratch: &mut [T],
    ) {
        if self.finishes_after(value) {
            self.call(value, extent, held, part, Finish::nothing(), output, scratch);
            (self.kernels.finish)(&finish, output);
        } else {
            self.call(value, extent, held, part, finish, output, scratch);
        }
    }

    /// Calls the op, for `part` where its step is cut by channels.
    fn call(
        &self,
        value: Value,
        extent: &Extent,
        held: Held<'_, T>,
        part: usize,
        finish: Finish<'_, T>,
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
            finish,
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
}
