//! How far counting through images has come: a bar on a terminal, now and then a line elsewhere.

use std::time::{Duration, Instant};

use indicatif::ProgressBar;

use crate::bar::{LINE_EVERY, bar};
use crate::console::Console;
use crate::text::{count, duration};

/// Nothing is told of what is over before that.
const PATIENCE: Duration = Duration::from_millis(500);

/// Tells how many images are done.
pub(crate) struct Counting {
    console: Console,
    total: usize,
    draws: bool,
    bar: Option<ProgressBar>,
    begun: Instant,
    last_line: Instant,
}

impl Counting {
    /// Of so many images. `free` says whether nothing else is written to the terminal meanwhile, which a bar would be
    /// in the way of.
    pub(crate) fn new(console: Console, total: usize, free: bool) -> Counting {
        let now = Instant::now();
        Counting { console, total, draws: console.draws() && free, bar: None, begun: now, last_line: now }
    }

    /// So many are done.
    pub(crate) fn at(&mut self, done: usize) {
        if self.begun.elapsed() < PATIENCE {
            return;
        }
        if self.draws {
            let text = self.text(done);
            let bar = self.bar.get_or_insert_with(|| bar(self.console, self.total as u64));
            bar.set_position(done as u64);
            bar.set_message(text);
        } else if self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            self.console.say(&self.text(done));
        }
    }

    /// Takes the bar away.
    pub(crate) fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }

    fn text(&self, done: usize) -> String {
        let elapsed = self.begun.elapsed().as_secs_f64();
        let left = elapsed / done.max(1) as f64 * self.total.saturating_sub(done) as f64;
        format!(
            "{} of {} images, {} images/s, {} left",
            count(done as u64),
            count(self.total as u64),
            count((done as f64 / elapsed.max(1e-9)) as u64),
            duration(left)
        )
    }
}
