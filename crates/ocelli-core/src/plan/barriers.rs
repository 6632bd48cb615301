//! Where all workers must wait for each other.

use super::{Access, Buffer, Cut, Plan, Step, Work};

/// A barrier goes before each step that touches what an earlier step since the last barrier touches, unless both
/// only read it, each part keeps to its own share, or both steps have one part; and before one that moves parameters, if a
/// step since the last barrier read them or computed costs, which it must know. The update always waits for everything.
pub(super) fn set_barriers(plan: &mut Plan) {
    let mut since: Vec<(Cut, usize, Access)> = Vec::new();
    let mut last_barrier = 0;
    for index in 0..plan.steps.len() {
        let step = &plan.steps[index];
        // Steps in one part are the first worker's.
        let conflict = |&(cut, parts, access): &(Cut, usize, Access)| {
            let clash = |b: &Access| conflict(&plan.buffers, (cut, access), (step.cut, *b));
            (parts > 1 || step.parts > 1) && step.accesses.iter().any(clash)
        };
        let moves = plan.parts > 1 && step.applies;
        let reads = |earlier: &Step| match (earlier.work.value(), step.work.value()) {
            (Some(a), Some(b)) => plan.graph.node(a).params() == plan.graph.node(b).params(),
            _ => earlier.work == Work::Loss,
        };
        let waits = moves && plan.steps[last_barrier..index].iter().any(reads);
        let barrier = index > 0 && (step.work == Work::Update || waits || since.iter().any(conflict));
        if barrier {
            since.clear();
            last_barrier = index;
        }
        since.extend(step.accesses.iter().map(|a| (step.cut, step.parts, *a)));
        plan.steps[index].barrier = barrier;
    }
}

/// Whether two accesses of different steps need a barrier between them.
fn conflict(buffers: &[Buffer], a: (Cut, Access), b: (Cut, Access)) -> bool {
    let (first, second) = (buffers[a.1.buffer].range(), buffers[b.1.buffer].range());
    let overlap = first.start < second.end && second.start < first.end;
    let same_share = a.1.buffer == b.1.buffer && a.1.own_share && b.1.own_share;
    let same_cut = a.0 == Cut::Samples && b.0 == Cut::Samples;
    overlap && (a.1.write || b.1.write) && !(same_share && same_cut)
}
