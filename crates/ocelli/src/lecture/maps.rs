//! What LeNet-5 computes on the way: its input, its maps, F6, its output.

use ocelli_core::{PlanOptions, to_channels_first};

use super::pictures::Pictures;
use super::trained::{Job, Trained, train};
use super::{Context, Expected, Experiment, Finding, Part};
use crate::Error;
use crate::classical::Plane;
use crate::figure::{Raster, Sheet};
use crate::predict::model_preprocess;
use crate::train::NetSpec;

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "feature-maps",
    title: "What LeNet-5 sees on the way",
    part: Part::History,
    checklist: &[23, 24],
    about: "Each map of a convolutional layer is an image again: where its kernel found what it looks for. Resolution falls from layer to \
layer, the number of maps rises, until F6 is a vector of 84 numbers, which training pulls towards a small picture of the digit in ±1; \
the output compares it with the ten pictures.\n\n\
Shown is LeNet-5 after training, on one held-out picture of each of five classes.",
    equations: &["x_{C1} = f(b + w * x), \\quad x_{S2} = f(a Σ_{2×2} x_{C1} + b)"],
    source: file!(),
    run,
};

/// LeNet-5, trained for as many passes as suffice to show something.
pub(super) fn trained(
    context: &Context,
    distorted: bool,
) -> Result<(Trained, ocelli_data::Splits, &'static str), Error> {
    let (splits, data) = context.digits_or_mnist()?;
    let change = move |recipe: &mut crate::Recipe| {
        recipe.epochs = if data == "MNIST" { 3 } else { 20 };
        if distorted {
            recipe.augmentation = crate::Augmentation::Distort;
        }
    };
    let net = NetSpec::new("lenet5", Vec::new());
    let job = Job { splits: &splits, net, change: &change, seed: context.seed() };
    let done = train(context, &job)?;
    Ok((done, splits, data))
}

/// The layers that are shown, after their squash, and how.
const SHOWN: [(&str, f64); 4] =
    [("C1.squash", 64.0), ("S2.squash", 64.0), ("C3.squash", 36.0), ("S4.squash", 36.0)];

/// Digits that are shown.
const DIGITS: [u32; 5] = [0, 2, 3, 4, 8];

fn run(context: &Context) -> Result<Finding, Error> {
    let (done, splits, data) = trained(context, false)?;
    let mut finding = Finding { data: data.to_owned(), ..Finding::default() };
    let graph = &done.model.network.graph;
    let preprocess = model_preprocess(&done.model)?;
    let samples = Pictures::of(&*splits.val, &preprocess, usize::MAX)?;
    let options = PlanOptions { reuse: false, fuse: false, ..PlanOptions::evaluate(1) };
    let mut executor = context.engine().executor::<f32>(graph, options)?;
    let codes = done.model.params.get(graph.layout().entries().last().expect("invariant: units")).into_data();
    let mut panels = Vec::new();
    let (mut agreeing, mut bits) = (0usize, 0usize);
    for digit in DIGITS {
        let Some(i) = (0..samples.len()).find(|&i| samples.labels[i] == digit) else { continue };
        let image = samples.image(i);
        executor.forward(&done.model.params, &[image], 1);
        let value = |name: &str| -> Vec<f64> {
            let value = graph.find(name).expect("invariant: LeNet-5 has that layer");
            let shape = graph.node(value).shape();
            let values = executor.value(value).expect("a plan without reuse keeps every value");
            let mut ordered = vec![0.0; values.len()];
            let [c, h, w] = shape.image().unwrap_or([1, 1, shape.len()]);
            to_channels_first(1, c, h * w, values, &mut ordered);
            ordered.iter().map(|&v| f64::from(v)).collect()
        };
        let paper: Vec<f64> = image.iter().map(|&v| -f64::from(v)).collect();
        panels.push(Raster::grey("input", &paper, [32, 32], [-1.175, 0.1]).width(96.0));
        for (name, width) in SHOWN {
            let [c, h, w] = graph
                .node(graph.find(name).expect("invariant: LeNet-5 has that layer"))
                .shape()
                .image()
                .expect("invariant: maps");
            let label = name.trim_end_matches(".squash");
            panels.push(stacked(label, &value(name), [c, h, w], width));
        }
        let f6 = value("F6.squash");
        agreeing += f6
            .iter()
            .zip(&codes[digit as usize * 84..])
            .filter(|(f, code)| (**f > 0.0) == (**code > 0.0))
            .count();
        bits += 84;
        let ink: Vec<f64> = f6.iter().map(|v| -v).collect();
        panels.push(Raster::grey("F6", &ink, [12, 7], [-1.2, 1.2]).width(56.0));
    }
    finding.check("held-out error, %", 100.0 * (1.0 - done.outcome.val.top1), Expected::AtMost(5.0));
    finding.check(
        "share of units of F6 whose sign is that of the digit’s code",
        agreeing as f64 / bits.max(1) as f64,
        Expected::AtLeast(0.85),
    );
    finding.figure(
        "maps",
        "Five held-out digits, one a row: the input, the 6 maps of C1, those of S2, the 16 maps of C3, those of S4 (bright is large; the \
         maps of a layer share a scale), and F6 laid out as a picture 7 wide and 12 high: the digit that the network draws inside.",
        Sheet::new("The maps of LeNet-5 on five digits").grid(SHOWN.len() + 2, panels),
    );
    Ok(finding)
}

/// Maps in a grid.
fn stacked(title: &str, maps: &[f64], [count, height, width]: [usize; 3], side: f64) -> Raster {
    let columns = if count <= 6 { 3 } else { 4 };
    let low = maps.iter().copied().fold(f64::INFINITY, f64::min);
    let high = maps.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let maps = maps.chunks_exact(height * width).map(|map| Plane::new(height, width, map.to_vec()));
    let whole = Plane::tiled(&maps.collect::<Vec<_>>(), columns, 1, low);
    Raster::grey(title, whole.values(), whole.size(), [low, high]).width(side * columns as f64 * 0.75)
}
