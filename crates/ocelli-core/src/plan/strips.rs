//! Layers that work in one step, strip by strip: which rows, or channels, each of them computes when.
//!
//! Of every sample a few rows of the last layer's output are computed at a time, a *strip*, and of the layers before it
//! the rows that these need. What the next strip needs too is kept and not computed again (Alwani, Chen, Ferdman and Milder,
//! "Fused-layer CNN accelerators", 2016). So what is between the layers never leaves the cache, and needs no buffer: it lies in
//! the worker's scratch memory. Where all of a sample lies there anyway, whole samples take the place of strips.
//!
//! Where parts are channels, each has a step's layers for its own: a layer behind the first one sees, of the one before, no
//! channels but these.
//!
//! A layer computes rows from an even one on: they then have the bits that they have in the whole image.
//! Which layers work like this is the matter of `plan/join.rs`.

use std::ops::Range;

use crate::ops::{PAIR, rows_of};
use crate::{Graph, Node, Value};

/// The most layers of a step.
pub(crate) const MOST_LAYERS: usize = 8;

/// The layers of a forward step that works strip by strip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Strips {
    /// Each reads the one before it. The last one's output is that of the step.
    pub(crate) layers: Vec<Layer>,
    /// What is computed at a time.
    pub(crate) strip: Strip,
}

/// One of these layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layer {
    /// The head of its chain.
    pub(crate) head: Value,
    /// Elements of scratch memory for what it leaves for the next one; of channels the last one, too, has some of its own, before
    /// they are put where they belong.
    pub(crate) held: usize,
}

/// What of the last layer's output is computed at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strip {
    /// So many samples.
    Samples(usize),
    /// So many rows of one sample, an even number.
    Rows(usize),
    /// The part's own channels, of all samples.
    Channels,
}

/// What a layer does for a strip.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Turn {
    /// How many of the rows that it holds go, the first ones: nobody reads them any more.
    pub(crate) dropped: usize,
    /// The first row that it then holds.
    pub(crate) first: usize,
    /// The rows that it computes, behind those that it holds.
    pub(crate) rows: Range<usize>,
}

impl Turn {
    /// How many rows stay.
    pub(crate) fn kept(&self) -> usize {
        self.rows.start - self.first
    }

    /// The rows that it holds in the end.
    pub(crate) fn held(&self) -> Range<usize> {
        self.first..self.rows.end
    }
}

impl Strips {
    /// The last layer.
    pub(crate) fn last(&self) -> Value {
        self.layers.last().expect("invariant: there are layers").head
    }

    /// The layers before it.
    pub(crate) fn before(&self) -> impl Iterator<Item = Value> + '_ {
        self.layers[..self.layers.len() - 1].iter().map(|layer| layer.head)
    }

    /// Elements of scratch memory that layers hold in all.
    pub(crate) fn held(&self) -> usize {
        self.layers.iter().map(|layer| layer.held).sum()
    }

    /// The strips of some of the parts by rows that follow each other, where a strip is rows.
    pub(crate) fn of_parts(
        &self,
        graph: &Graph,
        parts: Range<usize>,
        of: usize,
    ) -> impl Iterator<Item = Range<usize>> + use<> {
        let all = rows(graph.node(self.last()));
        let (first, end) = (rows_of(parts.start, of, all).start, rows_of(parts.end - 1, of, all).end);
        let Strip::Rows(height) = self.strip else { unreachable!("invariant: a strip is rows") };
        (first..end).step_by(height).map(move |row| row..(row + height).min(end))
    }

    /// From what the layers did for the strip before, nothing at first, to what they do for this one.
    pub(crate) fn next(&self, graph: &Graph, turns: &mut [Turn; MOST_LAYERS], strip: Range<usize>) {
        let mut wanted = Some(strip);
        for (layer, turn) in self.layers.iter().zip(turns).rev() {
            let (node, before) = (graph.node(layer.head), turn.held());
            *turn = match wanted {
                None => Turn { dropped: 0, first: before.start, rows: before.end..before.end },
                Some(wanted) => {
                    let start = before.end.max(wanted.start / PAIR * PAIR);
                    let end = wanted.end.next_multiple_of(PAIR).min(rows(node)).max(start);
                    let first = start.min(wanted.start);
                    Turn { dropped: first - before.start, first, rows: start..end }
                }
            };
            wanted = (!turn.rows.is_empty()).then(|| reads(node, turn.rows.clone()));
        }
    }

    /// Calls `each` with the turns of all layers for strip after strip of some parts.
    pub(crate) fn walk(
        &self,
        graph: &Graph,
        parts: Range<usize>,
        of: usize,
        mut each: impl FnMut(&[Turn], Range<usize>),
    ) {
        let mut turns: [Turn; MOST_LAYERS] = Default::default();
        for strip in self.of_parts(graph, parts, of) {
            self.next(graph, &mut turns, strip.clone());
            each(&turns[..self.layers.len()], strip);
        }
    }
}

