//! The command line: its verbs, and how the values of options are read.

use clap::builder::styling::{AnsiColor, Styles};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Arg, Command, CommandFactory, FromArgMatches, Parser, Subcommand};
use ocelli::ensemble::Views;
use ocelli_kernels::Precision;

/// Trains, measures, explains and ships neural networks that see.
#[derive(Debug, Parser)]
#[command(name = "ocelli", version, max_term_width = 100, styles = STYLES, after_help = EXAMPLES)]
#[command(subcommand_value_name = "VERB", subcommand_help_heading = "Verbs")]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: Verb,
    /// Tell only warnings and errors beside the result
    #[arg(short, long, global = true, conflicts_with = "verbose", display_order = 100)]
    pub(crate) quiet: bool,
    /// Tell more: classes, layers, checkpoints
    #[arg(short, long, global = true, display_order = 101)]
    pub(crate) verbose: bool,
}

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const EXAMPLES: &str = "\
Examples:
  ocelli train digits                  train on built-in handwritten digits, in seconds
  ocelli train mnist/ --epochs 5       train on IDX files in a folder
  ocelli eval runs/digits-1 digits     measure what was trained, class by class
  ocelli predict runs/digits-1 a.png   tell what pictures show
  ocelli plan mnist --batch 128        every layer's shape and cost, and all memory

Results go to standard output, everything else to standard error.
Exit codes: 0 done, 1 a check failed, 2 usage, 3 bad data or model, 4 disk, 5 diverged, \
6 memory or limits, 101 a bug, 130 interrupted.";

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Train a network, or go on with a run
    Train(Box<crate::train::Args>),
    /// Show what a data set holds, and check its pictures
    Data(crate::data::Args),
    /// Measure a model on labelled images
    Eval(crate::eval::Args),
    /// Tell what pictures show
    Predict(crate::predict::Args),
    /// Hold training runs against each other
    Compare(crate::compare::Args),
    /// Show every layer of a network and the memory that training takes
    Plan(crate::plan::Args),
    /// Check a network's gradients in f64, layer by layer
    Check(crate::check::Args),
    /// Measure this machine, and networks on it
    Bench(crate::bench::Args),
    /// Show what a model computes for a picture, and how one step of training changes it
    Explain(crate::explain::Args),
    /// Run the lecture: its systems, equations and figures
    Lecture(crate::lecture::Args),
    /// Print a completion script for a shell
    Completions(crate::completions::Args),
    /// Print the manual page, or write one for each verb
    Man(crate::man::Args),
}

/// The command line, built. Numbers may be negative for clap, so that the reader of each says what it takes.
pub(crate) fn command() -> Command {
    let numbers = |arg: Arg| match arg.get_action().takes_values() && !arg.is_positional() {
        true => arg.allow_negative_numbers(true),
        false => arg,
    };
    let verb = |verb: Command| verb.mut_args(numbers).mut_subcommands(|what| what.mut_args(numbers));
    Cli::command().mut_subcommands(verb)
}

/// Reads the command line.
///
/// # Errors
/// What clap refuses, and help and version, which end a command too.
pub(crate) fn parse() -> Result<Cli, clap::Error> {
    let mut command = command();
    let mut matches = command.try_get_matches_from_mut(std::env::args_os())?;
    Cli::from_arg_matches_mut(&mut matches).map_err(|e| e.format(&mut command))
}

/// `--precision`.
pub(crate) fn precision() -> impl TypedValueParser<Value = Precision> {
    let names = PossibleValuesParser::new(Precision::ALL.map(Precision::name));
    names.map(|name| Precision::from_name(&name).expect("invariant: the names are those of precisions"))
}

/// `--views`.
pub(crate) fn views() -> impl TypedValueParser<Value = Views> {
    let names = PossibleValuesParser::new(Views::ALL.map(Views::name));
    names.map(|name| name.parse().expect("invariant: the names are those of views"))
}

/// A whole number from 0 on: seeds.
pub(crate) fn seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "give a whole number from 0 on".to_string())
}

/// A whole number from 1 on: epochs.
pub(crate) fn number(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(n) if n > 0 => Ok(n),
        _ => Err("give a whole number from 1 on".to_string()),
    }
}

/// A whole number from 1 on: how many images, classes or units.
pub(crate) fn size(text: &str) -> Result<usize, String> {
    number(text).and_then(|n| usize::try_from(n).map_err(|_| "give a smaller number".to_string()))
}

/// The most units of a layer that `--widths` asks for.
const MOST_UNITS: usize = 1 << 20;

