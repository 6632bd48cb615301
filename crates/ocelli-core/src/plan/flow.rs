//! The proof that every step finds the values that it is to read, whoever shares memory with whom.
//!
//! Derived from the graph: which sum of terms the gradient of each value is. A term is what one pass computes, or the
//! loss; an op whose gradient passes unchanged makes no term of its own, so the terms of its output are those of its input.
//! Then the steps are followed in order, with what every buffer holds: the output of a node, or a sum of terms. Each step must
//! find its inputs, outputs and gradients whole where the executor will look for them, and leaves what it computes. At the
//! end the network's output and the gradients of its inputs must be where the caller will look. Nothing that the builder
//! decided is believed but the places themselves.

use std::collections::BTreeMap;

use super::strips::{reads, rows, runs};
use super::{Cut, Layer, Plan, Step, Strip, Strips, Work};
use crate::Value;
use crate::ops::{PAIR, Place, Reads, Relation, rows_of};

/// A part of a gradient: of the loss, or what this node's pass to its input of this number computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Term {
    Loss,
    Of(Value, usize),
}

/// How often each term is in a sum.
type Terms = BTreeMap<Term, u64>;

/// What a buffer holds.
#[derive(Clone, Debug, PartialEq)]
enum Content {
    Nothing,
    Output(Value),
    Gradient(Terms),
}

/// Follows the steps of a plan.
///
/// # Panics
/// If a step does not find what it is to read: a bug in the planner, never a user's mistake.
pub(super) fn verify(plan: &Plan) {
    let content = vec![Content::Nothing; plan.buffers.len()];
    let mut flow = Flow { plan, wanted: wanted(plan), content };
    plan.steps.iter().for_each(|step| flow.follow(step));
    flow.finds_output("the caller", plan.output);
    for input in plan.graph.inputs().filter(|v| plan.nodes[v.0].gradient.is_some()) {
        flow.finds_gradient("the caller", input, input);
    }
}

/// The terms of every value's gradient.
fn wanted(plan: &Plan) -> Vec<Terms> {
    let graph = &plan.graph;
    let mut wanted = vec![Terms::new(); graph.nodes().len()];
    wanted[plan.output.0].insert(Term::Loss, 1);
    for value in graph.values().rev() {
        if wanted[value.0].is_empty() {
            continue;
        }
        for (index, input) in graph.node(value).inputs().iter().enumerate() {
            let terms = passed(plan, value, index, &wanted[value.0]);
            add(&mut wanted[input.0], terms);
        }
    }
    wanted
}

/// What the pass of `value` to an input makes of the terms of its own gradient.
fn passed(plan: &Plan, value: Value, index: usize, own: &Terms) -> Terms {
    let node = plan.graph.node(value);
    let relations = node.op().map(|op| op.relations(node, plan.mode_of(value)));
    match relations.map(|r| r.backward) {
        Some(Relation::Same) => own.clone(),
        _ => Terms::from([(Term::Of(value, index), 1)]),
    }
}

fn add(to: &mut Terms, terms: Terms) {
    for (term, count) in terms {
        let sum = to.entry(term).or_insert(0);
        *sum = sum.saturating_add(count);
    }
}

struct Flow<'a> {
    plan: &'a Plan,
    wanted: Vec<Terms>,
    content: Vec<Content>,
}

