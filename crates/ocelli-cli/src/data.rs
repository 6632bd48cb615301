//! `ocelli data`: what a data set holds; and the options that say how data are opened.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ocelli::{SCHEMA, write_png};
use ocelli_data::{CacheLimit, Named, OpenOptions, Picture, Splits, Summary};
use serde::Serialize;

use crate::args::below_1;
use crate::console::Console;
use crate::failure::Failure;
use crate::output::{check_png, print, print_json};
use crate::text::{counted, in_line, some_in_line};

/// How data are opened.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Pictures")]
pub(crate) struct DataArgs {
    /// The folder, or the tar archive, that paths in a list or CSV are relative to [default: the folder of the list, or an
    /// archive beside it that is called like it]
    #[arg(long, value_name = "DIR|TAR")]
    pub(crate) root: Option<PathBuf>,
    /// Size of the network's input in pixels [default: that of the pictures if it is the same for all and at most 224; else
    /// a square of the median of their shorter sides, from 32 to 224]
    #[arg(long, value_name = "N|HxW", value_parser = image_size)]
    pub(crate) size: Option<[usize; 2]>,
    /// Share of the pictures that may be unreadable and are then left out [default: 0.05]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(crate) most_unreadable: Option<f64>,
}

impl DataArgs {
    /// How to open data.
    ///
    /// # Errors
    /// A root that does not exist.
    pub(crate) fn options(&self, val: Option<&Path>, seed: u64) -> Result<OpenOptions, Failure> {
        if let Some(root) = self.root.as_ref().filter(|root| !root.exists()) {
            let root = root.display();
            return Err(Failure::usage(format!("--root {root}: no such folder or archive; check the name")));
        }
        let default = OpenOptions::default();
        Ok(OpenOptions {
            seed,
            val: val.map(Path::to_path_buf),
            root: self.root.clone(),
            most_unreadable: self.most_unreadable.unwrap_or(default.most_unreadable),
            size: self.size,
        })
    }
}

/// Options of `data`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Images, as for `ocelli train`
    data: PathBuf,
    /// Other images to validate on
    #[arg(long, value_name = "DATA")]
    val: Option<PathBuf>,
    /// The folder, or the tar archive, that paths in a list or CSV are relative to
    #[arg(long, value_name = "DIR|TAR")]
    root: Option<PathBuf>,
    /// Decode every picture; exit code 1 if one is damaged, if one to validate on is a copy of a training image, or if one is
    /// a copy of a picture of another class
    #[arg(long)]
    check: bool,
    /// Write one of the pictures to validate on into this file: the first one, or the first of --class
    #[arg(long, value_name = "FILE.png")]
    picture: Option<PathBuf>,
    /// Which class --picture shows
    #[arg(long, value_name = "NAME", requires = "picture")]
    class: Option<String>,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Looks at every picture: its header, its size, whether it is a copy of another one.

Examples:
  ocelli data photos/
  ocelli data photos/ --check          decodes all, and names those that are damaged
  ocelli data digits --picture seven.png --class 7
  ocelli data train.txt --root pictures.tar --json";

/// `--json`.
#[derive(Serialize)]
struct Report {
    schema: u32,
    #[serde(flatten)]
    summary: Summary,
    #[serde(skip_serializing_if = "Option::is_none")]
    damaged: Option<Damaged>,
}

/// Pictures whose headers can be read, and nothing else.
#[derive(Serialize)]
struct Damaged {
    train: Named,
    val: Named,
}

/// Writes the first picture to validate on, of a class where one is asked for.
fn write_picture(file: &Path, class: Option<&str>, splits: &Splits, console: Console) -> Result<(), Failure> {
    let (val, classes) = (&*splits.val, splits.val.classes());
    let is_wanted = |i: usize| class.is_none_or(|name| classes[val.label(i) as usize] == name);
    let Some(i) = (0..val.len()).find(|&i| is_wanted(i)) else {
        return Err(Failure::usage(format!(
            "--class {}: there is no picture of it to validate on; the classes are {}",
            in_line(class.unwrap_or_default()),
            some_in_line(classes)
        )));
    };
    let mut picture = Picture::default();
    val.read(i, &mut picture)?;
    write_png(&picture, file)?;
    let class = in_line(&classes[val.label(i) as usize]);
    console.fact("picture", format!("{}: {}, class {class}", file.display(), val.name_of(i)));
    Ok(())
}

