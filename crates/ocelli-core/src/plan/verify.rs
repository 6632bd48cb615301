//! The proof that a plan's parts keep out of each other's way, on which the arena relies.
//!
//! What a step touches is derived here anew from what the executor lends to it (`executor/run.rs`,
//! `executor/forward.rs` and `executor/strips.rs`), and what may meet
//! follows from the cuts and the barriers: neither the builder's list of accesses nor its rule for barriers is used.
//! Proved for every plan:
//!
//! - **The arena.** Buffers that live together do not overlap, and a step touches a buffer within its life. Within a step
//!   no part writes what any part of it touches otherwise. Between two steps without a barrier, what one writes the other
//!   leaves alone, unless each part keeps to the same elements in both: part p of all steps that are cut by samples runs
//!   on the same worker, since all of them have as many parts; or unless both steps have one part, which is the same
//!   worker's whatever the step.
//!   What evaluation packs lives as long as the plan, so that a pass may leave the packing out.
//! - **The gradients.** Passes that write them directly do so into ranges of trained parameters, no two passes into the
//!   same, and either in one part or each part its own units. Apart from these the update alone touches them.
//! - **The update**, which writes parameters, gradients and the optimiser's slots, is the last step, stands behind a
//!   barrier, and is cut into pieces that lie in trained parameters and do not overlap. Running statistics lie in none.
//! - **Parameters that a pass moves at once**, and the slots with them, are touched by no step after it, not by the
//!   update either, and by none before it since the last barrier; the pass is in one part or each part has its own units.
//! - **The costs** are written by one step, cut by samples, and read by the steps that move parameters, each with a barrier
//!   between.

use std::ops::Range;

use ocelli_kernels::Direction;

use super::{BufferKind, Cut, Mode, Plan, Step, Strip, Work};
use crate::Value;
use crate::ops::{Place, Reads, row_parts};

/// Checks a plan independently of how it was built.
///
/// # Panics
/// If anything that is said above does not hold: a bug in the planner, never a user's mistake.
pub(super) fn verify(plan: &Plan) {
    buffers_are_apart(plan);
    cuts_are_sound(plan);
    steps_are_apart(plan);
    direct_gradients_are_apart(plan);
    pieces_are_apart(plan);
    moved_parameters_are_apart(plan);
}

fn buffers_are_apart(plan: &Plan) {
    for (index, a) in plan.buffers.iter().enumerate() {
        let stays = plan.options.mode == Mode::Evaluate && matches!(a.kind, BufferKind::Prepared(..));
        assert!(!stays || (a.first, a.last) == (0, plan.steps.len() - 1), "invariant: {a:?} stays");
        assert!(a.range().end <= plan.arena_len, "invariant: {a:?} lies in the arena");
        for b in &plan.buffers[..index] {
            let together = a.first <= b.last && b.first <= a.last;
            assert!(!(together && meet(&a.range(), &b.range())), "invariant: {a:?} and {b:?} live apart");
        }
    }
}

