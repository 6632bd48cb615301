//! The bar that shows on a terminal how far something has come.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::console::Console;

/// Where there is no bar, a line at least this often.
pub(crate) const LINE_EVERY: Duration = Duration::from_secs(30);

/// A bar of so many units on standard error, with a message behind it.
pub(crate) fn bar(console: Console, units: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(units), ProgressDrawTarget::stderr());
    let template = if console.colors() { "{bar:14.cyan/dim} {msg}" } else { "{bar:14} {msg}" };
    let style = ProgressStyle::with_template(template).expect("the template is well-formed");
    bar.set_style(style.progress_chars("━━─"));
    bar
}
