//! What the tests of the lecture share.

use ocelli::Engine;
use ocelli::lecture::{Context, Finding, find};
use ocelli_kernels::Isa;

/// Two threads and the best kernels.
pub(crate) fn engine() -> Engine {
    Engine::new(2, Isa::detect()).expect("threads")
}

/// What an experiment finds with embedded data and seed 0, which must be as expected and have figures.
#[track_caller]
pub(crate) fn accepted(name: &str) -> Finding {
    let context = Context::new(engine(), 0, None);
    let outcome = find(name).and_then(|experiment| experiment.run(&context));
    let finding = outcome.unwrap_or_else(|e| panic!("{name}: {e}")).finding;
    for check in &finding.checks {
        assert!(check.holds(), "{name}: {} is {}, expected {}", check.what, check.found, check.wanted());
    }
    assert!(!finding.checks.is_empty(), "{name} measures something");
    for figure in &finding.figures {
        // Images are letters too, which may spell anything.
        let svg = figure.drawing.svg();
        let drawn: String = svg.split("base64,").map(|part| part.trim_start_matches(is_base64)).collect();
        assert!(
            drawn.contains("</svg>") && !drawn.contains("NaN") && !drawn.contains("inf"),
            "{name}: {}",
            figure.name
        );
        assert!(!figure.caption.is_empty(), "{name}: {}", figure.name);
    }
    finding
}

fn is_base64(c: char) -> bool {
    c.is_ascii_alphanumeric() || "+/=".contains(c)
}

/// Numbers of a stream of its own, normal with variance 1.
pub(crate) fn normal(seed: u64, n: usize) -> Vec<f64> {
    let mut stream = ocelli_kernels::random::Key::new(seed, &[]).stream();
    (0..n).map(|_| stream.normal()).collect()
}

/// Whether each of `found` is what is expected, to `tolerance`.
#[track_caller]
pub(crate) fn close(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= tolerance, "{found} is not {expected}");
    }
}