fn cuts_are_sound(plan: &Plan) {
    let evaluates = plan.options.mode == Mode::Evaluate;
    for (index, step) in plan.steps.iter().enumerate() {
        let sound = match (step.work, step.cut) {
            (Work::Update, Cut::Pieces) => {
                let last = index + 1 == plan.steps.len();
                last && step.barrier && step.parts == plan.pieces.len().max(1)
            }
            (Work::Update, _) | (_, Cut::Pieces) => false,
            (Work::BackwardParams(value), Cut::Units(units)) => {
                let node = plan.graph.node(value);
                let divides = node.trained().all(|spec| spec.shape.len().is_multiple_of(units));
                units == node.signature().param_units && step.parts <= units && divides
            }
            (Work::Prepare(value, direction), Cut::Units(pieces)) => {
                let node = plan.graph.node(value);
                let op = node.op().expect("an op");
                let packing = plan.packing(value, direction);
                let shares = (0..step.parts).map(|part| Plan::share_of(part, step.parts, pieces));
                let ranges = shares.map(|share| op.prepared_range(node, &packing, share));
                let apart = ranges.collect::<Vec<_>>().windows(2).all(|pair| pair[0].end <= pair[1].start);
                pieces == op.prepared_pieces(node, &packing) && (1..=pieces).contains(&step.parts) && apart
            }
            (Work::Forward(value), Cut::Rows(rows)) => {
                let image = plan.graph.node(value).shape().image();
                let divides = image.is_some_and(|[_, height, _]| height == rows);
                divides && evaluates && (1..=row_parts(rows)).contains(&step.parts) && step.strips.is_some()
            }
            (Work::Forward(_), Cut::Channels(cut)) => {
                let parts: Vec<Range<usize>> = (0..cut.parts).map(|part| cut.part(part)).collect();
                let follow = parts.windows(2).all(|pair| pair[0].end == pair[1].start);
                let all = parts.first().is_some_and(|p| p.start == 0)
                    && parts.last().is_some_and(|p| p.end == cut.channels)
                    && parts.iter().all(|p| p.start < p.end);
                let of_heads = |head: Value| plan.graph.node(head).shape().channels() == cut.channels;
                let strips = step.strips.as_ref().is_some_and(|strips| strips.strip == Strip::Channels);
                evaluates && follow && all && strips && step.heads().all(of_heads) && cut.parts == step.parts
            }
            (_, Cut::Rows(_) | Cut::Channels(_)) => false,
            (Work::Forward(value), Cut::Units(units)) => {
                sound_units(plan, value, Direction::Forward, units, step)
            }
            (Work::BackwardInput(value, _), Cut::Units(units)) => {
                sound_units(plan, value, Direction::BackwardInput, units, step)
            }
            (_, Cut::Units(_)) | (Work::Prepare(..), _) => false,
            (_, Cut::Samples) => step.parts == plan.parts,
        };
        // What a layer holds tells the executor whether it is the last one, whose rows go to the arena at once.
        let by_rows = step.strips.iter().filter(|strips| strips.strip != Strip::Channels);
        let mut layers = by_rows.flat_map(|strips| strips.layers.iter().rev().enumerate());
        let held = layers.all(|(after, layer)| (layer.held == 0) == (after == 0));
        assert!(held, "invariant: all layers of step {index} but the last are held in scratch memory");
        assert!(sound, "invariant: step {index}, {:?}, is not cut by {:?} like this", step.work, step.cut);
    }
    let costs = plan.steps.iter().filter(|step| step.work == Work::Loss).count();
    assert_eq!(costs, 1, "invariant: one step writes the costs");
}

/// Whether the op computes its units apart, each an element of every sample.
fn sound_units(plan: &Plan, value: Value, direction: Direction, units: usize, step: &Step) -> bool {
    let node = plan.graph.node(value);
    let width = match direction {
        Direction::Forward => node.shape().len(),
        Direction::BackwardInput => node.input_shapes()[0].len(),
    };
    let offered = node.op().and_then(|op| op.units(node, direction, plan.options.batch));
    let alone = node.inputs().len() == 1 && plan.over(value).is_none() && !plan.gradient_over(value, 0);
    offered == Some(units) && units == width && (1..=units).contains(&step.parts) && alone
}

/// Elements of the arena that a step touches.
#[derive(Clone, Debug)]
struct Touch {
    range: Range<usize>,
    write: bool,
    share: Share,
}

/// What of them each part touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Share {
    /// Part p the elements of its samples, so many each.
    Samples(usize),
    /// Part p the p-th run of so many elements.
    Slot(usize),
    /// Each part its own units of the parameters or of every sample, or pieces of packed weights.
    Units,
    /// Each part its own rows or channels of every sample.
    Sections,
    /// Each part all of them.
    All,
}

fn steps_are_apart(plan: &Plan) {
    let mut since: Vec<(&Step, Touch)> = Vec::new();
    for (index, step) in plan.steps.iter().enumerate() {
        if step.barrier {
            since.clear();
        }
        let touches = touches(plan, step);
        // An update reads thousands of runs of partial gradients and writes none: nothing to compare.
        let writes = touches.iter().any(|touch| touch.write);
        for (number, touch) in touches.iter().enumerate() {
            assert!(lives(plan, touch, index), "invariant: {:?} finds {touch:?} in its life", step.work);
            assert!(!touch.write || touch.share != Share::All, "invariant: {:?} shares {touch:?}", step.work);
            let clash = |other: &&Touch| (touch.write || other.write) && meet(&touch.range, &other.range);
            let within = touches[..number].iter().filter(|_| writes).find(clash);
            assert!(within.is_none(), "invariant: {:?} holds {touch:?} and {within:?}", step.work);
            let same = |before: &Step, other: &Touch| {
                let both =
                    before.cut == Cut::Samples && step.cut == Cut::Samples && touch.share != Share::All;
                let own = both && touch.share == other.share && touch.range == other.range;
                own || before.parts == 1 && step.parts == 1
            };
            let earlier = since.iter().find(|(before, other)| clash(&other) && !same(before, other));
            assert!(earlier.is_none(), "invariant: a barrier before {:?}: {touch:?}, {earlier:?}", step.work);
        }
        since.extend(touches.into_iter().map(|touch| (step, touch)));
    }
}

