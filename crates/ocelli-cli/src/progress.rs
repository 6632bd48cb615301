//! How training goes, as it goes: a bar on a terminal, lines elsewhere, events as JSON.

use std::path::Path;
use std::time::Instant;

use indicatif::ProgressBar;
use ocelli::train::{EpochRecord, Event, Over};

use crate::bar::{LINE_EVERY, bar};
use crate::console::Console;
use crate::output::print_json;
use crate::text::{duration, parts, percent, quoted};

/// The bar's units per epoch.
const TICKS: f64 = 1000.0;

/// Tells what happens in a training run.
pub(crate) struct Progress {
    console: Console,
    json_lines: bool,
    bar: Option<ProgressBar>,
    epochs: f64,
    /// Epochs that were done when this process took the run up.
    begun_at: f64,
    begun: Instant,
    last_line: Instant,
    last_epoch: Instant,
}

impl Progress {
    /// A teller on the console, and with `json_lines` on standard output.
    pub(crate) fn new(console: Console, json_lines: bool) -> Progress {
        let now = Instant::now();
        Progress {
            console,
            json_lines,
            bar: None,
            epochs: 0.0,
            begun_at: 0.0,
            begun: now,
            last_line: now,
            last_epoch: now,
        }
    }

    /// Tells one event.
    pub(crate) fn observe(&mut self, event: &Event) {
        if self.json_lines && print_json(event).is_err() {
            // Nobody reads any more; the run is worth finishing all the same.
            self.json_lines = false;
        }
        match event {
            Event::Start { run, epochs, epochs_done, over, .. } => {
                self.start(Path::new(run), *epochs, *epochs_done, *over);
            }
            Event::Progress { epoch, epochs, loss, top1, seconds_per_step, .. } => {
                self.expect(*epochs);
                self.step(*epoch, *loss, *top1, *seconds_per_step);
            }
            Event::Epoch(record) => self.epoch(record),
            Event::Checkpoint { epoch } if self.console.verbose() => {
                self.line(&format!("checkpoint after {epoch:.2} epochs"));
            }
            Event::Checkpoint { .. } => {}
        }
    }

    /// Takes the bar away.
    pub(crate) fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn start(&mut self, run: &Path, epochs: f64, epochs_done: f64, over: Option<Over>) {
        (self.epochs, self.begun_at) = (epochs, epochs_done);
        if let Some(over) = over {
            let (all, from) = (parts(epochs), quoted(run));
            let other = format!("to train its model further, begin another run with --from {from}");
            self.line(&match over {
                Over::Epochs => format!("all {all} epochs are done; for more, give a larger --epochs"),
                Over::Steps => format!("all steps of the run are done, in {all} epochs; {other}"),
                Over::Time => format!("the time of the run is over, after {all} epochs; {other}"),
                Over::Patience => {
                    format!("the run ended after {} epochs, as none was better; {other}", parts(epochs_done))
                }
            });
        } else if epochs_done > 0.0 {
            self.line(&format!("going on after {epochs_done:.2} of {} epochs", parts(epochs)));
        }
        if self.console.draws() {
            let bar = bar(self.console, (epochs * TICKS) as u64);
            bar.set_position((epochs_done * TICKS) as u64);
            self.bar = Some(bar);
        }
        let now = Instant::now();
        (self.begun, self.last_line, self.last_epoch) = (now, now, now);
    }

    /// The run will have so many epochs, as far as is known by now.
    fn expect(&mut self, epochs: f64) {
        if epochs != self.epochs {
            self.epochs = epochs;
            if let Some(bar) = &self.bar {
                bar.set_length((epochs * TICKS) as u64);
            }
        }
    }

    fn step(&mut self, epoch: f64, loss: f64, top1: f64, seconds_per_step: f64) {
        let (elapsed, pace) = (duration(self.begun.elapsed().as_secs_f64()), duration(seconds_per_step));
        let left = self.left(epoch).map(|left| format!(", {} left", duration(left))).unwrap_or_default();
        let text = format!(
            "{epoch:.1}/{}  {elapsed}{left}  {pace}/step  loss {loss:.3}  {}",
            parts(self.epochs),
            percent(top1)
        );
        match &self.bar {
            Some(bar) => {
                bar.set_position((epoch * TICKS) as u64);
                bar.set_message(text);
            }
            None if self.last_line.elapsed() >= LINE_EVERY => self.line(&format!("epoch {text}")),
            None => {}
        }
    }

    /// Seconds that the rest of the run takes at the pace since then, evaluation and checkpoints included.
    fn left(&self, epoch: f64) -> Option<f64> {
        let done = epoch - self.begun_at;
        (done > 0.0).then(|| self.begun.elapsed().as_secs_f64() / done * (self.epochs - epoch).max(0.0))
    }

    fn epoch(&mut self, record: &EpochRecord) {
        let row = &record.row;
        let figures = |loss: Option<f64>, top1: Option<f64>| {
            format!("{:.4} {:>8}", loss.unwrap_or(f64::NAN), percent(top1.unwrap_or(f64::NAN)))
        };
        let width = parts(self.epochs).len();
        let text = format!(
            "epoch {:>width$}/{}  train {}  val {}  {}",
            parts(row.epoch),
            parts(self.epochs),
            figures(row.train_loss, row.train_top1),
            figures(row.val_loss, row.val_top1),
            duration(self.last_epoch.elapsed().as_secs_f64())
        );
        self.last_epoch = Instant::now();
        self.line(&text);
        if let Some(bar) = &self.bar {
            bar.set_position((row.epoch * TICKS) as u64);
        }
    }

    /// A line above the bar, unless `-q`.
    fn line(&mut self, text: &str) {
        self.last_line = Instant::now();
        match &self.bar {
            Some(bar) => bar.println(text),
            None => self.console.say(text),
        }
    }
}
