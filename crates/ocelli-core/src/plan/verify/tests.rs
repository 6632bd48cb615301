//! Plans that are broken in one place are found out.

use std::sync::Arc;

use super::*;
use crate::ops::{BatchNorm, Conv2d, Flatten, Linear, Relu};
use crate::plan::Buffer;
use crate::{Graph, PlanOptions};

/// A plan in two parts with statistics, partial gradients, and gradients that are written directly by units.
fn plan() -> Plan {
    plan_with(true)
}

/// The same, whose gradients are not kept: those of two layers move their parameters at once.
fn plan_that_moves() -> Plan {
    let plan = plan_with(false);
    let options = PlanOptions { keep_gradients: false, ..plan.options.clone() };
    Plan::new(&plan.graph, options).unwrap()
}

fn step_of(plan: &Plan, work: Work) -> usize {
    plan.steps.iter().position(|step| step.work == work).unwrap()
}

fn plan_with(reuse: bool) -> Plan {
    let mut graph = Graph::new();
    let x = graph.input("x", [200]).unwrap();
    let a = graph.add("wide", Linear::new(200), [x]).unwrap();
    let a = graph.add("norm", BatchNorm::default(), [a]).unwrap();
    let a = graph.add("relu", Relu {}, [a]).unwrap();
    let a = graph.add("again", Linear::new(200), [a]).unwrap();
    graph.add("out", Linear::new(3), [a]).unwrap();
    let options = PlanOptions { parts: Some(2), reuse, ..PlanOptions::train(4) };
    Plan::new(&Arc::new(graph), options).unwrap()
}

fn value(plan: &Plan, name: &str) -> Value {
    plan.graph.find(name).unwrap()
}

#[test]
fn a_barrier_that_is_left_out_is_missed() {
    // Where nothing is used again, all barriers are there for values that cross from part to part.
    let plan = plan_with(false);
    let barriers: Vec<usize> = (0..plan.steps.len()).filter(|&i| plan.steps[i].barrier).collect();
    assert!(barriers.len() > 3, "{barriers:?}");
    for index in barriers {
        let mut broken = plan.clone();
        broken.steps[index].barrier = false;
        let outcome = std::panic::catch_unwind(|| verify(&broken));
        assert!(outcome.is_err(), "without the barrier before {:?}", broken.steps[index].work);
    }
}

/// A plan for one image, cut by rows and by channels, with steps that are not cut.
fn sections() -> Plan {
    let mut graph = Graph::new();
    let x = graph.input("x", [3, 8, 8]).unwrap();
    let a = graph.add("rows", Conv2d::new(16, 3).padding(1), [x]).unwrap();
    let a = graph.add("norm", BatchNorm::default(), [a]).unwrap();
    let a = graph.add("channels", Conv2d::new(160, 5).padding(2), [a]).unwrap();
    let a = graph.add("flat", Flatten {}, [a]).unwrap();
    let a = graph.add("units", Linear::new(80), [a]).unwrap();
    graph.add("out", Linear::new(3), [a]).unwrap();
    let options = PlanOptions { parts: Some(4), reuse: false, ..PlanOptions::evaluate(1) };
    Plan::new(&Arc::new(graph), options).unwrap()
}

#[test]
fn sections_of_a_sample_need_barriers_between_them() {
    let plan = sections();
    let cut = |name| plan.nodes[value(&plan, name).0].forward;
    assert_eq!(cut("rows"), Cut::Rows(8));
    assert!(matches!(cut("channels"), Cut::Channels(_)) && matches!(cut("units"), Cut::Channels(_)));
    let barriers: Vec<usize> = (0..plan.steps.len()).filter(|&i| plan.steps[i].barrier).collect();
    assert!(barriers.len() > 3, "{barriers:?}");
    for index in barriers {
        let mut broken = plan.clone();
        broken.steps[index].barrier = false;
        let outcome = std::panic::catch_unwind(|| verify(&broken));
        assert!(outcome.is_err(), "without the barrier before {:?}", broken.steps[index].work);
    }
}

#[test]
#[should_panic(expected = "is not cut by")]
fn parts_by_channels_are_all_channels() {
    let mut plan = sections();
    let step = plan.steps.iter_mut().find(|step| matches!(step.cut, Cut::Channels(_))).unwrap();
    let Cut::Channels(cut) = &mut step.cut else { unreachable!() };
    cut.channels -= 1;
    verify(&plan);
}

#[test]
#[should_panic(expected = "is not cut by")]
fn parts_by_rows_are_rows_of_the_image() {
    let mut plan = sections();
    let step = plan.steps.iter_mut().find(|step| matches!(step.cut, Cut::Rows(_))).unwrap();
    step.parts = 9;
    verify(&plan);
}

#[test]
#[should_panic(expected = "stays")]
fn what_is_packed_once_stays() {
    let mut plan = sections();
    let prepared = |buffer: &&mut Buffer| matches!(buffer.kind, BufferKind::Prepared(..));
    plan.buffers.iter_mut().find(prepared).unwrap().last -= 1;
    verify(&plan);
}

