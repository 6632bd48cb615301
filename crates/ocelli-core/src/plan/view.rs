//! A plan's steps for those who measure or print them.

use super::{BufferKind, Plan, Step, Work};
use crate::Value;

/// A step of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepView {
    /// What it does.
    pub work: Work,
    /// Into how many parts it is cut.
    pub parts: usize,
    /// Whether all workers wait for each other before it.
    pub barrier: bool,
    /// Multiply-adds for a full batch; 0 where its op does not count any.
    pub macs: u64,
    /// Elements that it touches for a full batch, each counted once: inputs, outputs, gradients and what was saved, and the
    /// parameters. Where it moves these it also touches the optimiser's slots, which the plan does not know.
    pub elements: u64,
    /// Parameters that it moves.
    pub moves: u64,
    /// The first layer of a forward step that computes several.
    pub first: Option<Value>,
}

impl Plan {
    /// The steps in the order in which they run. A pass without gradients runs those up to the first backward one.
    pub fn steps(&self) -> impl ExactSizeIterator<Item = StepView> + '_ {
        (0..self.steps.len()).map(|number| {
            let step = &self.steps[number];
            StepView {
                work: step.work,
                parts: step.parts,
                barrier: step.barrier,
                macs: self.macs(step),
                elements: self.elements(number),
                moves: self.moves(step),
                first: step.strips.as_ref().and_then(|strips| strips.before().next()),
            }
        })
    }

    fn macs(&self, step: &Step) -> u64 {
        let of_node =
            |value: Value| self.graph.node(value).signature().macs.saturating_mul(self.options.batch as u64);
        match step.work {
            Work::Forward(_) => step.heads().map(of_node).fold(0, u64::saturating_add),
            Work::BackwardParams(value) | Work::BackwardInput(value, _) => of_node(value),
            Work::Prepare(..) | Work::Statistics(_) | Work::Loss | Work::Update => 0,
        }
    }

    fn elements(&self, number: usize) -> u64 {
        let step = &self.steps[number];
        let mut buffers: Vec<usize> = step.accesses.iter().map(|access| access.buffer).collect();
        buffers.sort_unstable();
        buffers.dedup();
        let in_arena: usize = buffers.iter().map(|&buffer| self.buffers[buffer].len).sum();
        let outside = match step.work {
            Work::Statistics(value) => self.external(value),
            Work::Forward(_) => step.heads().map(|head| self.external(head) + self.params_len(head)).sum(),
            Work::Prepare(value, _) | Work::BackwardInput(value, _) => self.params_len(value),
            // Gradients go to their arena where they are not kept per part.
            Work::BackwardParams(value) => {
                let kept = self.node_buffer(BufferKind::ParamGradient(value)).is_some();
                self.external(value) + if kept { 0 } else { self.graph.node(value).trained_len() }
            }
            Work::Loss => 0,
            Work::Update => {
                let gradients = usize::from(self.options.keep_gradients);
                (1 + gradients) * self.pieces.iter().map(|piece| piece.range.len()).sum::<usize>()
            }
        };
        (in_arena + outside) as u64
    }

    fn moves(&self, step: &Step) -> u64 {
        match step.work {
            Work::Update => self.pieces.iter().map(|piece| piece.range.len() as u64).sum(),
            Work::BackwardParams(value) if step.applies => self.graph.node(value).trained_len() as u64,
            _ => 0,
        }
    }

    /// Elements that a node reads of the caller's inputs.
    fn external(&self, value: Value) -> usize {
        let sources = self.graph.node(value).inputs().iter().map(|&input| self.graph.node(input));
        sources.filter(|node| node.op().is_none()).map(|node| node.shape().len()).sum::<usize>()
            * self.options.batch
    }

    fn params_len(&self, value: Value) -> usize {
        self.nodes[value.0].params.iter().map(ExactSizeIterator::len).sum()
    }
}
