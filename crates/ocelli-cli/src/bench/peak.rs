//! `ocelli bench peak`: what this machine can do at best.

use std::process::ExitCode;

use ocelli::bench::peak::{Bandwidth, Pattern, Peak, peak};

use super::rate;
use crate::args::{above_0, threads};
use crate::console::Console;
use crate::engine::{engine, isa};
use crate::failure::Failure;
use crate::output::{Align, Table, print, print_json};
use crate::text::{bytes, counted, percent};

/// Options of `bench peak`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The most threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = threads)]
    threads: Option<usize>,
    /// About how long each figure is measured
    #[arg(long, value_name = "S", value_parser = above_0, default_value = "0.3")]
    seconds: f64,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Arithmetic is that of independent multiply-adds in registers, two operations each; amx is the unit that multiplies \
matrices, on random numbers, as power limits make it faster on zeros. Bytes that are read and bytes that are \
written count once each; those that a cache fetches before it overwrites them do not. triad is y = a + s·b.

Examples:
  ocelli bench peak
  OCELLI_ISA=portable ocelli bench peak --threads 1 --json";

/// Measures.
pub(crate) fn run(args: &Args, console: Console) -> Result<ExitCode, Failure> {
    let isa = isa()?;
    let threads = engine(args.threads)?.threads();
    console.say(&format!("measuring with up to {}", counted(threads, "thread")));
    let peak = peak(isa, threads, args.seconds)?;
    match args.json {
        true => print_json(&peak)?,
        false => print(&for_people(&peak))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn for_people(peak: &Peak) -> String {
    let mut compute = Table::new(&[
        ("arithmetic", Align::Left),
        ("threads", Align::Right),
        ("GFLOP/s", Align::Right),
        ("spread", Align::Right),
    ]);
    for row in &peak.compute {
        let name = format!("{} {}", row.unit, row.precision);
        compute.row([name, row.threads.to_string(), rate(row.gflops), percent(row.spread)]);
    }
    let mut memory = Table::new(&[
        ("GB/s", Align::Left),
        ("threads", Align::Right),
        ("bytes a thread", Align::Right),
        ("read", Align::Right),
        ("copy", Align::Right),
        ("triad", Align::Right),
    ]);
    // Patterns of one place and number of threads stand together.
    for rows in peak.memory.chunk_by(|a, b| (a.cache, a.threads) == (b.cache, b.threads)) {
        let Some(first) = rows.first() else { continue };
        let of = |pattern: Pattern| {
            let found = rows.iter().find(|row| row.pattern == pattern);
            found.map(|row| rate(row.gbytes)).unwrap_or_default()
        };
        let [read, copy, triad] = Pattern::ALL.map(of);
        memory.row([place(first), first.threads.to_string(), bytes(first.bytes as u64), read, copy, triad]);
    }
    let cpu = peak.cpu.as_deref().unwrap_or("unknown processor");
    format!("{cpu}, {}\n{}\n{}\n{}", peak.isa, caches(peak), compute.render(), memory.render())
}

fn caches(peak: &Peak) -> String {
    let cache = |cache: &ocelli::machine::Cache| {
        let shared = if cache.cores > 1 { format!(" for {} cores", cache.cores) } else { String::new() };
        format!("L{} {}{shared}", cache.level, bytes(cache.bytes))
    };
    let caches: Vec<String> = peak.caches.iter().map(cache).collect();
    if caches.is_empty() { String::new() } else { format!("caches: {}\n", caches.join(", ")) }
}

fn place(row: &Bandwidth) -> String {
    row.cache.map_or("memory".to_string(), |level| format!("L{level}"))
}
