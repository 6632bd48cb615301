//! What this machine can do at best: multiply-adds, and bytes from each cache and from memory.

use std::sync::{Mutex, PoisonError};

use ocelli_kernels::{Ceiling, Isa, Team};
use serde::Serialize;

use super::{Budget, Timing};
use crate::machine::{Cache, caches};
use crate::{Error, SCHEMA, machine};

/// The ceilings of this machine.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Peak {
    /// Version of this form.
    pub schema: u32,
    /// The processor's name, where the system tells.
    pub cpu: Option<String>,
    /// The instruction set that was used.
    pub isa: &'static str,
    /// The caches of the first core, nearest first.
    pub caches: Vec<Cache>,
    /// Arithmetic, by unit and by number of threads.
    pub compute: Vec<Compute>,
    /// Bytes, by where they lie, pattern and number of threads.
    pub memory: Vec<Bandwidth>,
}

/// How fast a unit computes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Compute {
    /// Which unit: `fma`, the fused multiply-add of vectors, `avx512-bf16`, that of vectors of pairs, or `amx`, which multiplies
    /// matrices.
    pub unit: &'static str,
    /// What numbers it takes.
    pub precision: &'static str,
    /// Threads at work.
    pub threads: usize,
    /// Billions of floating-point operations a second, all threads together; a multiply-add is two.
    pub gflops: f64,
    /// The distance between the quartiles, as a share of the median.
    pub spread: f64,
}

/// How fast bytes come and go.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Bandwidth {
    /// The level of the cache that holds them; `None` for memory.
    pub cache: Option<u32>,
    /// What is done with them.
    pub pattern: Pattern,
    /// Threads at work, each on bytes of its own.
    pub threads: usize,
    /// Bytes of all arrays of one thread.
    pub bytes: usize,
    /// Billions of bytes a second, all threads together, read and written ones counted once each.
    pub gbytes: f64,
    /// The distance between the quartiles, as a share of the median.
    pub spread: f64,
}

/// What is done with bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pattern {
    /// One array is read.
    Read,
    /// One is read, another written.
    Copy,
    /// y = a + s·b: two are read, a third is written.
    Triad,
}

impl Pattern {
    /// All of them.
    pub const ALL: [Pattern; 3] = [Pattern::Read, Pattern::Copy, Pattern::Triad];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Pattern::Read => "read",
            Pattern::Copy => "copy",
            Pattern::Triad => "triad",
        }
    }

    /// Arrays that it touches.
    fn arrays(self) -> usize {
        match self {
            Pattern::Read => 1,
            Pattern::Copy => 2,
            Pattern::Triad => 3,
        }
    }
}

/// Rounds of multiply-adds of one timed run: a few milliseconds.
const ROUNDS: usize = 1 << 19;
const BF16_ROUNDS: usize = 1 << 14;

/// Arrays in memory are so many times as large as the largest cache, within these bounds in bytes.
const BEYOND_CACHE: u64 = 8;
const SMALLEST: u64 = 64 << 20;
const LARGEST: u64 = 1 << 30;

/// Measures all ceilings with 1, 2, 4, … and `threads` threads, each figure for about so many seconds.
///
/// # Errors
/// Threads that cannot be started.
pub fn peak(isa: Isa, threads: usize, seconds: f64) -> Result<Peak, Error> {
    let ceiling = Ceiling::of(isa);
    let (caches, budget) = (caches(), Budget::seconds(seconds));
    let (mut compute, mut memory) = (Vec::new(), Vec::new());
    for threads in counts(threads) {
        let team = Team::new(threads).map_err(ocelli_core::Error::from)?;
        compute.push(multiply_adds(ceiling, &team, budget));
        compute.extend(bf16_multiply_adds(ceiling, &team, budget));
        for (cache, bytes) in places(&caches, threads) {
            for pattern in Pattern::ALL {
                memory.push(bandwidth(ceiling, &team, (cache, bytes), pattern, budget));
            }
        }
    }
    Ok(Peak { schema: SCHEMA, cpu: machine::cpu(), isa: ceiling.isa.name(), caches, compute, memory })
}

