//! Which layers of an evaluation work in one step, strip by strip (`plan/strips.rs`).
//!
//! Every step that is cut by rows or channels works so, with one layer or several. Layers can be joined where each one's output is
//! read by the next one alone and rows of all can be computed by themselves. They are where that saves more time than it costs, by a
//! model that knows sizes alone: never the number of threads, and no clock. And layers are joined to one that is cut by channels
//! where they see no channels but a part's own, as depthwise ones do: a worker then reads what it wrote itself.
//! What is between them is then not written to memory and read again, and no worker waits between them; but weights are
//! fetched for every strip, kernels are called more often, and where a sample is cut by rows, parts compute some rows twice.

use super::cuts::{self, Limits};
use super::fuse::Fusion;
use super::strips::{rows, runs};
use super::{Cut, Layer, MOST_LAYERS, Mode, PlanOptions, Strip, Strips, Turn};
use crate::ops::{ChannelCut, Op, PAIR, Section};
use crate::{Graph, Value};

/// Elements that a step may hold of all its layers: half a megabyte of f32, which a level-2 cache keeps beside weights.
const HELD: usize = 1 << 17;
/// Elements of a value of the whole batch that are not kept by caches from one step to the next.
const FAR: usize = 1 << 19;
/// Weights of all layers that stay in the cache from strip to strip.
const NEAR_WEIGHTS: usize = 1 << 18;

/// Elements that a core reads or writes in a cycle, in memory and in the level-2 cache.
const FAR_RATE: f64 = 1.2;
const NEAR_RATE: f64 = 6.0;
/// Multiply-adds of a cycle.
const RATE: f64 = 26.0;
/// Cycles of a call beside its work.
const CALL: f64 = 2000.0;
/// Cycles that a worker loses at a barrier.
const BARRIER: f64 = 3000.0;
/// Workers that share the parts of a sample.
const WORKERS: usize = 2;

/// The layers that work in one step, for all such steps of a plan.
pub(super) struct Joined {
    joins: Vec<Join>,
    /// Whether a value is held in scratch memory alone.
    held: Vec<bool>,
}

/// Layers that work in one step.
#[derive(Clone, Debug)]
pub(super) struct Join {
    pub(super) strips: Strips,
    pub(super) cut: Cut,
    pub(super) parts: usize,
    /// Elements of scratch memory for the ops.
    pub(super) scratch: usize,
}

impl Joined {
    /// Those of the nodes that are `used`.
    pub(super) fn of(
        graph: &Graph,
        options: &PlanOptions,
        used: &[bool],
        fusion: &Fusion,
        cuts: &[(Cut, usize)],
        limits: Limits,
    ) -> Joined {
        let search = Search { graph, options, fusion, cuts, limits };
        let shares = options.reuse && options.fuse && !options.curvature;
        let mut joins: Vec<Join> = Vec::new();
        if options.mode == Mode::Evaluate && shares && options.strips != Some(0) {
            joins = search.by_channels(used);
            let sequences = search.sequences(used, &joins);
            joins.extend(sequences.iter().flat_map(|layers| search.split(layers)));
        }
        let mut held = vec![false; graph.nodes().len()];
        for value in graph.values().filter(|v| used[v.0]) {
            let head = search.chained(fusion.turn(value)).head;
            held[value.0] = joins.iter().any(|join| join.strips.before().any(|layer| layer == head));
        }
        for value in graph.values().filter(|v| used[v.0] && fusion.has_turn(*v) && !held[v.0]) {
            let layer = search.chained(value);
            let joined = joins.iter().any(|join| join.strips.last() == layer.head);
            joins.extend(search.alone(layer).filter(|_| !joined));
        }
        Joined { joins, held }
    }

    /// Whether the output of `value` lies in scratch memory alone.
    pub(super) fn holds(&self, value: Value) -> bool {
        self.held[value.0]
    }

    /// How the step is cut in which the layer `head` shares channels with others.
    pub(super) fn shared(&self, head: Value) -> Option<Cut> {
        self.joins.iter().find(|join| join.shares_channels(head)).map(|join| join.cut)
    }

    /// The layers that work in the step of `head`, their last one, if they do strip by strip.
    pub(super) fn take(&mut self, head: Value) -> Option<Join> {
        let place = self.joins.iter().position(|join| join.strips.last() == head)?;
        Some(self.joins.swap_remove(place))
    }
}

/// A chain that may be a layer.
#[derive(Clone, Copy, Debug)]
struct Chained {
    head: Value,
    tail: Value,
}

struct Search<'a> {
    graph: &'a Graph,
    options: &'a PlanOptions,
    fusion: &'a Fusion,
    cuts: &'a [(Cut, usize)],
    limits: Limits,
}

