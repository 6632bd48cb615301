//! LeNet-5 under shift, scale, rotation, noise, squeeze and stroke width; and the penalties of its labels.

use ocelli_core::{Executor, PlanOptions};
use ocelli_kernels::random::Stream;

use super::maps::trained;
use super::numbers::mean;
use super::pictures::Pictures;
use super::trained::Trained;
use super::{Context, Expected, Experiment, Finding, Part};
use crate::Error;
use crate::baselines::{Affine, thicken, warp};
use crate::figure::html::{Page, text};
use crate::figure::{Mark, Panel, Plot, Raster, Sheet};
use crate::predict::{model_loss, model_preprocess};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "distortions",
    title: "How far can a digit be bent?",
    part: Part::History,
    checklist: &[21, 22],
    about: "LeNet-5’s demonstrations show digits shifted, scaled, turned, squeezed, drawn with thick and thin strokes and covered with noise, and \
the network reading them all the same. How far that goes is measured here: held-out digits are distorted more and more, and \
what is still read is counted, for a network trained on pictures as they are and for one trained on distorted ones.\n\n\
The paper’s figure 13 prints under each input the ten labels in greys: the fainter a label, the higher its penalty, the distance \
of F6 to that label’s picture. A good answer is one strong label among nine pale ones.",
    equations: &["y_i = Σ_j (x_j − w_{ij})^2, \\quad \"answer\" = \"argmin\"_i y_i"],
    source: file!(),
    run,
};

/// A way to distort a digit by an amount.
struct Way {
    name: &'static str,
    unit: &'static str,
    /// From nothing to too much.
    amounts: &'static [f64],
    /// The amount that changes nothing.
    rest: f64,
    apply: fn(&[f32], f64, &mut Stream) -> Vec<f32>,
}

/// Height and width of LeNet-5's input.
const SIZE: [usize; 2] = [32, 32];

const WAYS: [Way; 6] = [
    Way {
        name: "shift",
        unit: "pixels to the right",
        amounts: &[-8.0, -6.0, -4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0],
        rest: 0.0,
        apply: |ink, by, _| warp(ink, SIZE, &Affine::shift(0.0, by)),
    },
    Way {
        name: "scale",
        unit: "times as large",
        amounts: &[0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6],
        rest: 1.0,
        apply: |ink, by, _| warp(ink, SIZE, &Affine::scale(by, by)),
    },
    Way {
        name: "rotation",
        unit: "degrees clockwise",
        amounts: &[-60.0, -45.0, -30.0, -20.0, -10.0, 0.0, 10.0, 20.0, 30.0, 45.0, 60.0],
        rest: 0.0,
        apply: |ink, by, _| warp(ink, SIZE, &Affine::rotation(by)),
    },
    Way {
        name: "squeeze",
        unit: "width over height",
        amounts: &[0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.15, 1.3, 1.5, 1.75, 2.0, 2.5],
        rest: 1.0,
        apply: |ink, by, _| warp(ink, SIZE, &Affine::scale(by.powf(-0.5), by.sqrt())),
    },
    Way {
        name: "stroke width",
        unit: "pixels wider",
        amounts: &[-3.0, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0],
        rest: 0.0,
        apply: |ink, by, _| thicken(ink, SIZE, by / 2.0),
    },
    Way {
        name: "noise",
        unit: "share of pixels inverted",
        amounts: &[0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5],
        rest: 0.0,
        apply: |ink, by, stream| {
            ink.iter().map(|&p| if stream.uniform() < by { 1.0 - p } else { p }).collect()
        },
    },
];

/// Digits that the curves are measured on.
const MOST: usize = 500;
/// Pictures at a time.
const BATCH: usize = 64;