/// 1, 2, 4, … up to `threads`, and that.
fn counts(threads: usize) -> Vec<usize> {
    let doubled = std::iter::successors(Some(1usize), |n| n.checked_mul(2));
    doubled.take_while(|&n| n < threads).chain([threads]).collect()
}

/// Each cache with the bytes that one of so many threads uses in it, and memory.
fn places(caches: &[Cache], threads: usize) -> Vec<(Option<u32>, usize)> {
    // There may be several of the largest cache: arrays go beyond that of each thread.
    let largest = caches.iter().max_by_key(|cache| cache.bytes);
    let in_memory = (BEYOND_CACHE * largest.map_or(0, |cache| cache.bytes)).clamp(SMALLEST, LARGEST);
    let sharing = largest.map_or(threads, |cache| cache.cores.min(threads)).max(1);
    // Half of a cache: whatever else is in it must not push them out.
    let share = |cache: &Cache| cache.bytes / 2 / cache.cores.min(threads).max(1) as u64;
    let cached = caches.iter().map(|cache| (Some(cache.level), share(cache) as usize));
    cached.chain([(None, in_memory as usize / sharing)]).collect()
}

fn multiply_adds(ceiling: &Ceiling, team: &Team, budget: Budget) -> Compute {
    compute("fma", "f32", team, budget, || ceiling.multiply_adds(ROUNDS))
}

/// The same for what multiplies numbers of bf16, where there is something. Power limits slow a matrix unit down by what it
/// multiplies: its numbers are random.
fn bf16_multiply_adds(ceiling: &Ceiling, team: &Team, budget: Budget) -> Option<Compute> {
    let unit = ceiling.bf16_unit()?;
    let work = || ceiling.bf16_multiply_adds(BF16_ROUNDS).unwrap_or(0);
    Some(compute(unit, "bf16", team, budget, work))
}

/// Times each thread's `work`, which says how many multiply-adds it did.
fn compute(
    unit: &'static str,
    precision: &'static str,
    team: &Team,
    budget: Budget,
    work: impl Fn() -> u64 + Sync,
) -> Compute {
    let timing = timed(budget, || {
        team.run(&|_| {
            work();
        });
    });
    let macs = work() * team.threads() as u64;
    let gflops = 2.0 * macs as f64 / timing.seconds / 1e9;
    Compute { unit, precision, threads: team.threads(), gflops, spread: timing.spread }
}

fn bandwidth(
    ceiling: &Ceiling,
    team: &Team,
    (cache, bytes): (Option<u32>, usize),
    pattern: Pattern,
    budget: Budget,
) -> Bandwidth {
    let len = bytes / 4 / pattern.arrays();
    let arrays: Vec<Mutex<[Vec<f32>; 3]>> = (0..team.threads()).map(|_| Mutex::default()).collect();
    // Each thread fills its own, so that they lie in memory near to it.
    let own = |worker: usize| arrays[worker].lock().unwrap_or_else(PoisonError::into_inner);
    team.run(&|worker| {
        own(worker.index()).iter_mut().take(pattern.arrays()).for_each(|array| array.resize(len, 1.0));
    });
    // Small ones several times over, so that starting the threads costs nothing beside it.
    let times = (SMALLEST as usize / bytes.max(1)).max(1);
    let timing = timed(budget, || {
        team.run(&|worker| {
            let [a, b, y] = &mut *own(worker.index());
            for _ in 0..times {
                once(ceiling, pattern, a, b, y);
            }
        });
    });
    let moved = (times * team.threads() * pattern.arrays() * len * 4) as f64;
    let gbytes = moved / timing.seconds / 1e9;
    Bandwidth { cache, pattern, threads: team.threads(), bytes, gbytes, spread: timing.spread }
}

