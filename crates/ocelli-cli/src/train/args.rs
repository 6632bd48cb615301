//! The options of `train`.

use std::path::PathBuf;
use std::str::FromStr;

use ocelli_data::CacheLimit;
use ocelli_kernels::Precision;

use crate::args::{
    above_0, below_1, not_negative, number, precision, seed, size, smoothing, threads, time, width,
};
use crate::data::{DataArgs, cache};
use crate::network::{NetName, named_networks};
use crate::variation::VariationArgs;

use super::schedule::Curved;

/// Options of `train`. What decides the weights is an `Option`: only what was given replaces the network's recipe.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, override_usage = USAGE)]
pub(crate) struct Args {
    /// Images to train on: `digits` (built in), a folder with a folder of pictures for each class, a tar archive of such, a
    /// list or CSV of pictures and labels, IDX or CIFAR files
    #[arg(required_unless_present_any = ["resume", "repeat"])]
    pub(crate) data: Option<String>,
    /// Go on with the run in this folder: its data, network and recipe stay. --epochs is the new total;
    /// --threads, --cache, --checkpoint-every and the form of the output may differ
    #[arg(long, value_name = "RUN")]
    pub(crate) resume: Option<PathBuf>,
    /// Do again what the run in this folder did: its data, network, recipe and seed, and as many steps, without a clock where it
    /// had a time budget. --out, --threads, --cache, --checkpoint-every, --dry-run and the form of the output may differ
    #[arg(long, value_name = "RUN", conflicts_with = "resume")]
    pub(crate) repeat: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    #[command(flatten)]
    pub(crate) source: DataArgs,
    #[command(flatten)]
    pub(crate) recipe: RecipeArgs,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// Which network, and on what.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Network and data")]
pub(crate) struct NetworkArgs {
    #[arg(long, value_name = "NAME|FILE.toml", value_parser = NetName, hide_possible_values = true,
          help = format!("{}, a network file, or auto: the one for images of their size, colour and number, and for the time \
                          [default: auto]", named_networks()))]
    pub(crate) net: Option<String>,
    /// Widths of the hidden layers of mlp [default: 512,512]
    #[arg(long, value_delimiter = ',', value_parser = width, requires = "net")]
    pub(crate) widths: Vec<usize>,
    /// Begin with the parameters of this model: network and preparation of pictures are its own, and so is the recipe, at a tenth
    /// of the learning rate. If the classes are not the same, the last layer begins anew
    #[arg(long, value_name = "MODEL", conflicts_with_all = ["net", "widths"])]
    pub(crate) from: Option<PathBuf>,
    /// Other images to validate on [default: the validation split of DATA; without one its test split; without either, a tenth of
    /// every class, of digits a fifth]
    #[arg(long, value_name = "DATA")]
    pub(crate) val: Option<String>,
    /// What everything random follows from [default: 0]
    #[arg(long, value_name = "N", value_parser = seed)]
    pub(crate) seed: Option<u64>,
}

