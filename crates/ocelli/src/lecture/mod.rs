//! The lecture: every system, equation and figure of it as an experiment, most of which run in seconds.
//!
//! MIT 6.869 (2017), lecture 6, "Learned feedforward visual processing". An [`Experiment`] says what the lecture or the
//! original paper says, computes it with this library, and holds what it [finds](Finding) against that. [`EXPERIMENTS`] has
//! them in the lecture's order; [`page`](page()) makes of what they found a page that reads like a companion to it.
//!
//! ```
//! use ocelli::Engine;
//! use ocelli::lecture::{Context, find};
//! use ocelli::kernels::Isa;
//!
//! let context = Context::new(Engine::new(1, Isa::detect())?, 0, None);
//! let outcome = find("neuron")?.run(&context)?;
//! assert!(outcome.finding.accepted());
//! # Ok::<(), ocelli::Error>(())
//! ```

mod context;
mod finding;
mod learner;
mod math;
mod numbers;
mod page;
mod pictures;
mod programming;
mod quasi_newton;
mod scenes;
mod trained;

mod activations;
mod approximation;
mod backprop;
mod batches;
mod beyond;
mod bishop;
mod bits;
mod chain;
mod classifiers;
mod cost;
mod dead_units;
mod depth;
mod distortions;
mod equations;
mod family;
mod filters;
mod hand_made;
mod layers;
mod lenet5;
mod maps;
mod mark_1;
mod minsky_papert;
mod mnist;
mod neuron;
mod overfitting;
mod pdp;
mod perceptron;
mod pyramids;
mod rates;
mod relu_race;
mod second;
mod steerable;
mod tougher;
mod wavelets;
mod wide_deep;
mod windows;
mod xor;

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::Error;
use crate::io::write_text;
use crate::suggest::did_you_mean;

pub use context::Context;
pub use finding::{Check, Expected, Figure, Finding, Table};
pub use page::page;

/// Every experiment, in the lecture's order. Those of a part stand together.
pub const EXPERIMENTS: &[Experiment] = &[
    // Representations by hand.
    filters::EXPERIMENT,
    pyramids::EXPERIMENT,
    wavelets::EXPERIMENT,
    steerable::EXPERIMENT,
    hand_made::EXPERIMENT,
    // From the perceptron to AlexNet.
    perceptron::EXPERIMENT,
    mark_1::EXPERIMENT,
    minsky_papert::EXPERIMENT,
    xor::EXPERIMENT,
    pdp::EXPERIMENT,
    lenet5::EXPERIMENT,
    second::EXPERIMENT,
    mnist::EXPERIMENT,
    classifiers::EXPERIMENT,
    maps::EXPERIMENT,
    distortions::EXPERIMENT,
    tougher::EXPERIMENT,
    // Units and layers.
    neuron::EXPERIMENT,
    activations::EXPERIMENT,
    dead_units::EXPERIMENT,
    relu_race::EXPERIMENT,
    layers::EXPERIMENT,
    overfitting::EXPERIMENT,
    depth::EXPERIMENT,
    bishop::EXPERIMENT,
    approximation::EXPERIMENT,
    wide_deep::EXPERIMENT,
    // Training and detection.
    bits::EXPERIMENT,
    windows::EXPERIMENT,
    family::EXPERIMENT,
    // Back-propagation.
    backprop::EXPERIMENT,
    chain::EXPERIMENT,
    cost::EXPERIMENT,
    equations::EXPERIMENT,
    beyond::EXPERIMENT,
    batches::EXPERIMENT,
    rates::EXPERIMENT,
];

/// The parts of the lecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Filter banks, pyramids and wavelets.
    Classical,
    /// From the perceptron to AlexNet.
    History,
    /// Neurons, layers, and what networks of them can compute.
    Units,
    /// How networks are trained, and what they detect.
    Training,
    /// The gradients.
    Backpropagation,
}

impl Part {
    /// Every part, in the lecture's order.
    pub const ALL: [Part; 5] =
        [Part::Classical, Part::History, Part::Units, Part::Training, Part::Backpropagation];

    /// Its heading.
    pub const fn title(self) -> &'static str {
        match self {
            Part::Classical => "Representations by hand",
            Part::History => "From the perceptron to AlexNet",
            Part::Units => "Units and layers",
            Part::Training => "Training and detection",
            Part::Backpropagation => "Back-propagation",
        }
    }
}

