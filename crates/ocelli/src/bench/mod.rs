//! Measuring this machine: its ceilings ([`peak`]), every kernel against them ([`kernels`]), networks ([`net`]), where
//! their time goes ([`steps`]), and how images reach them ([`data`]).
//!
//! A figure is the median over repeats, after one repeat that does not count. Times depend on what else runs, so nothing
//! in the engine is chosen by them.

pub mod data;
pub mod kernels;
pub mod net;
pub mod peak;
pub mod steps;

use std::time::Instant;

use serde::Serialize;

/// How long to measure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// Seconds after which no further repeat begins.
    pub seconds: f64,
    /// Repeats that there are at least.
    pub repeats: usize,
}

impl Budget {
    /// About so many seconds, and at least three repeats.
    pub fn seconds(seconds: f64) -> Budget {
        Budget { seconds, repeats: 3 }
    }
}

/// What repeats of one piece of work took.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Timing {
    /// The median.
    pub seconds: f64,
    /// The distance between the quartiles, as a share of the median.
    pub spread: f64,
    /// The quickest.
    pub quickest: f64,
    /// How often it was timed.
    pub repeats: usize,
}

/// A timed repeat takes at least so many seconds: shorter work is done several times in it, so that reading the clock
/// does not count.
const SHORTEST: f64 = 1e-3;

/// Repeats of which the times are kept: more do not make the median any better.
const MOST_REPEATS: usize = 10_000;

impl Timing {
    /// Times `work` once to warm up, then repeatedly.
    ///
    /// # Errors
    /// Those of `work`.
    pub fn measure<E>(budget: Budget, mut work: impl FnMut() -> Result<(), E>) -> Result<Timing, E> {
        let mut timed = |times: u32| {
            let start = Instant::now();
            for _ in 0..times {
                work()?;
            }
            Ok(start.elapsed().as_secs_f64() / f64::from(times))
        };
        timed(1)?;
        // The first one was slower, with cold caches and fresh memory: a second one tells how many make a repeat.
        let once = timed(1)?;
        let times = (SHORTEST / once.max(1e-9)).ceil().clamp(1.0, 1e6) as u32;
        let mut seconds = Vec::new();
        if times == 1 {
            seconds.push(once);
        }
        let start = Instant::now();
        while seconds.len() < budget.repeats.max(1)
            || (start.elapsed().as_secs_f64() < budget.seconds && seconds.len() < MOST_REPEATS)
        {
            seconds.push(timed(times)?);
        }
        Ok(Timing::of(seconds))
    }

    /// Of the times of repeats, in seconds; at least one.
    fn of(mut seconds: Vec<f64>) -> Timing {
        seconds.sort_by(f64::total_cmp);
        let median = quantile(&seconds, 0.5);
        Timing {
            seconds: median,
            spread: (quantile(&seconds, 0.75) - quantile(&seconds, 0.25)) / median,
            quickest: seconds[0],
            repeats: seconds.len(),
        }
    }
}

/// The value below which this share of sorted values lies, between neighbours on a straight line.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_the_quartiles_are_found_whatever_the_order() {
        let timing = Timing::of(vec![5.0, 1.0, 2.0, 4.0, 3.0]);
        assert_eq!(timing, Timing { seconds: 3.0, spread: 2.0 / 3.0, quickest: 1.0, repeats: 5 });
        assert_eq!(Timing::of(vec![1.0, 2.0]).seconds, 1.5);
    }

    #[test]
    fn there_are_enough_repeats_even_without_time_and_the_first_run_is_none() {
        let mut calls = 0;
        let slow = || {
            calls += 1;
            std::thread::sleep(std::time::Duration::from_millis(2));
            Ok::<(), ()>(())
        };
        let timing = Timing::measure(Budget { seconds: 0.0, repeats: 3 }, slow).expect("it cannot fail");
        assert_eq!((timing.repeats, calls), (3, 4));
        assert!(timing.seconds >= 2e-3);
    }

    #[test]
    fn what_goes_wrong_ends_the_measuring() {
        let mut left = 4;
        let failing = || {
            left -= 1;
            if left == 0 { Err("gone") } else { Ok(()) }
        };
        assert_eq!(Timing::measure(Budget::seconds(10.0), failing), Err("gone"));
    }
}