/// How it is trained. Each network has its own recipe; these replace parts of it.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Recipe (default: the network's own, which --dry-run shows)")]
pub(crate) struct RecipeArgs {
    /// Passes over the training images; with --resume the new total
    #[arg(long, value_name = "N", value_parser = number)]
    pub(crate) epochs: Option<u64>,
    /// Steps in all, in place of epochs; the schedule is stretched to them
    #[arg(long, value_name = "N", value_parser = number, conflicts_with_all = ["epochs", "time_budget"])]
    pub(crate) steps: Option<u64>,
    /// Time in all, such as 90s, 45m or 1h30m, in place of epochs: as many steps as it allows, the schedule stretched to them. A
    /// resumed run goes on with what is left of it
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with = "epochs")]
    pub(crate) time_budget: Option<f64>,
    /// Stop after so many epochs without a better validation accuracy; the model is then that of the best one
    #[arg(long, value_name = "EPOCHS", value_parser = number)]
    pub(crate) patience: Option<u64>,
    /// Images per batch
    #[arg(long, value_name = "N", value_parser = size)]
    pub(crate) batch: Option<usize>,
    /// Batches per step: their gradients are added up, as those of one larger batch that needs no more memory [default: 1]
    #[arg(long, value_name = "N", value_parser = size)]
    pub(crate) accumulate: Option<usize>,
    /// Train on pictures that grow: rows of pixels, each size for an equal share of the steps; the last is the network's input.
    /// none: that size all the time
    #[arg(long, value_name = "N,N,…|none")]
    pub(crate) sizes: Option<Sizes>,
    /// The learning rate, which the schedule scales
    #[arg(long, value_name = "X", value_parser = above_0)]
    pub(crate) lr: Option<f64>,
    /// The learning rate of biases, and of what batch normalisation adds, in multiples of that of all else
    #[arg(long, value_name = "X", value_parser = above_0)]
    pub(crate) bias_lr: Option<f64>,
    /// The learning rate over time: constant, cosine[:END] (END is the last rate, 0 unless given), onecycle,
    /// step:EPOCHS[:FACTOR] or exponential:FACTOR
    #[arg(long, value_name = "CURVE")]
    pub(crate) schedule: Option<Curved>,
    /// How a gradient moves the parameters
    #[arg(long, value_name = "NAME")]
    pub(crate) optimizer: Option<OptimizerName>,
    /// Momentum of sgd, from 0 to below 1
    #[arg(long, value_name = "X", value_parser = below_1)]
    pub(crate) momentum: Option<f64>,
    /// Weight decay of sgd, adam and adamw
    #[arg(long, value_name = "X", value_parser = not_negative)]
    pub(crate) weight_decay: Option<f64>,
    /// Shorten the gradient of a step to this norm where it is longer; 0 leaves it as it is
    #[arg(long, value_name = "X", value_parser = not_negative)]
    pub(crate) clip_norm: Option<f64>,
    /// Measure and save a moving average of the weights that keeps this much of itself in a step, such as 0.999; 0 for the
    /// weights themselves
    #[arg(long, value_name = "DECAY", value_parser = below_1)]
    pub(crate) ema: Option<f64>,
    /// Leave this layer, or block of layers, as it is, with all that it is computed from: nothing of it is trained, and its batch
    /// normalisation keeps its statistics. none: no layer, whatever the recipe says
    #[arg(long, value_name = "LAYER")]
    pub(crate) freeze: Option<String>,
    /// Begin with filters of this layer, the network's first convolution, that are made from the training images: they see patches
    /// along the directions in which these vary, with a variance of 1 each. With --freeze they stay so. none: of no layer
    #[arg(long, value_name = "LAYER")]
    pub(crate) whiten: Option<String>,
    /// What an image of each class counts for
    #[arg(long, value_name = "NAME")]
    pub(crate) class_weights: Option<WeightsName>,
    /// What is minimised
    #[arg(long, value_name = "NAME")]
    pub(crate) loss: Option<LossName>,
    /// Share of a class's probability that cross-entropy spreads over all, from 0 to below 1
    #[arg(long, value_name = "X", value_parser = smoothing)]
    pub(crate) label_smoothing: Option<f64>,
    /// Number type that training may round the factors of products to, where that is faster; all else, and evaluation, stays f32
    /// [default: f32]
    #[arg(long, value_name = "TYPE", value_parser = precision())]
    pub(crate) precision: Option<Precision>,
    #[command(flatten)]
    pub(crate) variation: VariationArgs,
}

/// Where and how it runs: nothing here changes the weights.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Run")]
pub(crate) struct RunArgs {
    /// The folder of the run, which must be new or empty [default: the next free runs/<data>-<n>]
    #[arg(long, value_name = "RUN")]
    pub(crate) out: Option<PathBuf>,
    /// Threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = threads)]
    pub(crate) threads: Option<usize>,
    /// Memory for pictures that are kept decoded, such as 2GiB or off; changes the speed alone [default: what all of them
    /// take, if that is at most a quarter of the memory that is free]
    #[arg(long, value_name = "BYTES|off", value_parser = cache)]
    pub(crate) cache: Option<CacheLimit>,
    /// At most so long between two checkpoints
    #[arg(long, value_name = "SECONDS", value_parser = not_negative, default_value = "30")]
    pub(crate) checkpoint_every: f64,
    /// Show configuration, network and memory; train and write nothing
    #[arg(long, conflicts_with_all = ["resume", "json_lines"])]
    pub(crate) dry_run: bool,
    /// Try all learning rates from small to large in some steps that are thrown away, and suggest one; train nothing. The curve is
    /// written to --out [default: the next free runs/<data>-rates-<n>]
    #[arg(long, conflicts_with_all = ["resume", "repeat", "json_lines", "dry_run"])]
    pub(crate) find_lr: bool,
    /// Write the first batch as it will be trained on, varied and mixed, into this picture file; train nothing. With --json, say
    /// which images are in it
    #[arg(long, value_name = "FILE.png", conflicts_with_all = ["resume", "json_lines", "dry_run", "out", "repeat", "find_lr"])]
    pub(crate) show_batch: Option<PathBuf>,
    /// Print the result as one JSON object
    #[arg(long, conflicts_with = "json_lines")]
    pub(crate) json: bool,
    /// Print events as they happen, one JSON object a line; the last one is the result
    #[arg(long)]
    pub(crate) json_lines: bool,
}

/// `--optimizer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum OptimizerName {
    /// Stochastic gradient descent with Nesterov momentum
    Sgd,
    /// Adam
    Adam,
    /// Adam with decoupled weight decay
    Adamw,
    /// Stochastic diagonal Levenberg–Marquardt, as LeNet-5 was trained
    DiagonalLm,
}

