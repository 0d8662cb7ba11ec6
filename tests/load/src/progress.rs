//! What a scenario tells while it runs.
//!
//! On a terminal it is a bar with live figures; elsewhere nothing is printed, nor
//! counted.

mod live;

use std::{fmt, sync::Arc, time::Duration};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use tokio::time::Instant;

use live::Live;

/// How often the terminal is drawn anew, at most, a second.
const DRAWN_PER_SECOND: u8 = 8;

/// Characters of the bar of a part that takes a known time.
const BAR: u8 = 20;

/// A handle for telling. Clones tell the same bar.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    bar: ProgressBar,
    live: Arc<Live>,
    /// Which run of how many this is; empty when it is the only one.
    which: String,
}

impl Progress {
    /// A bar on standard error if that is a terminal.
    pub(crate) fn on_terminal() -> Self {
        let target = ProgressDrawTarget::stderr_with_hz(DRAWN_PER_SECOND);
        Self::on(ProgressBar::with_draw_target(None, target))
    }

    /// Nothing is shown.
    pub(crate) fn silent() -> Self {
        Self::on(ProgressBar::hidden())
    }

    fn on(bar: ProgressBar) -> Self {
        Self { bar, live: Arc::default(), which: String::new() }
    }

    /// Says that this is one of several runs.
    #[must_use]
    pub(crate) fn of(mut self, number: usize, runs: usize) -> Self {
        if runs > 1 {
            self.which = format!("run {number} of {runs}: ");
        }
        self
    }

    /// A new part of the run begins, of so many steps.
    pub(crate) fn begin(&self, part: &str, steps: usize) {
        self.show(part, "{prefix} [{bar:20}] {pos}/{len} {elapsed_precise} {live} {msg}", None);
        self.bar.set_length(u64::try_from(steps).unwrap_or(u64::MAX));
    }

    /// A new part of the run begins, which takes so long.
    pub(crate) fn begin_for(&self, part: &str, lasting: Duration) {
        self.show(part, "{prefix} {time} {live} {msg}", Some(lasting));
    }

    fn show(&self, part: &str, template: &str, lasting: Option<Duration>) {
        let live = Arc::clone(&self.live);
        if let Ok(style) = ProgressStyle::with_template(template) {
            let style = style
                .progress_chars("=> ")
                .with_key("live", move |_: &ProgressState, to: &mut dyn fmt::Write| {
                    // A bar that cannot be written is not shown.
                    write!(to, "{}", live.at(Instant::now())).unwrap_or_default();
                })
                .with_key("time", move |state: &ProgressState, to: &mut dyn fmt::Write| {
                    let lasting = lasting.unwrap_or_default();
                    to.write_str(&time(state.elapsed(), lasting)).unwrap_or_default();
                });
            self.bar.set_style(style);
        }
        self.bar.reset();
        self.bar.set_prefix(format!("{}{part}", self.which));
        self.bar.set_message("");
        self.bar.enable_steady_tick(Duration::from_millis(250));
    }

    /// A step is done.
    pub(crate) fn advance(&self) {
        self.bar.inc(1);
    }

    /// What else is to be read beside the bar, such as `gap 4.9 s`.
    pub(crate) fn say(&self, more: String) {
        self.bar.set_message(more);
    }

    /// A connection is open.
    pub(crate) fn opened(&self) {
        self.live.opened();
    }

    /// A connection is open no more.
    pub(crate) fn closed(&self) {
        self.live.closed();
    }

    /// An answer, a message or a connection came, after so long.
    pub(crate) fn answered(&self, latency: Duration) {
        // Nobody reads what is hidden, and threads share this.
        if !self.bar.is_hidden() {
            self.live.answered(latency, Instant::now());
        }
    }

    /// Something failed.
    pub(crate) fn failed(&self) {
        self.live.failed();
    }

    /// The run is over: the bar goes.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

/// How much of a time is over: `[====>     ] 4 s of 10 s`.
fn time(elapsed: Duration, lasting: Duration) -> String {
    let share = elapsed.as_secs_f64() / lasting.as_secs_f64().max(0.001);
    let done = (1..=BAR).take_while(|step| f64::from(*step) <= share * f64::from(BAR)).count();
    let width = usize::from(BAR);
    let head = if done < width { ">" } else { "" };
    let bar = "=".repeat(done) + head;
    format!("[{bar:width$}] {} s of {} s", elapsed.as_secs(), lasting.as_secs_f64().ceil())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_shows_how_much_of_a_time_is_over() {
        let second = Duration::from_secs(1);
        let half = format!("[{}>{}] 4 s of 8 s", "=".repeat(10), " ".repeat(9));
        assert_eq!(time(4 * second, 8 * second), half);
        assert_eq!(time(9 * second, 8 * second), format!("[{}] 9 s of 8 s", "=".repeat(20)));
    }

    #[test]
    fn a_run_says_which_of_several_it_is() {
        let shown = |number, runs| {
            let progress = Progress::silent().of(number, runs);
            progress.begin("asking", 10);
            progress.bar.prefix()
        };
        assert_eq!((shown(2, 5).as_str(), shown(1, 1).as_str()), ("run 2 of 5: asking", "asking"));
    }
}
