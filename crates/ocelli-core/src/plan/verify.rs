//! The proof that a plan's parts keep out of each other's way, on which the arena relies.

use super::build::conflicts;
use super::{Access, Cut, Plan};

/// Checks a plan independently of how it was built.
///
/// # Panics
/// If buffers that live together overlap, if a step that touches a buffer does so outside of its life, or if two
/// steps without a barrier between them conflict: a bug in the planner, never a user's mistake.
pub(super) fn verify(plan: &Plan) {
    buffers_are_apart(plan);
    steps_are_apart(plan);
}

fn buffers_are_apart(plan: &Plan) {
    for (index, a) in plan.buffers.iter().enumerate() {
        assert!(a.offset + a.len <= plan.arena_len, "invariant: {a:?} lies in the arena");
        for b in &plan.buffers[..index] {
            let together = a.first <= b.last && b.first <= a.last;
            let overlap = a.offset < b.offset + b.len && b.offset < a.offset + a.len;
            assert!(!(together && overlap), "invariant: {a:?} and {b:?} live together and overlap");
        }
    }
}

fn steps_are_apart(plan: &Plan) {
    let mut since: Vec<(Cut, Access)> = Vec::new();
    for (index, step) in plan.steps.iter().enumerate() {
        if step.barrier {
            since.clear();
        }
        for access in &step.accesses {
            let buffer = &plan.buffers[access.buffer];
            assert!(
                (buffer.first..=buffer.last).contains(&index),
                "invariant: step {index} in the life of {buffer:?}"
            );
            // Within one step, what a part writes no other part touches.
            assert!(!access.write || access.own_share, "invariant: {:?} writes its own share", step.work);
            let earlier = since.iter().find(|a| conflicts(&plan.buffers, **a, (step.cut, *access)));
            assert!(earlier.is_none(), "invariant: a barrier before {:?} on {buffer:?}", step.work);
        }
        let twice = |a: &Access| step.accesses.iter().filter(|b| b.buffer == a.buffer).count() > 1;
        let clash = step.accesses.iter().find(|a| a.write && twice(a));
        assert!(clash.is_none(), "invariant: {:?} touches {clash:?} in one way", step.work);
        since.extend(step.accesses.iter().map(|a| (step.cut, *a)));
    }
}
