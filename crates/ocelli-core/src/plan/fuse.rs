//! Fusion: which nodes share memory, and which work in one step. Without it every node has memory and steps of its own.
//!
//! A step of training is mostly a matter of how often memory is touched: an activation by itself reads and writes as much as
//! the convolution before it. So a plan is made in three stages:
//!
//! 1. **Forward** ([`Fusion::of`], from the graph alone). A node whose op can ([`Relations::forward`]) writes *over* an
//!    input, where nobody else reads that: no other node, not the caller, and in backward neither the node nor the producer.
//!    A node whose output is its input in the same order (dropout in evaluation, flattening of single pixels) is the *same*:
//!    it has no step, and its readers read its input's buffer. A **chain** is batch normalisation and what writes over its
//!    output: the sum with one other value, then an activation, one of them or both. In evaluation, where nothing is read
//!    again, it begins with any op that does not write over its input, a convolution say, and batch normalisation may come
//!    second. One step does its work and leaves but the last output. The statistics stay at the head's place, right after what they are of; all else happens at the *turn*
//!    of the tail, when the other value is there.
//! 2. **Backward** ([`Fusion::may_pass_on`], [`Fusion::alone`], asked by the builder step by step). A gradient that is the
//!    output's gradient is the same buffer, where it is the first term of its sum, and where what is written later for one of
//!    the buffer's *names* comes after the reads of all others. A gradient may be overwritten by the one computed from it
//!    where no other name is waiting for it. In a chain the pass to the parameters multiplies by the derivative of the
//!    activation, in place, before it sums.
//! 3. **Proof**: `plan/flow.rs` follows, step by step, which value and which sum of terms every buffer holds, and whether
//!    those are what the graph says the step should find. It knows nothing of turns and names.
//!
//! The results are the same bits with and without fusion: the kernels of a fused step compute every element as the steps one
//! by one do, in the same order. What is gone is the values in between: [`Executor::value`](crate::Executor::value) has none
//! of what was written over. Plans for second derivatives do not fuse, since these read every value.
//!
//! Several chains, each of which reads the one before it, may share a step in evaluation: `plan/join.rs`.

use super::{Chain, PlanOptions};
use crate::ops::{Op, Relation, Relations};
use crate::{Graph, Mode, Value};

/// What the builder is to know of each node, by its number.
pub(super) struct Fusion {
    enabled: bool,
    relations: Vec<Relations>,
    /// The nodes that are computed and read this one, once for each time they do.
    readers: Vec<Vec<Value>>,
    /// The input in whose memory the output lies.
    over: Vec<Option<usize>>,
    /// At the turn of which node the steps are made.
    turn: Vec<Value>,
    /// The chain that ends here.
    chain: Vec<Option<Chain>>,
    /// For each buffer of a gradient, the values whose gradient it holds until they have been passed.
    names: Vec<Vec<Value>>,
    /// Which nodes stay as they are: they work as in evaluation, and have no backward pass.
    frozen: Vec<bool>,
}

impl Fusion {
    /// Finds what can be fused of the nodes that are `used`.
    pub(super) fn of(graph: &Graph, options: &PlanOptions, used: &[bool], frozen: &[bool]) -> Fusion {
        let count = graph.nodes().len();
        let mut fusion = Fusion {
            enabled: options.fuse && !options.curvature,
            relations: vec![Relations::default(); count],
            readers: vec![Vec::new(); count],
            over: vec![None; count],
            turn: graph.values().collect(),
            chain: vec![None; count],
            names: Vec::new(),
            frozen: frozen.to_vec(),
        };
        if fusion.enabled {
            fusion.relate(graph, options, used);
            fusion.share(graph, options, used);
            fusion.link(graph, options, used);
        }
        fusion
    }

    fn relate(&mut self, graph: &Graph, options: &PlanOptions, used: &[bool]) {
        for value in graph.values().filter(|v| used[v.0]) {
            let node = graph.node(value);
            node.inputs().iter().for_each(|input| self.readers[input.0].push(value));
            let mode = if self.frozen[value.0] { Mode::Evaluate } else { options.mode };
            self.relations[value.0] = node.op().map_or(Relations::default(), |op| op.relations(node, mode));
        }
    }