/// Whether the elements are those of a buffer that is in use at step `index`.
fn lives(plan: &Plan, touch: &Touch, index: usize) -> bool {
    let mut alive = plan.buffers.iter().filter(|b| (b.first..=b.last).contains(&index));
    alive.any(|b| b.offset <= touch.range.start && touch.range.end <= b.range().end)
}

/// What the executor lends of the arena to the parts of a step.
fn touches(plan: &Plan, step: &Step) -> Vec<Touch> {
    match step.work {
        Work::Prepare(value, direction) => {
            let packed = whole(plan, plan.nodes[value.0].prepared[direction as usize]);
            packed.map(|all| Touch { write: true, share: Share::Units, ..all }).into_iter().collect()
        }
        Work::Statistics(value) => {
            let mut touches = inputs(plan, value, step, None);
            touches.extend(slots(plan, value, step, plan.nodes[value.0].statistics));
            touches
        }
        // Of several layers all but the last have no output in the arena.
        Work::Forward(_) => step.heads().flat_map(|head| forward(plan, head, step)).collect(),
        Work::Loss => {
            let (width, places) = (plan.graph.node(plan.output).shape().len(), &plan.nodes[plan.output.0]);
            let mut touches: Vec<Touch> = rows(plan, places.output, width, false, step).into_iter().collect();
            touches.extend(rows(plan, places.gradient, width, true, step));
            touches
        }
        Work::BackwardParams(value) => {
            let mut touches = backward(plan, value, plan.graph.node(value).signature().param_reads, step);
            if let Some(unary) = plan.nodes[value.0].activated {
                // The pass leaves the gradient before the activation where that behind it was.
                let width = plan.graph.node(value).shape().len();
                touches.extend(gradient(plan, value, true, step));
                touches.extend(rows(plan, plan.nodes[unary.0].output, width, false, step));
            } else {
                touches.extend(gradient(plan, value, false, step));
            }
            touches.extend(slots(plan, value, step, plan.nodes[value.0].param_gradient));
            touches
        }
        Work::BackwardInput(value, index) => {
            let node = plan.graph.node(value);
            let mut touches = backward(plan, value, node.signature().input_reads, step);
            if !plan.gradient_over(value, index) {
                touches.extend(gradient(plan, value, false, step));
            }
            touches.extend(whole(plan, plan.nodes[value.0].prepared[Direction::BackwardInput as usize]));
            let (to, width) = (plan.nodes[node.inputs()[index].0].gradient, node.input_shapes()[index].len());
            assert!(to.is_some(), "invariant: {:?} has a destination", step.work);
            touches.extend(rows(plan, to, width, true, step));
            touches
        }
        Work::Update => {
            let mut touches: Vec<Touch> =
                plan.nodes.iter().filter_map(|places| whole(plan, places.statistics)).collect();
            let sources = plan.pieces.iter().flat_map(|p| p.sources.iter().map(move |s| (p.range.len(), s)));
            for (len, source) in sources {
                let starts = (0..source.count).map(|copy| source.offset + copy * source.stride);
                let touch = |start| Touch { range: start..start + len, write: false, share: Share::All };
                touches.extend(starts.map(touch));
            }
            touches
        }
    }
}

/// What the forward pass of a chain touches.
fn forward(plan: &Plan, value: Value, step: &Step) -> Vec<Touch> {
    let (node, places) = (plan.graph.node(value), &plan.nodes[value.0]);
    let mut touches = inputs(plan, value, step, plan.over(value));
    touches.extend(whole(plan, places.statistics));
    if let Some((add, other)) = places.chain.and_then(|chain| chain.add) {
        touches.extend(inputs(plan, add, step, Some(1 - other)));
    }
    if let Some(norm) = places.chain.and_then(|chain| chain.norm) {
        touches.extend(whole(plan, plan.nodes[norm.0].prepared[Direction::Forward as usize]));
    }
    touches.extend(whole(plan, places.prepared[Direction::Forward as usize]));
    touches.extend(rows(plan, places.output, node.shape().len(), true, step));
    touches.extend(rows(plan, places.saved, node.signature().saved, true, step));
    touches
}

