//! What a scenario tells while it runs.
//!
//! On a terminal it is a bar with live figures; elsewhere nothing is printed.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often the terminal is drawn anew, at most, a second.
const DRAWN_PER_SECOND: u8 = 8;

/// A handle for telling. Clones tell the same bar.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar on standard error if that is a terminal.
    pub(crate) fn on_terminal() -> Self {
        let target = ProgressDrawTarget::stderr_with_hz(DRAWN_PER_SECOND);
        Self { bar: ProgressBar::with_draw_target(None, target) }
    }

    /// Nothing is shown.
    pub(crate) fn silent() -> Self {
        Self { bar: ProgressBar::hidden() }
    }

    /// A new part of the run begins, of so many steps if that is known.
    pub(crate) fn begin(&self, part: &str, steps: Option<u64>) {
        let template = if steps.is_some() {
            "{prefix} [{bar:32}] {pos}/{len} {elapsed_precise} {msg}"
        } else {
            "{prefix} {spinner} {pos} {elapsed_precise} {msg}"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style.progress_chars("=> "));
        }
        self.bar.reset();
        match steps {
            Some(steps) => self.bar.set_length(steps),
            None => self.bar.unset_length(),
        }
        self.bar.set_prefix(part.to_owned());
        self.bar.set_message("");
        self.bar.enable_steady_tick(Duration::from_millis(250));
    }

    /// So many steps are done.
    pub(crate) fn advance(&self, steps: u64) {
        self.bar.inc(steps);
    }

    /// What is to be read beside the bar, such as `open 900, p99 3 ms`.
    pub(crate) fn live(&self, figures: String) {
        self.bar.set_message(figures);
    }

    /// The run is over: the bar goes.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
