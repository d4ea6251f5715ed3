//! What a suite is doing, for whom it may concern: a spinner on a terminal, plain lines elsewhere.

use std::io::{IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// A turn of the spinner.
const TICK: Duration = Duration::from_millis(80);

/// Tells of the steps of a start, and keeps how long each took.
#[derive(Clone)]
pub struct Progress(Arc<Inner>);

struct Inner {
    output: Output,
    began: Instant,
    steps: Mutex<Vec<(&'static str, Duration)>>,
}

enum Output {
    Spinner(ProgressBar),
    Lines(Box<dyn Fn(&str) + Send + Sync>),
}

impl Progress {
    /// On standard error: a spinner on a terminal, plain lines elsewhere.
    pub fn on_stderr() -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::to(|line| {
                // Nobody reads it any more: that is no reason to stop.
                let _ = writeln!(std::io::stderr(), "{line}");
            });
        }
        let spinner = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner:.cyan} {msg} {elapsed:.dim}") {
            spinner.set_style(style);
        }
        spinner.enable_steady_tick(TICK);
        Self::new(Output::Spinner(spinner))
    }

    /// To a function, a line at a time.
    pub fn to(tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self::new(Output::Lines(Box::new(tell)))
    }

    /// To nobody.
    pub fn silent() -> Self {
        Self::to(|_| ())
    }

    fn new(output: Output) -> Self {
        Self(Arc::new(Inner { output, began: Instant::now(), steps: Mutex::default() }))
    }

    /// Says what is being done now.
    pub fn say(&self, line: &str) {
        match &self.0.output {
            Output::Spinner(spinner) => spinner.set_message(line.to_owned()),
            Output::Lines(tell) => tell(line),
        }
    }

    /// Runs a step and keeps how long it took.
    pub(crate) async fn step<F: Future>(&self, name: &'static str, work: F) -> F::Output {
        let began = Instant::now();
        let output = work.await;
        let mut steps = self.0.steps.lock().unwrap_or_else(PoisonError::into_inner);
        steps.push((name, began.elapsed()));
        output
    }

    /// Takes the spinner away.
    pub(crate) fn clear(&self) {
        if let Output::Spinner(spinner) = &self.0.output {
            spinner.finish_and_clear();
        }
    }

    /// The steps so far, with how long each took.
    pub(crate) fn steps(&self) -> Vec<(&'static str, Duration)> {
        self.0.steps.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Since the first word.
    pub(crate) fn total(&self) -> Duration {
        self.0.began.elapsed()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Output::Spinner(spinner) = &self.output {
            spinner.finish_and_clear();
        }
    }
}
