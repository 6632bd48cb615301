//! Preparing a picture allocates nothing once memory has grown to what pictures need.
//!
//! Allocations count on the thread under test alone: the test harness makes some of its own meanwhile. For the same reason this
//! file has one test.
#![allow(unsafe_code)] // a global allocator

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use ocelli_data::{
    Augment, ColourAxes, ColourShift, Crop, Dataset, Elastic, Erase, Fit, Jitter, Loader, LoaderOptions,
    MemoryDataset, Mix, Normalise, Picture, Policy, Preprocess, Preprocessor, Sampler, View, augment::Draw,
};

struct Counting;

thread_local! {
    /// Allocations of this thread.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise is the system allocator's condition.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from the system's allocator with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How many allocations `work` makes on this thread.
fn allocations(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

fn set() -> MemoryDataset {
    let pixels = (0..40 * 36 * 40 * 3).map(|i| (i * 7 + i / 4320 * 31) as u8).collect();
    let labels = (0..40).map(|i| i % 2).collect();
    MemoryDataset::new("set", [3, 36, 40], pixels, labels, vec!["a".into(), "b".into()]).unwrap()
}

fn variations() -> Vec<Augment> {
    let jitter = Jitter { brightness: 0.3, contrast: 0.3, saturation: 0.3, hue: 0.1 };
    let axes = ColourAxes::of(&set()).unwrap();
    let plain = Augment { crop: Crop::INCEPTION, flip: 0.5, ..Augment::NONE };
    let elastic = Some(Elastic { alpha: 20.0, sigma: 3.0 });
    vec![
        plain.clone(),
        Augment { policy: Some(Policy::TrivialWide), ..plain.clone() },
        Augment {
            rotation: 20.0,
            elastic,
            jitter,
            colour: Some(ColourShift { strength: 0.1, axes }),
            ..plain.clone()
        },
        Augment { erase: Some(Erase::usual(1.0)), ..plain },
    ]
}

#[test]
fn pictures_and_batches_are_prepared_without_allocating() {
    let made = allocations(|| drop(std::hint::black_box(vec![1u8; 100])));
    assert_eq!(made, 1, "allocations count");
    let normalise = Normalise::MeanStd { mean: vec![0.4; 3], std: vec![0.2; 3] };
    let fit = Fit::Crop { share: 0.875 };
    let spec = Preprocess { channels: 3, size: [24, 24], fit, pad: 0, background: 0, normalise };
    let set = Arc::new(set());
    let mut out = vec![0.0; 24 * 24 * 3];
    for (i, variation) in variations().iter().enumerate() {
        let mut worker = Preprocessor::new(&spec).unwrap().with_augment(variation).unwrap();
        let mut picture = Picture::default();
        let mut pass = |epochs: std::ops::Range<u64>| {
            for epoch in epochs {
                for k in 0..set.len() {
                    set.read(k, &mut picture).unwrap();
                    worker.apply_augmented(&picture, Draw { seed: 1, epoch, sample: k as u32 }, &mut out);
                    View::TEN_CROP.iter().for_each(|&view| worker.view(&picture, view, &mut out));
                }
            }
        };
        // Draws differ, and so does the memory that they need: a few hundred reach the most of it.
        pass(0..20);
        assert_eq!(allocations(|| pass(20..24)), 0, "variation {i}");
        let (mix, epochs) = (Mix { mixup: 0.2, cutmix: 1.0 }, 0..30);
        let options = LoaderOptions { augment: variation.clone(), mix, epochs, ..LoaderOptions::default() };
        let sampler = Sampler::new(set.len(), 16).unwrap().shuffled(1);
        let mut loader = Loader::new(set.clone(), &spec, sampler, options).unwrap();
        let mut load = |batches: usize| {
            (0..batches).for_each(|_| assert!(!loader.next_batch().unwrap().unwrap().is_empty()))
        };
        load(60);
        assert_eq!(allocations(|| load(12)), 0, "batches of variation {i}");
    }
}
