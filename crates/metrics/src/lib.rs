//! How well a model tells the axes, and how far that can be trusted: pure functions from logits
//! and true types to records, with no input or output.
//!
//! An author's texts are alike, so they are not as many independent witnesses as they are texts.
//! Whatever is resampled or halved here is therefore authors, all of whose texts go together;
//! single texts stand in only where no authors are named.
//!
//! Nothing here panics and nothing is NaN: what has no value is `None` or absent. A logit that is
//! no number counts as 0, which tells nothing.

mod assess;
mod axis_metrics;
mod bootstrap;
mod calibration;
mod compare;
mod conformal;
mod halves;
mod judged;
mod level;
mod percentile;
mod platt;
mod probability;
mod sample;
mod scored;
mod significance;
mod spread;
mod temperature;
mod uncertainty_band;
mod units;

pub use assess::{assess, judge};
pub use axis_metrics::{axes_metrics, axis_metrics};
pub use compare::compare;
pub use conformal::answers;
pub use judged::Judged;
pub use probability::probability;
pub use spread::{spread, spread_of_folds};
pub use uncertainty_band::interval;

/// The pieces whose results scikit-learn and SciPy are asked for too.
#[doc(hidden)]
pub mod parity {
    pub use crate::{
        assess::assess_with,
        bootstrap::resample,
        compare::compare_by,
        conformal::{calibrating, sets},
        halves::halves,
        platt::{Platt, Points, fit as fit_platt},
        sample::{Sample, by_author, by_text},
        temperature::fit as fit_temperature,
        units::{Units, units},
    };
}
