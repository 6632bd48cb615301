//! A network's profile as tables.

use ocelli::bench::steps::{Breakdown, Cost};

use crate::output::{Align, Table};
use crate::text::{count, duration, sizes};

/// Columns that every cost has.
const COST: [(&str, Align); 6] = [
    ("share %", Align::Right),
    ("work", Align::Right),
    ("slowest", Align::Right),
    ("barrier", Align::Right),
    ("GFLOP/s", Align::Right),
    ("GB/s", Align::Right),
];

/// The kinds of steps, most time first, then every step.
pub(super) fn for_people(breakdown: &Breakdown) -> String {
    let first = [("op", Align::Left), ("pass", Align::Left), ("steps", Align::Right)];
    let mut kinds = Table::new(&[&first[..], &COST[..]].concat());
    for kind in &breakdown.kinds {
        let first = [kind.op.clone(), kind.pass.to_string(), kind.steps.to_string()];
        kinds.row(first.into_iter().chain(cells(&kind.cost)));
    }
    let first = [
        ("layer", Align::Left),
        ("op", Align::Left),
        ("pass", Align::Left),
        ("output", Align::Right),
        ("parts", Align::Right),
    ];
    let mut steps = Table::new(&[&first[..], &COST[..]].concat());
    for step in &breakdown.steps {
        let (op, pass, parts) = (step.op.clone(), step.pass.to_string(), step.parts.to_string());
        let first = [step.layer.clone(), op, pass, sizes(&step.output), parts];
        steps.row(first.into_iter().chain(cells(&step.cost)));
    }
    format!(
        "{} a pass, of which {} outside the steps\n{}\n{}",
        duration(breakdown.seconds),
        duration(breakdown.outside_seconds),
        kinds.render(),
        steps.render()
    )
}

fn cells(cost: &Cost) -> [String; 6] {
    let per_second = |rate: Option<f64>| rate.map(|rate| format!("{rate:.1}")).unwrap_or_default();
    [
        format!("{:.1}", 100.0 * cost.share),
        micros(cost.seconds),
        micros(cost.slowest_seconds),
        micros(cost.barrier_seconds),
        per_second(cost.gflops),
        per_second(cost.gbytes),
    ]
}

/// In microseconds throughout, so that a column can be compared at a glance; nothing for nothing.
fn micros(seconds: f64) -> String {
    let micros = 1e6 * seconds;
    match micros {
        m if m < 0.05 => String::new(),
        m if m < 99.95 => format!("{m:.1} µs"),
        m => format!("{} µs", count(m.round() as u64)),
    }
}