impl Search<'_> {
    /// Layers that are cut by channels, with those behind that see the channels of a part alone.
    fn by_channels(&self, used: &[bool]) -> Vec<Join> {
        let mut joins: Vec<(Vec<Chained>, Join)> = Vec::new();
        for tail in self.graph.values().filter(|v| used[v.0] && self.fusion.has_turn(*v)) {
            let layer = self.chained(tail);
            let before = joins.iter_mut().find(|(layers, join)| {
                self.follows(layer, layers) && layers.len() < MOST_LAYERS && self.keeps_to(layer.head, join)
            });
            if let Some((layers, join)) = before {
                layers.push(layer);
                let longer = self.with_strip(layers, Strip::Channels, join.cut, join.parts);
                match longer.strips.held() <= HELD {
                    true => *join = longer,
                    false => drop(layers.pop()),
                }
            } else if let (Cut::Channels(_), Some(join)) = (self.cuts[layer.head.0].0, self.alone(layer)) {
                joins.push((vec![layer], join));
            }
        }
        let several = joins.into_iter().filter(|(layers, _)| layers.len() > 1);
        several.map(|(_, join)| join.with_scratch(self.graph)).collect()
    }

    /// Whether every part's channels of `head` see, of what is before it, these alone; and the method is the one that it takes by itself.
    fn keeps_to(&self, head: Value, join: &Join) -> bool {
        let (node, Cut::Channels(cut)) = (self.graph.node(head), join.cut) else { return false };
        let apart = self.fusion.over(head).is_none() && node.inputs().len() == 1;
        let grain = node.op().filter(|_| apart).and_then(|op| op.grain(node));
        let runs = |grain: usize| {
            (0..cut.parts)
                .map(|part| cut.part(part))
                .all(|part| part.start % grain == 0 && part.len() >= grain)
        };
        let alike = self.limits.parts == 1 || matches!(self.cuts[head.0].0, Cut::Rows(_));
        grain.is_some_and(runs) && alike
    }

    /// Layers whose rows can be joined, each with those that follow it; without those that are joined already.
    fn sequences(&self, used: &[bool], joined: &[Join]) -> Vec<Vec<Chained>> {
        let mut sequences: Vec<Vec<Chained>> = Vec::new();
        for tail in self.graph.values().filter(|v| used[v.0] && self.fusion.has_turn(*v)) {
            let layer = self.chained(tail);
            let taken = joined.iter().any(|join| join.strips.layers.iter().any(|l| l.head == layer.head));
            if taken || !self.can_be_layer(layer.head) {
                continue;
            }
            match sequences.iter_mut().find(|layers| self.follows(layer, layers)) {
                Some(layers) => layers.push(layer),
                None => sequences.push(vec![layer]),
            }
        }
        sequences
    }

    fn chained(&self, tail: Value) -> Chained {
        Chained { head: self.fusion.chain(tail).map_or(tail, |chain| chain.head), tail }
    }

    /// A layer by itself, if it is cut by rows or channels.
    fn alone(&self, layer: Chained) -> Option<Join> {
        let (cut, parts) = self.cuts[layer.head.0];
        let all = match cut {
            Cut::Rows(all) => all,
            Cut::Channels(_) => {
                return Some(self.with_strip(&[layer], Strip::Channels, cut, parts).with_scratch(self.graph));
            }
            Cut::Samples | Cut::Units(_) | Cut::Pieces => return None,
        };
        let after = self.fusion.chain(layer.tail).is_some_and(|chain| chain.finishes_after);
        let near = if after { HELD / row_len(self.graph, layer.head) } else { all };
        let wanted = self.options.strips.filter(|height| *height > 0).unwrap_or(near);
        let height = wanted.clamp(1, all).next_multiple_of(PAIR);
        Some(self.with_strip(&[layer], Strip::Rows(height), cut, parts).with_scratch(self.graph))
    }

    /// Whether the rows of what this op computes can be computed by themselves, from one input.
    fn can_be_layer(&self, head: Value) -> bool {
        let node = self.graph.node(head);
        let apart = self.fusion.over(head).is_none() && node.inputs().len() == 1;
        let by_rows = |op: &Op| node.shape().image().is_some() && op.reads_rows(node, 0..1).is_some();
        apart && matches!(self.cuts[head.0].0, Cut::Samples | Cut::Rows(_)) && node.op().is_some_and(by_rows)
    }

    /// Whether `layer` reads the last of `layers` and nobody else does.
    fn follows(&self, layer: Chained, layers: &[Chained]) -> bool {
        let read = layers.last().expect("invariant: no sequence is empty").tail;
        self.graph.node(layer.head).inputs() == [read]
            && self.fusion.readers(read) == [layer.head]
            && self.graph.output().ok() != Some(read)
    }

    /// The joins of a sequence that save most.
    fn split(&self, layers: &[Chained]) -> Vec<Join> {
        // For the first layers, so many of them: cycles saved, and the join that ends there.
        let mut best: Vec<(f64, Option<Join>)> = vec![(0.0, None)];
        for end in 1..=layers.len() {
            let (mut most, mut last) = (best[end - 1].0, None);
            for first in end.saturating_sub(MOST_LAYERS)..end - 1 {
                if let Some((saved, join)) = self.join(&layers[first..end])
                    && best[first].0 + saved > most
                {
                    (most, last) = (best[first].0 + saved, Some(join));
                }
            }
            best.push((most, last));
        }
        let mut joins = Vec::new();
        let mut end = layers.len();
        while end > 0 {
            match best[end].1.take() {
                Some(join) => {
                    end -= join.strips.layers.len();
                    joins.push(join.with_scratch(self.graph));
                }
                None => end -= 1,
            }
        }
        joins
    }

    /// These layers as one step, and the cycles that it saves in a batch.
    fn join(&self, layers: &[Chained]) -> Option<(f64, Join)> {
        let heads: Vec<Value> = layers.iter().map(|layer| layer.head).collect();
        let (cut, parts) = cuts::of_layers(self.graph, self.options, &heads, self.limits);
        // As many workers have something to do as before.
        let most = heads.iter().map(|head| self.cuts[head.0].1).max().unwrap_or(1);
        if self.options.strips.is_none() && parts < most.div_ceil(2).max(most.min(WORKERS)) {
            return None;
        }
        let join = self.strips(layers, cut).map(|strip| self.with_strip(layers, strip, cut, parts));
        let mut fitting = join.filter(|join| self.options.strips.is_some() || join.strips.held() <= HELD);
        let join = fitting.next()?;
        let saved = match self.options.strips {
            Some(_) => layers.len() as f64,
            None => self.saved(layers, &join),
        };
        Some((saved, join))
    }

    /// What may be computed at a time, the most first.
    fn strips(&self, layers: &[Chained], cut: Cut) -> impl Iterator<Item = Strip> {
        let last = self.graph.node(layers[layers.len() - 1].head);
        let (all, whole) = (rows(last), cut == Cut::Samples);
        let samples = match self.options.strips {
            Some(height) => height / all,
            None => {
                let lens = layers.iter().map(|layer| self.graph.node(layer.head).shape().len());
                HELD / lens.sum::<usize>().max(1)
            }
        };
        let samples = (whole && samples > 0).then_some(Strip::Samples(samples.min(self.options.batch)));
        let height = |strips: usize| all.div_ceil(strips).next_multiple_of(PAIR);
        let mut heights: Vec<usize> = match self.options.strips {
            Some(wanted) => vec![wanted.next_multiple_of(PAIR).min(height(1))],
            None => (1..=all.div_ceil(PAIR)).map(height).collect(),
        };
        // They fall: the same ones follow each other.
        heights.dedup();
        samples.into_iter().chain(heights.into_iter().map(Strip::Rows))
    }

    /// The layers in a step, with the memory that they need but that of the ops.
    fn with_strip(&self, layers: &[Chained], strip: Strip, cut: Cut, parts: usize) -> Join {
        let heads = layers.iter().map(|layer| Layer { head: layer.head, held: 0 });
        let strips = Strips { layers: heads.collect(), strip };
        let mut join = Join { strips, cut, parts, scratch: 0 };
        let held: Vec<usize> = match cut {
            Cut::Channels(cut) => layers.iter().map(|layer| self.held_of_channels(*layer, cut)).collect(),
            _ => {
                // The last one leaves its output in the arena.
                let mut held = join.held_by_layers(self.graph);
                held.pop();
                held
            }
        };
        let all = join.strips.layers.iter_mut().zip(held);
        all.for_each(|(layer, held)| layer.held = held.next_multiple_of(LINE));
        join
    }

    /// What a layer has of the channels of a part: as it leaves them, and what is added to them.
    fn held_of_channels(&self, layer: Chained, cut: ChannelCut) -> usize {
        let adds = self.fusion.chain(layer.tail).is_some_and(|chain| chain.add.is_some());
        let runs = self.options.batch * (self.graph.node(layer.head).shape().len() / cut.channels);
        (1 + usize::from(adds)) * runs * cut.widest()
    }

    /// Cycles that the step saves in a batch, of all workers together.
    fn saved(&self, layers: &[Chained], join: &Join) -> f64 {
        let (graph, batch) = (self.graph, self.options.batch as f64);
        let len = |layer: &Chained| graph.node(layer.head).shape().len();
        let between =
            layers[..layers.len() - 1].iter().map(len).filter(|len| len * self.options.batch >= FAR);
        let memory = 2.0 * between.sum::<usize>() as f64 * batch / FAR_RATE;
        let weights: usize = layers.iter().map(|layer| weights(graph, layer.head)).sum();
        let rate = if weights <= NEAR_WEIGHTS { NEAR_RATE } else { FAR_RATE };
        let strip = CALL * layers.len() as f64 + weights as f64 / rate;
        match join.strips.strip {
            Strip::Samples(samples) => memory - batch / samples as f64 * strip,
            Strip::Rows(_) => {
                let of = join.cut.parts_by_rows(join.parts);
                let workers = if of > 1 { WORKERS } else { 1 };
                let (mut strips, mut kept, mut twice) = (0, 0, 0.0);
                for worker in 0..workers {
                    let parts = worker * of / workers..(worker + 1) * of / workers;
                    join.strips.walk(graph, parts, of, |turns, _| {
                        strips += 1;
                        for (layer, turn) in layers.iter().zip(turns) {
                            kept += turn.kept() * row_len(graph, layer.head);
                            twice += turn.rows.len() as f64 * row_work(graph, layer.head);
                        }
                    });
                }
                let once =
                    |layer: &Chained| rows(graph.node(layer.head)) as f64 * row_work(graph, layer.head);
                let twice = twice - layers.iter().map(once).sum::<f64>();
                let barriers =
                    if of > 1 { (layers.len() - 1) as f64 * BARRIER * workers as f64 } else { 0.0 };
                memory + barriers - batch * (strips as f64 * strip + kept as f64 / NEAR_RATE + twice)
            }
            Strip::Channels => unreachable!("invariant: layers are joined by channels wherever they can be"),
        }
    }
}