/// What both backward passes read besides the gradient. Second derivatives read inputs and output besides.
fn backward(plan: &Plan, value: Value, reads: Reads, step: &Step) -> Vec<Touch> {
    let (node, places) = (plan.graph.node(value), &plan.nodes[value.0]);
    let all = plan.options.curvature;
    let mut touches = if reads.input || all { inputs(plan, value, step, None) } else { Vec::new() };
    let width = node.shape().len();
    if reads.output || all {
        touches.extend(rows(plan, places.output, width, false, step));
    }
    if reads.saved {
        touches.extend(rows(plan, places.saved, node.signature().saved, false, step));
        touches.extend(whole(plan, places.statistics));
    }
    if reads.param_gradients {
        touches.extend(whole(plan, places.param_gradient));
    }
    touches
}

fn gradient(plan: &Plan, value: Value, write: bool, step: &Step) -> Option<Touch> {
    rows(plan, plan.nodes[value.0].gradient, plan.graph.node(value).shape().len(), write, step)
}

/// All inputs but the one of number `without`.
fn inputs(plan: &Plan, value: Value, step: &Step, without: Option<usize>) -> Vec<Touch> {
    let places = plan.nodes[value.0].inputs.iter().zip(plan.graph.node(value).input_shapes()).enumerate();
    let lent = places.filter(|(i, _)| Some(*i) != without);
    let in_arena = lent.filter_map(|(_, (place, shape))| match *place {
        Place::Arena(offset) => Some(of_samples(plan, offset, shape.len(), false, step)),
        Place::External(_) | Place::Held => None,
    });
    in_arena.collect()
}

fn rows(plan: &Plan, buffer: Option<usize>, width: usize, write: bool, step: &Step) -> Option<Touch> {
    plan.buffer(buffer).map(|buffer| of_samples(plan, buffer.offset, width, write, step))
}

/// `width` elements per sample: of each part its own; where parts are not samples, of each part all, or if it writes them,
/// where the parts are sections of samples, its own of every sample.
fn of_samples(plan: &Plan, offset: usize, width: usize, write: bool, step: &Step) -> Touch {
    let share = match step.cut {
        Cut::Samples => Share::Samples(width),
        Cut::Rows(_) | Cut::Channels(_) if write => Share::Sections,
        // What a pass writes by units are columns of its own.
        Cut::Units(_) if write && matches!(step.work, Work::Forward(_) | Work::BackwardInput(..)) => {
            Share::Units
        }
        _ => Share::All,
    };
    Touch { range: offset..offset + width * plan.options.batch, write, share }
}

fn whole(plan: &Plan, buffer: Option<usize>) -> Option<Touch> {
    plan.buffer(buffer).map(|buffer| Touch { range: buffer.range(), write: false, share: Share::All })
}

/// What a pass writes of statistics or of parameter gradients.
fn slots(plan: &Plan, value: Value, step: &Step, buffer: Option<usize>) -> Option<Touch> {
    let (node, buffer) = (plan.graph.node(value), plan.buffer(buffer)?);
    let slot = match buffer.kind {
        BufferKind::Statistics(_) => node.signature().statistics,
        _ => node.trained_len(),
    };
    let share = match step.cut {
        Cut::Units(_) if buffer.len == slot => Share::Units,
        Cut::Samples if buffer.len == slot * step.parts => Share::Slot(slot),
        _ => Share::All,
    };
    Some(Touch { range: buffer.range(), write: true, share })
}

fn direct_gradients_are_apart(plan: &Plan) {
    let mut written: Vec<Range<usize>> = Vec::new();
    for step in &plan.steps {
        let Work::BackwardParams(value) = step.work else { continue };
        let (node, places) = (plan.graph.node(value), &plan.nodes[value.0]);
        if places.param_gradient.is_some() || step.applies {
            continue;
        }
        assert!(plan.options.keep_gradients, "invariant: {:?} has a place for what it finds", step.work);
        let alone = step.parts == 1 || matches!(step.cut, Cut::Units(_));
        assert!(alone, "invariant: one part of {:?} writes each gradient", step.work);
        for (range, spec) in places.params.iter().zip(node.trained()) {
            let own = trained(plan).any(|r| r.start == range.start && r.len() == spec.shape.len());
            assert!(
                own && range.len() == spec.shape.len(),
                "invariant: {range:?} is one of '{}'",
                node.name()
            );
            let other = written.iter().find(|other| meet(range, other));
            assert!(other.is_none(), "invariant: '{}' and another pass write {range:?}", node.name());
            written.push(range.clone());
        }
    }
}