fn run(context: &Context) -> Result<Finding, Error> {
    let (plain, splits, data) = trained(context, false)?;
    let (bent, ..) = trained(context, true)?;
    let mut finding = Finding { data: data.to_owned(), ..Finding::default() };
    let preprocess = model_preprocess(&plain.model)?;
    let samples = Pictures::of(&*splits.val, &preprocess, MOST)?;
    // Ink from 0 to 1, as distortions take it; LeNet-5 takes −0.1 to 1.175.
    let ink = samples.map(|image| image.iter().map(|v| (v + 0.1) / 1.275).collect());
    let mut readers = [Reader::new(context, &plain)?, Reader::new(context, &bent)?];
    let mut curves = Vec::new();
    for way in &WAYS {
        let [as_is, distorted] = readers.each_mut().map(|reader| reader.curve(context, &ink, way));
        let undistorted =
            way.amounts.iter().position(|&a| a == way.rest).expect("invariant: rest is an amount");
        finding.check(
            format!("share read undistorted ({}), trained on pictures as they are", way.name),
            as_is[undistorted],
            Expected::AtLeast(0.94),
        );
        let gain = mean(&distorted) - mean(&as_is);
        finding.check(
            format!(
                "{}: gain in share read by training on distorted pictures, mean over the curve",
                way.name
            ),
            gain,
            gain_of(way.name),
        );
        curves.push(plot(way, &as_is, &distorted));
    }
    let curves = Sheet::new("The share of digits that are read, by distortion").grid(3, curves);
    finding.figure("curves", CURVES, curves);
    let example = (0..ink.len()).find(|&i| ink.labels[i] == 4).unwrap_or(0);
    finding.figure("strip", STRIP, strip(context, &ink, example, &mut readers[1]));
    let (right, others) = readers[0].penalties(&ink);
    finding.check(
        "penalty of the right label over the mean of the others",
        right / others,
        Expected::AtMost(0.5),
    );
    Ok(finding)
}

const CURVES: &str = "How many of the held-out digits are read, the more they are distorted. Blue: trained on pictures as they are. Orange: \
trained on pictures shifted, scaled, squeezed and sheared at random.";

const STRIP: &str = "One held-out digit under each distortion, read by the network that was trained on distorted pictures. Below each the \
ten labels, as in the paper’s figure 13: the fainter, the larger the penalty. A framed label is the answer.";

/// Distortions that were trained with help against themselves; against others they need not.
fn gain_of(way: &str) -> Expected {
    match way {
        "shift" | "scale" | "squeeze" => Expected::AtLeast(0.0),
        _ => Expected::Anything,
    }
}

/// A trained LeNet-5 that reads pictures of ink.
struct Reader<'a> {
    trained: &'a Trained,
    executor: Executor<f32>,
    loss: ocelli_core::Loss,
}

