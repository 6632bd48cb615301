//! Features made by hand and features learned, under the same linear classifier.

use ocelli_core::ops::{AvgPool2d, Conv2d, Flatten, Linear, MaxPool2d, Relu};
use ocelli_core::{Graph, Init};

use super::learner::{ADAM, CROSS_ENTROPY, Learner, Samples, Wanted};
use super::{Context, Expected, Experiment, Finding, Part, Table};
use crate::Error;
use crate::classical::{Filter, FilterBank, Laplacian, Plane, Steerable, binomial, expand};
use crate::figure::{Bars, Raster, Sheet};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "hand-made",
    title: "Made by hand or learned",
    part: Part::Classical,
    checklist: &[8],
    about: "The same linear classifier reads six descriptions of the same images: their pixels; a Laplacian pyramid; the \
magnitudes of a steerable pyramid, pooled; a bank of hand-made filters, rectified and pooled; as many filters of the same \
size, rectified and pooled in the same way, but learned; and what three learned layers of small filters end in.\n\n\
A pyramid that is merely linear adds little to what a linear classifier could do by itself. What helps is what comes after \
the filters: to rectify and to pool. With the fourteen hundred embedded digits, filters made by hand hold their own \
against one layer of learned ones: what people know about edges is worth many examples. Give it more of them (`--data`), \
or more layers, and learning catches up.",
    equations: &["f(x) = W \"pool\"(\\max(0, k * x)) + b, \\quad k \\quad \"by hand, or learned\""],
    source: file!(),
    run,
};

/// Side of a pooled cell in pixels.
const CELL: usize = 4;
/// Side of the filters.
const SIZE: usize = 9;
/// Passes over the training images, for the classifier and for the filters.
const EPOCHS: u64 = 30;
const BATCH: usize = 32;
/// Images that are used of larger sets.
const MOST: usize = 4000;

/// A description of both sets of images.
struct Described {
    train: Samples<f32>,
    val: Samples<f32>,
}

fn run(context: &Context) -> Result<Finding, Error> {
    let mut finding = Finding::default();
    let (splits, name) = context.digits_or_mnist()?;
    finding.data = name.to_owned();
    let [_, height, width] = splits.train.image_shape();
    let (train, val) = (Samples::pictures(&*splits.train, MOST)?, Samples::pictures(&*splits.val, MOST)?);
    let images = Described { train: enlarged(&train, [height, width]), val: enlarged(&val, [height, width]) };
    let size = [2 * height, 2 * width];

    let bank = two_sided(&FilterBank::gaussian_derivatives(SIZE, 1.5, 4));
    let mut learned = pooled_network(context, size, &bank, None)?;
    for epoch in 0..EPOCHS / 2 {
        learned.epoch(&images.train, 2e-3, epoch);
    }
    let mut fixed = pooled_network(context, size, &bank, Some(&bank))?;
    let mut deep = deep_network(context, [height, width])?;
    for epoch in 0..EPOCHS / 2 {
        deep.epoch(&train, 1e-3, epoch);
    }
    let pixels = Described { train, val };
    let small = pixels.through(&mut deep);
    let descriptions = [
        ("pixels", pixels),
        ("Laplacian pyramid", images.each(|image| laplacian(image, size))),
        ("steerable pyramid, magnitudes, pooled", images.each(|image| steerable(image, size))),
        ("hand-made filters, rectified, pooled", images.through(&mut fixed)),
        ("learned filters, rectified, pooled", images.through(&mut learned)),
        ("three learned layers", small),
    ];
    let mut table = Table::new(
        "one linear classifier, six descriptions",
        ["description", "numbers per image", "error on training images", "error on held-out images"],
    );
    let mut bars = Bars::new("held-out error of the same linear classifier").width(620.0);
    let mut errors = Vec::new();
    for (i, (name, description)) in descriptions.iter().enumerate() {
        let [on_train, on_val] = classify(context, description)?;
        let percent = |e: f64| format!("{:.1} %", 100.0 * e);
        table.row([
            (*name).to_owned(),
            description.train.len.to_string(),
            percent(on_train),
            percent(on_val),
        ]);
        bars = bars.bar(name, on_val, &percent(on_val), usize::from(i >= 4));
        errors.push(on_val);
        finding.check(format!("{name}: share of held-out images misread"), on_val, Expected::AtMost(0.15));
    }
    for (what, over) in [
        ("hand-made filters: held-out error over that of pixels", errors[3] / errors[0]),
        ("learned filters: held-out error over that of pixels", errors[4] / errors[0]),
        ("three learned layers: held-out error over that of one", errors[5] / errors[4]),
    ] {
        finding.check(what, over, Expected::AtMost(1.0));
    }
    finding.table(table);
    let sheet =
        kernels(Sheet::new("Hand-made and learned features").gap(10.0), &bank, &learned).row().add(bars);
    finding.figure("features", FEATURES, sheet);
    Ok(finding)
}

