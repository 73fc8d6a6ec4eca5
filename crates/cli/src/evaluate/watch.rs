use std::time::{Duration, Instant};

use record::WorkProgress;
use serde_json::json;

use crate::{Context, print, work_bar::Bar};

/// Between two tellings of how far the work is.
const BETWEEN: Duration = Duration::from_millis(200);

/// How far an evaluation is, for the terminal and for the window.
pub struct Watch {
    bar: Bar,
    /// Whether the window reads standard error, and when it was told last.
    window: bool,
    told: Option<Instant>,
}

impl Watch {
    pub fn new(context: &Context, window: bool) -> Watch {
        Watch { bar: Bar::texts(context), window, told: None }
    }

    /// Tells of texts of how many, and answers whether the work is to go on.
    pub fn tell(&mut self, done: usize, total: usize) -> bool {
        if self.window && self.told.is_none_or(|told| told.elapsed() >= BETWEEN) {
            self.told = Some(Instant::now());
            let count = |texts| i64::try_from(texts).unwrap_or(i64::MAX);
            let progress = WorkProgress::Texts { done: count(done), total: count(total) };
            print::json_beside(&json!({ "progress": progress }));
        }
        self.bar.tell(done, total)
    }

    pub fn end(&self) {
        self.bar.end();
    }
}