fn once(ceiling: &Ceiling, pattern: Pattern, a: &mut [f32], b: &mut [f32], y: &mut [f32]) {
    match pattern {
        Pattern::Read => {
            std::hint::black_box(ceiling.read(a));
        }
        Pattern::Copy => b.copy_from_slice(a),
        Pattern::Triad => ceiling.triad(a, b, 0.5, y),
    }
    std::hint::black_box(y);
}

/// Times what cannot fail.
fn timed(budget: Budget, mut work: impl FnMut()) -> Timing {
    let timing = Timing::measure(budget, || {
        work();
        Ok::<(), std::convert::Infallible>(())
    });
    timing.unwrap_or_else(|never| match never {})
}

/// What one core can do at best with work of so many operations on so many bytes: the roofline model (Williams, Waterman
/// and Patterson 2009) over all levels of memory.
#[derive(Clone, Debug)]
pub struct Roofline {
    flops_per_second: f64,
    /// Bytes that a level holds, and bytes a second from it; the last one, memory, holds any number.
    levels: Vec<(usize, f64)>,
}

impl Roofline {
    /// Measures it, each figure for about so many seconds.
    ///
    /// # Errors
    /// Threads that cannot be started.
    pub fn measure(isa: Isa, seconds: f64) -> Result<Roofline, Error> {
        let peak = peak(isa, 1, seconds)?;
        // Kernels of f32 are held against multiply-adds of f32.
        let exact = peak.compute.iter().filter(|c| c.precision == "f32");
        let flops_per_second = exact.map(|c| c.gflops * 1e9).fold(0.0, f64::max);
        let best = |cache: Option<u32>| {
            let there = peak.memory.iter().filter(|m| m.cache == cache);
            there.map(|m| m.gbytes * 1e9).fold(0.0, f64::max)
        };
        let cached = peak.caches.iter().map(|cache| (cache.bytes as usize, best(Some(cache.level))));
        let levels = cached.chain([(usize::MAX, best(None))]).collect();
        Ok(Roofline { flops_per_second, levels })
    }

    /// Floating-point operations a second of one core.
    pub fn flops_per_second(&self) -> f64 {
        self.flops_per_second
    }

    /// Bytes a second between one core and memory.
    pub fn memory_bytes_per_second(&self) -> f64 {
        self.levels.last().map_or(0.0, |level| level.1)
    }

    /// The seconds that this work takes at least, if all of its bytes lie in the smallest level that holds them.
    pub fn floor(&self, flops: u64, bytes: u64) -> f64 {
        let level = self.levels.iter().find(|level| level.0 as u64 >= bytes);
        let bandwidth = level.map_or(f64::INFINITY, |level| level.1);
        (flops as f64 / self.flops_per_second).max(bytes as f64 / bandwidth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_double_up_to_those_there_are() {
        assert_eq!(
            [counts(1), counts(2), counts(6), counts(8)],
            [vec![1], vec![1, 2], vec![1, 2, 4, 6], vec![1, 2, 4, 8]]
        );
    }

    #[test]
    fn threads_share_a_cache_and_memory_is_far_larger_than_any() {
        let caches =
            [Cache { level: 1, bytes: 32 << 10, cores: 1 }, Cache { level: 3, bytes: 32 << 20, cores: 8 }];
        assert_eq!(places(&caches, 2), [(Some(1), 16 << 10), (Some(3), 8 << 20), (None, 128 << 20)]);
        assert_eq!(places(&[], 1), [(None, 64 << 20)]);
    }

    #[test]
    fn the_floor_is_that_of_what_takes_longest() {
        let roofline = Roofline { flops_per_second: 10.0, levels: vec![(100, 50.0), (usize::MAX, 5.0)] };
        assert_eq!(roofline.floor(20, 100), 2.0);
        assert_eq!(roofline.floor(20, 101), 101.0 / 5.0);
        assert_eq!(roofline.floor(0, 100), 2.0);
    }
}