/// One experiment of the lecture.
pub struct Experiment {
    /// Its name, as the command line takes it.
    pub name: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// Where it belongs.
    pub part: Part,
    /// The numbers of the claims in `docs/lecture.md` that it is about.
    pub checklist: &'static [u8],
    /// What the lecture or the original paper says, and what is done: paragraphs with an empty line between them, and code
    /// between backticks.
    pub about: &'static str,
    /// Its equations, in the notation of `math.rs`.
    pub equations: &'static [&'static str],
    /// Its source file within the repository.
    pub source: &'static str,
    /// Does it.
    pub(crate) run: fn(&Context) -> Result<Finding, Error>,
}

impl Experiment {
    /// Its equations, each as a line of text.
    pub fn equations_as_text(&self) -> impl Iterator<Item = String> {
        self.equations.iter().map(|equation| math::plain(equation))
    }

    /// Does it, and takes the time.
    ///
    /// # Errors
    /// Data that cannot be read, or too little memory. What is not found as expected is no error: [`Finding::accepted`] tells.
    pub fn run(&'static self, context: &Context) -> Result<Outcome, Error> {
        let start = Instant::now();
        let finding = (self.run)(context)?;
        Ok(Outcome { experiment: self, finding, seconds: start.elapsed().as_secs_f64() })
    }
}

/// An experiment that was done.
pub struct Outcome {
    /// Which one.
    pub experiment: &'static Experiment,
    /// What it found.
    pub finding: Finding,
    /// How long it took.
    pub seconds: f64,
}

impl Outcome {
    /// The name of a figure's file: `xor-surface.svg` for the figure `surface` of the experiment `xor`.
    pub fn file_of(&self, figure: &Figure) -> String {
        format!("{}-{}.svg", self.experiment.name, figure.name)
    }

    /// Writes every figure into `folder`, which is made if it is not there. Gives the files' paths.
    ///
    /// # Errors
    /// A folder or a file that cannot be written.
    pub fn write_figures(&self, folder: &Path) -> Result<Vec<PathBuf>, Error> {
        let write = |figure: &Figure| -> Result<PathBuf, Error> {
            let path = folder.join(self.file_of(figure));
            write_text(&path, &figure.drawing.svg())?;
            Ok(path)
        };
        self.finding.figures.iter().map(write).collect()
    }
}

/// The experiment of that name.
///
/// # Errors
/// A name that none has; the error names one that is like it.
pub fn find(name: &str) -> Result<&'static Experiment, Error> {
    EXPERIMENTS.iter().find(|experiment| experiment.name == name).ok_or_else(|| {
        let names = EXPERIMENTS.iter().map(|experiment| experiment.name);
        Error::Usage(format!(
            "no experiment is called '{name}'{}\n  `ocelli lecture` lists them all",
            did_you_mean(name, names)
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn experiments_have_names_of_their_own_and_stand_by_parts() {
        for (i, experiment) in EXPERIMENTS.iter().enumerate() {
            let Experiment { name, about, checklist, source, .. } = experiment;
            assert!(EXPERIMENTS[..i].iter().all(|other| other.name != *name), "{name}");
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(name.chars().all(plain) && *name != "all", "{name}");
            assert!(!about.is_empty() && !checklist.is_empty(), "{name}");
            assert!(source.starts_with("crates/ocelli/src/lecture/"), "{source}");
        }
        let place = |part: Part| Part::ALL.iter().position(|p| *p == part);
        assert!(EXPERIMENTS.is_sorted_by_key(|experiment| place(experiment.part)));
    }

    #[test]
    fn equations_can_be_set() {
        for experiment in EXPERIMENTS {
            for equation in experiment.equations {
                let set = math::mathml(equation);
                let closed = set.matches("</m").count() + set.matches("/>").count();
                assert_eq!(set.matches("<m").count(), closed, "{equation}: {set}");
                assert!(!set.contains('\\'), "{equation}: {set}");
            }
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_one_that_is_like_it() {
        let message = find("neurom").err().unwrap().to_string();
        assert!(message.contains("did you mean 'neuron'?"), "{message}");
    }
}