const FEATURES: &str = "The filters made by hand, first and second derivatives of a Gaussian in both signs; as many \
learned ones; and the error of the linear classifier on each description, orange where it was learned.";

impl Described {
    /// Each image described by a function.
    fn each(&self, of: impl Fn(&[f32]) -> Vec<f32>) -> Described {
        let describe = |samples: &Samples<f32>| {
            let x: Vec<f32> = samples.x.chunks_exact(samples.len).flat_map(&of).collect();
            Samples { len: x.len() / samples.count(), x, wanted: samples.wanted.clone() }
        };
        Described { train: describe(&self.train), val: describe(&self.val) }
    }

    /// Each image described by what a network's pooling layer gives.
    fn through(&self, network: &mut Learner<f32>) -> Described {
        let node = network.graph.find("features").expect("a layer of features");
        let mut describe = |samples: &Samples<f32>| {
            let x = network.values(&samples.x, node);
            Samples { len: x.len() / samples.count(), x, wanted: samples.wanted.clone() }
        };
        Described { train: describe(&self.train), val: describe(&self.val) }
    }
}

/// Images of twice the side: filters of nine pixels are too large for eight.
fn enlarged(samples: &Samples<f32>, size: [usize; 2]) -> Samples<f32> {
    let image = |x: &[f32]| single(&expand(&double(x, size), size.map(|n| 2 * n), &binomial()));
    let x = samples.x.chunks_exact(samples.len).flat_map(image).collect();
    Samples { x, len: 4 * samples.len, wanted: samples.wanted.clone() }
}

fn single(plane: &Plane) -> Vec<f32> {
    plane.values().iter().map(|&v| v as f32).collect()
}

fn double(x: &[f32], [height, width]: [usize; 2]) -> Plane {
    Plane::new(height, width, x.iter().map(|&v| f64::from(v)).collect())
}

fn laplacian(image: &[f32], size: [usize; 2]) -> Vec<f32> {
    let pyramid = Laplacian::new(&double(image, size), 3, &binomial());
    pyramid.bands.iter().chain([&pyramid.rest]).flat_map(single).collect()
}

/// Magnitudes of all bands in cells of the finest level's size, and what is coarser than all bands.
fn steerable(image: &[f32], size: [usize; 2]) -> Vec<f32> {
    let pyramid = Steerable::new(&double(image, size), 2, 4);
    let mut numbers = Vec::new();
    for (level, band) in
        pyramid.bands.iter().enumerate().flat_map(|(l, bands)| bands.iter().map(move |b| (l, b)))
    {
        let cell = CELL >> level;
        let [rows, columns] = band.size().map(|n| n / cell);
        for i in 0..rows * columns {
            let corner = [i / columns * cell, i % columns * cell];
            let window = band.window(corner, [cell, cell]);
            numbers
                .push((window.values().iter().map(|v| v.abs()).sum::<f64>() / (cell * cell) as f64) as f32);
        }
    }
    numbers.extend(single(&pyramid.rest));
    numbers
}

/// Every filter, and its negative: rectified, they keep what is positive and what is negative apart.
fn two_sided(bank: &FilterBank) -> FilterBank {
    let negative =
        |filter: &Filter| Filter { name: format!("−{}", filter.name), kernel: filter.kernel.map(|v| -v) };
    FilterBank::new(bank.filters().iter().flat_map(|filter| [filter.clone(), negative(filter)]).collect())
}