/// The parts of so many that a worker may have: some that follow each other.
pub(super) fn runs(of: usize) -> impl Iterator<Item = Range<usize>> {
    (0..of).flat_map(move |first| (first..of).map(move |last| first..last + 1))
}

/// Rows of a layer's output.
pub(super) fn rows(node: &Node) -> usize {
    let [_, rows, _] = node.shape().image().expect("invariant: a layer with rows");
    rows
}

/// Rows of the input that rows of a layer's output are computed from.
pub(super) fn reads(node: &Node, rows: Range<usize>) -> Range<usize> {
    let reads = node.op().and_then(|op| op.reads_rows(node, rows));
    reads.expect("invariant: rows of a layer can be computed by themselves")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{Conv2d, MaxPool2d};

    /// The turns of a 3×3 convolution of 11 rows, a 3×3 convolution and a pool of stride 2, for strips of so many rows.
    fn turns(height: usize) -> Vec<[Turn; 3]> {
        let mut g = Graph::new();
        let x = g.input("x", [1, 11, 4]).unwrap();
        let a = g.add("a", Conv2d::new(1, 3).padding(1), [x]).unwrap();
        let b = g.add("b", Conv2d::new(1, 3).padding(1), [a]).unwrap();
        let c = g.add("c", MaxPool2d::new(3).stride(2).padding(1), [b]).unwrap();
        let layers = [a, b, c].map(|head| Layer { head, held: 0 }).to_vec();
        let strips = Strips { layers, strip: Strip::Rows(height) };
        let mut all = Vec::new();
        strips.walk(&g, 0..1, 1, |turns, _| all.push([turns[0].clone(), turns[1].clone(), turns[2].clone()]));
        all
    }

    #[test]
    fn rows_that_the_next_strip_reads_are_kept_and_all_are_computed_once() {
        let turns = turns(2);
        assert_eq!(turns.len(), 3);
        for (layer, all) in [11, 11, 6].into_iter().enumerate() {
            let rows: Vec<usize> = turns.iter().flat_map(|turns| turns[layer].rows.clone()).collect();
            assert_eq!(rows, (0..all).collect::<Vec<_>>(), "layer {layer}");
        }
        // Rows 2 and 3 of the pool see rows 3 to 7 of the second convolution, which has computed 0 to 3 before; for
        // 4 to 7 it sees rows 3 to 8 of the first, which has computed 0 to 5.
        assert_eq!(turns[1][2], Turn { dropped: 2, first: 2, rows: 2..4 });
        assert_eq!(turns[1][1], Turn { dropped: 3, first: 3, rows: 4..8 });
        assert_eq!(turns[1][0], Turn { dropped: 3, first: 3, rows: 6..10 });
    }

    #[test]
    fn a_part_begins_with_the_rows_that_it_reads_from_an_even_one_on() {
        let mut g = Graph::new();
        let x = g.input("x", [1, 20, 4]).unwrap();
        let a = g.add("a", Conv2d::new(1, 3).padding(1), [x]).unwrap();
        let b = g.add("b", Conv2d::new(1, 3).padding(1), [a]).unwrap();
        let layers = [a, b].map(|head| Layer { head, held: 0 }).to_vec();
        let strips = Strips { layers, strip: Strip::Rows(4) };
        let mut all = Vec::new();
        strips.walk(&g, 1..2, 2, |turns, strip| all.push((turns.to_vec(), strip)));
        // Rows 10 to 13 read 9 to 14.
        let (first, strip) = &all[0];
        assert_eq!(*strip, 10..14);
        assert_eq!(first[0], Turn { dropped: 8, first: 8, rows: 8..16 });
        assert_eq!(first[1], Turn { dropped: 10, first: 10, rows: 10..14 });
        assert_eq!(all.last().unwrap().1, 18..20);
    }
}