fn pieces_are_apart(plan: &Plan) {
    let mut parameters: Vec<&Range<usize>> = trained(plan).collect();
    parameters.sort_unstable_by_key(|range| range.start);
    let mut pieces: Vec<&Range<usize>> = plan.pieces.iter().map(|piece| &piece.range).collect();
    pieces.sort_unstable_by_key(|range| range.start);
    for piece in &pieces {
        let after = parameters.partition_point(|range| range.start <= piece.start);
        let inside = after.checked_sub(1).is_some_and(|at| piece.end <= parameters[at].end);
        assert!(inside, "invariant: piece {piece:?} lies in a trained parameter");
    }
    for pair in pieces.windows(2) {
        assert!(!meet(pair[0], pair[1]), "invariant: pieces {:?} and {:?} lie apart", pair[0], pair[1]);
    }
}

/// The steps that move parameters at once, against every step that might read these.
fn moved_parameters_are_apart(plan: &Plan) {
    let mut left: Vec<Range<usize>> = trained(plan).cloned().collect();
    for (index, step) in plan.steps.iter().enumerate().filter(|(_, step)| step.applies) {
        let Work::BackwardParams(value) = step.work else {
            panic!("invariant: {:?} moves nothing", step.work)
        };
        let (node, places) = (plan.graph.node(value), &plan.nodes[value.0]);
        let alone = step.parts == 1 || matches!(step.cut, Cut::Units(_));
        assert!(alone, "invariant: one part of {:?} moves each parameter", step.work);
        assert!(!plan.options.keep_gradients && places.param_gradient.is_none(), "invariant: it is not kept");
        // What a single worker does follows each other anyhow.
        let barrier = plan.steps[..=index].iter().rposition(|step| step.barrier || plan.parts == 1);
        let behind =
            plan.parts == 1 || plan.steps[barrier.unwrap_or(0)..index].iter().all(|s| s.work != Work::Loss);
        let costs = plan.steps[..index].iter().any(|s| s.work == Work::Loss);
        assert!(costs && behind, "invariant: {:?} knows all costs", step.work);
        for (range, spec) in places.params.iter().zip(node.trained()) {
            let own = left.iter().position(|r| r == range && r.len() == spec.shape.len());
            let own =
                own.unwrap_or_else(|| panic!("invariant: {range:?} of '{}' is moved once", node.name()));
            left.swap_remove(own);
            let reads = |earlier: &Step| {
                let places = earlier.work.value().map(|value| &plan.nodes[value.0]);
                places.is_some_and(|places| places.params.iter().any(|other| meet(range, other)))
            };
            let before = if plan.parts == 1 { index..index } else { barrier.unwrap_or(0)..index };
            let reader = plan.steps[before].iter().chain(&plan.steps[index + 1..]).find(|step| reads(step));
            assert!(reader.is_none(), "invariant: {reader:?} and {:?} touch {range:?}", step.work);
            let piece = plan.pieces.iter().find(|piece| meet(range, &piece.range));
            assert!(piece.is_none(), "invariant: {piece:?} and {:?} move {range:?}", step.work);
        }
    }
    if plan.options.mode.has_backward() {
        // None is forgotten: the pieces, which lie apart in trained parameters, are as long as these.
        let pieces: usize = plan.pieces.iter().map(|piece| piece.range.len()).sum();
        assert_eq!(
            pieces,
            left.iter().map(ExactSizeIterator::len).sum::<usize>(),
            "invariant: all are moved"
        );
    }
}

/// The ranges of the trained parameters.
fn trained(plan: &Plan) -> impl Iterator<Item = &Range<usize>> {
    let entries = plan.graph.layout().entries().iter().enumerate();
    entries.filter(|(number, _)| plan.trains(*number)).map(|(_, entry)| &entry.range)
}

fn meet(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}

#[cfg(test)]
mod tests;