/// A convolution of the bank's size, a rectifier, pooling and a linear classifier. The weights of the convolution are the
/// bank's if there is one, and start at random otherwise.
fn pooled_network(
    context: &Context,
    [height, width]: [usize; 2],
    like: &FilterBank,
    bank: Option<&FilterBank>,
) -> Result<Learner<f32>, Error> {
    let (layer, weights) = bank.unwrap_or(like).layer::<f32>();
    let mut graph = Graph::new();
    let x = graph.input("image", [1, height, width])?;
    let x = graph.add(
        "filters",
        Conv2d { init: Init::He { uniform: false, slope: 0.0, fan_out: false }, ..layer },
        [x],
    )?;
    let x = graph.add("relu", Relu {}, [x])?;
    let x = graph.add("pool", AvgPool2d::new(CELL).stride(CELL), [x])?;
    let x = graph.add("features", Flatten {}, [x])?;
    graph.add("classifier", Linear::new(10), [x])?;
    let mut learner = Learner::new(context.engine(), graph, CROSS_ENTROPY, ADAM, BATCH, context.seed())?;
    if bank.is_some() {
        let entry = learner.graph.layout().entries()[0].clone();
        learner.params.set(&entry, &weights);
    }
    Ok(learner)
}

/// Three layers of 3×3 filters, with pooling after the second and the third.
fn deep_network(context: &Context, [height, width]: [usize; 2]) -> Result<Learner<f32>, Error> {
    let mut graph = Graph::new();
    let mut x = graph.input("image", [1, height, width])?;
    for (layer, maps) in [32, 32, 64].into_iter().enumerate() {
        x = graph.add(&format!("conv{layer}"), Conv2d::new(maps, 3).padding(1), [x])?;
        x = graph.add(&format!("relu{layer}"), Relu {}, [x])?;
        if layer > 0 {
            x = graph.add(&format!("pool{layer}"), MaxPool2d::new(2).stride(2), [x])?;
        }
    }
    let x = graph.add("features", Flatten {}, [x])?;
    graph.add("classifier", Linear::new(10), [x])?;
    Learner::new(context.engine(), graph, CROSS_ENTROPY, ADAM, BATCH, context.seed())
}

/// Errors of a linear classifier on training and on held-out images. Each number is brought to mean 0 and variance 1 first.
fn classify(context: &Context, description: &Described) -> Result<[f64; 2], Error> {
    let Described { train, val } = description;
    let len = train.len;
    let n = train.count() as f32;
    let lines: Vec<[f32; 2]> = (0..len)
        .map(|i| {
            let column = || train.x.iter().skip(i).step_by(len);
            let mean = column().sum::<f32>() / n;
            let variance = column().map(|v| (v - mean).powi(2)).sum::<f32>() / n;
            // What hardly ever differs is left small.
            [mean, 1.0 / (variance + 1e-4).sqrt()]
        })
        .collect();
    let scaled = |samples: &Samples<f32>| {
        let x =
            samples.x.iter().enumerate().map(|(i, v)| (v - lines[i % len][0]) * lines[i % len][1]).collect();
        Samples { x, ..samples.clone() }
    };
    let (train, val) = (scaled(train), scaled(val));
    debug_assert!(matches!(train.wanted, Wanted::Classes(_)), "images with classes");
    let mut graph = Graph::new();
    let x = graph.input("x", [len])?;
    graph.add("classifier", Linear::new(10).init(Init::Constant { value: 0.0 }), [x])?;
    let mut head = Learner::new(context.engine(), graph, CROSS_ENTROPY, ADAM, BATCH, context.seed())?;
    for epoch in 0..EPOCHS {
        // Slowly to rest, so that the last steps do not decide.
        let rate = 2e-3 * (1.0 - epoch as f64 / EPOCHS as f64);
        head.epoch(&train, rate, epoch);
    }
    Ok([1.0 - head.accuracy(&train), 1.0 - head.accuracy(&val)])
}

fn kernels(sheet: Sheet, bank: &FilterBank, learned: &Learner<f32>) -> Sheet {
    let n = bank.filters().len();
    let mine = bank.filters().iter().map(|filter| filter.kernel.clone());
    let weights = learned.params.get(&learned.graph.layout().entries()[0]);
    let others = weights.data().chunks_exact(SIZE * SIZE).map(|w| double(w, [SIZE, SIZE]));
    let tile = |plane: Plane| Raster::signed("", plane.values(), plane.size()).width(42.0);
    sheet.grid(n, mine.map(tile)).grid(n, others.map(tile))
}