impl Flow<'_> {
    fn follow(&mut self, step: &Step) {
        let (plan, who) = (self.plan, format!("{:?}", step.work));
        match step.work {
            Work::Statistics(value) => self.finds_inputs(&who, value),
            Work::Forward(value) => {
                let mut held = None;
                for head in step.heads() {
                    match held {
                        None => self.finds_inputs(&who, head),
                        Some(held) => self.finds_held(&who, head, held),
                    }
                    self.finds_addend(&who, head);
                    held = Some(self.written(&who, head));
                }
                if let Some(strips) = &step.strips {
                    assert_eq!(strips.last(), value, "invariant: {who} ends with its last layer");
                    match strips.strip {
                        Strip::Channels => finds_channels(plan, step, strips),
                        Strip::Samples(_) | Strip::Rows(_) => finds_rows(plan, step, strips),
                    }
                }
                let buffer = plan.nodes[value.0].output.expect("invariant: an op has an output");
                self.content[buffer] = Content::Output(self.written(&who, value));
            }
            Work::Loss => {
                self.finds_output(&who, plan.output);
                if let Some(buffer) = plan.nodes[plan.output.0].gradient {
                    self.content[buffer] = Content::Gradient(Terms::from([(Term::Loss, 1)]));
                }
            }
            Work::BackwardParams(value) => {
                self.finds_reads(&who, value, plan.graph.node(value).signature().param_reads);
                match plan.nodes[value.0].activated {
                    None => self.finds_gradient(&who, value, value),
                    Some(unary) => self.activates(&who, value, unary),
                }
            }
            Work::BackwardInput(value, index) => {
                self.finds_reads(&who, value, plan.graph.node(value).signature().input_reads);
                self.finds_gradient(&who, value, value);
                self.passes(step, value, index);
            }
            Work::Prepare(..) | Work::Update => {}
        }
    }

    /// What a layer reads of the one before it in the same step. Nobody else finds that: it is in no buffer.
    fn finds_held(&self, who: &str, head: Value, held: Value) {
        let (node, places) = (self.plan.graph.node(head), &self.plan.nodes[head.0].inputs);
        let found = node.inputs() == [held] && *places == [Place::Held];
        assert!(found, "invariant: {who} computes what '{}' reads just before it", node.name());
        assert!(self.plan.nodes[held.0].output.is_none(), "invariant: {who} holds {held:?} alone");
    }

    /// The other term of a chain's sum.
    fn finds_addend(&self, who: &str, head: Value) {
        let add = self.plan.nodes[head.0].chain.and_then(|chain| chain.add);
        let addend = add.map(|(add, other)| self.plan.graph.node(add).inputs()[other]);
        // An input of the graph is the caller's, and is always there.
        if let Some(addend) = addend.filter(|v| self.plan.graph.node(*v).op().is_some()) {
            self.finds_output(who, addend);
        }
    }

    /// What the chain that begins with `head` leaves.
    fn written(&self, who: &str, head: Value) -> Value {
        let nodes = &self.plan.nodes;
        let tail = nodes[head.0].chain.map_or(head, |chain| chain.tail());
        let same = nodes[head.0].output == nodes[tail.0].output;
        assert!(same, "invariant: {who} writes the output of a chain");
        tail
    }

    /// The pass to the parameters of `value` turns the gradient behind `unary` into its own.
    fn activates(&mut self, who: &str, value: Value, unary: Value) {
        self.finds_output(who, unary);
        self.finds_gradient(who, unary, value);
        let buffer = self.plan.nodes[value.0].gradient.expect("found just now");
        self.content[buffer] = Content::Gradient(Terms::from([(Term::Of(unary, 0), 1)]));
        self.finds_gradient(who, value, value);
    }

    fn passes(&mut self, step: &Step, value: Value, index: usize) {
        let input = self.plan.graph.node(value).inputs()[index];
        let terms = passed(self.plan, value, index, &self.wanted[value.0]);
        let buffer = self.plan.nodes[input.0].gradient.expect("invariant: a gradient goes somewhere");
        match &mut self.content[buffer] {
            Content::Gradient(sum) if step.accumulate => add(sum, terms),
            content => {
                assert!(!step.accumulate, "invariant: {:?} adds to a gradient", step.work);
                *content = Content::Gradient(terms);
            }
        }
    }

    fn finds_reads(&self, who: &str, value: Value, reads: Reads) {
        if reads.input || self.plan.options.curvature {
            self.finds_inputs(who, value);
        }
        if reads.output || self.plan.options.curvature {
            self.finds_output(who, value);
        }
    }

    fn finds_inputs(&self, who: &str, value: Value) {
        let inputs = self.plan.graph.node(value).inputs().iter();
        inputs.filter(|v| self.plan.graph.node(**v).op().is_some()).for_each(|v| self.finds_output(who, *v));
    }

    fn finds_output(&self, who: &str, value: Value) {
        let value = self.computed(value);
        let buffer = self.plan.nodes[value.0].output.expect("invariant: what is read is computed");
        let found = &self.content[buffer];
        let name = self.plan.graph.node(value).name();
        assert!(*found == Content::Output(value), "invariant: {who} finds '{name}', not {found:?}");
    }

    /// Whose step computes `value`: behind ops that change nothing and share the buffer, the first one.
    fn computed(&self, mut value: Value) -> Value {
        while let Some(input) = self.plan.over(value) {
            let node = self.plan.graph.node(value);
            let op = node.op().expect("invariant: it has an input");
            if op.relations(node, self.plan.mode_of(value)).forward != Relation::Same {
                break;
            }
            value = node.inputs()[input];
        }
        value
    }

    /// The gradient of `value` is whole, in the buffer for that of `at`.
    fn finds_gradient(&self, who: &str, value: Value, at: Value) {
        let buffer = self.plan.nodes[at.0].gradient.expect("invariant: a gradient has a place");
        let (found, name) = (&self.content[buffer], self.plan.graph.node(value).name());
        let whole = matches!(found, Content::Gradient(terms) if *terms == self.wanted[value.0]);
        assert!(whole, "invariant: {who} finds the whole gradient of '{name}', not {found:?}");
    }
}