#[test]
#[should_panic(expected = "live apart")]
fn buffers_that_live_together_may_not_overlap() {
    let mut plan = plan();
    let a = plan.nodes[value(&plan, "wide").0].output.unwrap();
    let b = plan.nodes[value(&plan, "norm").0].output.unwrap();
    plan.buffers[b].offset = plan.buffers[a].offset + 16;
    verify(&plan);
}

#[test]
#[should_panic(expected = "in its life")]
fn a_step_may_not_touch_what_is_not_in_use() {
    let mut plan = plan();
    let output = plan.nodes[value(&plan, "again").0].output.unwrap();
    plan.buffers[output].last = plan.buffers[output].first;
    verify(&plan);
}

#[test]
#[should_panic(expected = "is not cut by")]
fn steps_that_are_cut_by_samples_have_equally_many_parts() {
    let mut plan = plan();
    plan.steps[0].parts = 1;
    verify(&plan);
}

#[test]
#[should_panic(expected = "another pass write")]
fn two_layers_may_not_write_one_gradient() {
    let mut plan = plan();
    let (wide, again) = (value(&plan, "wide"), value(&plan, "again"));
    plan.nodes[again.0].params = plan.nodes[wide.0].params.clone();
    verify(&plan);
}

#[test]
#[should_panic(expected = "one part of")]
fn parts_of_samples_may_not_write_one_gradient() {
    let mut plan = plan();
    let out = value(&plan, "out");
    plan.nodes[out.0].param_gradient = None;
    verify(&plan);
}

#[test]
#[should_panic(expected = "shares Touch")]
fn parts_of_samples_may_not_write_one_slot() {
    let mut plan = plan();
    let buffer = plan.nodes[value(&plan, "out").0].param_gradient.unwrap();
    plan.buffers[buffer].len /= 2;
    for source in plan.pieces.iter_mut().flat_map(|piece| &mut piece.sources) {
        source.count = 1;
    }
    verify(&plan);
}

#[test]
#[should_panic(expected = "lie apart")]
fn pieces_of_the_update_may_not_overlap() {
    let mut plan = plan();
    plan.pieces[1].range.start -= 1;
    verify(&plan);
}

#[test]
#[should_panic(expected = "lies in a trained parameter")]
fn the_update_may_not_move_running_statistics() {
    let mut plan = plan();
    let range = plan.graph.layout().find("norm.running_mean").unwrap().range.clone();
    plan.pieces[0].range = range;
    verify(&plan);
}

#[test]
fn large_layers_move_their_parameters_at_once_after_the_passes_that_read_them() {
    let plan = plan_that_moves();
    let applying: Vec<Work> = plan.steps.iter().filter(|s| s.applies).map(|s| s.work).collect();
    let (wide, again) = (value(&plan, "wide"), value(&plan, "again"));
    assert_eq!(applying, [Work::BackwardParams(again), Work::BackwardParams(wide)]);
    let reader = step_of(&plan, Work::BackwardInput(again, 0));
    assert!(reader < step_of(&plan, Work::BackwardParams(again)));
    assert!(!plan_with(false).steps.iter().any(|step| step.applies));
}

#[test]
fn a_barrier_before_a_step_that_moves_parameters_is_missed() {
    let plan = plan_that_moves();
    let mut broken = plan.clone();
    let index = step_of(&plan, Work::BackwardParams(value(&plan, "again")));
    assert!(plan.steps[index].barrier);
    broken.steps[index].barrier = false;
    assert!(std::panic::catch_unwind(|| moved_parameters_are_apart(&broken)).is_err());
}

#[test]
#[should_panic(expected = "touch")]
fn parameters_that_were_moved_may_not_be_read() {
    let mut plan = plan_that_moves();
    let again = value(&plan, "again");
    let moves = step_of(&plan, Work::BackwardParams(again));
    let reads = step_of(&plan, Work::BackwardInput(again, 0));
    plan.steps.swap(moves, reads);
    moved_parameters_are_apart(&plan);
}

#[test]
#[should_panic(expected = "move")]
fn the_update_may_not_move_them_again() {
    let mut plan = plan_that_moves();
    plan.pieces[0].range = plan.graph.layout().find("wide.weight").unwrap().range.clone();
    moved_parameters_are_apart(&plan);
}

#[test]
#[should_panic(expected = "all are moved")]
fn no_parameter_may_be_forgotten() {
    let mut plan = plan_that_moves();
    plan.pieces.pop();
    moved_parameters_are_apart(&plan);
}

#[test]
#[should_panic(expected = "knows all costs")]
fn costs_are_known_before_a_parameter_moves() {
    let mut plan = plan_that_moves();
    let (loss, last) = (step_of(&plan, Work::Loss), plan.steps.len() - 2);
    plan.steps[loss..last].rotate_left(1);
    moved_parameters_are_apart(&plan);
}

#[test]
#[should_panic(expected = "is not cut by")]
fn the_update_comes_last() {
    let mut plan = plan();
    let last = plan.steps.len() - 1;
    plan.steps.swap(last, last - 1);
    verify(&plan);
}
