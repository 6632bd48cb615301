//! A forward step that works strip by strip: what each layer leaves for the next one stays in scratch memory.

use std::ops::Range;

use ocelli_kernels::Element;

use super::forward::Extent;
use super::run::Run;
use crate::ops::{ChannelCut, Held};
use crate::plan::{Cut, MOST_LAYERS, Step, Strip, Strips, Turn};

impl<T: Element> Run<'_, T> {
    /// Parts of a step that follow each other.
    pub(super) fn forward_strips(
        &self,
        step: &Step,
        strips: &Strips,
        parts: Range<usize>,
        samples: Range<usize>,
        worker: usize,
    ) {
        match strips.strip {
            Strip::Samples(at_once) => {
                for first in samples.clone().step_by(at_once) {
                    self.layers_of_samples(strips, first..samples.end.min(first + at_once), worker);
                }
            }
            Strip::Rows(_) => {
                // A part by samples has all rows of its own.
                let of = step.cut.parts_by_rows(step.parts);
                let parts = if of > 1 { parts } else { 0..1 };
                for sample in samples {
                    let mut turns: [Turn; MOST_LAYERS] = Default::default();
                    if self.plan.options.poison {
                        self.scratch(worker).fill(T::NAN);
                    }
                    for strip in strips.of_parts(&self.plan.graph, parts.clone(), of) {
                        strips.next(&self.plan.graph, &mut turns, strip);
                        self.layers_of_rows(strips, sample, &turns, worker);
                    }
                }
            }
            Strip::Channels => {
                let Cut::Channels(cut) = step.cut else { unreachable!("invariant: parts are channels") };
                for part in parts.filter(|_| !samples.is_empty()) {
                    self.layers_of_channels(strips, part, cut, samples.clone(), worker);
                }
            }
        }
    }

    /// All layers for some samples.
    fn layers_of_samples(&self, strips: &Strips, samples: Range<usize>, worker: usize) {
        let (mut memory, scratch) = self.scratch(worker).split_at_mut(strips.held());
        let extent = Extent::samples(samples.clone());
        let mut held = Held::nothing();
        for layer in &strips.layers {
            let own = memory.split_off_mut(..layer.held).expect("invariant: what is held has room");
            let len = samples.len() * self.plan.graph.node(layer.head).shape().len();
            let output = match layer.held {
                0 => self.output_of(layer.head, &extent),
                _ => &mut own[..len],
            };
            self.forward_chain(layer.head, &extent, held, output, scratch);
            held = Held { values: output, first: 0 };
        }
    }

    /// All layers for the channels of a part. What the last one leaves is then put where it belongs, run by run.
    fn layers_of_channels(
        &self,
        strips: &Strips,
        part: usize,
        cut: ChannelCut,
        samples: Range<usize>,
        worker: usize,
    ) {
        if self.plan.options.poison {
            self.scratch(worker).fill(T::NAN);
        }
        let (mut memory, scratch) = self.scratch(worker).split_at_mut(strips.held());
        let mut held = Held::nothing();
        for layer in &strips.layers {
            let own = memory.split_off_mut(..layer.held).expect("invariant: what is held has room");
            let left = self.forward_channels(layer.head, part, cut, samples.clone(), held, own, scratch);
            held = Held { values: left, first: 0 };
        }
        let (last, own) = (strips.last(), cut.part(part));
        let len = self.plan.graph.node(last).shape().len();
        let output = self.plan.buffer(self.plan.nodes[last.0].output).expect("planned").offset;
        for (run, from) in held.values.chunks_exact(own.len()).enumerate() {
            let start = output + samples.start * len + run * cut.channels;
            self.arena.write(start + own.start..start + own.end).copy_from_slice(from);
        }
    }

    /// All layers for a strip of a sample.
    fn layers_of_rows(&self, strips: &Strips, sample: usize, turns: &[Turn; MOST_LAYERS], worker: usize) {
        let (mut memory, scratch) = self.scratch(worker).split_at_mut(strips.held());
        let mut held = Held::nothing();
        for (layer, turn) in strips.layers.iter().zip(turns) {
            let own = memory.split_off_mut(..layer.held).expect("invariant: what is held has room");
            let shape = self.plan.graph.node(layer.head).shape();
            let [_, rows, _] = shape.image().expect("invariant: a layer with rows");
            let (row, kept) = (shape.len() / rows, turn.kept());
            let extent = Extent::rows(sample, turn.rows.clone(), rows);
            if layer.held == 0 {
                let output = self.output_of(layer.head, &extent);
                return self.forward_chain(layer.head, &extent, held, output, scratch);
            }
            if kept > 0 {
                own.copy_within(turn.dropped * row..(turn.dropped + kept) * row, 0);
            }
            let own = &mut own[..turn.held().len() * row];
            if !turn.rows.is_empty() {
                self.forward_chain(layer.head, &extent, held, &mut own[kept * row..], scratch);
            }
            held = Held { values: own, first: turn.first };
        }
    }
}
