//! Progress of long work: a bar on a terminal, plain lines now and then elsewhere. Always on stderr, apart from what
//! [`Progress::say`] says.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::{self, Output};

/// How often a plain line is printed, at most.
const LINE_EVERY: Duration = Duration::from_secs(2);

/// How far something is.
pub(crate) struct Progress {
    output: Output,
    bar: Option<ProgressBar>,
    last_line: Option<(Instant, String)>,
}

impl Progress {
    /// A bar where stderr is a terminal, lines where it is not.
    pub(crate) fn new(output: &Output) -> Self {
        let bar = output::is_watched().then(|| {
            let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{bar:32} {percent:>3}%  {msg}") {
                bar.set_style(style.progress_chars("━╸─"));
            }
            bar
        });
        Self { output: *output, bar, last_line: None }
    }

    /// Whether there is a bar: a person watches.
    pub(crate) const fn is_drawn(&self) -> bool {
        self.bar.is_some()
    }

    /// Shows `done` of `total` with `text`. Cheap: may be called as often as one likes.
    pub(crate) fn show(&mut self, done: i64, total: i64, text: &str) {
        match &self.bar {
            Some(bar) => {
                bar.set_length(u64::try_from(total).unwrap_or_default());
                bar.set_position(u64::try_from(done).unwrap_or_default());
                bar.set_message(text.to_owned());
            }
            None => {
                let due = self.last_line.as_ref().is_none_or(|(at, last)| at.elapsed() >= LINE_EVERY && last != text);
                if due {
                    output::complain(text);
                    self.last_line = Some((Instant::now(), text.to_owned()));
                }
            }
        }
    }

    /// Says something that stays, above the bar: on stdout, or on stderr under `--json`.
    ///
    /// # Errors
    /// Stdout is closed.
    pub(crate) fn say(&mut self, text: &str) -> std::io::Result<()> {
        let say = || {
            if self.output.is_json() {
                output::complain(text);
                Ok(())
            } else {
                self.output.text(text)
            }
        };
        match &self.bar {
            Some(bar) => bar.suspend(say),
            None => say(),
        }
    }

    /// Takes the bar away, and says nothing.
    pub(crate) fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// Takes the bar away; without one, prints the last state if it was not printed yet.
    pub(crate) fn end(&mut self, text: &str) {
        match self.bar.take() {
            Some(bar) => {
                bar.finish_and_clear();
                output::complain(text);
            }
            None if self.last_line.as_ref().is_none_or(|(_, last)| last != text) => output::complain(text),
            None => {}
        }
    }
}