/// Shows, and checks if asked to.
pub(crate) fn run(args: &Args, console: Console) -> Result<ExitCode, Failure> {
    if let Some(file) = &args.picture {
        check_png("--picture", file)?;
    }
    console.fact("reading", args.data.display());
    let source = DataArgs { root: args.root.clone(), most_unreadable: Some(1.0), ..DataArgs::default() };
    let splits = ocelli_data::open(&args.data, &source.options(args.val.as_deref(), 0)?)?;
    if let Some(file) = &args.picture {
        write_picture(file, args.class.as_deref(), &splits, console)?;
    }
    if let Err(error) = splits.check() {
        console.warn(format!("nothing can be trained on it as it is: {error}"));
    }
    let damaged = match args.check {
        true => splits.decode_all().map(|[train, val]| Some(Damaged { train, val }))?,
        false => None,
    };
    let report = Report { schema: SCHEMA, summary: splits.summary(), damaged };
    let is_wrong = args.check && report.has_faults(&splits);
    match args.json {
        true => print_json(&report)?,
        false => print(&report.for_people())?,
    }
    Ok(if is_wrong { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

impl Report {
    fn has_faults(&self, splits: &Splits) -> bool {
        let damaged = self.damaged.as_ref().is_some_and(|d| d.train.count + d.val.count > 0);
        damaged || !splits.found.warnings().is_empty()
    }

    fn for_people(&self) -> String {
        let mut text = self.summary.to_string();
        let found = &self.summary.found;
        let mut bad = vec![&found.train.unreadable, &found.val.unreadable];
        if let Some(Damaged { train, val }) = &self.damaged {
            bad.extend([train, val]);
        }
        let count = bad.iter().map(|named| named.count).sum();
        match (count, &self.damaged) {
            (0, None) => {}
            (0, Some(_)) => {
                text.push_str("\n\nevery picture can be decoded");
                if !found.warnings().is_empty() {
                    text.push_str("; copies, named above, are what is wrong");
                }
            }
            _ => {
                let _ = write!(text, "\n\n{} cannot be read:", counted(count, "picture"));
                bad.iter().flat_map(|named| &named.first).for_each(|line| {
                    let _ = write!(text, "\n  {line}");
                });
            }
        }
        text
    }
}

/// N, for a square, or HxW.
pub(crate) fn image_size(text: &str) -> Result<[usize; 2], String> {
    const MOST: usize = 1 << 12;
    let sizes: Option<Vec<usize>> = text.split(['x', '×']).map(|size| size.parse().ok()).collect();
    let [height, width] = match sizes.as_deref() {
        Some(&[side]) => [side, side],
        Some(&[height, width]) => [height, width],
        _ => [0, 0],
    };
    match (1..=MOST).contains(&height) && (1..=MOST).contains(&width) {
        true => Ok([height, width]),
        false => Err(format!("give pixels, such as 128 or 96x128, at most {MOST} a side")),
    }
}

/// A share from 0 to 1.
fn share(text: &str) -> Result<f64, String> {
    match (below_1(text), text.parse()) {
        (Ok(share), _) | (_, Ok(share @ 1.0)) => Ok(share),
        _ => Err("give a number from 0 to 1, such as 0.05".to_string()),
    }
}

/// Bytes with or without a unit, or `off`.
pub(crate) fn cache(text: &str) -> Result<CacheLimit, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_lowercase().trim_end_matches("ib").trim_end_matches('b') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        _ => 64,
    };
    match (text, digits.parse::<u64>().ok().and_then(|n| n.checked_mul(1u64.checked_shl(shift)?))) {
        ("off", _) => Ok(CacheLimit::Off),
        (_, Some(bytes)) => Ok(CacheLimit::Bytes(bytes)),
        _ => Err("give bytes, such as 500MiB or 2GiB, or off".to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_shares_and_bytes_are_read() {
        assert_eq!((image_size("128"), image_size("96x128")), (Ok([128, 128]), Ok([96, 128])));
        assert!(image_size("0").is_err() && image_size("1x2x3").is_err() && image_size("100000").is_err());
        assert_eq!((share("0.2"), share("1"), share("1.0")), (Ok(0.2), Ok(1.0), Ok(1.0)));
        assert!(share("1.1").is_err() && share("-1").is_err());
        assert_eq!(
            (cache("off"), cache("2GiB"), cache("512")),
            (Ok(CacheLimit::Off), Ok(CacheLimit::Bytes(2 << 30)), Ok(CacheLimit::Bytes(512)))
        );
        assert!(cache("2TB").is_err() && cache("much").is_err() && cache("99999999999999999999G").is_err());
    }
}