/// Each layer has room for its part's channels, and those behind the first see no others.
fn finds_channels(plan: &Plan, step: &Step, strips: &Strips) {
    let Cut::Channels(cut) = step.cut else { panic!("invariant: {:?} is cut by channels", step.work) };
    for (i, layer) in strips.layers.iter().enumerate() {
        let node = plan.graph.node(layer.head);
        let adds = plan.nodes[layer.head.0].chain.is_some_and(|chain| chain.add.is_some());
        let runs = plan.options.batch * (node.shape().len() / cut.channels);
        let room = (1 + usize::from(adds)) * runs * cut.widest();
        assert!(room <= layer.held, "invariant: {:?} has room for channels of '{}'", step.work, node.name());
        if i > 0 {
            let grain = node.op().and_then(|op| op.grain(node)).unwrap_or(usize::MAX);
            let mut parts = (0..cut.parts).map(|part| cut.part(part));
            let own = parts.all(|part| part.start.is_multiple_of(grain) && part.len() >= grain);
            let same = plan.nodes[layer.head.0].forward == step.cut;
            assert!(own && same, "invariant: {:?} finds the channels of '{}'", step.work, node.name());
        }
    }
}

/// Follows the rows of layers that work strip by strip, as the executor moves them, whichever parts a worker has: each layer
/// finds the rows that it is to read, computes rows from an even one on, and has room for those that it holds; and
/// the last one computes all of the parts, row after row.
fn finds_rows(plan: &Plan, step: &Step, strips: &Strips) {
    let (graph, of) = (&plan.graph, step.cut.parts_by_rows(step.parts));
    let before = &strips.layers[..strips.layers.len() - 1];
    if let Strip::Samples(samples) = strips.strip {
        let has_room = |layer: &Layer| samples * graph.node(layer.head).shape().len() <= layer.held;
        assert!(of == 1 && before.iter().all(has_room), "invariant: {:?} has room for samples", step.work);
        return;
    }
    let all = rows(graph.node(strips.last()));
    for parts in runs(of) {
        let mut there = vec![0..0; strips.layers.len()];
        let (mut done, end) = (rows_of(parts.start, of, all).start, rows_of(parts.end - 1, of, all).end);
        strips.walk(graph, parts, of, |turns, strip| {
            for (i, (layer, turn)) in strips.layers.iter().zip(turns).enumerate() {
                let node = graph.node(layer.head);
                let who = || format!("{:?}, {turn:?} of '{}',", step.work, node.name());
                let kept = there[i].start + turn.dropped..there[i].end;
                let same = kept == (turn.first..turn.rows.start) || kept.is_empty() && turn.kept() == 0;
                assert!(same, "invariant: {} keeps {kept:?}", who());
                if !turn.rows.is_empty() {
                    assert!(
                        turn.rows.start.is_multiple_of(PAIR),
                        "invariant: {} begins at an even row",
                        who()
                    );
                    if i > 0 {
                        let (reads, found) = (reads(node, turn.rows.clone()), &there[i - 1]);
                        let inside = found.start <= reads.start && reads.end <= found.end;
                        assert!(inside, "invariant: {} finds rows {reads:?}, not {found:?}", who());
                    }
                }
                there[i] = turn.held();
                if i < before.len() {
                    let room = layer.held / (node.shape().len() / rows(node));
                    assert!(there[i].len() <= room, "invariant: {} has room for {room} rows", who());
                } else {
                    let follows = turn.rows == strip && strip.start == done;
                    assert!(follows, "invariant: {} follows row {done}", who());
                    done = strip.end;
                }
            }
        });
        assert_eq!(done, end, "invariant: {:?} computes all rows", step.work);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::ops::{Add, BatchNorm, Conv2d, Linear, Relu, Tanh};
    use crate::{Graph, PlanOptions};

    /// Two residual blocks, and a value that is read twice.
    fn plan() -> Plan {
        let mut g = Graph::new();
        let x = g.input("x", [4, 6, 6]).unwrap();
        let mut from = g.add("stem", Conv2d::new(4, 3).padding(1), [x]).unwrap();
        for block in 0..2 {
            let name = |part: &str| format!("{part}{block}");
            let a = g.add(&name("conv"), Conv2d::new(4, 3).padding(1), [from]).unwrap();
            let a = g.add(&name("norm"), BatchNorm::default(), [a]).unwrap();
            let a = g.add(&name("sum"), Add {}, [a, from]).unwrap();
            from = g.add(&name("relu"), Relu {}, [a]).unwrap();
        }
        g.add("twice", Add {}, [from, from]).unwrap();
        Plan::new(&Arc::new(g), PlanOptions { parts: Some(2), ..PlanOptions::train(4) }).unwrap()
    }

    fn value(plan: &Plan, name: &str) -> Value {
        plan.graph.find(name).unwrap()
    }

    #[test]
    fn blocks_share_the_memory_of_outputs_and_gradients() {
        let plan = plan();
        let places = |name: &str| &plan.nodes[value(&plan, name).0];
        for names in [["norm0", "sum0"], ["sum0", "relu0"], ["norm1", "relu1"]] {
            assert_eq!(places(names[0]).output, places(names[1]).output, "{names:?}");
        }
        for names in [["relu1", "sum1"], ["sum1", "norm1"], ["sum1", "relu0"], ["relu0", "stem"]] {
            assert_eq!(places(names[0]).gradient, places(names[1]).gradient, "{names:?}");
        }
        assert_ne!(places("conv1").gradient, places("norm1").gradient, "the shortcut still needs it");
    }

    #[test]
    fn an_input_of_the_graph_can_be_added_to_what_is_normalised() {
        let mut g = Graph::new();
        let x = g.input("x", [4]).unwrap();
        let a = g.add("norm", BatchNorm::default(), [x]).unwrap();
        let a = g.add("sum", Add {}, [a, x]).unwrap();
        g.add("relu", Relu {}, [a]).unwrap();
        let plan = Plan::new(&Arc::new(g), PlanOptions::train(4)).unwrap();
        assert_eq!(plan.steps.iter().filter(|s| matches!(s.work, Work::Forward(_))).count(), 1);
    }

    #[test]
    #[should_panic(expected = "finds 'relu0'")]
    fn what_is_read_again_may_not_be_written_over() {
        let mut plan = plan();
        let (from, to) = (value(&plan, "relu0"), value(&plan, "conv1"));
        plan.nodes[to.0].output = plan.nodes[from.0].output;
        verify(&plan);
    }

    #[test]
    #[should_panic(expected = "whole gradient of 'relu0'")]
    fn a_gradient_that_is_read_again_may_not_be_written_over() {
        let mut plan = plan();
        let (norm, conv) = (value(&plan, "norm1"), value(&plan, "conv1"));
        plan.nodes[conv.0].gradient = plan.nodes[norm.0].gradient;
        verify(&plan);
    }

    #[test]
    #[should_panic(expected = "whole gradient of")]
    fn every_term_of_a_gradient_is_waited_for() {
        let mut plan = plan();
        let conv = Work::BackwardInput(value(&plan, "conv1"), 0);
        plan.steps.retain(|step| step.work != conv);
        verify(&plan);
    }

    #[test]
    #[should_panic(expected = "adds to a gradient")]
    fn the_first_term_is_not_added_to_what_is_left() {
        let mut g = Graph::new();
        let x = g.input("x", [4]).unwrap();
        let a = g.add("a", Linear::new(4), [x]).unwrap();
        let a = g.add("tanh", Tanh {}, [a]).unwrap();
        g.add("out", Linear::new(3), [a]).unwrap();
        let mut plan = Plan::new(&Arc::new(g), PlanOptions::train(4)).unwrap();
        let out = Work::BackwardInput(value(&plan, "out"), 0);
        plan.steps.iter_mut().filter(|s| s.work == out).for_each(|s| s.accumulate = true);
        verify(&plan);
    }

    /// A plan of one step of three layers that works strip by strip.
    fn strips() -> Plan {
        let mut g = Graph::new();
        let x = g.input("x", [4, 14, 6]).unwrap();
        let a = g.add("first", Conv2d::new(4, 3).padding(1), [x]).unwrap();
        let a = g.add("norm", BatchNorm::default(), [a]).unwrap();
        let a = g.add("second", Conv2d::new(4, 3).padding(1), [a]).unwrap();
        let a = g.add("sum", Add {}, [a, x]).unwrap();
        g.add("third", Conv2d::new(4, 1), [a]).unwrap();
        let options = PlanOptions { parts: Some(3), strips: Some(2), ..PlanOptions::evaluate(1) };
        Plan::new(&Arc::new(g), options).unwrap()
    }

    fn layers(plan: &mut Plan) -> &mut Vec<Layer> {
        let strips = plan.steps.iter_mut().find_map(|step| step.strips.as_mut());
        &mut strips.expect("layers are joined").layers
    }

    #[test]
    fn joined_layers_have_one_step_and_no_memory_between_them() {
        let mut plan = strips();
        let heads: Vec<Value> = layers(&mut plan).iter().map(|layer| layer.head).collect();
        assert_eq!(heads, ["first", "second", "third"].map(|name| value(&plan, name)));
        let (forward, parts) = (Work::Forward(heads[2]), plan.steps[plan.steps.len() - 2].parts);
        assert_eq!((plan.steps[plan.steps.len() - 2].work, parts), (forward, 3));
        assert!(
            ["first", "norm", "second", "sum"]
                .iter()
                .all(|name| plan.nodes[value(&plan, name).0].output.is_none())
        );
    }

    #[test]
    #[should_panic(expected = "has room for")]
    fn layers_have_room_for_the_rows_that_they_hold() {
        let mut plan = strips();
        layers(&mut plan)[0].held -= 16;
        verify(&plan);
    }

    #[test]
    #[should_panic(expected = "what 'third' reads just before it")]
    fn layers_follow_each_other() {
        let mut plan = strips();
        layers(&mut plan).swap(1, 2);
        verify(&plan);
    }

    #[test]
    #[should_panic(expected = "what is read is computed")]
    fn what_is_held_is_found_in_its_step_alone() {
        let mut plan = strips();
        layers(&mut plan).remove(0);
        verify(&plan);
    }

    /// A plan of one step of two layers that share channels.
    fn channels() -> Plan {
        let mut g = Graph::new();
        let x = g.input("x", [160, 4, 4]).unwrap();
        let a = g.add("expand", Conv2d::new(960, 1), [x]).unwrap();
        g.add("depthwise", Conv2d::new(960, 3).padding(1).groups(960), [a]).unwrap();
        Plan::new(&Arc::new(g), PlanOptions::evaluate(1)).unwrap()
    }

    #[test]
    #[should_panic(expected = "has room for channels of 'expand'")]
    fn layers_have_room_for_the_channels_of_a_part() {
        let mut plan = channels();
        layers(&mut plan)[0].held -= 16;
        verify(&plan);
    }

    #[test]
    #[should_panic(expected = "finds the channels of 'depthwise'")]
    fn layers_see_the_channels_of_their_part_alone() {
        let mut plan = channels();
        let step = plan.steps.iter_mut().find(|step| step.strips.is_some()).unwrap();
        let Cut::Channels(cut) = &mut step.cut else { panic!("it is cut by {:?}", step.cut) };
        // Parts that begin with an odd channel.
        cut.grain = 7;
        let cut = step.cut;
        plan.nodes.iter_mut().for_each(|node| node.forward = cut);
        verify(&plan);
    }

    #[test]
    #[should_panic(expected = "follows row 0")]
    fn strips_are_even_numbers_of_rows() {
        let mut plan = strips();
        let strips = plan.steps.iter_mut().find_map(|step| step.strips.as_mut()).unwrap();
        strips.strip = Strip::Rows(1);
        verify(&plan);
    }
}
