//! What a report says: plain data, filled by the trainer, with no knowledge of HTML.

use serde::{Deserialize, Serialize};

/// Everything that `report.html` shows about one training run, or about one evaluation.
///
/// Accuracies, probabilities and shares are fractions of 1. In a training run `summary`, `confusion`, `filters`, `mistakes` and
/// their like describe the run's model (the last epoch's, but with patience, the best epoch's), measured on the held-out images.
/// Any list may be empty: its section then says so or is left out. `f64::NAN` and infinities may stand in the
/// curves; they are drawn as gaps and named. (JSON has no word for them: there they turn into `null`.)
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What the report is about.
    #[serde(default)]
    pub occasion: Occasion,
    /// Name of the run, as its folder is called; of an evaluation, the name of the model.
    pub run: String,
    /// Name of the network, or of several.
    pub net: String,
    /// Name or path of the data set.
    pub data: String,
    /// The command line that makes this run again.
    pub command: String,
    /// When training or evaluation started, ISO 8601.
    pub started: String,
    /// Wall-clock seconds of the whole.
    pub seconds: f64,
    /// What it ran on.
    pub environment: Environment,
    /// The figures at the top.
    pub summary: Summary,
    /// Learning curves, in the order of epochs.
    pub curves: Vec<EpochRow>,
    /// How fast training went, in the order of epochs.
    #[serde(default)]
    pub pace: Vec<PaceRow>,
    /// [`EpochRow::epoch`] with the highest held-out top-1, whose weights are kept too.
    pub best_epoch: Option<f64>,
    /// Class names, in the order of the network's outputs.
    pub classes: Vec<String>,
    /// Counts of images, n×n for n classes, row-major: row = true class, column = predicted class.
    pub confusion: Vec<u32>,
    /// For each class, the share of its images with it among the five most probable classes; empty for five classes or fewer.
    #[serde(default)]
    pub class_top5: Vec<Option<f64>>,
    /// The most frequent confusions with examples, most frequent first.
    #[serde(default)]
    pub confusions: Vec<Confusion>,
    /// Some images that chance chose, with the most probable classes.
    #[serde(default)]
    pub samples: Vec<Sample>,
    /// Most probable classes by their probability, in bins of equal width from 0 to 1.
    #[serde(default)]
    pub calibration: Vec<CalibrationBin>,
    /// The first convolution's filters, where the network starts with one.
    pub filters: Option<Filters>,
    /// The mistakes with the highest loss, worst first.
    pub mistakes: Vec<Mistake>,
    /// The mistakes with the highest loss of each class, worst first; all of a class stand together.
    #[serde(default)]
    pub class_mistakes: Vec<Mistake>,
    /// The network, layer by layer.
    pub layers: Vec<LayerRow>,
    /// How each layer fared over the epochs.
    pub health: Vec<LayerHealth>,
    /// The resolved configuration as TOML text.
    pub config_toml: String,
}

/// What a report is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Occasion {
    /// A training run; what was measured, was measured on held-out images.
    #[default]
    Training,
    /// The evaluation of finished models.
    Evaluation,
}

/// What a run ran on: together with the command, what decides its bits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// Version of Ocelli.
    pub version: String,
    /// Instruction set of the kernels, such as `avx512`.
    pub isa: String,
    /// Number of threads.
    pub threads: usize,
}

/// The figures of the model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Share of held-out images whose most probable class is the true one.
    pub top1: Option<f64>,
    /// Share of held-out images with the true class among the five most probable; `None` for five classes or fewer.
    pub top5: Option<f64>,
    /// Mean loss over the held-out images.
    pub loss: Option<f64>,
    /// Expected calibration error over the held-out images.
    #[serde(default)]
    pub calibration_error: Option<f64>,
    /// Number of trained parameters.
    pub parameters: u64,
    /// Throughput of training, or of evaluation.
    pub images_per_second: f64,
    /// SHA-256 of the weights, lower-case hexadecimal; empty for several models.
    pub weights_sha256: String,
}