    /// Decides whose output lies over an input.
    fn share(&mut self, graph: &Graph, options: &PlanOptions, used: &[bool]) {
        // For each value those that are the same, itself among them.
        let mut same: Vec<Vec<Value>> = graph.values().map(|v| vec![v]).collect();
        for value in graph.values().filter(|v| used[v.0]) {
            let inputs = graph.node(value).inputs();
            let last =
                |x: Value| same[x.0].iter().all(|&x| self.last_reader(graph, options, x, value, &same));
            self.over[value.0] = match self.relations[value.0].forward {
                Relation::Apart => {
                    let joins = self.normalises_step(graph, options, value) && same[inputs[0].0].len() == 1;
                    (joins && last(inputs[0])).then_some(0)
                }
                Relation::Same => graph.node(inputs[0]).op().map(|_| 0),
                Relation::Over => (0..inputs.len().min(2)).find(|&i| {
                    let others = inputs.iter().enumerate().filter(|&(k, _)| k != i);
                    let apart = others.into_iter().all(|(_, other)| !same[inputs[i].0].contains(other));
                    apart && last(inputs[i])
                }),
            };
            if self.is_same(value) {
                let all = [&same[inputs[0].0][..], &[value]].concat();
                all.iter().for_each(|member| same[member.0].clone_from(&all));
            }
        }
    }

    /// Whether `value` is batch normalisation by numbers that are known beforehand, of what an op leaves that can begin a
    /// chain.
    fn normalises_step(&self, graph: &Graph, options: &PlanOptions, value: Value) -> bool {
        let normalises = |v: Value| matches!(graph.node(v).op(), Some(Op::BatchNorm(_)));
        options.mode == Mode::Evaluate && normalises(value) && {
            let input = graph.node(value).inputs()[0];
            let apart = self.relations[input.0].forward == Relation::Apart;
            graph.node(input).op().is_some() && apart && !normalises(input)
        }
    }

    /// Whether nobody reads `x`, from this step of forward on, but `value` and those that are the same as x.
    fn last_reader(
        &self,
        graph: &Graph,
        options: &PlanOptions,
        x: Value,
        value: Value,
        same: &[Vec<Value>],
    ) -> bool {
        let (producer, reader) = (graph.node(x), graph.node(value));
        let [of_producer, of_reader] = [producer, reader].map(|node| {
            let signature = node.signature();
            [signature.input_reads, signature.param_reads]
        });
        let goes_back = |v: Value| options.mode.has_backward() && !self.frozen[v.0];
        let in_backward = goes_back(x) && of_producer.iter().any(|reads| reads.output)
            || goes_back(value) && of_reader.iter().any(|reads| reads.input);
        let elsewhere = |r: &Value| *r != value && !same[x.0].contains(r);
        producer.op().is_some() && !in_backward && !self.readers[x.0].iter().any(elsewhere)
    }

    /// Makes chains of batch normalisation, or in evaluation of any op, and what writes over its output.
    fn link(&mut self, graph: &Graph, options: &PlanOptions, used: &[bool]) {
        let evaluates = options.mode == Mode::Evaluate;
        let normalises = |v: Value| matches!(graph.node(v).op(), Some(Op::BatchNorm(_)));
        for head in graph.values().filter(|v| used[v.0] && graph.node(*v).op().is_some()) {
            let begins = evaluates && self.relations[head.0].forward == Relation::Apart || normalises(head);
            if !begins || self.over[head.0].is_some() {
                continue;
            }
            let mut chain = Chain { head, norm: None, add: None, unary: None, finishes_after: false };
            let mut tail = head;
            if let Some(norm) = self.written_over_by(graph, tail).filter(|&v| normalises(v)) {
                (chain.norm, tail) = (Some(norm), norm);
            }
            if let Some(add) = self.written_over_by(graph, tail) {
                let inputs = graph.node(add).inputs();
                if matches!(graph.node(add).op(), Some(Op::Add(_))) && inputs.len() == 2 {
                    let other = usize::from(inputs[0] == tail);
                    (chain.add, tail) = (Some((add, other)), add);
                }
            }
            let function = |v: Value| graph.node(v).op()?.unary::<f32>();
            let over = self.written_over_by(graph, tail);
            let mut bends = false;
            if let Some((unary, function)) = over.and_then(|v| Some((v, function(v)?))) {
                (chain.unary, tail, bends) = (Some(unary), unary, function.bends());
            }
            let node = graph.node(head);
            chain.finishes_after = bends || !node.op().is_some_and(|op| op.finishes(node));
            if tail != head {
                chain.members().for_each(|member| self.turn[member.0] = tail);
                self.chain[tail.0] = Some(chain);
            }
        }
    }

