//! How far a measurement is: a bar on a terminal, a line for each step elsewhere.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::{Instant, MissedTickBehavior, interval};

/// How often the bar moves.
const TICK: Duration = Duration::from_millis(100);
const TEMPLATE: &str = "{spinner:.cyan} [{bar:32.cyan/dim}] {msg} {eta:.dim}";

/// The progress of a run whose length is known.
pub(super) struct Meter {
    bar: ProgressBar,
    is_terminal: bool,
}

impl Meter {
    /// A meter on standard error for steps that take so long altogether.
    pub(super) fn new(planned: Duration) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let target =
            if is_terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(millis(planned)), target);
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            bar.set_style(style.progress_chars("━━─"));
        }
        Self { bar, is_terminal }
    }

    /// Says what is being done now.
    pub(super) fn say(&self, line: &str) {
        self.bar.set_message(line.to_owned());
        if !self.is_terminal {
            // Nobody reads it any more: that is no reason to stop.
            let _ = writeln!(std::io::stderr(), "{line}");
        }
    }

    /// Says how far the step is, where that can be seen as it changes.
    pub(super) fn update(&self, line: &str) {
        self.bar.set_message(line.to_owned());
    }

    /// Runs a step that should take so long, and moves the bar meanwhile.
    pub(super) async fn step<F: Future>(&self, planned: Duration, work: F) -> F::Output {
        let (began, from) = (Instant::now(), self.bar.position());
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        tokio::pin!(work);
        let output = loop {
            tokio::select! {
                output = &mut work => break output,
                _ = ticks.tick() => {
                    self.bar.set_position(from + millis(began.elapsed().min(planned)));
                }
            }
        };
        self.bar.set_position(from + millis(planned));
        output
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