/// A number of units of a layer.
pub(crate) fn width(text: &str) -> Result<usize, String> {
    match size(text)? {
        n if n <= MOST_UNITS => Ok(n),
        _ => Err(format!("give whole numbers from 1 to {MOST_UNITS}")),
    }
}

/// The most threads that can be asked for.
const MOST_THREADS: usize = 1024;

/// A number of threads.
pub(crate) fn threads(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n @ 1..=MOST_THREADS) => Ok(n),
        _ => Err(format!("give a whole number from 1 to {MOST_THREADS}, or leave it out for one per core")),
    }
}

/// A finite number above 0.
pub(crate) fn above_0(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(x) if x > 0.0 && x.is_finite() => Ok(x),
        _ => Err("give a number above 0, such as 0.05 or 1e-3".to_string()),
    }
}

/// A finite number that is not negative.
pub(crate) fn not_negative(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(x) if x >= 0.0 && x.is_finite() => Ok(x),
        _ => Err("give a number from 0 on".to_string()),
    }
}

/// A number from 0 to below 1.
pub(crate) fn below_1(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(x) if (0.0..1.0).contains(&x) => Ok(x),
        _ => Err("give a number from 0 to below 1, such as 0.9".to_string()),
    }
}

/// A time with its units: 90s, 45m, 1h30m.
pub(crate) fn time(text: &str) -> Result<f64, String> {
    let refusal = || "give a time with its unit, such as 90s, 45m or 1h30m".to_string();
    let (mut seconds, mut rest) = (0.0, text);
    while !rest.is_empty() {
        let end = rest.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(refusal)?;
        let factor = match &rest[end..=end] {
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(refusal()),
        };
        let number: f64 = rest[..end].parse().map_err(|_| refusal())?;
        (seconds, rest) = (seconds + factor * number, &rest[end + 1..]);
    }
    if seconds > 0.0 && seconds.is_finite() { Ok(seconds) } else { Err(refusal()) }
}

/// A share that labels are smoothed by.
pub(crate) fn smoothing(text: &str) -> Result<f64, String> {
    below_1(text).map_err(|_| "give a number from 0 to below 1, such as 0.1".to_string())
}

/// The most channels, rows or columns of an input that is only described.
const MOST_SIDE: usize = 1 << 12;

/// C×H×W with an `x` between the sizes.
pub(crate) fn image_shape(text: &str) -> Result<[usize; 3], String> {
    let sizes: Option<Vec<usize>> = text.split(['x', '×']).map(|size| size.parse().ok()).collect();
    match sizes.as_deref() {
        Some(sizes) if sizes.iter().any(|&size| size > MOST_SIDE) => {
            Err(format!("give sizes of at most {MOST_SIDE}"))
        }
        Some(&[c, h, w]) if c > 0 && h > 0 && w > 0 => Ok([c, h, w]),
        _ => Err("give channels x height x width, such as 1x28x28 or 3x224x224".to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn numbers_outside_their_range_are_refused_with_what_to_give() {
        assert_eq!(number("3"), Ok(3));
        for bad in ["0", "-1", "1.5", "many", ""] {
            assert!(size(bad).is_err_and(|e| e.contains("from 1")), "{bad}");
        }
        for bad in ["0", "-0.1", "NaN", "inf", "1e999", "fast"] {
            assert!(above_0(bad).is_err(), "{bad}");
        }
        assert!(threads("0").is_err() && threads("100000").is_err());
        assert!(width("1000000000").is_err() && seed("-1").is_err_and(|e| e.contains("from 0")));
        assert!(below_1("1").is_err() && not_negative("-1").is_err());
    }

    #[test]
    fn times_have_units() {
        assert_eq!(
            [time("90s"), time("45m"), time("1h30m"), time("0.5h")],
            [90.0, 2700.0, 5400.0, 1800.0].map(Ok)
        );
        for bad in ["", "45", "0s", "-5m", "1x", "m", "1h30", "1 hour", "5µs", "infs"] {
            assert!(time(bad).is_err_and(|e| e.contains("45m")), "{bad}");
        }
    }

    #[test]
    fn shapes_are_three_sizes() {
        assert_eq!(image_shape("3x224x200"), Ok([3, 224, 200]));
        assert_eq!(image_shape("1×8×8"), Ok([1, 8, 8]));
        assert!(image_shape("1x100000000x100000000").is_err_and(|e| e.contains("4096")));
        for bad in ["28", "28x28", "1x0x8", "1x8x8x8", "axbxc"] {
            assert!(image_shape(bad).is_err(), "{bad}");
        }
    }
}
