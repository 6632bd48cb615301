//! Loading: order and bits whatever the threads, and what happens when an image cannot be read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ocelli_data::{
    Augment, Batch, ColourAxes, ColourShift, Crop, DataError, Dataset, Elastic, Erase, ErrorKind, Fit,
    Jitter, Loader, LoaderOptions, MemoryDataset, Mix, Normalise, Picture, Policy, Preprocess, Sampler,
};

const IMAGES: usize = 53;

/// Images of 6×5 that count up.
fn set() -> MemoryDataset {
    let pixels = (0..IMAGES * 30).map(|i| (i * 7) as u8).collect();
    let labels = (0..IMAGES).map(|i| i as u32 % 3).collect();
    MemoryDataset::new("set", [1, 6, 5], pixels, labels, ["a", "b", "c"].map(String::from).to_vec()).unwrap()
}

fn preprocess() -> Preprocess {
    let normalise = Normalise::Range { low: -0.1, high: 1.175 };
    Preprocess { channels: 1, size: [6, 5], fit: Fit::Stretch, pad: 1, background: 0, normalise }
}

fn options(threads: usize) -> LoaderOptions {
    let elastic = Some(Elastic { alpha: 5.0, sigma: 2.0 });
    let augment = Augment { shift: 1.0, rotation: 10.0, elastic, ..Augment::NONE };
    LoaderOptions { threads, augment, seed: 6, epochs: 2..5, ..LoaderOptions::default() }
}

fn loader(dataset: Arc<dyn Dataset>, options: LoaderOptions) -> Loader {
    let sampler = Sampler::new(dataset.len(), 8).unwrap().shuffled(6);
    Loader::new(dataset, &preprocess(), sampler, options).unwrap()
}

fn batches(mut loader: Loader) -> Vec<Batch> {
    let mut all = Vec::new();
    while let Some(batch) = loader.next_batch() {
        all.push(batch.unwrap().clone());
    }
    assert!(loader.next_batch().is_none());
    all
}

#[test]
fn batches_are_the_same_for_any_number_of_threads() {
    let inline = batches(loader(Arc::new(set()), options(0)));
    assert_eq!(inline.len(), 3 * 7);
    assert_eq!((inline[6].len(), inline[6].epoch, inline[6].number), (5, 2, 6));
    assert_eq!(inline[0].images.len(), 8 * 8 * 7);
    for threads in [1, 2, 8, 30] {
        assert!(batches(loader(Arc::new(set()), options(threads))) == inline, "{threads} threads");
    }
}

/// Images in colour of 20×24, each with a pattern of its own.
fn colour_set() -> MemoryDataset {
    let pixels = (0..IMAGES * 20 * 24 * 3).map(|i| (i * 7 + i / 1440 * 31 + i / 72 * 5) as u8).collect();
    let labels = (0..IMAGES).map(|i| i as u32 % 3).collect();
    MemoryDataset::new("set", [3, 20, 24], pixels, labels, ["a", "b", "c"].map(String::from).to_vec())
        .unwrap()
}

/// Every kind of variation, in turn and together.
fn every_variation() -> Vec<(&'static str, Augment, Mix)> {
    let axes = ColourAxes::of(&colour_set()).unwrap();
    let none = || Augment::NONE;
    let jitter = Jitter { brightness: 0.3, contrast: 0.3, saturation: 0.3, hue: 0.1 };
    let rand = Policy::Rand { operations: 2, magnitude: 9 };
    let colour = Some(ColourShift { strength: 0.1, axes });
    let (mixup, cutmix) = (Mix { mixup: 0.4, cutmix: 0.0 }, Mix { mixup: 0.0, cutmix: 1.0 });
    let all = Augment {
        crop: Crop::INCEPTION,
        flip: 0.5,
        rotation: 10.0,
        shift: 2.0,
        elastic: Some(Elastic { alpha: 20.0, sigma: 3.0 }),
        policy: Some(Policy::TrivialWide),
        jitter,
        colour,
        erase: Some(Erase::usual(0.5)),
        ..none()
    };
    vec![
        ("crop", Augment { crop: Crop::Random { share: 0.875 }, ..none() }, Mix::NONE),
        ("resized crop", Augment { crop: Crop::INCEPTION, flip: 0.5, ..none() }, Mix::NONE),
        ("padded crop", Augment { crop: Crop::Padded { pixels: 4 }, flip: 0.5, ..none() }, Mix::NONE),
        ("colours", Augment { colour, ..none() }, Mix::NONE),
        ("jitter", Augment { jitter, ..none() }, Mix::NONE),
        ("erasing", Augment { erase: Some(Erase::usual(0.5)), ..none() }, Mix::NONE),
        ("TrivialAugment", Augment { policy: Some(Policy::TrivialWide), ..none() }, Mix::NONE),
        ("RandAugment", Augment { policy: Some(rand), ..none() }, Mix::NONE),
        ("affine", Augment { shift: 1.0, rotation: 10.0, scale: 0.1, shear: 0.1, ..none() }, Mix::NONE),
        ("mixup", none(), mixup),
        ("CutMix", none(), cutmix),
        ("all", all, Mix { mixup: 0.4, cutmix: 1.0 }),
    ]
}