/// `--loss`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LossName {
    /// Softmax and negative logarithm
    CrossEntropy,
    /// Half the squared distance to the one-hot target
    Euclidean,
    /// The squared distance to the one-hot target
    SquaredError,
    /// Every class against the rest, by logistic regression
    BinaryLogistic,
    /// Multi-class margins
    Hinge,
    /// The squares of multi-class margins
    SquaredHinge,
    /// The loss of boosting
    Exponential,
    /// LeNet-5's discriminative criterion, for outputs that are penalties
    Map,
    /// The penalty of the right class, for outputs that are penalties
    Penalty,
}

/// `--class-weights`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum WeightsName {
    /// The same for all
    Equal,
    /// In inverse proportion to the images of the class, so that all classes count the same
    Balanced,
}

/// `--sizes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sizes(pub(crate) Vec<usize>);

impl FromStr for Sizes {
    type Err = String;

    fn from_str(text: &str) -> Result<Sizes, String> {
        if text == "none" {
            return Ok(Sizes(Vec::new()));
        }
        let sizes: Result<Vec<usize>, String> = text.split(',').map(size).collect();
        sizes.map(Sizes).map_err(|_| "give numbers of rows such as 96,112,128, or none".to_string())
    }
}

impl Args {
    /// The options, as they are typed, that a resumed run cannot take.
    pub(super) fn fixed_by_run(&self) -> Vec<&'static str> {
        let mut fixed = self.decided_by_run();
        fixed.extend(self.run.out.as_ref().map(|_| "--out"));
        fixed
    }

    /// The options, as they are typed, that a run decides which is resumed or repeated.
    pub(super) fn decided_by_run(&self) -> Vec<&'static str> {
        let (network, recipe) = (&self.network, &self.recipe);
        let given = [
            ("DATA", self.data.is_some()),
            ("--net", network.net.is_some()),
            ("--widths", !network.widths.is_empty()),
            ("--from", network.from.is_some()),
            ("--val", network.val.is_some()),
            ("--seed", network.seed.is_some()),
            ("--steps", recipe.steps.is_some()),
            ("--time-budget", recipe.time_budget.is_some()),
            ("--patience", recipe.patience.is_some()),
            ("--root", self.source.root.is_some()),
            ("--size", self.source.size.is_some()),
            ("--most-unreadable", self.source.most_unreadable.is_some()),
            ("--batch", recipe.batch.is_some()),
            ("--accumulate", recipe.accumulate.is_some()),
            ("--sizes", recipe.sizes.is_some()),
            ("--clip-norm", recipe.clip_norm.is_some()),
            ("--ema", recipe.ema.is_some()),
            ("--freeze", recipe.freeze.is_some()),
            ("--whiten", recipe.whiten.is_some()),
            ("--bias-lr", recipe.bias_lr.is_some()),
            ("--class-weights", recipe.class_weights.is_some()),
            ("--lr", recipe.lr.is_some()),
            ("--schedule", recipe.schedule.is_some()),
            ("--optimizer", recipe.optimizer.is_some()),
            ("--momentum", recipe.momentum.is_some()),
            ("--weight-decay", recipe.weight_decay.is_some()),
            ("--loss", recipe.loss.is_some()),
            ("--label-smoothing", recipe.label_smoothing.is_some()),
            ("--precision", recipe.precision.is_some()),
            ("--augment", recipe.variation.augment.is_some()),
            ("--mixup", recipe.variation.mixup.is_some()),
            ("--cutmix", recipe.variation.cutmix.is_some()),
            ("--erase", recipe.variation.erase.is_some()),
            ("--crop-area", recipe.variation.crop_area.is_some()),
        ];
        given.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect()
    }
}

const USAGE: &str = "ocelli train DATA [OPTIONS]\n       ocelli train --resume RUN [--epochs N] [RUN OPTIONS]\n       ocelli train --repeat RUN [RUN OPTIONS]";

const EXAMPLES: &str = "\
Examples:
  ocelli train digits
  ocelli train mnist/ --net mlp --widths 512,512 --epochs 10 --lr 0.05
  ocelli train mnist/ --net lenet5 --augment distort
  ocelli train photos/ --net resnet18 --augment strong --epochs 100
  ocelli train digits --net mine.toml --optimizer adamw --lr 1e-3 --schedule cosine
  ocelli train photos/ --augment photo --show-batch batch.png
  ocelli train mnist/ --dry-run        what would happen, and the memory it takes
  ocelli train --resume runs/digits-1 --epochs 60
  ocelli train mnist/ --time-budget 5m        the best of five minutes, evaluation included
  ocelli train --repeat runs/mnist-1          the same weights again, without the clock
  ocelli train mine/ --from runs/mnist-1 --freeze conv2 --epochs 5
  ocelli train mnist/ --find-lr               suggests a learning rate

Same seed, same weights: whatever the number of threads, and however often a run was stopped and resumed. A run with
--time-budget depends on how fast the machine was; --repeat gives its weights again.
Ctrl-C, or closing the terminal, finishes the batch, writes a checkpoint and prints the command that resumes.
OCELLI_ISA=portable|avx2|avx512|amx|neon forces an instruction set [default: the best one].";
