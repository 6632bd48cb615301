//! The builder's buffers, and what steps touch of them.

use super::build::{Builder, too_large};
use super::memory::MAX_LEN;
use super::{Access, Buffer, BufferKind};
use crate::ops::{Place, Reads};
use crate::{Error, Value};

impl Builder {
    pub(super) fn per_sample(&mut self, kind: BufferKind, len: usize) -> Result<usize, Error> {
        self.repeated(kind, len, self.plan.options.batch)
    }

    pub(super) fn repeated(&mut self, kind: BufferKind, len: usize, times: usize) -> Result<usize, Error> {
        let total = len.checked_mul(times).filter(|&total| total <= MAX_LEN);
        let len = total.ok_or_else(|| too_large(len as u128 * times as u128))?;
        self.plan.buffers.push(Buffer { kind, len, first: usize::MAX, last: 0, offset: 0 });
        Ok(self.plan.buffers.len() - 1)
    }

    pub(super) fn gradient_of(&mut self, value: Value) -> Result<usize, Error> {
        if let Some(buffer) = self.plan.nodes[value.0].gradient {
            return Ok(buffer);
        }
        let len = self.plan.graph.node(value).shape().len();
        let buffer = self.per_sample(BufferKind::Gradient(value), len)?;
        self.plan.nodes[value.0].gradient = Some(buffer);
        self.fusion.name(buffer, value);
        Ok(buffer)
    }

    /// The place of a value, by buffer number for now.
    pub(super) fn place_of(&self, value: Value) -> Place {
        let node = &self.plan.nodes[value.0];
        match node.output {
            Some(buffer) => Place::Arena(buffer),
            None if self.joined.holds(value) => Place::Held,
            None => node.inputs[0],
        }
    }

    pub(super) fn read(&self, buffer: Option<usize>, own_share: bool) -> Option<Access> {
        buffer.map(|buffer| Access { buffer, write: false, own_share })
    }

    pub(super) fn input_accesses(&self, value: Value, own_share: bool) -> Vec<Access> {
        let inputs = self.plan.graph.node(value).inputs().iter();
        inputs.filter_map(|v| self.read(self.plan.nodes[v.0].output, own_share)).collect()
    }

    pub(super) fn backward_accesses(&self, value: Value, reads: Reads, own_share: bool) -> Vec<Access> {
        let reads =
            if self.plan.options.curvature { Reads { input: true, output: true, ..reads } } else { reads };
        let node = &self.plan.nodes[value.0];
        let mut accesses = if reads.input { self.input_accesses(value, own_share) } else { Vec::new() };
        accesses.extend(self.read(node.gradient, own_share));
        if reads.output {
            accesses.extend(self.read(node.output, own_share));
        }
        if reads.saved {
            accesses.extend(self.read(node.saved, own_share));
            accesses.extend(self.read(node.statistics, false));
        }
        if reads.param_gradients {
            accesses.extend(self.read(node.param_gradient, false));
        }
        accesses
    }
}