/// Loads images of 16×12, the middle of theirs, in batches of 8.
fn varied(augment: &Augment, mix: Mix, options: LoaderOptions) -> Vec<Batch> {
    let normalise = Normalise::MeanStd { mean: vec![0.4; 3], std: vec![0.2; 3] };
    let fit = Fit::Crop { share: 0.9 };
    let preprocess = Preprocess { channels: 3, size: [16, 12], fit, pad: 1, background: 9, normalise };
    let options = LoaderOptions { augment: augment.clone(), mix, seed: 6, ..options };
    let sampler = Sampler::new(IMAGES, 8).unwrap().shuffled(6);
    batches(Loader::new(Arc::new(colour_set()), &preprocess, sampler, options).unwrap())
}

#[test]
fn every_variation_is_the_same_for_any_number_of_threads_and_wherever_a_run_began() {
    for (name, augment, mix) in every_variation() {
        let options = |threads| LoaderOptions { threads, epochs: 1..3, ..LoaderOptions::default() };
        let whole = varied(&augment, mix, options(0));
        for threads in [1, 2, 5] {
            assert!(varied(&augment, mix, options(threads)) == whole, "{name}: {threads} threads");
            let rest = LoaderOptions { epochs: 2..3, first_batch: 3, ..options(threads) };
            assert!(varied(&augment, mix, rest) == whole[7 + 3..], "{name}: resumed, {threads} threads");
        }
        let plain = varied(&Augment::NONE, Mix::NONE, options(0));
        assert_eq!((plain.len(), plain[0].targets.is_none()), (whole.len(), true));
        assert!(plain.iter().zip(&whole).all(|(a, b)| a.labels == b.labels && a.indices == b.indices));
        assert!(plain != whole, "{name} changes nothing");
    }
}

#[test]
fn mixed_batches_have_targets_that_add_up_to_one() {
    let mix = Mix { mixup: 0.4, cutmix: 1.0 };
    let all = varied(&Augment::NONE, mix, LoaderOptions { threads: 2, ..LoaderOptions::default() });
    assert_eq!((all.len(), all[6].len()), (7, 5));
    for batch in &all {
        let targets = batch.targets.as_ref().unwrap();
        assert_eq!(targets.len(), 3 * batch.len());
        for (row, &label) in targets.chunks_exact(3).zip(&batch.labels) {
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6 && row[label as usize] >= 0.0, "{row:?}");
        }
    }
}

#[test]
fn time_spent_waiting_is_what_the_calls_took() {
    for threads in [0, 2] {
        let begin = std::time::Instant::now();
        let mut loader = loader(Arc::new(set()), options(threads));
        assert_eq!(loader.waited(), std::time::Duration::ZERO);
        let mut before = loader.waited();
        while loader.next_batch().is_some() {
            assert!(loader.waited() > before);
            before = loader.waited();
        }
        assert!(loader.waited() <= begin.elapsed());
    }
}

#[test]
fn epochs_differ_in_order_and_in_variation() {
    let all = batches(loader(Arc::new(set()), options(2)));
    let image = |epoch: usize| {
        let batch = all[7 * epoch..7 * epoch + 7].iter().find(|b| b.indices.contains(&9)).unwrap();
        let place = batch.indices.iter().position(|&i| i == 9).unwrap();
        (batch.labels[place], batch.images[place * 56..][..56].to_vec())
    };
    assert_eq!((image(0).0, image(1).0), (0, 0));
    assert_ne!(image(0).1, image(1).1);
    assert_ne!(all[0].indices, all[7].indices);
}

#[test]
fn a_run_resumed_inside_an_epoch_goes_on_with_the_same_bits() {
    let whole = batches(loader(Arc::new(set()), options(0)));
    for threads in [0, 1, 2, 8] {
        let rest = LoaderOptions { epochs: 3..5, first_batch: 4, ..options(threads) };
        assert!(batches(loader(Arc::new(set()), rest)) == whole[7 + 4..], "{threads} threads");
    }
}

