//! Too little memory is an error that says what for, and never the end of the process.
#![allow(unsafe_code)] // a global allocator

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use ocelli_core::ops::{Conv2d, Linear};
use ocelli_core::{Error, Graph, Init, Params, Plan, PlanOptions};

/// Refuses large allocations of a thread that has had as many as it may.
struct Scarce;

/// Bytes of a large allocation: far above what a graph and its names take.
const LARGE: usize = 1 << 16;

thread_local! {
    /// Large allocations that this thread may still make.
    static LEFT: Cell<usize> = const { Cell::new(usize::MAX) };
}

impl Scarce {
    fn refuses(layout: Layout) -> bool {
        let left = LEFT.get();
        if layout.size() < LARGE || left == usize::MAX {
            return false;
        }
        LEFT.set(left.saturating_sub(1));
        left == 0
    }
}

// SAFETY: every call goes to the system's allocator as it came, or fails as an allocator may.
unsafe impl GlobalAlloc for Scarce {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if Scarce::refuses(layout) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promise is the system allocator's condition.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from the system's allocator with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Scarce = Scarce;

/// Runs `work`, which may allocate so many large blocks.
fn with_large_allocations<R>(count: usize, work: impl FnOnce() -> R) -> R {
    LEFT.set(count);
    let result = work();
    LEFT.set(usize::MAX);
    result
}

fn linear(init: Init) -> Graph {
    let mut graph = Graph::new();
    let x = graph.input("x", [300]).unwrap();
    graph.add("layer", Linear::new(300).init(init), [x]).unwrap();
    graph
}

/// Convolution weights of 2 MiB in f64, with filters of 32 KiB.
fn convolution() -> Graph {
    let mut graph = Graph::new();
    let x = graph.input("x", [1024, 2, 2]).unwrap();
    graph.add("layer", Conv2d::new(64, 2), [x]).unwrap();
    graph
}

#[test]
fn parameters_are_initialised_where_they_lie() {
    for graph in [linear(Init::He { uniform: false, slope: 0.0, fan_out: false }), convolution()] {
        let params = with_large_allocations(1, || Params::<f64>::initialised(graph.layout(), 1)).unwrap();
        assert!(params.data().iter().any(|w| *w != 0.0));
    }
}

#[test]
fn an_orthogonal_initialiser_without_room_to_work_in_is_an_error() {
    let graph = linear(Init::Orthogonal { gain: 1.0 });
    let outcome = with_large_allocations(1, || Params::<f32>::initialised(graph.layout(), 1));
    let bytes = 300 * 300 * 8;
    assert!(matches!(outcome, Err(Error::Memory { bytes: b, .. }) if b == bytes), "{outcome:?}");
}

#[test]
fn parameters_in_the_order_of_files_are_borrowed_or_an_error() {
    let graph = linear(Init::Signs);
    let params = Params::<f32>::initialised(graph.layout(), 1).unwrap();
    let weight = &graph.layout().entries()[0];
    let same = with_large_allocations(0, || params.in_field_order(weight).map(|w| w.len()));
    assert_eq!(same.unwrap(), 300 * 300);
    let graph = convolution();
    let params = Params::<f64>::initialised(graph.layout(), 1).unwrap();
    let weight = &graph.layout().entries()[0];
    let converted = with_large_allocations(0, || params.in_field_order(weight).map(|w| w.len()));
    assert!(matches!(converted, Err(Error::Memory { .. })), "{converted:?}");
    assert_eq!(params.in_field_order(weight).unwrap(), params.get(weight).data());
}

#[test]
fn a_batch_beyond_what_can_be_addressed_cannot_be_planned() {
    let graph = Arc::new(linear(Init::Signs));
    for batch in [1 << 55, 1 << 60, usize::MAX] {
        let error = Plan::new(&graph, PlanOptions::train(batch)).unwrap_err();
        assert!(matches!(error, Error::Memory { .. }), "{error}");
    }
}