impl<'a> Reader<'a> {
    fn new(context: &Context, trained: &'a Trained) -> Result<Reader<'a>, Error> {
        let executor =
            context.engine().executor(&trained.model.network.graph, PlanOptions::evaluate(BATCH))?;
        Ok(Reader { trained, executor, loss: model_loss(&trained.model)? })
    }

    /// The penalties of the ten labels for each picture.
    fn read(&mut self, ink: &[f32]) -> Vec<f32> {
        let width = SIZE[0] * SIZE[1];
        let input: Vec<f32> = ink.iter().map(|p| 1.275 * p - 0.1).collect();
        let mut penalties = Vec::new();
        for batch in input.chunks(BATCH * width) {
            let outputs = self.executor.forward(&self.trained.model.params, &[batch], batch.len() / width);
            penalties.extend_from_slice(outputs);
        }
        penalties
    }

    /// The share of pictures that is read at each amount.
    fn curve(&mut self, context: &Context, ink: &Pictures, way: &Way) -> Vec<f64> {
        let at = |amount: &f64| {
            let mut stream = context.key(&[21, amount.to_bits()]).stream();
            let bent = ink.map(|image| (way.apply)(image, *amount, &mut stream));
            let penalties = self.read(&bent.images);
            let answers = penalties.chunks_exact(10).map(|p| self.loss.predicted_class(p) as u32);
            let right = answers.zip(&ink.labels).filter(|(answer, label)| answer == *label).count();
            right as f64 / ink.len() as f64
        };
        way.amounts.iter().map(at).collect()
    }

    /// The mean penalty of the right label, and that of the others.
    fn penalties(&mut self, ink: &Pictures) -> (f64, f64) {
        let (mut right, mut others) = (0.0, 0.0);
        for (penalties, label) in self.read(&ink.images).chunks_exact(10).zip(&ink.labels) {
            for (class, penalty) in penalties.iter().enumerate() {
                let sum = if class == *label as usize { &mut right } else { &mut others };
                *sum += f64::from(*penalty);
            }
        }
        (right, others / 9.0)
    }
}

fn plot(way: &Way, as_is: &[f64], distorted: &[f64]) -> Plot {
    let points = |shares: &[f64]| way.amounts.iter().zip(shares).map(|(a, s)| [*a, *s]).collect::<Vec<_>>();
    Plot::new(way.name, way.unit, "share read")
        .size(310.0, 230.0)
        .y_limits(0.0, 1.0)
        .colored("as they are", Mark::Line, 0, points(as_is))
        .colored("distorted", Mark::Line, 1, points(distorted))
}

/// One digit under each distortion, with the labels in greys.
fn strip(context: &Context, ink: &Pictures, example: usize, reader: &mut Reader) -> Sheet {
    const SHOWN: usize = 9;
    let mut panels = Vec::new();
    for way in &WAYS {
        let spread = |i: usize| way.amounts[i * (way.amounts.len() - 1) / (SHOWN - 1)];
        for amount in (0..SHOWN).map(spread) {
            let mut stream = context.key(&[22, amount.to_bits()]).stream();
            let bent = (way.apply)(ink.image(example), amount, &mut stream);
            let penalties = reader.read(&bent);
            let paper: Vec<f64> = bent.iter().map(|&p| 1.0 - f64::from(p)).collect();
            let title =
                if amount == spread(0) { format!("{} {}", way.name, signed(amount)) } else { signed(amount) };
            panels.push(Read {
                picture: Raster::grey(&title, &paper, SIZE, [0.0, 1.0]).width(78.0),
                penalties: penalties.iter().map(|&p| f64::from(p)).collect(),
            });
        }
    }
    Sheet::new("A digit under distortions, with the penalties of its labels").grid(SHOWN, panels)
}

fn signed(amount: f64) -> String {
    amount.to_string().replace('-', "−")
}

/// A picture with its labels below, the fainter the higher their penalty.
struct Read {
    picture: Raster,
    penalties: Vec<f64>,
}

impl Panel for Read {
    fn size(&self) -> [f64; 2] {
        let [width, height] = self.picture.size();
        [width, height + 18.0]
    }

    fn draw(&self, page: &mut Page, x: f64, y: f64) {
        self.picture.draw(page, x, y);
        let [width, height] = self.picture.size();
        let most = self.penalties.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let least = self.penalties.iter().copied().fold(f64::INFINITY, f64::min);
        let step = width / self.penalties.len() as f64;
        for (label, penalty) in self.penalties.iter().enumerate() {
            let (left, strength) = (x + step * label as f64, 1.0 - 0.9 * penalty / most);
            let answer = *penalty == least;
            if answer {
                writeln!(
                    page,
                    "<g class=\"c1\"><rect class=\"curve thin\" x=\"{left:.1}\" y=\"{:.1}\" width=\"{step:.1}\" height=\"14\"/></g>",
                    y + height + 3.0
                );
            }
            writeln!(
                page,
                "<text class=\"strong\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" opacity=\"{strength:.2}\" style=\"font-size:11px\">{}</text>",
                left + step / 2.0,
                y + height + 14.0,
                text(&label.to_string())
            );
        }
    }
}