/// One point of the learning curves; what was not measured is `None`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EpochRow {
    /// Epochs done, counted from the start of training: 1.0 after the first, 0.5 in the middle of it.
    pub epoch: f64,
    /// Learning rate of the last step.
    pub learning_rate: Option<f64>,
    /// Mean loss over the training images.
    pub train_loss: Option<f64>,
    /// Top-1 accuracy over the training images.
    pub train_top1: Option<f64>,
    /// Mean loss over the held-out images.
    pub val_loss: Option<f64>,
    /// Top-1 accuracy over the held-out images.
    pub val_top1: Option<f64>,
    /// Top-5 accuracy over the held-out images.
    pub val_top5: Option<f64>,
}

/// How fast one epoch of training went; what was not measured is `None`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PaceRow {
    /// The epoch, as in [`EpochRow::epoch`].
    pub epoch: f64,
    /// Training images per second.
    pub images_per_second: Option<f64>,
    /// Share of the time in which the network waited for images.
    pub waiting: Option<f64>,
}

/// The weights of a convolution, as they lie in memory: `count`×`height`×`width`×`channels`, channels innermost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Filters {
    /// Name of the layer.
    pub layer: String,
    /// Number of filters (output channels).
    pub count: usize,
    /// Height of a filter.
    pub height: usize,
    /// Width of a filter.
    pub width: usize,
    /// Input channels; three are shown as red, green and blue.
    pub channels: usize,
    /// The weights.
    pub values: Vec<f32>,
}

/// An image of 8-bit samples, row by row, channels innermost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.
    pub channels: usize,
    /// `height`×`width`×`channels` samples.
    pub pixels: Vec<u8>,
}

/// A class that is taken for another.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Confusion {
    /// The class of the images, an index into [`Report::classes`].
    pub truth: usize,
    /// What they were taken for, an index into [`Report::classes`].
    pub predicted: usize,
    /// How many images.
    pub images: u64,
    /// Some of them.
    pub examples: Vec<Mistake>,
}

/// An image with the classes that it was taken for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The image.
    pub picture: Picture,
    /// The image's name within its data set: a path or an index.
    pub name: String,
    /// True class, an index into [`Report::classes`].
    pub truth: usize,
    /// The most probable classes, most probable first.
    pub guesses: Vec<Guess>,
}

/// A class and its probability.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Guess {
    /// The class, an index into [`Report::classes`].
    pub class: usize,
    /// Its probability.
    pub probability: f32,
}

/// The most probable classes whose probabilities are about the same.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// How many images.
    pub images: u64,
    /// Their mean probability; `None` without images.
    pub confidence: Option<f64>,
    /// The share that is right; `None` without images.
    pub accuracy: Option<f64>,
}

/// A held-out image that the network took for something else.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Mistake {
    /// The image, small.
    pub picture: Picture,
    /// The image's name within its data set: a path or an index.
    pub name: String,
    /// True class, an index into [`Report::classes`].
    pub truth: usize,
    /// Predicted class, an index into [`Report::classes`].
    pub predicted: usize,
    /// Probability given to the predicted class.
    pub probability: f32,
    /// Loss of this image.
    pub loss: f32,
}

/// One line of the network's table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerRow {
    /// Name of the layer.
    pub name: String,
    /// The op, such as `conv2d`.
    pub op: String,
    /// Output shape per image, C×H×W.
    pub output: Vec<usize>,
    /// Number of parameters.
    pub parameters: u64,
    /// Floating-point operations of the forward pass for one image; a multiply-add counts two.
    pub flops: u64,
    /// Height and width in input pixels of what one output sees, where that is not the whole image.
    pub receptive_field: Option<[usize; 2]>,
}

/// One layer's health over the epochs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LayerHealth {
    /// Name of the layer.
    pub layer: String,
    /// One entry per epoch measured, in order.
    pub epochs: Vec<HealthRow>,
}

/// One layer's health at one epoch; what does not apply to the layer is `None`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct HealthRow {
    /// The epoch, as in [`EpochRow::epoch`].
    pub epoch: f64,
    /// Euclidean norm of the gradient of the layer's parameters.
    pub gradient_norm: Option<f64>,
    /// Share of rectifier units that were zero for every image.
    pub dead: Option<f64>,
    /// Share of activations in the flat ends of a sigmoid or tanh.
    pub saturated: Option<f64>,
}
