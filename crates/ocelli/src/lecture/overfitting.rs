//! A wide network and few examples.

use ocelli_core::ops::Linear;

use super::learner::{ADAM, CROSS_ENTROPY, Learner, Samples, stack};
use super::{Context, Expected, Experiment, Finding, Part};
use crate::Error;
use crate::figure::{Mark, Plot, Sheet};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "overfitting",
    title: "A wide network and few examples",
    part: Part::Units,
    checklist: &[47],
    about: "A network with many more parameters than examples can learn them by heart. Half a thousand hidden units are \
trained on 20 images, on 40, and so on up to all of the training images, for some 400 steps and at least ten passes, and \
then measured on images that they have not seen: the fewer the examples, the wider the gap.",
    equations: &["\"gap\" = \"accuracy on what was learned\" - \"accuracy on images not seen\""],
    source: file!(),
    run,
};

const UNITS: usize = 512;
const STEPS: usize = 400;
const BATCH: usize = 20;

fn run(context: &Context) -> Result<Finding, Error> {
    let mut finding = Finding::default();
    let (splits, name) = context.digits_or_mnist()?;
    finding.data = name.to_owned();
    // Enough to see the gap close, few enough to take seconds.
    let (train, val) =
        (Samples::<f32>::pictures(&*splits.train, 2000)?, Samples::pictures(&*splits.val, 2000)?);
    let mut counts: Vec<usize> =
        [20, 40, 80, 160, 320, 640, 1280].into_iter().filter(|n| *n < train.count()).collect();
    counts.push(train.count());
    let (mut learned, mut held, mut parameters) = (Vec::new(), Vec::new(), 0);
    for &count in &counts {
        let some = train.chosen(&(0..count).collect::<Vec<_>>());
        let mut learner = network(context, train.len)?;
        parameters = learner.parameters();
        let epochs = (STEPS * BATCH / count).max(10);
        for epoch in 0..epochs {
            learner.epoch(&some, 1e-3, epoch as u64);
        }
        learned.push([count as f64, learner.accuracy(&some)]);
        held.push([count as f64, learner.accuracy(&val)]);
    }
    let gap = |i: usize| learned[i][1] - held[i][1];
    finding.check("parameters", parameters as f64, Expected::Anything);
    finding.check("20 examples: accuracy on them", learned[0][1], Expected::Exactly(1.0));
    finding.check("20 examples: accuracy on images not seen", held[0][1], Expected::AtMost(0.9));
    finding.check("gap with 20 examples", gap(0), Expected::AtLeast(0.1));
    finding.check(
        "gap with all examples, over that with 20",
        gap(counts.len() - 1) / gap(0),
        Expected::AtMost(0.5),
    );
    let plot = Plot::new("accuracy against the number of examples", "training examples", "top-1")
        .size(480.0, 290.0)
        .log_x()
        .series("on what was learned", Mark::Line, learned.clone())
        .series("on images not seen", Mark::Line, held.clone())
        .colored("", Mark::Dots, 0, learned)
        .colored("", Mark::Dots, 1, held);
    finding.figure(
        "gap",
        "A network of 512 hidden units, trained on more and more examples.",
        Sheet::new("Overfitting").add(plot),
    );
    Ok(finding)
}

fn network(context: &Context, inputs: usize) -> Result<Learner<f32>, Error> {
    let graph = stack(inputs, 1, UNITS, Linear::new)?;
    Learner::new(context.engine(), graph, CROSS_ENTROPY, ADAM, BATCH, context.seed())
}
