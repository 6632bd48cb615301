//! `ocelli bench data`: how fast images are read, prepared, and loaded in batches.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use ocelli::bench::data::DataBench;
use ocelli::bench::{Budget, Timing};
use ocelli::{Augmentation, Error, Overrides, SCHEMA};
use ocelli_data::{ColourAxes, Dataset, Normalise, Preprocess};
use serde::Serialize;

use super::rate;
use crate::args::{above_0, size, threads};
use crate::console::Console;
use crate::data::image_size;
use crate::failure::Failure;
use crate::output::{Align, Table, print, print_json};
use crate::text::{count, counted, duration, percent, sizes};
use crate::variation::VariationArgs;

/// Options of `bench data`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Images: what `ocelli train` takes
    data: PathBuf,
    #[command(flatten)]
    variation: VariationArgs,
    /// Rows and columns that images get [default: the data's own]
    #[arg(long, value_name = "N|HxW", value_parser = image_size)]
    size: Option<[usize; 2]>,
    /// Images per batch
    #[arg(long, value_name = "N", value_parser = size, default_value = "64")]
    batch: usize,
    /// The most threads that load [default: one per core]
    #[arg(long, value_name = "N", value_parser = threads)]
    threads: Option<usize>,
    /// About how long each figure is measured
    #[arg(long, value_name = "S", value_parser = above_0, default_value = "2")]
    seconds: f64,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
\"read\" is what stands between the data set and pixels: files or archives, and decoding. \"prepare\" is what follows: cropping, \
resizing, varying, normalising. Both are of 256 images spread over the set, on one thread. \"load\" is all of it, with \
shuffled batches, on threads beside the one that waits for them. Files that were read before are usually in memory. Without \
--augment images are varied as \"auto\" does.

Examples:
  ocelli bench data photos/
  ocelli bench data photos/ --augment strong --size 128
  ocelli bench data photos/ --augment crop-flip --crop-area 0.08,1
  ocelli bench data mnist/ --augment elastic --threads 1 --json";

/// `bench data --json`.
#[derive(Serialize)]
struct Measured {
    schema: u32,
    data: String,
    images: usize,
    input: [usize; 3],
    augment: &'static str,
    batch: usize,
    read: Figures,
    prepare: Figures,
    load: Vec<Load>,
}

#[derive(Serialize)]
struct Figures {
    images_per_second: f64,
    #[serde(flatten)]
    timing: Timing,
}

#[derive(Serialize)]
struct Load {
    threads: usize,
    #[serde(flatten)]
    figures: Figures,
}

impl Figures {
    fn new(timing: Timing, images: usize) -> Figures {
        Figures { images_per_second: images as f64 / timing.seconds, timing }
    }
}

/// Measures.
pub(crate) fn run(args: &Args, console: Console) -> Result<ExitCode, Failure> {
    console.fact("reading", args.data.display());
    let parts = ocelli_data::open_parts(&args.data)?;
    let (bench, set, preprocess) = prepared(args, &parts.train)?;
    let budget = Budget::seconds(args.seconds);
    let read = Figures::new(bench.read(budget)?, bench.images());
    let prepare = Figures::new(bench.prepare(budget)?, bench.images());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let most = args.threads.unwrap_or(cores);
    let mut load = Vec::new();
    for threads in if most > 1 { vec![1, most] } else { vec![1] } {
        let (timing, images) = bench.load(budget, threads)?;
        load.push(Load { threads, figures: Figures::new(timing, images) });
    }
    let measured = Measured {
        schema: SCHEMA,
        data: parts.name,
        images: parts.train.len(),
        input: preprocess.input_shape(),
        augment: set.name(),
        batch: args.batch,
        read,
        prepare,
        load,
    };
    match args.json {
        true => print_json(&measured)?,
        false => print(&for_people(&measured))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The bench, what images are varied by, and how they are prepared: with other statistics than training's, whose values cost no
/// time.
fn prepared(args: &Args, train: &Arc<dyn Dataset>) -> Result<(DataBench, Augmentation, Preprocess), Error> {
    let [channels, height, width] = train.image_shape();
    let set = args.variation.augment.unwrap_or(Augmentation::Auto).resolve([channels, height, width]);
    let overrides = args.variation.overrides(Overrides::default());
    let preprocess = Preprocess {
        channels,
        size: args.size.unwrap_or([height, width]),
        fit: set.fit(&overrides),
        pad: 0,
        background: 0,
        normalise: Normalise::MeanStd { mean: vec![0.5; channels], std: vec![0.25; channels] },
    };
    let shifts = set.shifts_colours() && channels == 3;
    let axes = shifts.then(|| ColourAxes::of(&**train)).transpose()?;
    let augment = set.augment(&overrides, preprocess.size, axes);
    let bench =
        DataBench::new(Arc::clone(train), preprocess.clone(), augment, set.mix(&overrides), args.batch)?;
    Ok((bench, set, preprocess))
}

fn for_people(measured: &Measured) -> String {
    let mut table = Table::new(&[
        ("", Align::Left),
        ("threads", Align::Right),
        ("images/s", Align::Right),
        ("an image", Align::Right),
        ("spread", Align::Right),
    ]);
    let mut row = |name: &str, threads: usize, figures: &Figures| {
        table.row([
            name.to_string(),
            threads.to_string(),
            rate(figures.images_per_second),
            duration(1.0 / figures.images_per_second),
            percent(figures.timing.spread),
        ]);
    };
    row("read", 1, &measured.read);
    row("prepare", 1, &measured.prepare);
    for Load { threads, figures } in &measured.load {
        row("load", *threads, figures);
    }
    format!(
        "{}: {} to {}, augmentation {}, {} a batch\n\n{}",
        measured.data,
        counted(measured.images, "image"),
        sizes(&measured.input),
        measured.augment,
        count(measured.batch as u64),
        table.render()
    )
}
