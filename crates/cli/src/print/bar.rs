//! Bars that show how far work is. They are made here alone, since what they say reaches the terminal as well.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar on standard error, by indicatif's template.
pub fn bar(template: &str) -> ProgressBar {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// One that counts and shows nothing, for programs that read.
pub fn hidden_bar() -> ProgressBar {
    ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::hidden())
}

/// Says something beside a bar.
pub fn message(bar: &ProgressBar, text: &str) {
    bar.set_message(record::one_line(text).into_owned());
}
