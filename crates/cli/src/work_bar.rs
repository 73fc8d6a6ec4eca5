use indicatif::ProgressBar;

use crate::{Context, print, signals::Signals};

/// A bar that shows how far the work is, and listens to Ctrl+C, which ends it.
pub struct Bar {
    pub bar: ProgressBar,
    signals: Signals,
}

impl Bar {
    pub fn texts(context: &Context) -> Bar {
        Bar::new(context, "{bar:30} {human_pos} of {human_len} texts, {eta} left")
    }

    pub fn new(context: &Context, template: &str) -> Bar {
        let bar = if context.json { print::hidden_bar() } else { print::bar(template) };
        Bar { bar, signals: Signals::listen() }
    }

    /// Tells how far the work is; `false` where it is to be ended.
    pub fn tell(&self, done: usize, total: usize) -> bool {
        self.bar.set_length(total as u64);
        self.bar.set_position(done as u64);
        self.signals.count() == 0
    }

    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}