/// Fails at image 20, panics at image 30 if told so, and counts what is read.
struct Faulty {
    inner: MemoryDataset,
    panics: bool,
    reads: Arc<AtomicUsize>,
}

fn faulty(panics: bool) -> (Arc<dyn Dataset>, Arc<AtomicUsize>) {
    let reads = Arc::new(AtomicUsize::new(0));
    (Arc::new(Faulty { inner: set(), panics, reads: reads.clone() }), reads)
}

impl Dataset for Faulty {
    fn len(&self) -> usize {
        self.inner.len()
    }
    fn classes(&self) -> &[String] {
        self.inner.classes()
    }
    fn image_shape(&self) -> [usize; 3] {
        self.inner.image_shape()
    }
    fn label(&self, i: usize) -> u32 {
        self.inner.label(i)
    }
    fn read(&self, i: usize, picture: &mut Picture) -> Result<(), DataError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        assert!(!(self.panics && i == 30), "image 30 is a bug");
        match i {
            20 => Err(DataError::Malformed {
                what: self.name_of(i),
                expected: "an image".into(),
                found: "noise".into(),
                advice: "remove it".into(),
            }),
            _ => self.inner.read(i, picture),
        }
    }
    fn name_of(&self, i: usize) -> String {
        format!("folder/{i}.png")
    }
}

#[test]
fn an_unreadable_image_is_named_in_its_place_and_loading_goes_on() {
    for threads in [0, 1, 3] {
        let (dataset, _) = faulty(false);
        let sampler = Sampler::new(IMAGES, 8).unwrap();
        let options = LoaderOptions { threads, ..LoaderOptions::default() };
        let mut loader = Loader::new(dataset, &preprocess(), sampler, options).unwrap();
        for number in 0..7 {
            match loader.next_batch().unwrap() {
                Ok(batch) => {
                    assert!(number != 2 && batch.number == number && batch.indices[0] == 8 * number as u32)
                }
                Err(error) => {
                    assert_eq!((number, error.kind()), (2, ErrorKind::BadData));
                    assert!(error.to_string().starts_with("folder/20.png: expected an image"), "{error}");
                }
            }
        }
        assert!(loader.next_batch().is_none());
    }
}

#[test]
#[should_panic(expected = "image 30 is a bug")]
fn a_bug_on_a_loading_thread_surfaces_in_the_caller() {
    let (dataset, _) = faulty(true);
    let mut loader = loader(dataset, options(2));
    while loader.next_batch().is_some() {}
}

#[test]
fn a_dropped_loader_reads_no_further_than_it_may_prefetch() {
    let (dataset, reads) = faulty(false);
    let mut loader = loader(dataset, LoaderOptions { epochs: 0..u64::MAX, ..options(2) });
    loader.next_batch().unwrap().unwrap();
    drop(loader);
    let stopped = reads.load(Ordering::Relaxed);
    // Two threads, each with at most two batches waiting, one taken and one being made.
    assert!(stopped <= 2 * 4 * 8, "{stopped} images were read");
}

#[test]
fn memory_is_used_again() {
    for threads in [0, 2] {
        let options = LoaderOptions { epochs: 0..40, ..options(threads) };
        let mut loader = loader(Arc::new(set()), options);
        let mut places = std::collections::BTreeSet::new();
        while let Some(batch) = loader.next_batch() {
            places.insert(batch.unwrap().images.as_ptr());
        }
        // Per thread what its channels hold, however the system schedules it: two waiting, three given back, and the
        // one being made; and one with the caller. 280 batches pass through them.
        assert!(places.len() <= threads * 6 + 1, "{} buffers for {threads} threads", places.len());
    }
}

#[test]
fn an_empty_set_has_no_batches() {
    let empty = MemoryDataset::new("empty", [1, 6, 5], vec![], vec![], vec![]).unwrap();
    for threads in [0, 2] {
        assert!(batches(loader(Arc::new(empty.clone()), options(threads))).is_empty());
    }
}

#[test]
fn what_does_not_fit_together_is_refused_before_loading() {
    let sampler = |len| Sampler::new(len, 8).unwrap();
    let new = |sampler, options| Loader::new(Arc::new(set()), &preprocess(), sampler, options).err().unwrap();
    let error = new(sampler(50), options(0));
    assert!(error.to_string().contains("number of images of the sampler is 50"), "{error}");
    let error = new(sampler(IMAGES), LoaderOptions { first_batch: 7, ..options(0) });
    assert_eq!(error.to_string(), "first batch is 7, but an epoch has 7 batches");
    assert_eq!(Sampler::new(5, 0).unwrap_err().kind(), ErrorKind::Usage);
}