impl Join {
    /// Whether it joins the layer `head` with others by channels.
    fn shares_channels(&self, head: Value) -> bool {
        self.strips.strip == Strip::Channels && self.strips.layers.iter().any(|layer| layer.head == head)
    }

    /// The most elements that each layer holds, of samples or rows.
    fn held_by_layers(&self, graph: &Graph) -> Vec<usize> {
        let heads = self.strips.layers.iter().map(|layer| layer.head);
        match self.strips.strip {
            Strip::Samples(samples) => heads.map(|head| samples * graph.node(head).shape().len()).collect(),
            Strip::Rows(_) => {
                let mut most = vec![0; heads.len()];
                self.walk(graph, |turns| {
                    most.iter_mut().zip(turns).for_each(|(most, turn)| *most = turn.held().len().max(*most));
                });
                most.into_iter().zip(heads).map(|(rows, head)| rows * row_len(graph, head)).collect()
            }
            Strip::Channels => unreachable!("invariant: what is held of channels goes by the batch"),
        }
    }

    /// With the scratch memory that the ops need.
    fn with_scratch(self, graph: &Graph) -> Join {
        let of = |layer: &Layer, section| {
            let node = graph.node(layer.head);
            node.op().map_or(0, |op| op.section_scratch(node, section))
        };
        let layers = &self.strips.layers;
        let mut scratch = 0;
        match self.strips.strip {
            Strip::Samples(_) => {
                layers.iter().for_each(|layer| scratch = scratch.max(of(layer, Section::Whole)));
            }
            Strip::Rows(_) => self.walk(graph, |turns| {
                for (layer, turn) in layers.iter().zip(turns).filter(|(_, turn)| !turn.rows.is_empty()) {
                    scratch = scratch.max(of(layer, Section::Rows(turn.rows.clone())));
                }
            }),
            Strip::Channels => {
                let Cut::Channels(cut) = self.cut else { unreachable!("invariant: parts are channels") };
                let sections = (0..cut.parts).map(|part| Section::Channels(cut.part(part)));
                for section in sections {
                    layers.iter().for_each(|layer| scratch = scratch.max(of(layer, section.clone())));
                }
            }
        }
        Join { scratch, ..self }
    }

    /// Calls `each` with the turns of all layers for every strip, whichever parts a worker has.
    fn walk(&self, graph: &Graph, mut each: impl FnMut(&[Turn])) {
        let of = self.cut.parts_by_rows(self.parts);
        for parts in runs(of) {
            self.strips.walk(graph, parts, of, |turns, _| each(turns));
        }
    }
}

/// Elements that begin on a cache line.
const LINE: usize = 16;

/// Elements of a row of a layer's output.
fn row_len(graph: &Graph, head: Value) -> usize {
    let node = graph.node(head);
    node.shape().len() / rows(node)
}

/// Cycles that a row of a layer's output takes.
fn row_work(graph: &Graph, head: Value) -> f64 {
    let node = graph.node(head);
    node.signature().macs as f64 / rows(node) as f64 / RATE + row_len(graph, head) as f64 / NEAR_RATE
}

/// Elements of a layer's parameters.
fn weights(graph: &Graph, head: Value) -> usize {
    graph.node(head).signature().params.iter().map(|spec| spec.shape.len()).sum()
}