    /// The one node that writes over `x`, if both are frozen or neither: a chain has a backward pass or none.
    fn written_over_by(&self, graph: &Graph, x: Value) -> Option<Value> {
        let over = |r: &&Value| self.over[r.0].is_some_and(|i| graph.node(**r).inputs()[i] == x);
        let joins = |r: &Value| !self.is_same(*r) && self.frozen[r.0] == self.frozen[x.0];
        self.readers[x.0].iter().find(over).copied().filter(joins)
    }

    /// The input in whose memory the output of `value` lies, if it does not lie apart.
    pub(super) fn over(&self, value: Value) -> Option<usize> {
        self.over[value.0]
    }

    /// Whether the output of `value` is that input itself.
    pub(super) fn is_same(&self, value: Value) -> bool {
        self.over[value.0].is_some() && self.relations[value.0].forward == Relation::Same
    }

    /// At whose turn the steps of `value` are made: at that of its chain's tail.
    pub(super) fn turn(&self, value: Value) -> Value {
        self.turn[value.0]
    }

    /// Whether the steps of `value` are made at its own turn.
    pub(super) fn has_turn(&self, value: Value) -> bool {
        self.turn(value) == value
    }

    /// Who reads `value`, once for each time they do.
    pub(super) fn readers(&self, value: Value) -> &[Value] {
        &self.readers[value.0]
    }

    /// The chain that ends with `value`.
    pub(super) fn chain(&self, value: Value) -> Option<Chain> {
        self.chain[value.0]
    }

    /// How the gradient of the inputs relates to that of the output of `value`.
    pub(super) fn backward(&self, value: Value) -> Relation {
        self.relations[value.0].backward
    }

    /// Notes that `buffer` holds the gradient of `value` from now on.
    pub(super) fn name(&mut self, buffer: usize, value: Value) {
        if self.names.len() <= buffer {
            self.names.resize(buffer + 1, Vec::new());
        }
        self.names[buffer].push(value);
    }

    /// Notes that nobody will read the gradient of `value` any more.
    pub(super) fn done(&mut self, buffer: usize, value: Value) {
        self.names[buffer].retain(|name| *name != value);
    }

    /// Whether `buffer` holds the gradient of `value` for no other's reading.
    pub(super) fn alone(&self, buffer: usize, value: Value) -> bool {
        self.enabled && self.names[buffer] == [value]
    }

    /// Whether the gradient of `value`, in `buffer`, can be from now on that of its input too, as its first term.
    pub(super) fn may_pass_on(&self, graph: &Graph, buffer: usize, value: Value, input: Value) -> bool {
        // The gradient of an input of the graph is the caller's, who reads it after the last step.
        let once = self.readers[input.0].iter().filter(|r| **r == value).count() == 1;
        let late = |writes: Value, reads: Value| {
            let mut others = self.readers[writes.0].iter().filter(|r| **r != value);
            graph.node(reads).op().is_some()
                && others.all(|r| self.turn[r.0] > self.turn[value.0] || self.turn[r.0] < self.turn[reads.0])
        };
        let mut others = self.names[buffer].iter().filter(|name| **name != value);
        let free = others.all(|&name| late(input, name) && late(name, input));
        self.enabled && graph.node(input).op().is_some() && once && free
    }
}
